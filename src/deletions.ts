/** Deleting from streams: tags, images by digest with what refers to them, blobs. Every tag that goes is an entry of its ledger. */
import type { Logger } from 'pino'
import { manifestNaming } from './deletions/blob-use.ts'
import { requireInNoIndex } from './deletions/indexes.ts'
import { maxUnlinked, type ReadLink, readLink, removeLinks, restoreLink, unwritten } from './deletions/links.ts'
import { derivedTagsAt, referringTo } from './deletions/referring.ts'
import { imageOf, refusable, removeTag, removeTagsAt, tagsAt } from './deletions/tags.ts'
import type { Digest } from './oci/digest.ts'
import { RegistryError } from './oci/errors.ts'
import { isTag, type StreamName } from './oci/reference.ts'
import type { Store } from './store/store.ts'
import { requireDeletable } from './streams/delete-policy.ts'
import { deniedDerived } from './streams/immutable.ts'
import { streamLink } from './streams/link-records.ts'
import { streamNotFound } from './streams/lives.ts'
import type { Cause } from './streams/records.ts'
import type { ReferrerRecords } from './streams/referrer-records.ts'
import type { Links, Pins, Stream, StreamReader, StreamWriter } from './streams/streams.ts'
import { derivedImmutability } from './streams/tag-policy.ts'

/** What a deletion takes along. */
export interface Deleted {
  /** Stood there. */
  tags: readonly string[]
  /** Manifests: the image, and what refers to it, and to that. The first 10,000. */
  manifests: readonly Digest[]
}

/** Who deletes, and why: the ledger tells it. */
export interface DeleteOptions {
  by: string
  reason?: string
  /** `User-Agent` as sent, cut to 256 characters. */
  client?: string
  /** Tells what would go, and deletes nothing; default false. */
  dryRun?: boolean
}

export interface Deletions {
  /**
   * A tag alone; the image that it stands at stays. Also one that was pushed and is derived from the digest of an image.
   *
   * @throws RegistryError MANIFEST_UNKNOWN, NAME_UNKNOWN, DENIED (held, immutable; its `cause` says it as the API does), UNSUPPORTED where
   * the project says no
   */
  tag(name: StreamName, tag: string, options: DeleteOptions): Promise<Deleted>
  /**
   * An image with all tags that stand there, and its referrers. Tags go first, links last; each step is safe alone, and the same
   * again ends what broke off. What it names stays, and its bytes until the collector takes them. Refused while an index names it
   * that a tag stands at.
   *
   * @throws RegistryError as `tag`; UNAVAILABLE when it kept being changed
   */
  image(name: StreamName, digest: Digest, options: DeleteOptions): Promise<Deleted>
  /** The stream no longer has it; refused while a manifest of the stream names it. @throws RegistryError BLOB_UNKNOWN, NAME_UNKNOWN, UNSUPPORTED */
  blob(name: StreamName, digest: Digest): Promise<void>
}

export interface DeletionsOptions {
  store: Store
  reader: Pick<StreamReader, 'stream' | 'tags'>
  writer: Pick<StreamWriter, 'changeTag' | 'changeStream'>
  links: Pick<Links, 'image'>
  pins: Pick<Pins, 'reached'>
  referrerRecords: ReferrerRecords
  /** Drops what memory has of the stream with this uid: links of it were removed, or may have been. */
  forget(uid: string, name: StreamName, digests: readonly Digest[]): void
  /** Drops what is kept for a while of what refers to a stream's images. */
  forgetReferrers?: (name: StreamName) => void
  /** Most manifests of a stream that are looked through for one that names a blob; default 20,000. */
  maxManifests?: number
  /** Most manifests that refer to an image, or to those, that are looked for at once; default 10,000. */
  maxReferrers?: number
  log: Logger
}

/** How often an image that is given anew meanwhile is deleted again. */
const maxAttempts = 20
/** Most manifests that are told of. */
const maxTold = 10_000

export function createDeletions(options: DeletionsOptions): Deletions {
  const { store, reader, links, referrerRecords: records, maxManifests = 20_000, maxReferrers = 10_000, log } = options
  const referring = { store, records, maxFound: maxReferrers }

  /** @throws RegistryError NAME_UNKNOWN, UNSUPPORTED */
  async function deletable(name: StreamName): Promise<Stream> {
    const stream = await reader.stream(name)
    if (stream === undefined) throw streamNotFound('NAME_UNKNOWN', name)
    await requireDeletable(store, stream)
    return stream
  }

  /** As `removeLinks`; what memory has of the stream is dropped. */
  async function unlinked(stream: Stream, links: readonly ReadLink[]): Promise<boolean> {
    try {
      return await removeLinks(store, stream, links)
    } finally {
      forget(stream, links)
    }
  }

  function forget(stream: Stream, links: readonly ReadLink[]): void {
    if (links.length === 0) return
    options.forget(
      stream.uid,
      stream,
      links.map(({ digest }) => digest),
    )
    options.forgetReferrers?.(stream)
  }

  /** What tags of the stream stand at, each with one of them, but for those at `digest`, which go. */
  async function tagsBut(stream: Stream, digest: Digest): Promise<Map<Digest, string>> {
    const standing = new Map<Digest, string>()
    for (const tag of await reader.tags(stream)) {
      const image = imageOf(tag)
      if (image !== undefined && image !== digest) standing.set(image, tag.name)
    }
    return standing
  }

  async function standingBut(stream: Stream, digest: Digest): Promise<Set<Digest>> {
    return new Set((await tagsBut(stream, digest)).keys())
  }

  /** @throws RegistryError DENIED */
  async function requireNotNeeded(stream: Stream, digest: Digest): Promise<void> {
    const standing = await tagsBut(stream, digest)
    await refusable(() => requireInNoIndex(store, stream, digest, standing))
  }

  async function plan(stream: Stream, digest: Digest, cause: Cause): Promise<Deleted> {
    const own = await ownLink(stream, digest)
    const standing = await tagsAt(options, stream, digest)
    if (own === undefined && standing.length === 0) throw unknownImage(stream, digest)
    if (own !== undefined) await requireNotNeeded(stream, digest)
    const tags = await removeTagsAt(options, stream, digest, standing, { cause, dryRun: true })
    const { manifests } = await referringTo(referring, stream, digest, await standingBut(stream, digest))
    const derived = await derivedTagsAt({ records }, stream, digest)
    return {
      tags: [...tags, ...derived].sort(),
      manifests: [digest, ...manifests.toReversed()].slice(0, maxTold),
    }
  }

  /** The link of a manifest, whether or not it was received. */
  async function ownLink(stream: Stream, digest: Digest) {
    const link = await readLink(store, stream, digest)
    return link !== undefined && streamLink(digest, link.record).manifestType !== undefined ? link : undefined
  }

  /** Removes what refers to an image. @returns the manifests that went; what refers to them went before */
  async function removeReferring(stream: Stream, digest: Digest): Promise<Digest[]> {
    const gone: Digest[] = []
    for (let isAll = false; !isAll; ) {
      const found = await referringTo(referring, stream, digest, await standingBut(stream, digest))
      // Where all that was found stays, so does what would have been found after it.
      isAll = found.isAll || found.manifests.length === 0
      let batch: Digest[] = []
      for (const each of found.manifests) {
        // What such a tag stands at is found by it alone: that goes before.
        if (await hasFallbacks(each)) {
          await unlink(batch)
          batch = []
          await removeFallbacks(each)
        }
        if (batch.push(each) < maxUnlinked) continue
        await unlink(batch)
        batch = []
      }
      await unlink(batch)
    }
    await removeFallbacks(digest)
    return gone

    async function hasFallbacks(of: Digest): Promise<boolean> {
      return (await records.fallbacks(stream, { of, limit: 1 })).length > 0
    }

    async function removeFallbacks(of: Digest): Promise<void> {
      for (const { tag } of await records.fallbacks(stream, { of })) await records.removeFallback(stream, tag)
    }

    async function unlink(batch: readonly Digest[]): Promise<void> {
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const found = await Promise.all(batch.map((each) => readLink(store, stream, each)))
        const there = found.flatMap((link) => link ?? [])
        if (!(await unlinked(stream, there))) continue
        gone.push(...there.map((link) => link.digest))
        return
      }
      throw unwritten(stream)
    }
  }

  /**
   * Deletes until nothing is left, in passes. Whoever moves a tag here relies on the link that was read before the tags: either the tag is
   * seen here, also after the link went, or he finds the link gone after his move.
   */
  async function removeImage(stream: Stream, digest: Digest, cause: Cause): Promise<Deleted> {
    const tags = new Set<string>()
    const manifests = new Set<Digest>()
    let isUnlinked = false
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const own = await ownLink(stream, digest)
      const standing = await tagsAt(options, stream, digest)
      const isGivenAnew = isUnlinked && own !== undefined
      if (isGivenAnew || (own === undefined && standing.length === 0)) {
        if (attempt === 0) throw unknownImage(stream, digest)
        return { tags: [...tags].sort(), manifests: [...manifests].slice(0, maxTold) }
      }
      isUnlinked = false
      if (own !== undefined) await requireNotNeeded(stream, digest)
      for (const tag of await removeTagsAt(options, stream, digest, standing, { cause })) tags.add(tag)
      if (own === undefined) continue
      for (const tag of await derivedTagsAt({ records }, stream, digest))
        if (await records.removeFallback(stream, tag, digest)) tags.add(tag)
      const others = await removeReferring(stream, digest)
      isUnlinked = await unlinked(stream, [own])
      if (isUnlinked) manifests.add(digest)
      for (const each of others.reverse()) manifests.add(each)
    }
    throw unwritten(stream)
  }

  return {
    async tag(name, tag, { dryRun = false, ...why }) {
      const stream = await deletable(name)
      if (!isTag(tag)) throw unknownTag(stream, tag)
      const isOwn = await removeTag(options, stream, tag, { cause: causeOf(why), dryRun })
      if (!isOwn) {
        // Where an upstream has such a tag is no more than remembered.
        const pushed = await records.fallback(stream, tag)
        if (pushed === undefined || pushed.host !== undefined) throw unknownTag(stream, tag)
        const immutability = await derivedImmutability((key) => store.get(key), stream, tag)
        if (immutability !== undefined) throw deniedDerived(immutability, pushed.image, { ...stream, tag })
        if (!dryRun) await records.removeFallback(stream, tag, pushed.image)
        if (!dryRun) options.forgetReferrers?.(stream)
      }
      if (!dryRun) log.info({ ...name, tag, by: why.by, client: why.client }, 'tag deleted')
      return { tags: [tag], manifests: [] }
    },

    async image(name, digest, { dryRun = false, ...why }) {
      const stream = await deletable(name)
      if (dryRun) return plan(stream, digest, causeOf(why))
      const deleted = await removeImage(stream, digest, causeOf(why))
      const { tags, manifests } = deleted
      const counted = { tags: tags.length, manifests: manifests.length }
      log.info({ ...name, digest, ...counted, by: why.by, client: why.client }, 'image deleted')
      return deleted
    },

    async blob(name, digest) {
      const stream = await deletable(name)
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const link = await readLink(store, stream, digest)
        const told = link && streamLink(digest, link.record)
        if (link === undefined || !told?.isBlob) throw unknownBlob(digest)
        if (told.manifestType !== undefined) throw inUse(digest, digest)
        await requireUnused(stream, digest)
        if (!(await unlinked(stream, [link]))) continue
        try {
          // A manifest may have come meanwhile, by whoever saw the link.
          await requireUnused(stream, digest)
        } catch (error) {
          await restoreLink(store, stream, link).finally(() => forget(stream, [link]))
          throw error
        }
        log.info({ ...name, digest }, 'blob deleted')
        return
      }
      throw unwritten(stream)
    },
  }

  /** @throws RegistryError UNSUPPORTED */
  async function requireUnused(stream: Stream, digest: Digest): Promise<void> {
    const naming = await manifestNaming({ store, links, maxManifests }, stream, digest)
    if (naming !== undefined) throw inUse(digest, naming)
  }
}

function causeOf({ by, reason, client }: Pick<DeleteOptions, 'by' | 'reason' | 'client'>): Cause {
  return { kind: 'delete', by, ...(reason ? { reason } : {}), ...(client ? { client } : {}) }
}

function inUse(digest: Digest, manifest: Digest): RegistryError {
  const what = manifest === digest ? 'it is a manifest of this repository too' : `the manifest ${manifest} names it`
  return new RegistryError('UNSUPPORTED', {
    message: `the blob is in use, ${what}: delete that manifest before`,
    detail: { digest, manifest },
  })
}

function unknownImage({ project, stream }: StreamName, digest: Digest): RegistryError {
  return new RegistryError('MANIFEST_UNKNOWN', {
    message: `image stream ${project}/${stream} has no image ${digest}`,
    detail: { digest },
  })
}

function unknownTag({ project, stream }: StreamName, tag: string): RegistryError {
  return new RegistryError('MANIFEST_UNKNOWN', {
    message: `image stream ${project}/${stream} has no tag ${JSON.stringify(tag.slice(0, 128))}`,
    detail: { tag: tag.slice(0, 128) },
  })
}

function unknownBlob(digest: Digest): RegistryError {
  return new RegistryError('BLOB_UNKNOWN', { detail: { digest } })
}
