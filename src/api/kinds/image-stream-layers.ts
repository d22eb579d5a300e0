import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { ImageRecord } from '../../streams/records.ts'
import type { Links, Stream, StreamLink, StreamReader } from '../../streams/streams.ts'
import { imageGroup } from '../groups.ts'
import type { ApiObject, Call, Subresource } from '../resource.ts'
import { imageStreamLayersSchema } from '../schemas/image-streams.ts'

export interface LayersOptions {
  reader: Pick<StreamReader, 'stream'>
  links: Pick<Links, 'list' | 'image'>
}

const batchLinks = 500

/** About how many bytes of an answer are made: it is one object, in memory as a whole. */
const maxAnswerBytes = 32 * 1024 * 1024
/** About how many bytes of it a blob takes, and one that an image names. */
const blobBytes = 160
const namedBytes = 75

/** `imagestreams/layers`: everything that a stream contains, by digest (okd.md 1.11). Its right is the right to pull. */
export function layersSubresource({ reader, links }: LayersOptions): Subresource {
  return {
    kind: 'ImageStreamLayers',
    schema: imageStreamLayersSchema,
    handlers: { get: (call) => showLayers(reader, links, call) },
  }
}

async function showLayers(
  reader: LayersOptions['reader'],
  links: LayersOptions['links'],
  { project, name }: Call,
): Promise<ApiObject | undefined> {
  const stream = await reader.stream({ project, stream: name })
  if (stream === undefined) return undefined
  const blobs: Record<Digest, unknown> = {}
  const images: Record<Digest, unknown> = {}
  let bytes = 0
  for await (const link of linksOf(links, stream)) {
    blobs[link.digest] = { size: link.size ?? null, mediaType: link.mediaType }
    const image = link.manifestType === undefined ? undefined : await imageOf(links, link)
    if (link.manifestType !== undefined) images[link.digest] = imageLayers(image)
    bytes += blobBytes + namedBytes * ((image?.layers.length ?? 0) + (image?.manifests.length ?? 0))
    if (bytes > maxAnswerBytes) throw tooMany(stream)
  }
  return {
    metadata: {
      name,
      namespace: project,
      uid: stream.uid,
      resourceVersion: String(stream.resourceVersion),
      creationTimestamp: stream.creationTimestamp,
    },
    blobs,
    images,
  }
}

function tooMany({ project, stream: name }: Stream): RegistryError {
  return new RegistryError('TOO_LARGE', {
    message: `image stream ${project}/${name} has more layers than one answer tells; read its images one by one (imagestreamimages)`,
    subject: { name, kind: 'imagestreams', group: imageGroup },
  })
}

async function* linksOf(
  links: LayersOptions['links'],
  stream: Parameters<Links['list']>[0],
): AsyncGenerator<StreamLink> {
  for (let after: Digest | undefined; ; ) {
    const batch: StreamLink[] = await links.list(stream, { limit: batchLinks, ...(after && { after }) })
    yield* batch
    after = batch.at(-1)?.digest
    if (batch.length < batchLinks) return
  }
}

async function imageOf(links: LayersOptions['links'], { digest, received, manifestType }: StreamLink) {
  return received && manifestType !== undefined ? links.image(digest, manifestType) : undefined
}

function imageLayers(image: ImageRecord | undefined): Record<string, unknown> {
  if (image === undefined) return { layers: null, config: null, imageMissing: true }
  return {
    layers: image.layers.map(({ digest }) => digest),
    config: image.config?.digest ?? null,
    ...(image.manifests.length > 0 && { manifests: image.manifests.map(({ digest }) => digest) }),
  }
}
