import { bufferBytes } from './buffers.ts'
import { closingError } from './closing.ts'
import type { UploadBody } from './uploads.ts'

export interface ReceiveOptions {
  /** Ends the waiting for more: counts as broken off. */
  signal: AbortSignal
  /** Throws when so many bytes, which have come, are too many. */
  requireFit(bytes: number): void
  /** Called with what came, in order, one call at a time; more comes meanwhile. */
  write(pieces: readonly Buffer[]): Promise<void>
}

/** How many bytes came, and were written; `failure` when the body broke off there. */
export interface Received {
  bytes: number
  failure?: { error: unknown }
}

/**
 * Writes a body in batches of about {@link bufferBytes}. Nothing is being written any more when it returns or fails; it fails with
 * the errors of `requireFit` and `write`.
 */
export async function receive(body: UploadBody, { signal, requireFit, write }: ReceiveOptions): Promise<Received> {
  const pieces = createPieces(body, signal)
  let batch: Buffer[] = []
  let batchBytes = 0
  let writing = Promise.resolve()
  let bytes = 0

  async function writeBatch(): Promise<void> {
    await writing
    if (batch.length === 0) return
    writing = write(batch)
    // Whoever waits for it is told.
    writing.catch(() => undefined)
    batch = []
    batchBytes = 0
  }

  try {
    for (;;) {
      const next = await pieces.next().catch((error: unknown) => ({ error }))
      if (next === undefined || 'error' in next) {
        await writeBatch()
        await writing
        return next === undefined ? { bytes } : { bytes, failure: next }
      }
      bytes += next.length
      requireFit(bytes)
      batch.push(next)
      batchBytes += next.length
      if (batchBytes >= bufferBytes) await writeBatch()
    }
  } finally {
    pieces.close()
    await writing.catch(() => undefined)
  }
}

/** The pieces of a body, none of them empty; undefined at the end. Waiting for one fails when `signal` aborts. */
function createPieces(body: UploadBody, signal: AbortSignal) {
  const iterator = body[Symbol.asyncIterator]()
  let isDone = false
  let interrupt: (reason: unknown) => void = () => undefined
  const end = (): void => interrupt(closingError())
  signal.addEventListener('abort', end, { once: true })

  return {
    async next(): Promise<Buffer | undefined> {
      for (;;) {
        if (signal.aborted) throw closingError()
        // A race would keep something of each piece until the last one.
        const result = await new Promise<IteratorResult<Buffer>>((resolve, reject) => {
          interrupt = reject
          iterator.next().then(resolve, reject)
        })
        isDone = result.done === true
        if (result.done === true) return undefined
        if (result.value.length > 0) return result.value
      }
    },
    close(): void {
      signal.removeEventListener('abort', end)
      // Not waited for: a generator that waits for a client would end only with it.
      if (!isDone) iterator.return?.().catch(() => undefined)
    },
  }
}
