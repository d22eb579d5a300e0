import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { duplicateFields } from '../../src/api/duplicate-fields.ts'

describe('duplicateFields()', () => {
  test.each([
    ['{"a":1,"a":2}', ['a']],
    ['{"a":1,"a":2,"a":3}', ['a', 'a']],
    ['{"a":{"b":1,"b":2},"c":{"b":1}}', ['a.b']],
    ['{"a":[{"b":1},{"b":1,"b":2}]}', ['a[1].b']],
    ['{"a":[[1,2],[3,{"x":1 , "x" :2}]]}', ['a[1][1].x']],
    ['{"a":1,"\\u0061":2}', ['a']],
    ['{"a\\"":1,"a\\"":2}', ['a"']],
    ['{"a":"a","b":"a\\\\","c":"{\\"a\\":1,\\"a\\":1}"}', []],
    ['{"a":"b:","b":1}', []],
    ['[{"a":1},{"a":1}]', []],
    ['{"__proto__":1,"__proto__":2}', ['__proto__']],
    ['{"a":{},"b":{"a":{}}}', []],
    ['"a"', []],
  ])('finds in %s %j', (json, wanted) => {
    expect(duplicateFields(json, 100)).toEqual(wanted)
  })

  test('finds nothing in what a serializer writes', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(duplicateFields(JSON.stringify(JSON.parse(json)), 100)).toEqual([])
      }),
      { numRuns: 500 },
    )
  })

  test('finds the key that is put in twice, wherever and whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 20 }), fc.json(), fc.json(), (key, before, value) => {
        const name = JSON.stringify(key)
        const json = `{"x":[${JSON.stringify(JSON.parse(before))},{${name}:${value}, ${name} :${value}}]}`
        expect(duplicateFields(json, 1000)).toContain(`x[1].${key}`)
      }),
      { numRuns: 300 },
    )
  })

  test('stops at as many as are asked for, and cuts long keys', () => {
    const key = 'k'.repeat(1000)
    expect(duplicateFields(`{${Array(50).fill(`"${key}":1`).join(',')}}`, 3)).toEqual(
      Array(3).fill(`${'k'.repeat(64)}...`),
    )
  })

  test('ends on whatever text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('{', '}', '[', ']', '"', '\\', ',', ':', 'a', ' ') }), (text) => {
        try {
          duplicateFields(text, 100)
        } catch (error) {
          // A key with an escape that is none; the text was never JSON.
          expect(error).toBeInstanceOf(SyntaxError)
        }
      }),
      { numRuns: 500 },
    )
  })
})
