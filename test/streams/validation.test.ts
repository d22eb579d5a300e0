import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseStreamName } from '../../src/oci/reference.ts'
import type { WantedReference } from '../../src/streams/generations.ts'
import type { TagSource } from '../../src/streams/records.ts'
import {
  requireValid,
  validateAnnotations,
  validateStreamName,
  validateTagName,
  validateTagReference,
} from '../../src/streams/validation.ts'
import { wanted } from './world.ts'

const field = 'spec.tags[prod]'
const base = wanted('prod')
const from = (kind: string, name: string): WantedReference => ({
  ...base,
  from: { kind: kind as TagSource['kind'], name },
})

describe('stream names', () => {
  test.each(['app', 'a.b_c-d', '0', 'a--b'])('%s is one', (stream) => {
    expect(validateStreamName({ project: 'demo', stream })).toEqual([])
  })

  test.each(['bad_Name', 'Foo', '.', '..', 'a/b', 'a%b', '-a', 'a.', 'a!b'])('%s is none', (stream) => {
    expect(validateStreamName({ project: 'demo', stream })).toEqual([
      { field: 'metadata.name', reason: 'FieldValueInvalid', message: expect.stringContaining('must match') },
    ])
  })

  test('project and stream together have at most 255 characters', () => {
    expect(validateStreamName({ project: 'demo', stream: 'a'.repeat(250) })).toEqual([])
    expect(validateStreamName({ project: 'demo', stream: 'a'.repeat(251) })).toEqual([
      {
        field: 'metadata.name',
        reason: 'FieldValueInvalid',
        message: expect.stringContaining("'namespace/name' cannot be longer than 255 characters"),
      },
    ])
  })

  test('a name is required', () => {
    expect(validateStreamName({ project: 'demo', stream: '' })).toMatchObject([{ reason: 'FieldValueRequired' }])
  })

  test('what is valid is what /v2/ can name', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'aZ0._-/%! '), maxLength: 8 }), (stream) => {
        const valid = validateStreamName({ project: 'demo', stream }).length === 0
        expect(valid).toBe(parseStreamName(`demo/${stream}`) !== undefined)
      }),
      { numRuns: 500 },
    )
  })
})

test.each(['a!b', 'a/b', '.a', '-a', 'a b', 'a'.repeat(129)])('the tag %s is refused', (tag) => {
  expect(validateTagName(tag, 'tag')).toMatchObject([{ field: 'tag', reason: 'FieldValueInvalid' }])
})

test('tags are required and of the OCI grammar', () => {
  expect(validateTagName('', 'tag')).toMatchObject([{ reason: 'FieldValueRequired' }])
  expect(validateTagName('v1.2_x-Y', 'tag')).toEqual([])
})

describe('sources', () => {
  test.each([
    'nginx',
    'nginx:1.27',
    'quay.io/org/app',
    `quay.io/a@sha256:${'a'.repeat(64)}`,
    'localhost:5100/lib/app:v1',
  ])('%s is an image', (name) => {
    expect(validateTagReference(from('DockerImage', name), field)).toEqual([])
  })

  test.each<[string, WantedReference, string, string]>([
    ['an empty name', from('DockerImage', ''), `${field}.from.name`, 'FieldValueRequired'],
    ['no reference', from('DockerImage', 'UPPER/Case'), `${field}.from.name`, 'FieldValueInvalid'],
    ['an unknown kind', from('Pod', 'x'), `${field}.from.kind`, 'FieldValueRequired'],
    ['what is no tag of a stream', from('ImageStreamTag', 'app:a!b'), `${field}.from.name`, 'FieldValueInvalid'],
    ['what is no image of a stream', from('ImageStreamImage', 'app@x'), `${field}.from.name`, 'FieldValueInvalid'],
    ['a bad tag', wanted('a!b'), `${field}.name`, 'FieldValueInvalid'],
    [
      'an unknown import mode',
      { ...base, importPolicy: { importMode: 'Some' as 'Legacy' } },
      `${field}.importPolicy.importMode`,
      'FieldValueInvalid',
    ],
    [
      'an unknown reference policy',
      { ...base, referencePolicy: { type: '' as 'Local' } },
      `${field}.referencePolicy.type`,
      'FieldValueInvalid',
    ],
  ])('%s is refused by its path', (_what, tag, path, reason) => {
    expect(validateTagReference(tag, field)).toMatchObject([{ field: path, reason }])
  })

  test('a tag without a source is one that is pushed', () => {
    const { from: _, ...pushed } = base
    expect(validateTagReference(pushed, field)).toEqual([])
  })

  test('only images of other registries can be scheduled', () => {
    const scheduled = { importPolicy: { scheduled: true } }
    const { from: _, ...pushed } = base
    const cause = {
      field: `${field}.importPolicy.scheduled`,
      message: expect.stringContaining('only tags pointing to Docker repositories may be scheduled'),
    }
    expect(validateTagReference({ ...base, ...scheduled }, field)).toEqual([])
    expect(validateTagReference({ ...pushed, ...scheduled }, field)).toMatchObject([cause])
    expect(validateTagReference({ ...from('ImageStreamTag', 'a:b'), ...scheduled }, field)).toMatchObject([cause])
  })
})

test('annotations have at most 256 KiB in all', () => {
  expect(validateAnnotations({ a: 'x'.repeat(256 * 1024 - 1) }, 'metadata.annotations')).toEqual([])
  expect(validateAnnotations({ a: 'x'.repeat(256 * 1024) }, 'metadata.annotations')).toMatchObject([
    { field: 'metadata.annotations', reason: 'FieldValueTooLong' },
  ])
})

test('requireValid() names every field, and lets the valid pass', () => {
  expect(() => requireValid('ImageStream', 'app', [])).not.toThrow()
  const causes = [
    { field: 'a', reason: 'FieldValueInvalid', message: 'one' },
    { field: 'b', reason: 'FieldValueInvalid', message: 'two' },
  ]
  expect(() => requireValid('ImageStream', 'app', causes)).toThrow(
    expect.objectContaining({
      code: 'INVALID',
      message: 'ImageStream.image.openshift.io "app" is invalid: [a: one, b: two]',
      causes,
      subject: { name: 'app', kind: 'imagestreams', group: 'image.openshift.io' },
    }),
  )
})
