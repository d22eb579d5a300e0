import type { Digest } from '../oci/digest.ts'
import type { Entry, Store } from '../store/store.ts'
import { decode, encode, imageIndexRange, imageKey, lifeKey, linkKey, placeOfImage } from './keys.ts'
import { unavailable } from './link-steps.ts'
import type { ImageIndexRecord, ImageRecord, LifeRecord, LinkRecord } from './records.ts'
import type { KnownImage, Links } from './streams.ts'

type Images = Pick<Links, 'image' | 'putImage' | 'images' | 'knownImage'>

/** Images looked up at the same time. */
const atOnce = 50
const maxAttempts = 20

/**
 * The image as the first of the streams has it that lives. `index` are the image's entries in their order; `read` tells the
 * lives of streams and the records of images at the moment that is looked at.
 */
export async function firstKnown(
  store: Pick<Store, 'get'>,
  { digest, index }: { digest: Digest; index: readonly Entry[] },
  read: (key: string) => Promise<Entry | undefined>,
): Promise<KnownImage | undefined> {
  for (const entry of index) {
    const { project, stream } = placeOfImage(entry.key)
    const life = await read(lifeKey({ project, stream }))
    // A stream that was made anew has what the index says of the earlier one only if it received it too.
    if (life === undefined || decode<LifeRecord>(life).uid !== decode<ImageIndexRecord>(entry).uid) continue
    // What was received says the same as long as the stream lives.
    const link = await store.get(linkKey({ project, stream }, digest))
    const record = link && (await read(imageKey(digest, decode<LinkRecord>(link).mediaType)))
    if (record === undefined) continue
    const revision = Math.max(entry.revision, record.revision)
    return { digest, image: decode<ImageRecord>(record), stream: { project, stream }, revision }
  }
  return undefined
}

/** Keeps what is known of images, and finds them for the whole cluster. */
export function createImages({ store }: { store: Store }): Images {
  const known = (digest: Digest, index: readonly Entry[]) => firstKnown(store, { digest, index }, store.get)

  async function* byDigest(range: { after?: Digest; only?: Digest }) {
    let digest: Digest | undefined
    let index: Entry[] = []
    for await (const entry of await store.range(imageIndexRange(range))) {
      const { digest: next } = placeOfImage(entry.key)
      if (digest !== undefined && next !== digest) {
        yield { digest, index }
        index = []
      }
      digest = next
      index.push(entry)
    }
    if (digest !== undefined) yield { digest, index }
  }

  return {
    async image(digest, mediaType) {
      const entry = await store.get(imageKey(digest, mediaType))
      return entry && decode<ImageRecord>(entry)
    },
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
      for await (const { digest, index } of byDigest(after === undefined ? {} : { after })) {
        pending.push(known(digest, index))
        if (pending.length >= Math.min(atOnce, limit - images.length)) await take()
        if (images.length >= limit) break
      }
      await take()
      return images
    },
    async knownImage(digest) {
      for await (const { index } of byDigest({ only: digest })) return known(digest, index)
      return undefined
    },
  }
}
