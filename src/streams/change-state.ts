import type { StreamName } from '../oci/reference.ts'
import type { Change, Entry } from '../store/store.ts'
import { type Head, placeOf } from './change-keys.ts'
import { decode } from './keys.ts'
import type { LifeRecord, TagRecord } from './records.ts'
import { joinStream, presentTag } from './stream-records.ts'
import type { Stream, Tag, WholeStream } from './streams.ts'

/** A ledger entry, by its tag and the tag's revision. */
export interface Appended {
  tag: string
  revision: number
}

/** A stream at one moment. Never changed: whoever was told of it may keep it. */
export interface State {
  /** Undefined while the stream is not there. */
  whole: WholeStream | undefined
  heads: Readonly<Record<Head, Entry | undefined>>
  /** Characters of its records. */
  size: number
  /** The tags that the newest change was about. */
  changedTags: readonly string[]
  /** The ledger entries that it appended. */
  appended: readonly Appended[]
}

const nothing: State = {
  whole: undefined,
  heads: { life: undefined, touched: undefined, object: undefined, generation: undefined },
  size: 0,
  changedTags: [],
  appended: [],
}

/** The state of a stream before `happened`: see {@link entriesBefore}. */
export function stateBefore(name: StreamName, read: readonly Entry[], happened: readonly Change[]): State {
  return applyEntries(nothing, name, entriesBefore(read, happened))
}

/**
 * Records before `happened`: as they were read at some time since, with everything undone that may have happened before
 * the reading. What happened after it is undone too, and puts back what was read.
 */
export function entriesBefore(read: readonly Entry[], happened: readonly Change[]): Map<string, Entry> {
  const entries = new Map(read.map((entry) => [entry.key, entry]))
  // From the newest back, so that of a key that changed twice the oldest value is the last to be put back.
  for (const { key, previous } of happened.toReversed()) {
    if (previous === undefined) entries.delete(key)
    else entries.set(key, previous)
  }
  return entries
}

/** The state after the changes of one revision. */
export function applyChanges(before: State, name: StreamName, changes: readonly Change[], revision: number): State {
  const entries = new Map(
    changes.map(({ key, value }) => [key, value === undefined ? undefined : { key, value, revision }]),
  )
  const freed = changes.reduce((sum, { previous }) => sum + (previous?.value.length ?? 0), 0)
  return { ...applyEntries({ ...before, size: before.size - freed }, name, entries), appended: appendedBy(changes) }
}

/** A record's counter goes on over deletions of its tag and stream, so what it grew by is what was appended. */
function appendedBy(changes: readonly Change[]): Appended[] {
  return changes.flatMap(({ key, value, previous }) => {
    const { place } = placeOf(key)
    if (!('tag' in place) || value === undefined) return []
    const before = previous === undefined ? 0 : decode<TagRecord>(previous).revision
    const { revision } = decode<TagRecord>({ key, value, revision: 0 })
    return Array.from({ length: Math.max(0, revision - before) }, (_, i) => ({
      tag: place.tag,
      revision: before + 1 + i,
    }))
  })
}

function applyEntries(before: State, name: StreamName, entries: ReadonlyMap<string, Entry | undefined>): State {
  const heads = { ...before.heads }
  const tagEntries = new Map<string, Entry | undefined>()
  let { size } = before
  for (const [key, entry] of entries) {
    const { place } = placeOf(key)
    if ('tag' in place) tagEntries.set(place.tag, entry)
    else heads[place.head] = entry
    size += entry?.value.length ?? 0
  }
  const stream = streamOf(name, heads)
  const isSame = stream?.uid === before.whole?.stream.uid
  const tags = stream && nextTags((isSame && before.whole?.tags) || [], tagEntries, stream.uid)
  return {
    whole: stream && tags && { stream, tags },
    heads,
    size,
    changedTags: [...tagEntries.keys()],
    appended: [],
  }
}

function streamOf(name: StreamName, { life, touched, object, generation }: State['heads']): Stream | undefined {
  return life && joinStream(name, decode<LifeRecord>(life), touched, object, generation)?.stream
}

/** Tags in the order of their names. Those that are gone, or of an earlier stream of the name, are left out. */
function nextTags(
  before: readonly Tag[],
  changed: ReadonlyMap<string, Entry | undefined>,
  uid: string,
): readonly Tag[] {
  if (changed.size === 0) return before
  const present = [...changed].flatMap(([name, entry]) => presentTag(name, entry, uid) ?? [])
  // Tags are ASCII: the order of code units is the order of keys.
  return [...before.filter(({ name }) => !changed.has(name)), ...present].sort((a, b) => (a.name < b.name ? -1 : 1))
}
