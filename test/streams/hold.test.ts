import { describe, expect, test } from 'vitest'
import { RegistryError } from '../../src/oci/errors.ts'
import { isHeldError, requireNotHeld } from '../../src/streams/hold.ts'
import type { Cause, TagRecord } from '../../src/streams/records.ts'
import { applyChange, type ChangeContext } from '../../src/streams/rules.ts'
import type { TagChange } from '../../src/streams/streams.ts'
import { app, digest, event, imageType, imported, wanted } from './world.ts'

const context: ChangeContext = {
  ...app,
  tag: 'prod',
  uid: 'u',
  projectUid: 'p',
  generation: 1,
  nextGeneration: 2,
  nowMs: Date.UTC(2026, 0, 1),
  commitId: 'c',
}

function apply(record: TagRecord | undefined, change: TagChange, hours = 0) {
  return applyChange(record, change, { ...context, nowMs: context.nowMs + hours * 3_600_000 })
}

/** A tag that went from A to B and was rolled back to A, which is revision 3. */
function heldTag(): TagRecord {
  const a = apply(undefined, imported('a'))?.record
  const b = apply(a, imported('b'))?.record
  const held = apply(b, { event: event('a', 'rollback', { restoredRevision: 1, reason: 'bad build' }) })?.record
  if (held === undefined) throw new TypeError('a rollback writes')
  return held
}

function errorOf(act: () => unknown): RegistryError {
  try {
    act()
  } catch (error) {
    if (error instanceof RegistryError) return error
    throw error
  }
  throw new TypeError('nothing was refused')
}

describe('a rollback holds', () => {
  test('with its author, its reason and its revision', () => {
    expect(heldTag().hold).toEqual({ revision: 3, by: 'alice', at: '2026-01-01T00:00:00Z', reason: 'bad build' })
  })

  test('and tells so', () => {
    const pushed = apply(undefined, { event: event('a') })?.record
    const rolled = apply(pushed, { event: event('b', 'rollback') })
    expect(rolled?.notices.map(({ kind }) => kind)).toEqual(['moved', 'held'])
  })

  test('also when the tag stands there already, as an entry of its own', () => {
    const again = apply(heldTag(), { event: event('a', 'rollback', { restoredRevision: 1 }) }, 1)
    expect(again?.entry).toMatchObject({ revision: 4, image: digest('a'), previousImage: digest('a') })
    expect(again?.record).toMatchObject({ current: 4, hold: { revision: 4, at: '2026-01-01T01:00:00Z' } })
    expect(again?.record.items).toHaveLength(3)
  })
})

describe('a held tag', () => {
  test.each<Cause['kind']>(['import', 'tag', 'push'])('refuses %s with a field cause that tells of resume', (kind) => {
    const held = heldTag()
    const error = errorOf(() => apply(held, { event: event('c', kind) }))
    expect(error.code).toBe('INVALID')
    expect(error.causes).toEqual([
      { field: 'tag', reason: 'FieldValueForbidden', message: expect.stringContaining('weir resume demo/app:prod') },
    ])
    expect(error.message).toContain('bad build')
    expect(isHeldError(error)).toBe(true)
    expect(errorOf(() => requireNotHeld(held, kind, app, 'prod'))).toEqual(error)
  })

  test('other refusals are not taken for it', () => {
    expect(isHeldError(new RegistryError('INVALID'))).toBe(false)
    expect(isHeldError(new RegistryError('DENIED', { detail: { held: true } }))).toBe(false)
    expect(isHeldError(new Error('held'))).toBe(false)
  })

  test.each<[string, TagChange]>([
    ['another source', { spec: wanted('prod', 'quay.io/org/app:v9') }],
    ['an import to be made again', { reimport: true }],
    ['a failed import by hand', { reimport: true, condition: { reason: 'NotFound', message: 'no' } }],
  ])('refuses %s', (_what, change) => {
    expect(isHeldError(errorOf(() => apply(heldTag(), change)))).toBe(true)
  })

  test.each<[string, TagChange]>([
    ['annotations', { spec: { ...wanted('prod'), annotations: { a: 'b' } } }],
    ['a schedule', { spec: { ...wanted('prod'), importPolicy: { scheduled: true } } }],
    ['a failure in the background', { condition: { reason: 'NotFound', message: 'no' } }],
    ['a spec taken away', { spec: null }],
  ])('takes %s and stays held', (_what, change) => {
    const applied = apply(heldTag(), change)
    expect(applied?.record.hold).toEqual(heldTag().hold)
    expect(applied?.entry).toBeUndefined()
  })

  test.each<Cause['kind']>(['scheduled', 'follow'])('records a candidate for %s and does not move', (kind) => {
    const held = heldTag()
    const applied = apply(held, { event: event('c', kind), lastSeen: digest('c') }, 1)
    expect(applied?.record.items).toEqual(held.items)
    expect(applied?.entry).toBeUndefined()
    expect(applied?.notices.map(({ kind }) => kind)).toEqual(['candidate'])
    expect(applied?.record.lastSeen?.digest).toBe(digest('c'))
    expect(applied?.record.candidate).toEqual({
      image: digest('c'),
      mediaType: imageType,
      dockerImageReference: `quay.io/org/app@${digest('c')}`,
      seenAt: '2026-01-01T01:00:00Z',
      cause: { kind, by: 'alice' },
    })
  })

  test('records the same candidate once, and forgets it when the upstream is back where the tag stands', () => {
    const found = apply(heldTag(), { event: event('c', 'scheduled') })?.record
    expect(apply(found, { event: event('c', 'scheduled') }, 5)).toBeUndefined()
    expect(apply(found, { event: event('a', 'scheduled') })?.record).not.toHaveProperty('candidate')
  })

  test('says that the source answers again, when an automatic import finds something', () => {
    const failing = apply(heldTag(), { condition: { reason: 'Tls', message: 'no' } })?.record
    const applied = apply(failing, { event: event('c', 'scheduled') })
    expect(applied?.record.condition).toBeUndefined()
    expect(applied?.notices.map(({ kind }) => kind)).toEqual(['recovered', 'candidate'])
  })

  test('keeps the candidate over another rollback', () => {
    const found = apply(heldTag(), { event: event('c', 'scheduled') })?.record
    expect(apply(found, { event: event('b', 'rollback') })?.record.candidate?.image).toBe(digest('c'))
    expect(apply(found, { event: event('c', 'rollback') })?.record).not.toHaveProperty('candidate')
  })

  test('can be deleted', () => {
    expect(apply(heldTag(), { remove: { cause: { kind: 'delete', by: 'bob' } } })?.entry?.image).toBe('')
  })
})

describe('resume', () => {
  test('ends the hold and the candidate and moves nothing', () => {
    const found = apply(heldTag(), { event: event('c', 'scheduled') })?.record
    const applied = apply(found, { hold: null })
    expect(applied?.record).not.toHaveProperty('hold')
    expect(applied?.record).not.toHaveProperty('candidate')
    expect(applied?.record.items).toEqual(heldTag().items)
    expect(applied?.notices.map(({ kind }) => kind)).toEqual(['resumed'])
  })

  test('lets automatic causes and people move the tag again', () => {
    const resumed = apply(heldTag(), { hold: null })?.record
    expect(apply(resumed, { event: event('c', 'scheduled') })?.entry?.image).toBe(digest('c'))
    expect(apply(resumed, { event: event('c', 'push') })?.entry?.image).toBe(digest('c'))
  })

  test('together with a move is one change', () => {
    const applied = apply(heldTag(), { hold: null, event: event('c', 'import') })
    expect(applied?.entry?.image).toBe(digest('c'))
    expect(applied?.record).not.toHaveProperty('hold')
    expect(applied?.notices.map(({ kind }) => kind)).toEqual(['moved', 'resumed'])
  })

  test('of a tag that is not held writes nothing', () => {
    expect(apply(apply(undefined, { event: event('a') })?.record, { hold: null })).toBeUndefined()
  })
})
