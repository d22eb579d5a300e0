import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defaultColumns, valueAt } from '../../../src/api/columns/columns.ts'
import {
  configMapColumns,
  eventColumns,
  namespaceColumns,
  projectColumns,
  serviceAccountColumns,
} from '../../../src/api/columns/core-columns.ts'
import {
  imageColumns,
  imageStreamColumns,
  imageStreamImageColumns,
  imageStreamTagColumns,
  imageTagColumns,
} from '../../../src/api/columns/image-columns.ts'
import { roleBindingColumns, roleColumns } from '../../../src/api/columns/rbac-columns.ts'
import { tagEventColumns } from '../../../src/api/columns/tag-event-columns.ts'
import type { ApiObject, Column } from '../../../src/api/resource.ts'

const now = '2026-03-01T12:00:00Z'
const nowMs = Date.parse(now)
const hourAgo = '2026-03-01T11:00:00Z'
const dayAgo = '2026-02-28T12:00:00Z'

/** The headings, wide ones in parentheses. */
const headings = (columns: readonly Column[]) =>
  columns.map(({ name, priority = 0 }) => (priority > 0 ? `(${name})` : name))

const cells = (columns: readonly Column[], object: object) =>
  columns.map((column) => column.value(object as ApiObject, nowMs))

const metadata = { name: 'x', namespace: 'demo', creationTimestamp: hourAgo }

const all: [string, readonly Column[]][] = [
  ['default', defaultColumns],
  ['namespaces', namespaceColumns],
  ['projects', projectColumns],
  ['serviceaccounts', serviceAccountColumns],
  ['configmaps', configMapColumns],
  ['events', eventColumns],
  ['roles', roleColumns],
  ['rolebindings', roleBindingColumns],
  ['tagevents', tagEventColumns],
  ['images', imageColumns],
  ['imagestreams', imageStreamColumns],
  ['imagestreamtags', imageStreamTagColumns],
  ['imagetags', imageTagColumns],
  ['imagestreamimages', imageStreamImageColumns],
]

describe('columns', () => {
  test.each<[string, readonly Column[], string[]]>([
    ['default', defaultColumns, ['Name', 'Age']],
    ['namespaces', namespaceColumns, ['Name', 'Status', 'Age']],
    ['projects', projectColumns, ['Name', 'Display Name', 'Status']],
    ['serviceaccounts', serviceAccountColumns, ['Name', 'Secrets', 'Age']],
    ['configmaps', configMapColumns, ['Name', 'Data', 'Age']],
    [
      'events',
      eventColumns,
      [
        'Last Seen',
        'Type',
        'Reason',
        'Object',
        '(Subobject)',
        '(Source)',
        'Message',
        '(First Seen)',
        '(Count)',
        '(Name)',
      ],
    ],
    ['roles', roleColumns, ['Name', 'Created At']],
    ['rolebindings', roleBindingColumns, ['Name', 'Role', 'Age', '(Users)', '(Groups)', '(ServiceAccounts)']],
    ['tagevents', tagEventColumns, ['Name', 'Revision', 'Image', 'Cause', 'By', 'Age', '(Reason)']],
    ['images', imageColumns, ['Name', 'Image Reference']],
    ['imagestreams', imageStreamColumns, ['Name', 'Image Repository', 'Tags', 'Updated']],
    ['imagestreamtags', imageStreamTagColumns, ['Name', 'Image Reference', 'Updated', '(Image Name)']],
    ['imagetags', imageTagColumns, ['Name', 'Spec', 'Status', 'History', 'Updated']],
    ['imagestreamimages', imageStreamImageColumns, ['Name', 'Updated', '(Image Reference)', '(Image Name)']],
  ])('of %s are those of Kubernetes and OKD', (_kind, columns, expected) => {
    expect(headings(columns)).toEqual(expected)
    expect(columns.filter(({ format }) => format === 'name').map(({ name }) => name)).toEqual(['Name'])
    expect(columns.every(({ description }) => description !== '')).toBe(true)
  })

  test.each(all)('of %s make a cell of any object', (_kind, columns) => {
    const object = fc.record({
      metadata: fc.record({ name: fc.string(), annotations: fc.anything() }, { requiredKeys: [] }),
      spec: fc.anything(),
      status: fc.oneof(
        fc.anything(),
        fc.record({ tags: fc.anything(), items: fc.anything(), conditions: fc.anything() }),
      ),
      subjects: fc.anything(),
      roleRef: fc.anything(),
      cause: fc.anything(),
      image: fc.anything(),
      involvedObject: fc.anything(),
      series: fc.anything(),
    })
    fc.assert(
      fc.property(object, (any) => {
        for (const cell of cells(columns, any)) expect(['string', 'number']).toContain(typeof cell)
      }),
      { numRuns: 300 },
    )
  })
})

test('what an object inherits is no field of it', () => {
  for (const field of ['constructor', 'toString', '__proto__']) {
    expect(valueAt({ a: {} }, field)).toBeUndefined()
    expect(valueAt({ a: {} }, 'a', field)).toBeUndefined()
  }
  expect(valueAt([1, 2], 1)).toBe(2)
  expect(valueAt([1, 2], 'length', 'x')).toBeUndefined()
})

describe('cells', () => {
  test('of projects and the core group', () => {
    expect(cells(namespaceColumns, { metadata, status: { phase: 'Active' } })).toEqual(['x', 'Active', '60m'])
    const annotations = { 'openshift.io/display-name': 'The X' }
    const project = { metadata: { ...metadata, annotations }, status: { phase: 'Terminating' } }
    expect(cells(projectColumns, project)).toEqual(['x', 'The X', 'Terminating'])
    expect(cells(serviceAccountColumns, { metadata, secrets: [{ name: 'a' }] })).toEqual(['x', 1, '60m'])
    expect(cells(serviceAccountColumns, { metadata })).toEqual(['x', 0, '60m'])
    expect(cells(configMapColumns, { metadata, data: { a: '1', b: '2' }, binaryData: { c: '' } })).toEqual([
      'x',
      3,
      '60m',
    ])
    expect(cells(defaultColumns, { metadata: { name: 'x', creationTimestamp: null } })).toEqual(['x', '<unknown>'])
  })

  test('of events', () => {
    const event = {
      metadata,
      type: 'Warning',
      reason: 'ImportFailed',
      message: ' no such tag\n',
      involvedObject: { kind: 'ImageStream', name: 'app', fieldPath: 'spec.tags' },
      source: { component: 'weir', host: 'a' },
      firstTimestamp: dayAgo,
      lastTimestamp: hourAgo,
      count: 5,
    }
    expect(cells(eventColumns, event)).toEqual([
      '60m',
      'Warning',
      'ImportFailed',
      'imagestream/app',
      'spec.tags',
      'weir, a',
      'no such tag',
      '24h',
      5,
      'x',
    ])
    const newer = { metadata, eventTime: dayAgo, reportingComponent: 'weir', involvedObject: { kind: 'Namespace' } }
    const [lastSeen, , , object, , source, , firstSeen, count] = cells(eventColumns, newer)
    expect([lastSeen, object, source, firstSeen, count]).toEqual(['24h', 'namespace', 'weir', '24h', 1])
    const series = { ...newer, series: { count: 7, lastObservedTime: hourAgo } }
    expect(cells(eventColumns, series)[0]).toBe('60m')
    expect(cells(eventColumns, series)[8]).toBe(7)
  })

  test('of roles and bindings', () => {
    expect(cells(roleColumns, { metadata })).toEqual(['x', hourAgo])
    expect(cells(roleColumns, { metadata: { name: 'x', creationTimestamp: null } })).toEqual(['x', '<unknown>'])
    const binding = {
      metadata,
      roleRef: { kind: 'ClusterRole', name: 'view' },
      subjects: [
        { kind: 'User', name: 'ann' },
        { kind: 'User', name: 'bob' },
        { kind: 'Group', name: 'devs' },
        { kind: 'ServiceAccount', namespace: 'demo', name: 'ci' },
      ],
    }
    expect(cells(roleBindingColumns, binding)).toEqual(['x', 'ClusterRole/view', '60m', 'ann, bob', 'devs', 'demo/ci'])
  })

  test('of tag events', () => {
    const event = {
      metadata,
      revision: 3,
      image: 'sha256:a',
      cause: { kind: 'rollback', by: 'ann', restoredRevision: 1 },
    }
    expect(cells(tagEventColumns, event)).toEqual(['x', 3, 'sha256:a', 'rollback to 1', 'ann', '60m', ''])
    const imported = { metadata, revision: 1, image: '', cause: { kind: 'import', by: 'bob', reason: 'why not' } }
    expect(cells(tagEventColumns, imported).slice(2)).toEqual(['', 'import', 'bob', '60m', 'why not'])
  })
})
