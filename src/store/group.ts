/** Judges the commits of one group, in order, and turns those that hold into one batch. Pure. */

import type { Write } from './database.ts'
import { dataKey, encodeChanges, encodeValue, type LogRow, logKey } from './encoding.ts'
import type { Change, Commit, CommitResult, Entry } from './store.ts'

/** What becomes of a group, once its batch is on the disk. */
export interface Verdict {
  /** One for each commit, in order. */
  results: CommitResult[]
  /** Data and change log; empty when no commit holds. */
  writes: Write[]
  rows: LogRow[]
  /** The newest revision after the batch. */
  revision: number
}

/** The keys whose entries `judge` must know: those with a precondition, and those whose previous value is logged. */
export function keysToRead(commits: readonly Commit[], isLogged: (key: string) => boolean): string[] {
  const keys = new Set<string>()
  for (const { operations, preconditions = [] } of commits) {
    for (const { key } of preconditions) keys.add(key)
    for (const { key } of operations) if (isLogged(key)) keys.add(key)
  }
  return [...keys]
}

/**
 * Judges preconditions against `entries` (what the database holds) and the earlier commits of the group, which it
 * enters there. Each commit that holds gets the next revision after `revision`.
 */
export function judge(
  commits: readonly Commit[],
  entries: Map<string, Entry>,
  revision: number,
  isLogged: (key: string) => boolean,
): Verdict {
  const verdict: Verdict = { results: [], writes: [], rows: [], revision }
  for (const commit of commits) {
    const failed = commit.preconditions?.find(({ key, revision }) => (entries.get(key)?.revision ?? 0) !== revision)
    if (failed === undefined) {
      verdict.revision += 1
      apply(commit, entries, verdict, isLogged)
      verdict.results.push({ status: 'committed', revision: verdict.revision })
    } else {
      verdict.results.push({ status: 'conflict', key: failed.key })
    }
  }
  return verdict
}

function apply(
  { operations }: Commit,
  entries: Map<string, Entry>,
  { writes, rows, revision }: Verdict,
  isLogged: (key: string) => boolean,
): void {
  const changes: Change[] = []
  for (const operation of operations) {
    const { key } = operation
    const value = operation.type === 'put' ? operation.value : undefined
    const previous = entries.get(key)
    if (isLogged(key) && (value !== undefined || previous !== undefined)) changes.push({ key, value, previous })
    if (value === undefined) {
      writes.push({ type: 'del', key: dataKey(key) })
      entries.delete(key)
    } else {
      writes.push({ type: 'put', key: dataKey(key), value: encodeValue(value, revision) })
      entries.set(key, { key, value, revision })
    }
  }
  if (changes.length === 0) return
  const value = encodeChanges(changes)
  writes.push({ type: 'put', key: logKey(revision), value })
  rows.push({ revision, changes, size: value.length })
}
