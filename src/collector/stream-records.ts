import type { StreamName } from '../oci/reference.ts'
import type { Entry, Store } from '../store/store.ts'
import { streamOfKey, streamRanges } from '../streams/keys.ts'

/** Entries of which the next can be looked at before it is taken. */
export interface Cursor {
  readonly current: Entry | undefined
  advance(): Promise<void>
}

/** The records of one stream. They are read in this order, each once: tags and ledgers side by side, then links. */
export interface StreamRecords {
  name: StreamName
  /** From the last down. */
  tags: Cursor
  /** Of all tags that there ever were: the tags as `tags` has them, each newest first. */
  ledgers: Cursor
  links: Cursor
}

/**
 * Every stream that has links, those that were deleted too, all from one snapshot. Three readers do for all of them: what a reader
 * took of the engine's memory is free only when the reader is collected.
 */
export async function* streamRecords(store: Pick<Store, 'ranges'>): AsyncGenerator<StreamRecords, void> {
  const iterators = (await store.ranges(streamRanges())).map((snapshot) => snapshot[Symbol.asyncIterator]())
  try {
    const [tags, ledgers, links] = await Promise.all(iterators.map(cursorOver))
    if (!tags || !ledgers || !links) throw new TypeError('a snapshot has as many ranges as asked for')
    for (let { current } = links; current !== undefined; { current } = links) {
      const path = pathOf(current.key)
      for (const each of [tags, ledgers]) while (each.current && pathOf(each.current.key) > path) await each.advance()
      yield {
        name: streamOfKey(current.key),
        tags: within(tags, path),
        ledgers: within(ledgers, path),
        links: within(links, path),
      }
      while (links.current && pathOf(links.current.key) === path) await links.advance()
    }
  } finally {
    for (const iterator of iterators) await iterator.return?.()
  }
}

async function cursorOver(iterator: AsyncIterator<Entry>): Promise<Cursor> {
  let result = await iterator.next()
  return {
    get current() {
      return result.done ? undefined : result.value
    },
    async advance() {
      result = await iterator.next()
    },
  }
}

/** A cursor over the entries of one stream. */
function within(cursor: Cursor, path: string): Cursor {
  return {
    get current() {
      const { current } = cursor
      return current !== undefined && pathOf(current.key) === path ? current : undefined
    },
    advance: cursor.advance,
  }
}

/** `<project>/<stream>/` of a key of these records: as these are ordered, so are the streams. */
function pathOf(key: string): string {
  const start = key.indexOf('/') + 1
  return key.slice(start, key.indexOf('/', key.indexOf('/', start) + 1) + 1)
}
