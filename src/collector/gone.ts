import { LRUCache } from 'lru-cache'
import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import { closureOf } from '../streams/closure.ts'
import type { Links, StreamReader, StreamWriter } from '../streams/streams.ts'
import { reportGone } from '../streams/upstream-gone.ts'
import type { GoneUpstream } from './evict.ts'

export interface GoneOptions {
  reader: Pick<StreamReader, 'tags'>
  writer: Pick<StreamWriter, 'changeTag'>
  links: Pick<Links, 'get' | 'image'>
  now: () => number
}

/** An upstream may have it again: it is asked once in a while. */
const rememberedMs = 6 * 3_600_000
const maxRemembered = 20_000
/** Tags of a stream that are looked at to find those that need what is gone. */
const maxTags = 200

/** Remembers what is gone upstream, and tells it as a condition of the tags that need it. */
export function createGoneUpstream({ reader, writer, links, now }: GoneOptions): GoneUpstream {
  const known = new LRUCache<Digest, true>({ max: maxRemembered, ttl: rememberedMs, ttlResolution: 0, perf: { now } })
  return {
    has: (digest) => known.has(digest),
    add: (digest) => void known.set(digest, true),
    async tell(stream: StreamName, digest, host) {
      for (const { name, record } of await reader.tags(stream, { limit: maxTags })) {
        const image = record.items[0]?.image
        if (!image) continue
        const parts = await closureOf(links, stream, image, [])
        if (parts.some((part) => part.digest === digest)) await reportGone(writer, stream, name, image, host)
      }
    },
  }
}
