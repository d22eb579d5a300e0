import { describe, expect, test } from 'vitest'
import { isWatch, parseQuery } from '../../src/api/query.ts'

const parse = (query: string) => parseQuery(new URLSearchParams(query), ['metadata.name', 'stream', 'tag'])

describe('parseQuery()', () => {
  test('reads limit, continue, field selector and dryRun', () => {
    expect(parse('limit=5&continue=abc&fieldSelector=stream%3Dapp,tag==prod&dryRun=All')).toEqual({
      limit: 5,
      continue: 'abc',
      fields: { stream: 'app', tag: 'prod' },
      dryRun: true,
    })
  })

  test('takes nothing, an empty value and limit=0 for no wish', () => {
    expect(parse('')).toEqual({ fields: {}, dryRun: false })
    expect(parse('limit=&continue=&fieldSelector=&labelSelector=&dryRun=&limit=0')).toEqual({
      fields: {},
      dryRun: false,
    })
    expect(parse('limit=0')).toEqual({ fields: {}, dryRun: false })
  })

  test('does not refuse what changes nothing for clients', () => {
    expect(parse('timeout=32s&fieldManager=kubectl&resourceVersion=0&pretty=true')).toEqual({
      fields: {},
      dryRun: false,
    })
  })

  test.each([
    ['labelSelector=app%3Dx', /labelSelector/],
    ['fieldSelector=spec.secret%3Dx', /field label not supported: spec\.secret/],
    ['fieldSelector=stream!%3Dapp', /fieldSelector/],
    ['fieldSelector=stream', /fieldSelector/],
    ['fieldSelector=stream%3Da,stream%3Db', /twice/],
    ['fieldSelector=__proto__%3Da', /not supported: __proto__/],
    ['limit=-1', /limit/],
    ['limit=1e3', /limit/],
    ['limit=ten', /limit/],
    ['dryRun=Some', /dryRun/],
    ['dryRun=All&dryRun=Client', /dryRun/],
    ['resourceVersionMatch=Exact&resourceVersion=3', /resourceVersionMatch/],
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
