import { z } from 'zod'
import { parseDigest } from '../../oci/digest.ts'
import type { KnownImage, Links } from '../../streams/streams.ts'
import { imageColumns } from '../columns/image-columns.ts'
import { decodeContinue, encodeContinue } from '../continue.ts'
import { imageGroup } from '../groups.ts'
import { imageObject, imageReference } from '../image-objects.ts'
import type { ApiObject, Call, Page, Resource } from '../resource.ts'
import { imageSchema } from '../schemas/images.ts'
import { maxPageItems } from '../stored.ts'

export interface ImagesOptions {
  links: Pick<Links, 'images' | 'knownImage'>
  /** The store's newest revision. */
  newestRevision(): Promise<number>
  registryHost: string
}

const positionSchema = z.object({ image: z.string(), revision: z.int().nonnegative() })

/**
 * Every image that some stream has, for those who may read images of the whole cluster. They come with imports and pushes
 * and can not be written.
 */
export function images(options: ImagesOptions): Resource {
  const { links, registryHost } = options
  return {
    group: imageGroup,
    version: 'v1',
    resource: 'images',
    singular: 'image',
    kind: 'Image',
    namespaced: false,
    columns: imageColumns,
    schema: imageSchema,
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
  const count = Math.min(limit, maxPageItems)
  const after = parseDigest(start?.image ?? '')
  const known = await links.images({ limit: count + 1, ...(after && { after }) })
  const page = known.slice(0, count)
  const last = page.at(-1)
  return {
    items: page.map((image) => showImage(registryHost, image)).filter(selects),
    resourceVersion: String(revision),
    ...(last && known.length > count ? { continue: encodeContinue({ image: last.digest, revision }) } : {}),
  }
}

function showImage(registryHost: string, { digest, image, stream }: KnownImage): ApiObject {
  return imageObject(digest, imageReference(registryHost, stream, digest), null, image)
}
