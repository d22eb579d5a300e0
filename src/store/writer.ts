/** The one writer: waiting commits share a batch, and nobody hears of a commit before it is on the disk. */

import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { RegistryError } from '../oci/errors.ts'
import { checkCommit } from './check-commit.ts'
import type { Database, Write } from './database.ts'
import {
  dataKey,
  decodeEntry,
  decodeState,
  encodeState,
  type LogRow,
  logKey,
  type StoreState,
  stateKey,
} from './encoding.ts'
import { judge, keysToRead, type Verdict } from './group.ts'
import { type Commit, type CommitResult, commitLimits, type Entry } from './store.ts'

export interface WriterOptions {
  database: Database
  /** What the database holds. */
  state: StoreState
  retainRevisions: number
  /** Hears of every batch, before its commits are answered. `rows` is absent when only the disk knows what changed. */
  announce(state: StoreState, rows: readonly LogRow[] | undefined): void
  /** How long to wait before a disk that failed is tried again. */
  retryMs: number
  log: Logger | undefined
}

export interface Writer {
  commit(commit: Commit): Promise<CommitResult>
  /** Finishes the commits that were taken and takes no more. */
  close(): Promise<void>
}

interface Pending {
  commit: Commit
  bytes: number
  answer: PromiseWithResolvers<CommitResult>
}

const maxGroupBytes = 4 * commitLimits.maxBytes
const maxGroupCommits = 500
// Beyond what a batch adds, so that a log that was kept longer shrinks to the retention of today.
const extraTrimmedRevisions = 64

/** Starts the writer of a database, of which there must be one. */
export function createWriter({ database, state, retainRevisions, announce, retryMs, log }: WriterOptions): Writer {
  const queue: Pending[] = []
  const closing = new AbortController()
  const isLogged = (key: string) => state.logged.some((prefix) => key.startsWith(prefix))
  let draining: Promise<void> | undefined
  let recovering: Promise<void> | undefined
  let failure: unknown
  // The newest revision that a batch carried, whether or not it came to be written: none is given twice.
  let given = state.revision

  async function drain(): Promise<void> {
    // All commits of one turn share the first batch.
    await undefined
    while (queue.length > 0) await writeGroup(takeGroup(queue))
    draining = undefined
  }

  async function writeGroup(group: readonly Pending[]): Promise<void> {
    if (failure !== undefined) return refuse(group, failure)
    let verdict: Verdict
    try {
      verdict = await judgeGroup(group.map(({ commit }) => commit))
    } catch (cause) {
      return refuse(group, cause)
    }
    if (verdict.writes.length > 0) {
      const written = await write(verdict)
      if (written !== undefined) {
        // A conflict may be due to a commit of this same batch, so it is as unknown as that one.
        for (const { answer } of group) answer.resolve(written)
        return
      }
    }
    for (const [i, { answer }] of group.entries()) answer.resolve(verdict.results[i] ?? unreachable())
  }

  async function judgeGroup(commits: readonly Commit[]): Promise<Verdict> {
    const keys = keysToRead(commits, isLogged)
    const stored = keys.length === 0 ? [] : await database.getMany(keys.map(dataKey))
    const entries = new Map<string, Entry>()
    for (const [i, key] of keys.entries()) {
      const value = stored[i]
      if (value !== undefined) entries.set(key, decodeEntry(key, value))
    }
    return judge(commits, entries, given, isLogged)
  }

  async function write({ writes, rows, revision }: Verdict): Promise<CommitResult | undefined> {
    const trimmed = trimmedTo(revision)
    const next = { ...state, revision, compacted: Math.max(state.compacted, trimmed) }
    const batch = writes.concat(trimming(state.compacted, trimmed), putState(next))
    given = revision
    try {
      await database.write(batch)
    } catch (cause) {
      log?.error({ err: cause }, 'a commit could not be written')
      failure = cause
      recovering = recover()
      return { status: 'unknown', cause }
    }
    state = next
    announce(state, rows)
    return undefined
  }

  function trimmedTo(revision: number): number {
    return Math.min(
      revision - retainRevisions,
      state.compacted + 2 * (revision - state.revision) + extraTrimmedRevisions,
    )
  }

  /**
   * After a failed write LevelDB's log may or may not hold the batch, and what is appended behind a torn record is lost
   * at the next start. Only opening it again tells, and makes what it found durable.
   */
  async function recover(): Promise<void> {
    for (;;) {
      try {
        await database.reopen()
        const found = decodeState((await database.get(stateKey)) ?? '')
        if (found.revision < state.revision) {
          throw new Error(`the disk lost revisions ${found.revision + 1} to ${state.revision}`)
        }
        state = found
        failure = undefined
        announce(state, undefined)
        log?.info({ revision: state.revision }, 'the store takes commits again')
        return
      } catch (err) {
        log?.error({ err }, 'the store could not be read again after a failed write')
      }
      await delay(retryMs, undefined, { signal: closing.signal, ref: false }).catch(() => undefined)
      if (closing.signal.aborted) return
    }
  }

  return {
    async commit(commit) {
      const bytes = checkCommit(commit)
      if (closing.signal.aborted) throw new RegistryError('UNAVAILABLE', { message: 'the store is closed' })
      const answer = Promise.withResolvers<CommitResult>()
      queue.push({ commit, bytes, answer })
      draining ??= drain()
      return answer.promise
    },
    async close() {
      closing.abort()
      await draining
      await recovering
    },
  }
}

function takeGroup(queue: Pending[]): Pending[] {
  let bytes = 0
  const end = queue.findIndex((pending, i) => {
    bytes += pending.bytes
    return i > 0 && (bytes > maxGroupBytes || i >= maxGroupCommits)
  })
  return queue.splice(0, end === -1 ? queue.length : end)
}

function refuse(group: readonly Pending[], cause: unknown): void {
  const message = 'the store takes no commits: its disk failed'
  for (const { answer } of group) answer.reject(new RegistryError('UNAVAILABLE', { message, cause }))
}

function trimming(from: number, to: number): Write[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => ({ type: 'del', key: logKey(from + 1 + i) }))
}

function putState(state: StoreState): Write {
  return { type: 'put', key: stateKey, value: encodeState(state) }
}

function unreachable(): never {
  throw new TypeError('a commit was not judged')
}
