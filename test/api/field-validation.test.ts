import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { checkFields, parseFieldValidation } from '../../src/api/field-validation.ts'

const schema = z.object({ spec: z.object({ a: z.string().optional() }).optional() })
const sent = (object: unknown, ...duplicates: string[]) => ({ schema, object, duplicates: () => duplicates })

describe('fieldValidation', () => {
  test.each([
    ['', 'Warn'],
    ['fieldValidation=', 'Warn'],
    ['fieldValidation=Warn', 'Warn'],
    ['fieldValidation=Strict', 'Strict'],
    ['fieldValidation=Ignore', 'Ignore'],
  ])('of %j is %s', (query, wanted) => {
    expect(parseFieldValidation(new URLSearchParams(query))).toBe(wanted)
  })

  test.each(['strict', 'None', 'x'.repeat(1000), '__proto__'])('of %j is refused', (value) => {
    expect(() => parseFieldValidation(new URLSearchParams({ fieldValidation: value }))).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: expect.stringContaining('"Strict"') }),
    )
  })

  test('Strict refuses in Kubernetes’ words', () => {
    expect(() => checkFields('Strict', sent({ spec: { foo: 1 } }, 'spec.x'))).toThrow(
      expect.objectContaining({
        code: 'BAD_REQUEST',
        message: 'strict decoding error: unknown field "spec.foo", duplicate field "spec.x"',
      }),
    )
    expect(checkFields('Strict', sent({ spec: { a: 'x' } }))).toEqual({})
  })

  test('Warn tells in headers as Kubernetes writes them', () => {
    expect(checkFields('Warn', sent({ spec: { foo: 1 } }, 'spec.x'))).toEqual({
      warning: '299 - "unknown field \\"spec.foo\\"", 299 - "duplicate field \\"spec.x\\""',
    })
    expect(checkFields('Warn', sent({}))).toEqual({})
  })

  test('Ignore says nothing and does not look', () => {
    const duplicates = () => {
      throw new TypeError('asked')
    }
    expect(checkFields('Ignore', { schema, object: { foo: 1 }, duplicates })).toEqual({})
  })

  test.each(['Strict', 'Warn', 'Ignore'] as const)('%s refuses wrong types', (validation) => {
    expect(() => checkFields(validation, sent({ spec: { a: 1 } }))).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: expect.stringContaining('spec.a: expected string') }),
    )
  })

  test('knows every field where there is no schema, but not one twice', () => {
    const free = { schema: undefined, object: { foo: 1 }, duplicates: () => ['foo'] }
    expect(checkFields('Warn', free)).toEqual({ warning: '299 - "duplicate field \\"foo\\""' })
  })

  test('makes headers that can be sent, of whatever keys', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.constant(1), { maxKeys: 30 }), (object) => {
        const { warning = '' } = checkFields('Warn', sent(object))
        expect(warning).toMatch(/^[\x20-\x7e]*$/)
        expect(warning.length).toBeLessThan(10 * 600)
        // Each is a quoted string, and nothing in it ends it.
        const quoted = String.raw`299 - "(?:[^"\\]|\\.)*"`
        expect(warning).toMatch(new RegExp(`^(?:${quoted}(?:, ${quoted}){0,9})?$`))
        expect(() => new Headers({ warning })).not.toThrow()
      }),
      { numRuns: 500 },
    )
  })

  test('warns ten times at most, of long paths briefly', () => {
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`${i}${'x'.repeat(1000)}`, i]))
    const { warning = '' } = checkFields('Warn', sent(many, 'y'.repeat(1000)))
    expect(warning.match(/299/g)).toHaveLength(10)
    expect(warning.length).toBeLessThan(10 * 300)
    expect(checkFields('Warn', sent({}, 'y'.repeat(1000))).warning?.length).toBeLessThan(300)
  })

  test('does not let a key begin a header of its own', () => {
    const { warning = '' } = checkFields('Warn', sent({ 'a"\r\nset-cookie: x': 1 }))
    expect(warning).not.toMatch(/[\r\n]/)
    expect(warning).toMatch(/^299 - "unknown field .*set-cookie: x.*"$/)
  })
})
