import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createGuesses } from '../../src/notifications/guesses.ts'
import { proofIn } from '../../src/notifications/proof.ts'
import type { RegistryError } from '../../src/oci/errors.ts'
import { testClock } from '../support/clock.ts'

const keys = [
  { name: 'one', token: 'the-first-key-0123456789' },
  { name: 'two', token: 'a-second-key-0123456789' },
]
const [one, two] = ['the-first-key-0123456789', 'a-second-key-0123456789']
const body = Buffer.from('{"events":[]}')

function world() {
  const clock = testClock()
  const guesses = createGuesses({ now: clock.now })
  const send = (headers: Record<string, string>, to: { project?: string; address?: string; of?: typeof keys } = {}) => {
    const proof = proofIn({ header: (name) => headers[name], token: undefined, body }) ?? expect.unreachable()
    const { project = 'demo', address = '192.0.2.7', of = keys } = to
    try {
      return guesses.prove({ project, keys: of, proof, address }).name
    } catch (error) {
      return (error as RegistryError).status
    }
  }
  return {
    clock,
    show: (token: string, to?: Parameters<typeof send>[1]) => send({ authorization: token }, to),
    sign: (token: string, to?: Parameters<typeof send>[1]) =>
      send({ 'x-hub-signature-256': `sha256=${createHmac('sha256', token).update(body).digest('hex')}` }, to),
  }
}

/** Wrong keys that begin so. */
const wrong = (beginning: string, count: number) => Array.from({ length: count }, (_, i) => `${beginning}${i}-wrong`)

describe('of those who share an address', () => {
  test('who has a key is let in, whatever others guess', () => {
    const { show, sign } = world()
    expect(
      wrong('guess-', 200)
        .map((token) => show(token))
        .slice(8, 12),
    ).toEqual([401, 401, 429, 429])
    for (let i = 0; i < 500; i++) expect([show(one), show(two), sign(one)]).toEqual(['one', 'two', 'one'])
  })

  test('who knows how a key begins has ten guesses at it, and keeps out that one alone', () => {
    const { show, sign } = world()
    expect(wrong('the-first', 11).map((token) => show(token))).toEqual([...Array(10).fill(401), 429])
    expect([show(one), show(two), sign(one)]).toEqual([429, 'two', 'one'])
  })

  test('who signs wrongly has ten guesses, and keeps out who signs alone', () => {
    const { show, sign } = world()
    expect(wrong('x', 11).map((token) => sign(token))).toEqual([...Array(10).fill(401), 429])
    expect([sign(one), show(one)]).toEqual([429, 'one'])
  })

  test('who guesses at keys of many projects has sixty guesses, and is one at each', () => {
    const { show } = world()
    const projects = Array.from({ length: 70 }, (_, i) => `p${i}`)
    const statuses = projects.map((project) => show('the-first-guess', { project }))
    expect(statuses).toEqual([...Array(60).fill(401), ...Array(10).fill(429)])
    expect(show(one, { project: 'p69' })).toBe(429)
    expect(show(one, { project: 'p69', address: '192.0.2.8' })).toBe('one')
  })
})

test('a guess has its place back after half a minute', () => {
  const { show, clock } = world()
  for (const token of wrong('the-first', 20)) show(token)
  expect(show(one)).toBe(429)
  clock.advance(30_000)
  expect(show(one)).toBe('one')
  clock.advance(600_000)
  expect(wrong('the-first', 11).map((token) => show(token))).toEqual([...Array(10).fill(401), 429])
})

test('what is refused looks the same, whatever of a guess is right', () => {
  for (const guess of ['guess', 'the-first', 'a-second-key-012345678', 'the-firs']) {
    const { show } = world()
    for (const of of [keys, []]) {
      const statuses = wrong(guess, 12).map((token) => show(token, { project: of.length === 0 ? 'gone' : 'demo', of }))
      expect(statuses).toEqual([...Array(10).fill(401), 429, 429])
    }
  }
})

test('names that no project has share their places', () => {
  const { show } = world()
  const statuses = wrong('x', 12).map((token, i) => show(token, { project: `${'A'.repeat(10_000)}${i}`, of: [] }))
  expect(statuses).toEqual([...Array(10).fill(401), 429, 429])
})
