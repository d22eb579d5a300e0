import { expect, test } from 'vitest'
import { artifactTypeOf } from '../../src/oci/artifact-type.ts'

const config = (mediaType: string) => ({ mediaType })

test.each<[string, Parameters<typeof artifactTypeOf>[0], string | undefined]>([
  ['an image', { config: config('application/vnd.oci.image.config.v1+json') }, undefined],
  ['one of Docker', { config: config('application/vnd.docker.container.image.v1+json') }, undefined],
  ['one of an old client', { config: config('application/octet-stream') }, undefined],
  ['an index', {}, undefined],
  [
    'a chart',
    { config: config('application/vnd.cncf.helm.config.v1+json') },
    'application/vnd.cncf.helm.config.v1+json',
  ],
  [
    'an attachment',
    { artifactType: 'example/sbom', config: config('application/vnd.oci.empty.v1+json') },
    'example/sbom',
  ],
  ['an index of charts', { artifactType: 'example/charts' }, 'example/charts'],
  [
    'nothing in particular',
    { artifactType: '', config: config('application/vnd.oci.image.config.v1+json') },
    undefined,
  ],
])('%s', (_, manifest, type) => {
  expect(artifactTypeOf(manifest)).toBe(type)
})
