import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { type Manifest, namedContent, parseManifest } from '../../src/oci/manifest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { makeImage, makeIndex } from '../support/images.ts'

const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip'
const descriptor = { mediaType: layerType, digest: digestOf('layer'), size: 5 }
const image = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: descriptor, layers: [descriptor] }
const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [descriptor] }

function parse(document: unknown, mediaType: string = mediaTypes.ociManifest): Manifest {
  return parseManifest(Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)), mediaType)
}

/** The message of the refusal, which must be MANIFEST_INVALID. */
function refusal(document: unknown, mediaType?: string): string {
  try {
    parse(document, mediaType)
  } catch (error) {
    expect(error).toBeInstanceOf(RegistryError)
    expect(error).toHaveProperty('code', 'MANIFEST_INVALID')
    return error instanceof Error ? error.message : ''
  }
  throw new Error('the manifest was accepted')
}

test.each([false, true])('an image gives its config and layers in order (docker: %s)', (docker) => {
  const made = makeImage('a', { docker, layers: [Buffer.from('one'), Buffer.from('two')] })
  const parsed = parseManifest(made.manifest.bytes, made.manifest.mediaType)
  expect(parsed).toMatchObject({
    kind: 'image',
    mediaType: made.manifest.mediaType,
    config: { digest: made.config.digest, size: made.config.bytes.length, foreign: false },
    layers: made.layers.map(({ digest, mediaType, bytes }) => ({ digest, mediaType, size: bytes.length })),
  })
})

test('an index gives its children with their platforms', () => {
  const made = makeIndex('a', ['amd64', 'arm64'])
  const parsed = parseManifest(made.manifest.bytes, made.manifest.mediaType)
  expect(parsed).toMatchObject({
    kind: 'index',
    manifests: made.children.map((child, i) => ({
      digest: child.manifest.digest,
      platform: { os: 'linux', architecture: ['amd64', 'arm64'][i] },
    })),
  })
})

test('a manifest without mediaType in its body is what it came as', () => {
  const { mediaType: _, ...rest } = image
  expect(parse(rest).mediaType).toBe(mediaTypes.ociManifest)
})

test('subject and artifactType are read, and the subject names no content of this manifest', () => {
  const subject = { ...descriptor, digest: digestOf('subject'), mediaType: mediaTypes.ociManifest }
  const parsed = parse({ ...image, subject, artifactType: 'application/x' })
  expect(parsed).toMatchObject({ subject: { digest: subject.digest }, artifactType: 'application/x' })
  expect(namedContent(parsed).map(({ digest }) => digest)).toEqual([descriptor.digest])
})

test('named content tells each digest once: children of an index, config and layers of an image', () => {
  const config = { ...descriptor, digest: digestOf('config') }
  const parsed = parse({ ...image, config, layers: [descriptor, descriptor, config] })
  expect(namedContent(parsed).map(({ digest }) => digest)).toEqual([config.digest, descriptor.digest])
  expect(namedContent(parse(index, mediaTypes.ociIndex))).toHaveLength(1)
})

test('sha512 digests are accepted', () => {
  const layer = { ...descriptor, digest: digestOf('layer', 'sha512') }
  expect(parse({ ...image, layers: [layer] })).toMatchObject({ layers: [{ digest: layer.digest }] })
})

test.each([
  { urls: ['https://example.com/layer'] },
  { mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip' },
  { mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' },
])('a layer that registries need not have is told apart: %o', (extra) => {
  expect(parse({ ...image, layers: [{ ...descriptor, ...extra }, descriptor] })).toMatchObject({
    layers: [{ foreign: true }, { foreign: false }],
  })
})

test('an array that Go wrote as null counts as empty', () => {
  expect(parse({ ...image, layers: null })).toMatchObject({ layers: [] })
})

test('keys of annotations are free', () => {
  const annotations = { MediaType: 'x', LAYERS: 'y', size: 'z' }
  expect(() => parse({ ...image, annotations, layers: [{ ...descriptor, annotations }] })).not.toThrow()
})

test.each<[string, unknown, string, string?]>([
  ['an index that came as an image', index, 'mediaType'],
  ['an image that came as an index', image, 'mediaType', mediaTypes.ociIndex],
  ['a Docker type on OCI content', image, 'mediaType', mediaTypes.dockerManifest],
  ['a mediaType that is no string', { ...image, mediaType: 7 }, 'mediaType'],
  ['an image with manifests', { ...image, manifests: [] }, 'ambiguous'],
  ['an index with layers', { ...index, layers: [] }, 'ambiguous', mediaTypes.ociIndex],
  ['an index with a config', { ...index, config: descriptor }, 'ambiguous', mediaTypes.ociIndex],
  ['schema 1 by its version', { schemaVersion: 1, fsLayers: [] }, 'schema 1'],
  ['schema 1 that is not signed', { schemaVersion: 1, layers: [] }, 'schema 1'],
  ['schema 1 by its layers', { ...image, fsLayers: [] }, 'schema 1'],
  ['schema 1 by its type', '{}', 'schema 1', 'application/vnd.docker.distribution.manifest.v1+prettyjws'],
  ['a type that is not a manifest', image, 'not a manifest', 'application/json'],
  ['another schemaVersion', { ...image, schemaVersion: 3 }, 'schemaVersion'],
  ['a schemaVersion in quotes', { ...image, schemaVersion: '2' }, 'schemaVersion'],
  ['no schemaVersion', { config: descriptor, layers: [] }, 'schemaVersion'],
  ['no config', { ...image, config: undefined }, 'config'],
  ['no layers', { ...image, layers: undefined }, 'layers'],
  ['layers that are an object', { ...image, layers: { 0: descriptor, length: 1 } }, 'layers'],
  ['no manifests', { ...index, manifests: undefined }, 'manifests', mediaTypes.ociIndex],
  ['a layer that is null', { ...image, layers: [null] }, 'layers[0]'],
  ['a document that is an array', [image], 'JSON object'],
  ['a document that is null', 'null', 'JSON object'],
  ['nothing', '', 'not valid JSON'],
  ['HTML', '<html></html>', 'not valid JSON'],
  ['data after the document', `${JSON.stringify(image)}{}`, 'not valid JSON'],
  ['a byte order mark', `\ufeff${JSON.stringify(image)}`, 'byte order mark'],
  ['a key given twice', JSON.stringify(image).replace('{', '{"layers":[],'), '"layers" twice'],
  ['a key given twice, once escaped', JSON.stringify(image).replace('{', '{"l\\u0061yers":[],'), 'twice'],
  ['a known key in other letters', { ...image, Layers: [] }, '"Layers"'],
  ['a key of the other kind in other letters', { ...image, MANIFESTS: [] }, '"MANIFESTS"'],
  ['a key with a long s, which Go takes for s', { ...image, layerſ: [] }, '"layerſ"'],
  ['a descriptor key in other letters', { ...image, layers: [{ ...descriptor, Digest: 'x' }] }, 'layers[0]'],
  ['a config key in other letters', { ...image, config: { ...descriptor, SIZE: 1 } }, '"SIZE" in config'],
  ['a platform key in other letters', withPlatform({ OS: 'linux' }), '"OS"', mediaTypes.ociIndex],
  ['a platform that is a string', withPlatform('linux'), 'platform', mediaTypes.ociIndex],
  ['an architecture that is a number', withPlatform({ architecture: 64 }), 'architecture', mediaTypes.ociIndex],
  ['a digest in upper case', withLayer({ digest: descriptor.digest.toUpperCase() }), 'layers[0].digest'],
  ['a digest that climbs', withLayer({ digest: 'sha256:../../../etc/passwd' }), 'layers[0].digest'],
  ['a digest of another algorithm', withLayer({ digest: `md5:${'a'.repeat(32)}` }), 'layers[0].digest'],
  ['no digest', withLayer({ digest: undefined }), 'layers[0].digest'],
  ['a negative size', withLayer({ size: -1 }), 'size'],
  ['a size with a fraction', withLayer({ size: 1.5 }), 'size'],
  ['a size beyond 2^53-1', withLayer({ size: 2 ** 53 }), 'layers[0].size'],
  ['a size in quotes', withLayer({ size: '5' }), 'layers[0].size'],
  ['no size', withLayer({ size: undefined }), 'layers[0].size'],
  ['a size with an exponent', JSON.stringify(image).replace('"size":5', '"size":5e0'), 'size'],
  ['a media type that ends a header', withLayer({ mediaType: 'a/b\r\nX-Evil: 1' }), 'layers[0].mediaType'],
  ['no media type', withLayer({ mediaType: undefined }), 'layers[0].mediaType'],
  ['urls that are a string', withLayer({ urls: 'https://example.com' }), 'layers[0].urls'],
  ['a subject that is a digest', { ...image, subject: descriptor.digest }, 'subject'],
  ['an artifactType that is a number', { ...image, artifactType: 1 }, 'artifactType'],
  ['33 levels', nest(33), 'deeper than 32'],
  ['10,001 layers', { ...image, layers: Array(10_001).fill(descriptor) }, 'more than 10000 layers'],
  ['a million small arrays', JSON.stringify(image).replace('{', `{"x":[${'[],'.repeat(1e6)}[]],`), 'values'],
])('%s is refused', (_, document, problem, mediaType) => {
  expect(refusal(document, mediaType)).toContain(problem)
})

test('invalid UTF-8 is refused', () => {
  const bytes = Buffer.from(JSON.stringify({ ...image, annotations: { a: '#' } }))
  bytes[bytes.indexOf('#')] = 0xff
  expect(() => parseManifest(bytes, mediaTypes.ociManifest)).toThrow('UTF-8')
})

test('10,000 layers, 32 levels and exactly 4 MiB are accepted, one byte more is not', () => {
  expect(parse({ ...image, layers: Array(10_000).fill(descriptor) })).toMatchObject({ kind: 'image' })
  expect(parse(nest(32))).toMatchObject({ kind: 'image' })
  const padded = (bytes: number) => {
    const annotations = { padding: '' }
    const bare = JSON.stringify({ ...image, annotations }).length
    return { ...image, annotations: { padding: 'x'.repeat(bytes - bare) } }
  }
  expect(parse(padded(4 * 1024 * 1024))).toMatchObject({ kind: 'image' })
  expect(refusal(padded(4 * 1024 * 1024 + 1))).toContain('larger than')
})

test('4 MiB of anything are refused', () => {
  const bytes = 4 * 1024 * 1024
  const keys = Array.from({ length: 200_000 }, (_, i) => `"\\u006b${i}":""`).join(',')
  const hostile = [
    '['.repeat(bytes),
    '"'.repeat(bytes),
    `"${'\\"'.repeat(bytes / 2 - 1)}`,
    `"${'\\'.repeat(bytes - 1)}`,
    `{"a"${' '.repeat(bytes - 10)}:1}`,
    '1'.repeat(bytes),
    `{"schemaVersion":2,"annotations":{${keys}}}`,
  ]
  for (const document of hostile) expect(refusal(document)).not.toBe('')
})

test('every manifest that was written is read back as it was meant', () => {
  const digest = fc
    .tuple(fc.string(), fc.constantFrom('sha256' as const, 'sha512' as const))
    .map(([seed, algorithm]): Digest => digestOf(seed, algorithm))
  const mediaType = fc.stringMatching(/^[a-z0-9]{1,10}\/[a-zA-Z0-9.+-]{1,40}$/)
  const described = fc.record({ mediaType, digest, size: fc.maxSafeNat() })
  const annotations = fc.dictionary(fc.string(), fc.string())
  fc.assert(
    fc.property(described, fc.array(described), annotations, fc.nat(2), (config, layers, notes, indent) => {
      const written = { ...image, config, layers, annotations: notes }
      const parsed = parse(JSON.stringify(written, null, indent))
      expect(parsed).toMatchObject({ config, layers })
    }),
    { numRuns: 200 },
  )
})

test('a manifest with any one character changed is still read, or refused as MANIFEST_INVALID', () => {
  const written = JSON.stringify(image)
  fc.assert(
    fc.property(fc.nat(written.length - 1), fc.string({ unit: 'binary', maxLength: 2 }), (at, insert) => {
      const changed = written.slice(0, at) + insert + written.slice(at + 1)
      try {
        expect(parse(changed).kind).toBe('image')
      } catch (error) {
        expect(error).toHaveProperty('code', 'MANIFEST_INVALID')
      }
    }),
    { numRuns: 300 },
  )
})

function withLayer(change: Record<string, unknown>): unknown {
  return { ...image, layers: [{ ...descriptor, ...change }] }
}

function withPlatform(platform: unknown): unknown {
  return { ...index, manifests: [{ ...descriptor, platform }] }
}

/** A manifest whose deepest array lies at `depth`. */
function nest(depth: number): string {
  return JSON.stringify(image).replace('{', `{"x":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)},`)
}
