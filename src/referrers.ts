/** What refers to an image of a stream: signatures, attestations, bills of materials (OCI distribution 1.1, "Listing Referrers"). */
import type { Digest } from './oci/digest.ts'
import type { RegistryError } from './oci/errors.ts'
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

/** A page of what refers to an image. */
export interface ListedReferrers {
  /** In the order of their digests. A page may be empty and yet not the last. */
  referrers: Referrer[]
  /** To go on after; absent on the last page. */
  next?: Digest
  /** Why an upstream could not tell what it has: there may be more than is listed. */
  failure?: RegistryError
}

export interface Referrers {
  /**
   * Own ones and those that the upstreams of the image have (by their API, or the tag of the referrers tag schema), each once. What
   * an upstream tells is linked to the stream, so that it can be pulled, and kept for a minute. An upstream that fails takes nothing away from
   * the own ones. Empty for a stream that is not there.
   */
  list(name: StreamName, subject: Digest, options?: ReferrersOptions): Promise<ListedReferrers>
  /**
   * Where a tag like `sha256-<hex>`, or with `.sig`, `.att` or `.sbom` after it, stands: what was pushed under it, else what the
   * image's upstream has under it, or last had. Linked to the stream, so that it can be pulled by digest.
   *
   * @returns undefined when it is no such tag of an image that the stream has, or nobody has it
   * @throws RegistryError the upstream's failure, when nothing is known of it
   */
  resolve(name: StreamName, tag: string): Promise<Digest | undefined>
  /** The tags of that kind that were pushed, in byte order; `after` is exclusive. */
  tags(name: StreamName, options?: { after?: string; limit?: number }): Promise<string[]>
  /**
   * Puts such a tag at an image that the stream has a link to, for who may push; every move of it is final.
   *
   * @returns false when it is a tag of the stream like any other: not of that form, not of an image that the stream has, or the
   * stream has a tag of that name already. Nothing is written then
   */
  push(name: StreamName, tag: string, to: { digest: Digest; mediaType: string; by: string }): Promise<boolean>
  /** Takes such a tag away. @returns false when there is none */
  remove(name: StreamName, tag: string): Promise<boolean>
  /** Forgets what was kept for a while of the stream's images: something was pushed or deleted. */
  forget(name: StreamName): void
}
