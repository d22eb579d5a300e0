import type { SentMetadata } from '../metadata.ts'

/** The annotation in which `--reason` travels, as kubectl's does. */
export const changeCauseAnnotation = 'kubernetes.io/change-cause'

const maxReasonLength = 1024

/**
 * Metadata of an object that keeps the annotation, as far as it says why this write is done: what `before` says already is
 * the reason of an earlier one.
 */
export function withNewCause<T extends Pick<SentMetadata, 'annotations'>>(
  metadata: T,
  before: Readonly<Record<string, string>> | undefined,
): T {
  const { [changeCauseAnnotation]: cause, ...others } = metadata.annotations ?? {}
  return cause !== undefined && cause === before?.[changeCauseAnnotation]
    ? { ...metadata, annotations: others }
    : metadata
}

/** Why the caller does it: an explicit reason, or the change-cause annotation; cut to 1024 characters. */
export function changeCause(
  metadata: Pick<SentMetadata, 'annotations'> | null | undefined,
  explicit?: string | null,
): { reason?: string } {
  const reason = (explicit || metadata?.annotations?.[changeCauseAnnotation] || '').slice(0, maxReasonLength)
  return reason === '' ? {} : { reason }
}
