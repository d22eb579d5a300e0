import { type Digest, parseDigest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Links, StreamLink } from '../streams/streams.ts'

/** Links read at once while an id is looked for. */
const pageLinks = 100

/**
 * The images of a stream whose digest is `id`, or begins with it: at most two, for two are too many. What the stream has as a
 * blob alone is no image of it.
 */
export async function imagesById(
  links: Pick<Links, 'get' | 'list'>,
  name: StreamName,
  id: string,
): Promise<StreamLink[]> {
  const digest = parseDigest(id)
  if (digest !== undefined) {
    const link = await links.get(name, digest)
    return link?.manifestType === undefined ? [] : [link]
  }
  const found: StreamLink[] = []
  for (let after: Digest | undefined; ; ) {
    const page = await links.list(name, { prefix: id, limit: pageLinks, ...(after && { after }) })
    found.push(...page.filter(({ manifestType }) => manifestType !== undefined))
    after = page.at(-1)?.digest
    if (found.length > 1 || page.length < pageLinks) return found.slice(0, 2)
  }
}
