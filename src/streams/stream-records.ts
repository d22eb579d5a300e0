import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Entry, Store } from '../store/store.ts'
import { decode, generationKey, lifeKey, lifePrefix, streamKey, streamObjectKey } from './keys.ts'
import type { GenerationRecord, LifeRecord, StreamRecord, TagRecord } from './records.ts'
import { isAbsent } from './rules.ts'
import { fieldsOf, type StreamObject } from './stream-object.ts'
import type { Stream, Tag } from './streams.ts'

/** A stream as read, with the revisions of the records that a write may have to be conditioned on. */
export interface ReadStream {
  stream: Stream
  lifeRevision: number
  touchedRevision: number
  generationRevision: number
}

const maxAttempts = 20

/**
 * Reads a stream's records. They are no one snapshot, so the record whose revision becomes the resourceVersion is read
 * before what it stands for: what is shown may be newer than its resourceVersion, never older.
 */
export async function readStream(store: Store, name: StreamName): Promise<ReadStream | undefined> {
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const life = await store.get(lifeKey(name))
    if (life === undefined) return undefined
    const touched = await store.get(streamKey(name))
    const object = await store.get(streamObjectKey(name))
    const generation = await store.get(generationKey(name))
    const read = joinStream(name, decode<LifeRecord>(life), touched, object, generation)
    if (read !== undefined) return { ...read, lifeRevision: life.revision }
  }
  throw new RegistryError('UNAVAILABLE', {
    message: `image stream "${name.project}/${name.stream}" changes faster than it can be read`,
  })
}

/** The store's newest revision. */
export async function newestRevision(store: Store): Promise<number> {
  // A key does not tell it, a range does.
  return (await store.range({ prefix: lifePrefix, limit: 0 })).revision
}

/** A tag as present in the stream with the uid `living`, or undefined: an older stream's, deleted, or never there. */
export function presentTag(name: string, entry: Entry | undefined, living: string | undefined): Tag | undefined {
  if (entry === undefined) return undefined
  const record = decode<TagRecord>(entry)
  return record.uid !== living || isAbsent(record) ? undefined : { name, record, storeRevision: entry.revision }
}

/** Undefined when the records are not of one life: the stream was deleted, or made anew, while they were read. */
export function joinStream(
  name: StreamName,
  life: LifeRecord,
  touched: Entry | undefined,
  object: Entry | undefined,
  generation: Entry | undefined,
): Omit<ReadStream, 'lifeRevision'> | undefined {
  if (touched === undefined || object === undefined || generation === undefined) return undefined
  const record = decode<StreamObject>(object)
  const counted = decode<GenerationRecord>(generation)
  const { uid } = decode<StreamRecord>(touched)
  if (uid !== life.uid || record.metadata.uid !== life.uid || counted.uid !== life.uid) return undefined
  const stream: Stream = {
    project: name.project,
    stream: name.stream,
    uid,
    projectUid: life.projectUid,
    creationTimestamp: record.metadata.creationTimestamp,
    generation: counted.generation,
    resourceVersion: Math.max(touched.revision, object.revision),
    objectRevision: object.revision,
    ...fieldsOf(record),
  }
  return { stream, touchedRevision: touched.revision, generationRevision: generation.revision }
}
