/** Blobs from upstream locations through the content store; the locations are in memory. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readAll } from '../../src/content/reader.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { given } from '../support/given.ts'
import type { MemorySource } from './memory-source.ts'
import { contentWorld, first, linkTo, second } from './world.ts'

/** For what a busy machine takes longer to do. */
const soon = { timeout: 10_000 }

const heldBack = 64 * 1024
const big = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251))
const small = Buffer.from('a small blob')

/** What is left of downloads. */
function unfinished(directory: string): Promise<string[]> {
  return readdir(join(directory, 'partial'))
}

test.each([
  ['an empty', Buffer.alloc(0)],
  ['a small', small],
  ['a big', big],
  ['one of just what is held back', big.subarray(0, heldBack)],
  ['one of a byte more than is held back', big.subarray(0, heldBack + 1)],
])('%s blob comes whole, and is held', async (_, bytes) => {
  const { content, source, directory } = await contentWorld()
  const link = linkTo(bytes, first)
  source.put(first, link.digest, { bytes })
  const opened = await content.open(link)
  expect(opened).toMatchObject({ size: bytes.length, offset: 0, length: bytes.length })
  expect(bytes.equals(await readAll(opened))).toBe(true)
  await expect.poll(() => content.held(link), soon).toBe(bytes.length)
  expect(bytes.equals(await readAll(await content.open(link)))).toBe(true)
  expect(source.asked).toEqual(['open a.example/lib/app whole'])
  expect(await unfinished(directory)).toEqual([])
})

test('a blob by sha512 is verified by sha512', async () => {
  const { content, source } = await contentWorld()
  const link = { ...linkTo(big, first), digest: digestOf(big, 'sha512') }
  source.put(first, link.digest, { bytes: flipped(big, 0) })
  expect((await given((await content.open(link)).reader)).error).toMatchObject({ upstream: { reason: 'BadDigest' } })
  source.put(first, link.digest, { bytes: big })
  expect(big.equals(await readAll(await content.open(link)))).toBe(true)
})

test('I4: whatever is wrong with a whole body, a client never gets as many bytes as it has, and none is kept', async () => {
  const { content, source, directory } = await contentWorld()
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
        ({ reader }) => given(reader),
        (error: unknown) => ({ bytes: Buffer.alloc(0), error }),
      )
      expect(got.error).toMatchObject({ code: 'UNAVAILABLE', upstream: { host: first.host, reason: 'BadDigest' } })
      expect(got.bytes.length).toBeLessThanOrEqual(big.length - heldBack)
      expect(await content.held(link)).toBeUndefined()
    }),
    { numRuns: 200 },
  )
  await expect.poll(() => unfinished(directory), soon).toEqual([])
  expect(source.bodies.every((body) => body.destroyed)).toBe(true)
})

test('I4: a small blob with wrong bytes fails before there is a reader', async () => {
  const { content, source } = await contentWorld()
  const link = linkTo(small, first)
  source.put(first, link.digest, { bytes: flipped(small, 3) })
  await expect(content.open(link)).rejects.toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'BadDigest' } })
})

test('I4: an empty blob is fetched and verified like any other', async () => {
  const { content, source } = await contentWorld()
  const link = { ...linkTo(small, first), size: 0 }
  await expect(content.open(link)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  source.put(first, link.digest, { bytes: Buffer.alloc(0) })
  await expect(content.open(link)).rejects.toMatchObject({ upstream: { reason: 'BadDigest' } })
})

test('a location that tells another size is not read', async () => {
  const { content, source } = await contentWorld()
  const link = linkTo(big, first)
  source.put(first, link.digest, { bytes: big, size: big.length + 1 })
  await expect(content.open(link)).rejects.toMatchObject({ upstream: { reason: 'BadDigest' } })
  await expect(content.open(link, { start: 5, end: 9 })).rejects.toMatchObject({ upstream: { reason: 'BadDigest' } })
  expect(source.bodies.every((body) => body.destroyed)).toBe(true)
})

test('an overlong body is left at once and not read to its end', async () => {
  const { content, source } = await contentWorld()
  const link = linkTo(small, first)
  source.put(first, link.digest, { bytes: Buffer.concat([small, big]), size: null, stallsAfter: small.length + 100 })
  await expect(content.open(link)).rejects.toMatchObject({ upstream: { reason: 'BadDigest' } })
  expect(source.bodies[0]?.destroyed).toBe(true)
})

test.each<[string, (source: MemorySource, digest: ReturnType<typeof digestOf>) => void]>([
  ['does not have it', () => {}],
  ['fails', (source) => source.fail(first, new RegistryError('UNAVAILABLE'))],
  ['breaks off before the first byte', (source, digest) => source.put(first, digest, { bytes: small, failsAfter: 0 })],
  ['has it wrong', (source, digest) => source.put(first, digest, { bytes: flipped(small, 0) })],
  ['has less of it', (source, digest) => source.put(first, digest, { bytes: small.subarray(0, 5), size: null })],
  ['tells another size', (source, digest) => source.put(first, digest, { bytes: small, size: 3 })],
])('the next location is tried when one %s', async (_, spoil) => {
  const { content, source } = await contentWorld()
  const link = linkTo(small, first, second)
  source.put(second, link.digest, { bytes: small })
  spoil(source, link.digest)
  expect(await readAll(await content.open(link))).toEqual(small)
  expect(source.asked[0]).toBe('open a.example/lib/app whole')
  expect(source.asked.at(-1)).toBe('open b.example/lib/app whole')
})

test('a blob is unknown only when every location says so', async () => {
  const { content, source } = await contentWorld()
  const link = linkTo(small, first, second)
  await expect(content.open(link)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN', upstream: { host: first.host } })
  source.fail(second, new RegistryError('TOOMANYREQUESTS'))
  await expect(content.open(link)).rejects.toMatchObject({ code: 'TOOMANYREQUESTS' })
  await expect(content.stat({ ...link, size: undefined })).rejects.toMatchObject({ code: 'TOOMANYREQUESTS' })
  await expect(content.open(linkTo(small))).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
})

test('a size that no manifest told is asked for, at the next location too', async () => {
  const { content, source } = await contentWorld()
  const link = { ...linkTo(small, first, second), size: undefined }
  source.put(second, link.digest, { bytes: small })
  const opened = await content.open(link, { start: 2, end: 4 })
  expect(opened).toMatchObject({ size: small.length, offset: 2, length: 3 })
  expect(await readAll(opened)).toEqual(small.subarray(2, 5))
})

test('I5: the size of a blob is told only when a location of the link has it, whatever a manifest says', async () => {
  const { content, source } = await contentWorld()
  const link = linkTo(small, first, second)
  await expect(content.stat(link)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  source.put(second, link.digest, { bytes: small })
  expect(await content.stat(link)).toBe(small.length)
  expect(await content.stat({ ...link, size: undefined })).toBe(small.length)
  await expect(content.stat({ ...link, size: 1 })).rejects.toMatchObject({ upstream: { reason: 'BadDigest' } })
  expect(source.bodies).toEqual([])
})

test.each([
  ['a part', { start: 1000, end: 99_999 }],
  ['a suffix', { end: 70_000 }],
  ['a rest', { start: 250_000 }],
  ['a part beyond the end', { start: 299_990, end: 400_000 }],
  ['a single byte', { start: 0, end: 0 }],
  ['the last byte', { end: 1 }],
])('%s of a blob comes from a download of the whole', async (_, range) => {
  const { content, source } = await contentWorld()
  const link = linkTo(big, first)
  source.put(first, link.digest, { bytes: big })
  const opened = await content.open(link, range)
  const { offset, length, size } = opened
  const got = await readAll(opened)
  expect(size).toBe(big.length)
  expect(got.equals(big.subarray(offset, offset + length))).toBe(true)
  expect(source.asked).toEqual(['open a.example/lib/app whole'])
})

test('I4: a range that is the whole blob is verified like one', async () => {
  const { content, source } = await contentWorld()
  const link = linkTo(big, first)
  source.put(first, link.digest, { bytes: flipped(big, 7) })
  const { reader } = await content.open(link, { start: 0 })
  expect(await given(reader)).toMatchObject({ error: { upstream: { reason: 'BadDigest' } } })
})

test('a range that no byte is in asks no location', async () => {
  const { content, source } = await contentWorld()
  const link = linkTo(small, first)
  await expect(content.open(link, { start: 100 })).rejects.toMatchObject({
    code: 'RANGE_INVALID',
    detail: { size: small.length },
  })
  expect(source.asked).toEqual([])
})

test('a client that leaves before its first byte ends the upstream request, and asks no other location', async () => {
  const { content, source, directory } = await contentWorld({ finishBytes: 0 })
  const link = linkTo(big, first, second)
  source.put(first, link.digest, { bytes: big, stallsAfter: 0 })
  source.put(second, link.digest, { bytes: big })
  const left = new AbortController()
  const opened = content.open(link, { start: 250_000 }, left.signal)
  await expect.poll(() => source.bodies.length, soon).toBe(1)
  left.abort()
  await expect(opened).rejects.toThrow()
  await expect.poll(() => source.bodies[0]?.destroyed, soon).toBe(true)
  expect(source.asked).toHaveLength(1)
  await expect.poll(() => unfinished(directory), soon).toEqual([])
})

test('a client that left before it asks nothing', async () => {
  const { content, source } = await contentWorld()
  const link = linkTo(big, first, second)
  source.put(first, link.digest, { bytes: big })
  await expect(content.open(link, undefined, AbortSignal.abort())).rejects.toThrow()
  expect(source.asked).toEqual([])
})

test('closing ends open readers with an error, and leaves nothing unfinished', async () => {
  const { content, source, directory } = await contentWorld()
  const link = linkTo(big, first)
  source.put(first, link.digest, { bytes: big, stallsAfter: 100_000 })
  const { reader } = await content.open(link)
  const got = given(reader)
  await content.close()
  expect((await got).error).toMatchObject({ code: 'UNAVAILABLE' })
  expect(source.bodies[0]?.destroyed).toBe(true)
  expect(await unfinished(directory)).toEqual([])
  await expect(content.open(link)).rejects.toThrow()
})

test('closing ends what waits for its first byte, and no other location is asked', async () => {
  const { content, source } = await contentWorld()
  const link = linkTo(small, first, second)
  source.put(first, link.digest, { bytes: small, stallsAfter: 5 })
  source.put(second, link.digest, { bytes: small })
  const opened = content.open(link)
  const failed = expect(opened).rejects.toThrow()
  await expect.poll(() => source.bodies.length, soon).toBe(1)
  await content.close()
  await failed
  expect(source.asked).toEqual(['open a.example/lib/app whole'])
})

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}
