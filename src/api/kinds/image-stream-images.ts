import type { StreamImages } from '../../importer/stream-images.ts'
import { digestHex, parseDigest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { StreamName } from '../../oci/reference.ts'
import type { Links, StreamLink, StreamReader } from '../../streams/streams.ts'
import { imageStreamImageColumns } from '../columns/image-columns.ts'
import { imageGroup } from '../groups.ts'
import { imageObject, imageReference, imageStreamImageObject } from '../image-objects.ts'
import type { ApiObject, Call, Resource } from '../resource.ts'
import { imageStreamImageSchema } from '../schemas/image-streams.ts'

export interface ImageStreamImagesOptions {
  reader: Pick<StreamReader, 'stream'>
  links: Pick<Links, 'get' | 'list'>
  images: StreamImages
  registryHost: string
}

const hexPrefix = /^(?:sha256:)?([0-9a-f]{1,64})$/

/** Links read to find images by a prefix; more that begin alike than this is ambiguous in any case, or nearly so. */
const maxCandidates = 1_000

/** The images that a stream contains, by digest or the beginning of one (okd.md 1.8). */
export function imageStreamImages({ reader, links, images, registryHost }: ImageStreamImagesOptions): Resource {
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
        const link = stream && (await findImage(links, stream, id, name))
        if (stream === undefined || link?.manifestType === undefined) return undefined
        const image = await images.get(stream, link.digest, link.manifestType)
        if (image === undefined) return undefined
        const reference = imageReference(registryHost, stream, link.digest)
        return imageStreamImageObject(stream, id, imageObject(link.digest, reference, stream.creationTimestamp, image))
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
  id: string,
  name: string,
): Promise<StreamLink | undefined> {
  const digest = parseDigest(id)
  if (digest !== undefined) {
    const link = await links.get(stream, digest)
    return link?.manifestType === undefined ? undefined : link
  }
  const [, hex] = hexPrefix.exec(id) ?? []
  if (hex === undefined) return undefined
  const candidates = await links.list(stream, { prefix: `sha256:${hex}`, limit: maxCandidates })
  const images = candidates.filter(({ manifestType }) => manifestType !== undefined)
  if (images.length <= 1) return images[0]
  const shown = images.slice(0, 5).map((link) => digestHex(link.digest).slice(0, Math.max(12, hex.length + 4)))
  throw new RegistryError('CONFLICT', {
    message: `${images.length} images of ${stream.project}/${stream.stream} begin with "${id}" (${shown.join(', ')}${images.length > 5 ? ', ...' : ''}); write more of the digest`,
    subject: { name, kind: 'imagestreamimages', group: imageGroup },
  })
}
