import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseStrictJson } from '../../src/oci/strict-json.ts'

const limits = { maxDepth: 32, maxValues: 1000, maxKeys: 100, integerKeys: new Set(['size']) }

function parse(text: string | Uint8Array): unknown {
  return parseStrictJson(typeof text === 'string' ? Buffer.from(text) : text, limits)
}

test('what JSON.stringify writes is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.nat(3), (value, indent) => {
      const text = JSON.stringify(value, null, indent)
      expect(parse(text)).toEqual(JSON.parse(text))
    }),
    { numRuns: 500 },
  )
})

test('what JSON.parse refuses is refused, always with a SyntaxError', () => {
  const fragment = fc.constantFrom(
    ...'{}[],:"\\ \n19.-eE',
    'true',
    '"a"',
    '"a":',
    '\\"',
    '\\u0061',
    '"size":',
    '\u0000',
  )
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 30 }), (fragments) => {
      const text = fragments.join('')
      const read = outcome(() => parse(text))
      const plain = outcome(() => JSON.parse(text))
      if ('error' in plain) expect(read).toHaveProperty('error')
      if ('error' in read) expect(read.error).toBeInstanceOf(SyntaxError)
      else expect(read).toEqual(plain)
    }),
    { numRuns: 2000 },
  )
})

test('a key given twice in one object is refused wherever the object is and however the key is written', () => {
  const around = fc.array(fc.constantFrom('[1,', '{"x":', '[{"a":0},{"y":'), { maxLength: 5 })
  const escapes = fc.constantFrom(
    (key: string) => JSON.stringify(key),
    (key: string) => `"${[...Array(key.length).keys()].map((i) => unicode(key.charCodeAt(i))).join('')}"`,
  )
  fc.assert(
    fc.property(around, fc.string(), escapes, escapes, fc.string(), (outer, key, first, second, other) => {
      fc.pre(key !== other)
      const close = outer.map((open) => (open === '[1,' ? ']' : open === '{"x":' ? '}' : '}]')).reverse()
      const wrap = (inner: string) => outer.join('') + inner + close.join('')
      expect(() => parse(wrap(`{${first(key)}:1,${JSON.stringify(other)}:[],${second(key)} : 1}`))).toThrow('twice')
      expect(() => parse(wrap(`{${first(key)}:1,${JSON.stringify(other)}:{${second(key)}:1}}`))).not.toThrow()
    }),
    { numRuns: 300 },
  )
})

test('the same key in objects side by side is no duplicate', () => {
  expect(parse('[{"a":1},{"a":2}]')).toEqual([{ a: 1 }, { a: 2 }])
})

test('nesting is allowed up to the limit and no deeper', () => {
  expect(() => parse(`${'['.repeat(32)}${']'.repeat(32)}`)).not.toThrow()
  expect(() => parse(`${'['.repeat(33)}${']'.repeat(33)}`)).toThrow('deeper than 32')
  expect(() => parse(`${'{"a":'.repeat(33)}1${'}'.repeat(33)}`)).toThrow('deeper than 32')
})

test('brackets within a string nest nothing', () => {
  expect(parse(JSON.stringify(['[{"'.repeat(50)]))).toEqual(['[{"'.repeat(50)])
})

test('more values than the limit are refused', () => {
  expect(() => parse(`[${'1,'.repeat(900)}1]`)).not.toThrow()
  expect(() => parse(`[${'1,'.repeat(1000)}1]`)).toThrow('more than 1000 values')
  expect(() => parse(`[${'[],'.repeat(600)}1]`)).toThrow('more than 1000 values')
})

test('only so many different keys are taken, in one object or in many; the same ones count once', () => {
  const keys = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `"k${from + i}":0`).join()
  expect(() => parse(`{${keys(100)}}`)).not.toThrow()
  expect(() => parse(`[{${keys(100)}},{${keys(100)}}]`)).not.toThrow()
  expect(() => parse(`{${keys(101)}}`)).toThrow('more than 100 different keys')
  expect(() => parse(`[{${keys(60)}},{${keys(60, 60)}}]`)).toThrow('more than 100 different keys')
})

test.each(['1.0', '1e3', '1E3', '-1', '-0', '12.5', '1e-3'])('a size written as %s is refused', (number) => {
  expect(() => parse(`{"size":${number}}`)).toThrow('plain integer')
  expect(() => parse(`{"\\u0073ize" : ${number}}`)).toThrow('plain integer')
  expect(parse(`{"size":10,"score":${number}}`)).toHaveProperty('score')
})

test('bytes that are not UTF-8 are refused', () => {
  expect(() => parse(Buffer.from([0x22, 0xff, 0x22]))).toThrow('UTF-8')
  expect(() => parse(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]))).toThrow('UTF-8')
})

test('a byte order mark is refused', () => {
  expect(() => parse('\ufeff{}')).toThrow('byte order mark')
})

test('data after the document is refused', () => {
  expect(() => parse('{}{}')).toThrow('not valid JSON')
  expect(() => parse('{} x')).toThrow('not valid JSON')
})

function unicode(code: number): string {
  return `\\u${code.toString(16).padStart(4, '0')}`
}

function outcome(run: () => unknown): { value: unknown } | { error: unknown } {
  try {
    return { value: run() }
  } catch (error) {
    return { error }
  }
}
