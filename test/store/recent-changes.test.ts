import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LogRow } from '../../src/store/encoding.ts'
import { createRecentChanges, type RecentChanges } from '../../src/store/recent-changes.ts'

const row = (revision: number, size = 10): LogRow => ({ revision, changes: [], size })

/** Reads from a position as a watcher does; undefined when memory does not reach back. */
function readAll(recent: RecentChanges, position: number, newest: number): number[] | undefined {
  const seen: number[] = []
  let at = position
  while (at < newest) {
    const page = recent.after(at)
    if (page === undefined) return undefined
    seen.push(...page.rows.map(({ revision }) => revision))
    expect(page.through).toBeGreaterThan(at)
    at = page.through
  }
  expect(at).toBe(newest)
  return seen
}

test('from any position it either tells every row behind it or says that it cannot', () => {
  // Each batch raises the revision by some commits, of which some are logged.
  const batches = fc.array(
    fc.array(fc.record({ logged: fc.boolean(), size: fc.nat(60) }), { minLength: 1, maxLength: 8 }),
  )
  fc.assert(
    fc.property(batches, (commits) => {
      const recent = createRecentChanges(100, { maxRows: 10, maxSize: 200 })
      const all: LogRow[] = []
      let newest = 100
      for (const batch of commits) {
        const rows = batch.flatMap(({ logged, size }, i) => (logged ? [row(newest + 1 + i, size)] : []))
        newest += batch.length
        all.push(...rows)
        recent.push(rows, newest)
      }
      for (let position = 99; position <= newest; position += 1) {
        const seen = readAll(recent, position, newest)
        const expected = all.map(({ revision }) => revision).filter((revision) => revision > position)
        if (seen !== undefined) expect(seen).toEqual(expected)
        if (position === 99) expect(seen).toBeUndefined()
      }
    }),
    { numRuns: 300 },
  )
})

test('memory is bounded in rows and in size', () => {
  const byRows = createRecentChanges(0, { maxRows: 10, maxSize: 1e6 })
  const bySize = createRecentChanges(0, { maxRows: 1e6, maxSize: 100 })
  for (let revision = 1; revision <= 1000; revision += 1) {
    byRows.push([row(revision)], revision)
    bySize.push([row(revision)], revision)
  }
  for (const recent of [byRows, bySize]) {
    expect(recent.after(989)).toBeUndefined()
    expect(readAll(recent, 996, 1000)).toEqual([997, 998, 999, 1000])
  }
})

test('a row larger than all memory is still told to who is up to date', () => {
  const recent = createRecentChanges(0, { maxRows: 10, maxSize: 100 })
  recent.push([row(1), row(2, 1000)], 2)
  expect(recent.after(0)).toBeUndefined()
  recent.push([row(3)], 3)
  expect(readAll(recent, 2, 3)).toEqual([3])
})

test('after a reset it begins anew', () => {
  const recent = createRecentChanges(0)
  recent.push([row(1)], 1)
  recent.reset(5)
  expect(recent.after(1)).toBeUndefined()
  expect(recent.after(5)).toEqual({ rows: [], through: 5 })
})
