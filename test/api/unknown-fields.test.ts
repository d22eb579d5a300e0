import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { examineFields } from '../../src/api/unknown-fields.ts'

const tag = z.object({ name: z.string(), annotations: z.record(z.string(), z.string()).nullish() })
const schema = z.object({
  metadata: z.object({ name: z.string().nullish(), labels: z.record(z.string(), z.string()).nullish() }).nullish(),
  spec: z
    .object({
      tags: z
        .array(tag)
        .nullish()
        .transform((tags) => tags ?? []),
      local: z.boolean().default(false),
      count: z.int().optional(),
      to: z.union([z.int(), z.string()]).nullish(),
    })
    .prefault({}),
  raw: z.looseObject({ known: z.string().optional() }).nullish(),
  any: z.unknown().optional(),
  byName: z.record(z.string(), tag).optional(),
})

const unknown = (object: unknown) => examineFields(schema, object).unknown
const wrong = (object: unknown) => examineFields(schema, object).wrong

describe('an unknown field', () => {
  test.each([
    [{ foo: 1 }, ['foo']],
    [{ spec: { foo: 1, tags: [{ name: 'a' }, { name: 'b', bar: {} }] } }, ['spec.foo', 'spec.tags[1].bar']],
    [{ metadata: { foo: null } }, ['metadata.foo']],
    [{ byName: { x: { name: 'x', bar: 1 } } }, ['byName.x.bar']],
    [JSON.parse('{"__proto__":{"a":1},"constructor":1}'), ['__proto__', 'constructor']],
    [{ toString: 1, spec: { hasOwnProperty: 1 } }, ['toString', 'spec.hasOwnProperty']],
  ])('of %j is found as %j', (object, paths) => {
    expect(unknown(object)).toEqual(paths)
  })

  test.each([
    { kind: 'X', apiVersion: 'v1', metadata: { labels: { 'a/b': 'c' } } },
    { spec: null, metadata: null, raw: null },
    { raw: { anything: { at: ['all', { deep: 1 }] } }, any: { more: [1] } },
    { spec: { tags: null, to: { what: 'ever' } } },
  ])('is none in %j', (object) => {
    expect(unknown(object)).toEqual([])
  })

  test('is none of what the schema itself makes', () => {
    const value = fc.record(
      {
        metadata: fc.option(fc.record({ name: fc.string(), labels: fc.dictionary(fc.string(), fc.string()) })),
        spec: fc.record({ tags: fc.array(fc.record({ name: fc.string() })), local: fc.boolean(), count: fc.integer() }),
        raw: fc.dictionary(fc.string(), fc.jsonValue()).map((raw) => ({ ...raw, known: 'x' })),
        any: fc.jsonValue(),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(value, (object) => {
        expect(examineFields(schema, object)).toEqual({ unknown: [], wrong: [] })
      }),
      { numRuns: 300 },
    )
  })

  test('is told 100 times at most, of many, and with a key of at most 64 characters', () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`field${i}`, i]))
    expect(unknown(many)).toHaveLength(100)
    expect(unknown({ ['x'.repeat(100_000)]: 1 })).toEqual([`${'x'.repeat(64)}...`])
  })
})

describe('a field of a wrong type', () => {
  test.each([
    [{ spec: 'x' }, 'spec: expected object, received string'],
    [{ spec: { tags: { a: 1 } } }, 'spec.tags: expected array, received object'],
    [{ spec: { tags: [null] } }, 'spec.tags[0]: expected object, received null'],
    [{ spec: { tags: [{ name: 1 }] } }, 'spec.tags[0].name: expected string, received number'],
    [{ spec: { local: 'true' } }, 'spec.local: expected boolean, received string'],
    [{ spec: { count: '1' } }, 'spec.count: expected number, received string'],
    [{ metadata: { labels: { a: 1 } } }, 'metadata.labels.a: expected string, received number'],
    [{ metadata: [] }, 'metadata: expected object, received array'],
    [{ raw: 1 }, 'raw: expected object, received number'],
  ])('of %j is found', (object, message) => {
    expect(wrong(object)).toEqual([message])
  })

  test('is told 100 times at most, of a million', () => {
    expect(wrong({ spec: { tags: Array(1_000_000).fill(1) } })).toHaveLength(100)
  })

  test('is found of whatever JSON that the schema would refuse for its types, null apart', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (metadata, spec, raw) => {
        const object = { metadata, spec, raw }
        const found = wrong(object)
        const issues = schema.safeParse(object).error?.issues ?? []
        const types = issues.filter(
          ({ code, message }) => code === 'invalid_type' && !/null|undefined|int/.test(message),
        )
        if (types.length > 0) expect(found).not.toEqual([])
      }),
      { numRuns: 300 },
    )
  })
})
