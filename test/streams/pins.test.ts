import { describe, expect, test } from 'vitest'
import { lifeKey, tagKey } from '../../src/streams/keys.ts'
import { createPins } from '../../src/streams/pins.ts'
import type { TagChange } from '../../src/streams/streams.ts'
import { anywhereWriter } from '../support/anywhere-writer.ts'
import { app, digest, event, type World, world } from './world.ts'

const prod = tagKey(app, 'prod')

/** Changes `prod` and waits until the pins know. */
async function change(w: World, next: TagChange): Promise<number> {
  const result = await w.writer.changeTag(app, 'prod', () => next, { create: true })
  await w.pins.reached(result?.revision ?? 0)
  return result?.revision ?? 0
}

async function pushed(): Promise<World> {
  const w = await world()
  await change(w, { event: event('a') })
  return w
}

const peek = (w: World, tag = 'prod') => w.pins.peek('demo', 'app', tag)

/** Stops the first read of `key`, after the store has answered it, until `resume` is called. */
function stopReadOf(w: World, key: string): { stopped: Promise<void>; resume: () => void } {
  const stopped = Promise.withResolvers<void>()
  const resumed = Promise.withResolvers<void>()
  w.faults.afterGet = async (read) => {
    if (read !== key) return
    w.faults.afterGet = undefined
    stopped.resolve()
    await resumed.promise
  }
  return { stopped: stopped.promise, resume: resumed.resolve }
}

describe('pins', () => {
  test('are asked of the store once, and of memory from then on', async () => {
    const w = await pushed()
    expect(peek(w)).toBeUndefined()
    const pin = await w.pins.pin(app, 'prod')
    expect(pin).toMatchObject({ digest: digest('a'), revision: 1, condition: undefined })
    expect(peek(w)).toBe(pin)
    w.faults.gets = []
    expect(await w.pins.pin(app, 'prod')).toBe(pin)
    expect(w.faults.gets).toEqual([])
  })

  test('tell that the tag is held, and that no upstream has its image any more', async () => {
    const w = await pushed()
    const pin = async () => w.pins.pin(app, 'prod')
    expect(await pin()).toMatchObject({ hold: undefined, upstreamGone: undefined })
    await change(w, { upstreamGone: { image: digest('a'), host: 'quay.io' } })
    expect(await pin()).toMatchObject({ upstreamGone: { host: 'quay.io' } })
    await change(w, { event: event('b') })
    await change(w, { event: event('a', 'rollback') })
    expect(await pin()).toMatchObject({ hold: { revision: 3 }, upstreamGone: undefined })
  })

  test('asked by many at once are read once', async () => {
    const w = await pushed()
    w.faults.gets = []
    await Promise.all(Array.from({ length: 20 }, () => w.pins.pin(app, 'prod')))
    expect(w.faults.gets.sort()).toEqual([lifeKey(app), prod])
  })

  test('are right again as soon as a change is reached', async () => {
    const w = await pushed()
    for (const image of ['b', 'c', 'b']) {
      await w.pins.pin(app, 'prod')
      await change(w, { event: event(image) })
      expect(peek(w)?.digest ?? digest(image)).toBe(digest(image))
      expect((await w.pins.pin(app, 'prod'))?.digest).toBe(digest(image))
    }
  })

  test('I7, I8: stand through a failed import, and tell of it', async () => {
    const w = await pushed()
    await w.pins.pin(app, 'prod')
    await change(w, { condition: { reason: 'Unreachable', message: 'no route' } })
    expect(await w.pins.pin(app, 'prod')).toMatchObject({ digest: digest('a'), condition: { reason: 'Unreachable' } })
  })

  test('that are not there are known not to be, until they are created', async () => {
    const w = await pushed()
    expect(await w.pins.pin(app, 'next')).toBeUndefined()
    expect(peek(w, 'next')).toBeNull()
    w.faults.gets = []
    expect(await w.pins.pin(app, 'next')).toBeUndefined()
    expect(w.faults.gets).toEqual([])
    const made = await w.writer.changeTag(app, 'next', () => ({ event: event('b') }))
    await w.pins.reached(made?.revision ?? 0)
    expect((await w.pins.pin(app, 'next'))?.digest).toBe(digest('b'))
  })

  test('of a stream that is not there are known not to be, until it is created', async () => {
    const w = await world()
    expect(await w.pins.pin(app, 'prod')).toBeUndefined()
    expect(await w.pins.uid(app)).toBeUndefined()
    expect(w.pins.peekUid('demo', 'app')).toBeNull()
    expect(peek(w)).toBeNull()
    await change(w, { event: event('a') })
    expect((await w.pins.pin(app, 'prod'))?.digest).toBe(digest('a'))
    expect(await w.pins.uid(app)).toBe((await w.reader.stream(app))?.uid)
    expect(w.pins.peekUid('demo', 'app')).toBe(await w.pins.uid(app))
  })

  test('end with their tag', async () => {
    const w = await pushed()
    await w.pins.pin(app, 'prod')
    await change(w, { remove: { cause: { kind: 'delete', by: 'x' } } })
    expect(peek(w)).not.toMatchObject({ digest: digest('a') })
    expect(await w.pins.pin(app, 'prod')).toBeUndefined()
    expect(peek(w)).toBeNull()
  })

  test('end with their stream, all at once, and are not those of the stream made anew', async () => {
    const w = await pushed()
    await w.pins.pin(app, 'prod')
    await w.writer.delete(app)
    const fresh = await w.writer.create(app)
    await w.pins.reached(fresh.resourceVersion)
    expect(await w.pins.uid(app)).toBe(fresh.uid)
    expect(peek(w)).toBeUndefined()
    expect(await w.pins.pin(app, 'prod')).toBeUndefined()
    await change(w, { event: event('b') })
    expect(await w.pins.pin(app, 'prod')).toMatchObject({ digest: digest('b'), uid: fresh.uid })
  })

  test('of a tag that only points elsewhere, or only failed, are none', async () => {
    const w = await pushed()
    const reference = { image: '' as const, mediaType: '', dockerImageReference: 'quay.io/a:b' }
    await w.writer.changeTag(app, 'elsewhere', () => ({ event: { ...reference, cause: { kind: 'tag', by: 'x' } } }))
    expect(await w.pins.pin(app, 'elsewhere')).toBeUndefined()
  })

  test('in memory are bounded', async () => {
    const w = await pushed()
    const closing = new AbortController()
    const pins = createPins({ store: w.faults, signal: closing.signal, maxTags: 2 })
    for (const tag of ['one', 'two', 'three']) await pins.pin(app, tag)
    expect(['one', 'two', 'three'].map((tag) => pins.peek('demo', 'app', tag))).toEqual([undefined, null, null])
    closing.abort()
  })
})

describe('a read that races with a change never leaves an old pin in memory', () => {
  test('when the change is known before the read ends', async () => {
    const w = await pushed()
    const read = stopReadOf(w, prod)
    const slow = w.pins.pin(app, 'prod')
    await read.stopped
    await change(w, { event: event('b') })
    read.resume()
    await slow
    expect(peek(w)).toBeUndefined()
    expect((await w.pins.pin(app, 'prod'))?.digest).toBe(digest('b'))
  })

  test('when another asks in between: he does not get the answer of the old read', async () => {
    const w = await pushed()
    const read = stopReadOf(w, prod)
    const slow = w.pins.pin(app, 'prod')
    await read.stopped
    await change(w, { event: event('b') })
    expect((await w.pins.pin(app, 'prod'))?.digest).toBe(digest('b'))
    read.resume()
    await slow
    expect(peek(w)?.digest).toBe(digest('b'))
  })

  test('when a tag is created while it is found not to be there', async () => {
    const w = await pushed()
    const key = tagKey(app, 'next')
    const read = stopReadOf(w, key)
    const slow = w.pins.pin(app, 'next')
    await read.stopped
    const made = await w.writer.changeTag(app, 'next', () => ({ event: event('b') }))
    await w.pins.reached(made?.revision ?? 0)
    read.resume()
    await slow
    expect(peek(w, 'next')).toBeUndefined()
    expect((await w.pins.pin(app, 'next'))?.digest).toBe(digest('b'))
  })

  test('when the stream is deleted while it is found alive', async () => {
    const w = await pushed()
    const read = stopReadOf(w, lifeKey(app))
    const slow = w.pins.pin(app, 'prod')
    await read.stopped
    await w.writer.delete(app)
    const other = await w.writer.create({ project: 'demo', stream: 'other' })
    await w.pins.reached(other.resourceVersion)
    read.resume()
    await slow
    expect(w.pins.peekUid('demo', 'app')).toBeUndefined()
    expect(await w.pins.pin(app, 'prod')).toBeUndefined()
  })

  test('when it fails: the next asks again', async () => {
    const w = await pushed()
    w.faults.afterGet = async () => {
      w.faults.afterGet = undefined
      throw new Error('the disk is slow')
    }
    await expect(w.pins.pin(app, 'prod')).rejects.toThrow('the disk is slow')
    expect((await w.pins.pin(app, 'prod'))?.digest).toBe(digest('a'))
  })
})

test('pins asked before changes are followed are read only when they are', async () => {
  const w = await pushed()
  const closing = new AbortController()
  const opened = Promise.withResolvers<void>()
  w.faults.beforeRange = () => opened.promise
  const early = createPins({ store: w.faults, signal: closing.signal })
  const asked = early.pin(app, 'prod')
  const writer = anywhereWriter({ store: w.store, now: w.clock.now })
  const made = await writer.changeTag(app, 'prod', () => ({ event: event('b') }))
  opened.resolve()
  expect((await asked)?.digest).toBe(digest('b'))
  await early.reached(made?.revision ?? 0)
  expect((await early.pin(app, 'prod'))?.digest).toBe(digest('b'))
  closing.abort()
})
