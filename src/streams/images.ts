import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { decode, encode, imageIndexRange, imageKey, placeOfImage } from './keys.ts'
import { unavailable } from './link-steps.ts'
import type { ImageRecord } from './records.ts'
import type { KnownImage, Links, StreamLink } from './streams.ts'

type Images = Pick<Links, 'image' | 'putImage' | 'images' | 'knownImage'>

interface ImagesOptions {
  store: Store
  /** What a living stream may have of a digest. */
  get: (name: StreamName, digest: Digest) => Promise<StreamLink | undefined>
}

/** Images looked up at the same time. */
const atOnce = 50
const maxAttempts = 20

/** Keeps what is known of images, and finds them for the whole cluster. */
export function createImages({ store, get }: ImagesOptions): Images {
  async function image(digest: Digest, mediaType: string): Promise<ImageRecord | undefined> {
    const entry = await store.get(imageKey(digest, mediaType))
    return entry && decode<ImageRecord>(entry)
  }

  /** The image as the first of the streams has it that still lives. */
  async function known(digest: Digest, places: readonly StreamName[]): Promise<KnownImage | undefined> {
    for (const stream of places) {
      const link = await get(stream, digest)
      // A stream that was made anew has what the index says of the earlier one only if it received it too.
      const record = link?.received ? await image(digest, link.mediaType) : undefined
      if (record !== undefined) return { digest, image: record, stream }
    }
    return undefined
  }

  async function* byDigest(range: { after?: Digest; only?: Digest }) {
    let digest: Digest | undefined
    let places: StreamName[] = []
    for await (const entry of await store.range(imageIndexRange(range))) {
      const { digest: next, ...name } = placeOfImage(entry.key)
      if (digest !== undefined && next !== digest) {
        yield { digest, places }
        places = []
      }
      digest = next
      places.push(name)
    }
    if (digest !== undefined) yield { digest, places }
  }

  return {
    image,
    async putImage(digest, record) {
      const key = imageKey(digest, record.mediaType)
      for (let attempt = 1; ; attempt++) {
        const stored = await store.get(key)
        const { configuration } = stored === undefined ? record : decode<ImageRecord>(stored)
        const value = encode({ ...(configuration === undefined ? {} : { configuration }), ...record })
        const preconditions = [{ key, revision: stored?.revision ?? 0 }]
        const result = await store.commit({ operations: [{ type: 'put', key, value }], preconditions })
        if (result.status === 'committed') return
        if (attempt === maxAttempts)
          throw unavailable(`image ${digest}`, result.status === 'unknown' ? result.cause : undefined)
      }
    },
    async images({ after, limit = Number.POSITIVE_INFINITY } = {}) {
      const images: KnownImage[] = []
      const pending: Promise<KnownImage | undefined>[] = []
      const take = async () => {
        for (const found of await Promise.all(pending.splice(0))) if (found !== undefined) images.push(found)
      }
      if (limit <= 0) return images
      for await (const { digest, places } of byDigest(after === undefined ? {} : { after })) {
        pending.push(known(digest, places))
        if (pending.length >= Math.min(atOnce, limit - images.length)) await take()
        if (images.length >= limit) break
      }
      await take()
      return images
    },
    async knownImage(digest) {
      for await (const { places } of byDigest({ only: digest })) return known(digest, places)
      return undefined
    },
  }
}
