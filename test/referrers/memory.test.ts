import { expect, test } from 'vitest'
import { createMemory } from '../../src/referrers/memory.ts'

const stream = (name: string) => ({ name: { project: 'demo', stream: name }, uid: `uid of ${name}` })
const [a, b] = [stream('a'), stream('b')]

function asked() {
  const memory = createMemory<number>({ maxBytes: 10_000, now: () => 0 })
  let asks = 0
  let answer = Promise.withResolvers<void>()
  const get = () =>
    memory.get(a, 'subject', async () => {
      asks += 1
      const value = asks
      await answer.promise
      return { value, ms: 60_000, bytes: 1 }
    })
  const next = () => {
    answer = Promise.withResolvers<void>()
  }
  return { memory, get, next, answer: () => answer.resolve(), asks: () => asks }
}

test('what is being found out for a stream is remembered, whatever is forgotten of others meanwhile', async () => {
  const { memory, get, answer, asks } = asked()
  const finding = get()
  memory.forget(b.name)
  answer()
  expect([await finding, await get(), asks()]).toEqual([1, 1, 1])
})

test('what was being found out when its stream was forgotten is not remembered', async () => {
  const { memory, get, next, answer, asks } = asked()
  const finding = get()
  memory.forget(a.name)
  answer()
  expect(await finding).toBe(1)
  next()
  const again = get()
  answer()
  expect([await again, await get(), asks()]).toEqual([2, 2, 2])
})
