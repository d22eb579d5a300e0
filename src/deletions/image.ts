/** The deletion of an image by its digest: its tags go first, then what refers to it, its own link last. */
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { decode, streamKey } from '../streams/keys.ts'
import { streamLink } from '../streams/link-records.ts'
import type { Cause, StreamRecord } from '../streams/records.ts'
import type { ReferrerRecords } from '../streams/referrer-records.ts'
import type { Stream, Tag } from '../streams/streams.ts'
import { requireInNoIndex } from './indexes.ts'
import { maxUnlinked, type ReadLink, readLink, type Unlink, unwritten } from './links.ts'
import { derivedTagsAt, referringTo } from './referring.ts'
import { imageOf, refusable, removeTagsAt, type TagRemovalOptions } from './tags.ts'

/** What a deletion takes along. */
export interface Deleted {
  /** Stood there. */
  tags: readonly string[]
  /** Manifests: the image, and what refers to it, and to that. The first 10,000. */
  manifests: readonly Digest[]
}

export interface ImageRemovalOptions extends TagRemovalOptions {
  store: Store
  records: ReferrerRecords
  /** Most manifests that refer to an image, or to those, that are looked for at once. */
  maxReferrers: number
  unlink: Unlink
}

/** An image of a stream that is to go, and what the ledger tells of its tags. */
export interface ImageRemoval {
  stream: Stream
  digest: Digest
  cause: Cause
}

/** How often everything is looked at anew because the stream changed meanwhile. */
const maxAttempts = 20
/** Most manifests that are told of. */
const maxTold = 10_000

/**
 * What a deletion goes by. Whoever moves a tag of the stream writes its record, and relies on the link of the image that it moves
 * to: links go while that record is as it was before all this was read. Either the tag is seen here, or the link that it needs is
 * gone before it moves.
 */
interface Sight {
  /** Of the stream's record. */
  revision: number
  /** The link of the image, received or not. */
  own: ReadLink | undefined
  /** The tags at the image, in byte order. */
  standing: Tag[]
  /** What the other tags stand at, each image with one of them. */
  elsewhere: Map<Digest, string>
}

/**
 * Deletes an image, its tags and what refers to it, in passes until nothing stands there.
 *
 * @throws RegistryError MANIFEST_UNKNOWN, NAME_UNKNOWN, DENIED; UNAVAILABLE when the stream kept being changed
 */
export async function removeImage(options: ImageRemovalOptions, removal: ImageRemoval): Promise<Deleted> {
  const { stream, digest, cause } = removal
  const tags = new Set<string>()
  const manifests = new Set<Digest>()
  const deleted = () => ({ tags: [...tags].sort(), manifests: [...manifests].slice(0, maxTold) })
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const sight = await look(options, stream, digest)
    const { own, standing } = sight
    if (own === undefined && standing.length === 0) {
      if (attempt === 0) throw unknownImage(stream, digest)
      return deleted()
    }
    if (own !== undefined) await requireNotNeeded(options, stream, digest, sight)
    if (standing.length > 0) {
      for (const tag of await removeTagsAt(options, stream, digest, standing, { cause })) tags.add(tag)
    } else if (own !== undefined) {
      const went = await removeUntagged(options, stream, own, sight)
      for (const tag of went.tags) tags.add(tag)
      for (const each of went.manifests) manifests.add(each)
      if (went.isAll) return deleted()
    }
  }
  throw unwritten(stream)
}

/** What `removeImage` would delete. @throws as it does */
export async function planImage(options: ImageRemovalOptions, removal: ImageRemoval): Promise<Deleted> {
  const { stream, digest, cause } = removal
  const sight = await look(options, stream, digest)
  const { own, standing, elsewhere } = sight
  if (own === undefined && standing.length === 0) throw unknownImage(stream, digest)
  if (own !== undefined) await requireNotNeeded(options, stream, digest, sight)
  const tags = await removeTagsAt(options, stream, digest, standing, { cause, dryRun: true })
  const { manifests } = await referringTo(referring(options), stream, digest, new Set(elsewhere.keys()))
  const derived = await derivedTagsAt(options, stream, digest)
  return {
    tags: [...tags, ...derived].sort(),
    manifests: [digest, ...manifests.toReversed()].slice(0, maxTold),
  }
}

/** The record of the stream is read first: what is seen is never older. Of another stream of the name nothing is seen. */
async function look(
  { store, reader }: Pick<ImageRemovalOptions, 'store' | 'reader'>,
  stream: Stream,
  digest: Digest,
): Promise<Sight> {
  const touched = await store.get(streamKey(stream))
  const sight: Sight = { revision: touched?.revision ?? 0, own: undefined, standing: [], elsewhere: new Map() }
  if (touched === undefined || decode<StreamRecord>(touched).uid !== stream.uid) return sight
  const link = await readLink(store, stream, digest)
  if (link !== undefined && streamLink(digest, link.record).manifestType !== undefined) sight.own = link
  for (const tag of await reader.tags(stream)) {
    const image = imageOf(tag)
    if (image === digest) sight.standing.push(tag)
    else if (image !== undefined) sight.elsewhere.set(image, tag.name)
  }
  return sight
}

/** @throws RegistryError DENIED */
async function requireNotNeeded(
  { store }: ImageRemovalOptions,
  stream: Stream,
  digest: Digest,
  { elsewhere }: Sight,
): Promise<void> {
  await refusable(() => requireInNoIndex(store, stream, digest, elsewhere))
}

/**
 * Removes an image at which no tag stands, after what refers to it.
 *
 * @returns what went; not `isAll` when the stream, or the link, is not as it was seen
 */
async function removeUntagged(
  options: ImageRemovalOptions,
  stream: Stream,
  own: ReadLink,
  { revision }: Sight,
): Promise<Deleted & { isAll: boolean }> {
  const { records } = options
  const { digest } = own
  const tags: string[] = []
  for (const tag of await derivedTagsAt(options, stream, digest))
    if (await records.removeFallback(stream, tag, digest)) tags.push(tag)
  const others = await removeReferring(options, stream, digest)
  const isAll = await options.unlink(stream, [own], { whileAt: revision })
  return { tags, manifests: [...(isAll ? [digest] : []), ...others.reverse()], isAll }
}

/** Removes what refers to an image, what refers to others before these. @returns the manifests that went, in this order */
async function removeReferring(options: ImageRemovalOptions, stream: Stream, digest: Digest): Promise<Digest[]> {
  const { records } = options
  const gone: Digest[] = []
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const sight = await look(options, stream, digest)
    const found = await referringTo(referring(options), stream, digest, new Set(sight.elsewhere.keys()))
    const before = gone.length
    const isDone = await removeManifests(options, stream, found.manifests, { whileAt: sight.revision, gone })
    // Where all that was found stays, so does what would have been found after it.
    if (isDone && (found.isAll || found.manifests.length === 0)) {
      await removeFallbacks(records, stream, digest)
      return gone
    }
    if (gone.length > before) attempt = -1
  }
  throw unwritten(stream)
}

/** @returns false as soon as the stream, or a link, is not as it was seen; what went until then is in `gone` */
async function removeManifests(
  { store, records, unlink }: ImageRemovalOptions,
  stream: Stream,
  manifests: readonly Digest[],
  { whileAt, gone }: { whileAt: number; gone: Digest[] },
): Promise<boolean> {
  let batch: Digest[] = []
  for (const each of manifests) {
    // What such a tag stands at is found by it alone: that goes before.
    if ((await records.fallbacks(stream, { of: each, limit: 1 })).length > 0) {
      if (!(await removeBatch())) return false
      await removeFallbacks(records, stream, each)
    }
    if (batch.push(each) >= maxUnlinked && !(await removeBatch())) return false
  }
  return removeBatch()

  async function removeBatch(): Promise<boolean> {
    const found = await Promise.all(batch.map((each) => readLink(store, stream, each)))
    const there = found.flatMap((link) => link ?? [])
    if (!(await unlink(stream, there, { whileAt }))) return false
    gone.push(...there.map((link) => link.digest))
    batch = []
    return true
  }
}

async function removeFallbacks(records: ReferrerRecords, stream: Stream, of: Digest): Promise<void> {
  for (const { tag } of await records.fallbacks(stream, { of })) await records.removeFallback(stream, tag)
}

function referring({ store, records, maxReferrers }: ImageRemovalOptions) {
  return { store, records, maxFound: maxReferrers }
}

function unknownImage({ project, stream }: StreamName, digest: Digest): RegistryError {
  return new RegistryError('MANIFEST_UNKNOWN', {
    message: `image stream ${project}/${stream} has no image ${digest}`,
    detail: { digest },
  })
}
