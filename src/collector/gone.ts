import { LRUCache } from 'lru-cache'
import { proofOf } from '../content/proof.ts'
import { atMost } from '../oci/at-most.ts'
import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import { closureOf, maxPartsOfImage } from '../streams/closure.ts'
import type { Links, StreamReader, StreamWriter } from '../streams/streams.ts'
import { reportGone } from '../streams/upstream-gone.ts'
import { marks } from './marks.ts'
import type { Place } from './places.ts'

/** What was not there any more at one of the places where streams had it from. Another stream knows nothing by that. */
export interface GoneUpstream {
  /** `marks.gone`, or none. */
  mark(digest: Digest): number
  /** Whether these are the places still. */
  isAtOneOf(digest: Digest, places: readonly Place[]): boolean
  add(digest: Digest, place: Place): void
  /** Tells it as a condition of those tags of a stream that need any of these. `host` said so. */
  tell(stream: StreamName, digests: ReadonlySet<Digest>, host: string): Promise<void>
}

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
const maxTags = 1000
/** Of all images of these tags: an index names as many parts as it likes, and a tag that is not told costs one question. */
const maxPartsOfStream = 20_000

export function createGoneUpstream({ reader, writer, links, now }: GoneOptions): GoneUpstream {
  const known = new LRUCache<Digest, { at: string; until: number }>(atMost(maxRemembered))

  function placeOf(digest: Digest): string | undefined {
    const found = known.get(digest)
    return found !== undefined && now() < found.until ? found.at : undefined
  }

  return {
    mark: (digest) => (placeOf(digest) === undefined ? 0 : marks.gone),
    isAtOneOf(digest, places) {
      const at = placeOf(digest)
      return at !== undefined && places.some(({ locations }) => nameOf(locations) === at)
    },
    add: (digest, { locations }) => void known.set(digest, { at: nameOf(locations), until: now() + rememberedMs }),
    async tell(stream, digests, host) {
      const needed = new Map<Digest, boolean>()
      let left = maxPartsOfStream
      for (const { name, record } of await reader.tags(stream, { limit: maxTags })) {
        const image = record.items[0]?.image
        if (!image || record.upstreamGone?.image === image) continue
        if (!needed.has(image) && left > 0) {
          const parts = await closureOf(links, stream, image, [], { maxParts: Math.min(left, maxPartsOfImage) })
          left -= parts.length
          needed.set(
            image,
            parts.some(({ digest }) => digests.has(digest)),
          )
        }
        if (needed.get(image)) await reportGone(writer, stream, name, image, host)
      }
    },
  }
}

function nameOf(locations: Place['locations']): string {
  return proofOf(locations).join()
}
