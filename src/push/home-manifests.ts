import type { Content, Location, UpstreamLocation } from '../content/content.ts'
import { locationKey } from '../content/proof.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { type Descriptor, maxDescriptors, namedContent, parseManifest } from '../oci/manifest.ts'
import type { StreamName } from '../oci/reference.ts'
import { type ReferrerFacts, referrerOf } from '../oci/referrer.ts'
import type { Links } from '../streams/streams.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { HomeReferrers } from './home-referrers.ts'
import type { HomeWork } from './home-work.ts'

export interface HomeManifestsOptions {
  links: Pick<Links, 'get'>
  content: Pick<Content, 'held'>
  upstream: Pick<Upstream, 'pushManifest'>
  referrers: HomeReferrers
  work: Pick<HomeWork, 'inTurn'>
  pushBlob(location: UpstreamLocation, digest: Digest, size: number, through: readonly Location[]): Promise<void>
  /** The bytes of a manifest that the stream has; fetched where they are not held. */
  obtain(name: StreamName, digest: Digest): Promise<{ bytes: Buffer | undefined; mediaType: string }>
}

/** A manifest on its way to a home. */
export interface WholeManifest {
  digest: Digest
  bytes: Buffer
  mediaType: string
}

/** Pushes manifests on with what they name. */
export interface HomeManifests {
  /**
   * Pushes what the stream has of all that the manifest names, as far as links do not say that it is there, and then the manifest by
   * each of the references.
   *
   * @throws RegistryError MANIFEST_BLOB_UNKNOWN for what can not be had any more, MANIFEST_INVALID for what names too much, and what
   * the registry answers
   */
  push(name: StreamName, location: UpstreamLocation, whole: WholeManifest, references: readonly string[]): Promise<void>
}

/** Blobs of one manifest that are looked at together. */
const concurrency = 4
/** Indexes in indexes. */
const maxDepth = 4

export function createHomeManifests(options: HomeManifestsOptions): HomeManifests {
  const { links, content, upstream, referrers, work, pushBlob, obtain } = options

  /** What it names, and then the manifest itself. */
  async function pushWhole(to: Place, whole: WholeManifest, references: readonly string[], depth = 0): Promise<void> {
    if (depth > maxDepth) throw tooMuch(whole.digest, `indexes in more than ${maxDepth} indexes`)
    const manifest = parseManifest(whole.bytes, whole.mediaType)
    const named = namedContent(manifest).filter(({ foreign }) => !foreign)
    await someAtOnce(named, manifest.kind === 'index' ? 1 : concurrency, async (descriptor) => {
      if (to.walked.has(descriptor.digest)) return
      if (to.walked.size >= maxDescriptors) throw tooMuch(whole.digest, `more than ${maxDescriptors} digests`)
      to.walked.add(descriptor.digest)
      if (manifest.kind === 'index') await pushChild(to, descriptor, depth)
      else await pushPart(to, descriptor)
    })
    await put(to, whole, referrerOf(manifest, whole.bytes), references)
  }

  /** The manifest by the references, and where it has a subject what tells that at the registry. */
  async function put(
    { location }: Place,
    whole: WholeManifest,
    facts: ReferrerFacts | undefined,
    by: readonly string[],
  ) {
    const { digest, bytes, mediaType } = whole
    for (const reference of by) {
      await work.inTurn(location, async () => {
        const told = await upstream.pushManifest(location, reference, bytes, mediaType)
        if (facts === undefined || told.subject === facts.subject) return
        await referrers.list(location, { mediaType, digest, size: bytes.length, ...facts })
      })
    }
  }

  async function pushPart({ name, location, isSure }: Place, { digest, size }: Descriptor): Promise<void> {
    const link = await links.get(name, digest)
    if (link === undefined || (!isSure && isAt(link.locations, location))) return
    // What links and manifests say of a size they may have of anybody.
    const heldBytes = await content.held(link)
    await pushBlob(location, digest, heldBytes ?? size, link.locations).catch((error: unknown) => {
      throw isUnknown(error) ? missing(digest, error) : error
    })
  }

  /** What the stream does not have of an index is not there either. */
  async function pushChild(to: Place, { digest }: Descriptor, depth: number): Promise<void> {
    const link = await links.get(to.name, digest)
    if (link?.manifestType === undefined || (!to.isSure && isAt(link.locations, to.location))) return
    const { bytes, mediaType } = await obtain(to.name, digest).catch((error: unknown) => {
      throw isUnknown(error) ? missing(digest, error) : error
    })
    if (bytes === undefined) throw new TypeError(`${digest} was obtained without its bytes`)
    await pushWhole(to, { digest, bytes, mediaType }, [digest], depth + 1)
  }

  return {
    async push(name, location, whole, references) {
      const place = { name, location, walked: new Set<string>() }
      try {
        await pushWhole({ ...place, isSure: false }, whole, references)
      } catch (error) {
        // A registry may have lost what was pushed there long ago: all is pushed again.
        const status = error instanceof RegistryError ? error.upstream?.status : undefined
        if (status !== 400 && status !== 404) throw error
        await pushWhole({ ...place, walked: new Set(), isSure: true }, whole, references)
      }
    },
  }
}

/** Where a manifest goes and from which stream. */
interface Place {
  name: StreamName
  location: UpstreamLocation
  /** Digests that were looked at. */
  walked: Set<string>
  /** The registry is asked for everything, whatever links say. */
  isSure: boolean
}

function isAt(locations: readonly Location[], location: UpstreamLocation): boolean {
  const key = locationKey(location)
  return locations.some((each) => each.kind === 'upstream' && locationKey(each) === key)
}

/** @throws what the first failed one threw, once those begun have ended */
async function someAtOnce<T>(items: readonly T[], most: number, work: (item: T) => Promise<void>): Promise<void> {
  for (let i = 0; i < items.length; i += most) {
    const outcomes = await Promise.allSettled(items.slice(i, i + most).map(work))
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }
}

/** Whether there is nowhere that bytes can be read from. What the home registry itself does not have, it says otherwise. */
function isUnknown(error: unknown): boolean {
  return error instanceof RegistryError && (error.code === 'BLOB_UNKNOWN' || error.code === 'MANIFEST_UNKNOWN')
}

function missing(digest: Digest, cause: unknown): RegistryError {
  const message = 'the manifest names content that can not be had any more: push it first'
  return new RegistryError('MANIFEST_BLOB_UNKNOWN', { message, detail: [{ digest }], cause })
}

function tooMuch(digest: Digest, what: string): RegistryError {
  const message = `${digest} names ${what}, which are not pushed on to a home registry: push the images that it names first`
  return new RegistryError('MANIFEST_INVALID', { message })
}
