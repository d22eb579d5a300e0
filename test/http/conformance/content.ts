/** What the suite pushes: its data sets, and what each step is to find. */
import { type Digest, type DigestAlgorithm, digestOf } from '../../../src/oci/digest.ts'
import { someBytes } from './registry.ts'

export const types = {
  image: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  tar: 'application/vnd.oci.image.layer.v1.tar',
  foreign: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  empty: 'application/vnd.oci.empty.v1+json',
} as const

export interface Descriptor {
  mediaType: string
  digest: Digest
  size: number
}

export interface Manifest extends Descriptor {
  bytes: Buffer
  /** Pushed under it too. */
  tag?: string
  /** Given as parameters when it is pushed by digest. */
  tags?: readonly string[]
  subject?: Digest
  /** As a listing of referrers tells it. */
  listed?: { artifactType?: string; annotations?: Record<string, string> }
}

export interface DataSet {
  blobs: readonly { bytes: Buffer; digest: Digest }[]
  /** Children first. */
  manifests: readonly Manifest[]
}

interface ManifestOptions extends Pick<Manifest, 'tag' | 'tags' | 'listed'> {
  algorithm?: DigestAlgorithm
  subject?: Descriptor
}

/** Makes a data set from nothing but its name. */
export function dataSet(name: string, make: (maker: Maker) => void): DataSet {
  const blobs: { bytes: Buffer; digest: Digest }[] = []
  const manifests: Manifest[] = []
  make(createMaker(name, blobs, manifests))
  return { blobs, manifests }
}

export type Maker = ReturnType<typeof createMaker>

function createMaker(name: string, blobs: { bytes: Buffer; digest: Digest }[], manifests: Manifest[]) {
  function blob(mediaType: string, bytes: Buffer, algorithm?: DigestAlgorithm): Descriptor {
    const digest = digestOf(bytes, algorithm)
    blobs.push({ bytes, digest })
    return { mediaType, digest, size: bytes.length }
  }

  function put(mediaType: string, document: object, options: ManifestOptions): Descriptor {
    const { algorithm, subject, ...rest } = options
    const whole = { schemaVersion: 2, mediaType, ...document, ...(subject !== undefined && { subject }) }
    const bytes = Buffer.from(JSON.stringify(whole))
    const described = { mediaType, digest: digestOf(bytes, algorithm), size: bytes.length }
    manifests.push({ ...described, bytes, ...rest, ...(subject !== undefined && { subject: subject.digest }) })
    return described
  }

  return {
    blob,
    layer: (seed: string, algorithm?: DigestAlgorithm) => blob(types.layer, someBytes(`${name} ${seed}`), algorithm),
    config: (seed = 'config', algorithm?: DigestAlgorithm) =>
      blob(
        types.config,
        Buffer.from(JSON.stringify({ os: 'linux', architecture: 'amd64', author: `${name} ${seed}` })),
        algorithm,
      ),
    empty: () => blob(types.empty, Buffer.from('{}')),
    image: (document: object, options: ManifestOptions = {}) => put(types.image, document, options),
    index: (document: object, options: ManifestOptions = {}) => put(types.index, document, options),
  }
}

const platform = (architecture: string) => ({ platform: { os: 'linux', architecture } })

function anIndex(maker: Maker, options: ManifestOptions, algorithm?: DigestAlgorithm): Descriptor {
  const children = ['amd64', 'arm64'].map((architecture) => {
    const document = { config: maker.config(architecture, algorithm), layers: [maker.layer(architecture, algorithm)] }
    return { ...maker.image(document, algorithm === undefined ? {} : { algorithm }), ...platform(architecture) }
  })
  return maker.index({ manifests: children }, { ...options, ...(algorithm !== undefined && { algorithm }) })
}

function anArtifact(maker: Maker, artifactType: string, options: ManifestOptions = {}): Descriptor {
  const annotations = { 'org.example.made': artifactType }
  const document = { artifactType, config: maker.empty(), layers: [maker.layer(artifactType)], annotations }
  return maker.image(document, { ...options, listed: { artifactType, annotations } })
}

/** By the names that the suite gives them. */
export const dataSets: Record<string, DataSet> = Object.fromEntries(
  Object.entries<(maker: Maker) => void>({
    image: (of) => void of.image({ config: of.config(), layers: [of.layer('a'), of.layer('b')] }, { tag: 'image' }),
    'image-uncompressed': (of) => {
      const layer = of.blob(types.tar, someBytes('uncompressed', 1024))
      of.image({ config: of.config(), layers: [layer] }, { tag: 'image' })
    },
    'large-manifest': (of) => {
      const annotations = Object.fromEntries(
        Array.from({ length: 390 }, (_, i) => [`org.example.${i}`, 'a'.repeat(10_000)]),
      )
      of.image({ config: of.config(), layers: [of.layer('a')], annotations }, { tag: 'large-manifest' })
    },
    index: (of) => void anIndex(of, { tag: 'index' }),
    'nested-index': (of) => {
      const inner = anIndex(of, {})
      of.index({ manifests: [inner] }, { tag: 'index-of-index' })
    },
    'empty-index': (of) => void of.index({ manifests: [] }, { tag: 'index' }),
    artifact: (of) => void anArtifact(of, 'application/vnd.example.oci.conformance', { tag: 'artifact' }),
    'artifact-without-layers': (of) => {
      const empty = of.empty()
      of.image({ artifactType: 'application/vnd.example', config: empty, layers: [empty] }, { tag: 'artifact' })
    },
    'artifact-index': (of) => {
      const manifests = ['a', 'b'].map((each) => anArtifact(of, `application/vnd.example.${each}`))
      of.index({ artifactType: 'application/vnd.example.index', manifests }, { tag: 'artifact-index' })
    },
    'artifacts-with-subject': (of) => {
      const subject = of.image({ config: of.config(), layers: [of.layer('a')] }, { tag: 'image' })
      const config = of.blob('application/vnd.example.config', Buffer.from('{"plain":true}'))
      of.image(
        { config, layers: [of.layer('plain')] },
        { subject, listed: { artifactType: 'application/vnd.example.config' } },
      )
      anArtifact(of, 'application/vnd.example.sbom', { subject, tag: 'tagged-artifact1' })
      anArtifact(of, 'application/vnd.example.signature', { subject, tag: 'tagged-artifact2' })
    },
    'index-with-subject': (of) => {
      const subject = anIndex(of, { tag: 'index' })
      const manifests = [anArtifact(of, 'application/vnd.example.part')]
      const annotations = { 'org.example.made': 'index' }
      const artifactType = 'application/vnd.example.attestations'
      const listed = { artifactType, annotations }
      of.index({ artifactType, manifests, annotations }, { subject, tag: 'tagged-artifact', listed })
      of.index({ manifests, annotations }, { subject, listed: { annotations } })
    },
    'missing-subject': (of) => {
      const subject = { mediaType: types.image, digest: digestOf('never pushed'), size: 123 }
      anArtifact(of, 'application/vnd.example.orphan', { subject, tag: 'tagged-artifact' })
    },
    'data-field': (of) => {
      const bytes = Buffer.from('{"data":"inline"}')
      const config = { ...of.blob(types.config, bytes), data: bytes.toString('base64') }
      of.image({ config, layers: [of.layer('a')] }, { tag: 'data-field' })
    },
    'non-distributable-layers': (of) => {
      const layers = ['a', 'b'].map((each) => {
        const bytes = Buffer.from(`foreign ${each}`)
        return {
          mediaType: types.foreign,
          digest: digestOf(bytes),
          size: bytes.length,
          urls: [`https://store.example/${each}`],
        }
      })
      of.image({ config: of.config(), layers: [of.layer('own'), ...layers] }, { tag: 'non-distributable-image' })
    },
    'custom-fields': (of) => {
      const config = of.blob(types.config, Buffer.from('{"os":"linux","architecture":"amd64","org.example":{"a":[1]}}'))
      const image = of.image(
        { config, layers: [of.layer('a')], 'org.example': { deep: [null, 1.5, 'x'] } },
        { tag: 'custom-fields' },
      )
      of.index({ manifests: [{ ...image, 'org.example': true }], custom: 'field' }, { tag: 'custom-index' })
    },
    'no-layers': (of) => void of.image({ config: of.config(), layers: [] }, { tag: 'no-layers' }),
    sha512: (of) => void anIndex(of, {}, 'sha512'),
    'tag-param-sha256': (of) => void anIndex(of, { tags: ['tag-param-1', 'tag-param-2', 'tag-param-3'] }),
    'tag-param-sha512': (of) => void anIndex(of, { tags: ['tag-param-4', 'tag-param-5'] }, 'sha512'),
  }).map(([name, make]) => [name, dataSet(name, make)]),
)
