import type { Readable } from 'node:stream'
import type { Digest } from '../oci/digest.ts'

/** Where bytes can be had again: an upstream repository, and the project whose credential fetches there. */
export interface UpstreamLocation {
  kind: 'upstream'
  host: string
  repository: string
  project: string
  /** Of that project: a later one of its name gives this location no login. Absent in records that do not know it. */
  projectUid?: string
}

/** Bytes that were pushed, mounted or promoted into this stream by somebody entitled to them. */
export interface HereLocation {
  kind: 'here'
}

export type Location = UpstreamLocation | HereLocation

/** What one stream may have of one digest: the right and the way to its bytes (DESIGN section 4, Links). */
export interface Link {
  digest: Digest
  mediaType: string
  /** Bytes; undefined when no manifest told the size yet. */
  size: number | undefined
  locations: readonly Location[]
}

/** A byte range as asked for: `start` absent means the last `end` bytes; `end` (inclusive) absent means to the end. */
export interface RangeRequest {
  start?: number
  end?: number
}

/** An open blob. `length` bytes of it, from `offset` of `size`, come through `stream`, which fails when they turn out wrong. */
export interface OpenBlob {
  size: number
  offset: number
  length: number
  stream: Readable
}

/** Fetches a blob's bytes from one location; given by the composition root, so that content/ knows no network. */
export interface BlobSource {
  size(location: UpstreamLocation, digest: Digest): Promise<number>
  open(
    location: UpstreamLocation,
    digest: Digest,
    range: { start: number; end?: number } | undefined,
    signal: AbortSignal,
  ): Promise<{ size: number | undefined; offset: number; stream: Readable }>
}

/**
 * Bytes by digest. Held bytes are given out through a link only when they were received whole and verified through one
 * of that link's locations, or are `here` for it; otherwise they are fetched again through the link's own location
 * (invariant I5: a manifest that merely names another project's layer opens nothing).
 */
export interface Content {
  /** A whole small object (a manifest) that is held and may be given out through `link`; undefined otherwise. */
  manifest(link: Link): Promise<Buffer | undefined>
  /** Keeps a manifest that was received whole through `location`; durable when it returns. @throws RegistryError DIGEST_INVALID */
  putManifest(digest: Digest, bytes: Buffer, location: Location): Promise<void>
  /**
   * The size of what `open` would give, without opening it: of bytes that are not held a location is asked, since what a
   * manifest merely names need not be there.
   *
   * @throws RegistryError BLOB_UNKNOWN, or the upstream's failure
   */
  stat(link: Link): Promise<number>
  /**
   * Opens a blob through `link`. A whole body is verified while it passes: the last piece is held back until the digest
   * matches, and on a mismatch the stream fails (I4). `signal` ends the waiting for its first byte, which the upstream may
   * never send; later the stream is destroyed instead.
   *
   * @throws RegistryError RANGE_INVALID with `detail.size`, or the upstream's failure
   */
  open(link: Link, range?: RangeRequest, signal?: AbortSignal): Promise<OpenBlob>
  close(): Promise<void>
}
