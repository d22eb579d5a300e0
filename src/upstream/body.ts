import type { Readable } from 'node:stream'
import type { Arriving } from './arriving.ts'

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
  /**
   * The next piece, never empty, good until the next call, which uses its memory again; undefined at the end. Fails once the body
   * was found broken, after the pieces before.
   */
  read(): Promise<Buffer | undefined>
  /** Lets go of the rest: the connection ends with it. A read that is under way fails. */
  close(): void
}

/**
 * Guards a body: it fails with what `failure` makes of the transport's error when it breaks off, or has another length than
 * promised; it never just ends.
 */
export function guardedBody(
  arriving: Pick<Arriving, 'read' | 'close'>,
  length: number | undefined,
  failure: (cause: unknown) => Error,
): Body {
  let passed = 0
  let isClosed = false

  async function next(): Promise<Buffer | undefined> {
    const piece = await arriving.read()
    passed += piece?.length ?? 0
    const isWrong = length !== undefined && (piece === undefined ? passed !== length : passed > length)
    if (!isWrong) return piece
    arriving.close()
    throw wrongLength(passed, length)
  }

  async function read(): Promise<Buffer | undefined> {
    try {
      return await next()
    } catch (error) {
      throw isClosed || error instanceof TypeError ? error : failure(error)
    }
  }

  function close(): void {
    isClosed = true
    arriving.close()
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
