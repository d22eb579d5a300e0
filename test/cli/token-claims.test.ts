import fc from 'fast-check'
import { expect, test } from 'vitest'
import { claimsOf } from '../../src/cli/token-claims.ts'
import { jwt } from './login-api.ts'

test('tells issuer and end, and of a login provider and session', () => {
  expect(claimsOf(jwt({ iss: 'https://a', exp: 100, weir: { provider: 'corp', session: 's' } }))).toEqual({
    issuer: 'https://a',
    endsAtMs: 100_000,
    login: { provider: 'corp', session: 's' },
  })
  expect(claimsOf(jwt({ iss: 'https://a' }))).toEqual({ issuer: 'https://a', endsAtMs: undefined, login: undefined })
})

test.each([
  '',
  'opaque',
  'a.b',
  'a.b.c',
  'a.b.c.d',
  `x.${Buffer.from('[]').toString('base64url')}.y`,
  `x.${Buffer.from('null').toString('base64url')}.y`,
])('%j is no JWT', (token) => expect(claimsOf(token)).toBeUndefined())

test('claims of another kind are none', () => {
  const none = { issuer: undefined, endsAtMs: undefined, login: undefined }
  for (const claims of [{ iss: 7 }, { exp: '1' }, { exp: null }, { weir: [] }, { weir: 'x' }, { iss: '' }]) {
    expect(claimsOf(jwt(claims))).toEqual(none)
  }
})

test('any text, and any claims, are read without a failure', () => {
  fc.assert(
    fc.property(fc.string(), fc.object(), (text, claims) => {
      claimsOf(text)
      claimsOf(`a.${text}.b`)
      claimsOf(jwt(claims))
    }),
    { numRuns: 500 },
  )
})
