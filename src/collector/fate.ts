import { marks, needs } from './marks.ts'
import type { FreeReason, KeepReason } from './report.ts'

/** What becomes of held bytes by what leads to them alone, whenever they were last used. */
export function fateOf(bits: number): { keep: KeepReason } | { free: FreeReason } {
  if (bits & marks.pinned) return { keep: 'pinned' }
  if (bits & (marks.pulled | marks.history)) {
    if (bits & marks.here) return { keep: 'pushed' }
    if (bits & marks.gone) return { keep: 'gone upstream' }
    return { keep: bits & marks.pulled ? 'pulled' : 'history' }
  }
  if (bits & needs) return { keep: 'too young' }
  return { free: bits & marks.beyond && bits & marks.linked ? 'beyond history-keep' : 'unlinked' }
}

/**
 * Whether bytes may go when there is no room, once a location said that it can give them again: not what a pin keeps, not what is
 * here alone, nothing of an image of which some is gone, and no manifests, which are small and lead to the rest.
 */
export function isEvictable(bits: number): boolean {
  return (bits & marks.linked) !== 0 && (bits & (marks.pinned | marks.here | marks.gone | marks.manifest)) === 0
}
