import type { BlobReader, BlobSource, FetchRange, UpstreamLocation } from '../../src/content/content.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'

/** How an answer begins; left out is what an upstream that does as it is asked says. */
export interface AnswerHead {
  size?: number | undefined
  offset?: number
  etag?: string
}

/** A question, which waits until the test answers it. */
export interface ScriptedAsk {
  location: UpstreamLocation
  digest: Digest
  range: FetchRange | undefined
  /** Whether whoever asked has let go, of the question or of the body. */
  readonly isClosed: boolean
  answer(head?: AnswerHead): ScriptedBody
  refuse(error: unknown): void
}

/** A body that the test sends. */
export interface ScriptedBody {
  send(...pieces: Buffer[]): void
  end(): void
  /** Breaks it off; with an error of a lost connection by default. */
  cut(error?: unknown): void
  /** Settles when all that was sent has been taken. */
  taken(): Promise<void>
  /** Settles when somebody waits for what was not sent yet. */
  awaited(): Promise<void>
  readonly isClosed: boolean
}

/** Upstreams that answer only as a test tells them, piece by piece. */
export interface ScriptedSource extends BlobSource {
  asks: ScriptedAsk[]
  /** The next question, when it comes. */
  next(): Promise<ScriptedAsk>
}

export const connectionLost = (): RegistryError =>
  new RegistryError('UNAVAILABLE', { message: 'lost', upstream: { host: 'a.example', reason: 'Unreachable' } })

export function scriptedSource(size: number): ScriptedSource {
  const asks: ScriptedAsk[] = []
  let told = 0
  let wake = Promise.withResolvers<void>()
  return {
    asks,
    size: async () => size,
    open(location, digest, range, signal) {
      const opened = Promise.withResolvers<{ size: number | undefined; offset: number; body: BlobReader }>()
      let isClosed = false
      signal.addEventListener('abort', () => {
        isClosed = true
        opened.reject(signal.reason)
      })
      asks.push({
        location,
        digest,
        range,
        get isClosed() {
          return isClosed
        },
        answer(head = {}) {
          const { body, reader } = scriptedBody()
          const { offset = range?.start ?? 0, ...rest } = head
          opened.resolve({ size, offset, ...rest, body: reader })
          return body
        },
        refuse: opened.reject,
      })
      wake.resolve()
      wake = Promise.withResolvers()
      return opened.promise
    },
    async next() {
      while (asks.length <= told) await wake.promise
      const ask = asks[told]
      told += 1
      if (ask === undefined) throw new Error('no question')
      return ask
    },
  }
}

function scriptedBody(): { body: ScriptedBody; reader: BlobReader } {
  const pieces: Buffer[] = []
  let end: { error?: unknown } | undefined
  let isClosed = false
  let news = Promise.withResolvers<void>()
  let isAwaited = false
  let awaiting = Promise.withResolvers<void>()

  function tell(): void {
    news.resolve()
    news = Promise.withResolvers()
  }

  const reader: BlobReader = {
    async read() {
      for (;;) {
        if (isClosed) throw new Error('the body is closed')
        const piece = pieces.shift()
        tell()
        if (piece !== undefined) return piece
        if (end !== undefined && 'error' in end) throw end.error
        if (end !== undefined) return undefined
        isAwaited = true
        awaiting.resolve()
        awaiting = Promise.withResolvers()
        await news.promise
        isAwaited = false
      }
    },
    close() {
      isClosed = true
      tell()
    },
  }
  const body: ScriptedBody = {
    send(...more) {
      pieces.push(...more.filter(({ length }) => length > 0))
      tell()
    },
    end() {
      end = {}
      tell()
    },
    cut(error = connectionLost()) {
      end = { error }
      tell()
    },
    async taken() {
      while (pieces.length > 0 && !isClosed) await news.promise
    },
    async awaited() {
      if (pieces.length > 0 || !isAwaited) await awaiting.promise
    },
    get isClosed() {
      return isClosed
    },
  }
  return { body, reader }
}
