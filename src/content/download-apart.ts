import type { Hash } from 'node:crypto'
import type { Digest } from '../oci/digest.ts'
import type { BlobReader, UpstreamLocation } from './content.ts'
import type { Counters } from './counters.ts'
import { createDirectReader } from './direct-reader.ts'
import type { SharedBytes } from './download-reader.ts'
import type { Growing } from './growing-file.ts'
import type { HeldFiles } from './held-files.ts'
import { upstreamsOf } from './locations.ts'
import type { Member } from './members.ts'
import { locationKey } from './proof.ts'
import type { Extent } from './range.ts'
import { skipping } from './reader.ts'
import { keysOf } from './ways.ts'

/** Why the readers of a download go on each for itself, and the failure behind it. */
export interface Apart {
  why: 'held' | 'no room' | 'no lease' | 'no location' | 'enough'
  error: unknown
}

/** A download that its readers left. */
export interface LeftDownload {
  digest: Digest
  /** Where it came from. */
  locations: readonly UpstreamLocation[]
  shared: Pick<SharedBytes, 'size' | 'bytes'>
  /** Has run over what is there. */
  hash: Hash
  apart: Apart | undefined
}

export type ApartOptions = Parameters<typeof createDirectReader>[1] & {
  files: Pick<HeldFiles, 'open'>
  counters: Counters
}

/** Opens what comes `at` the end of what one has read of a download, as far as its link lets it; see `SharedBytes.goOn`. */
export async function goOnApart(
  options: ApartOptions,
  { digest, locations, shared, hash, apart }: LeftDownload,
  { link: own }: Member,
  { extent, at }: { extent: Extent; at: number },
): Promise<BlobReader> {
  const { size } = shared
  const end = extent.offset + extent.length
  if (apart?.why === 'held') {
    const isWhole = extent.length === size
    // Only the whole is verified.
    const held = await options.files.open(own, isWhole ? undefined : { start: at, end: end - 1 })
    if (held !== undefined) return isWhole ? skipping(held.reader, at) : held.reader
  }
  if (apart?.why === 'no room') options.counters.streamedThrough++
  const tried = apart?.why === 'no location' ? keysOf(locations) : new Set<string>()
  const others = upstreamsOf(own).filter((location) => !tried.has(locationKey(location)))
  if (others.length === 0) throw apart?.error
  const request = { digest, size, end, locations: others }
  if (extent.length < size) return createDirectReader({ ...request, start: at }, options)
  const start = shared.bytes?.received ?? 0
  const heldBack = shared.bytes && (await readBetween(shared.bytes, at, start))
  const verify = { hash: hash.copy(), ...(heldBack && { heldBack }) }
  return createDirectReader({ ...request, start, verify }, options)
}

/** Bytes that are there: no more than is held back of a blob. */
async function readBetween(bytes: Growing, start: number, end: number): Promise<Buffer> {
  const whole = Buffer.allocUnsafe(end - start)
  for (let at = start; at < end; ) {
    const piece = await bytes.read(at, end, () => Buffer.allocUnsafe(end - at))
    at += piece.copy(whole, at - start)
  }
  return whole
}
