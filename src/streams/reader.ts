import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { StoredObject } from '../store/objects.ts'
import type { Entry, Store } from '../store/store.ts'
import {
  decode,
  generationKey,
  ledgerRange,
  lifeKey,
  livesRange,
  streamKey,
  streamObjectKey,
  streamOfKey,
  tagKey,
  tagOfKey,
  tagsRange,
} from './keys.ts'
import type { GenerationRecord, LedgerEntry, LifeRecord, StreamRecord, TagRecord } from './records.ts'
import { isAbsent } from './rules.ts'
import type { Stream, StreamReader, Tag } from './streams.ts'

/** `object/imagestreams/<project>/<stream>`: a stored API object whose spec has no tags. */
export interface StreamObject {
  metadata: Omit<StoredObject['metadata'], 'resourceVersion'>
  spec: { lookupPolicy: { local: boolean }; dockerImageRepository?: string }
}

/** A stream as read, with the revisions of the records that a write may have to be conditioned on. */
export interface ReadStream {
  stream: Stream
  lifeRevision: number
  touchedRevision: number
  generationRevision: number
}

/** Most ledger entries read at once unless told otherwise. */
const ledgerPage = 100
const streamsAtOnce = 50
const maxAttempts = 20

/** Reads streams, tags and ledgers straight from the store. */
export function createStreamReader({ store }: { store: Store }): StreamReader {
  async function uid(name: StreamName): Promise<string | undefined> {
    const life = await store.get(lifeKey(name))
    return life && decode<LifeRecord>(life).uid
  }
  return {
    whole: () => Promise.reject(new TypeError('not there yet')),
    wholes: () => Promise.reject(new TypeError('not there yet')),
    stream: async (name) => (await readStream(store, name))?.stream,
    streams: (project, options = {}) => listStreams(store, project, options),
    async tag(name, tag) {
      const [living, entry] = await Promise.all([uid(name), store.get(tagKey(name, tag))])
      return presentTag(tag, entry, living)
    },
    async tags(name, { after, limit = Number.POSITIVE_INFINITY } = {}) {
      const living = await uid(name)
      const tags: Tag[] = []
      if (living === undefined || limit <= 0) return tags
      for await (const entry of await store.range(tagsRange(name, after))) {
        const tag = presentTag(tagOfKey(entry.key), entry, living)
        if (tag !== undefined && tags.push(tag) >= limit) break
      }
      return tags
    },
    async ledger(name, tag, { before, limit = ledgerPage } = {}) {
      const entries: LedgerEntry[] = []
      if (limit <= 0) return entries
      for await (const entry of await store.range({ ...ledgerRange(name, tag, before), limit })) {
        entries.push(decode<LedgerEntry>(entry))
      }
      return entries
    },
  }
}

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

/** A tag as present in the stream with the uid `living`, or undefined: an older stream's, deleted, or never there. */
export function presentTag(name: string, entry: Entry | undefined, living: string | undefined): Tag | undefined {
  if (entry === undefined) return undefined
  const record = decode<TagRecord>(entry)
  return record.uid !== living || isAbsent(record) ? undefined : { name, record, storeRevision: entry.revision }
}

async function listStreams(
  store: Store,
  project: string | undefined,
  { after, limit = Number.POSITIVE_INFINITY }: { after?: StreamName; limit?: number },
): Promise<Stream[]> {
  const streams: Stream[] = []
  const pending: StreamName[] = []
  const take = async () => {
    const read = await Promise.all(pending.splice(0).map((name) => readStream(store, name)))
    streams.push(...read.flatMap((found) => (found === undefined ? [] : [found.stream])))
  }
  if (limit <= 0) return streams
  for await (const { key } of await store.range(livesRange(project, after))) {
    pending.push(streamOfKey(key))
    if (pending.length >= Math.min(streamsAtOnce, limit - streams.length)) await take()
    if (streams.length >= limit) break
  }
  await take()
  return streams
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
  const { metadata, spec } = decode<StreamObject>(object)
  const counted = decode<GenerationRecord>(generation)
  const { uid } = decode<StreamRecord>(touched)
  if (uid !== life.uid || metadata.uid !== life.uid || counted.uid !== life.uid) return undefined
  const stream: Stream = {
    project: name.project,
    stream: name.stream,
    uid,
    projectUid: life.projectUid,
    creationTimestamp: metadata.creationTimestamp,
    generation: counted.generation,
    resourceVersion: Math.max(touched.revision, object.revision),
    objectRevision: object.revision,
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    lookupPolicy: spec.lookupPolicy,
    ...(spec.dockerImageRepository === undefined ? {} : { dockerImageRepository: spec.dockerImageRepository }),
  }
  return { stream, touchedRevision: touched.revision, generationRevision: generation.revision }
}
