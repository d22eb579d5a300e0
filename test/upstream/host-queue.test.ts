import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createHostQueue, type Place } from '../../src/upstream/host-queue.ts'

describe('a queue by hosts', () => {
  test('lets hosts take turns, each item in the order it came', () => {
    const queue = createHostQueue<string>({ total: 10, perHost: 10 })
    for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2'])
      queue.add({ project: 'demo', host: item.charAt(0) }, item, item)
    const taken = Array.from({ length: 7 }, () => queue.take()?.item)
    expect(taken).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', undefined])
  })

  test('lets projects take turns, however much one of them wants and of how many hosts', () => {
    const queue = createHostQueue<string>({ total: 2, perHost: 1 })
    for (let i = 0; i < 100; i++) queue.add({ project: 'many', host: `h${i % 50}` }, `${i}`, `many ${i}`)
    expect([queue.take()?.item, queue.take()?.item, queue.take()]).toEqual(['many 0', 'many 1', undefined])
    queue.add({ project: 'few', host: 'h0' }, 'one', 'few one')
    queue.add({ project: 'few', host: 'h9' }, 'two', 'few two')
    queue.done({ project: 'many', host: 'h1' })
    expect(queue.take()?.item).toBe('many 2')
    queue.done({ project: 'many', host: 'h2' })
    expect(queue.take()?.item).toBe('few two')
    queue.done({ project: 'many', host: 'h0' })
    expect([queue.take()?.item, queue.take()]).toEqual(['many 3', undefined])
    queue.done({ project: 'few', host: 'h9' })
    expect(queue.take()?.item).toBe('few one')
  })

  test('keeps places for other projects from one whose items never end', () => {
    const queue = createHostQueue<string>({ total: 3, perHost: 3, perProject: 2 })
    for (let i = 0; i < 20; i++) queue.add({ project: 'slow', host: `s${i}` }, `${i}`, `slow ${i}`)
    expect([queue.take()?.item, queue.take()?.item, queue.take()]).toEqual(['slow 0', 'slow 1', undefined])
    for (const item of ['late 1', 'late 2']) queue.add({ project: 'late', host: 'l' }, item, item)
    const late = queue.take()
    expect([late?.item, queue.take()]).toEqual(['late 1', undefined])
    if (late) queue.done(late)
    expect(queue.take()?.item).toBe('late 2')
    queue.done({ project: 'slow', host: 's0' })
    expect(queue.take()?.item).toBe('slow 2')
  })

  test('holds up no host for another that is full', () => {
    const queue = createHostQueue<string>({ total: 3, perHost: 1 })
    for (const item of ['a1', 'a2', 'b1']) queue.add({ project: 'demo', host: item.charAt(0) }, item, item)
    expect([queue.take()?.item, queue.take()?.item, queue.take()]).toEqual(['a1', 'b1', undefined])
    queue.done({ project: 'demo', host: 'a' })
    expect(queue.take()?.item).toBe('a2')
  })

  test('puts an item in the place of the one before of its key', () => {
    const queue = createHostQueue<number>({ total: 3, perHost: 3 })
    queue.add({ project: 'demo', host: 'a' }, 'key', 1)
    queue.add({ project: 'demo', host: 'a' }, 'key', 2)
    expect([queue.take()?.item, queue.take()]).toEqual([2, undefined])
  })

  test('never has more under way than it may, and begins everything in the end', () => {
    const step = fc.oneof(
      fc.record({ add: fc.record({ project: fc.constantFrom('x', 'y'), host: fc.constantFrom('a', 'b', 'c') }) }),
      fc.constant('take'),
      fc.constant('done'),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 4 }), (steps, total) => {
        const queue = createHostQueue<number>({ total, perHost: 2, perProject: 2 })
        const underWay: Place[] = []
        const begun: number[] = []
        let added = 0
        const take = () => {
          const next = queue.take()
          if (next === undefined) return false
          underWay.push(next)
          begun.push(next.item)
          expect(underWay.length).toBeLessThanOrEqual(total)
          expect(underWay.filter(({ host }) => host === next.host).length).toBeLessThanOrEqual(2)
          const ofProject = underWay.filter(({ project }) => project === next.project).length
          expect(ofProject).toBeLessThanOrEqual(2)
          return true
        }
        const done = () => {
          const place = underWay.shift()
          if (place !== undefined) queue.done(place)
          return place !== undefined
        }
        for (const each of steps) {
          if (each === 'take') take()
          else if (each === 'done') done()
          else queue.add(each.add, String(added), added++)
        }
        while (take() || done());
        expect(begun.sort((a, b) => a - b)).toEqual(Array.from({ length: added }, (_, i) => i))
      }),
      { numRuns: 300 },
    )
  })
})
