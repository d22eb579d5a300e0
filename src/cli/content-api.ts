/** Shapes of the API's answers about content that is held, `weir.dev/v1`. */

import type { ApiObject } from './api.ts'

/** How much of what a tag's image needs is held. */
export interface PrefetchStatus {
  /** Digest. */
  image?: string
  /** `held`, `fetching` or `failed`. */
  state?: string
  parts?: number
  heldParts?: number
  bytes?: number
  heldBytes?: number
  /** Why it failed; of what is held, what was left out. */
  message?: string
}

export interface Prefetch extends ApiObject {
  spec?: { stream?: string; tag?: string }
  status?: PrefetchStatus
}

/** One digest that was freed, or would be. */
export interface FreedContent {
  digest: string
  bytes: number
  reason: string
}

export interface ContentPrune extends ApiObject {
  status?: {
    freedBytes?: number
    /** The largest first, and not all where they are many; `freedCount` has all. */
    freed?: FreedContent[] | null
    freedCount?: number
    kept?: { reason: string; count: number; bytes: number }[] | null
    removedLinks?: number
    /** What crashes had left, which was cleared away besides. */
    swept?: { unfinished?: number; orphanFiles?: number; orphanRecords?: number; bytes?: number }
  }
}

export interface ContentVerification extends ApiObject {
  status?: {
    checked?: number
    bytes?: number
    corrupt?: string[] | null
    /** Recorded as held, without a file. */
    missing?: string[] | null
    /** The digest to go on after; absent at the end. */
    continue?: string
  }
}
