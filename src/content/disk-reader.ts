import type { Hash } from 'node:crypto'
import { close, read as readFile } from 'node:fs'
import { type Digest, hashedDigest } from '../oci/digest.ts'
import type { Buffers } from './buffers.ts'
import type { BlobReader } from './content.ts'
import type { Extent } from './range.ts'

/** A file of held bytes ended early or could not be read. What came before may be right: other bytes can follow. */
export class UnreadableError extends Error {
  /** Of what was read so far, when the whole is to be verified. */
  readonly hash: Hash | undefined
  constructor(message: string, hash: Hash | undefined, cause?: unknown) {
    super(message, { cause })
    this.name = 'UnreadableError'
    this.hash = hash
  }
}

/** A file of held bytes has others than those of its digest. */
export class CorruptError extends Error {
  constructor(digest: Digest, found: Digest) {
    super(`the file of ${digest} has the digest ${found}`)
    this.name = 'CorruptError'
  }
}

export interface DiskReaderOptions {
  digest: Digest
  /** Open for reading; raw, since a FileHandle that somebody forgets ends the process. */
  fd: number
  extent: Extent
  buffers: Buffers
  /** Runs along when the extent is the whole: the last piece is given out only when the digest is right. */
  hash: Hash | undefined
  /** Told once, at the end of the whole, or when that is not to be had; the read that found out waits for it. */
  onResult(result: 'whole' | 'short' | 'corrupt'): Promise<void> | void
  /** Called once, when file and buffer are free again. */
  onClose(): void
}

/** Files up to this size are read into a buffer of their own. */
const smallBytes = 64 * 1024

/** Reads a file piece by piece, into one buffer; closes the file. */
export function createDiskReader(options: DiskReaderOptions): BlobReader {
  const { digest, fd, extent, buffers, hash, onResult, onClose } = options
  const end = extent.offset + extent.length
  let at = extent.offset
  let buffer: Buffer | undefined
  let state: 'idle' | 'reading' | 'closed' = 'idle'

  function release(): void {
    if (buffer !== undefined) buffers.give(buffer)
    buffer = undefined
    close(fd, () => onClose())
  }

  /** What hashes along stops everything else for as long as a piece takes. */
  function takeBuffer(): Buffer {
    return hash === undefined ? buffers.takeForDisk() : buffers.take()
  }

  async function verify(last: Hash): Promise<void> {
    const found = hashedDigest(last, digest)
    await onResult(found === digest ? 'whole' : 'corrupt')
    if (found !== digest) throw new CorruptError(digest, found)
  }

  async function readPiece(): Promise<Buffer | undefined> {
    if (at >= end) {
      if (extent.length === 0 && hash !== undefined) await verify(hash)
      return undefined
    }
    buffer ??= extent.length <= smallBytes ? Buffer.allocUnsafe(extent.length) : takeBuffer()
    const received = await readAt(fd, buffer, Math.min(buffer.length, end - at), at).catch((error: unknown) => {
      throw new UnreadableError(`the file of ${digest} can not be read`, hash, error)
    })
    if (received === 0) {
      await onResult('short')
      throw new UnreadableError(`the file of ${digest} ends after ${at} bytes`, hash)
    }
    at += received
    const piece = buffer.subarray(0, received)
    hash?.update(piece)
    if (at === end && hash !== undefined) await verify(hash)
    return piece
  }

  return {
    async read() {
      if (state !== 'idle') throw new Error(state === 'closed' ? 'the reader is closed' : 'a read is under way')
      state = 'reading'
      try {
        const piece = await readPiece()
        if ((state as string) === 'closed') throw new Error('the reader is closed')
        return piece
      } finally {
        // The system wrote into the buffer until now.
        if ((state as string) === 'closed') release()
        else state = 'idle'
      }
    },
    close() {
      const before = state
      state = 'closed'
      if (before === 'idle') release()
    },
  }
}

/**
 * Reads once, at most `length` bytes; 0 at the end of the file. By the callbacks of node:fs on a descriptor: a FileHandle's
 * methods cost half as much again.
 */
export function readAt(fd: number, buffer: Buffer, length: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    readFile(fd, buffer, 0, length, position, (error, bytesRead) => {
      if (error) reject(error)
      else resolve(bytesRead)
    })
  })
}
