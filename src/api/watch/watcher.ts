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
  /** The revision after which changes are told. */
  position: number
  /** Events that come before those of the hub. */
  backlog: readonly Buffer[]
  /** What is there at the beginning, page by page; undefined when it is not told. */
  initial: AsyncIterable<readonly ApiObject[]> | undefined
  /** Whether a bookmark tells that all of it was told. */
  marksInitial: boolean
  /** How often a bookmark tells how far it is, in milliseconds; undefined for never. */
  bookmarkMs: number | undefined
  timeoutMs: number
  timers: Timers
  log: Logger
}

/** One watcher's stream of events. */
export interface Watcher {
  readonly body: ReadableStream<Uint8Array>
  /** Ends it cleanly. */
  stop(): void
  /** Settles when it has ended and holds nothing any more. */
  readonly ended: Promise<void>
}

/** About how much is written at once. */
const chunkBytes = 64 * 1024

/**
 * Creates a stream that reads on from its own position whenever its reader wants more. It keeps no events of its own: a
 * reader that is so slow that memory has moved on is ended, and may resume where he was.
 */
export function createWatcher(options: WatcherOptions): Watcher {
  const { hub, view, writing, timers } = options
  const ended = Promise.withResolvers<void>()
  let { position } = options
  let isOver = false
  let hasLeft = false
  let bookmarkDue = false
  let remembersList = false
  let wake: () => void = () => undefined

  const cancelTimeout = timers.after(options.timeoutMs, stop)
  const cancelBookmarks =
    options.bookmarkMs === undefined
      ? () => undefined
      : timers.every(options.bookmarkMs, () => {
          bookmarkDue = true
          wake()
        })

  function stop(): void {
    isOver = true
    wake()
  }

  async function* initialLines(): AsyncGenerator<Buffer> {
    for await (const items of options.initial ?? []) {
      if (isOver) return
      const lines = items.flatMap((object) => view.initialLineOf(object) ?? [])
      if (lines.length > 0) yield joined(lines)
    }
    if (options.marksInitial) yield bookmarkLine(writing, position, { endsInitial: true })
    yield* options.backlog
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

  async function* liveLines(): AsyncGenerator<Buffer> {
    while (!isOver) {
      // Too slow: what he missed is not here any more.
      if (position < hub.recent.from) return
      const lines = nextLines()
      if (lines !== undefined) yield lines
      else if (bookmarkDue) {
        bookmarkDue = false
        yield bookmarkLine(writing, position)
      } else if (hub.ended !== undefined) {
        if (hub.ended !== 'closed') yield errorLine(hub.ended)
        return
      } else await sleep()
    }
    if (options.bookmarkMs !== undefined && !hasLeft) yield bookmarkLine(writing, position)
  }

  async function sleep(): Promise<void> {
    if (isOver) return
    const { promise, resolve } = Promise.withResolvers<void>()
    wake = resolve
    hub.onNext(resolve, { progress: remembersList })
    await promise
    hub.forget(resolve)
  }

  async function* lines(): AsyncGenerator<Buffer> {
    try {
      yield* initialLines()
      yield* liveLines()
    } catch (error) {
      // The answer has begun: only an event can tell.
      if (!(error instanceof RegistryError)) options.log.error({ err: error }, 'a watch failed')
      yield errorLine(error instanceof RegistryError ? error : new RegistryError('UNKNOWN'))
    }
  }

  function leave(): void {
    hasLeft = true
    isOver = true
    cancelTimeout()
    cancelBookmarks()
    hub.forget(wake)
    wake()
    ended.resolve()
  }

  const iterator = lines()
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await iterator.next()
        if (hasLeft) return
        if (!done) return controller.enqueue(value)
        leave()
        controller.close()
      },
      cancel: leave,
    },
    { highWaterMark: 0 },
  )
  return { body, stop, ended: ended.promise }
}

function errorLine(error: RegistryError): Buffer {
  return eventLine('ERROR', failureStatus(error))
}

function joined(lines: readonly Buffer[]): Buffer {
  const [only] = lines
  return only !== undefined && lines.length === 1 ? only : Buffer.concat(lines)
}
