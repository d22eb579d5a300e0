/**
 * The ordered, revisioned key-value contract of DESIGN section 4. Keys are strings ordered by their UTF-8 bytes, values
 * are JSON text. Two engines implement it (LevelDB here, etcd for clusters); `test/contracts/store.ts` is the contract.
 */

/** One key as it stands. `revision` is the store revision of the commit that wrote it. */
export interface Entry {
  key: string
  value: string
  revision: number
}

/** What a commit does to one key. A key occurs at most once in a commit. */
export type Operation = { type: 'put'; key: string; value: string } | { type: 'delete'; key: string }

/** The commit goes through only while `key` is at `revision`; 0 means absent. */
export interface Precondition {
  key: string
  revision: number
}

export interface Commit {
  operations: readonly Operation[]
  preconditions?: readonly Precondition[]
}

/**
 * `committed`: durable, and visible to every later read; `revision` is the whole store's new revision.
 * `conflict`: nothing was written; `key` is the first precondition that did not hold.
 * `unknown`: it may or may not have been written (an I/O error, a timeout): read again before saying anything.
 */
export type CommitResult =
  | { status: 'committed'; revision: number }
  | { status: 'conflict'; key: string }
  | { status: 'unknown'; cause: unknown }

/** Keys with `prefix`, from `start` (inclusive) and before `end` (exclusive), both whole keys. */
export interface RangeQuery {
  prefix: string
  start?: string
  end?: string
  /** Most entries; default all. */
  limit?: number
  /** From the last key down; default false. */
  reverse?: boolean
}

/** One consistent snapshot, read lazily and once; later commits do not change it. */
export interface Snapshot extends AsyncIterable<Entry> {
  /** The store's revision that this snapshot shows. */
  readonly revision: number
}

/** Which state is read. */
export interface ReadOptions {
  /**
   * The state as of this revision; default, and for one still to come, the newest. All prefixes must be among those whose
   * changes are kept.
   */
  revision?: number
}

/** A change of one key. `value` is undefined for a deletion, `previous` for a creation. */
export interface Change {
  key: string
  value: string | undefined
  previous: Entry | undefined
}

/** All changes under the watched prefix of one revision, or, with no changes, the news that time went on to `revision`. */
export interface WatchBatch {
  revision: number
  changes: readonly Change[]
}

/** Where a watch begins and how it is told. */
export interface WatchOptions {
  /** The revision after which changes are told; default: now. */
  since?: number
  signal: AbortSignal
  /** Progress at once, for caches that somebody waits for, not only at least every second; default false. */
  prompt?: boolean
}

/**
 * Thrown by `watch` when `since` lies before what the change log still holds: read a range and watch from there; and by
 * reads of an earlier state that can not be told any more.
 */
export class CompactedError extends Error {
  readonly compactedRevision: number
  constructor(compactedRevision: number) {
    super(`changes up to revision ${compactedRevision} are compacted`)
    this.name = 'CompactedError'
    this.compactedRevision = compactedRevision
  }
}

/** A singleton's right to run. `lost` aborts when it is no longer held. */
export interface Lease {
  readonly lost: AbortSignal
  release(): Promise<void>
}

/** Most operations and bytes of one commit (etcd's limits); more is a `TypeError`. */
export const commitLimits = { maxOperations: 100, maxBytes: 1024 * 1024 } as const

/** Most ranges of one snapshot. */
export const maxRanges = 100

export interface Store {
  /** The key as of now; undefined when absent. */
  get(key: string): Promise<Entry | undefined>
  /** Opens a snapshot of a range. @throws as `ranges` */
  range(query: RangeQuery, options?: ReadOptions): Promise<Snapshot>
  /**
   * Opens one snapshot of several ranges: all have the same revision. Each is read once, in any order; the snapshot is
   * freed when all were read or left.
   *
   * @throws TypeError for none, for more than `maxRanges`, and for an earlier state of what is not logged
   * @throws CompactedError for an earlier state that can not be told any more. LevelDB undoes what it has in memory: about
   *   the last 500 revisions or 2 MiB of changes since the store was opened
   */
  ranges(queries: readonly RangeQuery[], options?: ReadOptions): Promise<Snapshot[]>
  /**
   * Writes all operations or none, durably, under a new revision.
   *
   * @throws TypeError for a commit beyond the limits, without operations, or with a key twice.
   * @throws RegistryError UNAVAILABLE when nothing was written because the store is closed or its disk failed.
   */
  commit(commit: Commit): Promise<CommitResult>
  /**
   * Follows the keys under `prefix`, or under any of several: first every revision after `since` (default: now), then new
   * ones as they come, one batch a revision, in order, its changes in the order of the commit's operations, and a progress
   * batch at least every second. With `prompt` a progress batch comes at the start, once caught up, and as soon as a
   * revision changed nothing under the prefix (one may stand for several). Ends when `signal` aborts or the store closes.
   *
   * @throws CompactedError (from the iterator) when `since` is too old.
   * @throws TypeError (at once) for a prefix whose changes are not kept, or for none.
   */
  watch(prefix: string | readonly string[], options: WatchOptions): AsyncIterable<WatchBatch>
  /** Waits for the right to be the one that runs `name`; on LevelDB it is granted at once. */
  lease(name: string, signal: AbortSignal): Promise<Lease>
  /** Ends all watches, finishes commits that were taken, frees the directory. */
  close(): Promise<void>
}
