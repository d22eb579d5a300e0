import { describe, expect, onTestFinished, test } from 'vitest'
import { RegistryError } from '../../src/oci/errors.ts'
import { createLevelStore } from '../../src/store/level.ts'
import { createMirror, type MirrorOptions } from '../../src/store/mirror.ts'
import { CompactedError, type Store } from '../../src/store/store.ts'
import { del, put, testSignal, write } from '../contracts/store.ts'
import { temporaryDirectory } from '../support/directory.ts'

// So long that no test is helped by it.
const progressIntervalMs = 60_000

async function openStore(): Promise<Store> {
  const directory = await temporaryDirectory()
  const store = await createLevelStore({ directory, logged: ['tag/', 'object/'], progressIntervalMs })
  onTestFinished(() => store.close())
  return store
}

/** A cache that is a map, and what it was told. */
function mirrorMap(store: Store, options: Partial<MirrorOptions> = {}) {
  const map = new Map<string, string>()
  const told: number[] = []
  let resets = 0
  const mirror = createMirror(store, {
    prefix: 'tag/',
    signal: testSignal(),
    apply: (changes, revision) => {
      told.push(revision)
      for (const { key, value } of changes) {
        if (value === undefined) map.delete(key)
        else map.set(key, value)
      }
    },
    reset: () => {
      resets += 1
      map.clear()
    },
    ...options,
  })
  return { mirror, map, told, resets: () => resets }
}

describe('createMirror', () => {
  test('tells what was there, then what changes', async () => {
    const store = await openStore()
    await write(store, put('tag/a', '1'), put('tag/b', '1'), put('object/x'))
    const { mirror, map } = mirrorMap(store)
    await mirror.ready
    expect([...map]).toEqual([
      ['tag/a', '1'],
      ['tag/b', '1'],
    ])
    await mirror.reached(await write(store, put('tag/a', '2'), del('tag/b')))
    expect([...map]).toEqual([['tag/a', '2']])
  })

  test('tells large entries in pieces, so that a start holds few of them at once', async () => {
    const store = await openStore()
    for (const name of ['a', 'b', 'c', 'd']) await write(store, put(`tag/${name}`, 'x'.repeat(600_000)))
    const pieces: number[] = []
    const { mirror } = mirrorMap(store, { apply: (changes) => void pieces.push(changes.length) })
    await mirror.ready
    expect(pieces).toEqual([2, 2])
  })

  test('misses nothing while it loads among commits', async () => {
    const store = await openStore()
    const revisions = []
    for (let i = 0; i < 25; i += 1) {
      const keys = Array.from({ length: 100 }, (_, j) => put(`tag/${i}/${j}`, '0'))
      revisions.push(await write(store, ...keys))
    }
    const { mirror, map, told } = mirrorMap(store)
    const writes = await Promise.all(
      Array.from({ length: 300 }, (_, i) => write(store, put(`tag/${i % 25}/${i % 100}`, String(i)))),
    )
    await mirror.reached(Math.max(...writes))
    const stored = await Array.fromAsync(await store.range({ prefix: 'tag/' }))
    expect([...map].sort()).toEqual(stored.map(({ key, value }) => [key, value]).sort())
    expect(told).toEqual([...told].sort((a, b) => a - b))
  })

  test('reached() settles at once for a revision that touched nothing under the prefix', async () => {
    const store = await openStore()
    const { mirror } = mirrorMap(store)
    await mirror.ready
    const revision = await write(store, put('object/x'), put('link/y'))
    await mirror.reached(revision)
    expect(mirror.revision).toBe(revision)
    await mirror.reached(await write(store, put('link/y')))
  })

  test('reached() settles when the cache knows, not before', async () => {
    const store = await openStore()
    const { mirror, map } = mirrorMap(store)
    for (let i = 0; i < 50; i += 1) {
      const revisions = await Promise.all([write(store, put('tag/a', `${i}`)), write(store, put('object/a', `${i}`))])
      await mirror.reached(Math.max(...revisions))
      expect(map.get('tag/a')).toBe(`${i}`)
    }
  })

  test('without preload it tells only what changes after ready', async () => {
    const store = await openStore()
    const old = await write(store, put('tag/a', '1'))
    const { mirror, map } = mirrorMap(store, { preload: false })
    await mirror.ready
    expect(map.size).toBe(0)
    expect(mirror.revision).toBe(old)
    await mirror.reached(await write(store, put('tag/b', '1')))
    expect([...map.keys()]).toEqual(['tag/b'])
  })

  test('starts over after a compaction, and is never half empty meanwhile', async () => {
    const store = await openStore()
    await write(store, put('tag/a', '1'), put('tag/b', '1'))
    const compacted = compactingOnce(store)
    const sizes: number[] = []
    const { mirror, map, resets } = mirrorMap(compacted.store)
    await mirror.reached(await write(store, put('object/x')))
    compacted.compact()
    const revision = await write(store, put('tag/a', '2'))
    while (mirror.revision < revision) {
      sizes.push(map.size)
      await store.get('tag/a')
    }
    expect(resets()).toBe(1)
    expect(new Set(sizes)).toEqual(new Set([2]))
    expect([...map]).toEqual([
      ['tag/a', '2'],
      ['tag/b', '1'],
    ])
  })

  test('stands as it is while the store cannot be read, and catches up afterwards', async () => {
    const store = await openStore()
    await write(store, put('tag/a', '1'))
    let failures = 0
    const failing: Store = {
      ...store,
      async *watch(prefix, options) {
        failures += 1
        if (failures === 1) throw new RegistryError('UNAVAILABLE')
        yield* store.watch(prefix, options)
      },
    }
    const { mirror, map, resets } = mirrorMap(failing)
    await mirror.ready
    const revision = await write(store, put('tag/b', '1'))
    expect([...map.keys()]).toEqual(['tag/a'])
    await mirror.reached(revision)
    expect([...map.keys()]).toEqual(['tag/a', 'tag/b'])
    expect(resets()).toBe(0)
  })

  test('ready rejects when the store cannot be read at the start', async () => {
    const store = await openStore()
    await store.close()
    const { mirror } = mirrorMap(store)
    await expect(mirror.ready).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expect(mirror.reached(1)).rejects.toBeInstanceOf(RegistryError)
  })

  test('who waits is told when the mirror ends, by its signal or with the store', async () => {
    const store = await openStore()
    const controller = new AbortController()
    const stopped = mirrorMap(store, { signal: controller.signal }).mirror
    const closed = mirrorMap(store).mirror
    await Promise.all([stopped.ready, closed.ready])
    const waiting = [stopped.reached(99), closed.reached(99)].map((each) =>
      expect(each).rejects.toMatchObject({ code: 'UNAVAILABLE' }),
    )
    controller.abort()
    await store.close()
    await Promise.all(waiting)
    await closed.reached(0)
    await expect(mirrorMap(store, { signal: AbortSignal.abort() }).mirror.ready).rejects.toBeInstanceOf(RegistryError)
  })
})

/** A store whose running watches end as if they had fallen behind, once. */
function compactingOnce(store: Store): { store: Store; compact(): void } {
  const compaction = new AbortController()
  return {
    compact: () => compaction.abort(),
    store: {
      ...store,
      async *watch(prefix, options) {
        const isFirst = !compaction.signal.aborted
        const signal = isFirst ? AbortSignal.any([options.signal, compaction.signal]) : options.signal
        yield* store.watch(prefix, { ...options, signal })
        if (isFirst && compaction.signal.aborted) throw new CompactedError(1)
      },
    },
  }
}
