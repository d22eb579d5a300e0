/** Downloads that several share. The upstream answers only as each test tells it; files and records are real. */
import { randomBytes } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createBuffers } from '../../src/content/buffers.ts'
import type { BlobReader, Content, Link, Location } from '../../src/content/content.ts'
import type { ContentOptions } from '../../src/content/create-content.ts'
import { createDownloads } from '../../src/content/downloads.ts'
import { readAll } from '../../src/content/reader.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { given } from '../support/given.ts'
import { heldWorld } from './held-world.ts'
import { connectionLost, type ScriptedSource, scriptedSource } from './scripted-source.ts'
import { contentWorld, first, linkTo, second } from './world.ts'

/** For what a busy machine takes longer to do. */
const soon = { timeout: 10_000 }

const heldBack = 64 * 1024
const mebibyte = 1024 * 1024
const bytes = randomBytes(3 * mebibyte + 12_345)

interface DownloadWorld {
  content: Content
  source: ScriptedSource
  directory: string
  link: Link
}

async function world(more: Partial<ContentOptions> = {}, whole = bytes): Promise<DownloadWorld> {
  const source = scriptedSource(whole.length)
  const { content, directory } = await contentWorld({ source, ...more })
  return { content, source, directory, link: linkTo(whole, first) }
}

/** Reads exactly `length` bytes, and the rest of the last piece. */
async function take(reader: BlobReader, length: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  for (let got = 0; got < length; ) {
    const piece = await reader.read()
    if (piece === undefined) throw new Error(`it ended after ${got} bytes`)
    pieces.push(Buffer.from(piece))
    got += piece.length
  }
  return Buffer.concat(pieces)
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await setImmediate()
}

const unfinished = (directory: string) => readdir(join(directory, 'partial'))

test('I10: 32 clients of one cold blob are one request, and each gets bytes at once', async () => {
  const { content, source, link } = await world()
  const opening = Array.from({ length: 32 }, () => content.open(link))
  const body = (await source.next()).answer()
  body.send(bytes.subarray(0, 1000))
  const opened = await Promise.all(opening)
  const firsts = await Promise.all(opened.map(({ reader }) => take(reader, 1)))
  for (const piece of firsts) expect(piece.equals(bytes.subarray(0, 1000))).toBe(true)
  const rests = opened.map(({ reader }) => given(reader))
  body.send(bytes.subarray(1000, 2_000_000), bytes.subarray(2_000_000))
  body.end()
  for (const rest of await Promise.all(rests)) expect(rest.bytes.equals(bytes.subarray(1000))).toBe(true)
  expect(source.asks).toHaveLength(1)
  await expect.poll(() => content.held(link), soon).toBe(bytes.length)
  expect(content.counters).toMatchObject({ upstreamBytes: bytes.length, downloads: 0, resumes: 0, streamedThrough: 0 })
  expect(content.counters.deliveredBytes).toBe(32 * bytes.length)
})

test('who joins late gets everything from the beginning, from memory and from the file', async () => {
  const { content, source, link } = await world()
  const early = content.open(link)
  const body = (await source.next()).answer()
  body.send(bytes.subarray(0, 1000), bytes.subarray(1000, 2_500_000), bytes.subarray(2_500_000, 2_600_000))
  await body.taken()
  const late = await content.open(link)
  expect((await take(late.reader, 2_600_000)).equals(bytes.subarray(0, 2_600_000))).toBe(true)
  body.send(bytes.subarray(2_600_000))
  body.end()
  expect((await given(late.reader)).bytes.equals(bytes.subarray(2_600_000))).toBe(true)
  expect((await readAll(await early)).equals(bytes)).toBe(true)
  expect(source.asks).toHaveLength(1)
})

test('ranges behind, at and ahead of what is there come from the same download, to the byte', async () => {
  const { content, source, link } = await world()
  const { reader } = await startOf(content, source, link)
  const there = 1_500_000
  const body = reader.body
  body.send(bytes.subarray(1000, there))
  await body.taken()
  const ranges = [
    [0, 0],
    [999, 1000],
    [there - 1, there - 1],
    [there - 1, there],
    [there, there],
    [there + 1, bytes.length - 1],
    [bytes.length - heldBack - 1, bytes.length - heldBack],
    [bytes.length - 1, bytes.length - 1],
  ] as const
  const parts = ranges.map(([start, end]) => content.open(link, { start, end }).then(readAll))
  await Promise.all(parts.slice(0, 3))
  for (let at = there; at < bytes.length; at += 400_000) body.send(bytes.subarray(at, at + 400_000))
  body.end()
  for (const [index, [start, end]] of ranges.entries()) {
    expect((await parts[index])?.equals(bytes.subarray(start, end + 1)), `${start}-${end}`).toBe(true)
  }
  expect(source.asks).toHaveLength(1)
  reader.close()
})

/** Opens a blob whose first 1000 bytes are there. */
async function startOf(content: Content, source: ScriptedSource, link: Link, whole = bytes) {
  const opening = content.open(link)
  const ask = await source.next()
  const body = ask.answer({ etag: '"one"' })
  body.send(whole.subarray(0, 1000))
  const opened = await opening
  return { ask, body, opened, reader: Object.assign(opened.reader, { body }) }
}

test('I4: the last 64 KiB are given out only when the digest is right, of a range too', async () => {
  const { content, source, link } = await world()
  const wrong = Buffer.from(bytes)
  wrong[10] = (wrong[10] ?? 0) ^ 1
  const { reader, body } = await startOf(content, source, link, wrong)
  body.send(wrong.subarray(1000))
  await body.taken()
  const tail = content.open(link, { end: heldBack + 1 }).then(({ reader: part }) => given(part))
  expect(await take(reader, wrong.length - heldBack)).toHaveLength(wrong.length - heldBack)
  const rest = given(reader)
  body.end()
  expect(await rest).toMatchObject({ bytes: Buffer.alloc(0), error: { upstream: { reason: 'BadDigest' } } })
  expect(await tail).toMatchObject({ error: { upstream: { reason: 'BadDigest' } } })
  expect((await tail).bytes).toHaveLength(1)
  expect(await content.held(link)).toBeUndefined()
})

test('a range far ahead of what is there goes upstream at once, alone, and is not kept', async () => {
  const huge = Buffer.alloc(17 * mebibyte + 100, 'huge')
  const { content, source, link } = await world({}, huge)
  const { body } = await startOf(content, source, link, huge)
  const far = content.open(link, { start: 16 * mebibyte + 1001, end: 16 * mebibyte + 1003 })
  const ask = await source.next()
  expect(ask.range).toEqual({ start: 16 * mebibyte + 1001, end: 16 * mebibyte + 1003 })
  ask.answer().send(huge.subarray(16 * mebibyte + 1001, 16 * mebibyte + 1004))
  expect(await readAll(await far)).toEqual(huge.subarray(16 * mebibyte + 1001, 16 * mebibyte + 1004))
  const near = content.open(link, { start: 16 * mebibyte + 1000, end: 16 * mebibyte + 1003 })
  const later = content.open(link, { start: 16 * mebibyte + 1001, end: 16 * mebibyte + 1001 })
  const last = await source.next()
  expect(last.range).toEqual({ start: 16 * mebibyte + 1001, end: 16 * mebibyte + 1001 })
  last.answer().send(huge.subarray(0, 1))
  await readAll(await later)
  body.send(huge.subarray(1000))
  body.end()
  expect(await readAll(await near)).toHaveLength(4)
  expect(source.asks).toHaveLength(3)
})

test('a client that reads nothing holds nobody up, and gets everything later', async () => {
  const { content, source, link } = await world()
  const { reader, body } = await startOf(content, source, link)
  const other = given((await content.open(link)).reader)
  body.send(bytes.subarray(1000))
  body.end()
  expect((await other).bytes.equals(bytes)).toBe(true)
  await expect.poll(() => content.held(link), soon).toBe(bytes.length)
  expect((await given(reader)).bytes.equals(bytes)).toBe(true)
})

test('a client that leaves takes nothing from the others', async () => {
  const { content, source, link } = await world({ finishBytes: 0 })
  const { reader, body } = await startOf(content, source, link)
  const other = given((await content.open(link)).reader)
  const reading = given(reader)
  reader.close()
  expect((await reading).error).toBeDefined()
  body.send(bytes.subarray(1000))
  body.end()
  expect((await other).bytes.equals(bytes)).toBe(true)
})

test('a download that all leave goes on when little is missing, and is joined again', async () => {
  const { content, source, link } = await world({ finishBytes: bytes.length - 1000 })
  const { reader, body } = await startOf(content, source, link)
  reader.close()
  await turns(3)
  expect(body.isClosed).toBe(false)
  const again = content.open(link)
  body.send(bytes.subarray(1000))
  body.end()
  expect((await readAll(await again)).equals(bytes)).toBe(true)
  expect(source.asks).toHaveLength(1)
})

test('a download that all leave ends when much is missing, and leaves nothing', async () => {
  const { content, source, link, directory } = await world({ finishBytes: bytes.length - 1001 })
  const { reader, body } = await startOf(content, source, link)
  reader.close()
  await expect.poll(() => body.isClosed, soon).toBe(true)
  await expect.poll(() => unfinished(directory), soon).toEqual([])
  const again = content.open(link)
  const anew = (await source.next()).answer()
  anew.send(bytes)
  anew.end()
  expect((await readAll(await again)).equals(bytes)).toBe(true)
})

test('at most 16 downloads go on that nobody wants', async () => {
  const { content, source } = await world({ finishBytes: 1000 })
  const isClosed: boolean[] = []
  for (let i = 0; i < 18; i++) {
    const whole = Buffer.from(`${i}`.padEnd(900, 'x'))
    const left = new AbortController()
    const opening = content.open(linkTo(whole, first), undefined, left.signal)
    const body = (await source.next()).answer({ size: whole.length })
    left.abort()
    await expect(opening).rejects.toThrow()
    isClosed.push(body.isClosed)
  }
  expect(isClosed).toEqual([...Array(16).fill(false), true, true])
})

test('an upstream that breaks off twice is asked for the rest, on condition of its ETag', async () => {
  const pauses: number[] = []
  const pause = async (milliseconds: number) => void pauses.push(milliseconds)
  const { content, source, link } = await world({ pause })
  const { reader, body } = await startOf(content, source, link)
  const rest = given(reader)
  body.send(bytes.subarray(1000, 1_200_000))
  body.cut()
  const again = await source.next()
  expect(again.range).toEqual({ start: 1_200_000, ifRange: '"one"' })
  const second = again.answer({ etag: '"one"' })
  second.send(bytes.subarray(1_200_000, 2_200_000))
  second.cut()
  const third = (await source.next()).answer({ etag: '"one"' })
  third.send(bytes.subarray(2_200_000))
  third.end()
  expect((await rest).bytes.equals(bytes)).toBe(true)
  expect(content.counters).toMatchObject({ resumes: 2, upstreamBytes: bytes.length })
  expect(pauses).toEqual([250, 250])
  await expect.poll(() => content.held(link), soon).toBe(bytes.length)
})

test('an upstream that does not get on is given up after five more attempts, later and later', async () => {
  const pauses: number[] = []
  const pause = async (milliseconds: number) => void pauses.push(milliseconds)
  const { content, source, link } = await world({ pause })
  const { reader, body } = await startOf(content, source, link)
  const rest = given(reader)
  body.cut()
  for (let i = 0; i < 5; i++) (await source.next()).answer().cut()
  expect((await rest).error).toMatchObject({ message: 'lost' })
  expect(pauses).toEqual([250, 500, 1000, 2000, 4000])
  expect(source.asks).toHaveLength(6)
  expect(content.counters).toMatchObject({ resumes: 5, downloads: 0 })
})

test.each([
  ['ignores the range', { offset: 0 }],
  ['has another ETag now', { offset: 0, etag: '"other"' }],
])('one that %s is read from the start, and nobody gets a byte twice', async (_, head) => {
  const { content, source, link } = await world()
  const { reader, body } = await startOf(content, source, link)
  const rest = given(reader)
  body.cut()
  const whole = (await source.next()).answer(head)
  whole.send(bytes.subarray(0, 999), bytes.subarray(999, 2_000_000), bytes.subarray(2_000_000))
  whole.end()
  expect((await rest).bytes.equals(bytes)).toBe(true)
  await expect.poll(() => content.held(link), soon).toBe(bytes.length)
  expect(content.counters.upstreamBytes).toBe(bytes.length + 1000)
})

test('I4: one that has other bytes on the second attempt never comes whole', async () => {
  const { content, source, link } = await world()
  const { reader, body } = await startOf(content, source, link, Buffer.alloc(2000, 'other'))
  const rest = given(reader)
  body.cut()
  const whole = (await source.next()).answer({ offset: 0 })
  whole.send(bytes)
  whole.end()
  expect(await rest).toMatchObject({ error: { upstream: { reason: 'BadDigest' } } })
  expect((await rest).bytes.length).toBeLessThanOrEqual(bytes.length - heldBack)
  expect(await content.held(link)).toBeUndefined()
})

test.each([
  ['from the wrong offset', { offset: 1001 }],
  ['of another size', { size: bytes.length + 1 }],
])('an answer %s is refused, and the download fails', async (_, head) => {
  const { content, source, link } = await world()
  const { reader, body } = await startOf(content, source, link)
  const rest = given(reader)
  body.cut()
  const answer = (await source.next()).answer(head)
  expect(await rest).toMatchObject({ error: { upstream: { reason: 'BadDigest' } } })
  expect(answer.isClosed).toBe(true)
})

test('where one location fails for good another goes on, and the proof is of both', async () => {
  const { content, source, link } = await world()
  const both = { ...link, locations: [first, second] }
  const { reader, body } = await startOf(content, source, both)
  const rest = given(reader)
  body.cut(new RegistryError('DENIED', { upstream: { host: first.host, reason: 'Forbidden' } }))
  const ask = await source.next()
  expect(ask).toMatchObject({ location: second, range: { start: 1000 } })
  expect(ask.range).not.toHaveProperty('ifRange')
  const other = ask.answer()
  other.send(bytes.subarray(1000))
  other.end()
  expect((await rest).bytes.equals(bytes)).toBe(true)
  await expect.poll(() => content.held(both), soon).toBe(bytes.length)
  expect(await content.held({ ...link, locations: [first] })).toBeUndefined()
  expect(await content.held({ ...link, locations: [second] })).toBeUndefined()
})

test('I5: only who has all locations that gave the bytes shares them', async () => {
  const { content, source, link } = await world()
  const linked = (...locations: Location[]): Link => ({ ...link, locations })
  const { reader, body } = await startOf(content, source, linked(first, second))
  const apart = content.open(linked(second))
  const own = await source.next()
  expect(own).toMatchObject({ location: second, range: undefined })
  const more = given((await content.open(linked({ ...first, repository: 'lib/other' }, second, first))).reader)
  const less = given((await content.open(linked(first))).reader)
  expect(source.asks).toHaveLength(2)
  const rest = given(reader)
  body.send(bytes.subarray(1000, 2000))
  body.cut(new RegistryError('DENIED'))
  const next = await source.next()
  expect(next.location).toEqual(second)
  expect(await less).toMatchObject({ error: { code: 'DENIED' } })
  const now = content.open(linked(first))
  expect((await source.next()).location).toEqual(first)
  const other = next.answer()
  other.send(bytes.subarray(2000))
  other.end()
  expect((await rest).bytes.equals(bytes)).toBe(true)
  expect((await more).bytes.equals(bytes)).toBe(true)
  const ownBody = own.answer()
  ownBody.send(bytes)
  ownBody.end()
  expect((await readAll(await apart)).equals(bytes)).toBe(true)
  source.asks.at(-1)?.refuse(new RegistryError('BLOB_UNKNOWN'))
  await expect(now).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  await expect.poll(() => content.held(linked(second)), soon).toBe(bytes.length)
  expect(await content.held(linked(first))).toBeUndefined()
})

test('who has another location than the one that began goes on there alone, verified', async () => {
  const { content, source, link } = await world()
  const { reader, body } = await startOf(content, source, link)
  const more = content.open({ ...link, locations: [first, second] })
  const part = content.open({ ...link, locations: [second, first] }, { start: 500, end: 2_000_000 })
  const failed = given(reader)
  const rests = [given((await more).reader), given((await part).reader)]
  body.cut(new RegistryError('DENIED'))
  expect(await failed).toMatchObject({ error: { code: 'DENIED' } })
  for (let i = 0; i < 2; i++) {
    const ask = await source.next()
    expect(ask).toMatchObject({ location: second, range: { start: 1000 } })
    const answer = ask.answer()
    answer.send(bytes.subarray(1000, (ask.range?.end ?? bytes.length) + 1))
    answer.end()
  }
  const [whole, range] = await Promise.all(rests)
  expect(whole?.bytes.equals(bytes)).toBe(true)
  expect(range?.bytes.equals(bytes.subarray(500, 2_000_001))).toBe(true)
  expect(await content.held({ ...link, locations: [first, second] })).toBeUndefined()
})

test('wrong bytes at the end are told to who got some, and who got none gets those of the next location', async () => {
  const { content, source, link } = await world()
  const both = { ...link, locations: [first, second] }
  const wrong = Buffer.from(bytes)
  wrong[5] = (wrong[5] ?? 0) ^ 1
  const { reader, body } = await startOf(content, source, both, wrong)
  const begun = given(reader)
  const tail = content.open(both, { end: 10 })
  const lacking = content.open(link, { end: 10 })
  const failed = expect(lacking).rejects.toMatchObject({ upstream: { host: first.host, reason: 'BadDigest' } })
  const fetched = content.fetch(both, { signal: AbortSignal.timeout(60_000) })
  body.send(wrong.subarray(1000))
  body.end()
  expect(await begun).toMatchObject({ error: { upstream: { host: first.host, reason: 'BadDigest' } } })
  const ask = await source.next()
  expect(ask).toMatchObject({ location: second, range: undefined })
  await failed
  const right = ask.answer()
  right.send(bytes)
  right.end()
  expect(await readAll(await tail)).toEqual(bytes.subarray(-10))
  await fetched
  expect(await content.held({ ...link, locations: [second] })).toBe(bytes.length)
  expect(await content.held({ ...link, locations: [first] })).toBeUndefined()
})

test('a manifest that lies about the size spoils nobody else', async () => {
  const { content, source, link } = await world()
  const liar = content.open({ ...link, size: bytes.length + 1 })
  const lied = await source.next()
  const honest = content.open(link)
  const asked = await source.next()
  lied.answer()
  await expect(liar).rejects.toMatchObject({ upstream: { reason: 'BadDigest' } })
  const body = asked.answer()
  body.send(bytes)
  body.end()
  expect((await readAll(await honest)).equals(bytes)).toBe(true)
})

test('an upstream that sends more and more is left when it has sent too much', async () => {
  const { content, source, link } = await world()
  const opening = content.open(link)
  const body = (await source.next()).answer({ size: undefined })
  body.send(bytes)
  const { reader } = await opening
  const rest = given(reader)
  body.send(Buffer.from('x'))
  expect(await rest).toMatchObject({ error: { upstream: { reason: 'BadDigest' } } })
  expect((await rest).bytes.length).toBeLessThanOrEqual(bytes.length - heldBack)
  expect(body.isClosed).toBe(true)
  expect(await content.held(link)).toBeUndefined()
})

test('a connection that breaks after the last byte breaks nothing', async () => {
  const { content, source, link } = await world()
  const { reader, body } = await startOf(content, source, link)
  body.send(bytes.subarray(1000))
  body.cut()
  expect((await given(reader)).bytes.equals(bytes)).toBe(true)
})

test('thousands of tiny pieces come whole', async () => {
  const { content, source, link } = await world({}, bytes.subarray(0, 20_000))
  const opening = content.open(link)
  const body = (await source.next()).answer()
  for (let at = 0; at < 20_000; at++) body.send(bytes.subarray(at, at + 1))
  body.end()
  expect((await readAll(await opening)).equals(bytes.subarray(0, 20_000))).toBe(true)
})

test('fetch joins what clients read, tells how far it is, and is durable when it returns', async () => {
  const { content, source, link } = await world({ finishBytes: 0 })
  const { reader, body } = await startOf(content, source, link)
  const told: number[] = []
  const fetched = content.fetch(link, { signal: AbortSignal.timeout(60_000), onProgress: (had) => void told.push(had) })
  let sent = 1000
  for (; told.length === 0; sent += 1) {
    body.send(bytes.subarray(sent, sent + 1))
    await setImmediate()
  }
  reader.close()
  body.send(bytes.subarray(sent))
  body.end()
  await fetched
  expect(told[0]).toBeGreaterThan(1000)
  expect(await content.held(link)).toBe(bytes.length)
  expect(told.at(-1)).toBe(bytes.length)
  await content.fetch(link, { signal: AbortSignal.timeout(60_000) })
  expect(source.asks).toHaveLength(1)
})

test('a fetch that is given up ends its download, and tells why another failed', async () => {
  const { content, source, link } = await world({ finishBytes: 0 })
  const enough = new AbortController()
  const fetched = content.fetch({ ...link, size: undefined }, { signal: enough.signal })
  const body = (await source.next()).answer()
  enough.abort(new Error('enough'))
  await expect(fetched).rejects.toThrow('enough')
  await expect.poll(() => body.isClosed, soon).toBe(true)
  const failing = content.fetch(link, { signal: AbortSignal.timeout(60_000) })
  const failed = expect(failing).rejects.toMatchObject({ code: 'TOOMANYREQUESTS' })
  ;(await source.next()).refuse(new RegistryError('TOOMANYREQUESTS'))
  await failed
})

test('a blob that can never fit is streamed through and verified, and a fetch is told the reason', async () => {
  const { content, source, link } = await world({ maxBytes: bytes.length - 1 })
  const opening = content.open(link)
  const body = (await source.next()).answer()
  body.send(bytes)
  body.end()
  expect((await readAll(await opening)).equals(bytes)).toBe(true)
  expect(content.counters).toMatchObject({ streamedThrough: 1, problem: undefined, downloads: 0 })
  expect(await content.held(link)).toBeUndefined()
  await expect(content.fetch(link, { signal: AbortSignal.timeout(60_000) })).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('maxBytes reached'),
  })
  const again = content.open(link)
  const wrong = (await source.next()).answer()
  wrong.send(Buffer.alloc(bytes.length))
  wrong.end()
  expect(await given((await again).reader)).toMatchObject({ error: { upstream: { reason: 'BadDigest' } } })
})

test('while the store grants no lease a blob is streamed through', async () => {
  const failed = new RegistryError('UNAVAILABLE', { message: 'no lease' })
  const { content, source, link } = await world({ acquireLease: () => Promise.reject(failed) })
  const fetched = expect(content.fetch(link, { signal: AbortSignal.timeout(60_000) })).rejects.toBe(failed)
  const opening = content.open(link)
  const body = (await source.next()).answer()
  body.send(bytes)
  body.end()
  expect((await readAll(await opening)).equals(bytes)).toBe(true)
  await fetched
  expect(await content.held(link)).toBeUndefined()
})

test('closing in the middle fails readers and fetches, and leaves nothing', async () => {
  const { content, source, link, directory } = await world()
  const { reader, body } = await startOf(content, source, link)
  const rest = given(reader)
  const fetched = content.fetch(link, { signal: AbortSignal.timeout(60_000) })
  const failed = expect(fetched).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  await turns(1)
  await content.close()
  await failed
  expect((await rest).error).toMatchObject({ code: 'UNAVAILABLE' })
  expect(body.isClosed).toBe(true)
  expect(await unfinished(directory)).toEqual([])
  await expect(content.fetch(link, { signal: AbortSignal.timeout(60_000) })).rejects.toThrow()
})

test('closing fails who reads on alone, and who reads what is whole', async () => {
  const { content, source, link } = await world({ maxBytes: bytes.length + 1000 })
  const { reader, body } = await startOf(content, source, link)
  body.send(bytes.subarray(1000))
  body.end()
  await expect.poll(() => content.held(link), soon).toBe(bytes.length)
  const large = randomBytes(200_000)
  const opening = content.open(linkTo(large, first))
  ;(await source.next()).answer({ size: large.length }).send(large.subarray(0, 1))
  const alone = (await source.next()).answer({ size: large.length })
  alone.send(large.subarray(0, 100_000))
  const rest = given((await opening).reader)
  await content.close()
  expect((await rest).error).toMatchObject({ code: 'UNAVAILABLE' })
  expect(alone.isClosed).toBe(true)
  expect((await given(reader)).error).toMatchObject({ code: 'UNAVAILABLE' })
})

test('what somebody still reads is not removed, since its room would not come free', async () => {
  const { content, source, link } = await world()
  const { reader, body } = await startOf(content, source, link)
  body.send(bytes.subarray(1000))
  body.end()
  await expect.poll(() => content.held(link), soon).toBe(bytes.length)
  await expect.poll(() => content.counters.downloads, soon).toBe(0)
  expect(await content.remove(link.digest, { unusedSince: Infinity })).toBe(0)
  reader.close()
  expect(await content.remove(link.digest, { unusedSince: Infinity })).toBe(bytes.length)
})

test('what fails once is asked for again', async () => {
  const { content, source, link } = await world()
  const failing = content.open(link)
  ;(await source.next()).refuse(connectionLost())
  await expect(failing).rejects.toMatchObject({ upstream: { reason: 'Unreachable' } })
  const opening = content.open(link)
  const body = (await source.next()).answer()
  body.send(bytes)
  body.end()
  expect((await readAll(await opening)).equals(bytes)).toBe(true)
})

test('a blob by sha512 is shared and held like any other', async () => {
  const { content, source, link } = await world()
  const by512: Link = { ...link, digest: digestOf(bytes, 'sha512') as Digest }
  const opening = [content.open(by512), content.open(by512, { start: 1 })]
  const body = (await source.next()).answer()
  body.send(bytes)
  body.end()
  const [whole, part] = await Promise.all(opening.map(async (opened) => readAll(await opened)))
  expect(whole?.equals(bytes)).toBe(true)
  expect(part?.equals(bytes.subarray(1))).toBe(true)
  await expect.poll(() => content.held(by512), soon).toBe(bytes.length)
})

test.each([
  ['that failed', new Error('boom')],
  ['whose bytes were wrong', undefined],
])('who comes while a download %s gives its lease back begins anew', async (_how, failure) => {
  const released = Promise.withResolvers<void>()
  const acquireLease = async () => ({ lost: new AbortController().signal, release: () => released.promise })
  const { content, source, link } = await world({ acquireLease, finishBytes: 1024 ** 3 })
  const failed = expect(content.open(link)).rejects.toThrow()
  const ask = await source.next()
  if (failure === undefined) ask.answer({ size: 5 })
  else ask.refuse(failure)
  await failed
  const again = content.open(link)
  const body = (await source.next()).answer()
  body.send(bytes)
  body.end()
  released.resolve()
  expect((await readAll(await again)).equals(bytes)).toBe(true)
})

test('a part that ends among the bytes that are held back wants the whole', async () => {
  const { content, source, link } = await world({ finishBytes: 0 })
  const opening = content.open(link, { start: 0, end: bytes.length - 101 })
  const body = (await source.next()).answer()
  body.send(bytes.subarray(0, -50))
  const reading = readAll(await opening)
  await body.awaited()
  body.send(bytes.subarray(-50))
  body.end()
  expect((await reading).equals(bytes.subarray(0, -100))).toBe(true)
  expect(source.asks).toHaveLength(1)
})

test('who got none of the wrong bytes of a download gets those of a location that only it has', async () => {
  const { content, source, link } = await world()
  const wrong = Buffer.from(bytes)
  wrong[5] = (wrong[5] ?? 0) ^ 1
  const { reader, body } = await startOf(content, source, link, wrong)
  const begun = given(reader)
  const tail = content.open({ ...link, locations: [first, second] }, { end: 10 })
  const whole = content.open({ ...link, locations: [first, second] }, { start: bytes.length - 20 })
  body.send(wrong.subarray(1000))
  body.end()
  expect(await begun).toMatchObject({ error: { upstream: { host: first.host, reason: 'BadDigest' } } })
  // Each reads the disk before it asks, so either may be the first to ask.
  const asked = [await source.next(), await source.next()]
  expect(new Set(asked.map(({ range }) => range?.start))).toEqual(new Set([bytes.length - 10, bytes.length - 20]))
  for (const ask of asked) {
    expect(ask.location).toEqual(second)
    const right = ask.answer()
    right.send(bytes.subarray(ask.range?.start))
    right.end()
  }
  expect(await readAll(await tail)).toEqual(bytes.subarray(-10))
  expect(await readAll(await whole)).toEqual(bytes.subarray(-20))
})

test('a small blob with wrong bytes is given from another location of who has one, and verified there', async () => {
  const small = Buffer.from('a small blob')
  const { content, source, link } = await world({}, small)
  const lacking = expect(content.open(link)).rejects.toMatchObject({ upstream: { reason: 'BadDigest' } })
  const ask = await source.next()
  const whole = content.open({ ...link, locations: [first, second] })
  const body = ask.answer()
  body.send(Buffer.from('a Small blob'))
  body.end()
  await lacking
  const right = (await source.next()).answer()
  right.send(small)
  right.end()
  expect(await readAll(await whole)).toEqual(small)
  expect(source.asks.map(({ location }) => location)).toEqual([first, second])
})

test('a fetch begins when it is known how much room there is, or is given up', async () => {
  const { files, counters, acquireLease } = await (await heldWorld()).open()
  const counted = Promise.withResolvers<void>()
  const source = scriptedSource(bytes.length)
  const downloads = createDownloads({
    files: { ...files, counted: counted.promise },
    source,
    acquireLease,
    buffers: createBuffers(),
    counters,
    finishBytes: 0,
    now: Date.now,
    pause: async () => undefined,
  })
  const link = linkTo(bytes, first)
  const left = new AbortController()
  const givenUp = expect(downloads.fetch(link, { signal: left.signal })).rejects.toThrow('left')
  left.abort(new Error('left'))
  await givenUp
  const fetched = downloads.fetch(link, { signal: AbortSignal.timeout(60_000) })
  for (let i = 0; i < 50; i++) await stat('/')
  expect(source.asks).toEqual([])
  counted.resolve()
  const body = (await source.next()).answer()
  body.send(bytes)
  body.end()
  await fetched
  expect(await files.held(link)).toBe(bytes.length)
  await downloads.close()
})
