import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Operation } from '../store/store.ts'
import { imageIndexKey, linkKey, referrerKey } from './keys.ts'
import type { LinkRecord } from './records.ts'

/** Most operations that one link takes to remove. */
export const maxUnlinking = 3

/** What removes a stream's link: with it go its entries in the indexes of images and of referrers. */
export function unlinking(name: StreamName, digest: Digest, { received, subject }: LinkRecord): Operation[] {
  const indexed = received === undefined ? [] : [imageIndexKey(name, digest)]
  const referring = subject === undefined ? [] : [referrerKey(name, subject, digest)]
  return [linkKey(name, digest), ...indexed, ...referring].map((key) => ({ type: 'delete', key }))
}
