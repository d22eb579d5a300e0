/** The contract of the store, which every engine runs: `storeContract('level', factory)`. */

import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { isCompacted } from '../../src/store/compaction.ts'
import {
  type Change,
  CompactedError,
  commitLimits,
  type Entry,
  maxRanges,
  type Operation,
  type RangeQuery,
  type Snapshot,
  type Store,
  type WatchBatch,
} from '../../src/store/store.ts'

/** A store of one test. Keys below `tag/` and `object/` can be watched. */
export interface StoreHarness {
  store: Store
  /** Closes the store and opens the same data again. */
  reopen(): Promise<Store>
  /** Makes everything up to the store's newest revision, or one near it, too old to be watched from. */
  compact(): Promise<void>
}

/** Makes an empty store that goes with the test. */
export type StoreFactory = (options: { progressIntervalMs: number }) => Promise<StoreHarness>

/** Runs the contract. */
export function storeContract(name: string, factory: StoreFactory): void {
  // A long interval, so that what a test waits for comes by itself.
  const open = (progressIntervalMs = 60_000) => factory({ progressIntervalMs })
  describe(`${name}: commit`, () => commitContract(open))
  describe(`${name}: range`, () => rangeContract(open))
  describe(`${name}: an earlier state`, () => pastContract(open))
  describe(`${name}: watch`, () => watchContract(open))
  describe(`${name}: restart`, () => restartContract(open))
  describe(`${name}: model`, () => modelContract(open))
}

type Open = (progressIntervalMs?: number) => Promise<StoreHarness>

/** Short for an operation that writes. */
export function put(key: string, value = '{}'): Operation {
  return { type: 'put', key, value }
}

/** Short for an operation that deletes. */
export function del(key: string): Operation {
  return { type: 'delete', key }
}

/** Commits without preconditions and answers the revision. */
export async function write(store: Store, ...operations: Operation[]): Promise<number> {
  const result = await store.commit({ operations })
  if (result.status !== 'committed') throw new Error(`not committed: ${JSON.stringify(result)}`)
  return result.revision
}

/** Reads a range whole. */
export async function entriesOf(store: Store, query: RangeQuery): Promise<Entry[]> {
  return Array.fromAsync(await store.range(query))
}

/** A signal that aborts when the test is over, so that no watch outlives it. */
export function testSignal(): AbortSignal {
  const controller = new AbortController()
  onTestFinished(() => controller.abort())
  return controller.signal
}

/** Reads a watch up to `revision`; batches without changes are left out. */
export async function changesUpTo(batches: AsyncIterable<WatchBatch>, revision: number): Promise<WatchBatch[]> {
  const seen: WatchBatch[] = []
  for await (const batch of batches) {
    if (batch.changes.length > 0) seen.push(batch)
    if (batch.revision >= revision) break
  }
  return seen
}

function commitContract(open: Open): void {
  test('what was committed is read with its revision', async () => {
    const { store } = await open()
    const revision = await write(store, put('tag/a', '{"pin":"é"}'), put('link/b', '2'))
    expect(await store.get('tag/a')).toEqual({ key: 'tag/a', value: '{"pin":"é"}', revision })
    expect(await store.get('link/b')).toEqual({ key: 'link/b', value: '2', revision })
    expect(await store.get('tag/c')).toBeUndefined()
  })

  test('each commit has a revision above all before it', async () => {
    const { store } = await open()
    const revisions = []
    for (let i = 0; i < 5; i += 1) revisions.push(await write(store, put('tag/a', String(i))))
    expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b))
    expect((await store.get('tag/a'))?.revision).toBe(revisions.at(-1))
  })

  test('a deleted key is absent and can be made anew', async () => {
    const { store } = await open()
    await write(store, put('tag/a'))
    await write(store, del('tag/a'))
    expect(await store.get('tag/a')).toBeUndefined()
    const result = await store.commit({
      operations: [put('tag/a', '2')],
      preconditions: [{ key: 'tag/a', revision: 0 }],
    })
    expect(result.status).toBe('committed')
  })

  test('a commit whose preconditions hold goes through', async () => {
    const { store } = await open()
    const revision = await write(store, put('tag/a'), put('tag/b'))
    const preconditions = [
      { key: 'tag/a', revision },
      { key: 'tag/absent', revision: 0 },
    ]
    expect((await store.commit({ operations: [put('tag/c')], preconditions })).status).toBe('committed')
  })

  test('I2: a commit whose precondition fails writes nothing and names the first that failed', async () => {
    const { store } = await open()
    const revision = await write(store, put('tag/a', '1'), put('tag/b', '1'))
    await write(store, put('tag/b', '2'))
    const result = await store.commit({
      operations: [put('tag/a', 'x'), put('tag/c', 'x'), del('tag/b')],
      preconditions: [
        { key: 'tag/a', revision },
        { key: 'tag/b', revision },
        { key: 'tag/a', revision: 0 },
      ],
    })
    expect(result).toEqual({ status: 'conflict', key: 'tag/b' })
    expect((await entriesOf(store, { prefix: 'tag/' })).map(({ value }) => value)).toEqual(['1', '2'])
  })

  test.each([
    ['present but older', 1],
    ['expected absent', 0],
    ['from the future', 1_000_000],
  ])('a precondition that is %s is a conflict', async (_name, revision) => {
    const { store } = await open()
    await write(store, put('tag/a', '1'))
    await write(store, put('tag/a', '2'))
    const result = await store.commit({ operations: [put('tag/b')], preconditions: [{ key: 'tag/a', revision }] })
    expect(result).toEqual({ status: 'conflict', key: 'tag/a' })
  })

  test('a precondition on a key that was deleted is a conflict', async () => {
    const { store } = await open()
    const revision = await write(store, put('tag/a'))
    await write(store, del('tag/a'))
    const result = await store.commit({ operations: [put('tag/a')], preconditions: [{ key: 'tag/a', revision }] })
    expect(result).toEqual({ status: 'conflict', key: 'tag/a' })
  })

  test('I2: of commits racing on one key exactly one wins', async () => {
    const { store } = await open()
    const revision = await write(store, put('tag/a'))
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        store.commit({ operations: [put('tag/a', String(i))], preconditions: [{ key: 'tag/a', revision }] }),
      ),
    )
    const winners = results.flatMap((result, i) => (result.status === 'committed' ? [i] : []))
    expect(winners).toHaveLength(1)
    expect((await store.get('tag/a'))?.value).toBe(String(winners[0]))
    expect(results.filter(({ status }) => status === 'conflict')).toHaveLength(49)
  })

  test('concurrent commits have revisions of their own', async () => {
    const { store } = await open()
    const revisions = await Promise.all(Array.from({ length: 200 }, (_, i) => write(store, put(`tag/${i}`))))
    expect(new Set(revisions).size).toBe(200)
    for (const { key, revision } of await entriesOf(store, { prefix: 'tag/' })) {
      expect(revision).toBe(revisions[Number(key.slice(4))])
    }
  })

  test('a commit at the limits goes through, one beyond them is a TypeError', async () => {
    const { store } = await open()
    const operations = Array.from({ length: commitLimits.maxOperations }, (_, i) => put(`tag/${i}`))
    await write(store, ...operations)
    await expect(store.commit({ operations: [...operations, put('tag/x')] })).rejects.toThrow(TypeError)
    const preconditions = Array.from({ length: 101 }, (_, i) => ({ key: `tag/${i}`, revision: 0 }))
    await expect(store.commit({ operations: [put('tag/x')], preconditions })).rejects.toThrow(TypeError)
    const value = 'é'.repeat(commitLimits.maxBytes / 2 - 'tag/big'.length)
    await write(store, put('tag/big', value))
    expect((await store.get('tag/big'))?.value).toBe(value)
    await expect(store.commit({ operations: [put('tag/big', `${value}${value}`)] })).rejects.toThrow(TypeError)
    expect(await store.get('tag/x')).toBeUndefined()
  })

  test.each<[string, Operation[]]>([
    ['a key twice', [put('tag/a'), del('tag/a')]],
    ['no operation', []],
    ['an empty key', [put('')]],
    ['a key that is no text', [put('tag/\ud800')]],
    ['a value that is no text', [put('tag/a', '\udc00')]],
  ])('a commit with %s is a TypeError', async (_name, operations) => {
    const { store } = await open()
    await expect(store.commit({ operations })).rejects.toThrow(TypeError)
  })

  test('a precondition that names no revision is a TypeError', async () => {
    const { store } = await open()
    const preconditions = [{ key: 'tag/a', revision: -1 }]
    await expect(store.commit({ operations: [put('tag/a')], preconditions })).rejects.toThrow(TypeError)
  })

  test('a lease is granted, and again after it was given back', async () => {
    const { store } = await open()
    const lease = await store.lease('collector', testSignal())
    expect(lease.lost.aborted).toBe(false)
    await lease.release()
    await (await store.lease('collector', testSignal())).release()
    await expect(store.lease('collector', AbortSignal.abort())).rejects.toThrow()
  })

  test('a closed store takes no commit', async () => {
    const { store } = await open()
    const taken = write(store, put('tag/a'))
    const closing = store.close()
    await expect(store.commit({ operations: [put('tag/b')] })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await closing
    expect(await taken).toBeGreaterThan(0)
    await expect(store.commit({ operations: [put('tag/b')] })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expect(store.get('tag/a')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })
}

// In the order of UTF-8 bytes; UTF-16 would put the last two before U+FFFD.
const sortedKeys = [
  'tag/',
  'tag/\0',
  'tag/a',
  'tag/a!',
  'tag/a/b',
  'tag/b',
  'tag/é',
  'tag/\ufffd',
  'tag/😀',
  'tag/\u{10ffff}',
]

function rangeContract(open: Open): void {
  test('keys come in the order of their UTF-8 bytes', async () => {
    const { store } = await open()
    await write(store, put('tac/x'), put('tag0'), ...[...sortedKeys].reverse().map((key) => put(key)))
    const keys = async (query: RangeQuery) => (await entriesOf(store, query)).map(({ key }) => key)
    expect(await keys({ prefix: 'tag/' })).toEqual(sortedKeys)
    expect(await keys({ prefix: 'tag/', reverse: true })).toEqual([...sortedKeys].reverse())
    expect(await keys({ prefix: '' })).toEqual(['tac/x', ...sortedKeys, 'tag0'])
  })

  test.each<[string, Omit<RangeQuery, 'prefix'>, string[]]>([
    ['start is inclusive', { start: 'tag/b' }, sortedKeys.slice(5)],
    ['end is exclusive', { end: 'tag/b' }, sortedKeys.slice(0, 5)],
    ['start and end may lie between keys', { start: 'tag/a"', end: 'tag/a0' }, ['tag/a/b']],
    ['a start beyond U+FFFF', { start: 'tag/😀' }, sortedKeys.slice(8)],
    ['an end beyond U+FFFF', { start: 'tag/é', end: 'tag/😀' }, ['tag/é', 'tag/\ufffd']],
    ['start before the prefix', { start: 'a' }, sortedKeys],
    ['start behind the prefix', { start: 'tah' }, []],
    ['end behind the prefix', { end: 'z' }, sortedKeys],
    ['end before the prefix', { end: 'a' }, []],
    ['end before start', { start: 'tag/b', end: 'tag/a' }, []],
    ['limit', { limit: 2 }, sortedKeys.slice(0, 2)],
    ['limit 0', { limit: 0 }, []],
    ['limit from the end', { limit: 2, reverse: true }, ['tag/\u{10ffff}', 'tag/😀']],
    ['the newest below a bound', { end: 'tag/a"', limit: 1, reverse: true }, ['tag/a!']],
  ])('%s', async (_name, query, expected) => {
    const { store } = await open()
    await write(store, put('tac/x'), put('tag0'), ...sortedKeys.map((key) => put(key)))
    expect((await entriesOf(store, { prefix: 'tag/', ...query })).map(({ key }) => key)).toEqual(expected)
  })

  test.each(['tag/\ud7ff', 'tag/\u{10ffff}', 'tag/\u{10ffff}\u{10ffff}'])('prefix %j is exact', async (prefix) => {
    const { store } = await open()
    await write(
      store,
      put('tag/a'),
      put(prefix),
      put(`${prefix}x`),
      put(`${prefix}\u{10ffff}`),
      put('tag/\ue000'),
      put('tag0'),
    )
    const keys = (await entriesOf(store, { prefix })).map(({ key }) => key)
    expect(keys).toEqual([prefix, `${prefix}x`, `${prefix}\u{10ffff}`])
  })

  test('a range does not show what is committed while it is read', async () => {
    const { store } = await open()
    const revision = await fill(store, 3000)
    const snapshot = await store.range({ prefix: 'tag/' })
    await write(store, put('tag/00000', 'changed'), put('tag/02999', 'changed'), del('tag/01500'), put('tag/99999'))
    const entries: Entry[] = []
    for await (const entry of snapshot) {
      entries.push(entry)
      if (entries.length % 1000 === 0) await write(store, put('tag/02998', 'changed'))
    }
    expect(snapshot.revision).toBe(revision)
    expect(entries).toHaveLength(3000)
    expect(entries.every(({ value }) => value === '{}')).toBe(true)
  })

  test('a range reports the revision of what it holds while commits go on', async () => {
    const { store } = await open()
    const base = await write(store, put('tag/base'))
    let done = false
    const writing = Promise.all(
      Array.from({ length: 400 }, (_, i) => write(store, put(`tag/${String(i).padStart(5, '0')}`))),
    ).then(() => {
      done = true
    })
    while (!done) {
      const snapshot = await store.range({ prefix: 'tag/' })
      const entries = await Array.fromAsync(snapshot)
      expect(entries).toHaveLength(snapshot.revision - base + 1)
      expect(Math.max(...entries.map(({ revision }) => revision))).toBe(snapshot.revision)
    }
    await writing
  })

  test('large values are read whole, from ranges and by watches', async () => {
    const { store, reopen } = await open()
    const value = 'x'.repeat(50_000)
    let last = 0
    for (let i = 0; i < 30; i += 1) last = await write(store, put(`tag/${10 + i}`, value))
    const again = await reopen()
    expect(await entriesOf(again, { prefix: 'tag/' })).toHaveLength(30)
    expect(await entriesOf(again, { prefix: 'tag/', limit: 20, reverse: true })).toHaveLength(20)
    expect(await changesUpTo(again.watch('tag/', { since: 0, signal: testSignal() }), last)).toHaveLength(30)
  })

  test('reading may stop early, or never begin, and the store still closes', async () => {
    const { store } = await open()
    await fill(store, 2000)
    await store.range({ prefix: 'tag/' })
    let count = 0
    for await (const _ of await store.range({ prefix: 'tag/' })) {
      count += 1
      if (count === 1500) break
    }
    await store.close()
    expect(count).toBe(1500)
  })

  test('a snapshot is read once', async () => {
    const { store } = await open()
    const snapshot = await store.range({ prefix: 'tag/' })
    expect(await Array.fromAsync(snapshot)).toEqual([])
    expect(() => snapshot[Symbol.asyncIterator]()).toThrow(TypeError)
  })

  test('several ranges are of one snapshot, whatever is committed between opening and reading', async () => {
    const { store } = await open()
    await fill(store, 200)
    const revision = await write(store, put('link/a', '1'), put('link/b', '1'), put('object/x', '1'))
    const [tags, last, none, links] = await store.ranges([
      { prefix: 'tag/' },
      { prefix: 'link/', reverse: true, limit: 1 },
      { prefix: 'absent/' },
      { prefix: 'link/', start: 'link/a', end: 'link/b' },
    ])
    await write(store, put('link/a', '2'), del('link/b'), put('absent/x'), put('tag/00100', '2'), del('tag/00199'))
    for (const snapshot of [tags, last, none, links]) expect(snapshot?.revision).toBe(revision)
    // In another order than they were asked for.
    expect(await valuesOf(links)).toEqual([['link/a', '1']])
    expect(await valuesOf(none)).toEqual([])
    expect(await valuesOf(tags)).toEqual(
      Array.from({ length: 200 }, (_, i) => [`tag/${String(i).padStart(5, '0')}`, '{}']),
    )
    expect(await valuesOf(last)).toEqual([['link/b', '1']])
  })

  test('several ranges report one revision, that of what they hold, while commits go on', async () => {
    const { store } = await open()
    const base = await write(store, put('tag/base'), put('link/base'))
    let done = false
    const writing = Promise.all(
      Array.from({ length: 400 }, (_, i) => write(store, put(`tag/${i}`), put(`link/${i}`))),
    ).then(() => {
      done = true
    })
    while (!done) {
      const snapshots = await store.ranges([{ prefix: 'tag/' }, { prefix: 'link/' }])
      for (const snapshot of snapshots) {
        expect(await Array.fromAsync(snapshot)).toHaveLength(snapshot.revision - base + 1)
      }
      expect(snapshots[0]?.revision).toBe(snapshots[1]?.revision)
    }
    await writing
  })

  test('some of several ranges may be left early or never read, and the store still closes', async () => {
    const { store } = await open()
    await fill(store, 2000)
    const [early, whole] = await store.ranges([{ prefix: 'tag/' }, { prefix: 'tag/' }, { prefix: 'tag/' }])
    if (early === undefined || whole === undefined) throw new Error('not enough snapshots')
    for await (const _ of early) break
    expect(await Array.fromAsync(whole)).toHaveLength(2000)
    await store.close()
  })

  test('a range of none, of too many, or of one that makes no sense is a TypeError', async () => {
    const { store } = await open()
    const query = { prefix: 'tag/' }
    expect(await store.ranges(Array.from({ length: maxRanges }, () => query))).toHaveLength(maxRanges)
    await expect(store.ranges([])).rejects.toThrow(TypeError)
    await expect(store.ranges(Array.from({ length: maxRanges + 1 }, () => query))).rejects.toThrow(TypeError)
    await expect(store.ranges([query, { prefix: 'tag/', limit: -1 }])).rejects.toThrow(TypeError)
  })

  test.each<[string, RangeQuery]>([
    ['limit', { prefix: 'tag/', limit: -1 }],
    ['prefix', { prefix: 'tag/\ud800' }],
    ['start', { prefix: 'tag/', start: '\ud800' }],
  ])('a %s that makes no sense is a TypeError', async (_name, query) => {
    const { store } = await open()
    await expect(store.range(query)).rejects.toThrow(TypeError)
  })
}

function pastContract(open: Open): void {
  test('is what was there then, whatever came, changed and went since', async () => {
    const { store } = await open()
    const values = async (query: RangeQuery, revision: number) =>
      (await Array.fromAsync(await store.range(query, { revision }))).map(({ key, value }) => [key, value])
    await write(store, put('tag/b', '1'), put('tag/d', '1'), put('tag/f', '1'))
    const then = await write(store, put('tag/d', '2'))
    await write(store, put('tag/a', '3'), del('tag/b'), put('tag/d', '3'), put('tag/g', '3'))
    await write(store, put('tag/b', '4'), del('tag/d'), put('object/x', '4'))
    await write(store, del('tag/f'), put('tag/e', '5'))
    const was = [
      ['tag/b', '1'],
      ['tag/d', '2'],
      ['tag/f', '1'],
    ]
    expect(await values({ prefix: 'tag/' }, then)).toEqual(was)
    expect(await values({ prefix: 'tag/', reverse: true }, then)).toEqual(was.toReversed())
    expect(await values({ prefix: 'tag/', limit: 2 }, then)).toEqual(was.slice(0, 2))
    expect(await values({ prefix: 'tag/', limit: 0 }, then)).toEqual([])
    expect(await values({ prefix: 'tag/', reverse: true, limit: 1 }, then)).toEqual(was.slice(2))
    expect(await values({ prefix: 'tag/', start: 'tag/c', end: 'tag/f' }, then)).toEqual(was.slice(1, 2))
    expect(await values({ prefix: 'object/' }, then)).toEqual([])
    const snapshot = await store.range({ prefix: 'tag/' }, { revision: then })
    expect(snapshot.revision).toBe(then)
    expect((await Array.fromAsync(snapshot)).map(({ revision }) => revision)).toEqual([then - 1, then, then - 1])
  })

  test('is that of several ranges, read in any order, and read once', async () => {
    const { store } = await open()
    const then = await write(store, put('tag/a', '1'), put('object/a', '1'))
    await write(store, put('tag/a', '2'), del('object/a'))
    const queries = [{ prefix: 'tag/' }, { prefix: 'object/' }]
    const [tags, objects] = await store.ranges(queries, { revision: then })
    await write(store, del('tag/a'), put('object/a', '3'))
    expect(await valuesOf(objects)).toEqual([['object/a', '1']])
    expect(await valuesOf(tags)).toEqual([['tag/a', '1']])
    expect(() => tags?.[Symbol.asyncIterator]()).toThrow(TypeError)
  })

  test('of now, or of a revision still to come, is the newest', async () => {
    const { store } = await open()
    const now = await write(store, put('tag/a'), put('tag/b'))
    for (const revision of [now, now + 1, now + 1000]) {
      const snapshot = await store.range({ prefix: 'tag/', limit: 1 }, { revision })
      expect(snapshot.revision).toBe(now)
      expect(await Array.fromAsync(snapshot)).toHaveLength(1)
    }
  })

  test('may be left early, or never read, and the store still closes', async () => {
    const { store } = await open()
    await fill(store, 2000)
    const then = await write(store, put('tag/00000', '1'))
    await write(store, put('tag/00000', '2'))
    await store.range({ prefix: 'tag/' }, { revision: then })
    for await (const { value } of await store.range({ prefix: 'tag/' }, { revision: then })) {
      expect(value).toBe('1')
      break
    }
    await store.close()
  })

  test('holds while commits go on', async () => {
    const { store } = await open()
    const then = await fill(store, 100)
    let done = false
    const writing = Promise.all(
      Array.from({ length: 300 }, (_, i) => write(store, put(`tag/${String(i).padStart(5, '0')}`, 'changed'))),
    ).then(() => {
      done = true
    })
    while (!done) {
      const entries = await Array.fromAsync(await store.range({ prefix: 'tag/' }, { revision: then }))
      expect(entries).toHaveLength(100)
      expect(entries.every(({ value }) => value === '{}')).toBe(true)
    }
    await writing
  })

  test('that is too long ago throws CompactedError', async () => {
    const { store, compact } = await open()
    const then = await write(store, put('tag/a'))
    await compact()
    await expect(store.range({ prefix: 'tag/' }, { revision: then })).rejects.toThrow(CompactedError)
  })

  test('of what is not logged, or of no revision, is a TypeError', async () => {
    const { store } = await open()
    const now = await write(store, put('tag/a'))
    await expect(store.range({ prefix: 'link/' }, { revision: now })).rejects.toThrow(TypeError)
    await expect(store.ranges([{ prefix: 'tag/' }, { prefix: '' }], { revision: now })).rejects.toThrow(TypeError)
    for (const revision of [-1, 1.5, Number.NaN]) {
      await expect(store.range({ prefix: 'tag/' }, { revision })).rejects.toThrow(TypeError)
    }
  })
}

async function valuesOf(snapshot: Snapshot | undefined): Promise<[key: string, value: string][]> {
  if (snapshot === undefined) throw new Error('no snapshot')
  return (await Array.fromAsync(snapshot)).map(({ key, value }) => [key, value])
}

function watchContract(open: Open): void {
  test('a watch tells each revision once, in order, with previous values', async () => {
    const { store } = await open()
    const first = await write(store, put('tag/a', '1'))
    const second = await write(store, put('tag/a', '2'), put('tag/b', '1'), put('object/x'))
    await write(store, put('object/x', '2'))
    const third = await write(store, del('tag/a'))
    const fourth = await write(store, put('tag/a', '3'))
    const a = (value: string, revision: number): Entry => ({ key: 'tag/a', value, revision })
    expect(await changesUpTo(store.watch('tag/', { since: 0, signal: testSignal() }), fourth)).toEqual([
      { revision: first, changes: [{ key: 'tag/a', value: '1', previous: undefined }] },
      {
        revision: second,
        changes: [
          { key: 'tag/a', value: '2', previous: a('1', first) },
          { key: 'tag/b', value: '1', previous: undefined },
        ],
      },
      { revision: third, changes: [{ key: 'tag/a', value: undefined, previous: a('2', second) }] },
      { revision: fourth, changes: [{ key: 'tag/a', value: '3', previous: undefined }] },
    ])
  })

  test('a watch tells what comes after its beginning, and nothing of before', async () => {
    const { store } = await open()
    const old = await write(store, put('tag/a', '1'))
    const fromNow = store.watch('tag/', { signal: testSignal() })
    const fromOld = store.watch('tag/', { since: old, signal: testSignal() })
    const revision = await write(store, put('tag/a', '2'))
    const expected = [
      { revision, changes: [{ key: 'tag/a', value: '2', previous: { key: 'tag/a', value: '1', revision: old } }] },
    ]
    expect(await changesUpTo(fromNow, revision)).toEqual(expected)
    expect(await changesUpTo(fromOld, revision)).toEqual(expected)
  })

  test('a watch that waits is told at once', async () => {
    const { store } = await open()
    const batches = store.watch('tag/', { signal: testSignal() })[Symbol.asyncIterator]()
    for (let i = 0; i < 3; i += 1) {
      const next = batches.next()
      const revision = await write(store, put('tag/a', String(i)))
      expect(await next).toMatchObject({ done: false, value: { revision, changes: [{ value: String(i) }] } })
    }
  })

  test('keys that merely begin alike are not under the prefix', async () => {
    const { store } = await open()
    const batches = store.watch('tag/a/', { since: 0, signal: testSignal() })
    await write(store, put('tag/a'), put('tag/ab/x'), put('tag/b/a/'))
    const revision = await write(store, put('tag/a/x'))
    expect((await changesUpTo(batches, revision)).map((batch) => batch.revision)).toEqual([revision])
  })

  test('of several prefixes each revision is one batch, its changes in the order of the commit', async () => {
    const { store } = await open()
    const batches = store.watch(['tag/', 'object/x/', 'tag/a'], { since: 0, signal: testSignal() })
    await write(store, put('object/y/1'), put('link/a'))
    const first = await write(store, put('tag/b', '1'), put('object/x/1', '1'), put('object/y/1'), put('tag/a', '1'))
    const second = await write(store, del('object/x/1'), del('tag/zero'), put('link/a'))
    const told = await changesUpTo(batches, second)
    expect(told.map(({ revision }) => revision)).toEqual([first, second])
    expect(told.map(({ changes }) => changes.map(({ key, value }) => [key, value]))).toEqual([
      [
        ['tag/b', '1'],
        ['object/x/1', '1'],
        ['tag/a', '1'],
      ],
      [['object/x/1', undefined]],
    ])
  })

  test('a watch of several prefixes that waits is told at once of each', async () => {
    const { store } = await open()
    const batches = store.watch(['tag/', 'object/x/'], { signal: testSignal() })[Symbol.asyncIterator]()
    for (const key of ['tag/a', 'object/x/1', 'tag/b']) {
      const next = batches.next()
      const revision = await write(store, put(key))
      expect(await next).toMatchObject({ value: { revision, changes: [{ key }] } })
    }
  })

  test('a list of prefixes that is changed later changes no watch', async () => {
    const { store } = await open()
    const prefixes = ['tag/']
    const batches = store.watch(prefixes, { since: 0, signal: testSignal() })
    prefixes[0] = 'object/'
    const revision = await write(store, put('tag/a'), put('object/a'))
    const [told] = await changesUpTo(batches, revision)
    expect(told?.changes.map(({ key }) => key)).toEqual(['tag/a'])
  })

  test.each<[string, string | string[]]>([
    ['that is not kept', 'link/'],
    ['that is not kept among others', ['tag/', 'link/', 'object/']],
    ['of everything', ['tag/', '']],
    ['that is no text', ['tag/\ud800']],
    ['at all missing', []],
  ])('a watch of a prefix %s is a TypeError at once', async (_name, prefix) => {
    const { store } = await open()
    expect(() => store.watch(prefix, { signal: testSignal() })).toThrow(TypeError)
  })

  test('deleting what is absent is no change', async () => {
    const { store } = await open()
    const batches = store.watch('tag/', { since: 0, signal: testSignal() })
    await write(store, del('tag/a'), put('object/x'))
    const revision = await write(store, put('tag/b'), del('tag/a'))
    expect(await changesUpTo(batches, revision)).toEqual([
      { revision, changes: [{ key: 'tag/b', value: '{}', previous: undefined }] },
    ])
  })

  test('progress is told each interval, also when nothing happens', async () => {
    const { store } = await open(20)
    const quiet = await write(store, put('object/x'))
    const batches = store.watch('tag/', { signal: testSignal() })[Symbol.asyncIterator]()
    expect(await batches.next()).toEqual({ done: false, value: { revision: quiet, changes: [] } })
    expect(await batches.next()).toEqual({ done: false, value: { revision: quiet, changes: [] } })
    const revision = await write(store, put('object/x', '2'))
    while ((await batches.next()).value?.revision !== revision);
  })

  test('with prompt, progress is told at the start and with each revision that changed nothing here', async () => {
    const { store } = await open()
    const start = await write(store, put('tag/a'))
    const batches = store.watch('tag/', { signal: testSignal(), prompt: true })[Symbol.asyncIterator]()
    expect(await batches.next()).toEqual({ done: false, value: { revision: start, changes: [] } })
    const next = batches.next()
    const revision = await write(store, put('object/x'))
    expect(await next).toEqual({ done: false, value: { revision, changes: [] } })
  })

  test('a watch from a revision still to come is not set back by what happens elsewhere', async () => {
    const { store } = await open()
    const now = await write(store, put('tag/a'))
    const batches = store.watch('tag/', { since: now + 2, signal: testSignal() })[Symbol.asyncIterator]()
    const first = batches.next()
    await write(store, put('object/x'))
    await write(store, put('tag/a'))
    const revision = await write(store, put('tag/b'))
    expect((await first).value?.revision).toBe(revision)
  })

  test('a watch from a revision still to come is silent until then', async () => {
    const { store } = await open(10)
    const now = await write(store, put('tag/a'))
    const batches = store.watch('tag/', { since: now + 2, signal: testSignal(), prompt: true })[Symbol.asyncIterator]()
    let isSilent = true
    const first = batches.next().finally(() => {
      isSilent = false
    })
    const others = store.watch('tag/', { signal: testSignal() })[Symbol.asyncIterator]()
    for (let ticks = 0; ticks < 3; ticks += 1) expect((await others.next()).value?.revision).toBe(now)
    await write(store, put('tag/a'))
    await others.next()
    expect(isSilent).toBe(true)
    await write(store, put('tag/a'))
    expect((await first).value).toEqual({ revision: now + 2, changes: [] })
    const revision = await write(store, put('tag/b'))
    while ((await batches.next()).value?.revision !== revision);
  })

  test('a watch ends when its signal aborts, while it waits or before it began', async () => {
    const { store } = await open()
    const controller = new AbortController()
    const { signal } = controller
    const waiting = store.watch('tag/', { signal })[Symbol.asyncIterator]().next()
    await write(store, put('object/x'))
    controller.abort()
    expect(await waiting).toEqual({ done: true, value: undefined })
    await write(store, put('tag/a'))
    expect(await Array.fromAsync(store.watch('tag/', { since: 0, signal }))).toEqual([])
  })

  test('a watch that told its progress ends when its signal aborts', async () => {
    const { store } = await open()
    const controller = new AbortController()
    const { signal } = controller
    const batches = store.watch('tag/', { signal, prompt: true })[Symbol.asyncIterator]()
    expect((await batches.next()).value?.changes).toEqual([])
    controller.abort()
    expect(await batches.next()).toEqual({ done: true, value: undefined })
  })

  test('a watch ends between batches when its signal aborts', async () => {
    const { store } = await open()
    for (let i = 0; i < 3; i += 1) await write(store, put('tag/a', String(i)))
    const controller = new AbortController()
    const seen: number[] = []
    for await (const { revision } of store.watch('tag/', { since: 0, signal: controller.signal })) {
      seen.push(revision)
      controller.abort()
    }
    expect(seen).toHaveLength(1)
  })

  test('all watches end when the store closes', async () => {
    const { store } = await open()
    const waiting = Array.from({ length: 3 }, () =>
      store.watch('tag/', { signal: testSignal() })[Symbol.asyncIterator]().next(),
    )
    await store.close()
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => ({ done: true, value: undefined })))
  })

  test('a watch misses nothing and doubles nothing, wherever it begins among concurrent commits', async () => {
    const { store } = await open()
    const start = await write(store, put('tag/0', 'start'))
    const watching: Promise<WatchBatch[]>[] = []
    const signal = testSignal()
    let last = start
    const committed = new Map<number, string>()
    for (let round = 0; round < 20; round += 1) {
      const writes = Array.from({ length: 20 }, async (_, i) => {
        const revision = await write(store, put(`tag/${i}`, `${round}.${i}`), put(`object/${i}`))
        committed.set(revision, `${round}.${i}`)
        last = Math.max(last, revision)
      })
      watching.push(changesUpTo(store.watch('tag/', { since: start, signal }), start + 400))
      await Promise.all(writes)
    }
    expect(last).toBe(start + 400)
    for (const batches of await Promise.all(watching)) {
      expect(batches.map(({ revision }) => revision)).toEqual(Array.from({ length: 400 }, (_, i) => start + 1 + i))
      expect(batches.every(({ revision, changes }) => changes[0]?.value === committed.get(revision))).toBe(true)
    }
  })

  test('a slow consumer is told everything, however much happened meanwhile', async () => {
    const { store } = await open()
    const batches = store.watch('tag/', { since: 0, signal: testSignal() })
    let last = await write(store, put('tag/a', '0'))
    const seen: number[] = []
    for await (const { revision, changes } of batches) {
      if (changes.length > 0) seen.push(revision)
      if (seen.length === 1) last = await fill(store, 3000, 1)
      if (revision >= last) break
    }
    expect(seen).toHaveLength(3001)
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b))
  })

  test('a watch from before the compaction throws CompactedError; from a range on it goes on', async () => {
    const { store, compact } = await open()
    const since = await write(store, put('tag/a', '1'))
    await write(store, put('tag/a', '2'))
    await compact()
    const error = await store
      .watch('tag/', { since, signal: testSignal() })
      [Symbol.asyncIterator]()
      .next()
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
    if (!(error instanceof CompactedError)) throw new Error('not compacted')
    expect(error.compactedRevision).toBeGreaterThan(since)
    const { revision: now } = await store.range({ prefix: 'tag/' })
    const batches = store.watch('tag/', { since: now, signal: testSignal() })
    const revision = await write(store, put('tag/b'))
    expect((await changesUpTo(batches, revision)).map((batch) => batch.revision)).toEqual([revision])
  })

  test('a revision is compacted when a watch from there would be; one to come is not', async () => {
    const { store, compact } = await open()
    expect(await isCompacted(store, 0, 'tag/')).toBe(false)
    const since = await write(store, put('tag/a', '1'))
    await write(store, put('object/x'))
    expect(await isCompacted(store, since, 'tag/')).toBe(false)
    await compact()
    expect(await isCompacted(store, since, 'tag/')).toBe(true)
    expect(await isCompacted(store, 0, 'object/')).toBe(true)
    const { revision } = await store.range({ prefix: 'tag/' })
    expect(await isCompacted(store, revision, 'tag/')).toBe(false)
    expect(await isCompacted(store, revision + 100, 'tag/')).toBe(false)
    await expect(isCompacted(store, since, 'link/')).rejects.toThrow(TypeError)
  })

  test.each([-1, 1.5, Number.NaN])('since %d is a TypeError', async (since) => {
    const { store } = await open()
    expect(() => store.watch('tag/', { since, signal: testSignal() })).toThrow(TypeError)
  })
}

function restartContract(open: Open): void {
  test('I6: what was committed is there after a restart, with its revisions, and they go on', async () => {
    const { store, reopen } = await open()
    const old = await write(store, put('tag/a', '1'), put('link/b', '1'))
    const last = await write(store, put('tag/a', '2'))
    const again = await reopen()
    expect(await again.get('tag/a')).toEqual({ key: 'tag/a', value: '2', revision: last })
    expect(await again.get('link/b')).toEqual({ key: 'link/b', value: '1', revision: old })
    expect((await again.range({ prefix: 'tag/' })).revision).toBe(last)
    expect(await write(again, put('tag/b'))).toBeGreaterThan(last)
  })

  test('a watch goes on across a restart', async () => {
    const { store, reopen } = await open()
    const since = await write(store, put('tag/a', '1'))
    const before = await write(store, put('tag/a', '2'))
    const again = await reopen()
    const after = await write(again, put('tag/a', '3'))
    const batches = await changesUpTo(again.watch('tag/', { since, signal: testSignal() }), after)
    expect(batches.map(({ revision }) => revision)).toEqual([before, after])
    expect(batches[1]?.changes[0]?.previous).toEqual({ key: 'tag/a', value: '2', revision: before })
  })

  test('a closed store closes again', async () => {
    const { store } = await open()
    await store.close()
    await store.close()
  })
}

const names = ['a', 'ab', 'b', '\ufffd', '😀', '\u{10ffff}']
const modelName = fc.constantFrom(...names)
const modelCommit = fc.record({
  writes: fc.uniqueArray(fc.record({ name: modelName, value: fc.option(fc.nat(9)) }), {
    selector: ({ name }) => name,
    minLength: 1,
    maxLength: 3,
  }),
  // Of a condition that is not met on purpose, the revision is off by one.
  conditions: fc.array(fc.record({ name: modelName, isMet: fc.boolean() }), { maxLength: 2 }),
})
const modelQuery = fc.record(
  { start: modelName, end: modelName, limit: fc.nat(4), reverse: fc.boolean() },
  { requiredKeys: [] },
)

function modelContract(open: Open): void {
  test('commits, ranges and watches agree with a plain map', async () => {
    const { store } = await open()
    let run = 0
    const steps = fc.array(fc.array(modelCommit, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(steps, fc.array(modelQuery, { maxLength: 3 }), async (commits, queries) => {
        run += 1
        const prefix = `tag/${run}/`
        const model = createModel(prefix, (await store.range({ prefix })).revision)
        const signal = new AbortController()
        const batches = store.watch(prefix, { signal: signal.signal, prompt: true })
        for (const step of commits) {
          const group = step.map((each) => model.commitOf(each))
          const results = await Promise.all(group.map((commit) => store.commit(commit)))
          model.check(group, results)
        }
        for (const query of queries) {
          const absolute = {
            ...query,
            prefix,
            ...(query.start === undefined ? {} : { start: prefix + query.start }),
            ...(query.end === undefined ? {} : { end: prefix + query.end }),
          }
          expect(await entriesOf(store, absolute)).toEqual(model.range(absolute))
          for (const revision of model.revisions()) {
            const past = await store.range(absolute, { revision })
            expect(await Array.fromAsync(past)).toEqual(model.range(absolute, revision))
          }
        }
        expect(await changesUpTo(batches, model.revision())).toEqual(model.history)
        signal.abort()
      }),
      { numRuns: 250 },
    )
  })
}

interface ModelCommit {
  operations: Operation[]
  preconditions: { key: string; revision: number }[]
}

function createModel(prefix: string, initial: number) {
  const entries = new Map<string, Entry>()
  const history: WatchBatch[] = []
  let newest = initial
  const states = new Map([[initial, new Map(entries)]])

  const holds = ({ preconditions }: ModelCommit) =>
    preconditions.every(({ key, revision }) => (entries.get(key)?.revision ?? 0) === revision)

  function apply({ operations }: ModelCommit, revision: number): void {
    const changes: Change[] = []
    for (const operation of operations) {
      const previous = entries.get(operation.key)
      const value = operation.type === 'put' ? operation.value : undefined
      if (value !== undefined || previous !== undefined) changes.push({ key: operation.key, value, previous })
      if (value === undefined) entries.delete(operation.key)
      else entries.set(operation.key, { key: operation.key, value, revision })
    }
    if (changes.length > 0) history.push({ revision, changes })
    newest = revision
    states.set(revision, new Map(entries))
  }

  return {
    history,
    revision: () => newest,
    revisions: () => [...states.keys()],
    commitOf({ writes, conditions }: typeof modelCommit extends fc.Arbitrary<infer T> ? T : never): ModelCommit {
      return {
        operations: writes.map(({ name, value }) =>
          value === null ? del(prefix + name) : put(prefix + name, String(value)),
        ),
        preconditions: conditions.map(({ name, isMet }) => ({
          key: prefix + name,
          revision: (entries.get(prefix + name)?.revision ?? 0) + (isMet ? 0 : 1),
        })),
      }
    },
    /** Replays what was committed in the order of revisions; a lone commit must be judged as the map judges it. */
    check(group: readonly ModelCommit[], results: readonly Awaited<ReturnType<Store['commit']>>[]): void {
      const [only] = group
      if (group.length === 1 && only !== undefined) {
        expect(results[0]?.status).toBe(holds(only) ? 'committed' : 'conflict')
      }
      const committed = results.flatMap((result, i) => {
        const commit = group[i]
        return result.status === 'committed' && commit !== undefined ? [{ commit, revision: result.revision }] : []
      })
      for (const { commit, revision } of committed.sort((a, b) => a.revision - b.revision)) {
        expect(revision).toBeGreaterThan(newest)
        expect(holds(commit)).toBe(true)
        apply(commit, revision)
      }
    },
    range({ start, end, limit, reverse }: RangeQuery, revision = newest): Entry[] {
      const sorted = [...(states.get(revision) ?? entries).values()].sort((a, b) => byBytes(a.key, b.key))
      const inside = sorted.filter(
        ({ key }) => (start === undefined || byBytes(key, start) >= 0) && (end === undefined || byBytes(key, end) < 0),
      )
      return (reverse ? inside.reverse() : inside).slice(0, limit)
    },
  }
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** Writes `count` keys, many at a time, each in a commit of its own when `perCommit` is 1; answers the last revision. */
async function fill(store: Store, count: number, perCommit = 100): Promise<number> {
  const keys = Array.from({ length: count }, (_, i) => `tag/${String(i).padStart(5, '0')}`)
  const revisions = await Promise.all(
    Array.from({ length: count / perCommit }, (_, i) =>
      write(store, ...keys.slice(i * perCommit, (i + 1) * perCommit).map((key) => put(key))),
    ),
  )
  return Math.max(...revisions)
}
