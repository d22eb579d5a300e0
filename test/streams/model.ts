import fc from 'fast-check'
import type { Cause, LedgerEntry, Notice, TagRecord } from '../../src/streams/records.ts'
import { applyChange, type ChangeContext } from '../../src/streams/rules.ts'
import type { TagChange } from '../../src/streams/streams.ts'
import { digest, event, wanted } from './world.ts'

/** One step of a tag's life in a property test. */
export type Step =
  | {
      does: 'move'
      kind: Exclude<Cause['kind'], 'delete'>
      image: string
      repository: string
      byTag: boolean
      spec: boolean
    }
  | { does: 'fail'; byHand: boolean; reason: string }
  | { does: 'gone'; image: string; host: string }
  | { does: 'seen'; image?: string }
  | { does: 'remove' | 'resume' | 'recreate' | 'annotate' | 'reimport' }

/** A tag that is driven by steps through the rules, and what came of it. */
export interface Driven {
  record: TagRecord | undefined
  ledger: LedgerEntry[]
  notices: Notice[]
  generation: number
  uid: string
  seconds: number
}

export const newTag = (): Driven => ({
  record: undefined,
  ledger: [],
  notices: [],
  generation: 1,
  uid: 'uid-1',
  seconds: 0,
})

const kinds = ['import', 'scheduled', 'push', 'tag', 'rollback', 'follow'] as const

/** Random lives of a tag, with few images, so that the same come again. */
export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: move() },
    {
      weight: 2,
      arbitrary: fc.record({
        does: fc.constant('fail' as const),
        byHand: fc.boolean(),
        reason: fc.constantFrom('NotFound', 'Tls'),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        does: fc.constant('gone' as const),
        image: fc.constantFrom('a', 'b', 'c'),
        host: fc.constantFrom('r.io', 'q.io'),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record(
        { does: fc.constant('seen' as const), image: fc.constantFrom('a', 'b', 'c') },
        { requiredKeys: ['does'] },
      ),
    },
    {
      weight: 2,
      arbitrary: fc.record({ does: fc.constantFrom('remove', 'resume', 'recreate', 'annotate', 'reimport') }),
    },
  ),
  { maxLength: 60 },
)

function move(): fc.Arbitrary<Step> {
  return fc.record({
    does: fc.constant('move' as const),
    kind: fc.constantFrom(...kinds),
    image: fc.constantFrom('a', 'b', 'c'),
    repository: fc.constantFrom('r.io/one', 'r.io/two'),
    byTag: fc.boolean(),
    spec: fc.boolean(),
  })
}

/** By tag, the reference stays the same when the digest does not. */
export function referenceOf({ repository, image, byTag }: Extract<Step, { does: 'move' }>): string {
  return byTag ? `${repository}:v1` : `${repository}@${image}`
}

/** The change that a step asks for; undefined for one that is no change of the tag. */
export function changeOf(step: Step, driven: Driven): TagChange | undefined {
  switch (step.does) {
    case 'move': {
      const spec = step.spec ? { spec: wanted('t', `${step.repository}:v1`) } : {}
      const byHand = step.kind === 'import' ? { reimport: true } : {}
      return { ...spec, ...byHand, event: event(step.image, step.kind, { reference: referenceOf(step) }) }
    }
    case 'fail':
      return { ...(step.byHand ? { reimport: true } : {}), condition: { reason: step.reason, message: 'no' } }
    case 'gone':
      return { upstreamGone: { image: digest(step.image), host: step.host } }
    case 'seen':
      return step.image === undefined ? { upstreamGone: null } : { lastSeen: digest(step.image) }
    case 'remove':
      return { remove: { cause: { kind: 'delete', by: 'alice' } } }
    case 'resume':
      return { hold: null }
    case 'annotate':
      return driven.record?.spec && { spec: { ...driven.record.spec, annotations: { n: String(driven.seconds) } } }
    case 'reimport':
      return { reimport: true }
    case 'recreate':
      return undefined
  }
}

export function contextOf(driven: Driven): ChangeContext {
  return {
    project: 'demo',
    stream: 'app',
    tag: 't',
    uid: driven.uid,
    projectUid: 'p',
    generation: driven.generation,
    nextGeneration: driven.generation + 1,
    nowMs: Date.UTC(2026, 0, 1) + driven.seconds * 1000,
    commitId: `commit-${driven.seconds}`,
  }
}

/** Takes one step; `refused` when the hold is against it, or that the tag is immutable. Never changes what it was given. */
export function drive(
  driven: Driven,
  step: Step,
  more: Partial<ChangeContext> = {},
): { after: Driven; outcome: 'applied' | 'nothing' | 'refused' } {
  const later = { ...driven, seconds: driven.seconds + 1 }
  if (step.does === 'recreate')
    return { after: { ...later, uid: `uid-${later.seconds}`, generation: 1 }, outcome: 'nothing' }
  const change = changeOf(step, later)
  if (change === undefined) return { after: later, outcome: 'nothing' }
  try {
    const applied = applyChange(later.record, change, { ...contextOf(later), ...more })
    if (applied === undefined) return { after: later, outcome: 'nothing' }
    const { record, entry, notices, generation } = applied
    const after: Driven = {
      ...later,
      record,
      ledger: entry ? [...later.ledger, entry] : later.ledger,
      notices: [...later.notices, ...notices],
      generation: generation ?? later.generation,
    }
    return { after, outcome: 'applied' }
  } catch (error) {
    if (error instanceof TypeError) throw error
    return { after: later, outcome: 'refused' }
  }
}

/** The items by the table of okd.md 2.3, written down a second time and without a cap; [reference, image, created]. */
export function modelItems(moves: readonly (readonly [string, string, string])[]): [string, string, string][] {
  const newestFirst: [string, string, string][] = []
  for (const [reference, image, created] of moves) {
    const top = newestFirst.at(0)
    if (top !== undefined && (top[0] === reference || top[1] === image)) {
      top[0] = reference
      top[1] = image
    } else newestFirst.unshift([reference, image, created])
  }
  return newestFirst
}

export const pinOf = (driven: Driven): string | undefined =>
  driven.record?.uid === driven.uid ? driven.record.items[0]?.image : undefined
