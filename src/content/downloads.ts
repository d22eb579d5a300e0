import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { atMost } from '../oci/at-most.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Buffers } from './buffers.ts'
import { BusyError } from './busy.ts'
import { closingError } from './closing.ts'
import type { AcquireLease, BlobReader, BlobSource, Content, Link } from './content.ts'
import type { Counters } from './counters.ts'
import { createDirectReader } from './direct-reader.ts'
import { type Download, startDownload } from './download.ts'
import type { HeldFiles } from './held-files.ts'
import { firstAnswer, upstreamsOf } from './locations.ts'
import type { Extent } from './range.ts'
import { createRangeIgnorers } from './range-ignorers.ts'
import { primed } from './reader.ts'
import { wayOf } from './ways.ts'

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

/** Who wants bytes so far ahead of what is there would wait too long for them. */
const farBytes = 16 * 1024 * 1024
/** What may come beside a part that is wanted, however small that is. */
const littleBytes = 1024 * 1024
/** Blobs of which is remembered how much was asked for. */
const mostDemanded = 10_000
/** So long a fetch waits before it asks again for what another process is busy with. */
const busyPauseMs = 1000
/** Most who go upstream for parts of one blob at once. */
const mostAlone = 8
/** Most downloads that go on though nobody wants them any more. */
const mostUnwanted = 16

export function createDownloads(given: DownloadsOptions): Downloads {
  const rangeIgnorers = createRangeIgnorers(given.now)
  const options = { ...given, onRangeIgnored: rangeIgnorers.add }
  const closing = new AbortController()
  /** By digest and size: a manifest may lie about the size. */
  const joinable = new Map<string, Set<Download>>()
  /** With the way that each goes. */
  const running = new Map<Download, string>()
  /** Readers that go upstream each for a part, by their way: what others do must not change what an upstream is asked (I5). */
  const alone = new Map<string, number>()
  /** How many bytes were asked for, by way: who asks for parts alone makes Weir fetch the whole when they come to as much. */
  const demanded = new LRUCache<string, number>(atMost(mostDemanded))

  function demand(way: string, bytes: number): number {
    const all = (demanded.get(way) ?? 0) + bytes
    demanded.set(way, all)
    return all
  }

  function start(link: Link, size: number): Download {
    const key = `${link.digest} ${size}`
    const way = wayTo(link, size)
    const download = startDownload(link, size, {
      ...options,
      mayGoOnUnwanted(missingBytes) {
        if (missingBytes > Math.min(options.finishBytes, demanded.get(way) ?? 0)) return false
        return [...running.keys()].filter(({ isUnwanted }) => isUnwanted).length <= mostUnwanted
      },
      onOver() {
        if (download.received === size) demanded.delete(way)
        const others = joinable.get(key)
        others?.delete(download)
        if (others?.size === 0) joinable.delete(key)
      },
      onGone: () => running.delete(download),
    })
    const others = joinable.get(key) ?? new Set()
    joinable.set(key, others.add(download))
    running.set(download, way)
    return download
  }

  function joinableBy(link: Link, size: number): Download | undefined {
    return [...(joinable.get(`${link.digest} ${size}`) ?? [])].find((download) => download.mayJoin(link))
  }

  function requireLocations(link: Link): void {
    closing.signal.throwIfAborted()
    if (upstreamsOf(link).length === 0) throw new RegistryError('BLOB_UNKNOWN', { detail: { digest: link.digest } })
  }

  /** How far into a blob a part of it may be, for which all before it comes too. */
  function reachOf(joined: Download | undefined, worthBytes: number, isWholeWorth: boolean): number {
    if (joined !== undefined) return joined.received + farBytes
    return isWholeWorth ? farBytes : Math.min(farBytes, worthBytes)
  }

  function reader(link: Link, size: number, extent: Extent): BlobReader {
    const joined = joinableBy(link, size)
    const own = wayTo(link, size)
    const worthBytes = Math.max(extent.length, littleBytes)
    const isWholeWorth = demand((joined && running.get(joined)) ?? own, worthBytes) >= size
    const isFar = extent.offset > reachOf(joined, worthBytes, isWholeWorth)
    if (!isFar || !mayGoAlone(link, own)) return (joined ?? start(link, size)).read(link, extent)
    const { offset, length } = extent
    const request = { digest: link.digest, size, start: offset, end: offset + length, locations: upstreamsOf(link) }
    return countedAlone(own, createDirectReader(request, { ...options, signal: closing.signal }))
  }

  function mayGoAlone(link: Link, way: string): boolean {
    return (alone.get(way) ?? 0) < mostAlone && !upstreamsOf(link).some(rangeIgnorers.has)
  }

  function countedAlone(way: string, reader: BlobReader): BlobReader {
    let isClosed = false
    alone.set(way, (alone.get(way) ?? 0) + 1)
    return {
      read: () => reader.read(),
      close() {
        reader.close()
        const left = (alone.get(way) ?? 0) - 1
        if (!isClosed && left > 0) alone.set(way, left)
        else if (!isClosed) alone.delete(way)
        isClosed = true
      },
    }
  }

  return {
    async open(link, size, extent, signal) {
      requireLocations(link)
      return primed(reader(link, size, extent), signal)
    },
    async fetch(link, { signal, onProgress }) {
      requireLocations(link)
      const ask = (location: Parameters<BlobSource['size']>[0]) => options.source.size(location, link.digest, signal)
      const size = link.size ?? (await firstAnswer(link, 'BLOB_UNKNOWN', ask))
      const ended = AbortSignal.any([signal, closing.signal])
      await Promise.race([options.files.counted, abortOf(ended)])
      for (;;) {
        closing.signal.throwIfAborted()
        try {
          const download = joinableBy(link, size) ?? start(link, size)
          demand(running.get(download) ?? wayTo(link, size), size)
          return await download.wait(link, { signal, ...(onProgress && { onProgress }) })
        } catch (error) {
          if (!(error instanceof BusyError)) throw error
        }
        await options.pause(busyPauseMs, ended).catch(() => undefined)
        signal.throwIfAborted()
      }
    },
    async close() {
      const reason = closingError()
      closing.abort(reason)
      await Promise.all([...running.keys()].map((download) => download.end(reason)))
    },
  }
}

/** Fails when the signal aborts, with its reason. */
function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

function wayTo(link: Link, size: number): string {
  return `${link.digest} ${wayOf(upstreamsOf(link), size)}`
}
