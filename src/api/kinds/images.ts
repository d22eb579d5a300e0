import { z } from 'zod'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import type { ImageChanges } from '../../streams/image-changes.ts'
import type { KnownImage, Links } from '../../streams/streams.ts'
import { imageColumns } from '../columns/image-columns.ts'
import { decodeContinue, encodeContinue } from '../continue.ts'
import { imageGroup } from '../groups.ts'
import { imageObject, imageReference } from '../image-objects.ts'
import type { ApiObject, Call, Follow, Page, Resource } from '../resource.ts'
import { imageSchema } from '../schemas/images.ts'
import { byteLength, maxPageBytes, maxPageItems } from '../stored.ts'

export interface ImagesOptions {
  links: Pick<Links, 'images' | 'knownImage'>
  imageChanges: ImageChanges
  /** The store's newest revision. */
  newestRevision(): Promise<number>
  registryHost: string
}

/** Images read at once: the largest are nearly 1 MB. */
const batchSize = 20

const positionSchema = z.object({ image: z.string(), revision: z.int().nonnegative() })

/**
 * Every image that some stream has, for those who may read images of the whole cluster. They come with imports and pushes,
 * go with the last stream that has them, and can not be written. An image is shown as the first stream has it; where that is
 * deleted, the change to the next has the deletion's resourceVersion in a watch, and the image itself that of the next.
 */
export function images(options: ImagesOptions): Resource {
  const { links, imageChanges, registryHost } = options
  return {
    group: imageGroup,
    version: 'v1',
    resource: 'images',
    singular: 'image',
    kind: 'Image',
    namespaced: false,
    columns: imageColumns,
    schema: imageSchema,
    follow: followImages(imageChanges, (image) => showImage(registryHost, image)),
    handlers: {
      async get({ name }) {
        const digest = parseDigest(name)
        const known = digest && (await links.knownImage(digest))
        return known && showImage(registryHost, known)
      },
      list: (call) => listImages(options, call),
    },
  }
}

async function listImages({ links, newestRevision, registryHost }: ImagesOptions, call: Call): Promise<Page> {
  const { limit = maxPageItems, selects } = call.options
  const start = decodeContinue(positionSchema, call.options.continue)
  const revision = start?.revision ?? (await newestRevision())
  const { images, more } = await readPage(links, Math.min(limit, maxPageItems), parseDigest(start?.image ?? ''))
  const last = images.at(-1)
  return {
    items: images.map((image) => showImage(registryHost, image)).filter(selects),
    resourceVersion: String(revision),
    ...(last && more ? { continue: encodeContinue({ image: last.digest, revision }) } : {}),
  }
}

/** Images after `start`, at most `count`, and fewer where they are large. */
async function readPage(
  links: ImagesOptions['links'],
  count: number,
  start: Digest | undefined,
): Promise<{ images: KnownImage[]; more: boolean }> {
  const images: KnownImage[] = []
  let bytes = 0
  for (;;) {
    const after = images.at(-1)?.digest ?? start
    const batch = await links.images({ limit: batchSize, ...(after && { after }) })
    for (const known of batch) {
      if (images.length >= count || (images.length > 0 && bytes >= maxPageBytes)) return { images, more: true }
      images.push(known)
      bytes += byteLength(known.image)
    }
    if (batch.length < batchSize) return { images, more: false }
  }
}

function followImages(imageChanges: ImageChanges, show: (image: KnownImage) => ApiObject): Follow {
  return async function* follow(options) {
    for await (const { revision, moves } of imageChanges.follow(options)) {
      const changes = moves.map(({ before, after }) => ({
        before: before && show(before),
        after: after && show(after),
      }))
      yield { revision, changes }
    }
  }
}

function showImage(registryHost: string, { digest, image, stream, revision }: KnownImage): ApiObject {
  const object = imageObject(digest, imageReference(registryHost, stream, digest), null, image)
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
}
