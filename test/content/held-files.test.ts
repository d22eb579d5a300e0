import { mkdir, open, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { AcquireLease, HeldContent, HeldRecords } from '../../src/content/content.ts'
import { type HeldFiles, NoRoomError } from '../../src/content/held-files.ts'
import { readAll } from '../../src/content/reader.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { beginRoomed, heldWorld, keep, proof, written } from './held-world.ts'
import { fileOf, first, linkTo, second } from './world.ts'

const bytes = Buffer.from('the bytes of a layer')
const digest = digestOf(bytes)
const link = linkTo(bytes, first)
const others = Buffer.from('others')
const minute = 60_000

async function used(files: HeldFiles): Promise<HeldContent[]> {
  return Array.fromAsync(files.list())
}

/** A lease that another process has. */
const taken: AcquireLease = (_name, signal) =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
  })

test('a file is held when it is kept, and not a moment before', async () => {
  const { open, directory, records } = await heldWorld()
  const { files, counters } = await open()
  const file = await written(files, bytes)
  expect(file.path).toBe(files.partialPath(digest, 'download'))
  expect(await readFile(file.path)).toEqual(bytes)
  expect(await files.held(link)).toBeUndefined()
  expect(counters.heldBytes).toBe(0)
  await file.keep(proof)
  expect(await files.held(link)).toBe(bytes.length)
  expect(await readFile(fileOf(directory, digest))).toEqual(bytes)
  expect(await readdir(join(directory, 'partial'))).toEqual([])
  expect(await records.get(digest)).toEqual({ digest, size: bytes.length, proofs: [proof] })
  expect(counters.heldBytes).toBe(bytes.length)
})

test('what is discarded leaves nothing', async () => {
  const { open, directory } = await heldWorld()
  const { files, counters } = await open()
  await (await written(files, bytes)).discard()
  expect(await readdir(join(directory, 'partial'))).toEqual([])
  expect(await files.held(link)).toBeUndefined()
  expect(counters.heldBytes).toBe(0)
})

test('downloads of one digest by several ways have files of their own', async () => {
  const { open } = await heldWorld()
  const { files } = await open()
  const [one, other] = [await written(files, bytes, 'one'), await written(files, bytes, 'other')]
  await one.keep(proof)
  await other.discard()
  expect(await readAll((await files.open(link)) ?? expect.fail())).toEqual(bytes)
})

test('a name that would lead elsewhere is a mistake', async () => {
  const { files } = await (await heldWorld()).open()
  for (const name of ['', '../x', 'a/b', 'a.b', 'x'.repeat(81)]) {
    expect(() => files.partialPath(digest, name)).toThrow(TypeError)
    await expect(files.begin(digest, name, 1)).rejects.toThrow(TypeError)
  }
})

test('a file that is not whole is not kept', async () => {
  const { open, directory } = await heldWorld()
  const { files, counters } = await open()
  const file = await files.begin(digest, 'download', bytes.length + 1)
  await file.handle.writeFile(bytes)
  await expect(file.keep(proof)).rejects.toThrow(TypeError)
  expect(await readdir(join(directory, 'partial'))).toEqual([])
  expect(counters.problem).toBeUndefined()
})

test('what a dead process left there is overwritten, and who reads that reads it on', async () => {
  const { files } = await (await heldWorld()).open()
  const path = files.partialPath(digest, 'download')
  const left = 'half of other bytes that are longer than these'
  await writeFile(path, left)
  await using reader = await open(path)
  await keep(files, bytes)
  expect(await reader.readFile('ascii')).toBe(left)
  expect(await readAll((await files.open(link)) ?? expect.fail())).toEqual(bytes)
})

test('records that can not be written are no room; the file stays an orphan, and is no one’s', async () => {
  const { open, records, directory } = await heldWorld()
  const failing = { ...records, add: async () => Promise.reject(new RegistryError('UNAVAILABLE')) }
  const { files, counters } = await open({ records: failing })
  await expect(keep(files, bytes)).rejects.toMatchObject({ name: 'NoRoomError', problem: 'disk failed' })
  expect(await readdir(join(directory, 'blobs', 'sha256'))).toHaveLength(1)
  expect(await files.held(link)).toBeUndefined()
  expect(await files.open(link)).toBeUndefined()
  expect(counters.problem).toBe('disk failed')
})

test('a disk that fails at any point is no room, and leaves no piece', async () => {
  const { open, directory } = await heldWorld()
  const { files, counters } = await open()
  const file = await written(files, bytes)
  await rm(join(directory, 'blobs'), { recursive: true })
  await expect(file.keep(proof)).rejects.toBeInstanceOf(NoRoomError)
  expect(await readdir(join(directory, 'partial'))).toEqual([])
  await rm(join(directory, 'partial'), { recursive: true })
  await expect(files.begin(digest, 'download', 1)).rejects.toBeInstanceOf(NoRoomError)
  expect(counters.problem).toBe('disk failed')
  await mkdir(join(directory, 'partial'))
  await mkdir(join(directory, 'blobs', 'sha256'), { recursive: true })
  await keep(files, bytes)
  expect(counters.problem).toBeUndefined()
})

test.each([
  ['ENOSPC', 'disk full'],
  ['EDQUOT', 'disk full'],
  ['EIO', 'disk failed'],
  ['EROFS', 'disk failed'],
] as const)('a write that ends with %s is told as: %s', async (code, problem) => {
  const { files, counters } = await (await heldWorld()).open()
  const error = Object.assign(new Error(code), { code })
  expect(files.refuse(error)).toMatchObject({ problem, cause: error })
  expect(counters.problem).toBe(problem)
})

test('room is given back when a file is held or gone', async () => {
  const { open, pressure } = await heldWorld()
  const { files, counters } = await open({ maxBytes: 100 })
  const one = await beginRoomed(files, digest, 'one', 60)
  await expect(beginRoomed(files, digest, 'two', 50)).rejects.toMatchObject({ problem: 'maxBytes reached' })
  expect(counters.problem).toBe('maxBytes reached')
  expect(pressure).toEqual([50])
  await one.discard()
  expect(counters.problem).toBeUndefined()
  const two = await beginRoomed(files, digestOf(Buffer.alloc(50)), 'two', 50)
  await two.handle.writeFile(Buffer.alloc(50))
  await two.keep(proof)
  expect(counters.heldBytes).toBe(50)
  await expect(beginRoomed(files, digest, 'three', 51)).rejects.toBeInstanceOf(NoRoomError)
  await (await beginRoomed(files, digest, 'three', 50)).discard()
})

test('a file takes no room before it is told to', async () => {
  const { open, pressure } = await heldWorld()
  const { files, counters } = await open({ maxBytes: 100 })
  const claimed = await files.begin(digest, 'claimed', 95)
  const other = await beginRoomed(files, digest, 'other', 90)
  expect(pressure).toEqual([])
  await expect(claimed.takeRoom()).rejects.toMatchObject({ problem: 'maxBytes reached' })
  await claimed.discard()
  await expect(beginRoomed(files, digest, 'one', 11)).rejects.toBeInstanceOf(NoRoomError)
  await other.discard()
  expect(counters.problem).toBeUndefined()
})

test('a file that can never fit drives nothing else out', async () => {
  const { open, pressure } = await heldWorld()
  const { files } = await open({ maxBytes: 100 })
  await expect(files.begin(digest, 'one', 101)).rejects.toBeInstanceOf(NoRoomError)
  expect(pressure).toEqual([])
})

test('a file that no disk can hold is refused before anything is written', async () => {
  const { open, pressure } = await heldWorld()
  const { files, counters } = await open({ maxBytes: 1024 ** 5 })
  await expect(beginRoomed(files, digest, 'one', 1024 ** 5)).rejects.toMatchObject({ problem: 'disk full' })
  expect(pressure).toEqual([1024 ** 5])
  expect(counters.problem).toBe('disk full')
})

test('more than 90 % tell that room is short', async () => {
  const { open, pressure } = await heldWorld()
  const { files } = await open({ maxBytes: 100 })
  const file = await beginRoomed(files, digest, 'one', 90)
  expect(pressure).toEqual([])
  await file.discard()
  await (await beginRoomed(files, digest, 'one', 91)).discard()
  expect(pressure).toEqual([0])
})

test('what was held before the start is counted in the background', async () => {
  const { open } = await heldWorld()
  await keep((await open()).files, bytes)
  const { files, counters } = await open()
  await keep(files, others)
  await expect.poll(() => counters.heldBytes).toBe(bytes.length + others.length)
})

test('what another process keeps is counted every 5 minutes, until the signal ends it', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const { open } = await heldWorld()
  const ending = new AbortController()
  const { files, counters } = await open({ maxBytes: bytes.length, signal: ending.signal })
  const other = await open()
  const lease = await other.acquireLease(`content/${digest}`, new AbortController().signal)
  await keep(other.files, bytes)
  await lease.release()
  vi.advanceTimersByTime(5 * minute)
  await expect.poll(() => counters.heldBytes).toBe(bytes.length)
  await expect(beginRoomed(files, digestOf(others), 'download', others.length)).rejects.toBeInstanceOf(NoRoomError)
  expect(counters.problem).toBe('maxBytes reached')
  await other.files.remove(digest, { unusedSince: Infinity })
  vi.advanceTimersByTime(5 * minute)
  await expect.poll(() => counters).toMatchObject({ heldBytes: 0, problem: undefined })
  const before = vi.getTimerCount()
  ending.abort()
  expect(vi.getTimerCount()).toBe(before - 1)
})

test('what is kept and removed while it is counted is counted once', async () => {
  const { open } = await heldWorld()
  const all = Array.from({ length: 100 }, (_, i) => Buffer.from(`blob ${i} `.repeat(i + 1)))
  const before = await open()
  for (const one of all.slice(0, 50)) await keep(before.files, one)
  const { files, counters } = await open()
  await Promise.all(all.slice(25).map((one) => keep(files, one)))
  await Promise.all(all.slice(10, 40).map((one) => files.remove(digestOf(one), { unusedSince: Infinity })))
  const left = [...all.slice(0, 10), ...all.slice(40)].reduce((sum, one) => sum + one.length, 0)
  // What was just kept counts as used until it is removed by force.
  await files.sweep()
  expect(counters.heldBytes).toBe(left)
})

test('the list has what is held in the order of digests, with its last use', async () => {
  const { open, clock } = await heldWorld()
  const { files } = await open()
  clock.ahead = -600_000
  for (const one of [bytes, others]) await keep(files, one)
  clock.ahead = 0
  await files.touch(digest)
  const list = await used((await open()).files)
  expect(list.map((each) => each.digest)).toEqual([digest, digestOf(others)].sort())
  const [touched, untouched] = [digest, digestOf(others)].map((each) => list.find((one) => one.digest === each))
  expect(touched).toMatchObject({ size: bytes.length })
  expect(Math.abs((touched?.usedAt ?? 0) - Date.now())).toBeLessThan(minute)
  expect(Math.abs((untouched?.usedAt ?? 0) - Date.now() + 600_000)).toBeLessThan(minute)
})

test.each([
  ['reading all of it', async (files: HeldFiles) => void (await readAll((await files.open(link)) ?? expect.fail()))],
  ['reading a part', async (files: HeldFiles) => (await files.open(link, { start: 0, end: 0 }))?.reader.close()],
  ['reading it as a manifest', async (files: HeldFiles) => void (await files.manifest(link))],
  ['touching it', (files: HeldFiles) => files.touch(digest)],
])('%s is a use, which the file tells also other processes', async (_, use) => {
  const { open, clock, directory } = await heldWorld()
  const { files } = await open()
  clock.ahead = -3_600_000
  await keep(files, bytes)
  const written = await stat(fileOf(directory, digest))
  clock.ahead = 0
  const since = Date.now() - minute
  await use(files)
  await expect.poll(async () => (await stat(fileOf(directory, digest))).atimeMs).toBeGreaterThan(since)
  expect(Math.abs((await stat(fileOf(directory, digest))).mtimeMs - written.mtimeMs)).toBeLessThan(1.5)
  expect(await (await open()).files.remove(digest, { unusedSince: since })).toBe(0)
  expect(await files.remove(digest, { unusedSince: since })).toBe(0)
})

test('a use is written to the disk at most once a minute, and known at once', async () => {
  const { open, clock, directory } = await heldWorld()
  const { files } = await open()
  await keep(files, bytes)
  await files.touch(digest)
  const atime = async () => Math.ceil((await stat(fileOf(directory, digest))).atimeMs)
  const before = await atime()
  clock.ahead = 30_000
  await files.manifest(link)
  expect(await atime()).toBe(before)
  expect((await used(files))[0]?.usedAt).toBeGreaterThan(before + 20_000)
  expect(await files.remove(digest, { unusedSince: before + 10_000 })).toBe(0)
  clock.ahead = 61_000
  await files.manifest(link)
  await expect.poll(atime).toBeGreaterThan(before + 50_000)
})

test('what is unused is removed with its records, and says how much came free', async () => {
  const { open, records, directory } = await heldWorld()
  const { files, counters } = await open()
  await keep(files, bytes)
  await keep(files, bytes, proofOfOther())
  expect(await files.remove(digest, { unusedSince: Date.now() + minute })).toBe(bytes.length)
  expect(await records.get(digest)).toBeUndefined()
  expect(await readdir(join(directory, 'blobs', 'sha256'))).toEqual([])
  expect(counters.heldBytes).toBe(0)
  expect(await files.remove(digest, { unusedSince: Date.now() + minute })).toBe(0)
})

test('what is read or written is not removed', async () => {
  const { open } = await heldWorld()
  const { files } = await open()
  const unusedSince = Date.now() + minute
  await keep(files, bytes)
  const blob = await files.open(link)
  expect(await files.remove(digest, { unusedSince })).toBe(0)
  blob?.reader.close()
  await expect.poll(() => files.open(link, { start: 1 }).then((each) => each?.reader.close())).toBeUndefined()
  const file = await files.begin(digest, 'again', 1)
  expect(await files.remove(digest, { unusedSince })).toBe(0)
  await file.discard()
  await expect.poll(() => files.remove(digest, { unusedSince })).toBe(bytes.length)
})

test('what another process downloads or removes is left alone', async () => {
  const { open } = await heldWorld()
  await keep((await open()).files, bytes)
  const { files } = await open({ acquireLease: taken })
  expect(await files.remove(digest, { unusedSince: Date.now() + minute })).toBe(0)
  expect(await files.held(link)).toBe(bytes.length)
})

test('verifying tells what is whole, and puts aside what is not', async () => {
  const { open, records, directory } = await heldWorld()
  const { files, counters } = await open()
  expect(await files.verify(digest)).toBe('absent')
  await keep(files, bytes)
  await keep(files, Buffer.alloc(0))
  expect(await files.verify(digest)).toBe('whole')
  expect(await files.verify(digestOf(''))).toBe('whole')
  await writeFile(fileOf(directory, digest), Buffer.alloc(bytes.length))
  expect(await files.verify(digest)).toBe('corrupt')
  expect(await files.verify(digest)).toBe('absent')
  expect(await records.get(digest)).toBeUndefined()
  expect(counters).toMatchObject({ quarantined: 1, heldBytes: 0 })
})

test('verifying calls missing what is recorded without a file, but not what is removed meanwhile', async () => {
  const { open, directory, records } = await heldWorld()
  const { files } = await open()
  await keep(files, bytes)
  await rm(fileOf(directory, digest))
  expect(await Array.fromAsync(files.list())).toEqual([])
  expect(await Array.fromAsync(files.list({ withMissing: true }))).toMatchObject([{ digest, size: bytes.length }])
  expect(await files.verify(digest)).toBe('missing')
  const { get } = records
  // Evicted between the look at the record and the look at the file.
  records.get = async (asked) => {
    const record = await get(asked)
    records.get = get
    await records.remove(asked)
    return record
  }
  expect(await files.verify(digest)).toBe('absent')
})

test('verifying is no use', async () => {
  const { open, directory } = await heldWorld()
  const { files } = await open()
  await keep(files, bytes)
  // Long unread: a read by others would set the access time now.
  await utimes(fileOf(directory, digest), 1000, 2000)
  expect(await (await open()).files.verify(digest)).toBe('whole')
  expect((await stat(fileOf(directory, digest))).atimeMs).toBe(1_000_000)
})

test('what starts beside a download leaves its pieces alone', async () => {
  const { open } = await heldWorld()
  const one = await open()
  const lease = await one.acquireLease(`content/${digest}`, new AbortController().signal)
  const file = await written(one.files, bytes)
  const other = await open()
  expect(await other.files.sweep()).toMatchObject({ unfinished: 0 })
  await file.keep(proof)
  await lease.release()
  expect(await other.files.held(link)).toBe(bytes.length)
})

test('verifying ends when it is told to', async () => {
  const { open } = await heldWorld()
  const { files } = await open()
  await keep(files, bytes)
  await expect(files.verify(digest, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
  expect(await files.held(link)).toBe(bytes.length)
})

test('two processes on one directory hold each other’s bytes, and remove none that the other uses', async () => {
  const { open } = await heldWorld()
  const [one, other] = [await open(), await open()]
  const lease = await one.acquireLease(`content/${digest}`, new AbortController().signal)
  await keep(one.files, bytes)
  await lease.release()
  expect(await readAll((await other.files.open(link)) ?? expect.fail())).toEqual(bytes)
  const since = Date.now() - minute
  expect(await one.files.remove(digest, { unusedSince: since })).toBe(0)
  expect(await other.files.remove(digest, { unusedSince: Date.now() + minute })).toBe(bytes.length)
  expect(await one.files.open(link)).toBeUndefined()
})

function proofOfOther(): string[] {
  return [digestOf(JSON.stringify(second)).slice(7)]
}

test('who has lost its lease keeps nothing that another has begun in its place', async () => {
  const world = await heldWorld()
  const adding = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const records: HeldRecords = {
    ...world.records,
    async add(...record) {
      adding.resolve()
      await gate.promise
      await world.records.add(...record)
    },
  }
  const { files: stopped } = await world.open({ records })
  const { files: other } = await world.open()
  const late = await written(stopped, bytes)
  // It takes its turn, and stops there.
  const turn = stopped.putManifest(digest, bytes, first)
  await adding.promise
  const keeping = expect(late.keep(proof)).rejects.toMatchObject({ name: 'NoRoomError' })
  for (let i = 0; i < 50; i++) await stat(world.directory)
  const begun = await beginRoomed(other, digest, 'download', bytes.length)
  gate.resolve()
  await turn
  await keeping
  expect(await readFile(fileOf(world.directory, digest))).toEqual(bytes)
  expect((await stat(begun.path)).ino).toBe((await begun.handle.stat()).ino)
  await begun.handle.writeFile(bytes)
  await begun.keep(proof)
  expect(await readdir(join(world.directory, 'partial'))).toEqual([])
})

test('what is given up takes nothing of what is begun at the same time', async () => {
  const { files } = await (await heldWorld()).open()
  let before = await files.begin(digest, 'download', 9)
  for (let i = 0; i < 200; i++) {
    const [begun] = await Promise.all([files.begin(digest, 'download', 9), before.discard()])
    expect((await stat(begun.path)).ino).toBe((await begun.handle.stat()).ino)
    before = begun
  }
  await before.discard()
})
