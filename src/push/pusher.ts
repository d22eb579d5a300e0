import type { StreamName } from '../oci/reference.ts'

/** Who pushes, as far as a push depends on it. Whoever calls has checked the right to push to the stream. */
export interface Pusher {
  /** User name; an upload is his alone. */
  name: string
  /** `User-Agent` as sent, cut to 256 characters: the ledger tells it. */
  client: string
  /** Whether he may create image streams in the project. */
  mayCreate: boolean
  /** Whether he may pull from a stream: for mounts. */
  mayPull(name: StreamName): boolean
}
