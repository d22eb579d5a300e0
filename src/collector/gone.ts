import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import { closureOf } from '../streams/closure.ts'
import type { Links, StreamReader, StreamWriter } from '../streams/streams.ts'
import { reportGone } from '../streams/upstream-gone.ts'

/** What no upstream has any more, as far as it was asked. */
export interface GoneUpstream {
  has(digest: Digest): boolean
  add(digest: Digest): void
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

export function createGoneUpstream({ reader, writer, links, now }: GoneOptions): GoneUpstream {
  /** Until when, the first to be forgotten first. */
  const known = new Map<Digest, number>()

  return {
    has: (digest) => now() < (known.get(digest) ?? 0),
    add(digest) {
      known.delete(digest)
      known.set(digest, now() + rememberedMs)
      const [oldest] = known.keys()
      if (known.size > maxRemembered && oldest !== undefined) known.delete(oldest)
    },
    async tell(stream, digests, host) {
      for (const { name, record } of await reader.tags(stream, { limit: maxTags })) {
        const image = record.items[0]?.image
        if (!image || record.upstreamGone?.image === image) continue
        const parts = await closureOf(links, stream, image, [])
        if (parts.some(({ digest }) => digests.has(digest))) await reportGone(writer, stream, name, image, host)
      }
    },
  }
}
