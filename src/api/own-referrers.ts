import type { Digest } from '../oci/digest.ts'
import { parseFallbackTag } from '../oci/fallback-tag.ts'
import type { StreamName } from '../oci/reference.ts'
import type { ReferrerRecords } from '../streams/referrer-records.ts'

/** Read-only annotation of an image: what its stream has that refers to it, as {@link countReferrers} says it. Absent when nothing does. */
export const referrersAnnotation = 'weir.dev/referrers'

/** Most that are counted: an image is read often. */
const maxCounted = 1000
const maxTypes = 10

/**
 * `3: example/sbom (2), tag .sig (1)`: how many refer to an image by what the stream itself has received, and of which artifact type,
 * or under which tag that is derived from the digest. No upstream is asked. Undefined when there are none.
 */
export async function countReferrers(
  records: Pick<ReferrerRecords, 'list' | 'fallbacks'>,
  name: StreamName,
  subject: Digest,
): Promise<string | undefined> {
  const [received, derived] = await Promise.all([
    records.list(name, subject, { limit: maxCounted + 1 }),
    records.fallbacks(name, { of: subject, limit: maxCounted }),
  ])
  const counts = new Map<string, number>()
  const count = (what: string) => void counts.set(what, (counts.get(what) ?? 0) + 1)
  for (const { artifactType, mediaType } of received.slice(0, maxCounted)) count(artifactType ?? mediaType)
  for (const { tag } of derived) {
    const suffix = parseFallbackTag(tag)?.suffix
    // Without one it is the index of what was counted by its subject.
    if (suffix) count(`tag ${suffix}`)
  }
  if (counts.size === 0) return undefined
  const total = [...counts.values()].reduce((sum, each) => sum + each, 0)
  const listed = [...counts].sort(([, a], [, b]) => b - a).map(([what, many]) => `${what} (${many})`)
  const more = listed.length - maxTypes
  const isMore = received.length > maxCounted
  return `${total}${isMore ? ' or more' : ''}: ${listed.slice(0, maxTypes).join(', ')}${more > 0 ? `, ${more} other types` : ''}`
}
