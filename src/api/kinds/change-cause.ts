import type { SentMetadata } from '../metadata.ts'

/** The annotation in which `--reason` travels, as kubectl's does. */
export const changeCauseAnnotation = 'kubernetes.io/change-cause'

const maxReasonLength = 1024

/** Why the caller does it: an explicit reason, or the change-cause annotation; cut to 1024 characters. */
export function changeCause(
  metadata: Pick<SentMetadata, 'annotations'> | null | undefined,
  explicit?: string | null,
): { reason?: string } {
  const reason = (explicit || metadata?.annotations?.[changeCauseAnnotation] || '').slice(0, maxReasonLength)
  return reason === '' ? {} : { reason }
}
