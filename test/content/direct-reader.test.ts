/** What one reader gets for itself, straight from upstream. */
import { expect, test } from 'vitest'
import type { BlobReader, UpstreamLocation } from '../../src/content/content.ts'
import { createCounters } from '../../src/content/counters.ts'
import { createDirectReader } from '../../src/content/direct-reader.ts'
import { digestOf, hashFor } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { given } from '../support/given.ts'
import { type MemorySource, memorySource } from './memory-source.ts'
import { first, second } from './world.ts'

/** For what a busy machine takes longer to do. */
const soon = { timeout: 10_000 }

const big = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251))
const digest = digestOf(big)

interface Options {
  locations?: UpstreamLocation[]
  start?: number
  end?: number
  isVerified?: boolean
  signal?: AbortSignal
}

function direct(source: MemorySource, options: Options = {}): BlobReader {
  const { locations = [first], start = 0, end = big.length, isVerified = false, signal } = options
  return createDirectReader(
    { digest, size: big.length, start, end, locations, ...(isVerified ? { verify: { hash: hashFor(digest) } } : {}) },
    {
      source,
      counters: createCounters(),
      pause: async () => undefined,
      signal: signal ?? new AbortController().signal,
    },
  )
}

const part = { start: 100_000, end: 250_001 }
const wanted = big.subarray(part.start, part.end)

test.each([false, true])('a part is asked for by Range and passed on (Range ignored: %s)', async (ignoresRange) => {
  const source = memorySource()
  source.put(first, digest, { bytes: big, ignoresRange })
  expect((await given(direct(source, part))).bytes.equals(wanted)).toBe(true)
  expect(source.asked).toEqual(['open a.example/lib/app 100000-250000'])
  expect(source.bodies[0]?.destroyed).toBe(true)
})

test.each<[string, Parameters<MemorySource['put']>[2]]>([
  ['ends early', { bytes: big.subarray(0, 120_000), size: null }],
  ['ends before it', { bytes: big.subarray(0, 90_000), size: null }],
  ['begins late', { bytes: big, beginsLate: 10 }],
  ['is of another size', { bytes: big, size: big.length - 1 }],
])('a part that %s is an error', async (_, blob) => {
  const source = memorySource()
  source.put(first, digest, blob)
  const got = await given(direct(source, part))
  expect(got.error).toMatchObject({ upstream: { reason: 'BadDigest' } })
  expect(got.bytes.length).toBeLessThanOrEqual(20_000)
  expect(source.bodies.every((body) => body.destroyed)).toBe(true)
})

test('a location that has no such range of the blob has a wrong blob, and another may have the right one', async () => {
  const source = memorySource()
  source.fail(first, new RegistryError('RANGE_INVALID'))
  expect((await given(direct(source, part))).error).toMatchObject({
    code: 'UNAVAILABLE',
    upstream: { reason: 'BadDigest' },
  })
  source.put(second, digest, { bytes: big })
  expect((await given(direct(source, { ...part, locations: [first, second] }))).bytes.equals(wanted)).toBe(true)
})

test('a part that breaks off again and again is asked for from where it broke, as long as it gets on', async () => {
  const source = memorySource()
  source.put(first, digest, { bytes: big, failsAfter: 20_000 })
  expect((await given(direct(source, part))).bytes.equals(wanted)).toBe(true)
  expect(source.asked).toHaveLength(8)
  expect(source.asked[1]).toBe('open a.example/lib/app 120000-250000')
})

test('one that comes a few bytes at a time is given up', async () => {
  const source = memorySource()
  source.put(first, digest, { bytes: big, failsAfter: 1000 })
  expect((await given(direct(source, part))).error).toMatchObject({ message: 'connection lost' })
  expect(source.asked.length).toBeLessThanOrEqual(100)
})

test('where another location can go on, one that breaks off is given up sooner', async () => {
  const source = memorySource()
  source.put(first, digest, { bytes: big, failsAfter: 0 })
  source.put(second, digest, { bytes: big })
  expect((await given(direct(source, { ...part, locations: [first, second] }))).bytes.equals(wanted)).toBe(true)
  expect(source.asked).toHaveLength(4)
})

test('I4: a whole is verified, from several locations too, and its end held back', async () => {
  const source = memorySource()
  const wrong = Buffer.from(big)
  wrong[10] = (wrong[10] ?? 0) ^ 1
  source.put(first, digest, { bytes: wrong, failsAfter: 20_000 })
  source.fail(second, new RegistryError('DENIED'))
  const got = await given(direct(source, { locations: [second, first], isVerified: true }))
  expect(got.error).toMatchObject({ upstream: { host: first.host, reason: 'BadDigest' } })
  expect(got.bytes.length).toBeLessThanOrEqual(big.length - 64 * 1024)
})

test('I4: who has got wrong bytes is told so, and gets no others in their place', async () => {
  const source = memorySource()
  const wrong = Buffer.from(big)
  wrong[10] = (wrong[10] ?? 0) ^ 1
  source.put(first, digest, { bytes: wrong })
  source.put(second, digest, { bytes: big })
  const got = await given(direct(source, { locations: [first, second], isVerified: true }))
  expect(got.error).toMatchObject({ upstream: { host: first.host, reason: 'BadDigest' } })
  expect(got.bytes.length).toBeLessThanOrEqual(big.length - 64 * 1024)
})

test('of a whole that can not be given out before it is verified, another location may have the right bytes', async () => {
  const source = memorySource()
  const small = Buffer.from('a small blob')
  const request = { digest: digestOf(small), size: small.length, start: 0, end: small.length }
  source.put(first, request.digest, { bytes: Buffer.from('another blob') })
  source.put(second, request.digest, { bytes: small })
  const reader = createDirectReader(
    { ...request, locations: [first, second], verify: { hash: hashFor(digest) } },
    { source, counters: createCounters(), pause: async () => undefined, signal: new AbortController().signal },
  )
  expect((await given(reader)).bytes).toEqual(small)
})

test('a reader that reads nothing makes the upstream wait', async () => {
  const source = memorySource()
  const huge = Buffer.alloc(8 * 1024 * 1024)
  source.put(first, digest, { bytes: huge, size: null })
  const reader = direct(source)
  await reader.read()
  expect(source.bodies[0]?.readableEnded).toBe(false)
  reader.close()
  expect(source.bodies[0]?.destroyed).toBe(true)
})

test('closing ends a read that waits, also between two attempts', async () => {
  const source = memorySource()
  source.put(first, digest, { bytes: big, stallsAfter: 0 })
  const reader = direct(source)
  const reading = reader.read()
  await expect.poll(() => source.bodies.length, soon).toBe(1)
  reader.close()
  await expect(reading).rejects.toThrow('closed')
  const left = new AbortController()
  const other = direct(source, { signal: left.signal }).read()
  left.abort(new Error('left'))
  await expect(other).rejects.toThrow('left')
  expect(source.bodies.every((body) => body.destroyed)).toBe(true)
})
