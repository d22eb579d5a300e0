import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { parseImageReference, type StreamName } from '../oci/reference.ts'
import { createMirror } from '../store/mirror.ts'
import type { Change, Store } from '../store/store.ts'
import type { PendingRecord } from '../streams/records.ts'
import type { StreamReader } from '../streams/streams.ts'
import { createHostQueue } from '../upstream/host-queue.ts'

export interface PendingImportsOptions {
  /** Must log the prefix `index/pending/`. */
  store: Store
  reader: Pick<StreamReader, 'stream' | 'tag'>
  /** Imports what one tag wants; what it leaves pending is tried again. */
  importPending(name: StreamName, tag: string, pending: PendingRecord, signal: AbortSignal): Promise<void>
  /** Ends everything, also what is under way. */
  signal: AbortSignal
  log: Logger
  /** Most imports at the same time; default 8. */
  total?: number
  /** Of them, most from one host; default 2. */
  perHost?: number
  /** Pauses before a wish that is left pending is tried again. */
  pause?: (ms: number, signal: AbortSignal) => Promise<void>
}

/** A wish as the store has it. */
interface Wish {
  key: string
  name: StreamName
  tag: string
  /** The record as it is written: another one is another wish. */
  value: string
  record: PendingRecord
  /** How often it was tried and left. */
  tries: number
}

const prefix = 'index/pending/'
/** The first pause of a wish that was left pending, doubled with each later one up to the longest. */
const firstPauseMs = 1000
const longestPauseMs = 5 * 60 * 1000

/**
 * Imports in the background what tags want and do not have yet, until `signal` aborts: what a process before left, and new
 * wishes as they come. Each tag at most once at a time; one process does it. Never throws.
 */
export async function runPendingImports(options: PendingImportsOptions): Promise<void> {
  const { store, signal, log, pause = sleep } = options
  while (!signal.aborted) {
    try {
      const lease = await store.lease('imports', signal)
      await followWishes(options, AbortSignal.any([signal, lease.lost])).finally(lease.release)
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error }, 'pending imports can not be followed for now')
    }
    if (!signal.aborted) await pause(firstPauseMs, signal).catch(() => undefined)
  }
}

/** Settles when `signal` aborts and nothing is under way. */
async function followWishes(options: PendingImportsOptions, signal: AbortSignal): Promise<void> {
  const { store, reader, log, total = 8, perHost = 2, pause = sleep } = options
  /** The newest wish of each key. Whatever else is queued or pauses was superseded. */
  const wishes = new Map<string, Wish>()
  const arrivals = new Map<string, Wish>()
  const queue = createHostQueue<Wish>({ total, perHost })
  const running = new Set<string>()
  const work = new Set<Promise<void>>()
  let sorting = false

  function begin(some: Promise<void>): void {
    work.add(some)
    void some.finally(() => work.delete(some))
  }

  function arrive(wish: Wish): void {
    wishes.set(wish.key, wish)
    // Who runs looks for a newer wish when it ends.
    if (running.has(wish.key)) return
    arrivals.set(wish.key, wish)
    if (!sorting) begin(sort())
  }

  /** Finds out where each wish leads, one after the other: at the start there may be very many. */
  async function sort(): Promise<void> {
    sorting = true
    for (let [next] = arrivals; next !== undefined && !signal.aborted; [next] = arrivals) {
      const [key, wish] = next
      const host = await hostOf(reader, wish).catch(() => '')
      if (arrivals.get(key) === wish) arrivals.delete(key)
      queue.add({ project: wish.name.project, host }, key, wish)
      runNext()
    }
    sorting = false
  }

  function runNext(): void {
    for (let next = signal.aborted ? undefined : queue.take(); next !== undefined; next = queue.take()) {
      if (wishes.get(next.item.key) !== next.item) queue.done(next)
      else begin(run(next.host, next.item))
    }
  }

  async function run(host: string, wish: Wish): Promise<void> {
    running.add(wish.key)
    const isLeft = await attempt(options, wish, signal).catch((error: unknown) => {
      if (!signal.aborted) log.warn({ ...wish.name, tag: wish.tag, err: error }, 'pending import is tried again')
      return true
    })
    running.delete(wish.key)
    queue.done({ project: wish.name.project, host })
    const newest = wishes.get(wish.key)
    if (newest === wish && isLeft) begin(rest(wish))
    else if (newest === wish) wishes.delete(wish.key)
    else if (newest !== undefined) arrive(newest)
    runNext()
  }

  async function rest(wish: Wish): Promise<void> {
    const backoffMs = Math.min(firstPauseMs * 2 ** wish.tries, longestPauseMs)
    await pause(backoffMs * (1 - Math.random() / 2), signal).catch(() => undefined)
    if (!signal.aborted && wishes.get(wish.key) === wish) arrive({ ...wish, tries: wish.tries + 1 })
  }

  function apply(changes: readonly Change[]): void {
    for (const { key, value } of changes) {
      const wish = value === undefined ? undefined : wishOf(key, value)
      if (wish === undefined) wishes.delete(key)
      else if (wishes.get(key)?.value !== wish.value) arrive(wish)
    }
  }

  const mirror = createMirror(store, { prefix, apply, reset: () => wishes.clear(), signal })
  await mirror.ready
  await aborted(signal)
  await Promise.all(work)
}

/** @returns whether the wish is left as it was: the tag was changed while its upstream was asked, or the store failed */
async function attempt(
  { store, reader, importPending }: PendingImportsOptions,
  { key, name, tag, value, record }: Wish,
  signal: AbortSignal,
): Promise<boolean> {
  const stream = await reader.stream(name)
  if (stream?.uid === record.uid) await importPending(name, tag, record, signal)
  const left = await store.get(key)
  if (left === undefined || left.value !== value) return false
  if (stream?.uid === record.uid) return true
  // Of a stream that is gone: nobody will ever want it.
  const preconditions = [{ key, revision: left.revision }]
  const result = await store.commit({ operations: [{ type: 'delete', key }], preconditions })
  return result.status === 'unknown'
}

async function hostOf(reader: PendingImportsOptions['reader'], { name, tag }: Wish): Promise<string> {
  const source = (await reader.tag(name, tag))?.record.spec?.from?.name ?? ''
  return parseImageReference(source)?.host ?? ''
}

/** undefined for what is no record of a wish. */
function wishOf(key: string, value: string): Wish | undefined {
  const [project, stream, tag, ...more] = key.slice(prefix.length).split('/')
  if (project === undefined || stream === undefined || tag === undefined || more.length > 0) return undefined
  return { key, name: { project, stream }, tag, value, record: JSON.parse(value) as PendingRecord, tries: 0 }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal, ref: false })
}
