import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createDueQueue } from '../../src/schedule/due.ts'
import { nextTime, pauseAfter, phaseOf } from '../../src/schedule/times.ts'

const interval = fc.integer({ min: 60_000, max: 30 * 86_400_000 })
const moment = fc.integer({ min: 0, max: 4_000_000_000_000 })
const phase = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe('the time of a check', () => {
  test('comes once in each interval, after now, and follows from the name alone', () => {
    fc.assert(
      fc.property(phase, interval, moment, (at, intervalMs, nowMs) => {
        const next = nextTime(at, intervalMs, nowMs)
        expect(next).toBeGreaterThan(nowMs)
        expect(next - nowMs).toBeLessThanOrEqual(intervalMs)
        expect(nextTime(at, intervalMs, next)).toBe(next + intervalMs)
        expect(nextTime(at, intervalMs, next - 1)).toBe(next)
      }),
      { numRuns: 500 },
    )
  })

  test('is spread evenly over the interval: no tenth has more than 13 % of a thousand sources', () => {
    const tenths = new Array<number>(10).fill(0)
    for (let i = 0; i < 1000; i++) {
      const tenth = Math.floor(phaseOf(`quay.io/org/app-${i}:v1`) * 10)
      tenths[tenth] = (tenths[tenth] ?? 0) + 1
    }
    expect(Math.max(...tenths)).toBeLessThan(130)
    expect(phaseOf('quay.io/org/app:v1')).toBe(phaseOf('quay.io/org/app:v1'))
  })
})

describe('the pause after a failure', () => {
  test('that may pass grows up to the interval, and never beyond; one that stays is never shorter than it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), interval, phase, (failures, intervalMs, random) => {
        const passing = pauseAfter(failures, true, intervalMs, () => random)
        expect(passing).toBeGreaterThan(0)
        expect(passing).toBeLessThanOrEqual(intervalMs)
        const staying = pauseAfter(failures, false, intervalMs, () => random)
        expect(staying).toBeGreaterThanOrEqual(intervalMs)
        expect(staying).toBeLessThanOrEqual(Math.max(intervalMs, 86_400_000) * 1.1)
      }),
      { numRuns: 500 },
    )
  })

  test('doubles with each failure in a row', () => {
    const none = () => 0
    expect([1, 2, 3, 4].map((failures) => pauseAfter(failures, true, 3_600_000, none))).toEqual([
      15_000, 30_000, 60_000, 120_000,
    ])
    expect([1, 2, 3].map((failures) => pauseAfter(failures, false, 3_600_000, none))).toEqual([
      3_600_000, 7_200_000, 14_400_000,
    ])
  })
})

test('the queue gives what is due in the order of the newest times, against a plain list', () => {
  const step = fc.oneof(
    fc.record({ put: fc.nat(20), at: fc.nat(100) }),
    fc.record({ remove: fc.nat(20) }),
    fc.record({ now: fc.nat(100) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const queue = createDueQueue<number>()
      const model = new Map<number, number>()
      for (const each of steps) {
        if ('put' in each) {
          queue.put(each.put, each.at)
          model.set(each.put, each.at)
        } else if ('remove' in each) {
          queue.remove(each.remove)
          model.delete(each.remove)
        } else {
          const least = Math.min(...model.values())
          expect(queue.next()).toBe(model.size === 0 ? undefined : least)
          const taken = queue.take(each.now)
          if (model.size === 0 || least > each.now) expect(taken).toBeUndefined()
          else {
            expect(model.get(taken as number)).toBe(least)
            model.delete(taken as number)
          }
        }
      }
    }),
    { numRuns: 300 },
  )
})

test('the queue gives each once in its order after its times were changed very often', () => {
  const queue = createDueQueue<number>()
  for (let n = 0; n < 20_000; n++) queue.put(n % 7, 100_000 - n)
  queue.remove(3)
  const taken = Array.from({ length: 7 }, () => queue.take(200_000))
  expect(taken).toEqual([0, 6, 5, 4, 2, 1, undefined])
})
