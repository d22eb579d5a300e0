import type { Readable } from 'node:stream'

/** Reads a body to its end; undefined, with the body destroyed, when it has more than `maxBytes`. */
export async function readWhole(body: Readable, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length)
}

/** A body's bytes as they come. Iterating over it closes it in the end. */
export interface Body extends AsyncIterable<Buffer> {
  /** The next piece, never empty; undefined at the end. Fails once the body was found broken, after the pieces before. */
  read(): Promise<Buffer | undefined>
  /** Lets go of the rest: the connection ends with it. A read that is under way fails. */
  close(): void
}

/** Most that waits for a reader, beside what the transport has read already. */
const mostQueuedBytes = 256 * 1024
const mostQueuedPieces = 256

/**
 * Guards a body: it fails with what `failure` makes of the transport's error when it breaks off, or has another length than
 * promised; it never just ends. Pieces go from the transport to the reader as they are: a stream between would cost more.
 */
export function guardedBody(stream: Readable, length: number | undefined, failure: (cause: unknown) => Error): Body {
  const queue: Buffer[] = []
  let queuedBytes = 0
  let passed = 0
  let isOver = false
  let failed: Error | undefined
  let waiting: PromiseWithResolvers<Buffer | undefined> | undefined

  function end(error: Error | undefined): void {
    if (isOver) return
    isOver = true
    failed = error
    if (error === undefined) waiting?.resolve(undefined)
    else waiting?.reject(error)
    waiting = undefined
    if (error !== undefined) stream.destroy()
  }

  function take(piece: Buffer): void {
    if (isOver) return
    passed += piece.length
    if (length !== undefined && passed > length) {
      end(failure(wrongLength(passed, length)))
    } else if (waiting !== undefined) {
      waiting.resolve(piece)
      waiting = undefined
    } else {
      wait(piece)
    }
  }

  function wait(piece: Buffer): void {
    queue.push(piece)
    queuedBytes += piece.length
    if (queuedBytes >= mostQueuedBytes || queue.length >= mostQueuedPieces) stream.pause()
  }

  stream.on('data', take)
  stream.on('end', () => {
    end(length !== undefined && passed !== length ? failure(wrongLength(passed, length)) : undefined)
  })
  // It can break before anybody reads; whoever reads later is still told.
  stream.on('error', (error) => end(failure(error)))
  stream.on('close', () => end(failure(new Error('the connection was closed'))))

  function read(): Promise<Buffer | undefined> {
    const piece = queue.shift()
    if (piece !== undefined) {
      queuedBytes -= piece.length
      const isLow = queuedBytes <= mostQueuedBytes / 2 && queue.length <= mostQueuedPieces / 2
      if (isLow && !isOver && stream.isPaused()) stream.resume()
      return Promise.resolve(piece)
    }
    if (failed !== undefined) return Promise.reject(failed)
    if (isOver) return Promise.resolve(undefined)
    if (waiting !== undefined) return Promise.reject(new TypeError('a read is under way'))
    waiting = Promise.withResolvers()
    return waiting.promise
  }

  function close(): void {
    queue.length = 0
    end(new Error('the body is closed'))
    stream.destroy()
  }

  return {
    read,
    close,
    async *[Symbol.asyncIterator]() {
      try {
        for (let piece = await read(); piece !== undefined; piece = await read()) yield piece
      } finally {
        close()
      }
    },
  }
}

function wrongLength(passed: number, length: number): Error {
  return new Error(`the body has ${passed} bytes or more, and should have ${length}`)
}
