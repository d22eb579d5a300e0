import type { Logger } from 'pino'
import { RegistryError } from '../../oci/errors.ts'
import { CompactedError } from '../../store/store.ts'
import { createTurns } from '../../streams/turns.ts'
import { type ReadPage, readPage } from '../list.ts'
import type { Rendering } from '../render.ts'
import type { ApiObject, Call, Resource } from '../resource.ts'
import { tooLargeVersion } from '../resource-version.ts'
import { type CaughtUp, catchUp } from './catch-up.ts'
import { type Hub, startHub, tooOld } from './hub.ts'
import { createWriting } from './shared-change.ts'
import { systemTimers, type Timers } from './timers.ts'
import { createView, type View } from './view.ts'
import { parseWatchOptions, type WatchOptions } from './watch-options.ts'
import { createWatcher, type Watcher } from './watcher.ts'

/** A request to follow a list. */
export interface WatchRequest {
  row: Resource
  call: Call
  query: URLSearchParams
  rendering: Rendering
  /** Ends when the client goes. */
  signal: AbortSignal
  /** Called when what was there at the beginning is told, or it has ended: from then on the watch holds little. */
  begun?(): void
  /** Asked before anything is told: a right that ends, ends the watch. */
  mayGoOn(): boolean
}

/** Serves watches: one that follows the store a resource, whatever the number of watchers. */
export interface Watches {
  /**
   * Answers a stream of `{type, object}` lines.
   *
   * @throws RegistryError EXPIRED, TIMEOUT for a revision still to come, BAD_REQUEST, INVALID, UNAVAILABLE
   */
  watch(request: WatchRequest): Promise<Response>
}

export interface WatchesOptions {
  /** Whether a project was made after a revision. @throws CompactedError */
  isBornAfter(project: string, since: number): Promise<boolean>
  /** The store's newest revision. */
  newestRevision(): Promise<number>
  now: () => number
  log: Logger
  /** Ends all watches, cleanly, and takes no more. */
  signal: AbortSignal
  /** How often those who want them get bookmarks, and all are asked whether they may go on; default a minute. */
  bookmarkMs?: number
  /** How long a store that failed is left alone, in milliseconds; default 1000. */
  retryMs?: number
  timers?: Timers
}

/** How far back a resource is followed when its first watcher comes, so that others who resume need not read for themselves. */
const lookBackRevisions = 1000

/** How far back a watch may begin. Further back a new list costs less than what happened since. */
const maxPastRevisions = 20_000

/** Most watchers that read the past at the same time. */
const readersOfThePast = 4

/** Most items of a page of what is told at the beginning. */
const initialPage = 500

/** A client that does not say how long it watches is ended after 30 to 60 minutes, so that not all come again at once. */
const defaultTimeoutMs = 30 * 60 * 1000

interface OpenHub {
  hub: Hub
  watchers: number
}

/** Creates watches without watchers. */
export function createWatches(options: WatchesOptions): Watches {
  const { newestRevision, now, log, signal, bookmarkMs = 60_000, retryMs = 1000, timers = systemTimers } = options
  const hubs = new Map<Resource, OpenHub>()
  const watchers = new Set<Watcher>()
  const inTurn = createTurns()
  let turn = 0

  signal.addEventListener('abort', () => {
    for (const watcher of watchers) watcher.stop()
    for (const { hub } of hubs.values()) hub.stop()
  })

  /** The row's hub, held until it is given back. */
  function hold(row: Resource, newest: number): OpenHub {
    const found = hubs.get(row)
    if (found !== undefined && found.hub.ended === undefined) {
      found.watchers += 1
      return found
    }
    const since = Math.max(0, newest - lookBackRevisions)
    const hub = startHub({ row, since, newest, now, log, retryMs })
    const opened = { hub, watchers: 1 }
    hubs.set(row, opened)
    return opened
  }

  function giveBack(row: Resource, opened: OpenHub): void {
    opened.watchers -= 1
    if (opened.watchers > 0) return
    opened.hub.stop()
    if (hubs.get(row) === opened) hubs.delete(row)
  }

  async function begin(
    request: WatchRequest,
    wanted: WatchOptions,
    newest: number,
    { hub }: OpenHub,
  ): Promise<Watcher> {
    const { row, call, rendering } = request
    const writing = createWriting(rendering, now)
    const first = wanted.initial === 'none' ? undefined : await readItems(request, undefined)
    // Of a list, changes are told from before its first page was read: the view knows what it showed.
    const since = first === undefined ? (wanted.since ?? newest) : newest
    const view = createView(row, call, writing, since)
    if (first === undefined && since < newest && call.project !== '') await requireOwn(call.project, since)
    await hub.ready
    if (hub.ended instanceof RegistryError) throw hub.ended
    const isPast = first === undefined && since < hub.recent.from
    const caughtUp = isPast ? await readPast(request, view, hub, since) : undefined
    return createWatcher({
      hub,
      view,
      writing,
      mayGoOn: request.mayGoOn,
      position: caughtUp?.position ?? since,
      backlog: caughtUp?.lines ?? [],
      initial: first === undefined ? undefined : listed(request, first, view),
      marksInitial: wanted.initial === 'marked',
      bookmarks: wanted.bookmarks,
      intervalMs: bookmarkMs,
      timeoutMs: Math.min(wanted.timeoutMs ?? defaultTimeoutMs * (1 + Math.random()), remainingMs(call.subject)),
      timers,
      log,
    })
  }

  /** What is left of a caller's identity, where that ends by time. */
  function remainingMs({ endsAt = Number.POSITIVE_INFINITY }: Call['subject']): number {
    return Math.max(0, endsAt * 1000 - now())
  }

  /** What an earlier project of the name had was not the caller's. @throws RegistryError EXPIRED */
  async function requireOwn(project: string, since: number): Promise<void> {
    const isOthers = await options.isBornAfter(project, since).catch((error: unknown) => {
      throw error instanceof CompactedError ? tooOld() : error
    })
    if (isOthers) throw tooOld()
  }

  async function* listed(request: WatchRequest, first: ReadPage, view: View): AsyncGenerator<ApiObject[]> {
    yield first.items
    for (let at = first.next; at !== undefined; ) {
      const page = await readItems(request, at)
      yield page.items
      at = page.next
    }
    view.endInitial(await newestRevision())
  }

  function readPast({ row, signal: left }: WatchRequest, view: View, hub: Hub, since: number): Promise<CaughtUp> {
    turn += 1
    return inTurn(String(turn % readersOfThePast), () => {
      if (left.aborted) throw new RegistryError('UNAVAILABLE', { message: 'the client has left' })
      return catchUp({ row, view, hub, since, signal: AbortSignal.any([left, signal]) })
    })
  }

  return {
    async watch(request) {
      const { row, query } = request
      const wanted = parseWatchOptions(query)
      if (signal.aborted) throw new RegistryError('UNAVAILABLE', { message: 'the server stops', retryAfterSeconds: 1 })
      if (row.admission?.watch === 'handler' && wanted.initial === 'none') await readItems(request, undefined)
      const newest = await newestRevision()
      if (wanted.since !== undefined && wanted.since > newest) throw tooLargeVersion(wanted.since, newest)
      if (wanted.since !== undefined && wanted.initial === 'none' && wanted.since < newest - maxPastRevisions) {
        throw tooOld()
      }
      const opened = hold(row, newest)
      try {
        const watcher = await begin(request, wanted, newest, opened)
        watchers.add(watcher)
        void watcher.begun.then(request.begun)
        void watcher.ended.then(() => {
          watchers.delete(watcher)
          giveBack(row, opened)
        })
        if (signal.aborted) watcher.stop()
        return new Response(watcher.body, {
          headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
        })
      } catch (error) {
        giveBack(row, opened)
        throw error
      }
    },
  }
}

/** A page of what is there, read as a list reads it. */
function readItems({ row, call }: WatchRequest, at: string | undefined): Promise<ReadPage> {
  return readPage({ call, matched: { row, served: row }, limit: initialPage, at })
}
