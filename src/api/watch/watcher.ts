import type { Logger } from 'pino'
import { RegistryError } from '../../oci/errors.ts'
import type { ApiObject } from '../resource.ts'
import { failureStatus } from '../status.ts'
import type { Hub } from './hub.ts'
import { bookmarkLine, eventLine, type Writing } from './shared-change.ts'
import type { Timers } from './timers.ts'
import type { View } from './view.ts'

/** What one watcher is told, and when. */
export interface WatcherOptions {
  hub: Hub
  view: View
  writing: Writing
  /** Asked before anything is told; it ends when not. */
  mayGoOn(): boolean
  /** The revision after which changes are told. */
  position: number
  /** Events that come before those of the hub. */
  backlog: readonly Buffer[]
  /** What is there at the beginning, page by page; undefined when it is not told. */
  initial: AsyncIterable<readonly ApiObject[]> | undefined
  /** Whether a bookmark tells that all of it was told. */
  marksInitial: boolean
  /** Whether bookmarks tell how far it is. */
  bookmarks: boolean
  /** How often it is asked whether it may go on though nothing happens, and a bookmark is told, in milliseconds. */
  intervalMs: number
  timeoutMs: number
  timers: Timers
  log: Logger
}

/** One watcher's stream of events. */
export interface Watcher {
  readonly body: ReadableStream<Uint8Array>
  /** Ends it cleanly. */
  stop(): void
  /** Settles when what was there at the beginning is told and let go, or it has ended. */
  readonly begun: Promise<void>
  /** Settles when it has ended and holds nothing any more. */
  readonly ended: Promise<void>
}

/** About how much is written at once. */
const chunkBytes = 64 * 1024

/**
 * Creates a stream that reads on from its own position whenever its reader wants more. It keeps no events of its own, and
 * lets go of what was there at the beginning as soon as that is told: a reader that is so slow that memory has moved on is
 * ended, and may resume where he was.
 */
export function createWatcher(options: WatcherOptions): Watcher {
  const { hub, view, writing, mayGoOn, marksInitial, bookmarks, timers, log } = options
  const begun = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  let { position } = options
  let isOver = false
  let hasLeft = false
  let bookmarkDue = false
  let marksEnd = bookmarks
  let remembersList = false
  let wake: () => void = () => undefined
  let beginning: AsyncIterator<Buffer, void> | undefined = beginningLines(options.initial, options.backlog)

  const cancelTimeout = timers.after(options.timeoutMs, stop)
  const cancelInterval = timers.every(options.intervalMs, () => {
    bookmarkDue = bookmarks
    wake()
  })

  function stop(): void {
    isOver = true
    wake()
  }

  async function* beginningLines(
    initial: WatcherOptions['initial'],
    backlog: WatcherOptions['backlog'],
  ): AsyncGenerator<Buffer, void> {
    for await (const items of initial ?? []) {
      if (isOver) {
        // Who was not told all that is there can not resume from here.
        marksEnd = false
        return
      }
      const lines = items.flatMap((object) => view.initialLineOf(object) ?? [])
      if (lines.length > 0) yield joined(lines)
    }
    if (marksInitial) yield bookmarkLine(writing, position, { endsInitial: true })
    yield* backlog
  }

  /** The next events of the hub as far as they go into one chunk. */
  function nextLines(): Buffer | undefined {
    const lines: Buffer[] = []
    let bytes = 0
    for (const { revision, changes } of hub.recent.after(position)) {
      for (const change of changes) {
        const line = view.lineOf(change)
        if (line === undefined) continue
        lines.push(line)
        bytes += line.length
      }
      position = revision
      if (bytes >= chunkBytes) return joined(lines)
    }
    position = Math.max(position, hub.recent.position)
    remembersList = view.reached(position)
    return lines.length === 0 ? undefined : joined(lines)
  }

  /** Ends it with what is told last. */
  function end(last: Buffer | undefined): Buffer | undefined {
    isOver = true
    marksEnd = false
    return last
  }

  async function nextLive(): Promise<Buffer | undefined> {
    while (!isOver) {
      if (!mayGoOn()) return end(undefined)
      // Too slow: what he missed is not here any more.
      if (position < hub.recent.from) return end(undefined)
      const lines = nextLines()
      if (lines !== undefined) return lines
      if (bookmarkDue) {
        bookmarkDue = false
        return bookmarkLine(writing, position)
      }
      if (hub.ended !== undefined) return end(hub.ended === 'closed' ? undefined : errorLine(hub.ended))
      await sleep()
    }
    return end(marksEnd && !hasLeft ? bookmarkLine(writing, position) : undefined)
  }

  async function sleep(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    wake = resolve
    hub.onNext(resolve, { progress: remembersList })
    await promise
    hub.forget(resolve)
  }

  /** What is sent next; undefined at the end. */
  async function next(): Promise<Buffer | undefined> {
    try {
      if (beginning !== undefined) {
        const { done, value } = await beginning.next()
        if (!mayGoOn()) return end(undefined)
        if (!done) return value
        letGo()
      }
      return await nextLive()
    } catch (error) {
      // The answer has begun: only an event can tell.
      if (!(error instanceof RegistryError)) log.error({ err: error }, 'a watch failed')
      letGo()
      return end(errorLine(error instanceof RegistryError ? error : new RegistryError('UNKNOWN')))
    }
  }

  function letGo(): void {
    beginning = undefined
    begun.resolve()
  }

  function leave(): void {
    hasLeft = true
    isOver = true
    letGo()
    cancelTimeout()
    cancelInterval()
    hub.forget(wake)
    wake()
    ended.resolve()
  }

  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = await next()
        if (hasLeft) return
        if (chunk !== undefined) return controller.enqueue(chunk)
        leave()
        controller.close()
      },
      cancel: leave,
    },
    { highWaterMark: 0 },
  )
  return { body, stop, begun: begun.promise, ended: ended.promise }
}

function errorLine(error: RegistryError): Buffer {
  return eventLine('ERROR', failureStatus(error))
}

function joined(lines: readonly Buffer[]): Buffer {
  const [only] = lines
  return only !== undefined && lines.length === 1 ? only : Buffer.concat(lines)
}
