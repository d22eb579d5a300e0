import type { BlobSource } from '../content/content.ts'
import type { Upstream } from '../upstream/upstream.ts'

/** Gives the content store its blobs from the upstream registries. */
export function createBlobSource(upstream: Pick<Upstream, 'blob' | 'blobSize'>): BlobSource {
  return {
    size: (location, digest, signal) => upstream.blobSize(location, digest, signal),
    open: (location, digest, range, signal) => upstream.blob(location, digest, range, signal),
  }
}
