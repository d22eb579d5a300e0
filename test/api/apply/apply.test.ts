import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { applyConfig } from '../../../src/api/apply/apply-config.ts'
import { trackUpdate } from '../../../src/api/apply/track.ts'
import { shapeOf } from '../../../src/api/list-keys.ts'
import { RegistryError } from '../../../src/oci/errors.ts'

const tag = z.object({
  name: z.string(),
  from: z.object({ kind: z.string(), name: z.string() }).nullish(),
  annotations: z.record(z.string(), z.string()).nullish(),
})
const schema = z.object({
  spec: z
    .object({
      tags: z
        .array(tag)
        .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
        .nullish(),
      hosts: z.array(z.string()).nullish(),
      lookupPolicy: z.object({ local: z.boolean() }).nullish(),
    })
    .nullish(),
})
const shape = shapeOf({ schema })
const apiVersion = 'image.openshift.io/v1'
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

type JsonObject = Record<string, unknown>
type Entry = { manager: string; operation: string; time: string; fieldsV1: JsonObject }

interface Options {
  force?: boolean
  time?: string
}

/** Applies `fields` as `manager`. */
function apply(live: JsonObject | undefined, manager: string, fields: JsonObject, options: Options = {}): JsonObject {
  const { force = false, time = '2026-01-01T00:00:00Z' } = options
  return applyConfig(live, {
    config: { apiVersion, kind: 'ImageStream', ...fields },
    shape,
    manager,
    apiVersion,
    time,
    force,
  })
}

function update(live: JsonObject, manager: string, next: JsonObject, mayReplace = false): JsonObject {
  return trackUpdate(live, next, shape, { manager, apiVersion, time: '2026-02-02T00:00:00Z' }, mayReplace)
}

function refusal(run: () => unknown): RegistryError {
  try {
    run()
  } catch (error) {
    if (error instanceof RegistryError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

const entries = (object: JsonObject): Entry[] => (object.metadata as { managedFields?: Entry[] }).managedFields ?? []
const fieldsOf = (object: JsonObject, manager: string, operation = 'Apply') =>
  entries(object).find((entry) => entry.manager === manager && entry.operation === operation)?.fieldsV1
const withoutOwners = (object: JsonObject): JsonObject => {
  const { managedFields: _, ...metadata } = object.metadata as JsonObject
  return { ...object, metadata }
}
const withTags = (...tags: JsonObject[]): JsonObject => ({ spec: { tags } })
const tagFrom = (name: string, source: string) => ({ name, from: { kind: 'DockerImage', name: source } })
const specOf = (object: JsonObject) => object.spec as { tags: JsonObject[]; lookupPolicy?: JsonObject }

describe('applying', () => {
  test('to nothing makes the object, whose fields are the manager’s', () => {
    const config = {
      metadata: { name: 'app', labels: { team: 'a' }, creationTimestamp: null },
      spec: { tags: [tagFrom('v1', 'one')], hosts: ['x'] },
    }
    const made = apply(undefined, 'ci', config)
    expect(withoutOwners(made)).toEqual({ apiVersion, kind: 'ImageStream', ...config })
    expect(entries(made)).toEqual([
      {
        manager: 'ci',
        operation: 'Apply',
        apiVersion,
        time: '2026-01-01T00:00:00Z',
        fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:metadata': { 'f:labels': { 'f:team': {} } },
          'f:spec': {
            'f:hosts': {},
            'f:tags': {
              'k:{"name":"v1"}': { '.': {}, 'f:from': { 'f:kind': {}, 'f:name': {} }, 'f:name': {} },
            },
          },
        },
      },
    ])
  })

  test('again changes nothing, not even a time', () => {
    const config = withTags(tagFrom('v1', 'one'))
    const once = apply({ metadata: { name: 'app' } }, 'ci', config)
    expect(apply(once, 'ci', config, { time: '2027-01-01T00:00:00Z' })).toEqual({
      ...once,
      apiVersion,
      kind: 'ImageStream',
    })
  })

  test('removes what the manager named before and nobody else owns', () => {
    const first = apply(undefined, 'ci', {
      metadata: { labels: { a: '1', b: '2' } },
      spec: { tags: [tagFrom('v1', 'one'), tagFrom('v2', 'two')], lookupPolicy: { local: true } },
    })
    const second = apply(first, 'ci', { metadata: { labels: { a: '1' } }, spec: { tags: [tagFrom('v2', 'two')] } })
    expect(withoutOwners(second)).toMatchObject({ metadata: { labels: { a: '1' } } })
    expect(withoutOwners(second).spec).toEqual({ tags: [tagFrom('v2', 'two')] })
    expect(apply(second, 'ci', { metadata: {} }).spec).toBeUndefined()
  })

  test('leaves what others own, and what nobody owns', () => {
    const first = apply(undefined, 'ci', withTags(tagFrom('v1', 'one'), tagFrom('v2', 'two')))
    const shared = apply(first, 'other', withTags(tagFrom('v1', 'one')))
    // The server adds what it pleases.
    const live = { ...shared, status: { x: 1 }, spec: { ...specOf(shared), hosts: ['server'] } }
    const left = apply(live, 'ci', { spec: {} })
    expect(left.spec).toEqual({ tags: [tagFrom('v1', 'one')], hosts: ['server'] })
    expect(left.status).toEqual({ x: 1 })
    expect(fieldsOf(left, 'ci')).toEqual({ 'f:spec': {} })
  })

  test('leaves the keys of an item of which another owns a field', () => {
    const first = apply(undefined, 'ci', withTags(tagFrom('v1', 'one')))
    const noted = { ...tagFrom('v1', 'one'), annotations: { note: 'x' } }
    const other = update(first, 'notes', { ...first, ...withTags(noted) })
    const left = apply(other, 'ci', { metadata: {} })
    expect(specOf(left).tags).toEqual([{ name: 'v1', annotations: { note: 'x' } }])
  })

  test('takes lists without keys as a whole', () => {
    const first = apply(undefined, 'ci', { spec: { hosts: ['a', 'b'] } })
    expect(apply(first, 'ci', { spec: { hosts: ['c'] } }).spec).toEqual({ hosts: ['c'] })
    expect(refusal(() => apply(first, 'other', { spec: { hosts: ['c'] } })).message).toContain('.spec.hosts')
  })

  test('never owns what the server sets', () => {
    const live = {
      metadata: { name: 'app', uid: 'u', resourceVersion: '5', generation: 2, creationTimestamp: 't' },
      status: { dockerImageRepository: 'x' },
    }
    const applied = apply(live, 'ci', {
      metadata: { name: 'app', generation: 9, uid: 'u', creationTimestamp: null },
      status: { tags: [] },
      spec: { lookupPolicy: { local: true } },
    })
    expect(fieldsOf(applied, 'ci')).toEqual({ 'f:spec': { 'f:lookupPolicy': { 'f:local': {} } } })
    expect(entries(applied)).toHaveLength(1)
  })

  test.each([
    ['two items of the same key', withTags(tagFrom('v1', 'one'), tagFrom('v1', 'two')), /duplicate entries/],
    ['an item without its key', withTags({ from: {} }), /each item needs name/],
    ['an item that is a scalar', { spec: { tags: ['v1'] } }, /each item needs name/],
    ['a set of objects', { metadata: { finalizers: [{}] } }, /its items are scalars/],
    ['a value twice in a set', { metadata: { finalizers: ['x', 'x'] } }, /duplicate entries/],
  ])('a configuration with %s is refused', (_name, config, message) => {
    const error = refusal(() => apply({ metadata: {} }, 'ci', config))
    expect(error.code).toBe('BAD_REQUEST')
    expect(error.message).toMatch(message)
  })

  test('takes any name for a field’s, also those that objects inherit', () => {
    const config = JSON.parse('{"metadata":{"labels":{"__proto__":"x","constructor":"y"}},"__proto__":{"polluted":1}}')
    const applied = apply(undefined, 'ci', config)
    expect(JSON.stringify(fieldsOf(applied, 'ci'))).toBe(
      '{"f:__proto__":{"f:polluted":{}},"f:metadata":{"f:labels":{"f:__proto__":{},"f:constructor":{}}}}',
    )
    expect(JSON.stringify(apply(applied, 'ci', config))).toBe(JSON.stringify(applied))
    expect(({} as JsonObject).polluted).toBeUndefined()
  })
})

describe('applying what another manager owns', () => {
  const live = () =>
    update(apply(undefined, 'ci', withTags(tagFrom('prod', 'one'))), 'kubectl-edit', {
      ...apply(undefined, 'ci', withTags(tagFrom('prod', 'one'))),
      ...withTags(tagFrom('prod', 'edited')),
    })

  test('conflicts, naming who owns which field', () => {
    const error = refusal(() => apply(live(), 'ci', withTags(tagFrom('prod', 'one'))))
    expect(error.code).toBe('CONFLICT')
    expect(error.message).toBe(
      'Apply failed with 1 conflict: conflict with "kubectl-edit" using image.openshift.io/v1: .spec.tags[name="prod"].from.name',
    )
    expect(error.causes).toEqual([
      {
        reason: 'FieldManagerConflict',
        message: 'conflict with "kubectl-edit" using image.openshift.io/v1',
        field: '.spec.tags[name="prod"].from.name',
      },
    ])
  })

  test('conflicts with several at once', () => {
    const first = apply(undefined, 'a', { metadata: { labels: { x: '1', y: '1' } } })
    const error = refusal(() => apply(first, 'b', { metadata: { labels: { x: '2', y: '2' } } }))
    expect(error.message).toBe(
      'Apply failed with 2 conflicts: conflicts with "a":\n- .metadata.labels.x\n- .metadata.labels.y',
    )
  })

  test('takes it with force', () => {
    const forced = apply(live(), 'ci', withTags(tagFrom('prod', 'one')), { force: true })
    expect(specOf(forced).tags).toEqual([tagFrom('prod', 'one')])
    expect(fieldsOf(forced, 'kubectl-edit', 'Update')).toBeUndefined()
  })

  test('shares a map, with or without anything in it, but not its values', () => {
    // What the server keeps has no empty maps.
    const kept = ({ metadata, ...rest }: JsonObject): JsonObject => {
      const { labels, ...others } = metadata as { labels?: object }
      return { ...rest, metadata: Object.keys(labels ?? {}).length > 0 ? metadata : others }
    }
    const labelled = (labels: JsonObject, name: string) => ({ metadata: { labels }, spec: { tags: [{ name }] } })
    const first = kept(apply(undefined, 'first', labelled({}, 'one')))
    const second = kept(apply(first, 'second', labelled({}, 'two')))
    expect(kept(apply(second, 'first', labelled({}, 'one')))).toEqual(second)
    const third = apply(second, 'first', labelled({ a: '1' }, 'one'))
    const conflict = refusal(() => apply(third, 'second', labelled({ a: '2' }, 'two')))
    expect(conflict.message).toBe('Apply failed with 1 conflict: conflict with "first": .metadata.labels.a')
    expect(apply(third, 'second', labelled({ b: '2' }, 'two'))).toMatchObject({
      metadata: { labels: { a: '1', b: '2' } },
    })
  })

  test('shares it where the value is the same', () => {
    const shared = apply(live(), 'other', withTags(tagFrom('prod', 'edited')))
    expect(fieldsOf(shared, 'kubectl-edit', 'Update')).toBeDefined()
    expect(specOf(apply(shared, 'other', { spec: {} })).tags).toEqual([tagFrom('prod', 'edited')])
  })
})

describe('updating', () => {
  test('an object that nobody applied tracks nothing, whatever the client sends', () => {
    const next = { metadata: { managedFields: [] }, spec: { hosts: ['a'] } }
    expect(update({ metadata: {} }, 'curl', next)).toEqual({ metadata: {}, spec: { hosts: ['a'] } })
  })

  test('takes ownership of what changes, and of that alone', () => {
    const applied = apply(undefined, 'ci', withTags(tagFrom('v1', 'one'), tagFrom('v2', 'two')))
    const next = update(applied, 'oc', { ...applied, ...withTags(tagFrom('v1', 'one'), tagFrom('v2', 'three')) })
    expect(fieldsOf(next, 'oc', 'Update')).toEqual({
      'f:spec': { 'f:tags': { 'k:{"name":"v2"}': { 'f:from': { 'f:name': {} } } } },
    })
    expect(JSON.stringify(fieldsOf(next, 'ci'))).toContain('k:{\\"name\\":\\"v1\\"}')
    expect(entries(next).map(({ time }) => time)).toEqual(['2026-02-02T00:00:00Z', '2026-02-02T00:00:00Z'])
  })

  test('forgets what is removed', () => {
    const applied = apply(undefined, 'ci', { metadata: { labels: { a: '1' } }, spec: { hosts: ['a'] } })
    const next = update(applied, 'oc', { ...applied, spec: undefined })
    expect(entries(next)).toHaveLength(1)
    expect(fieldsOf(next, 'ci')).toEqual({ 'f:metadata': { 'f:labels': { 'f:a': {} } } })
  })

  test('without a change leaves all owners and times', () => {
    const applied = apply(undefined, 'ci', withTags(tagFrom('v1', 'one')))
    expect(update(applied, 'oc', withoutOwners(applied))).toEqual(applied)
  })

  test('by many programs keeps ten of them, and the others as one', () => {
    let object = apply(undefined, 'ci', { metadata: { labels: { a: '0' } } })
    for (let i = 1; i <= 30; i += 1) {
      object = update(object, `program-${i}`, { ...object, spec: { ...(object.spec as object), [`f${i}`]: i } })
    }
    const managers = entries(object).map(({ manager }) => manager)
    expect(managers).toHaveLength(11)
    expect(managers).toContain('ancient-changes')
    expect(managers).toContain('program-30')
    expect(Object.keys(fieldsOf(object, 'ancient-changes', 'Update')?.['f:spec'] as object)).toContain('f:f1')
  })

  test('may replace the owners, where the client has seen the newest', () => {
    const applied = apply(undefined, 'ci', { spec: { hosts: ['a'] } })
    const [entry] = entries(applied)
    const migrated = { ...applied, metadata: { managedFields: [{ ...entry, manager: 'new' }] } }
    expect(entries(update(applied, 'x', migrated, true)).map(({ manager }) => manager)).toEqual(['new'])
    expect(entries(update(applied, 'x', migrated, false)).map(({ manager }) => manager)).toEqual(['ci'])
    expect(entries(update(applied, 'x', { ...applied, metadata: { managedFields: [{}] } }, true))).toEqual([])
  })

  test.each([
    [[{ manager: 'x' }]],
    [[null]],
    ['x'],
    [[{ manager: 'x', operation: 'Apply', apiVersion, fieldsType: 'FieldsV1', fieldsV1: { 'q:x': {} } }]],
    [[{ manager: 'x', operation: 'Apply', apiVersion, fieldsType: 'FieldsV1', fieldsV1: { 'k:[': {} } }]],
    [[{ manager: 'x', operation: 'Apply', apiVersion, fieldsType: 'FieldsV1', fieldsV1: { 'f:x': 1 } }]],
    [[{ manager: 'x'.repeat(1e6), operation: 'Apply', apiVersion, fieldsType: 'FieldsV1', fieldsV1: {} }]],
  ])('keeps the owners that there are for others that are none', (managedFields) => {
    const applied = apply(undefined, 'ci', { spec: { hosts: ['a'] } })
    const next = { ...applied, metadata: { managedFields } }
    expect(entries(update(applied, 'x', next, true)).map(({ manager }) => manager)).toEqual(['ci'])
  })

  test('keeps the owners that there are for two of the same name', () => {
    const applied = apply(undefined, 'ci', { spec: { hosts: ['a'] } })
    const [entry] = entries(applied)
    const twice = { ...applied, metadata: { managedFields: [entry, entry] } }
    expect(entries(update(applied, 'x', twice, true))).toEqual([entry])
  })
})

describe('the first apply', () => {
  test('gives all that was there to before-first-apply', () => {
    const live = { metadata: { name: 'app', labels: { a: '1' } }, ...withTags(tagFrom('v1', 'one')) }
    const applied = apply(live, 'ci', withTags(tagFrom('v2', 'two')))
    expect(entries(applied).map(({ manager, operation }) => [manager, operation])).toEqual([
      ['before-first-apply', 'Update'],
      ['ci', 'Apply'],
    ])
    expect(fieldsOf(applied, 'before-first-apply', 'Update')).toMatchObject({
      'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } },
      'f:spec': { 'f:tags': { 'k:{"name":"v1"}': { '.': {}, 'f:name': {} } } },
    })
    expect(refusal(() => apply(live, 'ci', withTags(tagFrom('v1', 'other')))).message).toContain('"before-first-apply"')
  })

  test('by kubectl may change what kubectl applied itself before', () => {
    const config = {
      apiVersion,
      kind: 'ImageStream',
      metadata: { labels: { a: '1' } },
      ...withTags(tagFrom('v1', 'one')),
    }
    const annotations = { [lastApplied]: JSON.stringify(config) }
    const live = { ...config, metadata: { ...config.metadata, annotations } }
    const applied = apply(live, 'kubectl', { metadata: { labels: { a: '2' } }, ...withTags(tagFrom('v1', 'two')) })
    expect(specOf(applied).tags).toEqual([tagFrom('v1', 'two')])
    const kept = (applied.metadata as { annotations: Record<string, string> }).annotations[lastApplied] ?? ''
    expect(JSON.parse(kept)).toMatchObject({ metadata: { labels: { a: '2' } } })
    // Another manager may not, and nor may kubectl what somebody changed since.
    expect(refusal(() => apply(live, 'ci', withTags(tagFrom('v1', 'two')))).code).toBe('CONFLICT')
    const edited = { ...live, ...withTags(tagFrom('v1', 'edited')) }
    expect(refusal(() => apply(edited, 'kubectl', withTags(tagFrom('v1', 'two')))).code).toBe('CONFLICT')
  })

  test('by kubectl is not confused by an annotation that is none', () => {
    const other = JSON.stringify({ apiVersion: 'other/v1', ...withTags(tagFrom('v1', 'one')) })
    const deep = `{"apiVersion":"${apiVersion}","spec":${'{"a":'.repeat(30_000)}1${'}'.repeat(30_000)}}`
    for (const text of ['{', '[]', 'null', other, deep, '['.repeat(100_000)]) {
      const live = { metadata: { annotations: { [lastApplied]: text } }, ...withTags(tagFrom('v1', 'one')) }
      expect(refusal(() => apply(live, 'kubectl', withTags(tagFrom('v1', 'two')))).code).toBe('CONFLICT')
    }
  })

  test('can be followed by what kubectl does to take over its earlier fields', () => {
    const config = { metadata: { labels: { a: '1', b: '1' } } }
    const text = JSON.stringify({ apiVersion, kind: 'ImageStream', ...config })
    const live = { metadata: { labels: config.metadata.labels, annotations: { [lastApplied]: text } } }
    const applied = apply(live, 'kubectl', { metadata: { labels: { a: '1' } } })
    // kubectl joins the fields of before-first-apply with its own and applies again.
    const [before, own] = entries(applied)
    const joined = [{ ...own, fieldsV1: before?.fieldsV1 }]
    const migrated = update(
      applied,
      'kubectl',
      { ...applied, metadata: { ...(applied.metadata as object), managedFields: joined } },
      true,
    )
    const again = apply(migrated, 'kubectl', { metadata: { labels: { a: '1' } } })
    expect((again.metadata as { labels: unknown }).labels).toEqual({ a: '1' })
  })
})

describe('whatever is applied', () => {
  const name = fc.constantFrom('a', 'b', 'c', '__proto__')
  const value = fc.constantFrom('1', '2')
  const labels = fc.dictionary(name, value, { maxKeys: 3 })
  const tags = fc
    .uniqueArray(name, { maxLength: 3 })
    .chain((names) =>
      fc.tuple(
        ...names.map((each) =>
          fc.record(
            { name: fc.constant(each), from: fc.record({ kind: value, name: value }), annotations: labels },
            { requiredKeys: ['name'] },
          ),
        ),
      ),
    )
  const config = fc.record(
    {
      metadata: fc.record({ labels }, { requiredKeys: [] }),
      spec: fc.record({ tags, hosts: fc.array(value, { maxLength: 2 }) }, { requiredKeys: [] }),
    },
    { requiredKeys: [] },
  )

  test('applying it again changes nothing', () => {
    fc.assert(
      fc.property(config, config, (before, applied) => {
        const live = apply(undefined, 'other', before)
        const once = apply(live, 'ci', applied, { force: true })
        expect(apply(once, 'ci', applied, { force: true, time: '2030-01-01T00:00:00Z' })).toEqual(once)
      }),
      { numRuns: 400 },
    )
  })

  test('a manager never loses a field to another who does not force it', () => {
    fc.assert(
      fc.property(config, fc.array(config, { maxLength: 4 }), (mine, others) => {
        let live = apply(undefined, 'me', mine)
        for (const other of others) {
          try {
            live = apply(live, 'other', other)
          } catch (error) {
            if (!(error instanceof RegistryError) || error.code !== 'CONFLICT') throw error
          }
        }
        // Applying mine again finds nothing to change or to take.
        const again = apply(live, 'me', mine)
        expect(withoutOwners(sorted(again))).toEqual(withoutOwners(sorted(live)))
      }),
      { numRuns: 400 },
    )
  })

  test('what nobody names any more is gone', () => {
    fc.assert(
      fc.property(config, config, (first, second) => {
        const one = apply(undefined, 'a', first)
        const two = apply(one, 'b', second, { force: true })
        const rest = apply(apply(two, 'a', { metadata: {} }), 'b', { metadata: {} })
        expect(rest.spec).toBeUndefined()
        expect((rest.metadata as JsonObject).labels).toBeUndefined()
      }),
      { numRuns: 400 },
    )
  })
})

/** The order of a list's items is the newest applier's. */
function sorted(object: JsonObject): JsonObject {
  const spec = object.spec as { tags?: { name: string }[] } | undefined
  if (spec?.tags === undefined) return object
  return { ...object, spec: { ...spec, tags: spec.tags.toSorted((a, b) => (a.name < b.name ? -1 : 1)) } }
}
