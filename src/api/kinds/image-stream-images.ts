import type { StreamImages } from '../../importer/stream-images.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { StreamName } from '../../oci/reference.ts'
import type { ReferrerRecords } from '../../streams/referrer-records.ts'
import { parseStreamSource } from '../../streams/sources.ts'
import type { Links, StreamLink, StreamReader } from '../../streams/streams.ts'
import { imagesById } from '../../tagging/images.ts'
import { imageStreamImageColumns } from '../columns/image-columns.ts'
import { imageGroup } from '../groups.ts'
import { imageObject, imageReference, imageStreamImageObject } from '../image-objects.ts'
import { countReferrers } from '../own-referrers.ts'
import type { ApiObject, Call, Resource } from '../resource.ts'
import { imageStreamImageSchema } from '../schemas/image-streams.ts'

export interface ImageStreamImagesOptions {
  reader: Pick<StreamReader, 'stream'>
  links: Pick<Links, 'get' | 'list'>
  images: StreamImages
  referrerRecords: Pick<ReferrerRecords, 'list' | 'fallbacks'>
  registryHost: string
}

/** The images that a stream contains, by digest or the beginning of one (okd.md 1.8). */
export function imageStreamImages(options: ImageStreamImagesOptions): Resource {
  const { reader, links, images, referrerRecords, registryHost } = options
  return {
    group: imageGroup,
    version: 'v1',
    resource: 'imagestreamimages',
    singular: 'imagestreamimage',
    kind: 'ImageStreamImage',
    namespaced: true,
    shortNames: ['isimage'],
    columns: imageStreamImageColumns,
    schema: imageStreamImageSchema,
    handlers: {
      async get({ project, name }: Call): Promise<ApiObject | undefined> {
        const { stream: streamName, id } = splitImageName(name)
        const stream = await reader.stream({ project, stream: streamName })
        const link = stream && (await findImage(links, stream, name))
        if (stream === undefined || link?.manifestType === undefined) return undefined
        // Of a child that only its index names so far nothing more is told.
        const image = await images.get(stream, link.digest, link.manifestType)
        const reference = imageReference(registryHost, stream, link.digest)
        const referrers = await countReferrers(referrerRecords, stream, link.digest)
        const shown = imageObject(link.digest, reference, link.createdAt, image, { referrers })
        return imageStreamImageObject(stream, id, link.createdAt, shown)
      },
    },
  }
}

/** Splits `stream@id`. @throws RegistryError BAD_REQUEST in OKD's words */
function splitImageName(name: string): { stream: string; id: string } {
  const [stream, id, ...more] = name.split('@')
  if (stream && id && more.length === 0) return { stream, id }
  throw new RegistryError('BAD_REQUEST', { message: 'ImageStreamImages must be retrieved with <name>@<id>' })
}

/**
 * The link of an image of the stream. Weir says when a beginning stands for several; OKD picks one.
 *
 * @throws RegistryError CONFLICT
 */
async function findImage(
  links: ImageStreamImagesOptions['links'],
  stream: StreamName,
  name: string,
): Promise<StreamLink | undefined> {
  const source = parseStreamSource({ kind: 'ImageStreamImage', name }, stream)
  if (source?.kind !== 'ImageStreamImage') return undefined
  const [found, another] = await imagesById(links, stream, source.id)
  if (found === undefined || another === undefined) return found
  const shown = [found, another].map(({ digest }) => digest.slice(0, Math.max(19, source.id.length + 4))).join(', ')
  throw new RegistryError('CONFLICT', {
    message: `several images of ${stream.project}/${stream.stream} begin with "${source.id}" (${shown}); write more of the digest`,
    subject: { name, kind: 'imagestreamimages', group: imageGroup },
  })
}
