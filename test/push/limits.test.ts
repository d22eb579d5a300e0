import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLimits } from '../../src/push/limits.ts'

/** What a store with these uploads lists; it waits before the end where a test holds it. */
function stored(uploads: Map<string, string>, beforeEnd: () => Promise<void> = async () => undefined) {
  return async function* list() {
    for (const [id, by] of [...uploads]) yield { id, by }
    await beforeEnd()
  }
}

test('whatever begins, ends and is counted anew, nobody has more than he may, and nobody is refused with less', async () => {
  const step = fc.record({
    what: fc.constantFrom('begin', 'end', 'recount', 'endElsewhere'),
    by: fc.constantFrom('ann', 'bob', 'eve'),
    at: fc.nat(9),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const uploads = new Map([
        ['old-1', 'ann'],
        ['old-2', 'bob'],
      ])
      /** What this process knows of: what others end, it learns when it counts anew. */
      let known = new Map(uploads)
      const limits = createLimits({ maxPerUser: 3, max: 6, list: stored(uploads) })
      let isCounted = false
      for (const [i, { what, by, at }] of steps.entries()) {
        if (what === 'begin') {
          if (!isCounted) known = new Map(uploads)
          isCounted = true
          const own = [...known.values()].filter((each) => each === by).length
          const isFull = own >= 3 || known.size >= 6
          const taken = await limits.take(`new-${i}`, by).then(
            () => true,
            () => false,
          )
          expect(taken).toBe(!isFull)
          if (taken) known.set(`new-${i}`, by)
          if (taken) uploads.set(`new-${i}`, by)
        } else if (what === 'recount') {
          await limits.recount()
          if (isCounted) known = new Map(uploads)
        } else {
          const id = [...uploads.keys()][at]
          if (id === undefined) continue
          uploads.delete(id)
          if (what === 'endElsewhere') continue
          known.delete(id)
          limits.give(id)
        }
      }
    }),
    { numRuns: 300 },
  )
})

test('what begins and ends while they are counted is counted', async () => {
  const uploads = new Map([['old', 'ann']])
  const { promise: end, resolve } = Promise.withResolvers<void>()
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
  let holds = false
  const list = stored(uploads, async () => {
    if (!holds) return
    begin()
    await end
  })
  const limits = createLimits({ maxPerUser: 2, max: 10, list })
  await limits.take('one', 'ann')
  uploads.set('one', 'ann')
  holds = true
  const recounted = limits.recount()
  await begun
  limits.give('old')
  await limits.take('two', 'ann')
  resolve()
  await recounted
  await expect(limits.take('three', 'ann')).rejects.toMatchObject({ code: 'TOOMANYREQUESTS' })
  limits.give('two')
  await limits.take('three', 'ann')
})

test('a count that failed is made again by the next that begins', async () => {
  let fails = true
  const limits = createLimits({
    maxPerUser: 1,
    max: 1,
    // biome-ignore lint/correctness/useYield: it ends before it has anything
    async *list() {
      if (fails) throw new Error('the disk is gone')
    },
  })
  await expect(limits.take('one', 'ann')).rejects.toThrow('the disk is gone')
  fails = false
  await limits.take('two', 'ann')
  await expect(limits.take('three', 'ann')).rejects.toMatchObject({ code: 'TOOMANYREQUESTS' })
})

test('how many there are is counted once, before the first begins, and kept up', async () => {
  const uploads = new Map([['old', 'ann']])
  let lists = 0
  const list = () => {
    lists += 1
    return stored(uploads)()
  }
  const limits = createLimits({ maxPerUser: 3, max: 6, list })
  expect(await limits.count()).toBe(1)
  await limits.take('new', 'bob')
  expect(await limits.count()).toBe(2)
  limits.give('old')
  expect(await limits.count()).toBe(1)
  expect(lists).toBe(1)
})
