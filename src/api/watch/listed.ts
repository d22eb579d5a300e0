import type { ApiObject } from '../resource.ts'
import type { EventType, SharedChange } from './shared-change.ts'

/**
 * What a list at the beginning of a watch showed. Its pages are read one after the other while the store goes on: of the
 * changes meanwhile, those that the list showed already, or of objects that it never showed, are no news.
 */
export interface Listed {
  add(object: ApiObject): void
  /** All was shown; the last page was read when the store was at most at `revision`. */
  end(revision: number): void
  /** Whether a change is news; from then on what it did counts as shown. */
  isNews(change: SharedChange, type: EventType): boolean
  /** Whether changes up to `revision` still need this; false from when the store has passed the end of the list. */
  concerns(revision: number): boolean
}

/** A list whose first page was read when the store was at least at `since`. */
export function createListed(since: number): Listed {
  // Of each object eight bytes: lists are long, and many clients may list at once.
  let hashes: number[] | Float64Array = []
  // Objects that were read with a change after `since`, with its revision.
  const newer = new Map<string, number>()
  // Whether an object is known to the client, where a change meanwhile has said it.
  const known = new Map<string, boolean>()
  let until = Number.POSITIVE_INFINITY

  return {
    add(object) {
      const key = keyOf(object)
      if (Array.isArray(hashes)) hashes.push(hashOf(key))
      const revision = Number(object.metadata.resourceVersion ?? 0)
      if (revision > since) newer.set(key, revision)
    },
    end(revision) {
      hashes = Float64Array.from(hashes).sort()
      until = revision
    },
    isNews({ before, after, revision }, type) {
      const key = keyOf(after ?? before)
      if (revision <= (newer.get(key) ?? 0)) return false
      const isKnown = known.get(key) ?? hasSorted(hashes, hashOf(key))
      if (isKnown === (type === 'ADDED')) return false
      known.set(key, type !== 'DELETED')
      return true
    },
    concerns: (revision) => revision <= until,
  }
}

function keyOf(object: ApiObject | undefined): string {
  return `${object?.metadata.namespace ?? ''}/${object?.metadata.name ?? ''}`
}

/** FNV-1a twice, 53 bits in all: of two names with one hash a change could be taken for one of the other. */
function hashOf(text: string): number {
  let high = 0x811c9dc5
  let low = 0x1b873593
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i)
    high = Math.imul(high ^ code, 0x01000193)
    low = Math.imul(low ^ code, 0x85ebca6b)
  }
  return (high >>> 0) * 2 ** 21 + (low >>> 11)
}

function hasSorted(sorted: ArrayLike<number>, value: number): boolean {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? 0) < value) low = middle + 1
    else high = middle
  }
  return sorted[low] === value
}
