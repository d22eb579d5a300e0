import type { Change, Store } from './store.ts'

/**
 * Follows one prefix of the store for a cache. `ready` settles when everything that was there at the start has been
 * applied; `reached(revision)` when every change up to that revision has, so that whoever just committed can wait until
 * the caches of this process know.
 */
export interface Mirror {
  readonly ready: Promise<void>
  /** The revision up to which changes were applied. */
  readonly revision: number
  reached(revision: number): Promise<void>
}

export interface MirrorOptions {
  prefix: string
  /**
   * Called in order, synchronously, with the changes of one revision. With `preload`, the existing entries come first
   * as changes without `previous`; after a compaction `reset` is called and they come again.
   */
  apply(changes: readonly Change[], revision: number): void
  /** Forget everything: what follows is told from the start. */
  reset(): void
  /** Whether existing entries are read first; default true. A cache that fills itself on misses sets false. */
  preload?: boolean
  signal: AbortSignal
}

export type CreateMirror = (store: Store, options: MirrorOptions) => Mirror
