import { describe, expect, test } from 'vitest'
import type { TagRecord } from '../../src/streams/records.ts'
import { type AppliedChange, applyChange, type ChangeContext } from '../../src/streams/rules.ts'
import type { TagChange } from '../../src/streams/streams.ts'
import { digest, event, imported, wanted } from './world.ts'

const context: ChangeContext = {
  project: 'demo',
  stream: 'app',
  tag: 'prod',
  uid: 'uid-1',
  projectUid: 'project-1',
  generation: 1,
  nextGeneration: 2,
  nowMs: Date.UTC(2026, 0, 1),
  commitId: 'commit-1',
}
const notFound = { reason: 'NotFound', message: 'dockerimage.image.openshift.io "quay.io/org/app:v1" not found' }

/** Applies changes one after the other, an hour apart; the last result. */
function apply(changes: readonly TagChange[], from?: TagRecord, start = context): AppliedChange | undefined {
  let record = from
  let applied: AppliedChange | undefined
  let generation = start.generation
  for (const [i, change] of changes.entries()) {
    const nowMs = start.nowMs + i * 3_600_000
    applied = applyChange(record, change, { ...start, generation, nextGeneration: generation + 1, nowMs })
    record = applied?.record ?? record
    generation = applied?.generation ?? generation
  }
  return applied
}

function recordOf(changes: readonly TagChange[]): TagRecord {
  const record = apply(changes)?.record
  if (record === undefined) throw new TypeError('the last change wrote nothing')
  return record
}

describe('okd.md 8.3', () => {
  test('1: D1, D2, D1 gives three items with growing generations, the newest first', () => {
    const record = recordOf([imported('1'), imported('2', 'quay.io/org/app:v2'), imported('1')])
    expect(record.items.map(({ image }) => image)).toEqual([digest('1'), digest('2'), digest('1')])
    expect(record.items.map(({ generation }) => generation)).toEqual([4, 3, 2])
    expect(record.items.map(({ created }) => created)).toEqual([
      '2026-01-01T02:00:00Z',
      '2026-01-01T01:00:00Z',
      '2026-01-01T00:00:00Z',
    ])
  })

  test('2: the same digest imported again by hand writes nothing', () => {
    expect(apply([imported('1'), imported('1')])).toBeUndefined()
  })

  test('3: after generation 0 the same digest renews the generation of the head, and nothing else of it', () => {
    const first = recordOf([imported('1')])
    const again = apply([imported('1'), { reimport: true }, imported('1')])
    expect(again?.record.items).toEqual([{ ...first.items[0], generation: 4 }])
    expect(again?.record.spec?.generation).toBe(4)
    expect(again?.entry).toBeUndefined()
  })

  test('4: the same digest from another repository replaces the reference of the head', () => {
    const { items, revision } = recordOf([imported('1'), imported('1', 'mirror.io/app:v1')])
    expect(items).toHaveLength(1)
    expect(items[0]?.dockerImageReference).toBe(`mirror.io/app@${digest('1')}`)
    expect(revision).toBe(1)
  })

  test('5: a failed import is a condition of the new generation; the same again writes nothing; success clears it', () => {
    const failing: TagChange = { spec: wanted('prod'), reimport: true, condition: notFound }
    const failed = apply([imported('1'), failing])
    expect(failed?.record.condition).toEqual({
      type: 'ImportSuccess',
      status: 'False',
      lastTransitionTime: '2026-01-01T01:00:00Z',
      ...notFound,
      generation: 3,
    })
    expect(failed?.generation).toBe(3)
    expect(failed?.record.spec?.generation).toBe(3)
    expect(failed?.record.items).toEqual(recordOf([imported('1')]).items)
    expect(apply([imported('1'), failing, failing])).toBeUndefined()
    const recovered = apply([imported('1'), failing, imported('1')])
    expect(recovered?.record.condition).toBeUndefined()
    expect(recovered?.notices.map(({ kind }) => kind)).toEqual(['recovered'])
  })

  test('6: a reference tag has one item with an empty image, also after its target changed', () => {
    const reference = (target: string): TagChange => ({
      spec: { ...wanted('prod', target), reference: true },
      event: { image: '', mediaType: '', dockerImageReference: target, cause: { kind: 'tag', by: 'alice' } },
    })
    const record = recordOf([reference('quay.io/org/app:v1'), reference('quay.io/org/app:v2')])
    expect(record.items).toEqual([
      { created: '2026-01-01T00:00:00Z', dockerImageReference: 'quay.io/org/app:v2', image: '', generation: 3 },
    ])
  })
})

describe('conditions', () => {
  test('the same failure again keeps time and text, but its generation follows the wish', () => {
    const fail: TagChange = { reimport: true, condition: notFound }
    const record = recordOf([imported('1'), fail, { reimport: true }, fail])
    expect(record.condition?.lastTransitionTime).toBe('2026-01-01T01:00:00Z')
    expect(record.condition?.generation).toBe(record.spec?.generation)
    expect(record.condition?.generation).toBe(4)
    expect(apply([imported('1'), fail, { reimport: true }, fail])?.notices).toEqual([])
  })

  test('another message is another failure', () => {
    const applied = apply([imported('1'), { condition: notFound }, { condition: { ...notFound, message: 'gone' } }])
    expect(applied?.record.condition).toMatchObject({ message: 'gone', lastTransitionTime: '2026-01-01T02:00:00Z' })
    expect(applied?.notices.map(({ kind }) => kind)).toEqual(['failed'])
  })

  test('a failure in the background changes no generation', () => {
    const applied = apply([imported('1'), { condition: notFound }])
    expect(applied?.generation).toBeUndefined()
    expect(applied?.record.condition?.generation).toBe(2)
  })

  test('an empty message is replaced', () => {
    const applied = apply([imported('1'), { condition: { reason: 'Tls', message: '' } }])
    expect(applied?.record.condition?.message).toBe('unknown error prevented import')
    expect(
      apply([
        imported('1'),
        { condition: { reason: 'Tls', message: '' } },
        { condition: { reason: 'Tls', message: '' } },
      ]),
    ).toBeUndefined()
  })

  test('a failure of a tag that is not there writes nothing', () => {
    expect(apply([{ condition: notFound, lastSeen: digest('1') }])).toBeUndefined()
  })

  test('a first failure makes the tag known, with its wish and no item', () => {
    const applied = apply([{ spec: wanted('prod'), reimport: true, condition: notFound }])
    expect(applied?.record).toMatchObject({ items: [], revision: 0, current: 0, condition: { reason: 'NotFound' } })
    expect(applied?.entry).toBeUndefined()
  })

  test('success and failure in one change are a mistake', () => {
    expect(() => apply([{ event: event('1'), condition: notFound }])).toThrow(TypeError)
  })
})

describe('generations of events (okd.md 2.2)', () => {
  const at = (generation: number, change: TagChange, record: TagRecord) =>
    applyChange(record, change, { ...context, generation, nextGeneration: generation + 1 })

  const record = recordOf([imported('1')])

  test.each([
    ['an import by hand carries the new generation', imported('2'), 8, 8],
    ['an import in the background that of the spec', { event: event('2', 'scheduled') }, 2, undefined],
    ["a push the stream's", { event: event('2', 'push') }, 7, undefined],
    ["a rollback the stream's", { event: event('2', 'rollback') }, 7, undefined],
  ] as const)('%s', (_claim, change, ofEvent, ofStream) => {
    const applied = at(7, change, record)
    expect(applied?.record.items[0]?.generation).toBe(ofEvent)
    expect(applied?.entry?.generation).toBe(ofEvent)
    expect(applied?.generation).toBe(ofStream)
  })

  test('an import that finds the head as it is never lowers its generation', () => {
    const pushed = at(7, { event: { ...event('1', 'push'), dockerImageReference: 'here' } }, record)?.record
    const found = { ...event('1', 'scheduled'), dockerImageReference: 'here' }
    expect(at(7, { event: found }, pushed ?? record)).toBeUndefined()
  })
})

describe('deletion', () => {
  const remove: TagChange = { remove: { cause: { kind: 'delete', by: 'bob', reason: 'old' } } }

  test('is an entry of the ledger, empties spec and status, and keeps the counters', () => {
    const applied = apply([imported('1'), { event: event('2', 'rollback') }, remove])
    expect(applied?.record).toEqual({
      uid: 'uid-1',
      revision: 3,
      items: [],
      current: 0,
      noticed: 4,
      commitId: 'commit-1',
    })
    expect(applied?.entry).toMatchObject({ revision: 3, image: '', previousImage: digest('2'), cause: { by: 'bob' } })
    expect(applied?.notices.map(({ kind }) => kind)).toEqual(['gone'])
    expect(applied?.generation).toBe(3)
  })

  test('of what is not there writes nothing', () => {
    expect(apply([remove])).toBeUndefined()
    expect(apply([imported('1'), remove, remove])).toBeUndefined()
  })

  test('of a tag that was only pushed is no change of the spec', () => {
    expect(apply([{ event: event('1') }, remove])?.generation).toBeUndefined()
  })

  test('goes alone', () => {
    expect(() => apply([imported('1'), { ...remove, lastSeen: digest('2') }])).toThrow(TypeError)
  })

  test('is followed by the next revision', () => {
    expect(apply([imported('1'), remove, imported('2')])?.entry).toMatchObject({ revision: 3 })
  })
})

test('taking a tag out of the spec leaves its items and its hold', () => {
  const applied = apply([imported('1'), { event: event('2', 'rollback') }, { spec: null }])
  expect(applied?.record).not.toHaveProperty('spec')
  expect(applied?.record).toMatchObject({
    items: [{ image: digest('2') }, { image: digest('1') }],
    hold: { by: 'alice' },
  })
  expect(applied?.generation).toBe(3)
})

test('the record of an earlier stream counts for its counters alone', () => {
  const earlier = recordOf([imported('1'), { event: event('2', 'rollback') }])
  const applied = applyChange(earlier, imported('3'), { ...context, uid: 'uid-2' })
  expect(applied?.entry).toMatchObject({ uid: 'uid-2', revision: 3 })
  expect(applied?.entry).not.toHaveProperty('previousImage')
  expect(applied?.record.items).toHaveLength(1)
  expect(applied?.record).not.toHaveProperty('hold')
  expect(applied?.record.noticed).toBe((earlier.noticed ?? 0) + 1)
})

test('a digest seen upstream is written once', () => {
  const record = recordOf([imported('1'), { lastSeen: digest('2') }])
  expect(record.lastSeen).toEqual({ digest: digest('2'), at: '2026-01-01T01:00:00Z' })
  expect(applyChange(record, { lastSeen: digest('2') }, context)).toBeUndefined()
})

test('a changed annotation is a new generation of the stream, not of the tag', () => {
  const applied = apply([imported('1'), { spec: { ...wanted('prod'), annotations: { a: 'b' } } }])
  expect(applied?.generation).toBe(3)
  expect(applied?.record.spec?.generation).toBe(2)
  expect(applied?.notices).toEqual([])
})

describe('an image that no upstream has any more', () => {
  const gone: TagChange = { upstreamGone: { image: digest('1'), host: 'quay.io' } }
  const at = '2026-01-01T01:00:00Z'

  test('is said of the tag that stands there, since when it was first heard', () => {
    expect(recordOf([imported('1'), gone]).upstreamGone).toEqual({ image: digest('1'), host: 'quay.io', at })
    const fromElsewhere: TagChange = { upstreamGone: { image: digest('1'), host: 'r.io' } }
    for (const again of [gone, fromElsewhere]) expect(apply([imported('1'), gone, again])).toBeUndefined()
  })

  test('is said together with the import that failed', () => {
    const record = recordOf([imported('1'), { condition: notFound, ...gone }])
    expect(record).toMatchObject({ condition: { reason: 'NotFound' }, upstreamGone: { at } })
    expect(apply([imported('1'), { condition: notFound, ...gone }, { condition: notFound, ...gone }])).toBeUndefined()
  })

  test('is nothing to a tag that stands elsewhere, or nowhere', () => {
    expect(apply([imported('2'), gone])).toBeUndefined()
    expect(apply([{ spec: wanted('prod'), reimport: true, condition: notFound }, gone])).toBeUndefined()
    expect(apply([gone])).toBeUndefined()
  })

  const endings: [string, TagChange][] = [
    ['it is seen again', { upstreamGone: null }],
    ['an import finds it', { ...imported('1'), lastSeen: digest('1') }],
    ['the tag moves on', imported('2')],
    ['the tag is rolled back', { event: event('2', 'rollback') }],
    ['the tag is deleted', { remove: { cause: { kind: 'delete', by: 'alice' } } }],
  ]
  test.each(endings)('is forgotten when %s', (_name, change) => {
    expect(recordOf([imported('1'), gone, change])).not.toHaveProperty('upstreamGone')
  })

  const others: [string, TagChange][] = [
    ['an import fails', { condition: { reason: 'Tls', message: 'expired' } }],
    ['another image is seen', { lastSeen: digest('2') }],
    ['it is tagged again', { event: event('1', 'tag', { reference: 'r.io/other@1' }) }],
  ]
  test.each(others)('is still gone when %s', (_name, change) => {
    expect(recordOf([imported('1'), gone, change]).upstreamGone).toMatchObject({ at })
  })

  test('is still gone for want of a part when an import sees its manifest, until the part is seen', () => {
    const part: TagChange = { upstreamGone: { image: digest('1'), host: 'quay.io', isPart: true } }
    const failed: TagChange = { condition: notFound }
    const seen: TagChange = { ...imported('1'), lastSeen: digest('1') }
    expect(recordOf([imported('1'), part, failed, seen]).upstreamGone).toMatchObject({ isPart: true })
    expect(recordOf([imported('1'), part, seen, { upstreamGone: null }])).not.toHaveProperty('upstreamGone')
  })

  test('is said of a held tag, and taken back when an import in the background sees it', () => {
    const held = [imported('1'), imported('2'), { event: event('1', 'rollback') }, gone] as const
    expect(recordOf(held)).toMatchObject({ hold: { revision: 3 }, upstreamGone: { image: digest('1') } })
    const seen: TagChange = { event: event('1', 'scheduled'), lastSeen: digest('1') }
    expect(recordOf([...held, seen])).not.toHaveProperty('upstreamGone')
    const moved: TagChange = { event: event('3', 'scheduled'), lastSeen: digest('3') }
    expect(recordOf([...held, moved])).toMatchObject({
      candidate: { image: digest('3') },
      upstreamGone: { host: 'quay.io' },
    })
  })
})

describe('a tag that awaits its image', () => {
  const waiting: ChangeContext = { ...context, isMovedWhenHeld: () => true }
  const incomplete = { reason: 'ContentIncomplete', message: 'not all content is held' }
  const found: TagChange = { ...imported('2'), lastSeen: digest('2') }
  const standing = (): TagRecord => recordOf([imported('1')])
  const waited = (...changes: TagChange[]) =>
    apply(changes, standing(), { ...waiting, generation: 2, nextGeneration: 3 })
  const moved: TagChange = { event: event('2', 'import'), isHeld: true }

  test('goes on waiting when a newer import fails, and moves to what was found first', () => {
    const failed = waited(found, { reimport: true, condition: notFound })?.record
    expect(failed).toMatchObject({ awaits: { image: digest('2') }, condition: notFound })
    expect(waited(found, { condition: notFound })?.record.awaits).toMatchObject({ image: digest('2') })
  })

  test('waits no more when something else is wanted of it, found or not', () => {
    const other = wanted('prod', 'quay.io/org/other:v1')
    for (const change of [{ spec: other }, { spec: other, reimport: true, condition: notFound }, { spec: null }]) {
      expect(waited(found, change)?.record).not.toHaveProperty('awaits')
    }
  })

  test('says that its content is incomplete as long as it waits, and no longer', () => {
    const told = [found, { condition: incomplete }] as const
    expect(waited(...told)?.record.condition).toMatchObject(incomplete)
    expect(waited(...told, { hold: null, candidate: null, lastSeen: digest('3') })?.record.condition).toMatchObject(
      incomplete,
    )
    const noSource = { ...wanted('prod'), from: { kind: 'ImageStreamTag', name: 'none' } } as const
    for (const end of [
      moved,
      { spec: null },
      { spec: noSource },
      { event: event('1', 'rollback') },
    ] satisfies TagChange[]) {
      const { record } = waited(...told, end) ?? {}
      expect(record, JSON.stringify(end)).toBeDefined()
      expect(record, JSON.stringify(end)).not.toHaveProperty('condition')
    }
  })

  test('found once more in the same place says so still, and of another image says nothing yet', () => {
    const told = [found, { condition: incomplete }] as const
    const again: TagChange = { event: event('2', 'scheduled'), lastSeen: digest('3') }
    expect(waited(...told, again)?.record.condition).toMatchObject(incomplete)
    const other: TagChange = { event: event('3', 'scheduled'), lastSeen: digest('3') }
    expect(waited(...told, other)?.record).toMatchObject({ awaits: { image: digest('3') } })
    expect(waited(...told, other)?.record).not.toHaveProperty('condition')
  })

  test('that moves at last keeps the newer failure to find another', () => {
    const { record, notices } = waited(found, { condition: notFound }, moved) ?? {}
    expect(record).toMatchObject({ condition: notFound, items: [{ image: digest('2') }, {}] })
    expect(notices?.map(({ kind }) => kind)).toEqual(['moved'])
  })
})
