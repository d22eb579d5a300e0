import type { Logger } from 'pino'
import type { Content, Location, UpstreamLocation } from '../content/content.ts'
import { locationKey } from '../content/proof.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { type Descriptor, maxDescriptors, namedContent, parseManifest } from '../oci/manifest.ts'
import type { StreamName } from '../oci/reference.ts'
import { referrerOf } from '../oci/referrer.ts'
import type { Store } from '../store/store.ts'
import { createGate } from '../streams/gate.ts'
import { homeAnnotation, homeLocation, writtenIn } from '../streams/home-annotation.ts'
import { projectKey } from '../streams/keys.ts'
import { projectOf } from '../streams/open-project.ts'
import type { Links } from '../streams/streams.ts'
import type { AllowList } from '../upstream/allow-list.ts'
import type { Upstream } from '../upstream/upstream.ts'
import { createHomeReferrers } from './home-referrers.ts'

/** Where a project's pushed content is kept, for one of its streams. */
export interface Home {
  /** What links of content that was pushed there have in the place of `here`. */
  location: UpstreamLocation
  /**
   * Pushes bytes there, unless they are there already; from then on those that are held may be given out to whoever has
   * `location`, and be evicted. Nothing of it is to be acknowledged before that.
   *
   * @param through the locations through which the bytes may be read; default `here`: they were just received from somebody who
   * is entitled to them
   * @throws RegistryError the failure of the registry (DENIED, TOOMANYREQUESTS, UNAVAILABLE); what is held stays
   */
  pushBlob(digest: Digest, size: number, through?: readonly Location[]): Promise<void>
  /**
   * Pushes a manifest there, by each of its tags, or without one by its digest; before it, what it names and the stream has, as far
   * as its links do not say that it is there. The manifest's own link need not be there yet. One with a subject is listed there among
   * what refers to that, also by a registry without the API.
   *
   * @throws RegistryError as `pushBlob`
   */
  pushManifest(digest: Digest, bytes: Buffer, mediaType: string, tags: readonly string[]): Promise<void>
}

/** The registries that projects have as their homes (annotation `weir.dev/home`). */
export interface Homes {
  /**
   * The home of a stream, there or to be; undefined where its project has none: what is pushed is `here` then.
   *
   * @throws RegistryError DENIED when Weir's config does not let that registry be used (any more), or its annotation can not be read
   */
  of(name: StreamName): Promise<Home | undefined>
}

export interface HomeOptions {
  store: Pick<Store, 'get'>
  content: Pick<Content, 'open' | 'held' | 'prove'>
  upstream: Pick<Upstream, 'pushBlob' | 'pushManifest' | 'referrers' | 'manifest'>
  links: Pick<Links, 'get'>
  allowed: Pick<AllowList, 'refusalOf'>
  /** The bytes of a manifest that the stream has; fetched where they are not held. */
  obtain(name: StreamName, digest: Digest): Promise<{ bytes: Buffer | undefined; mediaType: string }>
  log: Logger
}

/** A manifest on its way to a home. */
interface Whole {
  digest: Digest
  bytes: Buffer
  mediaType: string
}

/** Pushes to one registry on behalf of one project. */
const perHome = { most: 8, mostWaiting: 1000 }
/** Blobs of one manifest that are looked at together. */
const concurrency = 4
/** Indexes in indexes. */
const maxDepth = 4

/** Creates what pushes on to the homes of projects. Pushes of the same to the same place at the same time are one. */
export function createHome({ store, content, upstream, links, allowed, obtain, log }: HomeOptions): Homes {
  const enter = createGate(perHome)
  const referrers = createHomeReferrers({ upstream, log })
  const underWay = new Map<string, Promise<void>>()

  /** Does the work once for everybody who wants it meanwhile. */
  function once(location: UpstreamLocation, what: readonly string[], work: () => Promise<void>): Promise<void> {
    const key = JSON.stringify([locationKey(location), ...what])
    const joined = underWay.get(key)
    if (joined !== undefined) return joined
    const started = work()
      .catch((error: unknown) => {
        // Clients are told less: which logins were tried is no business of theirs.
        const { host, repository, project } = location
        log.warn({ err: error, host, repository, project, what: what[0] }, 'could not push on to a home registry')
        throw atHome(error, location)
      })
      .finally(() => underWay.delete(key))
    underWay.set(key, started)
    return started
  }

  async function inTurn(location: UpstreamLocation, work: () => Promise<void>): Promise<void> {
    const leave = await enter(`project ${location.project} at ${location.host}`)
    try {
      await work()
    } finally {
      leave()
    }
  }

  function pushBlob(
    location: UpstreamLocation,
    digest: Digest,
    size: number,
    through: readonly Location[],
  ): Promise<void> {
    const link = { digest, mediaType: 'application/octet-stream', size, locations: through }
    const open = async () => {
      const blob = await content.open(link)
      if (blob.size === size) return blob.reader
      blob.reader.close()
      throw otherSize(digest, size, blob.size)
    }
    return once(location, [digest], () =>
      inTurn(location, async () => {
        await upstream.pushBlob(location, digest, size, open)
        await content.prove(digest, location)
      }),
    )
  }

  /** Pushes a manifest by the references, and before it what it names. */
  async function pushWhole(to: Place, whole: Whole, references: readonly string[], depth = 0): Promise<void> {
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
    const { digest, bytes, mediaType } = whole
    const facts = referrerOf(manifest, bytes)
    for (const reference of references) {
      await inTurn(to.location, async () => {
        const told = await upstream.pushManifest(to.location, reference, bytes, mediaType)
        if (facts === undefined || told.subject === facts.subject) return
        await referrers.list(to.location, { mediaType, digest, size: bytes.length, ...facts })
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

  /** A registry may have lost what was pushed there long ago: what it then refuses is pushed again with all that it names. */
  async function pushManifest(
    name: StreamName,
    location: UpstreamLocation,
    whole: Whole,
    references: readonly string[],
  ) {
    const place = { name, location, walked: new Set<string>() }
    try {
      await pushWhole({ ...place, isSure: false }, whole, references)
    } catch (error) {
      const status = error instanceof RegistryError ? error.upstream?.status : undefined
      if (status !== 400 && status !== 404) throw error
      await pushWhole({ ...place, walked: new Set(), isSure: true }, whole, references)
    }
  }

  return {
    async of(name) {
      const entry = await store.get(projectKey(name.project))
      const project = entry && projectOf(entry)
      const written = writtenIn(project?.annotations)
      if (project === undefined || written === undefined) return undefined
      const location = homeLocation({ ...project, name: name.project }, name.stream)
      if (location === undefined) throw unusable(name, `${JSON.stringify(written.slice(0, 200))} is no place for it`)
      const refusal = allowed.refusalOf(location.host, 'push')
      if (refusal !== undefined) throw unusable(name, refusal)
      return {
        location,
        pushBlob: (digest, size, through = [{ kind: 'here' }]) => pushBlob(location, digest, size, through),
        pushManifest: (digest, bytes, mediaType, tags) =>
          once(location, [digest, mediaType, ...tags], () =>
            pushManifest(name, location, { digest, bytes, mediaType }, tags.length > 0 ? tags : [digest]),
          ),
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

function unusable({ project, stream }: StreamName, why: string): RegistryError {
  const message = `${project}/${stream} can not be pushed to: the project's annotation ${homeAnnotation} names its home registry, and ${why}`
  return new RegistryError('DENIED', { message })
}

/** What the registry itself answered is told as the home's; bytes may have been on their way from another. */
function atHome(error: unknown, { host, project }: UpstreamLocation): unknown {
  if (!(error instanceof RegistryError) || error.upstream?.host !== host) return error
  const { code, message, detail, retryAfterSeconds, upstream } = error
  const after = retryAfterSeconds === undefined ? {} : { retryAfterSeconds }
  return new RegistryError(code, { message, detail, ...after, upstream: { ...upstream, home: project }, cause: error })
}

function otherSize(digest: Digest, size: number, is: number): RegistryError {
  const message = `the size of ${digest} is said to be ${size} bytes, but it has ${is}`
  return new RegistryError('SIZE_INVALID', { message, detail: { digest } })
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
