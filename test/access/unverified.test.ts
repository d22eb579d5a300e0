import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bringsKey, readUnverified } from '../../src/access/unverified.ts'

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const header = part({ alg: 'ES256' })

describe('readUnverified()', () => {
  test('reads header and claims', () => {
    expect(readUnverified(`${header}.${part({ iss: 'x' })}.sig`)).toEqual({
      header: { alg: 'ES256' },
      claims: { iss: 'x' },
    })
  })

  test.each([
    ['without a signature', `${header}.${part({ iss: 'x' })}.`, { iss: 'x' }],
    ['encrypted', `${header}.a.b.c.d`, undefined],
    ['with claims that are none', `${header}.${part(['x'])}.sig`, undefined],
    ['with claims that are no JSON', `${header}.e30e30.sig`, undefined],
    ['too long to be looked at', `${header}.${part({ iss: 'x'.repeat(16_000) })}.sig`, undefined],
  ])('a token %s is one', (_, token, claims) => {
    expect(readUnverified(token)).toEqual({ header: { alg: 'ES256' }, claims })
  })

  test.each([
    ['', 'nothing'],
    ['secret', 'a word'],
    ['a.b.c', 'three words'],
    [`${header}.e30`, 'two parts'],
    [`${header}.e30.sig.more`, 'four parts'],
    [`${header}.e30.sig.`, 'four parts, one empty'],
    [`${part({})}.e30.sig`, 'a header without an algorithm'],
    [`${part({ alg: 1 })}.e30.sig`, 'a header whose algorithm is a number'],
    [`${part(['alg'])}.e30.sig`, 'a header that is a list'],
    [`${part(null)}.e30.sig`, 'a header of null'],
    [` ${header}.e30.sig`, 'a blank in front'],
    [`${header}.e30.sig\n`, 'a line break behind'],
    [`${header}.e30.si+g`, 'base64 of the other kind'],
  ])('%j is none (%s)', (text) => {
    expect(readUnverified(text)).toBeUndefined()
  })

  test('whatever the text is, it answers, in time', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.constantFrom(header, 'e30', '.', '..', 'x', '=')).map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(text, (any) => {
        const read = readUnverified(any)
        if (read !== undefined) expect(typeof read.header.alg).toBe('string')
      }),
      { numRuns: 500 },
    )
    expect(readUnverified('a'.repeat(5_000_000))).toBeUndefined()
    expect(readUnverified('.'.repeat(5_000_000))).toBeUndefined()
    expect(readUnverified(`${'['.repeat(16_000)}.x.x`)).toBeUndefined()
    expect(readUnverified(`${Buffer.from('['.repeat(11_000)).toString('base64url')}.x.x`)).toBeUndefined()
  })
})

test('bringsKey() finds a key of the token itself, and nothing that is inherited', () => {
  for (const name of ['jwk', 'jku', 'x5c', 'x5u']) expect(bringsKey({ alg: 'ES256', [name]: null })).toBe(true)
  expect(bringsKey({ alg: 'ES256', kid: 'x', typ: 'JWT' })).toBe(false)
  expect(bringsKey(Object.create({ jwk: {} }))).toBe(false)
})
