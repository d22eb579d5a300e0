/** Deleting from streams: tags, images by digest with what refers to them, blobs. Every tag that goes is an entry of its ledger. */
import type { Digest } from './oci/digest.ts'
import type { StreamName } from './oci/reference.ts'

/** What a deletion takes along. */
export interface Deleted {
  /** Stood there. */
  tags: readonly string[]
  /** Manifests: the image, and what refers to it, and to that. */
  manifests: readonly Digest[]
}

export interface Deletions {
  /** @throws RegistryError MANIFEST_UNKNOWN, NAME_UNKNOWN, DENIED (held, immutable), UNSUPPORTED where the project says no */
  tag(name: StreamName, tag: string, options: { by: string; reason?: string; dryRun?: boolean }): Promise<Deleted>
  /**
   * An image with all tags that stand there, and its referrers. Tags go first, links last; each step is safe alone.
   *
   * @throws RegistryError as `tag`
   */
  image(name: StreamName, digest: Digest, options: { by: string; reason?: string; dryRun?: boolean }): Promise<Deleted>
  /** The stream no longer has it; refused while a manifest of the stream names it. @throws RegistryError BLOB_UNKNOWN, UNSUPPORTED */
  blob(name: StreamName, digest: Digest): Promise<void>
}
