/** Fetches what pins need, in the background, within the upstreams' budgets, and tells how far it is. */
import type { Digest } from './oci/digest.ts'
import type { StreamName } from './oci/reference.ts'
import type { Stream } from './streams/streams.ts'

/** How much of what a tag's pin needs is held. */
export interface RetainedState {
  image: Digest
  state: 'held' | 'fetching' | 'failed'
  /** Manifests and blobs that are needed and known of, and how many of them are held. */
  parts: number
  heldParts: number
  bytes: number
  heldBytes: number
  /** Why it failed the last time; it is tried again. */
  message?: string
}

export interface Retention {
  /** undefined when the tag does not stand anywhere, or nothing is to be kept for it (`pulled`). */
  state(name: StreamName, tag: string): Promise<RetainedState | undefined>
  /**
   * Fetches all that the tag's policy wants of an image which the stream has links to; settles when everything is held. For
   * tags that move only then (`weir.dev/move: when-held`).
   *
   * @throws RegistryError the upstream's failure, UNAVAILABLE when there is no room
   */
  complete(stream: Stream, tag: string, image: Digest, signal: AbortSignal): Promise<void>
  /** Wants the content of a tag's pin held now, whatever its policy says; fetched in the background. @throws RegistryError NOT_FOUND */
  prefetch(name: StreamName, tag: string, by: string): Promise<RetainedState>
}
