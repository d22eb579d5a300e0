import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'

/** A piece of content by its digest. */
export interface Piece {
  digest: Digest
  mediaType: string
  bytes: Buffer
}

/** An image made for a test: its manifest and everything the manifest names. */
export interface TestImage {
  manifest: Piece
  config: Piece
  layers: Piece[]
}

/** An index and its children. */
export interface TestIndex {
  manifest: Piece
  children: TestImage[]
}

/** Makes an image whose bytes follow from `seed` alone. Layers are no real tar files unless `layers` gives them. */
export function makeImage(
  seed: string,
  options: { layers?: Buffer[]; architecture?: string; docker?: boolean } = {},
): TestImage {
  const docker = options.docker ?? false
  const architecture = options.architecture ?? 'amd64'
  const layerType = docker
    ? 'application/vnd.docker.image.rootfs.diff.tar.gzip'
    : 'application/vnd.oci.image.layer.v1.tar+gzip'
  const configType = docker
    ? 'application/vnd.docker.container.image.v1+json'
    : 'application/vnd.oci.image.config.v1+json'
  const layers = (options.layers ?? [Buffer.from(`layer of ${seed}`)]).map((bytes) => piece(layerType, bytes))
  const config = piece(
    configType,
    JSON.stringify({
      architecture,
      os: 'linux',
      config: { Env: [`SEED=${seed}`] },
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.digest) },
    }),
  )
  const manifestType = docker ? mediaTypes.dockerManifest : mediaTypes.ociManifest
  const manifest = piece(
    manifestType,
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: describe(config),
      layers: layers.map(describe),
    }),
  )
  return { manifest, config, layers }
}

/** Makes an index of one image for each architecture. */
export function makeIndex(seed: string, architectures: string[] = ['amd64', 'arm64']): TestIndex {
  const children = architectures.map((architecture) => makeImage(`${seed}-${architecture}`, { architecture }))
  const manifests = children.map((child, i) => ({
    ...describe(child.manifest),
    platform: { architecture: architectures[i], os: 'linux' },
  }))
  return {
    manifest: piece(
      mediaTypes.ociIndex,
      JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }),
    ),
    children,
  }
}

/** All content of an image or index, manifests last. */
export function piecesOf(image: TestImage | TestIndex): Piece[] {
  return 'children' in image
    ? [...image.children.flatMap(piecesOf), image.manifest]
    : [image.config, ...image.layers, image.manifest]
}

export function piece(mediaType: string, content: Buffer | string): Piece {
  const bytes = Buffer.from(content)
  return { digest: digestOf(bytes), mediaType, bytes }
}

function describe({ mediaType, digest, bytes }: Piece): { mediaType: string; digest: Digest; size: number } {
  return { mediaType, digest, size: bytes.length }
}
