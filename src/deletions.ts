/** Deleting from streams: tags, images by digest with what refers to them, blobs. Every tag that goes is an entry of its ledger. */
import type { Logger } from 'pino'
import { type BlobRemovalOptions, removeBlob } from './deletions/blob.ts'
import { type Deleted, type ImageRemovalOptions, planImage, removeImage } from './deletions/image.ts'
import { type ReadLink, removeLinks, type Unlink } from './deletions/links.ts'
import { removeTag } from './deletions/tags.ts'
import type { Digest } from './oci/digest.ts'
import { RegistryError } from './oci/errors.ts'
import { isTag, type StreamName } from './oci/reference.ts'
import type { Store } from './store/store.ts'
import { requireDeletable } from './streams/delete-policy.ts'
import { deniedDerived } from './streams/immutable.ts'
import { streamNotFound } from './streams/lives.ts'
import type { Cause } from './streams/records.ts'
import type { ReferrerRecords } from './streams/referrer-records.ts'
import type { Links, Pins, Stream, StreamReader, StreamWriter } from './streams/streams.ts'
import { derivedImmutability } from './streams/tag-policy.ts'

export type { Deleted } from './deletions/image.ts'

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

export function createDeletions(options: DeletionsOptions): Deletions {
  const { store, reader, referrerRecords: records, maxManifests = 20_000, maxReferrers = 10_000, log } = options

  function forget(stream: Stream, links: readonly ReadLink[]): void {
    if (links.length === 0) return
    const digests = links.map(({ digest }) => digest)
    options.forget(stream.uid, stream, digests)
    options.forgetReferrers?.(stream)
  }

  const unlink: Unlink = async (stream, links, conditions) => {
    try {
      return await removeLinks(store, stream, links, conditions)
    } finally {
      forget(stream, links)
    }
  }

  const ofImages: ImageRemovalOptions = { ...options, records, maxReferrers, unlink }
  const ofBlobs: BlobRemovalOptions = { ...options, maxManifests, unlink, forget }

  /** @throws RegistryError NAME_UNKNOWN, UNSUPPORTED */
  async function deletable(name: StreamName): Promise<Stream> {
    const stream = await reader.stream(name)
    if (stream === undefined) throw streamNotFound('NAME_UNKNOWN', name)
    await requireDeletable(store, stream)
    return stream
  }

  /** Removes a pushed tag that is derived from the digest of an image. */
  async function removeDerived(stream: Stream, tag: string, dryRun: boolean): Promise<void> {
    const pushed = await records.fallback(stream, tag)
    // Where an upstream has such a tag is no more than remembered.
    if (pushed === undefined || pushed.host !== undefined) throw unknownTag(stream, tag)
    const immutability = await derivedImmutability((key) => store.get(key), stream, tag)
    if (immutability !== undefined) throw deniedDerived(immutability, pushed.image, { ...stream, tag }, 'delete')
    if (dryRun) return
    await records.removeFallback(stream, tag, pushed.image)
    options.forgetReferrers?.(stream)
  }

  return {
    async tag(name, tag, { dryRun = false, ...why }) {
      const stream = await deletable(name)
      if (!isTag(tag)) throw unknownTag(stream, tag)
      const isOwn = await removeTag(options, stream, tag, { cause: causeOf(why), dryRun })
      if (!isOwn) await removeDerived(stream, tag, dryRun)
      if (!dryRun) log.info({ ...name, tag, by: why.by, client: why.client }, 'tag deleted')
      return { tags: [tag], manifests: [] }
    },

    async image(name, digest, { dryRun = false, ...why }) {
      const stream = await deletable(name)
      const removal = { stream, digest, cause: causeOf(why) }
      if (dryRun) return planImage(ofImages, removal)
      const deleted = await removeImage(ofImages, removal)
      const { tags, manifests } = deleted
      const counted = { tags: tags.length, manifests: manifests.length }
      log.info({ ...name, digest, ...counted, by: why.by, client: why.client }, 'image deleted')
      return deleted
    },

    async blob(name, digest) {
      await removeBlob(ofBlobs, await deletable(name), digest)
      log.info({ ...name, digest }, 'blob deleted')
    },
  }
}

function causeOf({ by, reason, client }: Pick<DeleteOptions, 'by' | 'reason' | 'client'>): Cause {
  return { kind: 'delete', by, ...(reason ? { reason } : {}), ...(client ? { client } : {}) }
}

function unknownTag({ project, stream }: StreamName, tag: string): RegistryError {
  return new RegistryError('MANIFEST_UNKNOWN', {
    message: `image stream ${project}/${stream} has no tag ${JSON.stringify(tag.slice(0, 128))}`,
    detail: { tag: tag.slice(0, 128) },
  })
}
