import { spawn } from 'node:child_process'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Level } from 'level'
import { describe, expect, onTestFinished, test } from 'vitest'
import { RegistryError } from '../../src/oci/errors.ts'
import { openDatabase } from '../../src/store/database.ts'
import { createLevelStore, createStoreOn, type LevelStoreOptions } from '../../src/store/level.ts'
import { CompactedError, type Store } from '../../src/store/store.ts'
import { changesUpTo, del, entriesOf, put, storeContract, testSignal, write } from '../contracts/store.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { tapDatabase } from './tapped-database.ts'

const logged = ['tag/', 'object/']

storeContract('level', async ({ progressIntervalMs }) => {
  const directory = await temporaryDirectory()
  const options = { directory, progressIntervalMs, retainRevisions: 5000 }
  const store = await openStore(options)
  return {
    store,
    reopen: async () => {
      await store.close()
      return openStore(options)
    },
    compact: async () => {
      await Promise.all(Array.from({ length: 6000 }, (_, i) => write(store, put('object/filler', String(i)))))
    },
  }
})

describe('createLevelStore', () => {
  test('a directory that another process holds cannot be opened', async () => {
    const directory = await temporaryDirectory()
    await openStore({ directory })
    const opener = `
      import { createLevelStore } from ${JSON.stringify(new URL('../../src/store/level.ts', import.meta.url).href)}
      await createLevelStore({ directory: process.argv[1], logged: [] }).catch(({ code, message }) => console.log(code, message))`
    const child = spawn(process.execPath, ['--input-type=module', '-e', opener, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const output = Buffer.concat(await child.stdout.toArray()).toString()
    expect(output).toBe(`STORE_LOCKED data directory ${directory} is in use by another Weir\n`)
  })

  test('a directory that this process holds cannot be opened, and can after it was closed', async () => {
    const directory = await temporaryDirectory()
    const store = await openStore({ directory })
    await expect(openStore({ directory })).rejects.toMatchObject({ code: 'STORE_LOCKED' })
    await write(store, put('tag/a'))
    await store.close()
    expect((await (await openStore({ directory })).get('tag/a'))?.revision).toBe(1)
  })

  test('a prefix that is not logged cannot be watched', async () => {
    const store = await openStore({ directory: await temporaryDirectory() })
    for (const prefix of ['link/', '', 'ta']) {
      expect(() => store.watch(prefix, { signal: testSignal() })).toThrow(TypeError)
    }
  })

  test('changes of prefixes that are not logged cost the change log nothing', async () => {
    const directory = await temporaryDirectory()
    const store = await openStore({ directory })
    await write(store, put('link/a'))
    await write(store, put('link/a'), put('tag/a'))
    await store.close()
    expect(await rowsOf(directory, 'log/')).toEqual([['log/0000000000000002', '[["tag/a","{}",null,0]]']])
  })

  test('retainRevisions is a positive number', async () => {
    const directory = await temporaryDirectory()
    await expect(openStore({ directory, retainRevisions: 0 })).rejects.toThrow(TypeError)
    await openStore({ directory, retainRevisions: 1 })
  })

  test('the change log is bounded and trimmed in small steps', async () => {
    const directory = await temporaryDirectory()
    const store = await openStore({ directory, retainRevisions: 100 })
    for (let i = 0; i < 250; i += 1) await write(store, put('tag/a', String(i)))
    await expect(changesUpTo(store.watch('tag/', { since: 149, signal: testSignal() }), 250)).rejects.toMatchObject({
      compactedRevision: 150,
    })
    expect(await changesUpTo(store.watch('tag/', { since: 150, signal: testSignal() }), 250)).toHaveLength(100)
    await store.close()
    expect(await rowsOf(directory, 'log/')).toHaveLength(100)
    const shorter = await openStore({ directory, retainRevisions: 10 })
    await write(shorter, put('tag/a'))
    await shorter.close()
    const rows = await rowsOf(directory, 'log/')
    expect(rows.length).toBeGreaterThan(10)
    expect(rows.length).toBeLessThan(100)
  })

  test('a live watch outlives a retention shorter than one batch', async () => {
    const store = await openStore({ directory: await temporaryDirectory(), retainRevisions: 1 })
    const batches = changesUpTo(store.watch('tag/', { signal: testSignal() }), 200)
    await Promise.all(Array.from({ length: 200 }, (_, i) => write(store, put(`tag/${i}`))))
    expect(await batches).toHaveLength(200)
  })

  test('a watch that falls behind the retention ends with CompactedError, not with a gap', async () => {
    const { store } = await tappedStore({ retainRevisions: 10, filled: 5 })
    const batches = store.watch('tag/', { since: 4, signal: testSignal() })[Symbol.asyncIterator]()
    expect((await batches.next()).value?.revision).toBe(5)
    // More than is kept in memory for all watches.
    for (let i = 0; i < 20; i += 1) {
      await Promise.all(Array.from({ length: 100 }, (_, j) => write(store, put('tag/a', `${i}.${j}`))))
    }
    await expect(batches.next()).rejects.toThrow(CompactedError)
  })

  test('meta/base raises the revision at the next start, and what was before is compacted', async () => {
    const directory = await temporaryDirectory()
    const store = await openStore({ directory })
    await write(store, put('tag/a'))
    await write(store, put('meta/base', '5000'))
    await store.close()
    for (let start = 0; start < 2; start += 1) {
      const raised = await openStore({ directory })
      expect((await raised.range({ prefix: 'tag/' })).revision).toBe(5000 + start)
      const old = raised.watch('tag/', { since: 1, signal: testSignal() })[Symbol.asyncIterator]().next()
      await expect(old).rejects.toThrow(CompactedError)
      expect(await write(raised, put('tag/b'))).toBe(5001 + start)
      await raised.close()
    }
  })

  test('a meta/base that is below the newest revision changes nothing', async () => {
    const directory = await temporaryDirectory()
    const store = await openStore({ directory })
    await write(store, put('meta/base', '1'), put('tag/a'))
    const last = await write(store, put('tag/b'))
    await store.close()
    const again = await openStore({ directory })
    expect(await changesUpTo(again.watch('tag/', { since: 0, signal: testSignal() }), last)).toHaveLength(2)
  })

  test.each(['-1', '"5"', '1e400', 'x', '', '0x10', '99999999999999999999'])(
    'meta/base %s is refused',
    async (value) => {
      const directory = await temporaryDirectory()
      const store = await openStore({ directory })
      await write(store, put('meta/base', value))
      await store.close()
      await expect(openStore({ directory })).rejects.toThrow('meta/base')
      // The directory is free again.
      await expect(openStore({ directory })).rejects.toThrow('meta/base')
    },
  )

  test('a prefix that is logged from now on has no past', async () => {
    const directory = await temporaryDirectory()
    const store = await openStore({ directory, logged: ['tag/'] })
    await write(store, put('object/a'), put('tag/a'))
    await store.close()
    const wider = await openStore({ directory, logged })
    const old = wider.watch('object/', { since: 0, signal: testSignal() })[Symbol.asyncIterator]().next()
    await expect(old).rejects.toMatchObject({ compactedRevision: 1 })
    const last = await write(wider, put('object/b'))
    expect(await changesUpTo(wider.watch('object/', { since: 1, signal: testSignal() }), last)).toHaveLength(1)
  })
})

describe('group commit', () => {
  test('waiting commits share a write, judged in order against each other', async () => {
    const { store, database } = await tappedStore()
    const before = database.writes
    const results = await Promise.all([
      store.commit({ operations: [put('tag/a', '1')], preconditions: [{ key: 'tag/a', revision: 0 }] }),
      store.commit({ operations: [put('tag/a', '2')], preconditions: [{ key: 'tag/a', revision: 0 }] }),
      store.commit({ operations: [put('tag/b')], preconditions: [{ key: 'tag/a', revision: 1 }] }),
      store.commit({ operations: [del('tag/a'), put('link/a')] }),
      store.commit({ operations: [put('tag/c')], preconditions: [{ key: 'link/a', revision: 3 }] }),
    ])
    expect(results).toEqual([
      { status: 'committed', revision: 1 },
      { status: 'conflict', key: 'tag/a' },
      { status: 'committed', revision: 2 },
      { status: 'committed', revision: 3 },
      { status: 'committed', revision: 4 },
    ])
    expect(database.writes - before).toBe(1)
    expect((await entriesOf(store, { prefix: 'tag/' })).map(({ key }) => key)).toEqual(['tag/b', 'tag/c'])
  })

  test('a thousand concurrent commits need few writes, none of them large', async () => {
    const { store, database } = await tappedStore()
    const before = database.writes
    await Promise.all(Array.from({ length: 1000 }, (_, i) => write(store, put(`tag/${i}`))))
    const between = database.writes
    expect(between - before).toBeLessThanOrEqual(4)
    const large = 'x'.repeat(1_000_000)
    await Promise.all(Array.from({ length: 16 }, (_, i) => write(store, put(`link/${i}`, large))))
    expect(database.writes - between).toBeGreaterThanOrEqual(4)
  })

  test('commits that all conflict write nothing', async () => {
    const { store, database } = await tappedStore()
    await write(store, put('tag/a'))
    const before = database.writes
    const result = await store.commit({ operations: [put('tag/b')], preconditions: [{ key: 'tag/a', revision: 0 }] })
    expect(result.status).toBe('conflict')
    expect(database.writes).toBe(before)
  })

  test('I6: nobody hears of a commit before it is written, not even by a conflict', async () => {
    const { store, database } = await tappedStore()
    const heard: string[] = []
    const release = database.holdWrites()
    const next = store.watch('tag/', { signal: testSignal() })[Symbol.asyncIterator]().next()
    const all = Promise.all([
      write(store, put('tag/a', 'new')).then(() => heard.push('committed')),
      store
        .commit({ operations: [put('tag/b')], preconditions: [{ key: 'tag/a', revision: 0 }] })
        .then(() => heard.push('conflict')),
      next.then(() => heard.push('watched')),
    ])
    while (database.writes < 1) await store.get('tag/a')
    expect(await store.get('tag/a')).toBeUndefined()
    expect((await store.range({ prefix: 'tag/' })).revision).toBe(0)
    expect(heard).toEqual([])
    release()
    await all
    expect(heard).toHaveLength(3)
  })
})

describe('a batch that is on the disk before the store heard of it', () => {
  test('is in a range together with its revision', async () => {
    const { store, database } = await tappedStore()
    await write(store, put('tag/a'))
    const { written, release } = database.holdAnswers()
    const committed = write(store, put('tag/b'), put('tag/c'))
    await written
    const snapshot = await store.range({ prefix: 'tag/' })
    expect(snapshot.revision).toBe(2)
    expect((await Array.fromAsync(snapshot)).map(({ revision }) => revision)).toEqual([1, 2, 2])
    release()
    expect(await committed).toBe(2)
  })

  test('is undone in an earlier state', async () => {
    const { store, database } = await tappedStore({ filled: 3 })
    const earlier = await write(store, put('tag/a', 'then'))
    const { written, release } = database.holdAnswers()
    const committed = write(store, put('tag/a', 'now'), put('tag/b'))
    await written
    const query = { prefix: 'tag/', start: 'tag/a', end: 'tag/c' }
    const snapshot = await store.range(query, { revision: earlier })
    expect((await Array.fromAsync(snapshot)).map(({ value }) => value)).toEqual(['then'])
    release()
    await committed
  })

  test('is told once to a watch that reads it in the log', async () => {
    const { store, database } = await tappedStore({ progressIntervalMs: 1, filled: 3 })
    const { written, release } = database.holdAnswers()
    const committed = write(store, put('tag/b'))
    await written
    const batches = store.watch('tag/', { since: 0, signal: testSignal() })[Symbol.asyncIterator]()
    for (let revision = 1; revision <= 4; revision += 1) expect((await batches.next()).value?.revision).toBe(revision)
    const next = batches.next()
    // The interval passes several times while the watch knows more than the store.
    const others = store.watch('tag/', { signal: testSignal() })[Symbol.asyncIterator]()
    for (let ticks = 0; ticks < 3; ticks += 1) expect((await others.next()).value?.revision).toBe(3)
    release()
    await committed
    expect((await next).value).toEqual({ revision: 4, changes: [] })
  })
})

describe('a write that fails', () => {
  test('leaves all commits of its batch unknown, conflicts too; its revision is not given again', async () => {
    const { store, database } = await tappedStore()
    await write(store, put('tag/a'))
    database.breakNextWrite('before')
    const results = await Promise.all([
      store.commit({ operations: [put('tag/a', 'lost')] }),
      store.commit({ operations: [put('tag/b')], preconditions: [{ key: 'tag/a', revision: 1 }] }),
    ])
    expect(results.map(({ status }) => status)).toEqual(['unknown', 'unknown'])
    expect(await recoveredWrite(store, 'tag/c')).toBe(3)
    expect((await entriesOf(store, { prefix: 'tag/' })).map(({ revision }) => revision)).toEqual([1, 3])
  })

  test('but reached the disk is told to watches, and its revision is not given again', async () => {
    const { store, database } = await tappedStore()
    const batches = changesUpTo(store.watch('tag/', { signal: testSignal() }), 3)
    await write(store, put('tag/a', '1'))
    database.breakNextWrite('after')
    expect((await store.commit({ operations: [put('tag/a', '2')] })).status).toBe('unknown')
    expect(await recoveredWrite(store, 'tag/b')).toBe(3)
    expect(await store.get('tag/a')).toEqual({ key: 'tag/a', value: '2', revision: 2 })
    expect((await batches).map(({ revision }) => revision)).toEqual([1, 2, 3])
  })

  test('refuses commits, and not reads, until the disk could be read again', async () => {
    const { store, database } = await tappedStore()
    await write(store, put('tag/a'))
    database.breakNextWrite('before', 3)
    expect((await store.commit({ operations: [put('tag/b')] })).status).toBe('unknown')
    await expect(store.commit({ operations: [put('tag/b')] })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      status: 503,
    })
    expect((await store.get('tag/a'))?.revision).toBe(1)
    expect(await recoveredWrite(store, 'tag/b')).toBe(3)
  })

  test('does not keep the store from closing', async () => {
    const { store, database } = await tappedStore({ retryMs: 60_000 })
    database.breakNextWrite('before', 1000)
    expect((await store.commit({ operations: [put('tag/b')] })).status).toBe('unknown')
    await store.close()
  })

  test('on a disk that lost acknowledged commits keeps the store from taking more', async () => {
    const { store, database } = await tappedStore()
    await write(store, put('tag/a'))
    await write(store, put('tag/b'))
    database.breakNextWrite('before')
    database.loseRevisions(1)
    expect((await store.commit({ operations: [put('tag/c')] })).status).toBe('unknown')
    while (database.reopenings < 3) {
      await expect(store.commit({ operations: [put('tag/c')] })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      await setImmediate()
    }
  })
})

describe('resources', () => {
  test('a small range holds nothing once it is answered', async () => {
    const { store, database } = await tappedStore()
    await write(store, put('tag/a'), put('tag/b'))
    await store.range({ prefix: 'tag/' })
    await store.range({ prefix: 'tag/', limit: 1 })
    expect(database.openScans).toBe(0)
  })

  test('a large range is freed when it was read, left early, or forgotten', async () => {
    const { store, database } = await tappedStore()
    await fillLinks(store)
    expect(await entriesOf(store, { prefix: 'link/' })).toHaveLength(2000)
    for await (const _ of await store.range({ prefix: 'link/' })) break
    expect(database.openScans).toBe(0)
    await (await store.range({ prefix: 'link/' }))[Symbol.asyncIterator]().next()
    await store.range({ prefix: 'link/' })
    expect(database.openScans).toBe(2)
    setFlagsFromString('--expose-gc')
    const collect: () => void = runInNewContext('gc')
    while (database.openScans > 0) {
      collect()
      await store.get('link/0')
    }
  })

  test('the snapshot of several ranges is freed when the last of them was read or left', async () => {
    const { store, database } = await tappedStore()
    await fillLinks(store)
    await store.ranges([{ prefix: 'tag/' }, { prefix: 'link/', limit: 10 }])
    expect(database.openScans).toBe(0)
    const [a, b] = await store.ranges([{ prefix: 'link/' }, { prefix: 'link/' }, { prefix: 'tag/' }])
    if (a === undefined || b === undefined) throw new Error('not enough snapshots')
    expect(database.openScans).toBe(2)
    for await (const _ of a) break
    expect(database.openScans).toBe(1)
    expect(await Array.fromAsync(b)).toHaveLength(2000)
    expect(database.openScans).toBe(0)
  })

  test('an earlier state is freed when it was read or left', async () => {
    const { store, database } = await tappedStore()
    for (let i = 10; i < 15; i += 1) {
      await write(store, ...Array.from({ length: 100 }, (_, j) => put(`tag/${i * 100 + j}`)))
    }
    const then = await write(store, put('tag/a'))
    await write(store, del('tag/a'))
    for await (const _ of await store.range({ prefix: 'tag/' }, { revision: then })) break
    expect(database.openScans).toBe(0)
    const limited = await store.range({ prefix: 'tag/', limit: 100 }, { revision: then })
    expect(database.openScans).toBe(1)
    expect(await Array.fromAsync(limited)).toHaveLength(100)
    expect(database.openScans).toBe(0)
  })

  test('a range that is read slowly is not freed before its end', async () => {
    const { store } = await tappedStore()
    await fillLinks(store)
    setFlagsFromString('--expose-gc')
    const collect: () => void = runInNewContext('gc')
    let count = 0
    for await (const _ of await store.range({ prefix: 'link/' })) {
      count += 1
      if (count % 500 !== 0) continue
      collect()
      await store.get('link/0')
    }
    expect(count).toBe(2000)
  })

  test('a slow watch is read from the log, a quick one is not', async () => {
    const { store, database } = await tappedStore()
    const signal = testSignal()
    const slow = store.watch('tag/', { since: 0, signal })[Symbol.asyncIterator]()
    const quick = store.watch('tag/', { since: 0, signal })[Symbol.asyncIterator]()
    await write(store, put('tag/a', '0'))
    expect((await slow.next()).value?.revision).toBe(1)
    expect((await quick.next()).value?.revision).toBe(1)
    for (let i = 0; i < 20; i += 1) {
      const revisions = await Promise.all(
        Array.from({ length: 100 }, (_, j) => write(store, put('tag/a', `${i}.${j}`))),
      )
      for (const revision of revisions) expect((await quick.next()).value?.revision).toBe(revision)
    }
    expect(database.scans).toBe(0)
    for (let revision = 2; revision <= 2001; revision += 1) expect((await slow.next()).value?.revision).toBe(revision)
    expect(database.scans).toBeGreaterThan(0)
    expect(database.openScans).toBe(0)
  })
})

async function openStore(options: Omit<LevelStoreOptions, 'logged'> & { logged?: string[] }) {
  const store = await createLevelStore({ logged, ...options })
  onTestFinished(() => store.close())
  return store
}

/** A store on a tapped database; `filled` commits were made before it was opened. */
async function tappedStore({ retryMs = 1, progressIntervalMs = 60_000, retainRevisions = 100_000, filled = 0 } = {}) {
  const directory = await temporaryDirectory()
  const before = await createLevelStore({ directory, logged })
  for (let i = 0; i < filled; i += 1) await write(before, put('tag/a', String(i)))
  await before.close()
  const database = tapDatabase(await openDatabase(directory))
  const store = await createStoreOn(database, { logged, retryMs, progressIntervalMs, retainRevisions })
  onTestFinished(() => store.close())
  return { store, database }
}

/** Writes as soon as the store takes commits again. */
async function recoveredWrite(store: Store, key: string): Promise<number> {
  for (;;) {
    try {
      return await write(store, put(key))
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code !== 'UNAVAILABLE') throw error
      await setImmediate()
    }
  }
}

async function fillLinks(store: Store): Promise<void> {
  const keys = Array.from({ length: 2000 }, (_, i) => `link/${i}`)
  await Promise.all(keys.map((key) => write(store, put(key))))
}

async function rowsOf(directory: string, prefix: string): Promise<[string, string][]> {
  const level = new Level<string, string>(directory)
  try {
    return await level.iterator({ gte: prefix, lt: `${prefix}~` }).all()
  } finally {
    await level.close()
  }
}
