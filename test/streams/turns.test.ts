import { expect, test } from 'vitest'
import { createTurns } from '../../src/streams/turns.ts'

test('work of one key runs one after the other, in the order it came, also past a failure', async () => {
  const inTurn = createTurns()
  const told: string[] = []
  const work =
    (name: string, fails = false) =>
    async () => {
      told.push(`${name} begins`)
      await Promise.resolve()
      told.push(`${name} ends`)
      if (fails) throw new Error(name)
      return name
    }
  const outcomes = await Promise.allSettled([
    inTurn('k', work('one')),
    inTurn('k', work('two', true)),
    inTurn('k', work('three')),
  ])
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(told).toEqual(['one begins', 'one ends', 'two begins', 'two ends', 'three begins', 'three ends'])
})

test('work of other keys does not wait', async () => {
  const inTurn = createTurns()
  const held = Promise.withResolvers<string>()
  const first = inTurn('a', () => held.promise)
  expect(await inTurn('b', async () => 'free')).toBe('free')
  held.resolve('done')
  expect(await first).toBe('done')
})
