import { type Buffers, bufferBytes } from './buffers.ts'
import type { BlobReader } from './content.ts'
import type { Growing } from './growing-file.ts'
import type { Member, Members } from './members.ts'
import type { Extent } from './range.ts'

/**
 * How a download goes: `coming`, `whole` once its digest was right, or `apart` when its readers go on each for itself after what
 * is there.
 */
export type Course = 'coming' | 'whole' | 'apart'

/** What readers see of a download. */
export interface SharedBytes {
  readonly size: number
  readonly course: Course
  /** What is there, also when the download is over; undefined before it begins. */
  readonly bytes: Growing | undefined
  /** Up to where bytes are given out. */
  readonly free: number
  readonly members: Members
  /** Opens what comes `at` the end of what was read, for one who goes on apart. */
  goOn(member: Member, extent: Extent, at: number): Promise<BlobReader>
}

/** Reads a growing file at the reader's own speed. */
export function createDownloadReader(
  shared: SharedBytes,
  member: Member,
  extent: Extent,
  buffers: Buffers,
): BlobReader {
  const { members, size } = shared
  const end = extent.offset + extent.length
  let at = extent.offset
  let buffer: Buffer | undefined
  let rest: BlobReader | undefined
  let isReading = false
  let isClosed = false

  function requireOpen(): void {
    if (isClosed) throw new Error('the reader is closed')
    if (member.failure !== undefined) throw member.failure.error
  }

  function take(): Buffer {
    buffer ??= buffers.take()
    return buffer
  }

  function release(): void {
    if (buffer?.length === bufferBytes) buffers.give(buffer)
    buffer = undefined
    members.leave(member)
  }

  /** Up to where it may read what is there. */
  function readable(): number {
    return Math.min(end, shared.bytes?.received ?? 0, shared.free)
  }

  async function readShared(bytes: Growing, until: number): Promise<Buffer> {
    member.hasBegun = true
    const piece = await bytes.read(at, until, take)
    requireOpen()
    at += piece.length
    return piece
  }

  async function readOn(): Promise<Buffer | undefined> {
    for (;;) {
      requireOpen()
      if (rest !== undefined) return rest.read()
      // Of an empty blob too it is to be known that it is the right one.
      if (at === end && (size > 0 || shared.course === 'whole')) return undefined
      const until = readable()
      if (shared.bytes !== undefined && at < until) return readShared(shared.bytes, until)
      if (shared.course === 'apart') rest = await opened()
      else await members.news()
    }
  }

  async function opened(): Promise<BlobReader> {
    const reader = await shared.goOn(member, extent, at)
    if (isClosed) reader.close()
    return reader
  }

  return {
    async read() {
      if (isReading) throw new TypeError('a read is under way')
      isReading = true
      try {
        return await readOn()
      } finally {
        isReading = false
        // The system wrote into the buffer until now.
        if (isClosed) release()
      }
    },
    close() {
      if (isClosed) return
      isClosed = true
      rest?.close()
      members.tell()
      if (!isReading) release()
    },
  }
}
