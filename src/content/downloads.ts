import type { Logger } from 'pino'
import { streamBlob } from './blob-stream.ts'
import type { Buffers } from './buffers.ts'
import type { AcquireLease, BlobReader, BlobSource, Content, Link } from './content.ts'
import type { Counters } from './counters.ts'
import type { HeldFiles } from './held-files.ts'
import type { Extent } from './range.ts'
import { readerOf } from './reader.ts'

/** Blobs that are not held yet: fetched once for all who want them, kept as they come. */
export interface Downloads {
  /** Gives out `extent` of a blob of `size` bytes. Settles when its first byte is there. @throws as `Content.open` */
  open(link: Link, size: number, extent: Extent, signal: AbortSignal): Promise<BlobReader>
  fetch: Content['fetch']
  /** Ends all downloads. */
  close(): Promise<void>
}

export interface DownloadsOptions {
  files: HeldFiles
  source: BlobSource
  acquireLease: AcquireLease
  buffers: Buffers
  counters: Counters
  /** Most bytes that may be missing of a download which goes on without readers. */
  finishBytes: number
  log?: Logger
  /** Milliseconds since the epoch. */
  now: () => number
  pause: (milliseconds: number, signal: AbortSignal) => Promise<void>
}

export function createDownloads({ source, log }: DownloadsOptions): Downloads {
  const closing = new AbortController()
  return {
    async open(link, size, extent, left) {
      const signal = AbortSignal.any([closing.signal, left])
      return readerOf(await streamBlob({ link, size, ...extent }, { source, signal, log }))
    },
    async fetch() {
      throw new TypeError('not there yet')
    },
    close: async () => closing.abort(),
  }
}
