/** The newest rows of the change log in memory, shared by all watchers. */

import type { LogRow } from './encoding.ts'

/** A piece of the change log: the logged revisions after a position and up to `through`. */
export interface LogPage {
  rows: readonly LogRow[]
  through: number
}

export interface RecentChanges {
  /** What happened after this revision is here. */
  readonly from: number
  /** What follows `position`, at most a page; undefined when it reaches further back than memory does. */
  after(position: number): LogPage | undefined
  /** Adds what a batch changed; `revision` is its newest. */
  push(rows: readonly LogRow[], revision: number): void
  /** Forgets all rows: memory begins after `revision`. */
  reset(revision: number): void
}

// A slow consumer keeps a page in memory, not all that is recent.
const maxPageRows = 64
const maxPageSize = 256 * 1024

/** Starts empty after `revision`; drops the oldest rows beyond `maxRows` or `maxSize` characters. */
export function createRecentChanges(
  revision: number,
  { maxRows = 1024, maxSize = 4 * 1024 * 1024 } = {},
): RecentChanges {
  let rows: LogRow[] = []
  let size = 0
  let newest = revision
  let forgotten = revision

  function forgetOldest(): void {
    let count = 0
    while (count < rows.length && (rows.length - count > maxRows / 2 || size > maxSize / 2)) {
      size -= rows[count]?.size ?? 0
      forgotten = rows[count]?.revision ?? forgotten
      count += 1
    }
    rows = rows.slice(count)
  }

  return {
    get from() {
      return forgotten
    },
    after(position) {
      if (position < forgotten) return undefined
      let begin = rows.length
      while (begin > 0 && (rows[begin - 1]?.revision ?? 0) > position) begin -= 1
      let end = begin
      let pageSize = 0
      while (end < rows.length && end - begin < maxPageRows && pageSize < maxPageSize) {
        pageSize += rows[end]?.size ?? 0
        end += 1
      }
      return {
        rows: rows.slice(begin, end),
        through: end === rows.length ? newest : (rows[end - 1]?.revision ?? newest),
      }
    },
    push(added, revision) {
      for (const row of added) {
        rows.push(row)
        size += row.size
      }
      newest = revision
      if (rows.length > maxRows || size > maxSize) forgetOldest()
    },
    reset(revision) {
      rows = []
      size = 0
      newest = revision
      forgotten = revision
    },
  }
}
