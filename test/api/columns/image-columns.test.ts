import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  imageColumns,
  imageStreamColumns,
  imageStreamImageColumns,
  imageStreamTagColumns,
  imageTagColumns,
  tagsUpToWidth,
} from '../../../src/api/columns/image-columns.ts'
import type { ApiObject, Column } from '../../../src/api/resource.ts'

const nowMs = Date.parse('2026-03-01T12:00:00Z')
const hourAgo = '2026-03-01T11:00:00Z'
const dayAgo = '2026-02-28T12:00:00Z'
const digest = `sha256:${'a'.repeat(64)}`
const metadata = { name: 'app:prod', namespace: 'demo', creationTimestamp: hourAgo }

const cells = (columns: readonly Column[], object: object) =>
  columns.map((column) => column.value(object as ApiObject, nowMs))

describe('the tags of a stream', () => {
  test.each<[string[], string]>([
    [[], ''],
    [['latest'], 'latest'],
    [['a', 'b', 'c'], 'a,b,c'],
    [['x'.repeat(60)], 'x'.repeat(60)],
    [['x'.repeat(60), 'b'], `${'x'.repeat(60)} + 1 more...`],
    // Three take 33 of 40 characters: too little is left to stand out for a fourth.
    [Array.from({ length: 6 }, (_, i) => `1.2.3-alp${i}`), '1.2.3-alp0,1.2.3-alp1,1.2.3-alp2 + 3 more...'],
    [['a'.repeat(20), 'b'.repeat(28), 'c'], `${'a'.repeat(20)},${'b'.repeat(28)} + 1 more...`],
    [['a'.repeat(35), 'b'.repeat(10), 'c'], `${'a'.repeat(35)} + 2 more...`],
  ])('%j are shown as %j', (tags, text) => {
    expect(tagsUpToWidth(tags, 40)).toBe(text)
  })

  test('are shown or counted, at least one, and within the budget with its slack', () => {
    const tag = fc.string({ minLength: 1, maxLength: 50, unit: fc.constantFrom('a', '1', '.', '-') })
    fc.assert(
      fc.property(fc.array(tag, { minLength: 1, maxLength: 60 }), (tags) => {
        const [, shown = '', more = '0'] = /^(.*?)(?: \+ ([0-9]+) more\.\.\.)?$/.exec(tagsUpToWidth(tags, 40)) ?? []
        const names = shown.split(',')
        expect(names).toEqual(tags.slice(0, names.length))
        expect(names.length + Number(more)).toBe(tags.length)
        if (names.length > 1) expect(shown.length).toBeLessThanOrEqual(50)
      }),
      { numRuns: 500 },
    )
  })

  test('come newest first, those without items last, ties by name', () => {
    const tags = [
      { tag: 'old', items: [{ created: dayAgo }] },
      { tag: 'pending', items: null },
      { tag: 'b', items: [{ created: hourAgo }] },
      { tag: 'a', items: [{ created: hourAgo }, { created: dayAgo }] },
    ]
    const stream = { metadata, spec: {}, status: { dockerImageRepository: 'weir/demo/app', tags } }
    expect(cells(imageStreamColumns, stream)).toEqual([
      'app:prod',
      'weir/demo/app',
      'a,b,old,pending',
      'About an hour ago',
    ])
  })
})

describe('image columns', () => {
  test('a stream shows its public repository, else the one it is imported from, else its own', () => {
    const status = { dockerImageRepository: 'own', publicDockerImageRepository: 'public' }
    const spec = { dockerImageRepository: 'source' }
    const repository = (object: object) => cells(imageStreamColumns, { metadata, ...object })[1]
    expect(repository({ spec, status })).toBe('public')
    expect(repository({ spec, status: { dockerImageRepository: 'own' } })).toBe('source')
    expect(repository({ spec: {}, status: { dockerImageRepository: 'own' } })).toBe('own')
    expect(cells(imageStreamColumns, { metadata, spec: {}, status: {} })).toEqual(['app:prod', '', '', ''])
  })

  test('images, stream tags and stream images show where to pull them', () => {
    const image = { metadata: { name: digest }, dockerImageReference: 'quay.io/a/b@sha256:c' }
    expect(cells(imageColumns, image)).toEqual([digest, 'quay.io/a/b@sha256:c'])
    const of = { metadata, image }
    expect(cells(imageStreamTagColumns, of)).toEqual(['app:prod', 'quay.io/a/b@sha256:c', 'About an hour ago', digest])
    expect(cells(imageStreamImageColumns, of)).toEqual([
      'app:prod',
      'About an hour ago',
      'quay.io/a/b@sha256:c',
      digest,
    ])
  })
})

describe('an image tag', () => {
  const item = { created: dayAgo, dockerImageReference: 'quay.io/a/b@sha256:c', image: digest, generation: 2 }
  const docker = { kind: 'DockerImage', name: 'quay.io/a/b:1' }
  const spec = { name: 'prod', from: docker, generation: 2, importPolicy: {} }
  const failed = { type: 'ImportSuccess', status: 'False', reason: 'NotFound', lastTransitionTime: hourAgo }

  test.each<[string, object, string, string]>([
    ['that nobody wants or has', { spec: null, status: null }, '', ''],
    ['that was pushed', { spec: null, status: { items: [item] } }, 'Push', `image/${digest}`],
    [
      'without a source',
      { spec: { name: 'prod', generation: 1 }, status: { items: [item] } },
      'Push',
      `image/${digest}`,
    ],
    ['that was imported', { spec, status: { items: [item] } }, 'Tag', `image/${digest}`],
    [
      'that was pushed over its source',
      { spec, status: { items: [{ ...item, generation: 3 }] } },
      'Push',
      `image/${digest}`,
    ],
    [
      'that is imported on schedule',
      { spec: { ...spec, importPolicy: { scheduled: true } }, status: { items: [item] } },
      'Scheduled',
      `image/${digest}`,
    ],
    ['that is being imported', { spec, status: null }, 'Tag', 'Importing'],
    ['that is imported anew', { spec: { ...spec, generation: 3 }, status: { items: [item] } }, 'Tag', 'Importing'],
    ['that failed', { spec, status: { items: [item], conditions: [failed] } }, 'Tag', 'ImportFailed (NotFound)'],
    [
      'that tracks another',
      { spec: { ...spec, from: { kind: 'ImageStreamTag', name: 'latest' } }, status: { items: [item] } },
      'Track',
      `image/${digest}`,
    ],
    [
      'that tracks one that is not there yet',
      { spec: { ...spec, from: { kind: 'ImageStreamTag', name: 'latest', namespace: 'demo' } }, status: null },
      'Track',
      'istag/latest',
    ],
    [
      'of another project',
      { spec: { ...spec, from: { kind: 'ImageStreamTag', name: 'latest', namespace: 'x' } }, status: null },
      'Tag',
      'istag/latest',
    ],
    [
      'of a stream image',
      { spec: { ...spec, from: { kind: 'ImageStreamImage', name: 'app@sha256:a' } }, status: null },
      'Tag',
      'isimage/app@sha256:a',
    ],
    ['that is a reference', { spec: { ...spec, reference: true }, status: null }, 'Ref', 'quay.io/a/b:1'],
    [
      'that is a reference in status',
      { spec: { ...spec, reference: true }, status: { items: [{ ...item, image: '' }] } },
      'Ref',
      'quay.io/a/b@sha256:c',
    ],
    ['of an unknown kind', { spec: { ...spec, from: { kind: 'X', name: 'y' } } }, 'Tag', 'InvalidRefKind'],
    ['of nothing', { spec: { ...spec, from: { kind: 'DockerImage', name: '' } } }, 'Tag', 'InvalidRefName'],
  ])('%s', (_what, tag, expectedSpec, expectedStatus) => {
    const [, specCell, statusCell] = cells(imageTagColumns, { metadata, ...tag })
    expect([specCell, statusCell]).toEqual([expectedSpec, expectedStatus])
  })

  test('is as new as its newest image or failure', () => {
    const history = (status: object) => cells(imageTagColumns, { metadata, spec, status }).slice(3)
    expect(history({ items: [item, item] })).toEqual([2, '24 hours ago'])
    expect(history({ items: [item], conditions: [failed] })).toEqual([1, 'About an hour ago'])
    expect(history({ items: null })).toEqual([0, ''])
  })
})
