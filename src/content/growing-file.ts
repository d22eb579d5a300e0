import { writev } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { type Buffers, bufferBytes } from './buffers.ts'
import { readAt } from './disk-reader.ts'
import { createTail } from './tail.ts'

/** The beginning of a blob, of which more and more is there. */
export interface Growing {
  /** How many bytes of it are there. */
  readonly received: number
  /**
   * Bytes from `at` on, before `end`, at least one, in the buffer that `take` gives: all of these are there.
   */
  read(at: number, end: number, take: () => Buffer): Buffer | Promise<Buffer>
  /** To be called when nothing is read any more. */
  close(): void
}

/** A file that is written at its end and read anywhere. The newest bytes, which are not written yet, are read from memory. */
export interface GrowingFile extends Growing {
  /** Adds a copy of a piece. When the disk is slower than the pieces come, gives what to wait for. */
  append(piece: Buffer): Promise<void> | undefined
  /** Settles when everything is written. */
  flush(): Promise<void>
  /** Aborts when a write fails, with its error. What is there can still be read. */
  readonly failed: AbortSignal
}

/** Bytes that are written at once, when the disk keeps up; up to twice as many wait for it. */
const batchBytes = bufferBytes
/** So long what has come waits for more: other processes see what is written. */
const batchMs = 200

/** Opens the file at `path` for reading beside `handle`, which writes it and stays the caller's. */
export async function openGrowingFile(
  path: string,
  handle: FileHandle,
  { buffers, now }: { buffers: Buffers; now: () => number },
): Promise<GrowingFile> {
  const shared = createSharedFile(await open(path, 'r'))
  const tail = createTail(buffers)
  let written = 0
  let writtenAt = now()
  let writing: Promise<void> | undefined
  const failing = new AbortController()
  const failed = failing.signal

  async function writeTail(): Promise<void> {
    const { end } = tail
    await writeWhole(handle.fd, tail.views(written), written)
    written = end
    tail.dropBefore(written)
    writtenAt = now()
  }

  function write(): Promise<void> {
    if (failed.aborted) return Promise.reject(failed.reason)
    writing ??= writeTail()
      .catch((error: unknown) => {
        failing.abort(error)
        throw error
      })
      .finally(() => {
        writing = undefined
        if (!failed.aborted && unwritten() >= batchBytes) writeOn()
      })
    return writing
  }

  /** Whoever waits for it, or flushes, is told of its failure, and the signal tells it. */
  function writeOn(): void {
    write().catch(() => undefined)
  }

  function unwritten(): number {
    return tail.end - written
  }

  return {
    failed,
    get received() {
      return tail.end
    },
    append(piece) {
      tail.append(piece)
      if (unwritten() < batchBytes && now() - writtenAt < batchMs) return undefined
      const isBehind = writing !== undefined && unwritten() >= 2 * batchBytes
      if (isBehind) return write()
      writeOn()
      return undefined
    },
    async flush() {
      while (unwritten() > 0) await write()
    },
    read(at, end, take) {
      return at < written ? shared.read(at, Math.min(end, written), take) : tail.read(at, end, take())
    },
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

/** A write can end short, when the disk becomes full: the next one then tells. */
export async function writeWhole(fd: number, pieces: readonly Buffer[], position: number): Promise<void> {
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
