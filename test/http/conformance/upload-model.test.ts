/** Any sequence of requests about uploads against what a few lines say of it. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type DigestAlgorithm, digestOf } from '../../../src/oci/digest.ts'
import { type Ask, addQuery, type Registry, told, useRegistry } from './registry.ts'

const registry = useRegistry()
const root = '/v2/demo/model'
const uploads = `${root}/blobs/uploads/`
const maxUploads = 3

/** A piece, and how its range differs from what is right. */
interface Piece {
  bytes: Buffer
  /** Undefined sends no range. */
  off: { start: number; length: number } | undefined
  chunked: boolean
}

type Step =
  | { kind: 'begin' }
  | { kind: 'status' | 'cancel'; upload: number }
  | { kind: 'append'; upload: number; piece: Piece }
  | { kind: 'finish'; upload: number; piece: Piece | undefined; digest: DigestAlgorithm | 'other' | 'bad' | 'none' }

const piece: fc.Arbitrary<Piece> = fc.record({
  bytes: fc.uint8Array({ minLength: 1, maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
  off: fc.option(
    fc.record({
      start: fc.oneof(
        { weight: 4, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: -40, max: 40 }) },
      ),
      length: fc.oneof(
        { weight: 4, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: -3, max: 3 }) },
      ),
    }),
    { nil: undefined },
  ),
  chunked: fc.boolean(),
})
const upload = fc.nat({ max: maxUploads - 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<Step>({ kind: 'begin' }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('append' as const), upload, piece }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('status' as const, 'cancel' as const), upload }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('finish' as const),
      upload,
      piece: fc.option(piece, { nil: undefined }),
      digest: fc.constantFrom('sha256' as const, 'sha512' as const, 'other' as const, 'bad' as const, 'none' as const),
    }),
  },
)

/** What an upload is: `bytes` is undefined when it is not there any more. */
interface Known {
  location: string
  bytes: Buffer | undefined
}

/** The range that is sent with a piece; undefined for what can be none. */
function rangeOf({ bytes, off }: Piece, known: Known): { start: number; length: number } | undefined {
  if (off === undefined) return undefined
  const start = Math.max((known.bytes?.length ?? 0) + off.start, 0)
  return { start, length: Math.max(bytes.length + off.length, 1) }
}

function askOf(sent: Piece, range: { start: number; length: number } | undefined): Ask {
  const { bytes: body, chunked } = sent
  if (range === undefined) return { body, chunked }
  return { body, chunked, headers: { 'content-range': `${range.start}-${range.start + range.length - 1}` } }
}

/** What becomes of a piece: the status of a refusal, or the upload with it. */
function take(sent: Piece, known: Known): number | Buffer {
  const range = rangeOf(sent, known)
  const isWrong = range !== undefined && range.length !== sent.bytes.length
  if (isWrong && !sent.chunked) return 400
  if (known.bytes === undefined) return 404
  if (range !== undefined && range.start !== known.bytes.length) return 416
  return isWrong ? 400 : Buffer.concat([known.bytes, sent.bytes])
}

const rangeHeader = ({ bytes }: Known) => `0-${Math.max((bytes?.length ?? 0) - 1, 0)}`

async function play(of: Registry, steps: readonly Step[]): Promise<void> {
  const known: Known[] = []
  const blobs = new Map<string, Buffer>()
  for (const each of steps) {
    if (each.kind === 'begin') {
      if (known.filter(({ bytes }) => bytes !== undefined).length >= maxUploads) continue
      const answer = await of.ask('POST', uploads)
      expect([answer.status, answer.headers.range]).toEqual([202, '0-0'])
      known.unshift({ location: String(answer.headers.location), bytes: Buffer.alloc(0) })
      continue
    }
    const one = known[each.upload]
    if (one === undefined) continue
    if (each.kind === 'append') await append(of, one, each.piece)
    else if (each.kind === 'finish') await finish(of, one, each, blobs)
    else await look(of, one, each.kind)
  }
  for (const one of known) {
    await look(of, one, 'status')
    if (one.bytes !== undefined) await look(of, one, 'cancel')
  }
  for (const [digest, bytes] of blobs) {
    expect((await of.ask('GET', `${root}/blobs/${digest}`)).body.equals(bytes)).toBe(true)
  }
}

async function look({ ask }: Registry, one: Known, kind: 'status' | 'cancel'): Promise<void> {
  const answer = await ask(kind === 'status' ? 'GET' : 'DELETE', one.location)
  expect(answer.status, told(answer)).toBe(one.bytes === undefined ? 404 : 204)
  if (one.bytes !== undefined && kind === 'status') expect(answer.headers.range).toBe(rangeHeader(one))
  if (kind === 'cancel') one.bytes = undefined
}

async function append({ ask }: Registry, one: Known, sent: Piece): Promise<void> {
  const answer = await ask('PATCH', one.location, askOf(sent, rangeOf(sent, one)))
  const taken = take(sent, one)
  expect(answer.status, told(answer)).toBe(typeof taken === 'number' ? taken : 202)
  if (typeof taken !== 'number') one.bytes = taken
  if ([202, 416].includes(answer.status)) {
    expect(answer.headers).toMatchObject({ range: rangeHeader(one), location: one.location })
  }
}

async function finish(
  { ask }: Registry,
  one: Known,
  { piece: last, digest: how }: Extract<Step, { kind: 'finish' }>,
  blobs: Map<string, Buffer>,
): Promise<void> {
  const taken = last === undefined ? (one.bytes ?? 404) : take(last, one)
  const whole = typeof taken === 'number' ? Buffer.alloc(0) : taken
  const digest =
    how === 'bad' ? 'sha256:0' : how === 'other' ? digestOf('another') : how === 'none' ? '' : digestOf(whole, how)
  const path = how === 'none' ? one.location : addQuery(one.location, { digest })
  const answer = await ask('PUT', path, last === undefined ? {} : askOf(last, rangeOf(last, one)))
  const isRead = how !== 'bad' && how !== 'none'
  const expected = !isRead ? 400 : typeof taken === 'number' ? taken : how === 'other' ? 400 : 201
  expect(answer.status, told(answer)).toBe(expected)
  // A digest that is another ends it; what was not read at all leaves it as it was.
  if (isRead && typeof taken !== 'number') one.bytes = undefined
  if (expected === 201) blobs.set(digest, whole)
  if (expected === 416) expect(answer.headers).toMatchObject({ range: rangeHeader(one), location: one.location })
}

test('each request of any sequence is answered as the model says, and what is whole can be had', {
  timeout: 180_000,
}, async () => {
  const steps = fc.array(step, { minLength: 3, maxLength: 14 }).map((more): Step[] => [{ kind: 'begin' }, ...more])
  await fc.assert(
    fc.asyncProperty(steps, (each) => play(registry(), each)),
    { numRuns: 200 },
  )
})
