import { randomBytes, randomUUID } from 'node:crypto'
import { mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createCounters } from '../../src/content/counters.ts'
import { layoutOf } from '../../src/content/layout.ts'
import { readAll } from '../../src/content/reader.ts'
import { createRoom } from '../../src/content/room.ts'
import { createUploadFile } from '../../src/content/upload-file.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { body, live } from './upload-bodies.ts'
import { contentWorld, fileOf, first, linkTo, second } from './world.ts'

const here = { kind: 'here' } as const
const bytes = randomBytes(3 * 1024 * 1024 + 12_345)
const digest = digestOf(bytes)
const half = bytes.subarray(0, 1_600_000)
const rest = bytes.subarray(half.length)

const range = (start: number, length: number) => ({ range: { start, length } })

test.each(['sha256', 'sha512'] as const)(
  'what was uploaded in pieces is held by its %s, here alone',
  async (algorithm) => {
    const { content, directory } = await contentWorld()
    const id = randomUUID()
    const { uploads } = content
    expect(await uploads.offset(id)).toBe(0)
    expect(await uploads.append(id, body(bytes.subarray(0, 10)))).toBe(10)
    expect(await uploads.append(id, body(bytes.subarray(10, 2_000_000)), range(10, 1_999_990))).toBe(2_000_000)
    expect(await uploads.append(id, body(bytes.subarray(2_000_000)))).toBe(bytes.length)
    expect(await uploads.offset(id)).toBe(bytes.length)
    const named = digestOf(bytes, algorithm)
    expect(await uploads.finish(id, named)).toBe(bytes.length)
    expect(await content.held({ ...linkTo(named, here), size: bytes.length })).toBe(bytes.length)
    expect(await content.held(linkTo(named, first))).toBeUndefined()
    expect((await readAll(await content.open(linkTo(named, here)))).equals(bytes)).toBe(true)
    expect(await readdir(join(directory, 'uploads'))).toEqual([])
    expect(await readdir(join(directory, 'partial'))).toEqual([])
    expect((await stat(fileOf(directory, named))).nlink).toBe(1)
    expect(await uploads.offset(id)).toBe(0)
  },
)

test('an upload without a byte has no file until it is finished, and may be the empty blob', async () => {
  const { content, directory } = await contentWorld()
  const id = randomUUID()
  expect(await content.uploads.append(id, body())).toBe(0)
  expect(await content.uploads.append(id, body(''), range(0, 0))).toBe(0)
  expect(await readdir(join(directory, 'uploads'))).toEqual([])
  expect(await content.uploads.finish(id, digestOf(''))).toBe(0)
  expect(await content.held(linkTo(digestOf(''), here))).toBe(0)
})

test.each([0, 5, 1_600_001])(
  'a piece that begins at byte %i, where the upload does not end, is not read',
  async (start) => {
    const { content } = await contentWorld()
    const id = randomUUID()
    await content.uploads.append(id, body(half))
    const untouched = live()
    await expect(content.uploads.append(id, untouched.body, range(start, rest.length))).rejects.toMatchObject({
      code: 'UPLOAD_OFFSET_INVALID',
      status: 416,
      detail: { offset: half.length },
    })
    expect(untouched.isAsked).toBe(false)
    await content.uploads.append(id, body(rest), range(half.length, rest.length))
    expect(await content.uploads.finish(id, digest)).toBe(bytes.length)
  },
)

test.each([
  ['fewer', [rest.subarray(0, 1_400_000)]],
  ['no', []],
  ['more', [rest, 'x']],
  ['far more', [rest, rest, rest, rest]],
])('of a piece with %s bytes than announced nothing stays', async (_what, pieces) => {
  const { content, directory } = await contentWorld()
  const id = randomUUID()
  await content.uploads.append(id, body(half))
  const append = content.uploads.append(id, body(...pieces), range(half.length, rest.length))
  await expect(append).rejects.toMatchObject({ code: 'SIZE_INVALID' })
  expect(await content.uploads.offset(id)).toBe(half.length)
  expect((await stat(join(directory, 'uploads', id))).size).toBe(half.length)
  expect(content.counters.uploadBytes).toBe(half.length)
  await content.uploads.append(id, body(rest), range(half.length, rest.length))
  expect(await content.uploads.finish(id, digest)).toBe(bytes.length)
  expect(content.counters).toMatchObject({ uploadBytes: 0, heldBytes: bytes.length })
})

test.each([[{}], [range(half.length, rest.length)]])(
  'what came until a client broke off stays (%j), and its failure is told',
  async (options) => {
    const { content } = await contentWorld()
    const id = randomUUID()
    await content.uploads.append(id, body(half))
    const failure = new Error('aborted')
    const broken = content.uploads.append(id, body(rest.subarray(0, 1_100_000), failure), options)
    await expect(broken).rejects.toBe(failure)
    expect(await content.uploads.offset(id)).toBe(2_700_000)
    await content.uploads.append(id, body(bytes.subarray(2_700_000)), range(2_700_000, bytes.length - 2_700_000))
    expect(await content.uploads.finish(id, digest)).toBe(bytes.length)
  },
)

test('an upload outlives a restart, and its digest is right though nobody remembers the running one', async () => {
  const { content, reopen, directory } = await contentWorld()
  const id = randomUUID()
  await content.uploads.append(id, body(half))
  const { uploads, ...again } = await reopen()
  expect(await uploads.offset(id)).toBe(half.length)
  await uploads.append(id, body(rest), range(half.length, rest.length))
  // Nothing but the file can tell it.
  expect((await stat(join(directory, 'uploads', id))).size).toBe(bytes.length)
  expect(await uploads.finish(id, digest)).toBe(bytes.length)
  expect(await again.held(linkTo(bytes, here))).toBe(bytes.length)
})

test.each(['sha256', 'sha512'] as const)(
  'I4: bytes of another %s are not held, and the upload is gone',
  async (algorithm) => {
    const { content, directory, records } = await contentWorld()
    const id = randomUUID()
    await content.uploads.append(id, body(half))
    const wrong = digestOf(bytes, algorithm)
    await expect(content.uploads.finish(id, wrong)).rejects.toMatchObject({
      code: 'DIGEST_INVALID',
      detail: { digest: wrong },
    })
    expect(await records.get(wrong)).toBeUndefined()
    expect(await readdir(join(directory, 'uploads'))).toEqual([])
    expect(content.counters).toMatchObject({ uploadBytes: 0, heldBytes: 0 })
  },
)

test('one request writes to an upload at a time; others are told where it ends, and what is durable', async () => {
  const { content } = await contentWorld()
  const { uploads } = content
  const id = randomUUID()
  await uploads.append(id, body(half))
  const slow = live()
  const appending = uploads.append(id, slow.body)
  slow.send(rest)
  await slow.awaited(2)
  const refused = { code: 'UPLOAD_OFFSET_INVALID', detail: { offset: half.length } }
  await expect(uploads.append(id, body('x'))).rejects.toMatchObject(refused)
  await expect(uploads.finish(id, digest)).rejects.toMatchObject(refused)
  await expect(uploads.cancel(id)).rejects.toMatchObject(refused)
  expect(await uploads.offset(id)).toBe(half.length)
  expect(await Array.fromAsync(uploads.list())).toMatchObject([{ id, offset: half.length }])
  expect(await uploads.append(randomUUID(), body('another upload'))).toBe(14)
  slow.end()
  expect(await appending).toBe(bytes.length)
  expect(await uploads.finish(id, digest)).toBe(bytes.length)
})

test('nobody writes to an upload that is begun by two at once', async () => {
  const { content } = await contentWorld()
  const id = randomUUID()
  const results = await Promise.allSettled([half, half, half].map((piece) => content.uploads.append(id, body(piece))))
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  expect(await content.uploads.finish(id, digestOf(half))).toBe(half.length)
})

test.each([
  ['that is announced', range(half.length, rest.length)],
  ['that comes', {}],
])('a piece %s beyond the most that an upload may have is refused, and nothing of it stays', async (_what, options) => {
  const { content } = await contentWorld()
  const id = randomUUID()
  await content.uploads.append(id, body(half), { maxBytes: half.length })
  const maxBytes = bytes.length - 1
  const append = content.uploads.append(id, body(rest.subarray(0, 1_100_000), rest.subarray(1_100_000)), {
    ...options,
    maxBytes,
  })
  await expect(append).rejects.toMatchObject({ code: 'TOO_LARGE' })
  expect(await content.uploads.offset(id)).toBe(half.length)
  expect(await content.uploads.append(id, body(rest), { maxBytes: bytes.length })).toBe(bytes.length)
})

test('what finds no room is refused, what was acknowledged stays, and uploads take room from each other', async () => {
  const { content } = await contentWorld({ maxBytes: 3_000_000 })
  const { uploads, counters } = content
  const [one, two] = [randomUUID(), randomUUID()]
  await uploads.append(one, body(half))
  const full = { code: 'UNAVAILABLE', message: expect.stringContaining('maxBytes') }
  await expect(uploads.append(one, body(rest))).rejects.toMatchObject(full)
  await expect(uploads.append(two, body(half))).rejects.toMatchObject(full)
  expect(await uploads.offset(one)).toBe(half.length)
  expect(counters).toMatchObject({ uploadBytes: half.length, problem: 'maxBytes reached' })
  await expect(content.fetch(linkTo(rest, first), { signal: AbortSignal.timeout(60_000) })).rejects.toMatchObject({})
  await uploads.cancel(one)
  expect(counters.uploadBytes).toBe(0)
  expect(await uploads.append(two, body(half))).toBe(half.length)
  expect(await uploads.finish(two, digestOf(half))).toBe(half.length)
  await expect(uploads.append(one, body(half))).rejects.toMatchObject(full)
})

test('uploads that a start finds take room', async () => {
  const { content, reopen } = await contentWorld()
  const id = randomUUID()
  await content.uploads.append(id, body(half))
  const { uploads, counters } = await reopen({ maxBytes: 3_000_000 })
  await expect(uploads.append(randomUUID(), body(half))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(counters).toMatchObject({ uploadBytes: half.length, heldBytes: 0 })
  await uploads.finish(id, digestOf(half))
  expect(counters).toMatchObject({ uploadBytes: 0, heldBytes: half.length })
})

test('a disk that is full takes no byte, and no room stays taken', async () => {
  const directory = await temporaryDirectory()
  const counters = createCounters()
  const room = createRoom({ directory, maxBytes: 1000, counters, onPressure: () => undefined, log: undefined })
  await room.count((async function* () {})())
  const layout = { ...layoutOf(directory), upload: () => '/dev/full' }
  const file = createUploadFile({ id: randomUUID(), size: 0, layout, room })
  await expect(file.append([Buffer.alloc(900)])).rejects.toMatchObject({ code: 'ENOSPC' })
  await file.close()
  expect(counters.uploadBytes).toBe(0)
  ;(await room.take(1000))()
})

test.each([
  '',
  '.',
  '..',
  '../blobs',
  'a'.repeat(36),
  randomUUID().toUpperCase(),
  `${randomUUID()}/x`,
  `${randomUUID()}\n`,
])('what is no id of an upload reaches no path: %j', async (id) => {
  const { content, directory } = await contentWorld()
  const before = await readdir(directory, { recursive: true })
  const unknown = { code: 'BLOB_UPLOAD_UNKNOWN' }
  await expect(content.uploads.append(id, body('x'))).rejects.toMatchObject(unknown)
  await expect(content.uploads.finish(id, digest)).rejects.toMatchObject(unknown)
  await expect(content.uploads.cancel(id)).rejects.toMatchObject(unknown)
  await expect(content.uploads.offset(id)).rejects.toMatchObject(unknown)
  expect(await readdir(directory, { recursive: true })).toEqual(before)
})

test('uploads are listed with their size and their age, and what is none is not', async () => {
  const { content, directory } = await contentWorld()
  const id = randomUUID()
  const since = Date.now() - 1000
  await content.uploads.append(id, body('some bytes'))
  await writeFile(join(directory, 'uploads', 'notes'), 'of the operator')
  await mkdir(join(directory, 'uploads', randomUUID()))
  const listed = await Array.fromAsync(content.uploads.list())
  expect(listed).toEqual([{ id, offset: 10, usedAt: expect.any(Number) }])
  expect(listed[0]?.usedAt).toBeGreaterThan(since)
  await content.uploads.cancel(id)
  await content.uploads.cancel(id)
  expect(await Array.fromAsync(content.uploads.list())).toEqual([])
  expect(await content.uploads.offset(id)).toBe(0)
})

test('a sweep leaves uploads alone, however old they are', async () => {
  const { content, clock } = await contentWorld()
  const id = randomUUID()
  await content.uploads.append(id, body(bytes))
  clock.ahead = 30 * 86_400_000
  expect(await content.sweep()).toEqual({ unfinished: 0, orphanFiles: 0, orphanRecords: 0, bytes: 0 })
  expect(content.counters.uploadBytes).toBe(bytes.length)
  expect(await content.uploads.finish(id, digest)).toBe(bytes.length)
})

test.each([
  ['a link', (path: string) => symlink('/dev/null', path)],
  ['a directory', (path: string) => mkdir(path)],
])('%s in the place of an upload is written to by nobody', async (_what, put) => {
  const { content, directory } = await contentWorld()
  const id = randomUUID()
  await put(join(directory, 'uploads', id))
  await expect(content.uploads.append(id, body('x'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  await expect(content.uploads.finish(id, digest)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
})

test('closing does not wait for a client, and what came of it stays', async () => {
  const { content, reopen } = await contentWorld()
  const id = randomUUID()
  const stalled = live()
  const appending = expect(content.uploads.append(id, stalled.body)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  stalled.send(half)
  await stalled.awaited(2)
  const { uploads } = await reopen()
  await appending
  expect(await uploads.offset(id)).toBe(half.length)
  await expect(content.uploads.append(id, body(rest))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
})

test('held bytes that were sent to a location may be had through it', async () => {
  const { content, records } = await contentWorld()
  const id = randomUUID()
  await content.uploads.append(id, body(bytes))
  await content.uploads.finish(id, digest)
  await content.prove(digest, first)
  expect(await content.held(linkTo(bytes, first))).toBe(bytes.length)
  expect(await content.held(linkTo(bytes, second))).toBeUndefined()
  await content.prove(digestOf('what is not held'), first)
  expect(await records.get(digestOf('what is not held'))).toBeUndefined()
})

test('an upload of what is held already is as good', async () => {
  const { content, directory } = await contentWorld()
  for (const id of [randomUUID(), randomUUID()]) {
    await content.uploads.append(id, body(bytes))
    expect(await content.uploads.finish(id, digest)).toBe(bytes.length)
  }
  expect(content.counters).toMatchObject({ heldBytes: bytes.length, uploadBytes: 0 })
  expect((await stat(fileOf(directory, digest))).size).toBe(bytes.length)
})
