import { isDeepStrictEqual } from 'node:util'
import type { Digest } from '../oci/digest.ts'
import { policyAnnotations } from './content-policy.ts'
import type { TagRecord, UnheldRecord } from './records.ts'

/** The image whose content a tag needs: the one that it waits for, else the one that it stands at. */
export function neededImage(record: Pick<TagRecord, 'awaits' | 'items'>): Digest | undefined {
  return record.awaits?.image ?? (record.items[0]?.image || undefined)
}

/**
 * What the index of unheld tags has to say after a change of a tag's record: a record to put where the tag needs another image
 * than before, or other content of it, null to delete where it needs none any more, undefined to leave it as it is.
 */
export function nextUnheld(
  stored: TagRecord | undefined,
  next: TagRecord,
  { id, since }: Pick<UnheldRecord, 'id' | 'since'>,
): UnheldRecord | null | undefined {
  const before = stored?.uid === next.uid ? neededImage(stored) : undefined
  const image = neededImage(next)
  if (image === before && (image === undefined || isSamePolicy(stored, next))) return undefined
  return image === undefined ? null : { uid: next.uid, image, id, since }
}

function isSamePolicy(stored: TagRecord | undefined, next: TagRecord): boolean {
  const [before, after] = [stored, next].map((record) => policyAnnotations(record?.spec?.annotations))
  return isDeepStrictEqual(before, after)
}
