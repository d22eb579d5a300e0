/** Random streams, tags, histories and policies, against a model of what is needed. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import { digestOfLink } from '../../src/streams/keys.ts'
import { makeImage, makeIndex } from '../support/images.ts'
import { type AnyImage, type CollectorWorld, collectorWorld, dayMs, digestsOf, hourMs } from './world.ts'

const shared = [Buffer.from('base'), Buffer.from('runtime')]
const images: readonly AnyImage[] = [
  makeImage('a', { layers: [...shared, Buffer.from('a')] }),
  makeImage('b', { layers: shared }),
  makeImage('c', { layers: [shared[0] ?? Buffer.alloc(0)] }),
  makeIndex('d'),
  makeIndex('e', ['arm64', 's390x']),
]
const all = digestsOf(...images)

/** What is known of one tag, across all streams of its name. */
interface ModelTag {
  /** Newest last; no image for a deletion. */
  ledger: { image: AnyImage | undefined; at: number }[]
  pin: AnyImage | undefined
}

interface ModelStream {
  isLiving: boolean
  keep: number
  days: number
  tags: Map<string, ModelTag>
  /** Images that were admitted, and when last. */
  admitted: Map<AnyImage, number>
}

type Step =
  | { type: 'move'; stream: number; tag: number; image: number }
  | { type: 'admit'; stream: number; image: number }
  | { type: 'delete tag'; stream: number; tag: number }
  | { type: 'delete stream'; stream: number }
  | { type: 'policy'; stream: number; keep: number; days: number }
  | { type: 'later'; hours: number }
  | { type: 'prune' }

const stream = fc.integer({ min: 0, max: 1 })
const tag = fc.integer({ min: 0, max: 1 })
const image = fc.integer({ min: 0, max: images.length - 1 })
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ type: fc.constant('move' as const), stream, tag, image }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('admit' as const), stream, image }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('delete tag' as const), stream, tag }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('delete stream' as const), stream }) },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant('policy' as const),
        stream,
        keep: fc.integer({ min: 1, max: 3 }),
        days: fc.integer({ min: 0, max: 5 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ type: fc.constant('later' as const), hours: fc.integer({ min: 1, max: 60 }) }),
    },
    { weight: 2, arbitrary: fc.constant({ type: 'prune' as const }) },
  ),
  { minLength: 1, maxLength: 14 },
)

function newModel() {
  return [0, 1].map((): ModelStream => {
    return { isLiving: false, keep: 1, days: 0, tags: new Map(), admitted: new Map() }
  })
}

/** What has to be held of what was held: what pins need, and revisions in keep. */
function neededBy(model: readonly ModelStream[], nowMs: number): Set<Digest> {
  const needed = new Set<Digest>()
  const add = (each: AnyImage | undefined) => {
    if (each !== undefined) for (const digest of digestsOf(each)) needed.add(digest)
  }
  for (const { isLiving, tags, keep, days } of model) {
    if (!isLiving) continue
    for (const { ledger, pin } of tags.values()) {
      add(pin)
      for (const [i, entry] of ledger.toReversed().entries()) {
        const replacedAt = ledger[ledger.length - i]?.at
        if (i < keep || replacedAt === undefined || replacedAt >= nowMs - days * dayMs) add(entry.image)
      }
    }
  }
  return needed
}

/** Which links a stream has to have in the end: of all that its ledger ever led to. */
function linkedBy({ tags }: ModelStream): Digest[] {
  const led = [...tags.values()].flatMap(({ ledger }) => ledger.flatMap((entry) => (entry.image ? [entry.image] : [])))
  return digestsOf(...led)
}

async function run(world: CollectorWorld, wanted: readonly Step[]): Promise<void> {
  const model = newModel()
  const nowMs = () => world.clock.now()
  const name = (n: number) => ({ project: 'demo', stream: `s${n}` })
  const annotations = ({ keep, days }: ModelStream) => {
    return { 'weir.dev/history-keep': String(keep), 'weir.dev/history-keep-days': String(days) }
  }
  const prune = async () => {
    const before = new Set(await world.heldDigests())
    await world.collector.prune({ dryRun: false })
    const after = new Set(await world.heldDigests())
    for (const digest of neededBy(model, nowMs())) if (before.has(digest)) expect(after.has(digest)).toBe(true)
    for (const [n, each] of model.entries()) {
      for (const [admitted, at] of each.admitted) {
        if (!each.isLiving || at <= nowMs() - dayMs) continue
        for (const digest of digestsOf(admitted)) {
          expect(await world.link(name(n), digest)).toBeDefined()
          if (before.has(digest)) expect(after.has(digest)).toBe(true)
        }
      }
    }
  }
  const perform: { [T in Step['type']]: (step: Extract<Step, { type: T }>) => Promise<unknown> } = {
    async move(step) {
      const [of, moved] = [model[step.stream], images[step.image]]
      if (!of || !moved) return
      await begin(step.stream)
      const each = of.tags.get(`t${step.tag}`) ?? { ledger: [], pin: undefined }
      of.tags.set(`t${step.tag}`, each)
      await world.move(name(step.stream), `t${step.tag}`, moved)
      if (each.pin !== moved) each.ledger.push({ image: moved, at: nowMs() })
      each.pin = moved
      of.admitted.set(moved, nowMs())
    },
    async admit(step) {
      const [of, admitted] = [model[step.stream], images[step.image]]
      if (!of || !admitted) return
      await begin(step.stream)
      await world.admit(name(step.stream), admitted)
      of.admitted.set(admitted, nowMs())
    },
    async 'delete tag'(step) {
      const each = model[step.stream]?.tags.get(`t${step.tag}`)
      if (!model[step.stream]?.isLiving || each?.pin === undefined) return
      const remove = { cause: { kind: 'delete' as const, by: 'alice' } }
      await world.writer.changeTag(name(step.stream), `t${step.tag}`, () => ({ remove }))
      each.ledger.push({ image: undefined, at: nowMs() })
      each.pin = undefined
    },
    async 'delete stream'(step) {
      const of = model[step.stream]
      if (!of?.isLiving) return
      await world.writer.delete(name(step.stream))
      of.isLiving = false
      of.admitted.clear()
      for (const each of of.tags.values()) each.pin = undefined
    },
    async policy(step) {
      const of = model[step.stream]
      if (of === undefined) return
      Object.assign(of, { keep: step.keep, days: step.days })
      if (of.isLiving) await world.stream(name(step.stream), annotations(of))
    },
    later: async ({ hours }) => world.later(hours * hourMs),
    prune,
  }
  async function begin(n: number): Promise<void> {
    const of = model[n]
    if (of === undefined || of.isLiving) return
    await world.stream(name(n), annotations(of))
    of.isLiving = true
  }

  for (const step of wanted) await perform[step.type](step as never)
  const before = new Set(await world.heldDigests())
  for (let pass = 0; pass < 2; pass += 1) {
    world.later(2 * dayMs)
    await prune()
  }
  const needed = neededBy(model, nowMs())
  expect(await world.heldDigests()).toEqual(all.filter((digest) => needed.has(digest) && before.has(digest)))
  for (const [n, each] of model.entries()) {
    const links = (await world.dump(`link/demo/s${n}/`)).map(({ key }) => digestOfLink(key))
    expect(links).toEqual(linkedBy(each))
  }
}

async function clear({ store, content, project }: CollectorWorld): Promise<void> {
  const keys = (await Array.fromAsync(await store.range({ prefix: '' }))).map(({ key }) => key)
  const records = keys.filter((key) => !key.startsWith('held/'))
  for (let start = 0; start < records.length; start += 100) {
    const some = records.slice(start, start + 100)
    await store.commit({ operations: some.map((key) => ({ type: 'delete', key })) })
  }
  for await (const { digest } of content.list()) await content.remove(digest, { unusedSince: Number.MAX_VALUE })
  await project('demo')
}

describe('whatever happens to streams, tags and policies', () => {
  test('what is needed is never removed, and two passes later nothing else is left', { timeout: 900_000 }, async () => {
    const world = await collectorWorld()
    const property = fc.asyncProperty(steps, async (wanted) => {
      await clear(world)
      await run(world, wanted)
    })
    await fc.assert(property, { numRuns: 200 })
  })
})
