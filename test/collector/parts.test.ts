import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createDigestTable } from '../../src/collector/digest-table.ts'
import { fateOf } from '../../src/collector/fate.ts'
import { createHistoryKeep } from '../../src/collector/history-keep.ts'
import { marks } from '../../src/collector/marks.ts'
import { type Digest, digestOf, parseDigest } from '../../src/oci/digest.ts'

describe('a table of digests', () => {
  test('has what a map would have, whatever is added', () => {
    const digests = fc.array(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 1, max: 65_535 })))
    fc.assert(
      fc.property(digests, fc.boolean(), (added, isLong) => {
        const table = createDigestTable()
        const map = new Map<Digest, number>()
        for (const [n, bits] of added) {
          const digest = digestOf(String(n), isLong ? 'sha512' : 'sha256')
          expect(table.add(digest, bits)).toBe(map.get(digest) ?? 0)
          map.set(digest, (map.get(digest) ?? 0) | bits)
        }
        expect(table.size).toBe(map.size)
        for (let n = 0; n <= 300; n += 1) {
          const digest = digestOf(String(n), isLong ? 'sha512' : 'sha256')
          expect(table.get(digest)).toBe(map.get(digest) ?? 0)
        }
      }),
      { numRuns: 200 },
    )
  })

  test('takes 200,000 in about 20 bytes each', () => {
    const table = createDigestTable()
    const before = process.memoryUsage().arrayBuffers
    for (let n = 0; n < 200_000; n += 1) table.add(digestOf(String(n)), 1)
    expect(table.size).toBe(200_000)
    // What was outgrown is collected when it is.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * 1024 * 1024)
  })

  test('tells digests apart that differ in one place, wherever that is', () => {
    const zeros = '0'.repeat(64)
    const table = createDigestTable()
    let added = 0
    for (let at = 0; at < 64; at += 1) {
      const digest = parseDigest(`sha256:${zeros.slice(0, at)}f${zeros.slice(at + 1)}`)
      if (digest === undefined) throw new TypeError('a digest is one')
      if (table.add(digest, 1) === 0) added += 1
    }
    // Those that differ outside the digits which count share one place: they are kept alike, never lost.
    expect(added).toBeGreaterThanOrEqual(13)
  })
})

describe('the history of a tag', () => {
  const day = (n: number) => new Date(Date.UTC(2026, 0, n)).toISOString()
  const kept = (historyKeep: number, historyKeepDays: number, created: string[], today = 31) => {
    const keep = createHistoryKeep({ historyKeep, historyKeepDays }, Date.UTC(2026, 0, today))
    return created.map((each) => keep.next(each))
  }

  test('keeps the newest, and what was in force within the days', () => {
    const created = [day(30), day(20), day(10), day(1)]
    expect(kept(1, 0, created)).toEqual([true, false, false, false])
    expect(kept(3, 0, created)).toEqual([true, true, true, false])
    expect(kept(1, 1, created)).toEqual([true, true, false, false])
    expect(kept(1, 11, created)).toEqual([true, true, true, false])
    expect(kept(1, 21, created)).toEqual([true, true, true, true])
  })

  test('keeps nothing older than what it keeps not, and is over then', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 30 }),
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 0, max: 40 }),
        (days, historyKeep, historyKeepDays) => {
          const created = days.sort((a, b) => b - a).map(day)
          const keep = createHistoryKeep({ historyKeep, historyKeepDays }, Date.UTC(2026, 2, 1))
          let wasOver = false
          for (const [i, each] of created.entries()) {
            wasOver ||= keep.isOver
            expect(keep.isOver).toBe(wasOver)
            const isKept = keep.next(each)
            expect(isKept).toBe(!wasOver)
            if (i < historyKeep) expect(isKept).toBe(true)
          }
        },
      ),
      { numRuns: 200 },
    )
  })
})

test('bytes go only when no stream needs them, whatever else is known of them', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 255 }), (bits) => {
      const isNeeded = (bits & (marks.pinned | marks.pulled | marks.history | marks.fresh)) !== 0
      expect('keep' in fateOf(bits)).toBe(isNeeded)
    }),
    { numRuns: 1000 },
  )
})
