import type { Location, UpstreamLocation } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'

/** Where a project's pushed content is kept, for one of its streams. */
export interface Home {
  /** What links of content that was pushed there have in the place of `here`. */
  location: UpstreamLocation
  /**
   * Pushes bytes there, unless they are there already; from then on they may be given out to whoever has `location`, and be
   * evicted. Nothing of it is to be acknowledged before that.
   *
   * @param through the locations through which the bytes may be read; default `here`: they were just received from somebody who
   * is entitled to them
   * @throws RegistryError the failure of the registry (DENIED, TOOMANYREQUESTS, UNAVAILABLE); what is held stays
   */
  pushBlob(digest: Digest, size: number, through?: readonly Location[]): Promise<void>
  /**
   * Pushes a manifest there, by each of its tags, or without one by its digest; before it, what it names and the stream has, as far
   * as its links do not say that it is there. The manifest's own link need not be there yet.
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
