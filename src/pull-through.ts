import type { OpenBlob, RangeRequest } from './content/content.ts'
import type { Digest } from './oci/digest.ts'
import type { StreamName } from './oci/reference.ts'
import type { Pin } from './streams/streams.ts'

/** A manifest to serve, or to tell of: `bytes` is absent for HEAD where Weir has not fetched it. */
export interface ServedManifest {
  digest: Digest
  mediaType: string
  size: number
  bytes: Buffer | undefined
  /** Of a pull by tag: where the tag stands. */
  pin: Pin | undefined
}

/** Stream reference -> pin -> verified content. Whoever calls has checked the caller's right to pull. */
export interface PullThrough {
  /**
   * The manifest when memory has everything: the warm path, no disk, no network, no promise. undefined sends the caller to
   * {@link manifest}. `reference` is a tag or a digest, as the client wrote it.
   */
  warm(project: string, stream: string, reference: string): ServedManifest | undefined
  /** @throws RegistryError NAME_UNKNOWN, MANIFEST_UNKNOWN, DIGEST_INVALID, or the upstream's failure */
  manifest(name: StreamName, reference: string, options: { head: boolean }): Promise<ServedManifest>
  /** @throws RegistryError BLOB_UNKNOWN, DIGEST_INVALID, or the upstream's failure */
  blobSize(name: StreamName, digest: string): Promise<{ digest: Digest; size: number }>
  /** @throws RegistryError BLOB_UNKNOWN, DIGEST_INVALID, RANGE_INVALID, or the upstream's failure */
  blob(name: StreamName, digest: string, range?: RangeRequest): Promise<OpenBlob & { digest: Digest }>
  /** Tag names in byte order. @throws RegistryError NAME_UNKNOWN */
  tags(name: StreamName, options: { after?: string; limit?: number }): Promise<string[]>
}
