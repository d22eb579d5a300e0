import fc from 'fast-check'
import { LRUCache } from 'lru-cache'
import { describe, expect, test } from 'vitest'
import { atMost } from '../../src/oci/at-most.ts'

describe('a cache of at most so many entries', () => {
  test('keeps and forgets what LRUCache does under its option max', () => {
    const key = fc.integer({ min: 0, max: 12 })
    const step = fc.oneof(
      fc.record({ does: fc.constant('set' as const), key, value: fc.nat() }),
      fc.record({ does: fc.constantFrom('get' as const, 'delete' as const), key }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(step, { maxLength: 60 }), (most, steps) => {
        const ours = new LRUCache<number, number>(atMost(most))
        const theirs = new LRUCache<number, number>({ max: most })
        for (const step of steps) {
          for (const cache of [ours, theirs]) {
            if (step.does === 'set') cache.set(step.key, step.value)
            else cache[step.does](step.key)
          }
          expect([...ours.entries()]).toEqual([...theirs.entries()])
        }
      }),
      { numRuns: 300 },
    )
  })

  test('takes no memory for entries that it does not have', () => {
    // As LRUCache reserves: an absent `max` is its only way to grow.
    expect(new LRUCache<string, string>(atMost(1_000_000)).max).toBe(0)
  })
})
