import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RegistryError } from '../../src/oci/errors.ts'
import type { StreamName } from '../../src/oci/reference.ts'
import type { FollowersRecord, LedgerEntry, Notice, TagRecord } from '../../src/streams/records.ts'
import type { TagChange } from '../../src/streams/streams.ts'
import { digest, event, type World, wanted, world } from './world.ts'

/** What is done to one tag. */
type Act =
  | { does: 'push' | 'scheduled' | 'rollback'; image: string }
  | { does: 'follow'; source: string; whole: boolean }
  | { does: 'unfollow' | 'remove' | 'resume' }

/** One commit: what is done to which tags at once. */
type Step = Map<string, Act>

/** A tag in few words. */
interface State {
  image?: string | undefined
  /** The source's name as it was written; undefined without a spec. */
  from?: string | undefined
  source?: string | undefined
  held: boolean
}

const tags = ['a', 'b', 'c', 'd', 'e']
const images = fc.constantFrom('1', '2', '3')

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constantFrom('push', 'scheduled'), image: images }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('rollback' as const), image: images }) },
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant('follow' as const),
      source: fc.constantFrom(...tags),
      whole: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constantFrom('unfollow', 'remove', 'resume') }) },
)

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc
    .uniqueArray(fc.tuple(fc.constantFrom(...tags), act), { minLength: 1, maxLength: 3, selector: ([tag]) => tag })
    .map((acts) => new Map(acts)),
  { minLength: 1, maxLength: 10 },
)

function changeOf(tag: string, act: Act, stream: string): TagChange {
  switch (act.does) {
    case 'push':
    case 'scheduled':
    case 'rollback':
      return { event: event(act.image, act.does) }
    case 'follow': {
      const from = { kind: 'ImageStreamTag' as const, name: nameOf(act, stream) }
      return { spec: { ...wanted(tag), from }, wantedBy: { by: 'carol' } }
    }
    case 'unfollow':
      return { spec: null }
    case 'remove':
      return { remove: { cause: { kind: 'delete', by: 'alice' } } }
    case 'resume':
      return { hold: null }
  }
}

const nameOf = ({ source, whole }: Extract<Act, { does: 'follow' }>, stream: string) =>
  whole ? `${stream}:${source}` : source

/**
 * What a step comes to, by one pass over all tags, sources first; undefined when it is refused. Written down from okd.md 2.4,
 * without a thought about records.
 */
function model(before: ReadonlyMap<string, State>, step: Step, stream: string) {
  const next = new Map(before)
  let isOfSpec = false
  for (const [tag, act] of step) {
    const state = before.get(tag) ?? { held: false }
    if (act.does === 'follow') {
      const from = nameOf(act, stream)
      if (state.held && from !== state.from) return undefined
      isOfSpec ||= from !== state.from
      next.set(tag, { ...state, from, source: act.source })
    }
    if (act.does === 'push' && state.held && act.image !== state.image) return undefined
    if (act.does === 'unfollow' || act.does === 'remove') {
      isOfSpec ||= state.from !== undefined
      next.set(tag, { ...state, from: undefined, source: undefined })
    }
  }
  for (const tag of tags) {
    const seen = new Set([tag])
    for (let at = next.get(tag)?.source; at !== undefined; at = next.get(at)?.source) {
      if (seen.has(at)) return undefined
      seen.add(at)
    }
  }
  const depth = (tag: string): number => {
    const source = next.get(tag)?.source
    return source === undefined ? 0 : 1 + depth(source)
  }
  for (const tag of tags.toSorted((a, b) => depth(a) - depth(b))) {
    const was = before.get(tag) ?? { held: false }
    const state = { ...(next.get(tag) ?? { held: false }) }
    const act = step.get(tag)
    const source = state.source === undefined ? undefined : next.get(state.source)?.image
    const sourceWas = state.source === undefined ? undefined : before.get(state.source)?.image
    if (act?.does === 'push' || (act?.does === 'scheduled' && !state.held)) state.image = act.image
    if (act?.does === 'rollback') Object.assign(state, { image: act.image, held: true })
    if (act?.does === 'remove') Object.assign(state, { image: undefined, held: false })
    if (act?.does === 'follow' && was.from !== state.from) state.image = source ?? state.image
    if (act?.does === 'resume') {
      if (state.held) state.image = source ?? state.image
      state.held = false
    }
    if (source !== undefined && source !== sourceWas && !state.held) state.image = source
    next.set(tag, state)
  }
  return { next, isOfSpec }
}

interface Records {
  tags: Map<string, TagRecord>
  raw: Map<string, string>
  ledgers: Map<string, LedgerEntry[]>
  followers: Map<string, string[]>
  generation: number
}

async function recordsOf(w: World, name: StreamName): Promise<Records> {
  const path = `${name.project}/${name.stream}`
  const entries = async (prefix: string) => w.dump(`${prefix}/${path}/`)
  const last = (key: string) => key.slice(key.lastIndexOf('/') + 1)
  const [tagEntries, events, followers] = await Promise.all(['tag', 'event', 'index/followers'].map(entries))
  const ledgers = new Map<string, LedgerEntry[]>()
  for (const { key, value } of events ?? []) {
    const [tag = ''] = last(key).split('!')
    ledgers.set(tag, [...(ledgers.get(tag) ?? []), JSON.parse(value) as LedgerEntry])
  }
  return {
    tags: new Map((tagEntries ?? []).map(({ key, value }) => [last(key), JSON.parse(value) as TagRecord])),
    raw: new Map((tagEntries ?? []).map(({ key, value }) => [last(key), value])),
    ledgers,
    followers: new Map(
      (followers ?? []).map(({ key, value }) => [last(key), (JSON.parse(value) as FollowersRecord).followers]),
    ),
    generation: (await w.reader.stream(name))?.generation ?? 0,
  }
}

test('I2, I3: tags, those that follow them, holds and deletions do what the model does, and write nothing else', async () => {
  const w = await world()
  let run = 0
  await fc.assert(
    fc.asyncProperty(steps, async (life) => {
      const name = { project: 'demo', stream: `s${run++}` }
      await w.writer.create(name)
      let state: ReadonlyMap<string, State> = new Map()
      let records = await recordsOf(w, name)
      for (const step of life) {
        const expected = model(state, step, name.stream)
        const [[tag, act] = ['', undefined], ...others] = step
        const changes = new Map([...step].map(([tag, act]) => [tag, changeOf(tag, act, name.stream)]))
        const single = act && changeOf(tag, act, name.stream)
        w.faults.commits = []
        const outcome = await (others.length === 0
          ? w.writer.changeTag(name, tag, () => single)
          : w.writer.changeStream(name, () => ({ tags: changes }))
        ).catch((error: unknown) => error as Error)
        const after = await recordsOf(w, name)
        if (expected === undefined) {
          expect(outcome).toBeInstanceOf(RegistryError)
          expect(outcome).toMatchObject({ code: 'INVALID' })
          expect(after).toEqual(records)
          continue
        }
        expect(outcome).toMatchObject({ changed: expect.any(Boolean) })
        expect(w.faults.commits.length).toBeLessThanOrEqual(1)
        for (const each of tags) {
          const was = records.tags.get(each)
          const is = after.tags.get(each)
          const want = expected.next.get(each)
          expect(is?.items[0]?.image, `${each} after ${JSON.stringify([...step])}`).toBe(
            want?.image === undefined ? undefined : digest(want.image),
          )
          expect(is?.hold !== undefined).toBe(want?.held ?? false)
          expect(is?.spec?.from?.name).toBe(want?.from)
          // The ledger is appended to, and says where the tag stands and where it stood.
          const ledger = after.ledgers.get(each) ?? []
          const earlier = records.ledgers.get(each) ?? []
          expect(ledger.slice(0, earlier.length)).toEqual(earlier)
          expect(ledger.map(({ revision }) => revision)).toEqual(ledger.map((_, i) => i + 1))
          expect(is?.revision ?? 0).toBe(ledger.length)
          if (is?.items[0] !== undefined) expect(ledger[is.current - 1]?.image).toBe(is.items[0].image)
          if (ledger.length > earlier.length) {
            expect(ledger[earlier.length]?.previousImage).toBe(was?.items[0]?.image)
          }
          // Nobody is touched who is neither meant nor follows.
          const follows = want?.source !== undefined
          if (!step.has(each) && !follows) expect(after.raw.get(each)).toBe(records.raw.get(each))
          const numbers = [is?.spec?.generation, ...(is?.items ?? []).map(({ generation }) => generation)]
          for (const number of numbers) expect(number ?? 0).toBeLessThanOrEqual(after.generation)
          const followers = tags.filter((other) => expected.next.get(other)?.source === each)
          expect(after.followers.get(each) ?? []).toEqual(followers)
        }
        expect(after.generation).toBe(records.generation + (expected.isOfSpec ? 1 : 0))
        for (const { operations } of w.faults.commits) expect(entriesIn(operations)).toBe(movesIn(operations))
        state = expected.next
        records = after
      }
    }),
    { numRuns: 300 },
  )
}, 120_000)

type Operations = World['faults']['commits'][number]['operations']

const entriesIn = (operations: Operations) => operations.filter(({ key }) => key.startsWith('event/')).length

/** Every entry of the ledger has its notice in the same commit. */
const movesIn = (operations: Operations) =>
  operations.filter(
    (each) =>
      each.type === 'put' &&
      each.key.startsWith('outbox/') &&
      ['moved', 'gone'].includes((JSON.parse(each.value) as Notice).kind),
  ).length

test('many changes at once come to what they come to in steps, whichever commits they need', async () => {
  const w = await world()
  const roots = ['r1', 'r2', 'r3']
  let run = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...roots), fc.boolean()), { minLength: 60, maxLength: 70 }),
      fc.array(images, { minLength: 3, maxLength: 3 }),
      async (sources, pins) => {
        const name = { project: 'demo', stream: `m${run++}` }
        // At most 24 tags follow one: the others are pushed to.
        const counts = new Map<string, number>()
        const changes = new Map<string, TagChange>(
          roots.map((tag, i) => [tag, { event: event(pins[i] ?? '1', 'tag') }]),
        )
        const expected = new Map<string, string>(roots.map((tag, i) => [tag, digest(pins[i] ?? '1')]))
        for (const [i, [root, follows]] of sources.entries()) {
          const tag = `t${i}`
          const count = (counts.get(root) ?? 0) + 1
          if (follows && count <= 24) {
            counts.set(root, count)
            changes.set(tag, { spec: { ...wanted(tag), from: { kind: 'ImageStreamTag', name: root } } })
            expected.set(tag, expected.get(root) ?? '')
          } else {
            changes.set(tag, { spec: wanted(tag), event: event('9', 'import') })
            expected.set(tag, digest('9'))
          }
        }
        w.faults.commits = []
        const { whole } = await w.writer.changeStream(name, () => ({ tags: changes }), { create: true })
        expect(w.faults.commits.length).toBeGreaterThan(1)
        expect(new Map(whole.tags.map(({ name, record }) => [name, record.items[0]?.image]))).toEqual(expected)
        expect(whole.stream.generation).toBe(1)
        for (const { record } of whole.tags) {
          expect(record.revision).toBe(1)
          expect(record.spec?.generation ?? 1).toBe(1)
        }
      },
    ),
    { numRuns: 20 },
  )
}, 60_000)
