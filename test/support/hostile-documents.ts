/** Manifests that readers could understand differently, or that cost more than they are worth. */
import { mediaTypes } from '../../src/oci/media-types.ts'
import { type Piece, piece, type TestImage } from './images.ts'

const { ociManifest, ociIndex } = mediaTypes

/** A manifest with an annotation of so many objects inside each other. */
export function deepManifest({ manifest }: TestImage, depth: number): Piece {
  const annotations = `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
  return inserted(manifest, `"annotations":${annotations},`)
}

/** One that names its config twice: some readers take the first, others the last. */
export function duplicateKeyManifest(image: TestImage): Piece {
  const { mediaType, digest, bytes } = image.config
  return inserted(image.manifest, `"config":${JSON.stringify({ mediaType, digest, size: bytes.length })},`)
}

/** One with a key that Go takes for `layers`, and JavaScript not. */
export function caseVariantManifest({ manifest }: TestImage): Piece {
  return inserted(manifest, '"Layers":[],')
}

/** One that is an image to some and an index to others (CVE-2021-41190). */
export function imageAndIndex({ manifest }: TestImage): Piece {
  return inserted(manifest, '"manifests":[],')
}

/** The form of before schema 2, under the media type of today. */
export function schema1Manifest(): Piece {
  const document = { schemaVersion: 1, name: 'lib/app', tag: 'v1', fsLayers: [], history: [] }
  return piece(ociManifest, JSON.stringify(document))
}

/** An index of one index of one index, so many of them, the outermost first. */
export function nestedIndexes(innermost: Piece, depth: number): Piece[] {
  const nested: Piece[] = [innermost]
  for (let i = 0; i < depth; i++) nested.unshift(indexOf([nested[0] ?? innermost], `level ${i}`))
  return nested.slice(0, depth)
}

/** An index of these children. `seed` makes it another than others of the same. */
export function indexOf(children: readonly Piece[], seed: string): Piece {
  const manifests = children.map(({ mediaType, digest, bytes }) => ({ mediaType, digest, size: bytes.length }))
  return piece(ociIndex, JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests, annotations: { seed } }))
}

function inserted(manifest: Piece, fields: string): Piece {
  return piece(ociManifest, manifest.bytes.toString('utf8').replace('{', `{${fields}`))
}
