import type { BlobSource, UpstreamLocation } from '../content/content.ts'
import type { Upstream } from '../upstream/upstream.ts'

/** Gives the content store its blobs from the upstream registries. */
export function createBlobSource(upstream: Pick<Upstream, 'blob' | 'blobSize' | 'onBehalf'>): BlobSource {
  const asking = ({ askedFor: stream }: UpstreamLocation): Pick<Upstream, 'blob' | 'blobSize'> =>
    stream === undefined ? upstream : upstream.onBehalf({ isBackground: false, stream })
  return {
    size: (location, digest, signal) => asking(location).blobSize(location, digest, signal),
    open: (location, digest, range, signal) => asking(location).blob(location, digest, range, signal),
  }
}
