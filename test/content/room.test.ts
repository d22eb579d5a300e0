import { rm, statfs } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { createCounters } from '../../src/content/counters.ts'
import { createRoom } from '../../src/content/room.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { temporaryDirectory } from '../support/directory.ts'

const [a, b, c] = ['a', 'b', 'c'].map((name) => digestOf(name)) as [Digest, Digest, Digest]

/** Before anything is counted. */
async function uncounted(countWaitMs: number, maxBytes = 1000) {
  const directory = await temporaryDirectory()
  const counters = createCounters()
  const pressure: number[] = []
  const onPressure = (needed: number) => void pressure.push(needed)
  return {
    room: createRoom({ directory, maxBytes, counters, onPressure, log: undefined, countWaitMs }),
    counters,
    pressure,
    directory,
  }
}

async function opened(maxBytes = 1000) {
  const world = await uncounted(60_000, maxBytes)
  await world.room.count(sizes())
  return world
}

async function* sizes(...all: (readonly [Digest, number])[]) {
  yield* all
}

test('what changes while everything is counted is counted once, before its turn, after it, and without one', async () => {
  const { room, counters } = await opened()
  await room.count(
    (async function* () {
      room.changed(a, 10, 30)
      yield [a, 30] as const
      yield [b, 5] as const
      room.changed(b, 5, 0)
      room.changed(c, 0, 7)
    })(),
  )
  expect(counters.heldBytes).toBe(37)
})

test('what changes twice while everything is counted is counted as it is in the end', async () => {
  const { room, counters } = await opened()
  await room.count(
    (async function* () {
      room.changed(a, 10, 0)
      room.changed(a, 0, 30)
      yield [a, 30] as const
    })(),
  )
  expect(counters.heldBytes).toBe(30)
})

test('the later of two counts holds', async () => {
  const { room, counters } = await opened()
  const waits = Promise.withResolvers<void>()
  const slow = room.count(
    (async function* () {
      await waits.promise
      yield [a, 99] as const
    })(),
  )
  await room.count(
    (async function* () {
      yield [a, 10] as const
    })(),
  )
  waits.resolve()
  await slow
  expect(counters.heldBytes).toBe(10)
})

test('a count that fails leaves what is known', async () => {
  const { room, counters } = await opened()
  room.changed(a, 0, 10)
  const failing = (async function* () {
    yield [b, 5] as const
    throw new Error('bad disk')
  })()
  await expect(room.count(failing)).rejects.toThrow('bad disk')
  room.changed(c, 0, 1)
  expect(counters.heldBytes).toBe(11)
})

test('a problem ends when there is room again for what was refused', async () => {
  const { room, counters } = await opened()
  room.changed(a, 0, 900)
  await expect(room.take(200)).rejects.toMatchObject({ problem: 'maxBytes reached' })
  room.changed(a, 900, 850)
  expect(counters.problem).toBe('maxBytes reached')
  room.changed(a, 850, 800)
  expect(counters.problem).toBeUndefined()
})

test('a full disk is one until what was refused would fit, whatever small things are kept meanwhile', async () => {
  const { room, counters, directory } = await opened(1024 ** 5)
  const { bavail, bsize } = await statfs(directory)
  await expect(room.take(bavail * bsize)).rejects.toMatchObject({ problem: 'disk full' })
  room.kept()
  await statfs(directory)
  await statfs(directory)
  expect(counters.problem).toBe('disk full')
})

test('a disk that refused a write is full until something could be kept, whatever it tells of itself', async () => {
  const { room, counters } = await opened()
  const giveBack = await room.take(10)
  room.refuse(Object.assign(new Error('over quota'), { code: 'EDQUOT' }))
  giveBack()
  await statfs('/')
  expect(counters.problem).toBe('disk full')
  room.kept()
  expect(counters.problem).toBeUndefined()
})

test('a failed disk is one until something could be kept', async () => {
  const { room, counters } = await opened()
  room.refuse(new Error('input/output error'))
  expect(counters.problem).toBe('disk failed')
  const giveBack = await room.take(1)
  giveBack()
  expect(counters.problem).toBe('disk failed')
  room.kept()
  expect(counters.problem).toBeUndefined()
})

test('a disk that tells nothing of itself gives no room, and takes none', async () => {
  const { room, counters, directory } = await opened()
  await rm(directory, { recursive: true })
  await expect(room.take(900)).rejects.toMatchObject({ problem: 'disk failed' })
  await expect(room.take(900)).rejects.toMatchObject({ problem: 'disk failed' })
  expect(counters.problem).toBe('disk failed')
  room.kept()
  expect(counters.problem).toBeUndefined()
})

test('what can never fit is refused, which is no problem, and ends none', async () => {
  const { room, counters, pressure } = await opened()
  await expect(room.take(1001)).rejects.toMatchObject({ name: 'NoRoomError', problem: 'maxBytes reached' })
  expect(counters.problem).toBeUndefined()
  room.changed(a, 0, 850)
  await expect(room.take(200)).rejects.toMatchObject({ problem: 'maxBytes reached' })
  await expect(room.take(1001)).rejects.toMatchObject({ problem: 'maxBytes reached' })
  room.changed(b, 0, 1)
  expect(counters.problem).toBe('maxBytes reached')
  expect(pressure).toEqual([200])
})

test('room is given back once', async () => {
  const { room, pressure } = await opened()
  const giveBack = await room.take(500)
  giveBack()
  giveBack()
  await room.take(900)
  await expect(room.take(101)).rejects.toMatchObject({ problem: 'maxBytes reached' })
  expect(pressure).toEqual([101])
})

test('room is given only when it is known what is there', async () => {
  const { room } = await uncounted(60_000)
  const found = Promise.withResolvers<void>()
  const counting = room.count(
    (async function* () {
      await found.promise
      yield [a, 900] as const
    })(),
  )
  const large = expect(room.take(200)).rejects.toMatchObject({ problem: 'maxBytes reached' })
  const small = room.take(50)
  found.resolve()
  await counting
  await large
  ;(await small)()
})

test('while counting takes long room is refused, which is no problem and presses nobody', async () => {
  const { room, counters, pressure } = await uncounted(0)
  await expect(room.take(1)).rejects.toMatchObject({ name: 'NoRoomError' })
  expect(counters.problem).toBeUndefined()
  expect(pressure).toEqual([])
  await room.count(sizes([a, 10]))
  ;(await room.take(1))()
})

test('what can not be counted keeps nobody from room', async () => {
  const { room } = await uncounted(60_000)
  const failing = (async function* () {
    yield [b, 5] as const
    throw new Error('bad disk')
  })()
  await expect(room.count(failing)).rejects.toThrow('bad disk')
  ;(await room.take(1))()
})

test('an upload that is finished, begun or gone on with while everything is counted is counted once', async () => {
  const { room, counters } = await opened()
  room.changed('upload/1', 0, 10)
  room.changed('upload/2', 0, 5)
  await room.count(
    (async function* () {
      room.changed('upload/1', 10, 0)
      room.changed(a, 0, 10)
      yield ['upload/2', 5] as const
      room.changed('upload/2', 5, 7)
      room.changed('upload/3', 0, 100)
      yield ['upload/3', 100] as const
      room.changed('upload/4', 0, 1000)
      room.changed('upload/4', 1000, 0)
      yield [a, 10] as const
    })(),
  )
  expect(counters).toMatchObject({ heldBytes: 10, uploadBytes: 107 })
})

test('uploads take the room that held bytes could have', async () => {
  const { room, counters } = await opened()
  room.changed(a, 0, 500)
  room.changed('upload/1', 0, 400)
  expect(counters).toMatchObject({ heldBytes: 500, uploadBytes: 400 })
  await expect(room.take(101)).rejects.toThrow('maxBytes reached')
  ;(await room.take(100))()
})
