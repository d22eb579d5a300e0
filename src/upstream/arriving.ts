import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { createPieces } from './pieces.ts'

/** An answer whose body is on its way. */
export interface Arrived {
  status: number
  headers: IncomingHttpHeaders
  body: Arriving
}

/** The body of an answer. What comes fast is given out in large pieces. */
export interface Arriving {
  /**
   * The next piece, never empty, good until the next call, which uses its memory again; undefined at the end. Fails when the body
   * breaks off, after the pieces before.
   */
  read(): Promise<Buffer | undefined>
  /** Lets go of the rest: the connection ends with it. A read that is under way fails. */
  close(): void
  /** Takes a short rest off the connection, so that it can be used again, and else ends it. */
  discard(): void
}

export interface SendRequest {
  url: URL
  method: Dispatcher.HttpMethod
  headers: Record<string, string>
  body: string | Buffer | Readable | null
  /** Ends the request, and the body too. */
  signal: AbortSignal | undefined
  /** Whether the connection is closed afterwards; default: as undici thinks best, which closes it after a HEAD. */
  reset?: boolean
}

/** Answers of status 1xx before the one that counts; honest servers send one or two. */
const mostHints = 4

/** Sends a request. What undici hands on of the body is copied at once: the connection may use its memory again. */
export function send(dispatcher: Dispatcher, { url, signal, ...request }: SendRequest): Promise<Arrived> {
  const answered = Promise.withResolvers<Arrived>()
  const body = createArriving(signal)
  const target = { origin: url.origin, path: `${url.pathname}${url.search}` }
  let hints = 0
  dispatcher.dispatch(
    { ...request, ...target },
    {
      onRequestStart: (controller) => body.begin(controller),
      onResponseStart(controller, status, headers) {
        if (status >= 200) return answered.resolve({ status, headers, body })
        // Early hints are no answer, and after each undici waits for one as long as before.
        hints += 1
        if (hints > mostHints) controller.abort(new Error(`more than ${mostHints} answers that are none`))
      },
      onResponseData: (_controller, chunk) => body.put(chunk),
      onResponseEnd: () => body.end(undefined),
      onResponseError(_controller, error) {
        answered.reject(error)
        body.end(error)
      },
    },
  )
  return answered.promise
}

interface ArrivingBody extends Arriving {
  begin(controller: Dispatcher.DispatchController): void
  put(chunk: Buffer): void
  end(error: Error | undefined): void
}

/** A longer rest is not worth a connection. */
const mostDiscardedBytes = 16 * 1024

function createArriving(signal: AbortSignal | undefined): ArrivingBody {
  const pieces = createPieces()
  let controller: Dispatcher.DispatchController | undefined
  let over: { error: Error | undefined } | undefined
  let waiting: PromiseWithResolvers<Buffer | undefined> | undefined
  let skipped: number | undefined

  const abort = (): void => controller?.abort(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })

  function answer(): void {
    const { resolve } = waiting ?? {}
    waiting = undefined
    resolve?.(next())
  }

  /** What there is to say now. */
  function next(): Promise<undefined> | Buffer | undefined {
    if (pieces.isEmpty) return over?.error === undefined ? undefined : Promise.reject(over.error)
    const piece = pieces.take()
    if (!pieces.isFull) controller?.resume()
    return piece
  }

  function end(error: Error | undefined): void {
    if (over !== undefined) return
    over = { error }
    signal?.removeEventListener('abort', abort)
    if (pieces.isEmpty) answer()
  }

  function close(): void {
    signal?.removeEventListener('abort', abort)
    const error = new Error('the body is closed')
    over = { error }
    pieces.clear()
    controller?.abort(error)
    answer()
  }

  function skip(bytes: number): void {
    skipped = (skipped ?? 0) + bytes
    if (skipped > mostDiscardedBytes) close()
  }

  return {
    begin(started) {
      controller = started
      if (signal?.aborted) abort()
    },
    put(chunk) {
      if (over !== undefined) return
      if (skipped !== undefined) return skip(chunk.length)
      // All that comes in one turn of the event loop is one piece.
      if (pieces.isEmpty && waiting !== undefined) setImmediate(answer)
      pieces.put(chunk)
      if (pieces.isFull) controller?.pause()
    },
    end,
    async read() {
      if (waiting !== undefined) throw new TypeError('a read is under way')
      if (!pieces.isEmpty || over !== undefined) return next()
      waiting = Promise.withResolvers()
      return waiting.promise
    },
    close,
    discard() {
      skip(pieces.clear())
      controller?.resume()
    },
  }
}
