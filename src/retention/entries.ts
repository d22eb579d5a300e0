/** The index of unheld tags, read and written by those who work it off. */
import { randomUUID } from 'node:crypto'
import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Operation, Store } from '../store/store.ts'
import { formatTime } from '../streams/events.ts'
import { decode, encode, leftOutKey, placeOfUnheld, tagKey, unheldKey } from '../streams/keys.ts'
import type { LeftOutRecord, UnheldRecord } from '../streams/records.ts'

/** What is to be held for one tag. */
export interface UnheldEntry {
  key: string
  name: StreamName
  tag: string
  record: UnheldRecord
}

export type EntriesStore = Pick<Store, 'get' | 'commit'>

/** undefined for what is no entry. */
export function entryOf(key: string, value: string): UnheldEntry | undefined {
  const place = placeOfUnheld(key)
  if (place === undefined) return undefined
  const { tag, ...name } = place
  return { key, name, tag, record: JSON.parse(value) as UnheldRecord }
}

/** What tells a wish that begins now. */
export function newWish(nowMs: number): Pick<UnheldRecord, 'id' | 'since'> {
  return { id: randomUUID(), since: formatTime(nowMs) }
}

/** Whether two records of a tag are of one wish; how far it is, and why it failed, are no part of it. */
export function isSameWish(a: UnheldRecord, b: UnheldRecord): boolean {
  return a.uid === b.uid && a.id === b.id
}

/** The entry as it stands now; undefined when it is gone, or wants something else. */
export async function currentRecord(
  store: EntriesStore,
  { key, record }: UnheldEntry,
): Promise<{ record: UnheldRecord; revision: number } | undefined> {
  const found = await store.get(key)
  const now = found && decode<UnheldRecord>(found)
  return found !== undefined && now !== undefined && isSameWish(now, record)
    ? { record: now, revision: found.revision }
    : undefined
}

/** Removes an entry unless it wants something else by now. */
export async function dropEntry(store: EntriesStore, entry: UnheldEntry): Promise<void> {
  await drop(store, entry, [])
}

/** Removes an entry whose image is held, likewise, and says which manifests were left out of it because nobody has them. */
export async function finishEntry(
  store: EntriesStore,
  entry: UnheldEntry,
  leftOut: readonly Digest[],
  nowMs: number,
): Promise<void> {
  const { name, tag } = entry
  const { uid, image } = entry.record
  const key = leftOutKey(name, tag)
  const record: LeftOutRecord = { uid, image, digests: [...leftOut], at: formatTime(nowMs) }
  await drop(store, entry, [
    leftOut.length === 0 ? { type: 'delete', key } : { type: 'put', key, value: encode(record) },
  ])
}

async function drop(store: EntriesStore, entry: UnheldEntry, more: readonly Operation[]): Promise<void> {
  const { key } = entry
  const current = await currentRecord(store, entry)
  if (current === undefined) return
  const preconditions = [{ key, revision: current.revision }]
  await store.commit({ operations: [{ type: 'delete', key }, ...more], preconditions })
}

/** Writes how far an entry is, or why it failed, unless it wants something else by now. */
export async function noteOnEntry(
  store: EntriesStore,
  entry: UnheldEntry,
  note: Pick<UnheldRecord, 'progress' | 'failure'>,
): Promise<void> {
  const { key } = entry
  const current = await currentRecord(store, entry)
  if (current === undefined) return
  const value = encode({ ...current.record, ...note } satisfies UnheldRecord)
  await store.commit({
    operations: [{ type: 'put', key, value }],
    preconditions: [{ key, revision: current.revision }],
  })
}

/**
 * Puts an entry for a tag in the place of the one at `revision` (0: there is none), while the tag's record stays as it was read.
 *
 * @returns whether it was written: not when somebody else changed either
 */
export async function putEntry(
  store: EntriesStore,
  { name, tag, record }: Omit<UnheldEntry, 'key'>,
  { revision, tagRevision }: { revision: number; tagRevision: number },
): Promise<boolean> {
  const key = unheldKey(name, tag)
  const preconditions = [
    { key, revision },
    { key: tagKey(name, tag), revision: tagRevision },
  ]
  const result = await store.commit({ operations: [{ type: 'put', key, value: encode(record) }], preconditions })
  return result.status === 'committed'
}
