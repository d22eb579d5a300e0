/** Upstreams that never stall, and hardly send. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { BlobReader } from '../../src/content/content.ts'
import { createCounters } from '../../src/content/counters.ts'
import { createResuming } from '../../src/content/resume.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { scriptedSource } from './scripted-source.ts'
import { contentWorld, first, linkTo, second } from './world.ts'

const bytes = randomBytes(3 * 1024 * 1024)
const minute = 60_000
const leastBytes = 512 * 1024

async function world(...locations: (typeof first)[]) {
  const clock = { at: 1_000_000 }
  const source = scriptedSource(bytes.length)
  const { content } = await contentWorld({ source, now: () => clock.at })
  return { clock, source, content, link: linkTo(bytes, ...locations) }
}

async function drain(reader: BlobReader): Promise<Buffer> {
  const pieces: Buffer[] = []
  for (let piece = await reader.read(); piece !== undefined; piece = await reader.read())
    pieces.push(Buffer.from(piece))
  reader.close()
  return Buffer.concat(pieces)
}

test('one that drips is broken off and asked for the rest, and given up after five more attempts', async () => {
  const { clock, source, content, link } = await world(first)
  const fetched = expect(content.fetch(link, { signal: AbortSignal.timeout(60_000) })).rejects.toMatchObject({
    message: expect.stringContaining('512 KiB'),
    upstream: { host: first.host, reason: 'Unreachable' },
  })
  for (let at = 0, attempt = 0; attempt < 6; attempt++) {
    const ask = await source.next()
    expect(ask.range?.start ?? 0).toBe(at)
    const body = ask.answer()
    const next = at + leastBytes - 1
    body.send(bytes.subarray(at, next - 1))
    await body.awaited()
    clock.at += 2 * minute
    body.send(bytes.subarray(next - 1, next))
    await expect.poll(() => body.isClosed).toBe(true)
    at = next
  }
  await fetched
  expect(source.asks).toHaveLength(6)
  expect(content.counters).toMatchObject({ downloads: 0, resumes: 5 })
})

test('one that drips and breaks off in between is given up too', async () => {
  const { clock, source, content, link } = await world(first)
  const fetched = expect(content.fetch(link, { signal: AbortSignal.timeout(60_000) })).rejects.toMatchObject({
    upstream: { reason: 'Unreachable' },
  })
  for (let at = 0, attempt = 0; attempt < 12; attempt++) {
    const ask = await source.next()
    const body = ask.answer()
    await body.awaited()
    clock.at += minute
    body.send(bytes.subarray(at, at + 20_000))
    body.cut()
    at += 20_000
  }
  await fetched
  expect(source.asks).toHaveLength(12)
})

test('where another location can go on, one that drips is given up sooner', async () => {
  const { clock, source, content, link } = await world(first, second)
  const opening = content.open(link)
  for (let attempt = 0; attempt < 3; attempt++) {
    const body = (await source.next()).answer()
    await body.awaited()
    clock.at += 2 * minute
    body.send(bytes.subarray(attempt, attempt + 1))
  }
  const ask = await source.next()
  expect(ask).toMatchObject({ location: second, range: { start: 3 } })
  const body = ask.answer()
  body.send(bytes.subarray(3))
  body.end()
  expect((await drain((await opening).reader)).equals(bytes)).toBe(true)
})

test('one that is slow, but gets on, is left alone', async () => {
  const { clock, source, content, link } = await world(first)
  const opening = content.open(link)
  const body = (await source.next()).answer()
  for (let at = 0; at < bytes.length; at += leastBytes) {
    await body.awaited()
    clock.at += 2 * minute
    body.send(bytes.subarray(at, at + leastBytes))
  }
  body.end()
  expect((await drain((await opening).reader)).equals(bytes)).toBe(true)
  expect(source.asks).toHaveLength(1)
})

test.each(['rateClock', 'no clock'])('time in which nobody waits for it does not count (%s)', async (kind) => {
  const clock = { at: 0 }
  const source = scriptedSource(bytes.length)
  const resuming = createResuming({ digest: digestOf(bytes), size: bytes.length, start: 0, end: bytes.length }, first, {
    source,
    counters: createCounters(),
    pause: async () => undefined,
    signal: new AbortController().signal,
    hasNext: false,
    ...(kind === 'rateClock' && { rateClock: () => clock.at }),
  })
  const reading = resuming.read(0)
  const body = (await source.next()).answer()
  for (let at = 0; at < 5; at++) {
    body.send(bytes.subarray(at, at + 1))
    expect(await (at === 0 ? reading : resuming.read(at))).toEqual(bytes.subarray(at, at + 1))
    clock.at += 10 * minute
  }
  expect(source.asks).toHaveLength(1)
})

test('who reads for himself waits as long as he likes', async () => {
  const huge = Buffer.alloc(17 * 1024 * 1024, 'huge')
  const { clock, source, content } = await world(first)
  const opening = content.open(linkTo(huge, first), { start: huge.length - 5 })
  const body = (await source.next()).answer({ size: huge.length })
  body.send(huge.subarray(0, 1))
  const rest = drain((await opening).reader)
  for (let i = 0; i < 4; i++) {
    await body.awaited()
    clock.at += 10 * minute
    body.send(huge.subarray(0, 1))
  }
  body.end()
  expect(await rest).toHaveLength(5)
  expect(source.asks).toHaveLength(1)
})
