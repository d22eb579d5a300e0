import type { SweepReport } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'

/**
 * Why bytes are kept. `pinned`: a pin needs them, and its tag's policy keeps that. `pulled`: a pin needs them that keeps only what
 * is pulled, or for another platform. `history`: a revision in keep needs them. `pushed`: one of these two, and nobody else has
 * them. `gone upstream`: the same, since no upstream has them any more. `too many places`: the same, and more
 * streams have them, each its own way, than are asked whether they can have them again.
 */
export type KeepReason =
  | 'pinned'
  | 'history'
  | 'pulled'
  | 'pushed'
  | 'gone upstream'
  | 'too many places'
  | 'being used'
  | 'too young'
/** Why they go. `unlinked`: no stream has them. `beyond history-keep`: only revisions need them that keep no bytes. */
export type FreeReason = 'unlinked' | 'beyond history-keep' | 'evicted'

export interface FreedContent {
  digest: Digest
  bytes: number
  reason: FreeReason
}

/** What a prune did, or would do. */
export interface PruneReport {
  freedBytes: number
  /** The largest first, at most 1,000; `freedCount` has all. */
  freed: readonly FreedContent[]
  freedCount: number
  kept: readonly { reason: KeepReason; count: number; bytes: number }[]
  removedLinks: number
  /** What crashes had left, which is cleared away besides; absent in a dry run. */
  swept?: SweepReport
}

/** A report that is being written. */
export interface Report {
  readonly freedBytes: number
  free(digest: Digest, bytes: number, reason: FreeReason): void
  /** `count` and `bytes` may be negative: of what was kept at first and goes after all. */
  keep(reason: KeepReason, bytes: number, count?: number): void
  removedLinks(count: number): void
  done(): Omit<PruneReport, 'swept'>
}

const maxFreed = 1000

export function createReport(): Report {
  let freed: FreedContent[] = []
  let freedCount = 0
  let freedBytes = 0
  let links = 0
  const kept = new Map<KeepReason, { count: number; bytes: number }>()

  function largest(): FreedContent[] {
    return freed.sort((a, b) => b.bytes - a.bytes || (a.digest < b.digest ? -1 : 1)).slice(0, maxFreed)
  }

  return {
    get freedBytes() {
      return freedBytes
    },
    free(digest, bytes, reason) {
      freedCount += 1
      freedBytes += bytes
      freed.push({ digest, bytes, reason })
      if (freed.length >= 2 * maxFreed) freed = largest()
    },
    keep(reason, bytes, count = 1) {
      const sum = kept.get(reason) ?? { count: 0, bytes: 0 }
      kept.set(reason, { count: sum.count + count, bytes: sum.bytes + bytes })
    },
    removedLinks(count) {
      links += count
    },
    done() {
      const reasons = [...kept].filter(([, { count }]) => count > 0).map(([reason, sum]) => ({ reason, ...sum }))
      return {
        freedBytes,
        freed: largest(),
        freedCount,
        kept: reasons.sort((a, b) => b.bytes - a.bytes || (a.reason < b.reason ? -1 : 1)),
        removedLinks: links,
      }
    },
  }
}
