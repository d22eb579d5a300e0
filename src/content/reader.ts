import type { BlobReader, OpenBlob } from './content.ts'

/** Reads an open blob to its end and closes it, which `signal` does before. For small ones: all of it is in memory. */
export async function readAll(
  { reader, length }: Pick<OpenBlob, 'reader' | 'length'>,
  signal?: AbortSignal,
): Promise<Buffer> {
  const whole = Buffer.allocUnsafe(length)
  let filled = 0
  const leave = (): void => reader.close()
  signal?.addEventListener('abort', leave, { once: true })
  try {
    signal?.throwIfAborted()
    for (let piece = await reader.read(); piece !== undefined; piece = await reader.read()) {
      filled += piece.copy(whole, filled)
    }
  } finally {
    signal?.removeEventListener('abort', leave)
    reader.close()
  }
  if (filled !== length) throw new TypeError(`a reader gave ${filled} of ${length} bytes and no error`)
  return whole
}

/** What a reader gives after its first `bytes`, which it reads all the same. */
export function skipping(reader: BlobReader, bytes: number): BlobReader {
  let left = bytes
  return {
    async read() {
      for (;;) {
        const piece = await reader.read()
        const skipped = Math.min(left, piece?.length ?? 0)
        left -= skipped
        if (piece === undefined || skipped < piece.length) return piece?.subarray(skipped)
      }
    },
    close: () => reader.close(),
  }
}

/**
 * The same reader, once its first piece is there, or its end. `signal` ends the waiting, and closes the reader then, as a failure
 * does.
 */
export async function primed(reader: BlobReader, signal: AbortSignal): Promise<BlobReader> {
  const leave = (): void => reader.close()
  signal.addEventListener('abort', leave, { once: true })
  try {
    signal.throwIfAborted()
    let first: Promise<Buffer | undefined> | undefined = Promise.resolve(await reader.read())
    return {
      read() {
        const piece = first ?? reader.read()
        first = undefined
        return piece
      },
      close: () => {
        first = undefined
        reader.close()
      },
    }
  } catch (error) {
    reader.close()
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
