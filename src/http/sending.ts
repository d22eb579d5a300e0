import type { ServerResponse } from 'node:http'
import type { OpenBlob } from '../content/content.ts'

/** The body of one answer, written piece by piece. */
export interface Sending {
  /** Writes a piece; settles when its memory may be used again, or the client has left. */
  write(piece: Buffer): Promise<void>
  /**
   * Writes the `length` bytes of a blob, after `head` if there is one, and closes its reader: at once when the client leaves.
   *
   * @throws the reader's failure, or an error when it gives more or less than it said
   */
  writeBlob(blob: Pick<OpenBlob, 'reader' | 'length'>, head?: Buffer): Promise<void>
}

/**
 * Sends a body whose head is written. Work that fails destroys the socket, so that no client takes what it got for the whole.
 * Of what a client is slow to read, one piece waits in memory.
 *
 * @returns what went wrong; undefined also when the client left
 */
export async function sendBody(outgoing: ServerResponse, work: (sending: Sending) => Promise<void>): Promise<unknown> {
  try {
    await work(sendingTo(outgoing))
    if (!outgoing.destroyed) outgoing.end()
    return undefined
  } catch (error) {
    if (outgoing.destroyed) return undefined
    outgoing.destroy()
    return error
  }
}

function sendingTo(outgoing: ServerResponse): Sending {
  function write(piece: Buffer): Promise<void> {
    if (outgoing.destroyed) return Promise.resolve()
    return new Promise((resolve) => {
      // Node calls back for what was written, and not always for what never will be.
      const leave = (): void => resolve()
      outgoing.once('close', leave)
      outgoing.write(piece, (error) => {
        outgoing.off('close', leave)
        // The socket fails before the answer is said to be closed: its client has left.
        if (error) outgoing.destroy()
        resolve()
      })
    })
  }

  async function writeBlob({ reader, length }: Pick<OpenBlob, 'reader' | 'length'>, head?: Buffer): Promise<void> {
    const leave = (): void => reader.close()
    outgoing.once('close', leave)
    let sent = 0
    try {
      if (head !== undefined) await write(head)
      while (!outgoing.destroyed) {
        const piece = await reader.read()
        if (piece === undefined) break
        sent += piece.length
        if (sent > length) throw new Error(`the blob has more than the ${length} bytes it was said to have`)
        await write(piece)
      }
      if (sent < length && !outgoing.destroyed) throw new Error(`the blob ended after ${sent} of ${length} bytes`)
    } finally {
      outgoing.off('close', leave)
      reader.close()
    }
  }

  return { write, writeBlob }
}
