import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { proofIn, provenKey } from '../../src/notifications/proof.ts'

const keys = [
  { name: 'one', token: 'the-first-key-0123456789' },
  { name: 'two', token: 'the-second-key-0123456789' },
]
const body = Buffer.from('{"events":[]}')
const base64 = (text: string) => Buffer.from(text).toString('base64')
const signature = (token: string, of: Uint8Array = body) =>
  `sha256=${createHmac('sha256', token).update(of).digest('hex')}`

/** The name of the key that is proved by what is sent. */
function proved(headers: Record<string, string>, token?: string, of = keys): string | undefined {
  const proof = proofIn({ header: (name) => headers[name], token, body })
  return proof && provenKey(of, proof)?.name
}

describe('a key is proved by', () => {
  const { token } = keys[1] ?? { token: '' }
  test.each<[string, Record<string, string>, string?]>([
    ['a bearer', { authorization: `Bearer ${token}` }],
    ['a bearer in any case', { authorization: `bearer   ${token}` }],
    ['a token by that name', { authorization: `Token ${token}` }],
    ['a header as it stands', { authorization: token }],
    ['a password of any user', { authorization: `Basic ${base64(`weir:${token}`)}` }],
    ['a password of no user', { authorization: `Basic ${base64(`:${token}`)}` }],
    ['a password alone', { authorization: `Basic ${base64(token)}` }],
    ['the query', {}, token],
    ['a signature', { 'x-hub-signature-256': signature(token) }],
    ['a signature, whatever else is wrong', { 'x-hub-signature-256': signature(token), authorization: 'x' }, 'y'],
  ])('%s', (_name, headers, query) => {
    expect(proved(headers, query)).toBe('two')
  })
})

describe('no key is proved by', () => {
  const { token } = keys[0] ?? { token: '' }
  test.each<[string, Record<string, string>, string?]>([
    ['nothing', {}],
    ['an empty query', {}, ''],
    ['empty headers', { authorization: '' }, token],
    ['a scheme alone', { authorization: 'Bearer ' }],
    ['two keys in one header', { authorization: `Bearer ${token}, Bearer ${token}` }],
    ['a part of a key', { authorization: token.slice(0, -1) }],
    ['a key with more behind it', { authorization: `${token}x` }],
    ['a user', { authorization: `Basic ${base64(`${token}:`)}` }],
    ['the query beside a wrong header', { authorization: 'Bearer wrong' }, token],
    ['a key beside a wrong signature', { 'x-hub-signature-256': signature('wrong'), authorization: token }],
    ['a key as its own signature', { 'x-hub-signature-256': token }],
    ['an empty signature', { 'x-hub-signature-256': 'sha256=' }],
    ['half a signature', { 'x-hub-signature-256': signature(token).slice(0, -2) }],
    ['the signature of something else', { 'x-hub-signature-256': signature(token, Buffer.from('{}')) }],
    ['a signature by another hash', { 'x-hub-signature-256': signature(token).replace('256', '1') }],
  ])('%s', (_name, headers, query) => {
    expect(proved(headers, query)).toBeUndefined()
  })

  test('anything, where there is none', () => {
    for (const headers of [{ authorization: 'x' }, { 'x-hub-signature-256': signature('') }]) {
      expect(proved(headers, undefined, [])).toBeUndefined()
    }
  })

  test('any other text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), fc.string(), (authorization, signed, query) => {
        expect(proved({ authorization }, query)).toBeUndefined()
        expect(proved({ 'x-hub-signature-256': signed, authorization })).toBeUndefined()
      }),
      { numRuns: 500 },
    )
  })
})
