import type { Digest } from '../../src/oci/digest.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import type { StreamName } from '../../src/oci/reference.ts'
import type { Referrer } from '../../src/referrers.ts'
import { linksOf } from '../../src/streams/admission.ts'
import type { FakeAnswer } from '../support/fake-upstream-answers.ts'
import { fakeAnswer } from '../support/fake-upstream-answers.ts'
import { type FlowsOptions, type FlowsWorld, flowsWorld } from '../support/flows.ts'
import { makeImage, type Piece, piece, type TestImage } from '../support/images.ts'

export const app: StreamName = { project: 'demo', stream: 'app' }
export const image = makeImage('signed')
export const sbomType = 'application/spdx+json'
export const signatureType = 'application/vnd.example.signature'

/** An artifact that refers to an image: its blobs and its manifest. */
export function artifact(
  subject: Piece,
  seed: string,
  { artifactType = signatureType, annotations }: { artifactType?: string; annotations?: Record<string, string> } = {},
): TestImage {
  const config = piece('application/vnd.oci.empty.v1+json', '{}')
  const layer = piece('application/octet-stream', `payload of ${seed}`)
  const manifest = piece(
    mediaTypes.ociManifest,
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType,
      config: described(config),
      layers: [described(layer)],
      subject: described(subject),
      ...(annotations && { annotations }),
    }),
  )
  return { manifest, config, layers: [layer] }
}

export function described({ mediaType, digest, bytes }: Piece): Pick<Referrer, 'mediaType' | 'digest' | 'size'> {
  return { mediaType, digest, size: bytes.length }
}

/** As a listing tells of it. */
export function listed(
  { manifest }: TestImage,
  artifactType = signatureType,
  annotations?: Record<string, string>,
): Referrer {
  return { ...described(manifest), artifactType, ...(annotations && { annotations }) }
}

export function indexOf(manifests: readonly unknown[]): Piece {
  return piece(mediaTypes.ociIndex, JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }))
}

/** The answer of a registry that has the API. */
export function page(manifests: readonly unknown[], link?: string): FakeAnswer {
  const headers = { 'content-type': mediaTypes.ociIndex, ...(link === undefined ? {} : { link }) }
  return fakeAnswer(200, indexOf(manifests).bytes.toString(), headers)
}

export const byDigest = (a: Referrer, b: Referrer): number => (a.digest < b.digest ? -1 : 1)

export interface ReferrersWorld extends FlowsWorld {
  /** Makes what an upstream has into what a stream has received: imports the image, and pulls others by digest. */
  imported(stream?: string): Promise<void>
  /** The stream receives a manifest, as by a push. */
  receive(content: TestImage, name?: StreamName): Promise<void>
  /** Pushes by a tag that may be derived from a digest. @returns false for an ordinary one */
  pushByTag(tag: string, to: Piece, name?: StreamName): Promise<boolean>
  digests(name?: StreamName, subject?: Digest): Promise<Digest[]>
}

/** The flows, with `lib/app:v1` at the registry. */
export async function referrersWorld(options: FlowsOptions = {}): Promise<ReferrersWorld> {
  const world = await flowsWorld(options)
  const { registry, importImage, links, pins, writer, content, referrers, referrerRecords } = world
  registry.put('lib/app', image, { tag: 'v1' })
  return {
    ...world,
    async imported(stream = 'app') {
      const { images } = await importImage(stream, 'prod', `${registry.host}/lib/app:v1`)
      for (const result of images) if ('error' in result) throw result.error
    },
    async receive({ manifest }, name = app) {
      const uid = (await pins.uid(name)) ?? (await writer.create(name)).uid
      const parsed = parseManifest(manifest.bytes, manifest.mediaType)
      await content.putManifest(manifest.digest, manifest.bytes, { kind: 'here' })
      await links.add(name, uid, linksOf(manifest, parsed, [{ kind: 'here' }]))
    },
    async pushByTag(tag, { digest, mediaType }, name = app) {
      const uid = await pins.uid(name)
      if (uid === undefined || !(await referrers.isOne(name, tag))) return false
      await referrerRecords.putFallback({ ...name, uid }, { tag, image: digest, mediaType, by: 'alice' })
      referrers.forget(name)
      return true
    },
    async digests(name = app, subject = image.manifest.digest) {
      const { referrers: found } = await referrers.list(name, subject)
      return found.map(({ digest }) => digest)
    },
  }
}
