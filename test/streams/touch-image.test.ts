import { expect, test } from 'vitest'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { maxPartsOfImage } from '../../src/streams/closure.ts'
import type { StreamLink } from '../../src/streams/streams.ts'
import { touchImage } from '../../src/streams/touch-image.ts'

const name = { project: 'demo', stream: 'app' }
const mediaType = 'application/vnd.oci.image.index.v1+json'

test.each([
  ['all', 10, 10],
  ['a bounded number', 10 * maxPartsOfImage, maxPartsOfImage],
])('of what an image names %s is counted as used', async (_what, children, most) => {
  const index = digestOf('index')
  const manifests = Array.from({ length: children }, (_, i) => ({
    digest: digestOf(`child ${i}`),
    mediaType,
    size: 1,
  }))
  const link = (digest: Digest): StreamLink => ({
    digest,
    mediaType,
    manifestType: mediaType,
    size: 1,
    locations: [],
    children: [],
    received: true,
    isBlob: false,
    createdAt: '',
  })
  const touched: Digest[] = []
  const links = {
    get: async (_name: unknown, digest: Digest) => link(digest),
    image: async (digest: Digest) => ({
      mediaType,
      size: 1,
      layers: [],
      manifests: digest === index ? manifests : [],
    }),
  }
  const content = { touch: async (digest: Digest) => void touched.push(digest), held: async () => 1 }
  await touchImage({ links, content }, name, index)
  expect(touched[0]).toBe(index)
  expect(touched.length).toBeGreaterThanOrEqual(most)
  expect(touched.length).toBeLessThanOrEqual(most + 1)
})
