/** What refers to an image of a stream: signatures, attestations, bills of materials (OCI distribution 1.1, "Listing Referrers"). */
import type { Digest } from './oci/digest.ts'
import type { StreamName } from './oci/reference.ts'

/** A manifest that has the image as its subject, as listings show it. */
export interface Referrer {
  mediaType: string
  digest: Digest
  size: number
  /** Absent for an index without one. */
  artifactType?: string
  annotations?: Record<string, string>
}

export interface ReferrersOptions {
  artifactType?: string
  /** Exclusive; the order is that of digests. */
  after?: Digest
  /** Most that are told; a page also ends at 4 MiB. */
  limit?: number
}

export interface Referrers {
  /**
   * Own ones and those that the upstreams of the image have (by their API, or the tag of the referrers tag schema), each once. What
   * an upstream tells is linked to the stream, so that it can be pulled, and kept for a minute. An upstream that fails takes nothing away from
   * the own ones.
   */
  list(name: StreamName, subject: Digest, options?: ReferrersOptions): Promise<{ referrers: Referrer[]; next?: Digest }>
  /**
   * Where a tag like `sha256-<hex>`, or with `.sig`, `.att` or `.sbom` after it, stands: what was pushed under it, else what the
   * image's upstream has under it. Linked to the stream, so that it can be pulled by digest.
   *
   * @returns undefined when it is no such tag of an image that the stream has, or nobody has it
   */
  resolve(name: StreamName, tag: string): Promise<Digest | undefined>
  /** Forgets what was kept for a while of the stream's images: something was pushed or deleted. */
  forget(name: StreamName): void
}
