import type { ChangeBatch } from '../resource.ts'
import { type SharedChange, shareChange } from './shared-change.ts'

/** The changes of one revision. */
export interface SharedBatch {
  revision: number
  changes: readonly SharedChange[]
}

/** The newest changes of a resource, in memory for all its watchers: each reads on from its own position. */
export interface Recent {
  /** All changes after this revision are here. */
  readonly from: number
  /** Up to which revision changes are known. */
  readonly position: number
  /** What follows a position that is not before `from`, in order. */
  after(position: number): IterableIterator<SharedBatch>
  /** Adds a batch; `size` is about what it takes. */
  push(batch: ChangeBatch, sizeOf: (change: SharedChange) => number): void
}

/** Starts empty after `revision`. Drops the oldest beyond `maxBatches` or `maxSize` bytes, but never the newest. */
export function createRecent(revision: number, { maxBatches = 2048, maxSize = 16 * 1024 * 1024 } = {}): Recent {
  let batches: { batch: SharedBatch; size: number }[] = []
  let size = 0
  let from = revision
  let position = revision

  /** Down to half, so that it is seldom. */
  function drop(): void {
    let count = 0
    while (count < batches.length - 1 && (batches.length - count > maxBatches / 2 || size > maxSize / 2)) {
      size -= batches[count]?.size ?? 0
      from = batches[count]?.batch.revision ?? from
      count += 1
    }
    batches = batches.slice(count)
  }

  return {
    get from() {
      return from
    },
    get position() {
      return position
    },
    *after(since) {
      let at = batches.length
      while (at > 0 && (batches[at - 1]?.batch.revision ?? 0) > since) at -= 1
      for (const { batch } of batches.slice(at)) yield batch
    },
    push({ revision, changes }, sizeOf) {
      position = revision
      if (changes.length === 0) return
      const batch = { revision, changes: changes.map((change) => shareChange(change, revision)) }
      const added = batch.changes.reduce((sum, change) => sum + sizeOf(change), 0)
      batches.push({ batch, size: added })
      size += added
      if (batches.length > maxBatches || size > maxSize) drop()
    },
  }
}
