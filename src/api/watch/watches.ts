import { RegistryError } from '../../oci/errors.ts'
import type { Rendering } from '../render.ts'
import type { Call, Resource } from '../resource.ts'

/** A request to follow a list. */
export interface WatchRequest {
  row: Resource
  call: Call
  query: URLSearchParams
  rendering: Rendering
  /** Ends when the client goes. */
  signal: AbortSignal
}

/** Serves watches: one that follows the store a resource, whatever the number of watchers. */
export interface Watches {
  /**
   * Answers a stream of `{type, object}` lines.
   *
   * @throws RegistryError EXPIRED, BAD_REQUEST
   */
  watch(request: WatchRequest): Promise<Response>
}

export function createWatches(): Watches {
  return { watch: () => Promise.reject(new RegistryError('UNSUPPORTED')) }
}
