import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type {
  BlobReader,
  BlobSource,
  Content,
  Link,
  RangeRequest,
  UpstreamLocation,
} from '../../src/content/content.ts'
import { readAll } from '../../src/content/reader.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { connectionLost } from './scripted-source.ts'
import { contentWorld, first, linkTo, second } from './world.ts'

/** What becomes of one request. Offsets are in the answer. */
interface Behaviour {
  refuses?: 'DENIED' | 'UNAVAILABLE'
  pieceBytes: number
  /** Lets others run after so many pieces. */
  pausesEvery: number
  cutAfter?: number
  endsAfter?: number
  flipAt?: number
  more?: number
  ignoresRange?: boolean
  isLate?: boolean
  tellsSize: boolean
  etag?: string
}

interface Client {
  link: number
  range: RangeRequest | undefined
  /** Comes after so many turns, and reads a piece each so many. */
  comesAfter: number
  readsEvery: number
  leavesAfter: number | undefined
  fetches: boolean
}

const links: UpstreamLocation[][] = [[first], [second], [first, second], [second, first]]
const size = fc.oneof(fc.nat(200), fc.integer({ min: 60_000, max: 300_000 }), fc.constantFrom(0, 1, 65_536, 65_537))
const behaviour: fc.Arbitrary<Behaviour> = fc.record(
  {
    refuses: fc.constantFrom('DENIED' as const, 'UNAVAILABLE' as const),
    pieceBytes: fc.integer({ min: 50, max: 100_000 }),
    pausesEvery: fc.integer({ min: 1, max: 10 }),
    cutAfter: fc.nat(300_000),
    endsAfter: fc.nat(300_000),
    flipAt: fc.nat(300_000),
    more: fc.integer({ min: 1, max: 100 }),
    ignoresRange: fc.boolean(),
    isLate: fc.boolean(),
    tellsSize: fc.boolean(),
    etag: fc.constantFrom('"a"', '"b"'),
  },
  { requiredKeys: ['pieceBytes', 'pausesEvery', 'tellsSize'] },
)
/** Most do as they are asked, at least in the end. */
const behaviours: fc.Arbitrary<Behaviour[]> = fc.array(
  fc.oneof(
    behaviour,
    fc.record({ pieceBytes: fc.integer({ min: 500, max: 100_000 }), pausesEvery: fc.nat(5), tellsSize: fc.boolean() }),
    fc.record({
      pieceBytes: fc.integer({ min: 500, max: 100_000 }),
      pausesEvery: fc.nat(5),
      tellsSize: fc.boolean(),
      cutAfter: fc.nat(200_000),
    }),
  ),
  { minLength: 1, maxLength: 8 },
)
const range = fc.oneof(
  fc.constant(undefined),
  fc.constant(undefined),
  fc.record({ start: fc.nat(300_000) }),
  fc.record({ end: fc.integer({ min: 1, max: 100_000 }) }),
  fc.tuple(fc.nat(300_000), fc.nat(10_000)).map(([start, more]) => ({ start, end: start + more })),
)
const client: fc.Arbitrary<Client> = fc.record({
  link: fc.nat(links.length - 1),
  range,
  comesAfter: fc.nat(20),
  readsEvery: fc.nat(5),
  leavesAfter: fc.option(fc.nat(200_000), { nil: undefined }),
  fetches: fc.nat(5).map((dice) => dice === 0),
})

/** A source whose requests go as the next behaviour says, the last one for ever. */
function actingSource(whole: () => Buffer, acts: () => Behaviour[], bodies: { isClosed: boolean }[]): BlobSource {
  let asked = 0
  return {
    size: async () => whole().length,
    async open(_location, _digest, wanted, signal) {
      const list = acts()
      const act = list[asked % list.length] as Behaviour
      asked += 1
      await setImmediate()
      signal.throwIfAborted()
      if (act.refuses === 'UNAVAILABLE') throw connectionLost()
      if (act.refuses === 'DENIED') throw new RegistryError('DENIED')
      const start = act.ignoresRange === true ? 0 : (wanted?.start ?? 0) + (act.isLate === true ? 1 : 0)
      const end = act.ignoresRange === true ? whole().length : (wanted?.end ?? whole().length - 1) + 1
      const sent = Buffer.concat([whole().subarray(start, end), Buffer.alloc(act.more ?? 0)])
      if (act.flipAt !== undefined && act.flipAt < sent.length) sent[act.flipAt] = (sent[act.flipAt] ?? 0) ^ 4
      const body = actingBody(sent, act)
      bodies.push(body)
      return {
        offset: start,
        size: act.tellsSize ? whole().length : undefined,
        body,
        ...(act.etag === undefined ? {} : { etag: act.etag }),
      }
    },
  }
}

function actingBody(sent: Buffer, act: Behaviour): BlobReader & { isClosed: boolean } {
  let at = 0
  let pieces = 0
  const stop = Math.min(act.cutAfter ?? sent.length, act.endsAfter ?? sent.length, sent.length)
  return {
    isClosed: false,
    async read() {
      if (act.pausesEvery > 0 && ++pieces % act.pausesEvery === 0) await setImmediate()
      if (this.isClosed) throw new Error('closed')
      if (at < stop) {
        const piece = sent.subarray(at, Math.min(at + act.pieceBytes, stop))
        at += piece.length
        return piece
      }
      if (at === act.cutAfter) throw connectionLost()
      return undefined
    },
    close() {
      this.isClosed = true
    },
  }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await setImmediate()
}

/** What a client got; nothing when it failed or left. */
async function got(content: Content, link: Link, plan: Client): Promise<{ offset: number; bytes: Buffer } | undefined> {
  await turns(plan.comesAfter)
  if (plan.fetches) {
    await content.fetch(link, { signal: AbortSignal.timeout(20_000) }).catch(() => undefined)
    return undefined
  }
  const opened = await content.open(link, plan.range).catch(() => undefined)
  if (opened === undefined) return undefined
  const pieces: Buffer[] = []
  let received = 0
  try {
    for (let piece = await opened.reader.read(); piece !== undefined; piece = await opened.reader.read()) {
      pieces.push(Buffer.from(piece))
      received += piece.length
      if (plan.leavesAfter !== undefined && received >= plan.leavesAfter) return undefined
      await turns(plan.readsEvery)
    }
  } catch {
    return undefined
  } finally {
    opened.reader.close()
    expect(received).toBeLessThanOrEqual(opened.length)
  }
  expect(received).toBe(opened.length)
  return { offset: opened.offset, bytes: Buffer.concat(pieces) }
}

test('I4, I10: whatever upstreams and clients do, who gets all gets what is right, and only that is held', async () => {
  let whole = Buffer.alloc(0)
  let acts: Behaviour[] = []
  const bodies: { isClosed: boolean }[] = []
  const source = actingSource(
    () => whole,
    () => acts,
    bodies,
  )
  const outcomes = { right: 0, nothing: 0, held: 0, notHeld: 0 }
  let runs = 0
  const { content, directory } = await contentWorld({ source, finishBytes: 100_000 })
  await fc.assert(
    fc.asyncProperty(
      size,
      behaviours,
      fc.array(client, { minLength: 1, maxLength: 6 }),
      async (bytes, plan, clients) => {
        runs += 1
        const seed = Buffer.from(`${runs} `)
        whole = Buffer.concat([Buffer.alloc(bytes, Buffer.concat([seed, Buffer.from('0123456789abcdef')]))])
        acts = plan
        const mayBeWrong = plan.some(({ flipAt }) => flipAt !== undefined)
        const linked = links.map((locations) => linkTo(whole, ...locations))
        const results = await Promise.all(clients.map((each) => got(content, linked[each.link] as Link, each)))
        for (const result of results) {
          outcomes[result === undefined ? 'nothing' : 'right'] += 1
          if (result === undefined || (mayBeWrong && result.bytes.length < whole.length)) continue
          const wanted = whole.subarray(result.offset, result.offset + result.bytes.length)
          expect(result.bytes.equals(wanted)).toBe(true)
        }
        while (content.counters.downloads > 0) await setImmediate()
        expect(await readdir(join(directory, 'partial'))).toEqual([])
        expect(bodies.filter(({ isClosed }) => !isClosed)).toEqual([])
        bodies.length = 0
        acts = [{ refuses: 'DENIED', pieceBytes: 1, pausesEvery: 1, tellsSize: true }]
        for (const link of linked) {
          const held = await content.held(link)
          outcomes[held === undefined ? 'notHeld' : 'held'] += 1
          if (held !== undefined) expect((await readAll(await content.open(link))).equals(whole)).toBe(true)
        }
      },
    ),
    { numRuns: 300 },
  )
  for (const count of Object.values(outcomes)) expect(count).toBeGreaterThan(100)
})
