import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyJsonPatch } from '../../../src/api/patch/json-patch.ts'
import { RegistryError } from '../../../src/oci/errors.ts'

const json = (text: string): unknown => JSON.parse(text)

function refusedWith(target: unknown, patch: unknown): string {
  try {
    applyJsonPatch(target, patch)
  } catch (error) {
    if (error instanceof RegistryError) return error.code
    throw error
  }
  return 'applied'
}

describe('a JSON patch', () => {
  // The examples of RFC 6902, appendix A.
  test.each([
    ['A.1', '{"foo":"bar"}', '[{"op":"add","path":"/baz","value":"qux"}]', '{"baz":"qux","foo":"bar"}'],
    ['A.2', '{"foo":["bar","baz"]}', '[{"op":"add","path":"/foo/1","value":"qux"}]', '{"foo":["bar","qux","baz"]}'],
    ['A.3', '{"baz":"qux","foo":"bar"}', '[{"op":"remove","path":"/baz"}]', '{"foo":"bar"}'],
    ['A.4', '{"foo":["bar","qux","baz"]}', '[{"op":"remove","path":"/foo/1"}]', '{"foo":["bar","baz"]}'],
    ['A.5', '{"baz":"qux","foo":"bar"}', '[{"op":"replace","path":"/baz","value":"boo"}]', '{"baz":"boo","foo":"bar"}'],
    [
      'A.6',
      '{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}',
      '[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]',
      '{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}',
    ],
    [
      'A.7',
      '{"foo":["all","grass","cows","eat"]}',
      '[{"op":"move","from":"/foo/1","path":"/foo/3"}]',
      '{"foo":["all","cows","eat","grass"]}',
    ],
    [
      'A.8',
      '{"baz":"qux","foo":["a",2,"c"]}',
      '[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]',
      '{"baz":"qux","foo":["a",2,"c"]}',
    ],
    [
      'A.10',
      '{"foo":"bar"}',
      '[{"op":"add","path":"/child","value":{"grandchild":{}}}]',
      '{"foo":"bar","child":{"grandchild":{}}}',
    ],
    ['A.11', '{"foo":"bar"}', '[{"op":"add","path":"/baz","value":"qux","xyz":123}]', '{"foo":"bar","baz":"qux"}'],
    ['A.14', '{"/":9,"~1":10}', '[{"op":"test","path":"/~01","value":10}]', '{"/":9,"~1":10}'],
    [
      'A.16',
      '{"foo":["bar"]}',
      '[{"op":"add","path":"/foo/-","value":["abc","def"]}]',
      '{"foo":["bar",["abc","def"]]}',
    ],
  ])('does as %s', (_name, target, patch, result) => {
    expect(applyJsonPatch(json(target), json(patch))).toEqual(json(result))
  })

  test.each([
    ['A.9, a test that fails', '{"baz":"qux"}', '[{"op":"test","path":"/baz","value":"bar"}]', 'INVALID'],
    ['A.12, to what is not there', '{"foo":"bar"}', '[{"op":"add","path":"/baz/bat","value":"qux"}]', 'INVALID'],
    ['A.13, without an operation', '{"foo":"bar"}', '[{"path":"/baz","value":"qux"}]', 'BAD_REQUEST'],
    ['A.15, a test of another type', '{"/":9,"~1":10}', '[{"op":"test","path":"/~01","value":"10"}]', 'INVALID'],
    ['without a value', '{}', '[{"op":"add","path":"/a"}]', 'BAD_REQUEST'],
    ['without a path', '{}', '[{"op":"add","value":1}]', 'BAD_REQUEST'],
    ['with a path that is a number', '{}', '[{"op":"add","path":1,"value":1}]', 'BAD_REQUEST'],
    ['that is an object', '{}', '{"op":"add"}', 'BAD_REQUEST'],
    ['of nulls', '{}', '[null]', 'BAD_REQUEST'],
    ['with an unknown operation', '{}', '[{"op":"rename","path":"/a"}]', 'BAD_REQUEST'],
    ['with a bad pointer', '{"a":1}', '[{"op":"remove","path":"a"}]', 'INVALID'],
    ['with a bad escape', '{"a~2":1}', '[{"op":"remove","path":"/a~2"}]', 'INVALID'],
    ['that removes what is not there', '{}', '[{"op":"remove","path":"/a"}]', 'INVALID'],
    ['that replaces what is not there', '{}', '[{"op":"replace","path":"/a","value":1}]', 'INVALID'],
    ['that removes the object', '{}', '[{"op":"remove","path":""}]', 'INVALID'],
    ['into itself', '{"a":{}}', '[{"op":"move","from":"/a","path":"/a/b"}]', 'INVALID'],
    ['into what follows it', '{"a":[{},{}]}', '[{"op":"move","from":"/a/0","path":"/a/0/b"}]', 'INVALID'],
    ['with an index far behind the end', '{"a":[]}', '[{"op":"add","path":"/a/1000000000","value":1}]', 'INVALID'],
    ['with an index behind the end', '{"a":[1]}', '[{"op":"add","path":"/a/2","value":1}]', 'INVALID'],
    ['with an index that is no number', '{"a":[1]}', '[{"op":"replace","path":"/a/x","value":1}]', 'INVALID'],
    ['with a negative index', '{"a":[1]}', '[{"op":"remove","path":"/a/-1"}]', 'INVALID'],
    ['with a leading zero', '{"a":[1,2]}', '[{"op":"remove","path":"/a/01"}]', 'INVALID'],
    ['with an exponent', '{"a":[1,2]}', '[{"op":"remove","path":"/a/1e0"}]', 'INVALID'],
    ['that reads behind the end', '{"a":[1]}', '[{"op":"copy","from":"/a/-","path":"/b"}]', 'INVALID'],
    ['into a string', '{"a":"x"}', '[{"op":"add","path":"/a/0","value":1}]', 'INVALID'],
    ['of a string’s length', '{"a":"x"}', '[{"op":"copy","from":"/a/length","path":"/b"}]', 'INVALID'],
    ['of a list’s length', '{"a":[1]}', '[{"op":"replace","path":"/a/length","value":0}]', 'INVALID'],
    ['of what objects inherit', '{}', '[{"op":"copy","from":"/toString","path":"/b"}]', 'INVALID'],
    ['below a prototype', '{}', '[{"op":"add","path":"/__proto__/polluted","value":1}]', 'INVALID'],
    ['below a constructor', '{}', '[{"op":"add","path":"/constructor/prototype/polluted","value":1}]', 'INVALID'],
  ])('%s is refused', (_name, target, patch, code) => {
    expect(refusedWith(json(target), json(patch))).toBe(code)
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  test('takes names that objects inherit for fields of their own', () => {
    const patched = applyJsonPatch({ labels: {} }, [
      { op: 'add', path: '/labels/__proto__', value: { polluted: 1 } },
      { op: 'add', path: '/labels/constructor', value: 'x' },
      { op: 'test', path: '/labels/constructor', value: 'x' },
      { op: 'add', path: '/labels/__proto__/polluted', value: 2 },
    ])
    expect(JSON.stringify(patched)).toBe('{"labels":{"__proto__":{"polluted":2},"constructor":"x"}}')
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    expect(applyJsonPatch(patched, [{ op: 'remove', path: '/labels/__proto__' }])).toEqual({
      labels: { constructor: 'x' },
    })
  })

  test('takes what is not there for null in a test, as Kubernetes does', () => {
    expect(applyJsonPatch({ a: {} }, [{ op: 'test', path: '/a/b', value: null }])).toEqual({ a: {} })
    expect(refusedWith({ a: { b: 1 } }, [{ op: 'test', path: '/a/b', value: null }])).toBe('INVALID')
  })

  test('is done as a whole or not at all', () => {
    const target = { a: [1] }
    const patch = [
      { op: 'add', path: '/a/-', value: 2 },
      { op: 'remove', path: '/b' },
    ]
    expect(refusedWith(target, patch)).toBe('INVALID')
    expect(target).toEqual({ a: [1] })
  })

  test('names the operation that cannot be done', () => {
    expect(() =>
      applyJsonPatch({}, [
        { op: 'add', path: '/a', value: 1 },
        { op: 'remove', path: '/b' },
      ]),
    ).toThrow(/patch\[1\]\.path.*nothing is there/)
  })
})

describe('what a JSON patch may cost', () => {
  const list = (length: number) => Array.from({ length }, (_, i) => i)

  test('is bounded in operations', () => {
    const operation = { op: 'add', path: '/a', value: 1 }
    expect(refusedWith({}, Array(10_001).fill(operation))).toBe('TOO_LARGE')
    expect(refusedWith({}, Array(10_000).fill(operation))).toBe('applied')
  })

  test('is bounded in bytes that are copied', () => {
    const doubling = list(40).map((i) => ({ op: 'copy', from: '/a', path: `/a/x${i}` }))
    expect(refusedWith({ a: { text: 'x'.repeat(100) } }, doubling)).toBe('TOO_LARGE')
    const same = list(10_000).map((i) => ({ op: 'copy', from: '/a', path: `/b${i}` }))
    expect(refusedWith({ a: 'x'.repeat(100_000) }, same)).toBe('TOO_LARGE')
    expect(refusedWith({ a: 'x'.repeat(100) }, same)).toBe('applied')
  })

  test('is bounded in items that are shifted and moved', () => {
    const front = list(9_999).map((i) => ({ op: 'add', path: '/a/0', value: i }))
    expect(refusedWith({}, [{ op: 'add', path: '/a', value: list(1_000_000) }, ...front])).toBe('TOO_LARGE')
    const there = [
      { op: 'move', from: '/a', path: '/b' },
      { op: 'move', from: '/b', path: '/a' },
    ]
    expect(
      refusedWith(
        { a: list(100_000) },
        list(5_000).flatMap(() => there),
      ),
    ).toBe('TOO_LARGE')
    const moves = list(5_000).flatMap(() => there)
    expect(refusedWith({ a: list(50) }, moves)).toBe('applied')
    // Those that are moved are looked at, which takes longer than to shift them.
    expect(refusedWith({ a: list(200) }, moves)).toBe('TOO_LARGE')
    expect(
      refusedWith(
        { a: list(200) },
        list(10_000)
          .map((i) => ({ op: 'add', path: '/a/0', value: i }))
          .slice(0, 2_000),
      ),
    ).toBe('applied')
  })

  test('is bounded in levels, however they are reached', () => {
    const below = list(300).map((i) => ({ op: 'add', path: '/a'.repeat(i + 1), value: {} }))
    expect(refusedWith({}, below)).toBe('INVALID')
    const nested = JSON.parse(`${'{"a":'.repeat(60)}1${'}'.repeat(60)}`)
    expect(refusedWith({ a: nested }, [{ op: 'copy', from: '/a', path: `${'/a'.repeat(60)}` }])).toBe('INVALID')
    expect(refusedWith({ a: nested, b: {} }, [{ op: 'move', from: '/a', path: '/b/a' }])).toBe('applied')
    expect(() => applyJsonPatch({}, [{ op: 'remove', path: '/a'.repeat(1_000_000) }])).toThrow(/deeper than 100 levels/)
  })

  test('is small for a test of long lists that differ', () => {
    const patch = [{ op: 'test', path: '/a', value: list(200_000).reverse() }]
    expect(refusedWith({ a: list(200_000) }, patch)).toBe('INVALID')
  })
})

test('no JSON patch does anything but apply or be refused', () => {
  const path = fc
    .array(fc.constantFrom('a', 'b', '0', '1', '-', '__proto__', 'constructor', 'length', '~1', ''), { maxLength: 4 })
    .map((keys) => keys.map((key) => `/${key}`).join(''))
  const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constant({ a: [1, { b: 2 }] }))
  const op = fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test')
  const operation = fc.record({ op, path, from: path, value })
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), fc.array(operation, { maxLength: 6 }), (target, patch) => {
      const before = JSON.stringify(target)
      refusedWith(target, patch)
      expect(JSON.stringify(target)).toBe(before)
      expect(Object.keys(Object.prototype)).toEqual([])
    }),
    { numRuns: 500 },
  )
})
