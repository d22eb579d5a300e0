import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import type { Content, UpstreamLocation } from '../content/content.ts'
import { firstAnswer } from '../content/locations.ts'
import type { Digest } from '../oci/digest.ts'
import { type Manifest, parseManifest, writtenMediaType } from '../oci/manifest.ts'
import { isManifestType } from '../oci/media-types.ts'
import type { StreamName } from '../oci/reference.ts'
import { imageRecord, linksOf } from '../streams/admission.ts'
import type { Links, NewLink, StreamLink } from '../streams/streams.ts'
import type { FetchedManifest, Upstream } from '../upstream/upstream.ts'
import { createSingleFlight } from './single-flight.ts'

/** A manifest as a stream gives it out; never changed, so that others may remember things by it. */
export interface LoadedManifest {
  readonly digest: Digest
  readonly mediaType: string
  readonly size: number
  readonly bytes: Buffer
  readonly pin: undefined
}

/** A stream by its name and the uid it has now. */
export interface LivingStream {
  name: StreamName
  uid: string
}

/** Manifests of streams: memory, then the content store, then the upstream. */
export interface Manifests {
  /** What memory has of a digest for the stream with this uid. */
  peek(uid: string, digest: string): LoadedManifest | undefined
  /**
   * Reads the exact bytes behind a link of the stream into memory. What they name is linked to the stream before they are given out.
   *
   * @throws RegistryError MANIFEST_UNKNOWN, MANIFEST_INVALID, or the upstream's failure
   */
  load(stream: LivingStream, link: StreamLink, isBackground?: boolean): Promise<LoadedManifest>
  /** The size of what `load` would give, without a GET where the upstream allows it. @throws RegistryError as `load` */
  size(stream: LivingStream, link: StreamLink): Promise<number>
  /** Forgets what memory has for the stream with this uid, or for all: links of it were removed. */
  forget(uid?: string): void
}

export interface ManifestsOptions {
  links: Pick<Links, 'add' | 'putImage'>
  content: Pick<Content, 'manifest' | 'putManifest'>
  upstream: Pick<Upstream, 'onBehalf'>
  /** Most bytes of manifests in memory. */
  maxCachedBytes: number
  log: Logger | undefined
}

/** About what an entry costs beside its bytes. */
const entryBytes = 512

export function createManifests({ links, content, upstream, maxCachedBytes, log }: ManifestsOptions): Manifests {
  const cache = new LRUCache<string, LoadedManifest>({
    maxSize: maxCachedBytes,
    sizeCalculation: ({ size }) => size + entryBytes,
  })
  const loading = createSingleFlight<LoadedManifest>()
  let forgotten = 0
  const fetching = createSingleFlight<FetchedManifest>()

  function fetch(
    { name: stream }: LivingStream,
    link: StreamLink,
    isBackground: boolean,
  ): Promise<Omit<FetchedManifest, 'digest'> & { location: UpstreamLocation }> {
    const asked = upstream.onBehalf({ isBackground, stream })
    return firstAnswer(link, 'MANIFEST_UNKNOWN', async (location) => {
      const { host, repository, project } = location
      // Who waits is not refused what the background is.
      const key = JSON.stringify([host, repository, project, link.digest, isBackground])
      const { bytes, mediaType } = await fetching(key, () => asked.manifest(location, link.digest))
      // What this stream received once, it gives out in the same way for ever.
      return { bytes, mediaType: link.received ? link.mediaType : mediaType, location }
    })
  }

  async function obtain(stream: LivingStream, link: StreamLink, isBackground: boolean): Promise<LoadedManifest> {
    const { digest } = link
    const before = forgotten
    const held = await content.manifest(link)
    const { bytes, mediaType, location } =
      held === undefined
        ? await fetch(stream, link, isBackground)
        : { bytes: held, mediaType: typeOfHeld(held, link), location: undefined }
    const manifest = parseManifest(bytes, mediaType)
    // A child of an index that nobody had yet: from now on it is an image of this stream.
    if (!link.received) await links.putImage(digest, imageRecord(manifest, bytes.length))
    // Whoever has the bytes asks for what they name next. Another stream may have kept them: these links are this one's.
    const named = linksThrough(link, { digest, mediaType, bytes }, manifest)
    // It may have been deleted since this pull began, and is not to come back by it.
    await links.add(stream.name, stream.uid, named, { whileThere: digest })
    if (location !== undefined) await keep(digest, bytes, location)
    const loaded: LoadedManifest = { digest, mediaType, size: bytes.length, bytes, pin: undefined }
    // Links that were there at the beginning may be gone again.
    if (before === forgotten) cache.set(keyOf(stream.uid, digest), loaded)
    return loaded
  }

  /** A full disk is no failure of the pull. */
  async function keep(digest: Digest, bytes: Buffer, location: UpstreamLocation): Promise<void> {
    try {
      await content.putManifest(digest, bytes, location)
    } catch (error) {
      log?.error({ err: error, digest }, 'manifest not kept')
    }
  }

  function load(stream: LivingStream, link: StreamLink, isBackground = false): Promise<LoadedManifest> {
    const key = `${keyOf(stream.uid, link.digest)} ${isBackground}`
    return loading(key, () => obtain(stream, link, isBackground))
  }

  return {
    peek: (uid, digest) => cache.get(keyOf(uid, digest)),
    load,
    async size(stream, link) {
      const known = link.size ?? (await content.manifest(link))?.length
      if (known !== undefined) return known
      const asked = upstream.onBehalf({ isBackground: false, stream: stream.name })
      const told = await firstAnswer(link, 'MANIFEST_UNKNOWN', (location) => asked.resolve(location, link.digest))
      return told.size ?? (await load(stream, link)).size
    },
    forget(uid) {
      forgotten += 1
      if (uid === undefined) cache.clear()
      else for (const key of [...cache.keys()]) if (key.startsWith(keyOf(uid, ''))) cache.delete(key)
    },
  }
}

/**
 * What a stream gets that has read a manifest. What is `here` was pushed, each part by itself: who names other content in what he
 * pushes gets no right to it (I5).
 */
function linksThrough(link: StreamLink, fetched: FetchedManifest, manifest: Manifest): NewLink[] {
  const elsewhere = link.locations.filter(({ kind }) => kind === 'upstream')
  if (elsewhere.length > 0) return linksOf(fetched, manifest, elsewhere)
  return linksOf(fetched, manifest, link.locations).filter(({ digest }) => digest === link.digest)
}

function keyOf(uid: string, digest: string): string {
  return `${uid} ${digest}`
}

/** Bytes that another stream received: their own word goes before what this stream's manifests say of them. */
function typeOfHeld(bytes: Buffer, link: StreamLink): string {
  if (link.received) return link.mediaType
  const written = writtenMediaType(bytes)
  return written !== undefined && isManifestType(written) ? written : (link.manifestType ?? link.mediaType)
}
