import type { TagEvent } from './records.ts'

/** Most items of a tag in its record and in `status`; the ledger has them all. */
export const maxStatusItems = 10

/** What became of a tag's items. */
export interface AppendedEvent {
  items: TagEvent[]
  /** Whether anything of the items is new. */
  changed: boolean
  /** Whether the head stands at another digest than before, or at its first one: what the ledger must tell. */
  moved: boolean
}

/**
 * Appends an event as OKD's `AddTagEventToImageStream` does (okd.md 2.3): only the head is compared, a head of the same
 * digest or the same reference is edited in place and keeps its `created`, anything else is prepended.
 */
export function appendEvent(items: readonly TagEvent[], next: TagEvent): AppendedEvent {
  const [head, ...older] = items
  if (head === undefined) return { items: [next], changed: true, moved: true }
  const sameReference = head.dockerImageReference === next.dockerImageReference
  const sameImage = head.image === next.image
  if (!sameReference && !sameImage) {
    return { items: [next, ...items].slice(0, maxStatusItems), changed: true, moved: true }
  }
  const changed = !sameReference || !sameImage || head.generation !== next.generation
  return { items: [{ ...next, created: head.created }, ...older], changed, moved: !sameImage }
}

/** RFC 3339 in UTC with whole seconds, as Kubernetes writes times. */
export function formatTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
