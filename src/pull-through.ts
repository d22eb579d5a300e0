import type { Logger } from 'pino'
import type { Content, OpenBlob, RangeRequest } from './content/content.ts'
import { type Digest, parseDigest } from './oci/digest.ts'
import { type ErrorCode, RegistryError } from './oci/errors.ts'
import { parseFallbackTag } from './oci/fallback-tag.ts'
import { isTag, type StreamName } from './oci/reference.ts'
import { createBlobLinks } from './pull-through/blob-links.ts'
import { createManifests, type LivingStream } from './pull-through/manifests.ts'
import type { Links, Pin, Pins, StreamLink, StreamReader } from './streams/streams.ts'
import type { Upstream } from './upstream/upstream.ts'

/** A manifest to serve, or to tell of: `bytes` is absent for HEAD where Weir has not fetched it. */
export interface ServedManifest {
  digest: Digest
  mediaType: string
  size: number
  bytes: Buffer | undefined
  /** Of a pull by tag: where the tag stands. */
  pin: Pin | undefined
}

/** Stream reference -> pin -> verified content. Whoever calls has checked the caller's right to pull. */
export interface PullThrough {
  /**
   * The manifest when memory has everything: the warm path, no disk, no network, no promise. undefined sends the caller to
   * {@link manifest}. `reference` is a tag or a digest, as the client wrote it.
   */
  warm(project: string, stream: string, reference: string): ServedManifest | undefined
  /**
   * In the background an upstream is asked after those who wait.
   *
   * @throws RegistryError NAME_UNKNOWN, MANIFEST_UNKNOWN, DIGEST_INVALID, or the upstream's failure
   */
  manifest(
    name: StreamName,
    reference: string,
    options: { head: boolean; isBackground?: boolean },
  ): Promise<ServedManifest>
  /** @throws RegistryError BLOB_UNKNOWN, DIGEST_INVALID, or the upstream's failure */
  blobSize(name: StreamName, digest: string): Promise<{ digest: Digest; size: number }>
  /**
   * `signal` aborts when nobody waits for the blob any more.
   *
   * @throws RegistryError BLOB_UNKNOWN, DIGEST_INVALID, RANGE_INVALID, or the upstream's failure
   */
  blob(
    name: StreamName,
    digest: string,
    range?: RangeRequest,
    signal?: AbortSignal,
  ): Promise<OpenBlob & { digest: Digest }>
  /**
   * What a stream may have of a blob, also where nobody read yet the manifest that names it; undefined when it has none.
   *
   * @throws RegistryError the upstream's failure, while it can not be known
   */
  findBlob(name: StreamName, digest: Digest): Promise<StreamLink | undefined>
  /** Forgets what memory has for the stream with this uid, or for all: links of it were removed. */
  forget(uid?: string): void
  /** Tag names in byte order. @throws RegistryError NAME_UNKNOWN */
  tags(name: StreamName, options: { after?: string; limit?: number }): Promise<string[]>
}

export interface PullThroughOptions {
  reader: StreamReader
  links: Links
  pins: Pins
  content: Content
  upstream: Upstream
  /** Tags that are derived from the digest of an image, and are none of the stream's; default: there are none. */
  fallbackTags?: FallbackTags
  /** Milliseconds since the epoch; default the system clock. */
  now?: () => number
  /** Most bytes of manifests in memory; default 64 MiB. */
  maxCachedBytes?: number
  /** Most manifests read to find out whether a stream has a blob; default 64. */
  maxReads?: number
  log?: Logger
}

/** Where tags like `sha256-<hex>` and `sha256-<hex>.sig` stand: signatures and indexes of what refers to an image. */
export interface FallbackTags {
  /** Linked to the stream; undefined when there is none. */
  resolve(name: StreamName, tag: string): Promise<Digest | undefined>
  /** Those that were pushed, in byte order. */
  tags(name: StreamName, options?: { after?: string; limit?: number }): Promise<string[]>
}

/** Least tags read at once: those without a pin are left out of an answer. */
const tagsAtOnce = 100

/** Creates the pull path. A pull by a tag of the stream never asks an upstream about the tag (I1). */
export function createPullThrough(options: PullThroughOptions): PullThrough {
  const { reader, links, pins, content, upstream, fallbackTags, log } = options
  const { now = Date.now, maxCachedBytes = 64 * 1024 * 1024, maxReads = 64 } = options
  const manifests = createManifests({ links, content, upstream, maxCachedBytes, log })
  const blobLinks = createBlobLinks({ reader, links, manifests, now, maxReads })
  const pinned = new WeakMap<Pin, { served: ServedManifest; answer: ServedManifest }>()

  /** The same answer at a pin; the same object as long as memory has both. */
  function at(pin: Pin, served: ServedManifest): ServedManifest {
    const before = pinned.get(pin)
    if (before?.served === served) return before.answer
    const answer = { ...served, pin }
    pinned.set(pin, { served, answer })
    return answer
  }

  async function living(name: StreamName, code: ErrorCode): Promise<LivingStream> {
    const uid = await pins.uid(name)
    if (uid === undefined) throw unknown(code, { name: `${name.project}/${name.stream}` })
    return { name, uid }
  }

  /** Where a tag stands that is none of the stream's. */
  async function resolved(name: StreamName, tag: string): Promise<Digest> {
    const digest = parseFallbackTag(tag) && (await fallbackTags?.resolve(name, tag))
    if (digest === undefined) throw unknown('MANIFEST_UNKNOWN', { tag })
    return digest
  }

  /** Only through a link of this stream, whatever is held or known elsewhere (I5). */
  async function serve(
    stream: LivingStream,
    digest: Digest,
    { head, isBackground = false }: { head: boolean; isBackground?: boolean },
  ): Promise<ServedManifest> {
    const cached = manifests.peek(stream.uid, digest)
    if (cached !== undefined) return cached
    const link = await links.get(stream.name, digest)
    if (link?.manifestType === undefined) throw unknown('MANIFEST_UNKNOWN', { digest })
    if (!head) return manifests.load(stream, link, isBackground)
    const size = await manifests.size(stream, link)
    return { digest, mediaType: link.manifestType, size, bytes: undefined, pin: undefined }
  }

  async function blobLink(name: StreamName, written: string): Promise<StreamLink> {
    const digest = requireDigest(written)
    const link = await blobLinks.find(await living(name, 'BLOB_UNKNOWN'), digest)
    // A manifest is had at /manifests/ alone: clients that find none there ask here, and must hear the same.
    if (!link?.isBlob) throw unknown('BLOB_UNKNOWN', { digest })
    return { ...link, askedFor: name }
  }

  return {
    warm(project, stream, reference) {
      if (reference.includes(':')) {
        const uid = pins.peekUid(project, stream)
        return uid ? manifests.peek(uid, reference) : undefined
      }
      const pin = pins.peek(project, stream, reference)
      const served = pin ? manifests.peek(pin.uid, pin.digest) : undefined
      return pin && served ? at(pin, served) : undefined
    },

    async manifest(name, reference, options) {
      if (reference.includes(':')) {
        const digest = requireDigest(reference)
        return serve(await living(name, 'NAME_UNKNOWN'), digest, options)
      }
      const stream = await living(name, 'NAME_UNKNOWN')
      const pin = isTag(reference) ? await pins.pin(name, reference) : undefined
      if (pin === undefined) return serve(stream, await resolved(name, reference), options)
      return at(pin, await serve({ name, uid: pin.uid }, pin.digest, options))
    },

    async blobSize(name, written) {
      const link = await blobLink(name, written)
      return { digest: link.digest, size: await content.stat(link) }
    },

    async blob(name, written, range, signal) {
      const link = await blobLink(name, written)
      return { digest: link.digest, ...(await content.open(link, range, signal)) }
    },

    async findBlob(name, digest) {
      const uid = await pins.uid(name)
      return uid === undefined ? undefined : blobLinks.find({ name, uid }, digest)
    },

    forget(uid) {
      manifests.forget(uid)
      blobLinks.forget(uid)
    },

    async tags(name, { after, limit = Number.POSITIVE_INFINITY }) {
      await living(name, 'NAME_UNKNOWN')
      const names: string[] = []
      for (let last = after; names.length < limit; ) {
        const wanted = Math.max(limit - names.length, tagsAtOnce)
        const page = await reader.tags(name, { limit: wanted, ...(last === undefined ? {} : { after: last }) })
        for (const tag of page) if (tag.record.items[0]?.image) names.push(tag.name)
        if (page.length < wanted) break
        last = page.at(-1)?.name
      }
      const derived = (await fallbackTags?.tags(name, { limit, ...(after !== undefined && { after }) })) ?? []
      const all = derived.length === 0 ? names : [...new Set([...names, ...derived])].sort()
      return all.slice(0, limit)
    },
  }
}

function requireDigest(written: string): Digest {
  const digest = parseDigest(written)
  if (digest === undefined) throw unknown('DIGEST_INVALID', { digest: written.slice(0, 200) })
  return digest
}

function unknown(code: ErrorCode, detail: Record<string, string>): RegistryError {
  return new RegistryError(code, { detail })
}
