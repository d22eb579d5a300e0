import type { Digest } from '../oci/digest.ts'
import type { Change, Entry, RangeQuery, Store } from '../store/store.ts'
import { createFeed, type Feed, type Step } from './change-feed.ts'
import { entriesBefore } from './change-state.ts'
import { firstKnown } from './images.ts'
import {
  decode,
  digestOfImage,
  digestOfLink,
  exactly,
  imageIndexPrefix,
  imageIndexRange,
  imagePrefixes,
  imagesRange,
  lifePrefix,
  linksRange,
  streamOfKey,
} from './keys.ts'
import type { LifeRecord, LinkRecord } from './records.ts'
import type { KnownImage } from './streams.ts'
import { entriesOf } from './whole.ts'

/** What one revision did to one image of the cluster. */
export interface ImageMove {
  digest: Digest
  /** Undefined when no stream had it. */
  before: KnownImage | undefined
  /** Undefined when no stream has it any more. Its revision is that of the move. */
  after: KnownImage | undefined
}

/** All that one revision did to images, or, with no moves, the news that time went on to `revision`. */
export interface ImageMoves {
  revision: number
  moves: readonly ImageMove[]
}

/** Follows the images of the cluster, each revision as `Links.images` would have listed it. */
export interface ImageChanges {
  /**
   * Every revision after `since` once and in order, then as they come, and progress at least every second. Ends when
   * `signal` aborts or the store closes.
   *
   * @throws CompactedError (from the iterator) when `since` is too old, or so much happened since that it is not worth
   *   going through
   */
  follow(options: { since: number; signal: AbortSignal }): AsyncIterable<ImageMoves>
}

export interface ImageChangesOptions {
  /** Must log {@link imagePrefixes}. */
  store: Store
  /** Most characters of changes that one follower looks at ahead of time; default 32 Mi. */
  maxAheadSize?: number
}

/**
 * Follows images by the change log. Of each image that a revision may have touched, the records are read, and what happened
 * since is undone. A stream that is deleted leaves the images of its links.
 */
export function createImageChanges({ store, maxAheadSize = 32 * 1024 * 1024 }: ImageChangesOptions): ImageChanges {
  return {
    async *follow(options) {
      // Of an image all records are one path, so that also those that are gone are found.
      const pathOf = (key: string) => digestOfImage(key) ?? key
      const feed = createFeed(store, { ...options, prefixes: imagePrefixes, pathOf, maxAheadSize })
      try {
        for (let step = await feed.next(); step !== undefined; step = await feed.next()) {
          const { revision } = step
          const moves = await movesOf(store, feed, step)
          if (moves === undefined) return
          yield { revision, moves }
        }
      } finally {
        await feed.close()
      }
    },
  }
}

/** Records before and after one step. */
interface Moment {
  before: ReadonlyMap<string, Entry>
  after: ReadonlyMap<string, Entry>
}

/** Undefined when the feed ended before the records were known. */
async function movesOf(store: Store, feed: Feed, step: Step): Promise<ImageMove[] | undefined> {
  const moves: ImageMove[] = []
  const lives = new Map<string, Promise<Moment | undefined>>()
  let isOver = false

  async function momentOf(path: string, ranges: readonly RangeQuery[]): Promise<Moment | undefined> {
    const snapshots = await store.ranges(ranges)
    const read = (await Promise.all(snapshots.map(entriesOf))).flat()
    isOver ||= !(await feed.readTo(snapshots[0]?.revision ?? 0))
    if (isOver) return undefined
    const before = entriesBefore(read, feed.changesOf(path))
    return { before, after: entriesAfter(before, step.touched.get(path) ?? [], step.revision) }
  }

  function lifeOf(key: string): Promise<Moment | undefined> {
    const found = lives.get(key) ?? momentOf(key, [exactly(key)])
    lives.set(key, found)
    return found
  }

  function known(digest: Digest, records: Moment, side: keyof Moment): Promise<KnownImage | undefined> {
    const index = [...records[side].values()]
      .filter(({ key }) => key.startsWith(imageIndexPrefix))
      .sort((a, b) => (a.key < b.key ? -1 : 1))
    return firstKnown(store, { digest, index }, async (key) =>
      (key.startsWith(lifePrefix) ? await lifeOf(key) : records)?.[side].get(key),
    )
  }

  for (const digest of await touchedImages(store, step)) {
    const records = await momentOf(digest, [imageIndexRange({ only: digest }), imagesRange(digest)])
    const before = records && (await known(digest, records, 'before'))
    const after = records && (await known(digest, records, 'after'))
    if (isOver) return undefined
    if (!isSame(before, after)) moves.push({ digest, before, after: after && { ...after, revision: step.revision } })
  }
  return moves
}

function isSame(before: KnownImage | undefined, after: KnownImage | undefined): boolean {
  return (
    before?.revision === after?.revision &&
    before?.stream.project === after?.stream.project &&
    before?.stream.stream === after?.stream.stream
  )
}

/** The images whose records a step changed, and those that a stream had which it deleted. */
async function touchedImages(store: Store, { touched }: Step): Promise<Set<Digest>> {
  const digests = new Set<Digest>()
  for (const [path, changes] of touched) {
    const [life] = changes.filter(({ key, previous }) => key.startsWith(lifePrefix) && previous !== undefined)
    if (!path.startsWith(lifePrefix)) digests.add(path as Digest)
    if (life?.previous === undefined) continue
    const { uid } = decode<LifeRecord>(life.previous)
    for await (const entry of await store.range(linksRange(streamOfKey(path), '', undefined))) {
      const link = decode<LinkRecord>(entry)
      // What a stream made anew says of a digest stands where the earlier one's link was.
      if (link.received || link.uid !== uid) digests.add(digestOfLink(entry.key))
    }
  }
  return digests
}

function entriesAfter(
  before: ReadonlyMap<string, Entry>,
  changes: readonly Change[],
  revision: number,
): Map<string, Entry> {
  const entries = new Map(before)
  for (const { key, value } of changes) {
    if (value === undefined) entries.delete(key)
    else entries.set(key, { key, value, revision })
  }
  return entries
}
