import { expect, test } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { createFallbackIndex } from '../../src/referrers/fallback-index.ts'
import type { StreamLink } from '../../src/streams/streams.ts'
import { app, artifact, image, indexOf, listed } from './world.ts'

const signature = artifact(image.manifest, 'signature')
const sbom = artifact(image.manifest, 'sbom')
const index = indexOf([listed(signature), listed(sbom)])

/** The listing of an index that was pushed under the tag of the image; `has` are the stream's manifests. */
function pushedIndex(has: Set<Digest>) {
  const given = [index.bytes]
  const { list } = createFallbackIndex({
    pins: { pin: async () => undefined },
    links: {
      get: async (_name, digest) =>
        has.has(digest) ? ({ digest, manifestType: mediaTypes.ociManifest } as StreamLink) : undefined,
    },
    referrerRecords: {
      fallback: async (_name, tag) => ({ tag, image: index.digest, mediaType: index.mediaType, by: 'ann', at: '' }),
    },
    // Who reads it a second time reads nothing.
    obtain: async () => ({ mediaType: mediaTypes.ociIndex, bytes: given.pop() ?? Buffer.from('{') }),
  })
  return () => list(app, image.manifest.digest)
}

test('an index is read once, however many pages are asked for', async () => {
  const list = pushedIndex(new Set([signature.manifest.digest, sbom.manifest.digest]))
  const expected = { referrers: [listed(signature), listed(sbom)] }
  expect(await list()).toEqual(expected)
  expect(await list()).toEqual(expected)
})

test('I5: what was read once is listed as long as the stream has it', async () => {
  const has = new Set([signature.manifest.digest, sbom.manifest.digest])
  const list = pushedIndex(has)
  expect(await list()).toEqual({ referrers: [listed(signature), listed(sbom)] })
  has.delete(sbom.manifest.digest)
  expect(await list()).toEqual({ referrers: [listed(signature)] })
})
