/** Bytes over real HTTP from an upstream that does whatever it likes with them. */
import fc from 'fast-check'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import type { Content, Link, RangeRequest } from '../../src/content/content.ts'
import { readAll } from '../../src/content/reader.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { createBlobSource } from '../../src/pull-through/blob-source.ts'
import { createUpstream } from '../../src/upstream/client.ts'
import { type BlobFault, type BlobUpstream, startBlobUpstream } from '../support/blob-upstream.ts'
import { type GeneratedBlob, generatedBlob } from '../support/generated-blob.ts'
import { contentWorld } from './world.ts'

const size = 400_000
let blobs = 0

interface HostileWorld {
  content: Content
  upstream: BlobUpstream
  /** A blob that was never asked for. */
  blob(): { link: Link; bytes: Buffer }
}

async function hostileWorld(): Promise<HostileWorld> {
  const upstream = await startBlobUpstream()
  onTestFinished(() => upstream.close())
  const client = createUpstream({
    rules: [{ host: upstream.host, insecure: true }],
    credentialsFor: () => [],
    userAgent: 'weir/test',
    log: pino({ level: 'silent' }),
    now: Date.now,
    retry: { baseMs: 1 },
    timeouts: { blobIdleMs: 150 },
  })
  onTestFinished(() => client.close())
  const { content } = await contentWorld({ source: createBlobSource(client) })
  return {
    content,
    upstream,
    blob() {
      blobs += 1
      const made = generatedBlob(`hostile ${blobs}`, size)
      upstream.put('lib/app', 'v1', [made])
      return { link: linkTo(upstream, made), bytes: Buffer.concat([...made.pieces()]) }
    },
  }
}

function linkTo({ host }: BlobUpstream, { digest, mediaType }: GeneratedBlob): Link {
  return { digest, mediaType, size, locations: [{ kind: 'upstream', host, repository: 'lib/app', project: 'demo' }] }
}

/** All that a reader gave out, and whether it said that this is all. */
async function read(content: Content, link: Link, range?: RangeRequest): Promise<{ isWhole: boolean; bytes: Buffer }> {
  const pieces: Buffer[] = []
  try {
    const { reader } = await content.open(link, range)
    try {
      for (let piece = await reader.read(); piece !== undefined; piece = await reader.read())
        pieces.push(Buffer.from(piece))
    } finally {
      reader.close()
    }
  } catch {
    return { isWhole: false, bytes: Buffer.concat(pieces) }
  }
  return { isWhole: true, bytes: Buffer.concat(pieces) }
}

test('an upstream that stalls is asked for the rest, by a range', async () => {
  const { content, upstream, blob } = await hostileWorld()
  const { link, bytes } = blob()
  upstream.fault = (_, before) => (before < 2 ? { stallAt: 100_000 * (before + 1) } : undefined)
  expect(digestOf((await read(content, link)).bytes)).toBe(digestOf(bytes))
  expect(upstream.gets(link.digest).map(({ range }) => range)).toEqual([
    undefined,
    expect.stringMatching(/^bytes=100000-/),
    expect.stringMatching(/^bytes=200000-/),
  ])
  expect(content.counters.resumes).toBe(2)
})

test('an upstream that stalls at the same byte for ever fails its readers, and keeps nothing', async () => {
  const { content, upstream, blob } = await hostileWorld()
  const { link } = blob()
  upstream.fault = () => ({ stallAt: 100_000 })
  expect(await read(content, link)).toMatchObject({ isWhole: false })
  expect(await content.held(link)).toBeUndefined()
  upstream.fault = () => undefined
  expect(await read(content, link)).toMatchObject({ isWhole: true })
})

test('one that breaks off after each few bytes is resumed as long as it gets on', async () => {
  const { content, upstream, blob } = await hostileWorld()
  const { link, bytes } = blob()
  upstream.fault = (_, before) => ({ cutAt: 30_000 * (before + 1) })
  const got = await read(content, link)
  expect(got.isWhole).toBe(true)
  expect(got.bytes.equals(bytes)).toBe(true)
  expect(upstream.gets(link.digest).length).toBeGreaterThan(10)
  expect(upstream.sentBytes(link.digest)).toBeLessThan(size * 1.5)
})

const offset = fc.integer({ min: 0, max: size - 1 })
const fault: fc.Arbitrary<BlobFault> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ cutAt: offset }) },
  fc.record({ endAt: offset }),
  fc.record({ flipAt: offset }),
  fc.record({ flipAt: offset, cutAt: offset }),
  fc.record({ ignoresRange: fc.constant(true), cutAt: offset }),
  fc.record({ ignoresRange: fc.constant(true), flipAt: offset }),
  fc.record({ claimsOffset: offset }),
  fc.record({ claimsSize: fc.integer({ min: 1, max: 2 * size }) }),
  fc.record({ sendsFrom: offset }),
  fc.record({ status: fc.constantFrom(200, 206, 304, 400, 404, 416, 429, 500, 503) }),
  fc.record({ isEndless: fc.constant(true) }),
  fc.record({ isEndless: fc.constant(true), flipAt: offset }),
  fc.record({
    headers: fc.constantFrom({ etag: '"other"' }, { 'content-encoding': 'gzip' }, { 'content-type': 'text/html' }),
  }),
)
const range: fc.Arbitrary<RangeRequest> = fc.oneof(
  fc.record({ start: offset }),
  fc.record({ end: fc.integer({ min: 1, max: size }) }),
  fc.tuple(offset, offset).map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) })),
)

test('I4: whatever an upstream does, what ends well is right, and only what is right is held', async () => {
  const { content, upstream, blob } = await hostileWorld()
  await fc.assert(
    fc.asyncProperty(fc.array(fault, { maxLength: 5 }), fc.array(range, { maxLength: 2 }), async (faults, ranges) => {
      const { link, bytes } = blob()
      upstream.requests.length = 0
      upstream.fault = (_, before) => faults[before]
      const [whole, again, ...parts] = await Promise.all([
        read(content, link),
        read(content, link),
        ...ranges.map((each) => read(content, link, each)),
      ])
      for (const got of [whole, again]) if (got?.isWhole) expect(got.bytes.equals(bytes)).toBe(true)
      for (const [i, got] of parts.entries()) {
        const { start, end } = ranges[i] ?? {}
        const wanted = start === undefined ? bytes.subarray(-(end ?? 0)) : bytes.subarray(start, (end ?? size) + 1)
        // A range may be given out before all is verified: but never more of it than was asked for.
        expect(got.bytes.length).toBeLessThanOrEqual(wanted.length)
        if (got.isWhole) expect(got.bytes.length).toBe(wanted.length)
      }
      upstream.fault = () => undefined
      if ((await content.held(link)) !== undefined)
        expect((await readAll(await content.open(link))).equals(bytes)).toBe(true)
      const healed = await read(content, link)
      expect(healed.isWhole && healed.bytes.equals(bytes), 'the upstream is good again').toBe(true)
    }),
    { numRuns: 200 },
  )
}, 60_000)
