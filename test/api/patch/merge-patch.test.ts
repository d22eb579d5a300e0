import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mergePatch } from '../../../src/api/patch/merge-patch.ts'

const json = (text: string): unknown => JSON.parse(text)

describe('a JSON merge patch', () => {
  // The examples of RFC 7386, appendix A.
  test.each([
    ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
    ['{"a":"b"}', '{"a":null}', '{}'],
    ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
    ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
    ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
    ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
    ['["a","b"]', '["c","d"]', '["c","d"]'],
    ['{"a":"b"}', '["c"]', '["c"]'],
    ['{"a":"foo"}', 'null', 'null'],
    ['{"a":"foo"}', '"bar"', '"bar"'],
    ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
    ['[1,2]', '{"a":"b","c":null}', '{"a":"b"}'],
    ['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
  ])('makes of %s with %s %s', (target, patch, result) => {
    expect(mergePatch(json(target), json(patch))).toEqual(json(result))
  })

  test('leaves the target as it is', () => {
    const target = { a: { b: [1], c: 2 } }
    mergePatch(target, { a: { c: null }, d: 1 })
    expect(target).toEqual({ a: { b: [1], c: 2 } })
  })

  test('takes any name for a field’s, also those that objects inherit', () => {
    const patch = json('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":null}')
    const patched = mergePatch({ a: 1 }, patch)
    expect(JSON.stringify(patched)).toBe(
      '{"a":1,"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
    )
    expect(Object.getPrototypeOf(patched)).toBe(Object.prototype)
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    // What is merged into an inherited field is merged into nothing.
    expect(JSON.stringify(mergePatch({}, json('{"constructor":{"x":1}}')))).toBe('{"constructor":{"x":1}}')
  })

  test('that is the difference of two objects makes one of the other', () => {
    const value = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.integer(),
        fc.string(),
        fc.boolean(),
        fc.array(fc.integer(), { maxLength: 3 }),
        fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'a', 'b')), tie('value'), {
          maxKeys: 4,
        }),
      ),
    })).value
    const object = fc.dictionary(fc.string(), value, { maxKeys: 5 })
    fc.assert(
      fc.property(object, object, (a, b) => {
        expect(mergePatch(a, difference(a, b))).toEqual(plain(b))
      }),
      { numRuns: 400 },
    )
  })
})

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function plain(value: unknown): unknown {
  return json(JSON.stringify(value))
}

/** The merge patch that makes `b` of `a`; neither has null. */
function difference(a: unknown, b: unknown): unknown {
  if (!isObject(a) || !isObject(b)) return b
  const gone = Object.keys(a)
    .filter((name) => !Object.hasOwn(b, name))
    .map((name) => [name, null] as const)
  const changed = Object.entries(b).map(
    ([name, value]) => [name, Object.hasOwn(a, name) ? difference(a[name], value) : value] as const,
  )
  return Object.fromEntries([...gone, ...changed])
}
