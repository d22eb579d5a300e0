import type { Digest } from '../oci/digest.ts'
import { createDigestTable } from './digest-table.ts'

/** Why something is needed, as bits: a digest may be needed for several reasons, by several streams. */
export const marks = {
  /** A pin needs it, and the tag's policy keeps what its pin needs. */
  pinned: 1,
  /** A pin needs it that keeps only what is pulled, or for a platform that is not wanted. */
  pulled: 2,
  /** A revision in keep needs it. */
  history: 4,
  /** A revision of the ledger leads to it, which keeps no bytes any more. */
  beyond: 8,
  /** An import may be under way that needs it. */
  fresh: 16,
  /** A living stream has a link to it. */
  linked: 32,
  /** A living stream has it as a manifest. */
  manifest: 64,
  /** A living stream has it from nowhere but here. */
  here: 128,
  /** A pin needs it that says that its image is gone upstream. */
  gone: 256,
} as const

/** Set for everything that is held. */
const held = 512

/** What needs its bytes. */
export const needs = marks.pinned | marks.pulled | marks.history | marks.fresh

/** What is held when a pass begins, and what it finds out about it. Marks are only ever added. */
export interface HeldMarks {
  /** Counts a digest as held. */
  hold(digest: Digest): void
  /** Marks a digest if it is held. */
  mark(digest: Digest, bits: number): void
  /** Its marks; undefined when it was not held when the pass began. */
  get(digest: Digest): number | undefined
}

export function createHeldMarks(): HeldMarks {
  const table = createDigestTable()
  return {
    hold: (digest) => void table.add(digest, held),
    mark(digest, bits) {
      if (table.get(digest) !== 0) table.add(digest, bits)
    },
    get(digest) {
      const bits = table.get(digest)
      return bits === 0 ? undefined : bits & ~held
    },
  }
}
