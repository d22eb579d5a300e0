import type { Logger } from 'pino'
import { createMirror } from '../store/mirror.ts'
import type { Change, Store } from '../store/store.ts'
import { unheldPrefix } from '../streams/keys.ts'
import { createHostQueue } from '../upstream/host-queue.ts'
import type { Attempt } from './attempt.ts'
import { entryOf, isSameWish, type UnheldEntry } from './entries.ts'
import type { QuietHosts } from './quiet-hosts.ts'

export interface FollowOptions {
  /** Must log the prefix `index/unheld/`. */
  store: Store
  attempt: Attempt
  /** The registry that an entry's image is fetched from; empty when that is not known. */
  hostOf(entry: UnheldEntry): Promise<string>
  quiet: QuietHosts
  /** Most entries worked at together, and of one host: what is fetched for them has budgets of its own. */
  total: number
  perHost: number
  perProject: number
  pause(ms: number, signal: AbortSignal): Promise<void>
  log: Logger
}

/** What is wanted now, for whoever counts. */
export interface Following {
  readonly entries: ReadonlyMap<string, UnheldEntry>
  /** Settles when it has ended with all that was under way. */
  readonly ended: Promise<void>
}

/** After the store failed, or something unforeseen. */
const troublePauseMs = 60_000

/**
 * Works off the index of unheld tags until `signal` aborts: what was there, and what comes. Each tag at most once at a time; what
 * is under way for an image that its tag no longer needs is ended.
 */
export function followUnheld(options: FollowOptions, signal: AbortSignal): Following {
  const { store, attempt, quiet, total, perHost, perProject, pause, log } = options
  /** The newest entry of each key. Whatever else is queued or pauses was superseded. */
  const entries = new Map<string, UnheldEntry>()
  const arrivals = new Map<string, UnheldEntry>()
  const queue = createHostQueue<UnheldEntry>({ total, perHost, perProject })
  const running = new Map<string, AbortController>()
  const work = new Set<Promise<void>>()
  let sorting = false

  function begin(some: Promise<void>): void {
    work.add(some)
    void some.finally(() => work.delete(some))
  }

  function arrive(entry: UnheldEntry): void {
    entries.set(entry.key, entry)
    const current = running.get(entry.key)
    // Who runs looks for a newer entry when it ends.
    current?.abort()
    if (current !== undefined) return
    arrivals.set(entry.key, entry)
    if (!sorting) begin(sort())
  }

  /** Finds out where each entry leads, one after the other: at the start there may be very many. */
  async function sort(): Promise<void> {
    sorting = true
    for (let [next] = arrivals; next !== undefined && !signal.aborted; [next] = arrivals) {
      const [key, entry] = next
      const host = await options.hostOf(entry).catch(() => '')
      if (arrivals.get(key) === entry) arrivals.delete(key)
      queue.add({ project: entry.name.project, host }, key, entry)
      runNext()
    }
    sorting = false
  }

  function runNext(): void {
    for (let next = signal.aborted ? undefined : queue.take(); next !== undefined; next = queue.take()) {
      if (entries.get(next.item.key) !== next.item) queue.done(next)
      else begin(run(next.host, next.item))
    }
  }

  async function run(host: string, entry: UnheldEntry): Promise<void> {
    const superseded = new AbortController()
    running.set(entry.key, superseded)
    const waitMs = await tryOnce(host, entry, AbortSignal.any([signal, superseded.signal]))
    running.delete(entry.key)
    queue.done({ project: entry.name.project, host })
    const newest = entries.get(entry.key)
    if (newest !== undefined && newest !== entry) arrive(newest)
    else if (newest === entry && waitMs === undefined) entries.delete(entry.key)
    else if (newest === entry && waitMs !== undefined) begin(rest(entry, waitMs))
    runNext()
  }

  async function tryOnce(host: string, entry: UnheldEntry, own: AbortSignal): Promise<number | undefined> {
    const quietMs = quiet.waitMs(host)
    if (quietMs > 0) return quietMs
    try {
      return await attempt(entry, own)
    } catch (error) {
      if (!own.aborted) log.warn({ ...entry.name, tag: entry.tag, err: error }, 'content of a tag is fetched later')
      return troublePauseMs
    }
  }

  async function rest(entry: UnheldEntry, ms: number): Promise<void> {
    await pause(ms, signal).catch(() => undefined)
    if (!signal.aborted && entries.get(entry.key) === entry) arrive(entry)
  }

  function apply(changes: readonly Change[]): void {
    for (const { key, value } of changes) {
      const entry = value === undefined ? undefined : entryOf(key, value)
      const before = entries.get(key)
      if (entry === undefined) {
        entries.delete(key)
        running.get(key)?.abort()
      } else if (before !== undefined && isSameWish(before.record, entry.record)) before.record = entry.record
      else arrive(entry)
    }
  }

  async function follow(): Promise<void> {
    const mirror = createMirror(store, { prefix: unheldPrefix, apply, reset: () => entries.clear(), signal })
    await mirror.ready
    await aborted(signal)
    await Promise.all(work)
  }

  return { entries, ended: follow() }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
