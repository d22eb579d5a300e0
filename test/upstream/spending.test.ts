import { expect, test } from 'vitest'
import { createSpending } from '../../src/upstream/spending.ts'

test('of many streams those that spent most are remembered, and the others are forgotten', () => {
  const spending = createSpending()
  const name = (i: number) => ({ project: 'demo', stream: `s${i}` })
  for (let i = 0; i < 10_000; i++) {
    spending.count(name(i))
    if (i % 10 === 0) for (const often of [3, 4]) spending.count(name(often))
  }
  const all = spending.top(Number.POSITIVE_INFINITY)
  expect(all.length).toBeLessThanOrEqual(1000)
  expect(all.slice(0, 3)).toEqual([
    { stream: name(3), requests: 1001 },
    { stream: name(4), requests: 1001 },
    { stream: expect.anything(), requests: 1 },
  ])
  expect(spending.top(2)).toHaveLength(2)
})
