import type { PendingRecord, TagRecord } from './records.ts'

/**
 * Whether a tag waits for an import: it comes from a registry and what is wanted is newer than what was found there, and
 * than the newest failure to find it (okd.md 2.2, "pending import").
 */
export function isPending(record: TagRecord | undefined): boolean {
  const spec = record?.spec
  // What was found waits for its content, and nobody has to ask again where the source points.
  if (record?.awaits !== undefined) return false
  if (record === undefined || spec?.from?.kind !== 'DockerImage' || spec.reference === true) return false
  return (spec.generation ?? 0) > Math.max(record.items[0]?.generation ?? 0, record.condition?.generation ?? 0)
}

/**
 * What the index of pending tags has to say after a change of a tag's record: a record to put, null to delete, undefined to
 * leave it as it is. Without `wantedBy` whoever wanted the tag before still does.
 */
export function nextPending(
  stored: TagRecord | undefined,
  next: TagRecord,
  wantedBy: { by: string; reason?: string } | undefined,
  earlier: PendingRecord | undefined,
): PendingRecord | null | undefined {
  if (!isPending(next)) return isPending(stored) ? null : undefined
  const generation = next.spec?.generation ?? 0
  const isTold = isPending(stored) && stored?.uid === next.uid
  if (isTold && stored.spec?.generation === generation) return undefined
  const { by, reason } = wantedBy ?? (earlier?.uid === next.uid ? earlier : { by: '', reason: undefined })
  return { uid: next.uid, generation, by, ...(reason === undefined ? {} : { reason }) }
}
