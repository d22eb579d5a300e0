/** Lazy reading of a range from one snapshot, which is freed when the reading ends, however it ends. */

import type { Database, Scan, ScanBounds } from './database.ts'
import { dataBounds, decodeEntry, keyOfData } from './encoding.ts'
import type { Entry, RangeQuery, Snapshot } from './store.ts'

const firstPageRows = 64
const pageRows = 1000

/**
 * Makes the function that reads ranges of a database, all of one snapshot. The first page of each is read at once, so
 * that small ranges hold nothing.
 */
export function createRangeReader(database: Database): (queries: readonly RangeQuery[]) => Promise<Snapshot[]> {
  // What is dropped halfway, or never read, is freed when its reader is collected.
  const abandoned = new FinalizationRegistry<Scan>((scan) => {
    scan.close().catch(() => undefined)
  })

  async function open(scan: Scan): Promise<Snapshot> {
    const reader = createReader(scan, abandoned)
    let first: Entry[] | undefined = await reader.read(firstPageRows)
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

  return (queries) => Promise.all(database.scanAll(queries.map(boundsOf)).map(open))
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
  abandoned.register(reader, scan, reader)
  return reader
}
