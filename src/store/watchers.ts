/** Watches: each has a position in the change log, reads on from memory or disk, and sleeps when nothing is left. */

import type { Database } from './database.ts'
import { decodeLogRow, type LogRow, logBounds, logKey, type StoreState } from './encoding.ts'
import type { LogPage, RecentChanges } from './recent-changes.ts'
import { CompactedError, type WatchBatch, type WatchOptions } from './store.ts'

export interface Watchers {
  /** Tells what a batch changed; without `rows` the disk must be asked. */
  announce(state: StoreState, rows: readonly LogRow[] | undefined): void
  watch(prefixes: readonly string[], options: WatchOptions): AsyncIterable<WatchBatch>
  /** Ends all watches. */
  close(): void
}

interface Watcher {
  readonly isWatched: (key: string) => boolean
  readonly prompt: boolean
  /** Everything up to here was told or is not watched. */
  position: number
  /** The progress interval passed since it was last told. */
  due: boolean
  wake: () => void
}

const maxPageRows = 64

/** Starts without watchers, at `state`; what is announced goes into `recent`, which begins there. */
export function createWatchers({
  database,
  state,
  recent,
  progressIntervalMs,
}: {
  database: Database
  state: StoreState
  recent: RecentChanges
  progressIntervalMs: number
}): Watchers {
  const watchers = new Set<Watcher>()
  // Watchers that were told everything and wait.
  const idle = new Set<Watcher>()
  let timer: NodeJS.Timeout | undefined
  let closed = false

  function enter(watcher: Watcher): void {
    watchers.add(watcher)
    timer ??= setInterval(() => {
      for (const each of watchers) {
        each.due = true
        each.wake()
      }
    }, progressIntervalMs).unref()
  }

  function leave(watcher: Watcher): void {
    watchers.delete(watcher)
    idle.delete(watcher)
    if (watchers.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  async function nextPage(position: number): Promise<LogPage> {
    if (position >= state.revision) return { rows: [], through: position }
    return recent.after(position) ?? readLog(database, position)
  }

  async function* follow(watcher: Watcher, signal: AbortSignal): AsyncGenerator<WatchBatch, void, void> {
    const ended = () => closed || signal.aborted
    let told = -1
    if (watcher.position < state.compacted) throw new CompactedError(state.compacted)
    enter(watcher)
    const onAbort = () => watcher.wake()
    signal.addEventListener('abort', onAbort)
    try {
      while (!ended()) {
        const { rows, through } = await nextPage(watcher.position)
        for (const batch of watched(watcher, rows)) {
          if (ended()) return
          told = batch.revision
          yield batch
        }
        watcher.position = through
        if (ended()) return
        if (!isAhead(watcher) && (watcher.due || (watcher.prompt && told < through))) {
          watcher.due = false
          told = through
          yield { revision: through, changes: [] }
        }
        if (isAhead(watcher) || (watcher.position === state.revision && !watcher.due)) await sleep(watcher, ended)
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
      leave(watcher)
    }
  }

  /**
   * Whether it knows more than was announced: a watch from a revision still to come, or a log that was just written. It
   * must sleep and not look again, for without a turn of the event loop nothing would ever be announced.
   */
  function isAhead({ position }: Watcher): boolean {
    return position > state.revision
  }

  async function sleep(watcher: Watcher, ended: () => boolean): Promise<void> {
    if (ended()) return
    await new Promise<void>((resolve) => {
      idle.add(watcher)
      watcher.wake = () => {
        // It may run only later: from here on `announce` must not move its position.
        idle.delete(watcher)
        resolve()
      }
    })
  }

  return {
    announce(next, rows) {
      state = next
      if (rows === undefined) recent.reset(next.revision)
      else recent.push(rows, next.revision)
      for (const watcher of idle) {
        if (watcher.prompt || rows === undefined || concerns(watcher, rows)) watcher.wake()
        else watcher.position = Math.max(watcher.position, next.revision)
      }
    },
    watch(prefixes, { since = state.revision, signal, prompt = false }) {
      const isWatched = (key: string) => prefixes.some((prefix) => key.startsWith(prefix))
      return follow({ isWatched, prompt, position: since, due: false, wake: () => undefined }, signal)
    },
    close() {
      closed = true
      clearInterval(timer)
      for (const watcher of watchers) watcher.wake()
    },
  }
}

/** Reads a page of the log; no snapshot stays open while a consumer takes its time over it. */
async function readLog(database: Database, position: number): Promise<LogPage> {
  const scan = database.scan({ ...logBounds, gte: logKey(position + 1) })
  try {
    const { revision, compacted } = scan.state
    if (position < compacted) throw new CompactedError(compacted)
    const { rows, done } = await scan.read(maxPageRows)
    const decoded = rows.map(([key, value]) => decodeLogRow(key, value))
    return { rows: decoded, through: done ? revision : (decoded.at(-1)?.revision ?? position) }
  } finally {
    await scan.close()
  }
}

function* watched({ isWatched }: Watcher, rows: readonly LogRow[]): Generator<WatchBatch> {
  for (const { revision, changes } of rows) {
    const matching = changes.filter(({ key }) => isWatched(key))
    if (matching.length > 0) yield { revision, changes: matching }
  }
}

function concerns({ isWatched }: Watcher, rows: readonly LogRow[]): boolean {
  return rows.some(({ changes }) => changes.some(({ key }) => isWatched(key)))
}
