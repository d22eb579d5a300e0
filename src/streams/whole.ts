import type { StreamName } from '../oci/reference.ts'
import type { Entry, ReadOptions, Snapshot, Store } from '../store/store.ts'
import {
  decode,
  exactly,
  followersKey,
  generationKey,
  lifeKey,
  streamKey,
  streamObjectKey,
  tagKey,
  tagOfKey,
} from './keys.ts'
import type { LifeRecord } from './records.ts'
import { joinStream, presentTag, type ReadStream } from './stream-records.ts'
import type { Tag, WholeStream } from './streams.ts'

/** A stream and the raw records under it, all of one snapshot. */
export interface StreamSnapshot {
  storeRevision: number
  /** Undefined while the stream is not there. */
  read: ReadStream | undefined
  tags: readonly Tag[]
  /** All tag records and all records of followers, also those of earlier streams of the name. */
  entries: readonly Entry[]
}

/** Reads a stream with all its tags, for showing it. */
export async function readWhole(
  store: Store,
  name: StreamName,
  state: ReadOptions = {},
): Promise<WholeStream | undefined> {
  const { read, tags } = await readSnapshot(store, name, { withFollowers: false, state })
  return read && { stream: read.stream, tags }
}

/** Reads all that a change of a stream can depend on; `withFollowers` adds who follows whom. */
export async function readSnapshot(
  store: Store,
  name: StreamName,
  { withFollowers, state = {} }: { withFollowers: boolean; state?: ReadOptions },
): Promise<StreamSnapshot> {
  const heads = [lifeKey, streamKey, streamObjectKey, generationKey].map((keyOf) => exactly(keyOf(name)))
  const tagsRange = { prefix: tagKey(name, '') }
  const followersRange = withFollowers ? [{ prefix: followersKey(name, '') }] : []
  const snapshots = await store.ranges([...heads, tagsRange, ...followersRange], state)
  const [life, touched, object, generation, tagEntries = [], followers = []] = await Promise.all(
    snapshots.map(entriesOf),
  )
  const storeRevision = snapshots[0]?.revision ?? 0
  const entries = [...tagEntries, ...followers]
  const [lifeEntry] = life ?? []
  const joined =
    lifeEntry && joinStream(name, decode<LifeRecord>(lifeEntry), touched?.[0], object?.[0], generation?.[0])
  if (lifeEntry === undefined || joined === undefined) return { storeRevision, read: undefined, tags: [], entries }
  return {
    storeRevision,
    read: { ...joined, lifeRevision: lifeEntry.revision },
    tags: presentTags(tagEntries, joined.stream.uid),
    entries,
  }
}

/** Of the tag records of one stream those that say something. */
export function presentTags(entries: readonly Entry[], uid: string): Tag[] {
  return entries.flatMap((entry) => presentTag(tagOfKey(entry.key), entry, uid) ?? [])
}

export async function entriesOf(snapshot: Snapshot): Promise<Entry[]> {
  const entries: Entry[] = []
  for await (const entry of snapshot) entries.push(entry)
  return entries
}
