import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { hasReadableConfig, parseImageConfiguration } from '../../src/importer/image-configuration.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import type { StreamName } from '../../src/oci/reference.ts'
import {
  createPutManifest,
  type ManifestPusher,
  type PutManifest,
  type PutManifestOptions,
} from '../../src/push/manifests.ts'
import type { ImageConfiguration, ImageRecord } from '../../src/streams/records.ts'
import { type FlowsWorld, flowsWorld, ownHost } from '../support/flows.ts'
import type { Piece, TestImage, TestIndex } from '../support/images.ts'
import { digestsOf, parse } from '../tagging/world.ts'

export interface PushWorld extends FlowsWorld {
  /** What takes manifests, with some parts in the test's hand. */
  putManifestWith(changes?: Partial<PutManifestOptions>): PutManifest
  /** Makes bytes the stream's, as an upload does; makes the stream where it is not there. */
  pushBlob(to: string, piece: Piece): Promise<void>
  /** Pushes all blobs of an image and its manifests, the last to `project/stream:tag` or `project/stream@digest`. */
  push(to: string, content: TestImage | TestIndex, more?: Partial<PushMore>): ReturnType<PutManifest>
  /** Sends a manifest alone. */
  put(to: string, manifest: Piece, more?: Partial<PushMore>): ReturnType<PutManifest>
  pin(at: string): Promise<string | undefined>
}

export interface PushMore {
  by: Partial<ManifestPusher>
  contentType: string | undefined
  tags: readonly string[]
  through: PutManifest
}

export const ann: ManifestPusher = { name: 'ann', client: 'docker/27.0', mayCreate: true }

function configurationOf(image: ImageRecord, config: Buffer): ImageConfiguration | undefined {
  return hasReadableConfig(image) ? parseImageConfiguration(config) : undefined
}

export async function pushWorld(options: Parameters<typeof flowsWorld>[0] = {}): Promise<PushWorld> {
  const flows = await flowsWorld(options)
  const { writer, reader, links, content } = flows
  const log = pino({ level: 'silent' })
  const putManifestWith = (changes: Partial<PutManifestOptions> = {}) =>
    createPutManifest({ ...flows, registryHost: ownHost, configurationOf, log, ...changes })
  const usual = putManifestWith()
  const world: PushWorld = {
    ...flows,
    putManifestWith,
    async pushBlob(to, { digest, bytes, mediaType }) {
      const name = nameOf(to)
      const stream = (await reader.stream(name)) ?? (await writer.create(name))
      const id = randomUUID()
      await content.uploads.append(id, one(bytes), {})
      await content.uploads.finish(id, digest)
      const link = { digest, mediaType, size: bytes.length, locations: [{ kind: 'here' }] } as const
      await links.add(name, stream.uid, [link])
    },
    async push(to, pushed, more = {}) {
      const children = 'children' in pushed ? pushed.children : []
      const { stream, project } = nameOf(to)
      for (const child of children) await world.push(`${project}/${stream}@${child.manifest.digest}`, child)
      const blobs = 'children' in pushed ? [] : [pushed.config, ...pushed.layers]
      for (const blob of blobs) await world.pushBlob(to, blob)
      return world.put(to, pushed.manifest, more)
    },
    put(to, { bytes, mediaType }, more = {}) {
      const { by = {}, tags = [], through = usual } = more
      const contentType = 'contentType' in more ? more.contentType : mediaType
      return through(nameOf(to), parse(to).tag, { ...ann, ...by }, { bytes, mediaType: contentType, tags })
    },
    async pin(at) {
      return (await reader.tag(nameOf(at), parse(at).tag))?.record.items[0]?.image
    },
  }
  return world
}

export { digestsOf, parse }

export type TestDescriptor = { mediaType: string; digest: string; size: number; [more: string]: unknown }

export function descriptorOf({ mediaType, digest, bytes }: Piece): TestDescriptor {
  return { mediaType, digest, size: bytes.length }
}

/** An OCI image manifest, with what is given besides. */
export function manifestOf(
  config: Piece,
  layers: readonly TestDescriptor[],
  more: Record<string, unknown> = {},
): Piece {
  const mediaType = mediaTypes.ociManifest
  return documentOf(mediaType, { schemaVersion: 2, mediaType, config: descriptorOf(config), layers, ...more })
}

/** An OCI image index, with what is given besides. */
export function indexOf(manifests: readonly Piece[], more: Record<string, unknown> = {}): Piece {
  const mediaType = mediaTypes.ociIndex
  return documentOf(mediaType, { schemaVersion: 2, mediaType, manifests: manifests.map(descriptorOf), ...more })
}

function documentOf(mediaType: string, document: unknown): Piece {
  const bytes = Buffer.from(JSON.stringify(document))
  return { mediaType, bytes, digest: digestOf(bytes) }
}

export function nameOf(at: string): StreamName {
  const { project, stream } = parse(at)
  return { project, stream }
}

async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

/** Code and words of a refusal, and the digests that it names. */
export async function refusalOf(work: Promise<unknown>): Promise<{ code: string; message: string; digests: Digest[] }> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    const { code, message, detail } = error
    const named = Array.isArray(detail) ? detail : []
    return { code, message, digests: named.map((each) => (each as { digest: Digest }).digest) }
  }
  throw new Error('it was taken')
}
