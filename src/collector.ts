/** Makes room: removes links that nothing leads to any more, bytes that no revision in keep needs, and evicts what can be had again. */
import type { Digest } from './oci/digest.ts'

/** Why bytes are kept or go. */
export type KeepReason = 'pinned' | 'history' | 'pulled' | 'pushed' | 'gone upstream' | 'being used' | 'too young'
export type FreeReason = 'unlinked' | 'beyond history-keep' | 'evicted' | 'unfinished' | 'orphan'

/** What a prune did, or would do. */
export interface PruneReport {
  freedBytes: number
  /** The largest first, at most 1,000; `freedCount` has all. */
  freed: readonly { digest: Digest; bytes: number; reason: FreeReason }[]
  freedCount: number
  kept: readonly { reason: KeepReason; count: number; bytes: number }[]
  removedLinks: number
}

/** What one page of a verification found. */
export interface VerifyReport {
  checked: number
  bytes: number
  corrupt: readonly Digest[]
  /** To go on after; absent at the end. */
  continue?: Digest
}

export interface Collector {
  /** One pass over everything that leads to content. `keepYoungerThanMs`: what was used since is kept; default 24 h. */
  prune(options: { dryRun: boolean; keepYoungerThanMs?: number; signal?: AbortSignal }): Promise<PruneReport>
  /** Hashes what is held again, after a digest, about `maxBytes` of it (default 1 GiB). */
  verify(options: { after?: Digest; maxBytes?: number; signal?: AbortSignal }): Promise<VerifyReport>
}
