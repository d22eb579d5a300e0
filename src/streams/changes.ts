import { LRUCache } from 'lru-cache'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { createFeed, type Feed, type Step } from './change-feed.ts'
import { placeOf, recordPrefixes, recordRanges } from './change-keys.ts'
import { type Appended, applyChanges, type State, stateBefore } from './change-state.ts'
import type { WholeStream } from './streams.ts'

/** What one revision did to one stream. */
export interface StreamMove extends StreamName {
  /** As it was with all its tags; undefined when the stream was created. */
  before: WholeStream | undefined
  /** As it is from this revision on; undefined when the stream was deleted. */
  after: WholeStream | undefined
  /** The tags whose records changed. Of a stream that was created or deleted, or whose object changed, all of them. */
  tags: readonly string[]
  /** The ledger entries that were appended. */
  appended: readonly Appended[]
}

/** All that one revision did to streams, or, with no moves, the news that time went on to `revision`. */
export interface StreamMoves {
  revision: number
  moves: readonly StreamMove[]
}

/** Follows image streams with their tags, each revision exactly as it was. */
export interface StreamChanges {
  /**
   * Every revision after `since` once and in order, then as they come, and progress at least every second. Ends when
   * `signal` aborts or the store closes.
   *
   * @throws CompactedError (from the iterator) when `since` is too old, or so much happened since that it is not worth
   *   going through
   */
  follow(options: { since: number; signal: AbortSignal }): AsyncIterable<StreamMoves>
}

export interface StreamChangesOptions {
  /** Must log the prefixes of all that a stream is made of: see `change-keys.ts`. */
  store: Store
  /** Most characters of streams that one follower keeps in memory; what is larger is read again. Default 16 Mi. */
  maxCachedSize?: number
  /** Most characters of changes that one follower looks at ahead of time; default 32 Mi. */
  maxAheadSize?: number
}

/** What a stream takes in memory beside its records' text, in characters. */
const stateSize = 500

/**
 * Follows streams by the change log alone. A stream's state before its first change is read from the store and what
 * happened to it between that change and the reading is undone by the log's previous values; from then on changes are
 * applied to the state in memory.
 */
export function createStreamChanges({
  store,
  maxCachedSize = 16 * 1024 * 1024,
  maxAheadSize = 32 * 1024 * 1024,
}: StreamChangesOptions): StreamChanges {
  return {
    async *follow(options) {
      const pathOf = (key: string) => placeOf(key).path
      const feed = createFeed(store, { ...options, prefixes: recordPrefixes, pathOf, maxAheadSize })
      const states = new LRUCache<string, State>({
        maxSize: maxCachedSize,
        sizeCalculation: ({ size }) => size + stateSize,
      })
      try {
        for (let step = await feed.next(); step !== undefined; step = await feed.next()) {
          const moves = await movesOf(step, { store, feed, states })
          if (moves === undefined) return
          yield { revision: step.revision, moves }
        }
      } finally {
        await feed.close()
      }
    },
  }
}

interface Following {
  store: Store
  feed: Feed
  /** By path, as they are before the step that is looked at. */
  states: LRUCache<string, State>
}

/** Undefined when the feed ended before a stream's state was known. */
async function movesOf({ revision, touched }: Step, following: Following): Promise<StreamMove[] | undefined> {
  const { states } = following
  const moves: StreamMove[] = []
  for (const [path, changes] of touched) {
    const name = nameOf(path)
    const before = states.get(path) ?? (await readBefore(path, name, following))
    if (before === undefined) return undefined
    const after = applyChanges(before, name, changes, revision)
    states.set(path, after)
    moves.push(...movesBetween(name, before, after, revision))
  }
  return moves
}

async function readBefore(
  path: string,
  name: StreamName,
  { store, feed }: Pick<Following, 'store' | 'feed'>,
): Promise<State | undefined> {
  const snapshots = await store.ranges(recordRanges(name))
  const entries = (await Promise.all(snapshots.map((snapshot) => Array.fromAsync(snapshot)))).flat()
  const revision = snapshots[0]?.revision ?? 0
  if (!(await feed.readTo(revision))) return undefined
  return stateBefore(name, entries, feed.changesOf(path))
}

function movesBetween(
  name: StreamName,
  { whole: before }: State,
  { whole: after, changedTags, appended }: State,
  revision: number,
): StreamMove[] {
  if (before !== undefined && after !== undefined && before.stream.uid === after.stream.uid) {
    // A commit that leaves these records alone changes nothing that is shown.
    if (after.stream.resourceVersion !== revision) return []
    const isWhole = after.stream.objectRevision === revision
    return [{ ...name, before, after, tags: isWhole ? tagsOf(before, after) : changedTags, appended }]
  }
  return [
    ...(before === undefined ? [] : [{ ...name, before, after: undefined, tags: tagsOf(before), appended: [] }]),
    ...(after === undefined ? [] : [{ ...name, before: undefined, after, tags: tagsOf(after), appended }]),
  ]
}

function nameOf(path: string): StreamName {
  const [project = '', stream = ''] = path.split('/')
  return { project, stream }
}

function tagsOf(...wholes: WholeStream[]): string[] {
  return [...new Set(wholes.flatMap(({ tags }) => tags.map(({ name }) => name)))]
}
