import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ApiObject } from '../../src/api/resource.ts'
import { maxSelectorLength, maxSelectorTerms, parseSelectors, selectsAll } from '../../src/api/selectors.ts'

const fieldNames = ['metadata.name', 'metadata.namespace', 'status.phase', 'spec.flag', 'spec.count', 'spec.list']

const parse = (selectors: { labelSelector?: string; fieldSelector?: string }) =>
  parseSelectors(new URLSearchParams(selectors), fieldNames)

const labelled = (labels: Record<string, string>): ApiObject => ({ metadata: { name: 'x', labels } })

const selectsLabels = (labelSelector: string, labels: Record<string, string>) =>
  parse({ labelSelector }).selects(labelled(labels))

const refusal = (message: RegExp) =>
  expect.objectContaining({ code: 'BAD_REQUEST', message: expect.stringMatching(message) })

describe('labelSelector', () => {
  const labels = { app: 'web', tier: 'front', 'example.com/env': 'prod', empty: '', number: '12' }

  test.each([
    ['app=web', true],
    ['app==web', true],
    [' app = web ', true],
    ['app=api', false],
    ['none=web', false],
    ['app!=web', false],
    ['app!=api', true],
    ['none!=api', true],
    ['app in (api,web)', true],
    ['app in ( api , web )', true],
    ['app in(web)', true],
    ['app in (api)', false],
    ['none in (web)', false],
    ['app notin (api)', true],
    ['app notin (web)', false],
    ['none notin (web)', true],
    ['app', true],
    ['none', false],
    ['!app', false],
    ['! none', true],
    ['app,tier=front', true],
    ['app,tier=back', false],
    ['example.com/env=prod', true],
    ['empty=', true],
    ['empty', true],
    ['app=', false],
    ['empty in (,x)', true],
    ['app in (,)', false],
    ['number>11', true],
    ['number>12', false],
    ['number<13', true],
    ['app>1', false],
    ['none>1', false],
    ['in notin (notin)', true],
  ])('%s', (selector, expected) => {
    expect(selectsLabels(selector, labels)).toBe(expected)
  })

  test('an empty selector selects everything', () => {
    expect(parse({ labelSelector: '' }).selects).toBe(selectsAll)
    expect(selectsLabels('  ', {})).toBe(true)
  })

  test('names of prototypes are labels like others', () => {
    for (const key of ['constructor', 'toString', 'hasOwnProperty']) {
      expect(selectsLabels(key, {})).toBe(false)
      expect(selectsLabels(`!${key}`, {})).toBe(true)
      expect(selectsLabels(`${key}!=x`, {})).toBe(true)
    }
    expect(() => parse({ labelSelector: '__proto__=x' })).toThrow(refusal(/not a label key/))
  })

  test.each([
    ['app=web=x', /found '=' at position 8, expected: ',' or the end/],
    ['app,', /found the end at position 5, expected: a key after ','/],
    [',app', /found ',' at position 1/],
    ['app,,tier', /found ',' at position 5/],
    ['app in web', /found 'web' at position 8, expected: '\('/],
    ['app in (web', /found the end at position 12/],
    ['app in ()', /at position 8: the values of in and notin cannot be empty/],
    ['app in ((web))', /found '\(' at position 9/],
    ['!', /found the end at position 2/],
    ['!!app', /found '!' at position 2/],
    ['!app=web', /found '=' at position 5/],
    ['=web', /found '=' at position 1/],
    ['app web', /found 'web' at position 5/],
    ['-app=web', /'-app' at position 1: is not a label key/],
    ['a/b/c', /not a label key/],
    ['app="web"', /'"web"' at position 5: is not a label value/],
    ['app=web\u0000', /not a label value/],
    ['app=\u001b[31m', /not a label value/],
    ['app>x', /'x' at position 5: is not a number/],
    ['app>99999999999999999999999', /is not a number/],
    [`app=${'a'.repeat(64)}`, /not a label value/],
  ])('refuses %j and tells where', (labelSelector, message) => {
    expect(() => parse({ labelSelector })).toThrow(refusal(message))
  })

  test('length, requirements and values are bounded', () => {
    const terms = (count: number) => Array.from({ length: count }, (_, i) => `a${i}`).join(',')
    expect(parse({ labelSelector: terms(maxSelectorTerms) }).selects(labelled({}))).toBe(false)
    expect(() => parse({ labelSelector: terms(maxSelectorTerms + 1) })).toThrow(refusal(/more than 500 requirements/))
    expect(() => parse({ labelSelector: `a in (${terms(maxSelectorTerms + 1)})` })).toThrow(refusal(/500 values/))
    expect(() => parse({ labelSelector: ' '.repeat(maxSelectorLength + 1) })).toThrow(refusal(/longer than/))
    expect(() => parse({ labelSelector: `a in ${'('.repeat(10_000)}` })).toThrow(refusal(/position 7/))
  })

  test('any text is parsed or refused as a bad request', () => {
    const alphabet = fc.constantFrom(...'ab1=!(),<> \t/.-_\\"\u0000é'.split(''), ' in ', ' notin ')
    fc.assert(
      fc.property(fc.array(alphabet, { maxLength: 30 }), (parts) => {
        try {
          expect(typeof parse({ labelSelector: parts.join('') }).selects(labelled({ a: 'b' }))).toBe('boolean')
        } catch (error) {
          expect(error).toMatchObject({ code: 'BAD_REQUEST' })
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('selects what the requirements mean', () => {
    const key = fc.constantFrom('a', 'b', 'c')
    const value = fc.constantFrom<string>('', 'x', 'y')
    // `()` is no set of values: the empty value stands beside others.
    const values = fc.array(value, { minLength: 2, maxLength: 3 })
    const requirement = fc.oneof(
      fc.tuple(key, value).map(([k, v]) => ({ text: `${k}=${v}`, meets: (l: Record<string, string>) => l[k] === v })),
      fc.tuple(key, value).map(([k, v]) => ({ text: `${k}!=${v}`, meets: (l: Record<string, string>) => l[k] !== v })),
      key.map((k) => ({ text: k, meets: (l: Record<string, string>) => k in l })),
      key.map((k) => ({ text: `!${k}`, meets: (l: Record<string, string>) => !(k in l) })),
      fc.tuple(key, values).map(([k, vs]) => ({
        text: `${k} in (${vs.join(',')})`,
        meets: (l: Record<string, string>) => k in l && vs.includes(l[k] ?? ''),
      })),
      fc.tuple(key, values).map(([k, vs]) => ({
        text: `${k} notin (${vs.join(',')})`,
        meets: (l: Record<string, string>) => !(k in l) || !vs.includes(l[k] ?? ''),
      })),
    )
    fc.assert(
      fc.property(fc.array(requirement, { maxLength: 4 }), fc.dictionary(key, value), (requirements, labels) => {
        const selector = requirements.map(({ text }) => text).join(',')
        expect(selectsLabels(selector, labels)).toBe(requirements.every(({ meets }) => meets(labels)))
      }),
      { numRuns: 1000 },
    )
  })
})

describe('fieldSelector', () => {
  const object: ApiObject = {
    metadata: { name: 'app', namespace: 'demo' },
    spec: { flag: true, count: 3, list: ['x'] },
    status: { phase: 'a,b=c\\d' },
  }

  test.each([
    ['metadata.name=app', true],
    ['metadata.name==app', true],
    ['metadata.name!=app', false],
    ['metadata.name!=other', true],
    ['metadata.name=app,metadata.namespace=demo', true],
    ['metadata.name=app,metadata.namespace!=demo', false],
    [',metadata.name=app,', true],
    ['spec.flag=true', true],
    ['spec.count=3', true],
    ['spec.list=', true],
    ['status.phase=a\\,b\\=c\\\\d', true],
    ['metadata.name=', false],
  ])('%s', (fieldSelector, expected) => {
    expect(parse({ fieldSelector }).selects(object)).toBe(expected)
  })

  test('an absent field is empty', () => {
    expect(parse({ fieldSelector: 'status.phase=' }).selects({ metadata: {} })).toBe(true)
    expect(parse({ fieldSelector: 'status.phase!=x' }).selects({ metadata: {}, status: null })).toBe(true)
  })

  test('keeps what must be equal', () => {
    expect(parse({ fieldSelector: 'metadata.name=a\\,b,status.phase!=x' }).fields).toEqual({ 'metadata.name': 'a,b' })
  })

  test.each([
    ['spec.secret=x', /field label not supported: spec\.secret; supported are metadata\.name/],
    ['__proto__=x', /not supported: __proto__/],
    ['metadata.name', /invalid selector/],
    ['metadata.name>a', /invalid selector/],
    ['metadata.name=a=b', /invalid value/],
    ['metadata.name=a\\b', /invalid value/],
    ['metadata.name=a\\', /invalid value/],
    ['metadata.name=a,metadata.name=b', /twice/],
    ['=', /not supported/],
  ])('refuses %j', (fieldSelector, message) => {
    expect(() => parse({ fieldSelector })).toThrow(refusal(message))
  })

  test('length and terms are bounded', () => {
    const terms = 'metadata.name!=a,'.repeat(maxSelectorTerms)
    expect(parse({ fieldSelector: terms }).selects(object)).toBe(true)
    expect(() => parse({ fieldSelector: `${terms}metadata.name!=b` })).toThrow(refusal(/more than 500 terms/))
    expect(() => parse({ fieldSelector: 'x'.repeat(maxSelectorLength + 1) })).toThrow(refusal(/longer than/))
  })

  test('every value can be escaped', () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        const fieldSelector = `metadata.name=${name.replace(/[\\,=]/g, '\\$&')}`
        const { selects, fields } = parse({ fieldSelector })
        // A field that is asked for without a value is empty.
        expect(fields).toEqual({ 'metadata.name': name })
        expect(selects({ metadata: { name } })).toBe(true)
        expect(selects({ metadata: { name: `${name}x` } })).toBe(false)
      }),
      { numRuns: 500 },
    )
  })
})
