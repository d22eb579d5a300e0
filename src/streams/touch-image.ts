import type { Content } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import { closureOf, maxPartsOfImage } from './closure.ts'
import type { Links } from './streams.ts'

/**
 * Counts all that is held of an image as just used, so that nobody removes it before a tag stands there: for whoever is about to
 * move one, ten minutes before at most.
 *
 * @returns what nobody can give any more: it was `here` alone, and is not held
 */
export async function touchImage(
  { links, content }: { links: Pick<Links, 'get' | 'image'>; content: Pick<Content, 'touch' | 'held'> },
  name: StreamName,
  digest: Digest,
): Promise<Digest[]> {
  const lost: Digest[] = []
  for (const part of await closureOf(links, name, digest, [], { maxParts: maxPartsOfImage })) {
    await content.touch(part.digest)
    const isHereAlone = part.link?.locations.every(({ kind }) => kind === 'here') ?? false
    // Only what is held after it was used is there to stay.
    if (isHereAlone && part.link && (await content.held(part.link)) === undefined) lost.push(part.digest)
  }
  return lost
}
