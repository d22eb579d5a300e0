import type { Digest } from '../oci/digest.ts'
import { failureOf, type RegistryError } from '../oci/errors.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { StreamName } from '../oci/reference.ts'
import { referrerOf } from '../oci/referrer.ts'
import type { ReferrerRecords, StoredReferrer } from '../streams/referrer-records.ts'

/** A manifest that has the image as its subject, as listings show it. */
export interface Referrer {
  mediaType: string
  digest: Digest
  size: number
  /** Absent for an index without one. */
  artifactType?: string
  annotations?: Record<string, string>
}

export interface ListOptions {
  artifactType?: string
  /** Exclusive; the order is that of digests. */
  after?: Digest
  /** Most that are told; a page also ends at 4 MiB, or where it would read more than that of manifests. */
  limit?: number
}

/** A page of what refers to an image. */
export interface ListedReferrers {
  /** In the order of their digests. A page may be empty and yet not the last. */
  referrers: Referrer[]
  /** To go on after; absent on the last page. */
  next?: Digest
  /** Why an upstream could not tell what it has: there may be more than is listed. */
  failure?: RegistryError
}

/** What is listed beside the stream's own records, and why there may be more. */
export interface OtherReferrers {
  referrers: Referrer[]
  failure?: RegistryError
}

export interface PageOptions {
  referrerRecords: Pick<ReferrerRecords, 'list'>
  obtain(name: StreamName, digest: Digest): Promise<{ mediaType: string; bytes: Buffer | undefined }>
}

/** A page is a manifest to its clients, and these have a limit. */
const maxPageBytes = 4 * 1024 * 1024
/** For the document around the entries. */
const documentBytes = 1024
/** Most entries that one page looks at: a filter may let none through. */
const maxLookedAt = 10_000
const readAtOnce = 200
/** Most bytes of manifests that one page reads, since their records do not have all; one it reads in any case. */
const maxReadBytes = maxPageBytes
/** Most of these manifests: an upstream may be asked for each. */
const maxReads = 64

/** One page: the stream's own records, and what others tell besides, in the order of digests. */
export async function listPage(
  { referrerRecords, obtain }: PageOptions,
  name: StreamName,
  subject: Digest,
  asked: ListOptions & { others: readonly OtherReferrers[] },
): Promise<ListedReferrers> {
  const { artifactType, after, limit = Number.POSITIVE_INFINITY, others } = asked
  const failure = others.find((each) => each.failure !== undefined)?.failure
  const referrers: Referrer[] = []
  let last = after
  let bytes = documentBytes
  let lookedAt = 0
  const reads = createReads()
  const page = (next?: Digest): ListedReferrers => ({
    referrers,
    ...(next === undefined ? {} : { next }),
    ...(failure && { failure }),
  })

  for await (const each of inOrder(ownAfter(after), sorted(others, after))) {
    if (lookedAt >= maxLookedAt) return page(last)
    lookedAt += 1
    if (artifactType === undefined || each.artifactType === artifactType) {
      if (referrers.length >= limit) return page(last)
      if (isCut(each) && !reads.hasRoomFor(each.size)) return page(last)
      const whole = await wholeOf(each)
      const more = Buffer.byteLength(JSON.stringify(whole)) + 1
      if (bytes + more > maxPageBytes && referrers.length > 0) return page(last)
      bytes += more
      referrers.push(whole)
    }
    last = each.digest
  }
  return page()

  async function* ownAfter(from: Digest | undefined): AsyncGenerator<StoredReferrer, void> {
    for (let next = from; ; ) {
      const some = await referrerRecords.list(name, subject, { ...(next && { after: next }), limit: readAtOnce })
      yield* some
      next = some.at(-1)?.digest
      if (some.length < readAtOnce) return
    }
  }

  async function wholeOf({ isCut, ...referrer }: Referrer & { isCut?: true }): Promise<Referrer> {
    if (!isCut) return referrer
    try {
      const { bytes, mediaType } = await obtain(name, referrer.digest)
      const facts = bytes && referrerOf(parseManifest(bytes, mediaType), bytes)
      if (facts === undefined) return referrer
      const { artifactType: type, annotations } = facts
      return { ...referrer, ...(type === undefined ? {} : { artifactType: type }), ...(annotations && { annotations }) }
    } catch (error) {
      failureOf(error)
      return referrer
    }
  }
}

/** Counts what is read for one page. */
function createReads() {
  let reads = 0
  let bytes = 0
  return {
    hasRoomFor(size: number): boolean {
      reads += 1
      bytes += size
      return reads === 1 || (reads <= maxReads && bytes <= maxReadBytes)
    },
  }
}

function isCut(referrer: Referrer & { isCut?: true }): boolean {
  return referrer.isCut === true
}

/** Of several with the same digest the first is taken. */
function sorted(others: readonly OtherReferrers[], after: Digest | undefined): Referrer[] {
  const byDigest = new Map<Digest, Referrer>()
  for (const each of others.flatMap(({ referrers }) => referrers))
    if (!byDigest.has(each.digest) && (after === undefined || each.digest > after)) byDigest.set(each.digest, each)
  return [...byDigest.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1))
}

/** Merges two sorted lists; of the same digest in both, what the stream knows itself is taken. */
async function* inOrder(
  own: AsyncIterable<StoredReferrer>,
  others: readonly Referrer[],
): AsyncGenerator<Referrer & { isCut?: true }, void> {
  let i = 0
  for await (const each of own) {
    for (; ; i++) {
      const other = others[i]
      if (other === undefined || other.digest > each.digest) break
      if (other.digest < each.digest) yield other
    }
    yield each
  }
  yield* others.slice(i)
}
