/** Lazy reading of a range from one snapshot, which is freed when the reading ends, however it ends. */

import type { Database, Scan, ScanBounds } from './database.ts'
import { dataBounds, decodeEntry, decodeLogRow, keyOfData, type LogRow, logBounds, logKey } from './encoding.ts'
import { entriesBefore, previousEntries } from './past.ts'
import type { RecentChanges } from './recent-changes.ts'
import { CompactedError, type Entry, type RangeQuery, type Snapshot } from './store.ts'

const firstPageRows = 64
const pageRows = 1000

/** Reads ranges, all of one snapshot: the newest, or what it was at `revision`. @throws CompactedError */
type ReadRanges = (queries: readonly RangeQuery[], revision?: number) => Promise<Snapshot[]>

/**
 * Makes the function that reads ranges of a database. The first page of each is read at once, so that small ranges hold
 * nothing. For an earlier state, what `recent` knows to have happened since is undone.
 */
export function createRangeReader(database: Database, recent: Pick<RecentChanges, 'after' | 'from'>): ReadRanges {
  // What is dropped halfway, or never read, is freed when its reader is collected.
  const abandoned = new FinalizationRegistry<Scan>((scan) => {
    scan.close().catch(() => undefined)
  })

  async function open(scan: Scan): Promise<Snapshot> {
    const reader = createReader(scan, abandoned)
    let first: Entry[] | undefined = await reader.read(firstPageRows)
    // Only then: V8 keeps what is registered, and all that it holds, until the whole heap is collected.
    if (!reader.done) abandoned.register(reader, scan, reader)
    return {
      revision: scan.state.revision,
      [Symbol.asyncIterator]() {
        if (first === undefined) throw new TypeError('a snapshot is read once')
        const entries = first
        first = undefined
        return readOn(entries, reader)
      },
    }
  }

  async function readAt(queries: readonly RangeQuery[], revision: number): Promise<Snapshot[]> {
    const { rows, through } = rowsAfter(recent, revision)
    // A commit is in the database before it is announced, and no limit holds where entries come back and go.
    const unannounced = { ...logBounds, gte: logKey(through + 1) }
    const [log, ...scans] = database.scanAll([unannounced, ...queries.map(({ limit: _, ...query }) => boundsOf(query))])
    if (log === undefined) throw new TypeError('the log was not read')
    const [more, ...snapshots] = await Promise.all([readLog(log), ...scans.map(open)])
    const previous = previousEntries([...rows, ...more])
    return snapshots.map((snapshot, i) => ({
      revision: Math.min(revision, snapshot.revision),
      [Symbol.asyncIterator]() {
        const entries = snapshot[Symbol.asyncIterator]()
        return entriesBefore({ [Symbol.asyncIterator]: () => entries }, queries[i] ?? { prefix: '' }, previous)
      },
    }))
  }

  return async (queries, revision) =>
    revision === undefined ? Promise.all(database.scanAll(queries.map(boundsOf)).map(open)) : readAt(queries, revision)
}

/** The rows after `revision` that memory has, and up to where. @throws CompactedError */
function rowsAfter(recent: Pick<RecentChanges, 'after' | 'from'>, revision: number) {
  const rows: LogRow[] = []
  for (let at = revision; ; ) {
    const page = recent.after(at)
    if (page === undefined) throw new CompactedError(recent.from)
    rows.push(...page.rows)
    if (page.through <= at) return { rows, through: at }
    at = page.through
  }
}

async function readLog(scan: Scan): Promise<LogRow[]> {
  const rows: LogRow[] = []
  try {
    for (let done = false; !done; ) {
      const page = await scan.read(firstPageRows)
      rows.push(...page.rows.map(([key, value]) => decodeLogRow(key, value)))
      done = page.done
    }
    return rows
  } finally {
    await scan.close()
  }
}

function boundsOf(query: RangeQuery): ScanBounds {
  const { limit, reverse = false } = query
  return { ...dataBounds(query), reverse, ...(limit === undefined ? {} : { limit }) }
}

interface Reader {
  /** The next entries; closed, and the last, when there are fewer to come. */
  read(count: number): Promise<Entry[]>
  readonly done: boolean
  close(): Promise<void>
}

async function* readOn(first: Entry[], reader: Reader): AsyncGenerator<Entry, void, void> {
  try {
    yield* first
    while (!reader.done) yield* await reader.read(pageRows)
  } finally {
    await reader.close()
  }
}

function createReader(scan: Scan, abandoned: FinalizationRegistry<Scan>): Reader {
  let done = false
  const reader: Reader = {
    get done() {
      return done
    },
    async read(count) {
      try {
        const page = await scan.read(count)
        if (page.done) await reader.close()
        return page.rows.map(([key, value]) => decodeEntry(keyOfData(key), value))
      } catch (error) {
        await reader.close()
        throw error
      }
    },
    async close() {
      if (done) return
      done = true
      abandoned.unregister(reader)
      await scan.close()
    },
  }
  return reader
}
