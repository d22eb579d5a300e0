import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LedgerEntry, TagRecord } from '../../src/streams/records.ts'
import { findRollbackEntry, type ReadLedger, type RollbackTarget } from '../../src/streams/rollback.ts'
import { app, digest } from './world.ts'

/** A move of the ledger: the character of a digest, '' for a deletion, or a rollback to a revision. */
type Move = string | { to: number }

function ledgerOf(moves: readonly Move[], projectUid = 'p'): LedgerEntry[] {
  const entries: LedgerEntry[] = []
  for (const [i, move] of moves.entries()) {
    const restored = typeof move === 'string' ? undefined : move.to
    const image = typeof move === 'string' ? move && digest(move) : (entries[move.to - 1]?.image ?? '')
    entries.push({
      uid: 'u',
      projectUid,
      revision: i + 1,
      created: '2026-01-01T00:00:00Z',
      image: image as LedgerEntry['image'],
      mediaType: '',
      dockerImageReference: '',
      generation: 1,
      cause:
        restored === undefined
          ? { kind: image === '' ? 'delete' : 'push', by: 'a' }
          : { kind: 'rollback', by: 'a', restoredRevision: restored },
    })
  }
  return entries
}

function reader(entries: readonly LedgerEntry[], page = 2): ReadLedger & { reads: number } {
  const read = async (before = Number.POSITIVE_INFINITY) => {
    read.reads++
    return entries
      .filter(({ revision }) => revision < before)
      .toReversed()
      .slice(0, page)
  }
  read.reads = 0
  return read
}

function recordOf(entries: readonly LedgerEntry[]): TagRecord | undefined {
  const last = entries.at(-1)
  if (last === undefined) return undefined
  const items = last.image === '' ? [] : [{ created: '', dockerImageReference: '', image: last.image, generation: 1 }]
  return { uid: 'u', revision: last.revision, current: last.image ? last.revision : 0, items, commitId: '' }
}

async function find(moves: readonly Move[], to?: RollbackTarget, projectUid = 'p'): Promise<number> {
  const entries = ledgerOf(moves)
  const tag = { name: app, tag: 'prod', record: recordOf(entries), projectUid }
  return (await findRollbackEntry(reader(entries), to, tag)).revision
}

describe('rollback without a target', () => {
  test.each<[string, Move[], number]>([
    ['goes one back', ['a', 'b'], 1],
    ['passes over the digest in force', ['a', 'b', 'c', 'b', 'c'], 4],
    ['passes over deletions', ['a', '', 'b'], 1],
    ['goes behind the revision that was restored', ['a', 'b', 'c', { to: 2 }], 1],
    ['goes behind it also through a rollback to a rollback', ['a', 'b', 'c', { to: 2 }, 'd', { to: 4 }], 1],
    ['starts anew after a move', ['a', 'b', { to: 1 }, 'c'], 3],
  ])('%s', async (_claim, moves, revision) => {
    expect(await find(moves)).toBe(revision)
  })

  test.each<[string, Move[]]>([
    ['there is only one digest', ['a', 'a', 'a']],
    ['everything older was restored before', ['a', 'b', { to: 1 }]],
    ['the tag was deleted', ['a', 'b', '']],
    ['there is no ledger', []],
  ])('is refused when %s', async (_why, moves) => {
    await expect(find(moves)).rejects.toMatchObject({ code: 'INVALID', causes: [{ field: 'to' }] })
  })
})

describe('rollback to', () => {
  test('a revision finds that revision', async () => {
    expect(await find(['a', 'b', 'c'], 1)).toBe(1)
    expect(await find(['a', 'b', ''], 2)).toBe(2)
  })

  test('a digest finds its newest revision', async () => {
    expect(await find(['a', 'b', 'a', 'c', 'd', 'e'], digest('a'))).toBe(3)
  })

  test.each<[string, RollbackTarget]>([
    ['a revision that is not there', 9],
    ['revision 0', 0],
    ['a deletion', 2],
    ['a digest the tag never had', digest('f')],
  ])('%s is refused', async (_what, to) => {
    await expect(find(['a', '', 'b'], to)).rejects.toMatchObject({ code: 'INVALID', causes: [{ field: 'to' }] })
  })
})

test('revisions from before the project was made anew are no place to go back to', async () => {
  await expect(find(['a', 'b'], 1, 'new')).rejects.toMatchObject({ causes: [{ message: /earlier project/ }] })
  await expect(find(['a', 'b'], digest('a'), 'new')).rejects.toMatchObject({ causes: [{ message: /earlier project/ }] })
  await expect(find(['a', 'b'], undefined, 'new')).rejects.toMatchObject({ code: 'INVALID' })
})

test('a rollback behind a long ledger reads only what lies behind', async () => {
  const moves = ['a', 'b', ...Array.from({ length: 1000 }, () => 'c'), { to: 2 }]
  const entries = ledgerOf(moves)
  const read = reader(entries, 100)
  const found = await findRollbackEntry(read, undefined, {
    name: app,
    tag: 'prod',
    record: recordOf(entries),
    projectUid: 'p',
  })
  expect(found.revision).toBe(1)
  expect(read.reads).toBeLessThanOrEqual(4)
})

test('whatever the moves, what is found is older, has another digest, and is the newest such', () => {
  const moves = fc.array(fc.constantFrom('a', 'b', 'c', ''), { minLength: 1, maxLength: 30 })
  return fc.assert(
    fc.asyncProperty(moves, fc.integer({ min: 1, max: 5 }), async (all, page) => {
      const entries = ledgerOf(all)
      const record = recordOf(entries)
      const pin = record?.items[0]?.image
      const expected =
        pin && entries.findLast((entry) => entry.image !== pin && entry.image !== '' && entry.revision < all.length)
      const tag = { name: app, tag: 'prod', record, projectUid: 'p' }
      const found = await findRollbackEntry(reader(entries, page), undefined, tag).catch(() => undefined)
      expect(found?.revision).toBe(expected ? expected.revision : undefined)
    }),
    { numRuns: 300 },
  )
})
