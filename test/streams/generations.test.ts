import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nextSpec, sameIdentity, sameReference, type WantedReference } from '../../src/streams/generations.ts'
import type { TagRecord } from '../../src/streams/records.ts'
import { wanted } from './world.ts'

const base = wanted('prod')
const image = { kind: 'DockerImage' as const, name: 'quay.io/org/app:v1' }
const record: TagRecord = {
  uid: 'u',
  revision: 0,
  items: [],
  current: 0,
  commitId: '',
  spec: { ...base, generation: 3 },
}
const context = { project: 'demo', nextGeneration: 9 }

describe('identity of a tag (okd.md 2.2)', () => {
  test.each<[string, WantedReference]>([
    ['from.name', wanted('prod', 'quay.io/org/app:v2')],
    ['from.namespace', { ...base, from: { ...image, namespace: 'other' } }],
    ['reference', { ...base, reference: true }],
    ['importMode', { ...base, importPolicy: { importMode: 'PreserveOriginal' } }],
  ])('%s is part of it: the tag takes the new generation', (_field, spec) => {
    expect(sameIdentity(base, spec, 'demo')).toBe(false)
    expect(nextSpec(record, { spec }, context)).toEqual({
      spec: { ...spec, generation: 9 },
      generation: 9,
      renewed: true,
    })
  })

  test.each<[string, WantedReference]>([
    ['from.kind alone', { ...base, from: { ...image, kind: 'ImageStreamTag' } }],
    ['scheduled', { ...base, importPolicy: { scheduled: true } }],
    ['insecure', { ...base, importPolicy: { insecure: true } }],
    ['referencePolicy', { ...base, referencePolicy: { type: 'Source' } }],
    ['annotations', { ...base, annotations: { a: 'b' } }],
  ])('%s is not: the stream gets a new generation, the tag keeps its own', (_field, spec) => {
    expect(sameIdentity(base, spec, 'demo')).toBe(true)
    expect(nextSpec(record, { spec }, context)).toEqual({
      spec: { ...spec, generation: 3 },
      generation: 9,
      renewed: false,
    })
  })

  test.each<[string, WantedReference]>([
    ['the same', base],
    ['the own project named', { ...base, annotations: {}, reference: false }],
    ['false for absent', { ...base, importPolicy: { insecure: false, scheduled: false } }],
  ])('%s is no change', (_what, spec) => {
    expect(nextSpec(record, { spec }, context)).toMatchObject({
      spec: record.spec,
      generation: undefined,
      renewed: false,
    })
  })

  test('an absent namespace is the own one', () => {
    const named = { ...base, from: { ...image, namespace: 'demo' } }
    expect(sameIdentity(base, named, 'demo')).toBe(true)
    expect(sameIdentity(base, named, 'other')).toBe(false)
  })
})

test('a generation of 0 is a wish to import again: the tag takes the new generation', () => {
  expect(nextSpec(record, { reimport: true }, context)).toMatchObject({ spec: { generation: 9 }, generation: 9 })
})

test('without a spec there is nothing to import again', () => {
  const { spec: _, ...pushedOnly } = record
  expect(nextSpec(pushedOnly, { reimport: true }, context)).toMatchObject({ spec: undefined, generation: undefined })
})

test('a new tag takes the new generation, a removed one gives the stream one', () => {
  const { spec: _, ...without } = record
  expect(nextSpec(without, { spec: base }, context)).toMatchObject({ spec: { generation: 9 }, generation: 9 })
  expect(nextSpec(record, { spec: null }, context)).toMatchObject({ spec: undefined, generation: 9 })
  expect(nextSpec(without, { spec: null }, context)).toMatchObject({ spec: undefined, generation: undefined })
})

test('references that say the same have the same identity', () => {
  const reference = fc.record({
    name: fc.constant('prod'),
    annotations: fc.constantFrom(null, {}, { a: 'b' }),
    from: fc.constantFrom(image, { ...image, name: 'b' }, { ...image, kind: 'ImageStreamTag' as const }),
    reference: fc.boolean(),
    importPolicy: fc.constantFrom({}, { insecure: false }, { scheduled: true }),
    referencePolicy: fc.constantFrom({ type: 'Source' as const }, { type: 'Local' as const }),
  })
  fc.assert(
    fc.property(reference, reference, (a, b) => {
      if (sameReference(a, b)) expect(sameIdentity(a, b, 'demo')).toBe(true)
      expect(sameReference(a, structuredClone(a))).toBe(true)
    }),
    { numRuns: 500 },
  )
})
