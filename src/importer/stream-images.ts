import type { Content } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { ImageRecord } from '../streams/records.ts'
import type { Links } from '../streams/streams.ts'

/** The records of images as one stream may see them. */
export interface StreamImages {
  /**
   * The record of an image that this stream received, as linked with this media type, without its configuration unless the
   * config came through one of the locations of this stream. Whoever merely names an image, or has its manifest alone, is
   * told nothing that others were given (I5).
   */
  get(name: StreamName, digest: Digest, mediaType: string): Promise<ImageRecord | undefined>
}

export interface StreamImagesOptions {
  links: Pick<Links, 'get' | 'image'>
  content: Pick<Content, 'manifest'>
}

export function createStreamImages({ links, content }: StreamImagesOptions): StreamImages {
  return {
    async get(name, digest, mediaType) {
      const own = await links.get(name, digest)
      if (own?.received !== true) return undefined
      const image = await links.image(digest, mediaType)
      if (image?.config === undefined || image.configuration === undefined) return image
      const link = await links.get(name, image.config.digest)
      if (link !== undefined && (await content.manifest(link)) !== undefined) return image
      const { configuration: _others, ...plain } = image
      return plain
    },
  }
}
