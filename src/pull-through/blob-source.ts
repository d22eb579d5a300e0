import type { BlobSource } from '../content/content.ts'
import type { Upstream } from '../upstream/upstream.ts'

/** Gives the content store its blobs from the upstream registries. */
export function createBlobSource(upstream: Pick<Upstream, 'blob' | 'blobSize'>): BlobSource {
  return {
    size: (location, digest) => upstream.blobSize(location, digest),
    async open(location, digest, range, signal) {
      const { size, offset, body } = await upstream.blob(location, digest, range, signal)
      return { size, offset, stream: body }
    },
  }
}
