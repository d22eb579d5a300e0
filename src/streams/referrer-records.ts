import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { fallbackTagOf } from '../oci/fallback-tag.ts'
import type { StreamName } from '../oci/reference.ts'
import type { ReferrerFacts } from '../oci/referrer.ts'
import type { Entry, Store } from '../store/store.ts'
import { formatTime } from './events.ts'
import {
  decode,
  digestOfReferrer,
  encode,
  fallbackKey,
  fallbacksRange,
  lifeKey,
  referrersRange,
  tagOfKey,
} from './keys.ts'
import { streamNotFound } from './lives.ts'
import type { FallbackRecord, LifeRecord, ReferrerRecord } from './records.ts'

/** A manifest that the stream received, and what a listing tells of it. */
export interface StoredReferrer extends Omit<ReferrerRecord, 'uid'> {
  digest: Digest
}

/** A tag that is derived from an image's digest, and where it stands. */
export interface FallbackTagRecord extends Omit<FallbackRecord, 'uid'> {
  tag: string
}

/**
 * What refers to the images of streams: manifests with a subject, whose records come and go with their links, and tags that are
 * derived from a digest. Records of an earlier stream of the name count as absent.
 */
export interface ReferrerRecords {
  /** What the stream received with this subject, in the order of digests; `after` is exclusive. */
  list(name: StreamName, subject: Digest, options?: { after?: Digest; limit?: number }): Promise<StoredReferrer[]>
  fallback(name: StreamName, tag: string): Promise<FallbackTagRecord | undefined>
  /** Those of one image, or of all, in byte order; `after` is exclusive. */
  fallbacks(name: StreamName, options?: { of?: Digest; after?: string; limit?: number }): Promise<FallbackTagRecord[]>
  /**
   * Puts such a tag somewhere, wherever it stood.
   *
   * @throws RegistryError NAME_UNKNOWN when the stream of that `uid` does not live
   */
  putFallback(stream: StreamName & { uid: string }, to: Omit<FallbackTagRecord, 'at'>): Promise<void>
  /** Whether there was one; only one that stands at `at`, where that is told. */
  removeFallback(name: StreamName, tag: string, at?: Digest): Promise<boolean>
}

/** Most bytes of annotations that are kept beside the manifest. */
const maxAnnotationBytes = 16 * 1024
/** Longest type that is one: two names of at most 127 characters (RFC 6838 4.2). */
const maxTypeLength = 255

const maxAttempts = 20

/** What is kept of what a manifest tells of itself. */
export function keptFacts({ artifactType, annotations }: Omit<ReferrerFacts, 'subject'>): Partial<ReferrerRecord> {
  const isTypeKept = artifactType === undefined || artifactType.length <= maxTypeLength
  const areKept = annotations === undefined || Buffer.byteLength(encode(annotations)) <= maxAnnotationBytes
  return {
    ...(artifactType !== undefined && isTypeKept ? { artifactType } : {}),
    ...(annotations !== undefined && areKept ? { annotations } : {}),
    ...(isTypeKept && areKept ? {} : { isCut: true }),
  }
}

export function createReferrerRecords({
  store,
  now,
}: {
  store: Pick<Store, 'get' | 'range' | 'commit'>
  now: () => number
}): ReferrerRecords {
  async function living(name: StreamName): Promise<Entry | undefined> {
    return store.get(lifeKey(name))
  }

  async function fallback(name: StreamName, tag: string): Promise<FallbackTagRecord | undefined> {
    const [life, entry] = await Promise.all([living(name), store.get(fallbackKey(name, tag))])
    if (life === undefined || entry === undefined) return undefined
    const { uid, ...record } = decode<FallbackRecord>(entry)
    return uid === uidOf(life) ? { tag, ...record } : undefined
  }

  return {
    fallback,
    async list(name, subject, { after, limit = Number.POSITIVE_INFINITY } = {}) {
      const life = await living(name)
      const found: StoredReferrer[] = []
      if (life === undefined || limit <= 0) return found
      for await (const entry of await store.range(referrersRange(name, subject, after))) {
        const { uid, ...record } = decode<ReferrerRecord>(entry)
        if (uid !== uidOf(life)) continue
        if (found.push({ digest: digestOfReferrer(entry.key), ...record }) >= limit) break
      }
      return found
    },
    async fallbacks(name, { of, after, limit = Number.POSITIVE_INFINITY } = {}) {
      const life = await living(name)
      const found: FallbackTagRecord[] = []
      if (life === undefined || limit <= 0) return found
      const prefix = of === undefined ? '' : fallbackTagOf(of)
      for await (const entry of await store.range(fallbacksRange(name, prefix, after))) {
        const { uid, ...record } = decode<FallbackRecord>(entry)
        if (uid !== uidOf(life)) continue
        if (found.push({ tag: tagOfKey(entry.key), ...record }) >= limit) break
      }
      return found
    },
    async putFallback(stream, { tag, ...to }) {
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const life = await living(stream)
        if (life === undefined || uidOf(life) !== stream.uid) throw streamNotFound('NAME_UNKNOWN', stream)
        const record: FallbackRecord = { uid: stream.uid, ...to, at: formatTime(now()) }
        const result = await store.commit({
          operations: [{ type: 'put', key: fallbackKey(stream, tag), value: encode(record) }],
          preconditions: [{ key: lifeKey(stream), revision: life.revision }],
        })
        // The same again does no harm where nobody can say whether it was written.
        if (result.status === 'committed') return
      }
      throw unwritten(stream, tag)
    },
    async removeFallback(name, tag, at) {
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const key = fallbackKey(name, tag)
        const entry = await store.get(key)
        const was = await fallback(name, tag)
        if (entry === undefined || was === undefined || (at !== undefined && was.image !== at)) return false
        const result = await store.commit({
          operations: [{ type: 'delete', key }],
          preconditions: [{ key, revision: entry.revision }],
        })
        if (result.status === 'committed') return true
        if (result.status === 'unknown' && (await store.get(key)) === undefined) return true
      }
      throw unwritten(name, tag)
    },
  }
}

function uidOf(life: Entry): string {
  return decode<LifeRecord>(life).uid
}

function unwritten({ project, stream }: StreamName, tag: string): RegistryError {
  return new RegistryError('UNAVAILABLE', {
    message: `${project}/${stream}:${tag} could not be written, the store was changed too often or failed; try again`,
    retryAfterSeconds: 1,
  })
}
