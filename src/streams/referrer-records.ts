import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { fallbackTagOf } from '../oci/fallback-tag.ts'
import type { StreamName } from '../oci/reference.ts'
import type { ReferrerFacts } from '../oci/referrer.ts'
import type { Entry, Store } from '../store/store.ts'
import { formatTime } from './events.ts'
import { deniedDerived } from './immutable.ts'
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
import { derivedImmutability } from './tag-policy.ts'

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
   * Puts such a tag somewhere, wherever it stood. `dryRun` only looks whether it may stand there.
   *
   * @throws RegistryError NAME_UNKNOWN when the stream of that `uid` does not live; DENIED when the tag was pushed to another image and
   * is immutable
   */
  putFallback(stream: FallbackStream, to: Omit<FallbackTagRecord, 'at'>, options?: { dryRun?: boolean }): Promise<void>
  /** Whether there was one; only one that stands at `at`, where that is told. */
  removeFallback(name: StreamName, tag: string, at?: Digest): Promise<boolean>
}

/** A stream as read; without annotations only those of its project say what is immutable. */
export type FallbackStream = StreamName & { uid: string; annotations?: Record<string, string> }

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

  /** @throws RegistryError DENIED */
  async function requireMutable(stream: FallbackStream, tag: string, image: Digest): Promise<void> {
    const { annotations = {} } = stream
    const by = await derivedImmutability((key) => store.get(key), { ...stream, annotations }, tag)
    if (by !== undefined) throw deniedDerived(by, image, { ...stream, tag })
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
    async putFallback(stream, { tag, ...to }, { dryRun = false } = {}) {
      const key = fallbackKey(stream, tag)
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const [life, entry] = await Promise.all([living(stream), store.get(key)])
        if (life === undefined || uidOf(life) !== stream.uid) throw streamNotFound('NAME_UNKNOWN', stream)
        const before = entry && decode<FallbackRecord>(entry)
        const pushed = before?.uid === stream.uid && before.by !== undefined ? before.image : undefined
        // What an upstream has there is no more than remembered.
        if (pushed !== undefined && to.by === undefined) return
        if (pushed !== undefined && pushed !== to.image) await requireMutable(stream, tag, pushed)
        if (dryRun) return
        const record: FallbackRecord = { uid: stream.uid, ...to, at: formatTime(now()) }
        const result = await store.commit({
          operations: [{ type: 'put', key, value: encode(record) }],
          preconditions: [
            { key: lifeKey(stream), revision: life.revision },
            { key, revision: entry?.revision ?? 0 },
          ],
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
