/** The embedded engine of the store: LevelDB in one directory, for one process. */

import type { Logger } from 'pino'
import { checkKey, checkPrefix, isRevision } from './check-commit.ts'
import { type Database, openDatabase } from './database.ts'
import { dataKey, decodeEntry, decodeState, encodeState, logBounds, type StoreState, stateKey } from './encoding.ts'
import { createRangeReader } from './range.ts'
import { createRecentChanges } from './recent-changes.ts'
import { maxRanges, type RangeQuery, type ReadOptions, type Snapshot, type Store } from './store.ts'
import { createWatchers } from './watchers.ts'
import { createWriter } from './writer.ts'

export interface LevelStoreOptions {
  /** Made when absent. */
  directory: string
  /**
   * The key prefixes that can be watched: their changes go into the change log. Changing the list begins the log anew,
   * so that older positions are compacted.
   */
  logged: readonly string[]
  /** For how many revisions the change log is kept; default 100,000. */
  retainRevisions?: number
  /** How often a watch hears of progress at the least, in ms; default 1000. */
  progressIntervalMs?: number
  log?: Logger
}

/**
 * Opens the store of a directory. Where the key `meta/base` holds a number above the newest revision (a restored or
 * migrated store), revisions go on from there and everything before it is compacted.
 *
 * @throws Error with code `STORE_LOCKED` when another process has the directory open.
 */
export async function createLevelStore(options: LevelStoreOptions): Promise<Store> {
  const database = await openDatabase(options.directory)
  try {
    return await createStoreOn(database, options)
  } catch (error) {
    await database.close()
    throw error
  }
}

/** Runs the store on an open database. `retryMs` is how long a failed disk is left alone; default 1000. */
export async function createStoreOn(
  database: Database,
  {
    logged,
    retainRevisions = 100_000,
    progressIntervalMs = 1000,
    retryMs = 1000,
    log,
  }: Omit<LevelStoreOptions, 'directory'> & { retryMs?: number },
): Promise<Store> {
  if (!isRevision(retainRevisions) || retainRevisions === 0) throw new TypeError('retainRevisions is a positive number')
  const state = await loadState(database, logged)
  const recent = createRecentChanges(state.revision)
  const watchers = createWatchers({ database, state, recent, progressIntervalMs })
  const { announce } = watchers
  const writer = createWriter({ database, state, retainRevisions, announce, retryMs, log })
  const readRanges = createRangeReader(database, recent)
  const closed = new AbortController()

  async function read(queries: readonly RangeQuery[], { revision }: ReadOptions): Promise<Snapshot[]> {
    for (const query of queries) {
      checkRange(query)
      if (revision !== undefined) checkLogged(query.prefix, logged)
    }
    if (revision !== undefined && !isRevision(revision)) throw new TypeError(`${revision} is no revision to read`)
    return readRanges(queries, revision)
  }

  async function close(): Promise<void> {
    await writer.close()
    watchers.close()
    closed.abort()
    await database.close()
  }

  return {
    async get(key) {
      checkKey(key)
      const stored = await database.get(dataKey(key))
      return stored === undefined ? undefined : decodeEntry(key, stored)
    },
    async range(query, options = {}) {
      const [snapshot] = await read([query], options)
      if (snapshot === undefined) throw new TypeError('a range was not read')
      return snapshot
    },
    async ranges(queries, options = {}) {
      if (queries.length === 0 || queries.length > maxRanges) {
        throw new TypeError(`one snapshot takes 1 to ${maxRanges} ranges, not ${queries.length}`)
      }
      return read(queries, options)
    },
    commit: (commit) => writer.commit(commit),
    watch(prefix, options) {
      const prefixes = typeof prefix === 'string' ? [prefix] : [...prefix]
      if (prefixes.length === 0) throw new TypeError('a watch needs a prefix')
      for (const each of prefixes) checkLogged(each, logged)
      if (options.since !== undefined && !isRevision(options.since)) {
        throw new TypeError(`${options.since} is no revision to watch from`)
      }
      return watchers.watch(prefixes, options)
    },
    async lease(_name, signal) {
      signal.throwIfAborted()
      return { lost: closed.signal, release: async () => undefined }
    },
    close,
  }
}

async function loadState(database: Database, logged: readonly string[]): Promise<StoreState> {
  const [stored, baseEntry] = await database.getMany([stateKey, dataKey('meta/base')])
  const found = stored === undefined ? undefined : decodeState(stored)
  const base = baseEntry === undefined ? 0 : parseBase(decodeEntry('meta/base', baseEntry).value)
  if (found !== undefined && base <= found.revision && isSameList(found.logged, logged)) return found
  const revision = Math.max(found?.revision ?? 0, base)
  const state = { revision, compacted: revision, logged }
  // Before the state: should this end in between, the next start sees the same difference and does it again.
  await database.clear(logBounds)
  await database.write([{ type: 'put', key: stateKey, value: encodeState(state) }])
  return state
}

function parseBase(value: string): number {
  const base = /^\d+$/.test(value) ? Number(value) : undefined
  if (!isRevision(base)) throw new Error(`meta/base holds ${value}, which is no revision`)
  return base
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i])
}

function checkLogged(prefix: string, logged: readonly string[]): void {
  checkPrefix(prefix)
  if (logged.some((each) => prefix.startsWith(each))) return
  throw new TypeError(`changes under ${JSON.stringify(prefix)} are not logged: they can be neither watched nor undone`)
}

function checkRange({ prefix, start, end, limit }: RangeQuery): void {
  for (const bound of [prefix, start, end]) if (bound !== undefined) checkPrefix(bound)
  if (limit !== undefined && !isRevision(limit)) throw new TypeError(`${limit} is no limit of a range`)
}
