import type { Logger } from 'pino'
import type { Content, Location, UpstreamLocation } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { homeAnnotation, homeLocation, writtenIn } from '../streams/home-annotation.ts'
import { projectKey } from '../streams/keys.ts'
import { projectOf } from '../streams/open-project.ts'
import type { Links } from '../streams/streams.ts'
import type { AllowList } from '../upstream/allow-list.ts'
import type { Upstream } from '../upstream/upstream.ts'
import { createHomeManifests } from './home-manifests.ts'
import { createHomeReferrers } from './home-referrers.ts'
import { createHomeWork } from './home-work.ts'

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

/** Creates what pushes on to the homes of projects. Pushes of the same to the same place at the same time are one. */
export function createHome({ store, content, upstream, links, allowed, obtain, log }: HomeOptions): Homes {
  const work = createHomeWork({ log })
  const referrers = createHomeReferrers({ upstream, log })
  const manifests = createHomeManifests({ links, content, upstream, referrers, work, pushBlob, obtain })

  function pushBlob(location: UpstreamLocation, digest: Digest, size: number, through: readonly Location[]) {
    const link = { digest, mediaType: 'application/octet-stream', size, locations: through }
    const open = async () => {
      const blob = await content.open(link)
      if (blob.size === size) return blob.reader
      blob.reader.close()
      throw otherSize(digest, size, blob.size)
    }
    return work.once(location, [digest], () =>
      work.inTurn(location, async () => {
        await upstream.pushBlob(location, digest, size, open)
        await content.prove(digest, location)
      }),
    )
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
          work.once(location, [digest, mediaType, ...tags], () =>
            manifests.push(name, location, { digest, bytes, mediaType }, tags.length > 0 ? tags : [digest]),
          ),
      }
    },
  }
}

function unusable({ project, stream }: StreamName, why: string): RegistryError {
  const message = `${project}/${stream} can not be pushed to: the project's annotation ${homeAnnotation} names its home registry, and ${why}`
  return new RegistryError('DENIED', { message })
}

function otherSize(digest: Digest, size: number, is: number): RegistryError {
  const message = `the size of ${digest} is said to be ${size} bytes, but it has ${is}`
  return new RegistryError('SIZE_INVALID', { message, detail: { digest } })
}
