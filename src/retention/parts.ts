import type { Content } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import { closureOf, maxPartsOfImage, type Part } from '../streams/closure.ts'
import type { HeldProgress } from '../streams/records.ts'
import type { Links } from '../streams/streams.ts'

/** Parts that are looked for at the same time. */
const concurrency = 16

/** What is wanted of an image, and what of it is not held. */
export interface Look {
  parts: readonly Part[]
  /** Not held, or manifests whose parts are not known. */
  missing: readonly Part[]
  progress: HeldProgress
}

/** Looks at what pulls of an image for these platforms need; asks nobody. */
export async function lookAt(
  { links, content }: { links: Pick<Links, 'get' | 'image'>; content: Pick<Content, 'held'> },
  name: StreamName,
  image: Digest,
  platforms: readonly string[],
): Promise<Look> {
  const parts = await closureOf(links, name, image, platforms, { wantedAlone: true, maxParts: maxPartsOfImage })
  const missing: Part[] = []
  const progress: HeldProgress = { parts: 0, heldParts: 0, bytes: 0, heldBytes: 0 }
  for (let start = 0; start < parts.length; start += concurrency) {
    const some = parts.slice(start, start + concurrency)
    const held = await Promise.all(some.map(({ link }) => link && content.held(link)))
    for (const [i, part] of some.entries()) {
      const bytes = held[i] ?? part.size ?? 0
      progress.parts += 1
      progress.bytes += bytes
      if (part.isUnread || held[i] === undefined) missing.push(part)
      else {
        progress.heldParts += 1
        progress.heldBytes += bytes
      }
    }
  }
  return { parts, missing, progress }
}
