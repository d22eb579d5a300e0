import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  followingToken,
  formatRefreshToken,
  hashOf,
  isHashOf,
  makeNonce,
  makeRefreshToken,
  parseRefreshToken,
} from '../../src/access/refresh-token.ts'

test('parses what it formats, and the same text alone', () => {
  const token = makeRefreshToken(randomUUID())
  const text = formatRefreshToken(token)
  expect(parseRefreshToken(text)).toEqual(token)
  const changes = fc.record({
    at: fc.nat(text.length),
    remove: fc.nat(2),
    put: fc.string({ unit: 'binary', maxLength: 2 }),
  })
  fc.assert(
    fc.property(changes, ({ at, remove, put }) => {
      const changed = text.slice(0, at) + put + text.slice(at + remove)
      const parsed = parseRefreshToken(changed)
      if (parsed !== undefined) expect(formatRefreshToken(parsed)).toBe(changed)
      if (changed !== text) expect(parsed).not.toEqual(token)
    }),
    { numRuns: 2000 },
  )
  fc.assert(
    fc.property(fc.string(), (other) => parseRefreshToken(other) === undefined),
    { numRuns: 500 },
  )
})

test('no two are alike: 128 bits of family, 256 of turn', () => {
  const made = Array.from({ length: 100 }, () => makeRefreshToken(randomUUID()))
  expect(new Set(made.map(({ family }) => family.toString('hex'))).size).toBe(100)
  expect(new Set(made.map(({ turn }) => turn.toString('hex'))).size).toBe(100)
  expect(made[0]).toMatchObject({ family: { length: 16 }, turn: { length: 32 } })
})

test('the following one takes both the token and the nonce: neither the store nor an older token is enough', () => {
  const id = randomUUID()
  const [token, other] = [makeRefreshToken(id), makeRefreshToken(id)]
  const [nonce, another] = [makeNonce(), makeNonce()]
  const following = followingToken(token, nonce)
  expect(following).toEqual(followingToken(token, nonce))
  expect(following).toMatchObject({ id, family: token.family })
  const turns = [token, following, followingToken(other, nonce), followingToken(token, another)]
  expect(new Set(turns.map(({ turn }) => turn.toString('hex'))).size).toBe(4)
})

test.each(['', 'x', 'zz', 'ab'])('a hash that is %j is of nothing', (hash) => {
  const { turn } = makeRefreshToken(randomUUID())
  expect([isHashOf(hash, turn), isHashOf(hash, Buffer.alloc(0))]).toEqual([false, false])
  expect(isHashOf(hashOf(turn), turn)).toBe(true)
  expect(isHashOf(hashOf(turn), Buffer.concat([turn, turn]))).toBe(false)
})
