import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Content, Link, Location, UpstreamLocation } from '../../src/content/content.ts'
import { createContent } from '../../src/content/create-content.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { type MemorySource, memorySource } from './memory-source.ts'

const heldBack = 64 * 1024
const big = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251))
const small = Buffer.from('a small blob')
const first: UpstreamLocation = { kind: 'upstream', host: 'a.example', repository: 'lib/app', project: 'demo' }
const second: UpstreamLocation = { ...first, host: 'b.example' }

async function world(): Promise<{ content: Content; source: MemorySource; directory: string }> {
  const directory = await temporaryDirectory()
  const source = memorySource()
  return { content: await createContent({ directory, source }), source, directory }
}

function linkTo(bytes: Buffer, ...locations: Location[]): Link & { size: number } {
  return { digest: digestOf(bytes), mediaType: 'application/octet-stream', size: bytes.length, locations }
}

/** What a client got before the end or the failure. */
async function received(stream: Readable): Promise<{ bytes: Buffer; error?: unknown }> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of stream) chunks.push(chunk)
    return { bytes: Buffer.concat(chunks) }
  } catch (error) {
    return { bytes: Buffer.concat(chunks), error }
  }
}

test.each([
  ['an empty', Buffer.alloc(0)],
  ['a small', small],
  ['a big', big],
  ['one of just what is held back', big.subarray(0, heldBack)],
  ['one of a byte more than is held back', big.subarray(0, heldBack + 1)],
])('%s blob comes whole', async (_, bytes) => {
  const { content, source } = await world()
  const link = linkTo(bytes, first)
  source.put(first, link.digest, { bytes })
  const opened = await content.open(link)
  expect(opened).toMatchObject({ size: bytes.length, offset: 0, length: bytes.length })
  expect(bytes.equals(await buffer(opened.stream))).toBe(true)
})

test('a blob by sha512 is verified by sha512', async () => {
  const { content, source } = await world()
  const link = { ...linkTo(big, first), digest: digestOf(big, 'sha512') }
  source.put(first, link.digest, { bytes: big })
  expect(big.equals(await buffer((await content.open(link)).stream))).toBe(true)
  source.put(first, link.digest, { bytes: flipped(big, 0) })
  expect((await received((await content.open(link)).stream)).error).toMatchObject({ upstream: { reason: 'BadDigest' } })
})

test('I4: whatever is wrong with a whole body, a client never gets as many bytes as it has', async () => {
  const { content, source } = await world()
  const wrong = fc.oneof(
    fc.nat(big.length - 1).map((at) => flipped(big, at)),
    fc.nat(big.length - 1).map((end) => big.subarray(0, end)),
    fc.integer({ min: 1, max: 100_000 }).map((more) => Buffer.concat([big, Buffer.alloc(more)])),
  )
  const link = linkTo(big, first)
  await fc.assert(
    fc.asyncProperty(wrong, fc.integer({ min: 1000, max: 200_000 }), async (bytes, chunkBytes) => {
      source.put(first, link.digest, { bytes, size: null, chunkBytes })
      const got = await content.open(link).then(
        ({ stream }) => received(stream),
        (error: unknown) => ({ bytes: Buffer.alloc(0), error }),
      )
      expect(got.error).toMatchObject({ code: 'UNAVAILABLE', upstream: { host: first.host, reason: 'BadDigest' } })
      expect(got.bytes.length).toBeLessThanOrEqual(big.length - heldBack)
    }),
    { numRuns: 200 },
  )
})

test('I4: a small blob with wrong bytes fails before there is a stream', async () => {
  const { content, source } = await world()
  const link = linkTo(small, first)
  source.put(first, link.digest, { bytes: flipped(small, 3) })
  await expect(content.open(link)).rejects.toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'BadDigest' } })
})

test('a location that tells another size is not read', async () => {
  const { content, source } = await world()
  const link = linkTo(big, first)
  source.put(first, link.digest, { bytes: big, size: big.length + 1 })
  await expect(content.open(link)).rejects.toMatchObject({ upstream: { reason: 'BadDigest' } })
  await expect(content.open(link, { start: 5, end: 9 })).rejects.toMatchObject({ upstream: { reason: 'BadDigest' } })
  expect(source.bodies.every((body) => body.destroyed)).toBe(true)
})

test('an overlong body is left at once and not read to its end', async () => {
  const { content, source } = await world()
  const link = linkTo(small, first)
  source.put(first, link.digest, { bytes: Buffer.concat([small, big]), size: null, stallsAfter: small.length + 100 })
  await expect(content.open(link)).rejects.toMatchObject({ upstream: { reason: 'BadDigest' } })
  expect(source.bodies[0]?.destroyed).toBe(true)
})

test('the next location is tried when one fails before any byte was passed on', async () => {
  const unavailable = new RegistryError('UNAVAILABLE')
  const spoil: ((source: MemorySource, link: Link) => void)[] = [
    () => {},
    (source) => source.fail(first, unavailable),
    (source, { digest }) => source.put(first, digest, { bytes: small, failsAfter: 0 }),
    (source, { digest }) => source.put(first, digest, { bytes: small, failsAfter: 5 }),
    (source, { digest }) => source.put(first, digest, { bytes: flipped(small, 0) }),
  ]
  for (const prepare of spoil) {
    const { content, source } = await world()
    const link = linkTo(small, first, second)
    source.put(second, link.digest, { bytes: small })
    prepare(source, link)
    expect(await buffer((await content.open(link)).stream)).toEqual(small)
    expect(source.asked).toEqual(['open a.example/lib/app whole', 'open b.example/lib/app whole'])
  }
})

test('no other location is mixed in after a byte was passed on', async () => {
  const { content, source } = await world()
  const link = linkTo(big, first, second)
  source.put(first, link.digest, { bytes: big, failsAfter: 150_000 })
  source.put(second, link.digest, { bytes: big })
  const got = await received((await content.open(link)).stream)
  expect(got.error).toMatchObject({ message: 'connection lost' })
  expect(got.bytes.length).toBeLessThanOrEqual(150_000)
  expect(source.asked).toHaveLength(1)
})

test('a blob is unknown only when every location says so', async () => {
  const { content, source } = await world()
  const link = linkTo(small, first, second)
  await expect(content.open(link)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN', upstream: { host: first.host } })
  source.fail(second, new RegistryError('TOOMANYREQUESTS'))
  await expect(content.open(link)).rejects.toMatchObject({ code: 'TOOMANYREQUESTS' })
  await expect(content.stat({ ...link, size: undefined })).rejects.toMatchObject({ code: 'TOOMANYREQUESTS' })
  await expect(content.open(linkTo(small))).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
})

test('a size that no manifest told is asked for, at the next location too', async () => {
  const { content, source } = await world()
  const link = { ...linkTo(small, first, second), size: undefined }
  source.put(second, link.digest, { bytes: small })
  expect(await content.open(link, { start: 2, end: 4 })).toMatchObject({ size: small.length, offset: 2, length: 3 })
})

test('I5: the size of a blob is told only when a location of the link has it, whatever a manifest says', async () => {
  const { content, source } = await world()
  const link = linkTo(small, first, second)
  await expect(content.stat(link)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  source.put(second, link.digest, { bytes: small })
  expect(await content.stat(link)).toBe(small.length)
  expect(await content.stat({ ...link, size: undefined })).toBe(small.length)
  await expect(content.stat({ ...link, size: 1 })).rejects.toMatchObject({ upstream: { reason: 'BadDigest' } })
  expect(source.bodies).toEqual([])
})

test('a location that has no such range of the blob has a wrong blob', async () => {
  const { content, source } = await world()
  const link = linkTo(small, first, second)
  source.fail(first, new RegistryError('RANGE_INVALID'))
  await expect(content.open({ ...link, locations: [first] }, { start: 2, end: 4 })).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    upstream: { reason: 'BadDigest' },
  })
  source.put(second, link.digest, { bytes: small })
  expect(await buffer((await content.open(link, { start: 2, end: 4 })).stream)).toEqual(small.subarray(2, 5))
})

test.each([
  ['a part', { start: 1000, end: 99_999 }],
  ['a suffix', { end: 70_000 }],
  ['a rest', { start: 250_000 }],
  ['a part beyond the end', { start: 299_990, end: 400_000 }],
  ['a single byte', { start: 0, end: 0 }],
])('%s of a blob is asked for by Range and passed on', async (_, range) => {
  for (const ignoresRange of [false, true]) {
    const { content, source } = await world()
    const link = linkTo(big, first)
    source.put(first, link.digest, { bytes: big, ignoresRange })
    const { offset, length, size, stream } = await content.open(link, range)
    const got = await buffer(stream)
    expect(size).toBe(big.length)
    expect(got.equals(big.subarray(offset, offset + length))).toBe(true)
    expect(got.length).toBe(length)
    expect(source.asked).toEqual([`open a.example/lib/app ${offset}-${offset + length - 1}`])
    expect(source.bodies[0]?.destroyed).toBe(true)
  }
})

test('I4: a range that is the whole blob is verified like one', async () => {
  const { content, source } = await world()
  const link = linkTo(big, first)
  source.put(first, link.digest, { bytes: flipped(big, 7) })
  const { stream } = await content.open(link, { start: 0 })
  expect(await received(stream)).toMatchObject({ error: { upstream: { reason: 'BadDigest' } } })
})

test('a range that ends early is an error', async () => {
  const { content, source } = await world()
  const link = linkTo(big, first)
  source.put(first, link.digest, { bytes: big.subarray(0, 120_000), size: null })
  const { stream } = await content.open(link, { start: 100_000, end: 150_000 })
  const got = await received(stream)
  expect(got.error).toMatchObject({ upstream: { reason: 'BadDigest' } })
  expect(got.bytes.length).toBeLessThanOrEqual(20_000)
})

test('a range that begins late is not passed on', async () => {
  const { content, source } = await world()
  const link = linkTo(big, first)
  source.put(first, link.digest, { bytes: big, beginsLate: 10 })
  const range = { start: 100, end: 150_000 }
  await expect(content.open(link, range)).rejects.toMatchObject({ upstream: { reason: 'BadDigest' } })
})

test('a range that no byte is in asks no location', async () => {
  const { content, source } = await world()
  const link = linkTo(small, first)
  await expect(content.open(link, { start: 100 })).rejects.toMatchObject({
    code: 'RANGE_INVALID',
    detail: { size: small.length },
  })
  expect(source.asked).toEqual([])
})

test('I4: nothing of a blob is kept, neither of a range nor of a failed body', async () => {
  const { content, source, directory } = await world()
  const link = linkTo(big, first)
  source.put(first, link.digest, { bytes: big, failsAfter: 200_000 })
  await buffer((await content.open(link, { start: 0, end: 1000 })).stream)
  await received((await content.open(link)).stream)
  expect((await readdir(directory, { recursive: true })).sort()).toEqual(['sha256', 'sha512', 'tmp'])
})

test('a client that leaves ends the upstream request, also one that stalls', async () => {
  const { content, source } = await world()
  const link = linkTo(big, first)
  source.put(first, link.digest, { bytes: big, stallsAfter: 100_000 })
  const { stream } = await content.open(link)
  stream.resume()
  const body = source.bodies[0]
  expect(body?.destroyed).toBe(false)
  stream.destroy()
  await once(stream, 'close')
  expect(body?.destroyed).toBe(true)
})

test.each([false, true])(
  'a client that leaves before its first byte ends the upstream request (Range ignored: %s)',
  async (ignoresRange) => {
    const { content, source } = await world()
    const link = linkTo(big, first, second)
    source.put(first, link.digest, { bytes: big, ignoresRange, stallsAfter: ignoresRange ? 200_000 : 0 })
    source.put(second, link.digest, { bytes: big })
    const left = new AbortController()
    const opened = content.open(link, { start: 250_000 }, left.signal)
    await expect.poll(() => source.bodies.length).toBe(1)
    left.abort()
    await expect(opened).rejects.toThrow()
    expect(source.bodies[0]?.destroyed).toBe(true)
    expect(source.asked).toHaveLength(1)
  },
)

test('a client that left before the location answers asks it nothing more', async () => {
  const { content, source } = await world()
  const link = linkTo(big, first, second)
  source.put(first, link.digest, { bytes: big })
  await expect(content.open(link, undefined, AbortSignal.abort())).rejects.toThrow()
  expect(source.bodies.every(({ destroyed }) => destroyed)).toBe(true)
  expect(source.asked.length).toBeLessThanOrEqual(1)
})

test('a client that reads nothing makes the upstream wait', async () => {
  const { content, source } = await world()
  const huge = Buffer.alloc(8 * 1024 * 1024)
  const link = linkTo(huge, first)
  source.put(first, link.digest, { bytes: huge })
  const { stream } = await content.open(link)
  stream.once('readable', () => {})
  await once(stream, 'readable')
  expect(source.bodies[0]?.readableEnded).toBe(false)
  expect(stream.readableLength).toBeLessThanOrEqual(1024 * 1024)
  stream.destroy()
})

test('closing ends open streams with an error', async () => {
  const { content, source } = await world()
  const link = linkTo(big, first)
  source.put(first, link.digest, { bytes: big, stallsAfter: 100_000 })
  const { stream } = await content.open(link)
  const got = received(stream)
  await content.close()
  expect((await got).error).toBeDefined()
  expect(source.bodies[0]?.destroyed).toBe(true)
  await expect(content.open(link)).rejects.toThrow()
})

test('closing ends what waits for its first byte, and no other location is asked', async () => {
  const { content, source } = await world()
  const link = linkTo(small, first, second)
  source.put(first, link.digest, { bytes: small, stallsAfter: 5 })
  source.put(second, link.digest, { bytes: small })
  const opened = content.open(link)
  await content.close()
  await expect(opened).rejects.toThrow()
  expect(source.asked).toEqual(['open a.example/lib/app whole'])
})

test('after closing a body that is wrong anyway is let go quietly', async () => {
  const { content, source } = await world()
  const link = linkTo(small, first)
  source.put(first, link.digest, { bytes: small, size: 1 })
  await content.close()
  await expect(content.open(link)).rejects.toThrow()
  expect(source.bodies[0]?.destroyed).toBe(true)
})

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}
