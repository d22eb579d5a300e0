import { setTimeout } from 'node:timers/promises'
import type { Logger } from 'pino'
import { createBuffers } from './buffers.ts'
import type { AcquireLease, BlobReader, BlobSource, Content, HeldRecords, Link, UpstreamLocation } from './content.ts'
import { createCounters } from './counters.ts'
import { createDownloads } from './downloads.ts'
import { firstAnswer, upstreamsOf, wrongBytes } from './locations.ts'
import { openHeldFiles } from './open-held-files.ts'
import { createPatchedReader } from './patched-reader.ts'
import { locationKey } from './proof.ts'
import { extentOf } from './range.ts'

export interface ContentOptions {
  /** Where bytes are kept; made when absent. Other processes with the same records and leases may use it too. */
  directory: string
  source: BlobSource
  records: HeldRecords
  acquireLease: AcquireLease
  /** Most bytes that are kept. */
  maxBytes: number
  /** Most bytes that may be missing of a download which goes on when nobody reads it any more. */
  finishBytes: number
  /**
   * Told when more than 90 % of `maxBytes` are held or promised (with 0), and when a file of so many bytes had no room. Often:
   * it is no news.
   */
  onPressure?: (neededBytes: number) => void
  /**
   * Told when held bytes turned out wrong or gone, and count as absent from then on: whoever needs them has to fetch them again.
   * Often: one look at everything that is needed may serve many calls.
   */
  onLost?: () => void
  log?: Logger
  /** Milliseconds since the epoch; default the system's clock. */
  now?: () => number
  /** Waits between attempts; default in real time. */
  pause?: (milliseconds: number, signal: AbortSignal) => Promise<void>
}

/** Opens the content store: bytes from disk where they are held, otherwise from downloads that keep them. */
export async function createContent(options: ContentOptions): Promise<Content> {
  const { source, acquireLease, finishBytes, onPressure = () => undefined, now = Date.now, pause = pauseFor } = options
  const log = options.log
  const closing = new AbortController()
  const counters = createCounters()
  const buffers = createBuffers()
  const parts = { ...options, buffers, counters, now, log }
  const files = await openHeldFiles({ ...parts, onPressure, signal: closing.signal })
  const downloads = createDownloads({
    files,
    source,
    acquireLease,
    buffers,
    counters,
    finishBytes,
    now,
    pause,
    ...(log === undefined ? {} : { log }),
  })
  const writes = new Set<Promise<unknown>>()
  /** Sizes that upstreams are being asked for. */
  const sizes = new Map<string, Promise<number>>()

  async function sizeAt(link: Link, location: UpstreamLocation): Promise<number> {
    const size = await source.size(location, link.digest)
    if (size === (link.size ?? size)) return size
    throw wrongBytes(location, `is ${size} bytes long and not ${link.size}`)
  }

  /** Many may ask at once. */
  function askedSize(link: Link): Promise<number> {
    const key = JSON.stringify([link.digest, link.size, upstreamsOf(link).map(locationKey)])
    const asked =
      sizes.get(key) ??
      firstAnswer(link, 'BLOB_UNKNOWN', (location) => sizeAt(link, location)).finally(() => sizes.delete(key))
    sizes.set(key, asked)
    return asked
  }

  async function stat(link: Link): Promise<number> {
    const held = await files.held(link).catch(() => undefined)
    return held ?? (await askedSize(link))
  }

  /** Closing waits for it. */
  async function write<T>(work: Promise<T>): Promise<T> {
    writes.add(work)
    return work.finally(() => writes.delete(work))
  }

  function counted(reader: BlobReader): BlobReader {
    return {
      async read() {
        const piece = await reader.read()
        counters.deliveredBytes += piece?.length ?? 0
        return piece
      },
      close: () => reader.close(),
    }
  }

  return {
    ...files,
    putManifest: (...manifest) => write(files.putManifest(...manifest)),
    uploads: {
      ...files.uploads,
      append: (...piece) => write(files.uploads.append(...piece)),
      finish: (...blob) => write(files.uploads.finish(...blob)),
      cancel: (id) => write(files.uploads.cancel(id)),
    },
    stat,
    async open(link, range, left) {
      const signal = left === undefined ? closing.signal : AbortSignal.any([closing.signal, left])
      signal.throwIfAborted()
      const held = await files.open(link, range)
      if (held !== undefined) {
        // The signal is for the first byte; what is read later is ended by closing.
        const fetchRest = (rest: { offset: number; length: number }) =>
          downloads.open(link, held.size, rest, closing.signal)
        return { ...held, reader: counted(createPatchedReader(held, link.digest, fetchRest)) }
      }
      const size = link.size ?? (await stat(link))
      const extent = extentOf(range, size)
      return { size, ...extent, reader: counted(await downloads.open(link, size, extent, signal)) }
    },
    async fetch(link, want) {
      const held = await files.held(link).catch(() => undefined)
      if (held === undefined) return downloads.fetch(link, want)
      want.onProgress?.(held)
      await files.touch(link.digest)
    },
    counters,
    async close() {
      closing.abort()
      await downloads.close()
      await Promise.allSettled(writes)
    },
  }
}

async function pauseFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  await setTimeout(milliseconds, undefined, { signal })
}
