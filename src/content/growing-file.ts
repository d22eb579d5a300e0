import { read as readFile, writev } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/** The beginning of a blob, of which more and more is there. */
export interface Growing {
  /** How many bytes of it are there. */
  readonly received: number
  /**
   * Bytes from `at` on, before `end`, at least one: all of these are there. Where they have to be read from a file, they are
   * read into the buffer that `take` gives.
   */
  read(at: number, end: number, take: () => Buffer): Buffer | Promise<Buffer>
  /** To be called when nothing is read any more. */
  close(): void
}

/** A file that is written at its end and read anywhere. The newest pieces, which are not written yet, are read from memory. */
export interface GrowingFile extends Growing {
  /** Adds a piece, whose memory is not to change. When the disk is slower than the pieces come, gives what to wait for. */
  append(piece: Buffer): Promise<void> | undefined
  /** Settles when everything is written. */
  flush(): Promise<void>
  /** Aborts when a write fails, with its error. What is there can still be read. */
  readonly failed: AbortSignal
}

/** Bytes that are written at once, when the disk keeps up; up to twice as many are in memory. */
const batchBytes = 1024 * 1024
/** Tiny pieces cost more than their bytes. */
const batchPieces = 256
/** So long what has come waits for more: other processes see what is written. */
const batchMs = 200

/** Opens the file at `path` for reading beside `handle`, which writes it and stays the caller's. */
export async function openGrowingFile(
  path: string,
  handle: FileHandle,
  { now }: { now: () => number },
): Promise<GrowingFile> {
  const shared = createSharedFile(await open(path, 'r'))
  const pieces: Buffer[] = []
  let pieceBytes = 0
  let written = 0
  let writtenAt = now()
  let writing: Promise<void> | undefined
  const failing = new AbortController()
  const failed = failing.signal

  async function writePieces(): Promise<void> {
    const batch = [...pieces]
    const bytes = pieceBytes
    await writeWhole(handle.fd, batch, written)
    pieces.splice(0, batch.length)
    pieceBytes -= bytes
    written += bytes
    writtenAt = now()
  }

  function write(): Promise<void> {
    if (failed.aborted) return Promise.reject(failed.reason)
    writing ??= writePieces()
      .catch((error: unknown) => {
        failing.abort(error)
        throw error
      })
      .finally(() => {
        writing = undefined
        if (!failed.aborted && isFull()) writeOn()
      })
    return writing
  }

  /** Whoever waits for it, or flushes, is told of its failure, and the signal tells it. */
  function writeOn(): void {
    write().catch(() => undefined)
  }

  function isFull(): boolean {
    return pieceBytes >= batchBytes || pieces.length >= batchPieces
  }

  function fromMemory(at: number, end: number): Buffer {
    let start = written
    for (const piece of pieces) {
      if (at < start + piece.length) return piece.subarray(at - start, end - start)
      start += piece.length
    }
    throw new RangeError(`byte ${at} of ${start} is not there yet`)
  }

  return {
    failed,
    get received() {
      return written + pieceBytes
    },
    append(piece) {
      pieces.push(piece)
      pieceBytes += piece.length
      if (!isFull() && now() - writtenAt < batchMs) return undefined
      const isBehind = writing !== undefined && (pieceBytes >= 2 * batchBytes || pieces.length >= 2 * batchPieces)
      if (isBehind) return write()
      writeOn()
      return undefined
    },
    async flush() {
      while (pieces.length > 0) await write()
    },
    read: (at, end, take) => (at < written ? shared.read(at, Math.min(end, written), take) : fromMemory(at, end)),
    close: () => shared.close(),
  }
}

/** A file that several read from at once. */
export interface SharedFile {
  /** @throws RangeError where the file ends before `at` */
  read(at: number, end: number, take: () => Buffer): Promise<Buffer>
  /** Closes it when nobody reads from it any more. */
  close(): void
}

export function createSharedFile(handle: FileHandle): SharedFile {
  let reads = 0
  let isClosing = false

  function closeWhenIdle(): void {
    if (isClosing && reads === 0) handle.close().catch(() => undefined)
  }

  return {
    async read(at, end, take) {
      if (isClosing) throw new Error('the file is closed')
      const buffer = take()
      reads++
      try {
        const length = Math.min(buffer.length, end - at)
        const bytesRead = await readAt(handle.fd, buffer, length, at)
        if (bytesRead === 0) throw new RangeError(`the file ends before byte ${at}`)
        return buffer.subarray(0, bytesRead)
      } finally {
        reads--
        closeWhenIdle()
      }
    },
    close() {
      if (isClosing) return
      isClosing = true
      closeWhenIdle()
    },
  }
}

// The callbacks of node:fs on a descriptor: a FileHandle's methods cost half as much again.
function readAt(fd: number, buffer: Buffer, length: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    readFile(fd, buffer, 0, length, position, (error, bytesRead) => {
      if (error) reject(error)
      else resolve(bytesRead)
    })
  })
}

/** A write can end short, when the disk becomes full: the next one then tells. */
async function writeWhole(fd: number, pieces: readonly Buffer[], position: number): Promise<void> {
  let rest = pieces
  let at = position
  while (rest.length > 0) {
    const written = await writeSome(fd, rest, at)
    at += written
    rest = after(rest, written)
  }
}

function writeSome(fd: number, pieces: readonly Buffer[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(fd, pieces, position, (error, bytesWritten) => {
      if (error) reject(error)
      else resolve(bytesWritten)
    })
  })
}

/** What remains of pieces after their first `bytes`. */
function after(pieces: readonly Buffer[], bytes: number): readonly Buffer[] {
  let skip = bytes
  let first = 0
  for (const piece of pieces) {
    if (skip < piece.length) break
    skip -= piece.length
    first++
  }
  const rest = pieces.slice(first)
  const [cut] = rest
  return cut === undefined || skip === 0 ? rest : [cut.subarray(skip), ...rest.slice(1)]
}
