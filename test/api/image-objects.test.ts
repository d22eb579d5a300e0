import { expect, test } from 'vitest'
import { imageObject } from '../../src/api/image-objects.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'

const digest = digestOf('x')
const typeOf = (more: object, ofTag: Record<string, string> = {}) => {
  const record = { mediaType: mediaTypes.ociManifest, size: 1, layers: [], manifests: [], ...more }
  const { annotations } = imageObject(digest, '', null, record, { annotations: ofTag }).metadata as {
    annotations: Record<string, string>
  }
  return annotations['weir.dev/artifact-type']
}

test('an image that is none to run is shown with its type, whatever its tag says', () => {
  const chart = 'application/vnd.cncf.helm.config.v1+json'
  const config = (mediaType: string) => ({ config: { digest, mediaType, size: 1 } })
  expect(typeOf(config('application/vnd.oci.image.config.v1+json'))).toBeUndefined()
  expect(typeOf(config(chart))).toBe(chart)
  expect(typeOf({ artifactType: 'example/sbom', ...config(chart) })).toBe('example/sbom')
  expect(typeOf(config(chart), { 'weir.dev/artifact-type': 'a lie' })).toBe(chart)
})
