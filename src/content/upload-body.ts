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

/** Smaller pieces are copied together: each takes some hundred bytes of memory besides its own. */
const smallBytes = 1024
const blockBytes = 16 * 1024

/**
 * Writes a body as it comes, in batches of what came while the one before was written, of about {@link bufferBytes} at most: of a
 * client that sends no more nothing is kept in memory. Nothing is being written any more when it returns or fails; it fails with the
 * errors of `requireFit` and `write`.
 */
export async function receive(body: UploadBody, { signal, requireFit, write }: ReceiveOptions): Promise<Received> {
  const pieces = createPieces(body, signal)
  const batch = createBatch()
  let current = Promise.resolve()
  let writing = Promise.resolve()
  let isWriting = false
  let bytes = 0

  async function writeAll(): Promise<void> {
    while (batch.bytes > 0) {
      current = write(batch.take())
      await current
    }
    isWriting = false
  }

  /** After a failure nothing is written any more. */
  function writeSoon(): void {
    if (isWriting) return
    isWriting = true
    writing = writeAll()
    // Whoever waits for it is told.
    writing.catch(() => undefined)
  }

  try {
    for (;;) {
      const next = await pieces.next().catch((error: unknown) => ({ error }))
      if (next === undefined || 'error' in next) {
        await writing
        return next === undefined ? { bytes } : { bytes, failure: next }
      }
      bytes += next.length
      requireFit(bytes)
      batch.add(next)
      writeSoon()
      while (batch.bytes >= bufferBytes) await current
    }
  } finally {
    pieces.close()
    batch.take()
    await writing.catch(() => undefined)
  }
}

/** Pieces that wait to be written. */
function createBatch() {
  let pieces: Buffer[] = []
  let bytes = 0
  let block = Buffer.alloc(0)
  /** Of the block: up to `from` it is in a piece or was taken already, up to `to` it is full. */
  let from = 0
  let to = 0

  function endPiece(): void {
    if (to > from) pieces.push(block.subarray(from, to))
    from = to
  }

  return {
    get bytes() {
      return bytes
    },
    add(piece: Buffer): void {
      bytes += piece.length
      if (piece.length >= smallBytes) {
        endPiece()
        pieces.push(piece)
        return
      }
      if (to + piece.length > block.length) {
        endPiece()
        block = Buffer.allocUnsafeSlow(blockBytes)
        from = 0
        to = 0
      }
      to += piece.copy(block, to)
    },
    /** What came since it was asked last, in order. */
    take(): Buffer[] {
      endPiece()
      const taken = pieces
      pieces = []
      bytes = 0
      return taken
    },
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
