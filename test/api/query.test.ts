import { describe, expect, test } from 'vitest'
import { isWatch, parseQuery } from '../../src/api/query.ts'
import { selectsAll } from '../../src/api/selectors.ts'

const parse = (query: string) => parseQuery(new URLSearchParams(query), ['metadata.name', 'stream', 'tag'])

const nothing = { fields: {}, selects: selectsAll, dryRun: false }

describe('parseQuery()', () => {
  test('reads limit, continue, selectors and dryRun', () => {
    const options = parse('limit=5&continue=abc&fieldSelector=stream%3Dapp,tag==prod&labelSelector=a%3Db&dryRun=All')
    expect(options).toEqual({
      limit: 5,
      continue: 'abc',
      fields: { stream: 'app', tag: 'prod' },
      selects: expect.any(Function),
      dryRun: true,
    })
    expect(options.selects({ metadata: { labels: { a: 'b' } }, stream: 'app', tag: 'prod' })).toBe(true)
    expect(options.selects({ metadata: { labels: { a: 'c' } }, stream: 'app', tag: 'prod' })).toBe(false)
    expect(options.selects({ metadata: { labels: { a: 'b' } }, stream: 'app', tag: 'test' })).toBe(false)
  })

  test('takes nothing, an empty value and limit=0 for no wish', () => {
    expect(parse('')).toEqual(nothing)
    expect(parse('limit=&continue=&fieldSelector=&labelSelector=&dryRun=&limit=0')).toEqual(nothing)
    expect(parse('limit=0')).toEqual(nothing)
  })

  test('does not refuse what changes nothing for clients', () => {
    expect(parse('timeout=32s&fieldManager=kubectl&resourceVersion=0&pretty=true&__proto__=x&x=%00')).toEqual(nothing)
  })

  test('takes a limit beyond all bounds for the greatest', () => {
    expect(parse('limit=1000000000000')).toEqual({ ...nothing, limit: 10_000 })
  })

  test.each([
    ['labelSelector=app%3D%3D%3Dx', /labelSelector/],
    ['fieldSelector=spec.secret%3Dx', /field label not supported: spec\.secret/],
    ['fieldSelector=stream', /fieldSelector/],
    ['fieldSelector=stream%3Da,stream%3Db', /twice/],
    ['fieldSelector=__proto__%3Da', /not supported: __proto__/],
    ['limit=-1', /limit/],
    ['limit=1e3', /limit/],
    ['limit=ten', /limit/],
    ['limit=1.5', /limit/],
    [`limit=${'9'.repeat(30)}`, /limit/],
    [`continue=${'a'.repeat(10_000)}`, /continue/],
    ['dryRun=Some', /dryRun/],
    ['dryRun=All&dryRun=Client', /dryRun/],
  ])('refuses %s by name', (query, message) => {
    expect(() => parse(query)).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: expect.stringMatching(message) }),
    )
  })

  test.each([
    ['watch=true', true],
    ['watch=1', true],
    ['watch', true],
    ['watch=false', false],
    ['watch=0', false],
    ['', false],
  ])('tells whether %s is a watch', (query, expected) => {
    expect(isWatch(new URLSearchParams(query))).toBe(expected)
  })
})
