import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createAttempts, networkOf } from '../../src/access/attempts.ts'
import { testClock } from '../support/clock.ts'

function world() {
  const clock = testClock()
  const attempts = createAttempts(clock)
  let guesses = 0
  const wrong = (user: string, address: string, guess = `new ${guesses++}`) => attempts.begin({ user, address, guess })
  const spend = (count: number, user: string, address: string) => {
    for (let index = 0; index < count; index++) wrong(user, address)
  }
  return { clock, attempts, wrong, spend }
}

const tooMany = expect.objectContaining({ code: 'TOOMANYREQUESTS', status: 429 })
const refusal = (act: () => unknown): unknown => {
  try {
    return act()
  } catch (error) {
    return error
  }
}

describe('wrong passwords', () => {
  test('ten for a user at an address, then one each half minute', () => {
    const { wrong, spend, clock } = world()
    spend(10, 'jane', '192.0.2.1')
    expect(refusal(() => wrong('jane', '192.0.2.1'))).toMatchObject({ code: 'TOOMANYREQUESTS', retryAfterSeconds: 30 })
    clock.advance(29_000)
    expect(refusal(() => wrong('jane', '192.0.2.1'))).toMatchObject({ retryAfterSeconds: 1 })
    clock.advance(1000)
    wrong('jane', '192.0.2.1')
    expect(refusal(() => wrong('jane', '192.0.2.1'))).toEqual(tooMany)
  })

  test('of others lock nobody out: not elsewhere, and not another user at the same address', () => {
    const { wrong, spend } = world()
    spend(10, 'jane', '192.0.2.1')
    wrong('jane', '192.0.2.2')
    wrong('jane', '2001:db8::1')
    wrong('john', '192.0.2.1')
  })

  test('sixty at an address, for whatever users, then one each six seconds', () => {
    const { wrong, clock } = world()
    for (let index = 0; index < 60; index++) wrong(`user ${index}`, '192.0.2.1')
    expect(refusal(() => wrong('another', '192.0.2.1'))).toMatchObject({ retryAfterSeconds: 6 })
    wrong('another', '192.0.2.2')
    clock.advance(6000)
    wrong('another', '192.0.2.1')
    expect(refusal(() => wrong('another', '192.0.2.1'))).toEqual(tooMany)
  })

  test('that are refused for one user do not use up the places of the address', () => {
    const { wrong, spend } = world()
    spend(10, 'jane', '192.0.2.1')
    for (let index = 0; index < 1000; index++) expect(refusal(() => wrong('jane', '192.0.2.1'))).toEqual(tooMany)
    for (let index = 0; index < 50; index++) wrong(`user ${index}`, '192.0.2.1')
    expect(refusal(() => wrong('john', '192.0.2.1'))).toEqual(tooMany)
  })

  test('the same one within ten seconds is one, and after that another', () => {
    const { wrong, clock } = world()
    for (let index = 0; index < 100; index++) wrong('jane', '192.0.2.1', 'same')
    for (let index = 0; index < 9; index++) wrong('jane', '192.0.2.1')
    expect(refusal(() => wrong('jane', '192.0.2.1'))).toEqual(tooMany)
    wrong('jane', '192.0.2.1', 'same')
    clock.advance(10_000)
    expect(refusal(() => wrong('jane', '192.0.2.1', 'same'))).toEqual(tooMany)
  })

  test('the same one from another address counts there', () => {
    const { wrong } = world()
    for (let index = 0; index < 10; index++) {
      wrong('jane', '192.0.2.1', `guess ${index}`)
      wrong('jane', '192.0.2.2', `guess ${index}`)
    }
    expect(refusal(() => wrong('jane', '192.0.2.2'))).toEqual(tooMany)
  })

  test('from one IPv6 network are of one address', () => {
    const { wrong } = world()
    for (let index = 0; index < 10; index++) wrong('jane', `2001:db8:1:2::${index.toString(16)}`)
    expect(refusal(() => wrong('jane', '2001:db8:1:2:ffff::1'))).toEqual(tooMany)
    wrong('jane', '2001:db8:1:3::1')
  })

  test('after all places are back there are no more than at first', () => {
    const { wrong, spend, clock } = world()
    spend(10, 'jane', '192.0.2.1')
    clock.advance(86_400_000)
    spend(10, 'jane', '192.0.2.1')
    expect(refusal(() => wrong('jane', '192.0.2.1'))).toEqual(tooMany)
  })
})

test('a right password costs nothing, however often its place is given back', () => {
  const { wrong, spend } = world()
  for (let index = 0; index < 200; index++) {
    const attempt = wrong('jane', '192.0.2.1')
    attempt.release()
    attempt.release()
  }
  spend(10, 'jane', '192.0.2.1')
  expect(refusal(() => wrong('jane', '192.0.2.1'))).toEqual(tooMany)
})

test('a place that is given back twice, or late, is one place', () => {
  const { wrong, spend, clock } = world()
  spend(5, 'jane', '192.0.2.1')
  const right = wrong('jane', '192.0.2.1')
  for (let index = 0; index < 100; index++) right.release()
  spend(5, 'jane', '192.0.2.1')
  expect(refusal(() => wrong('jane', '192.0.2.1'))).toEqual(tooMany)
  clock.advance(86_400_000)
  const late = wrong('jane', '192.0.2.1')
  clock.advance(86_400_000)
  late.release()
  spend(10, 'jane', '192.0.2.1')
  expect(refusal(() => wrong('jane', '192.0.2.1'))).toEqual(tooMany)
})

test('no order of attempts and waits gives a user at an address more than his share', () => {
  const step = fc.record({
    waitMs: fc.oneof(fc.constant(0), fc.nat(60_000)),
    user: fc.constantFrom('jane', 'john'),
    right: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { wrong, clock } = world()
      const began = clock.now()
      const failed = new Map<string, number>()
      for (const { waitMs, user, right } of steps) {
        clock.advance(waitMs)
        const attempt = refusal(() => wrong(user, '192.0.2.1'))
        if (attempt instanceof Error) continue
        if (right) (attempt as ReturnType<typeof wrong>).release()
        else failed.set(user, (failed.get(user) ?? 0) + 1)
      }
      const most = 10 + (clock.now() - began) / 30_000
      for (const count of failed.values()) expect(count).toBeLessThanOrEqual(most)
    }),
    { numRuns: 300 },
  )
})

describe('networkOf()', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:0DB8:0000:0000:0:0:0:2', '2001:db8:0:0::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:3:4:192.0.2.1', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['1::', '1:0:0:0::/64'],
    ['', ''],
    ['no address', 'no address'],
  ])('%s is of %s', (address, network) => {
    expect(networkOf(address)).toBe(network)
  })

  test('every address of a /64 is of the same', () => {
    const host = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
    const written = (high: bigint, low: bigint) =>
      Array.from({ length: 8 }, (_, index) =>
        (((index < 4 ? high : low) >> BigInt(48 - 16 * (index % 4))) & 0xffffn).toString(16),
      ).join(':')
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), host, host, (network, one, two) => {
        expect(networkOf(written(network, one))).toBe(networkOf(written(network, two)))
        expect(networkOf(written(network, one))).not.toBe(networkOf(written(network ^ 1n, one)))
      }),
      { numRuns: 300 },
    )
  })
})
