import { expect, test } from 'vitest'
import { createRecent } from '../../../src/api/watch/recent.ts'
import { named } from './world.ts'

const change = { before: undefined, after: named('a') }

test('what follows a position is told in order, progress counts too', () => {
  const recent = createRecent(10)
  recent.push({ revision: 11, changes: [change] }, () => 1)
  recent.push({ revision: 12, changes: [] }, () => 1)
  recent.push({ revision: 15, changes: [change, change] }, () => 1)
  const after = (position: number) => [...recent.after(position)].map(({ revision }) => revision)
  expect(after(10)).toEqual([11, 15])
  expect(after(11)).toEqual([15])
  expect(after(14)).toEqual([15])
  expect(after(15)).toEqual([])
  expect([recent.from, recent.position]).toEqual([10, 15])
})

test('the oldest are dropped beyond a number, and nobody is told that they are there', () => {
  const recent = createRecent(0, { maxBatches: 10 })
  for (let revision = 1; revision <= 100; revision += 1) {
    recent.push({ revision, changes: [change] }, () => 1)
    const kept = [...recent.after(recent.from)].map((batch) => batch.revision)
    expect(kept.length).toBeLessThanOrEqual(10)
    expect(kept).toEqual(Array.from({ length: revision - recent.from }, (_, i) => recent.from + 1 + i))
  }
})

test('the oldest are dropped beyond a size, but never the newest, however large', () => {
  const recent = createRecent(0, { maxSize: 100 })
  for (let revision = 1; revision <= 50; revision += 1) {
    recent.push({ revision, changes: [change, change] }, () => 20)
    expect([...recent.after(recent.from)].length).toBeLessThanOrEqual(2)
  }
  recent.push({ revision: 51, changes: [change] }, () => 1000)
  expect([...recent.after(50)]).toHaveLength(1)
  expect(recent.from).toBe(50)
})
