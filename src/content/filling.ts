import type { Hash } from 'node:crypto'
import { type Digest, hashFor } from '../oci/digest.ts'
import { type Buffers, bufferBytes } from './buffers.ts'
import type { UpstreamLocation } from './content.ts'
import { fetchBytes } from './fetching.ts'
import { type Growing, type GrowingFile, openGrowingFile } from './growing-file.ts'
import { type HeldFiles, NoRoomError, type PartialFile } from './held-files.ts'
import { proofOf } from './proof.ts'
import type { FetchOptions } from './resume.ts'
import { requireDigest } from './verified.ts'

/** A blob to be written into a file. */
export interface FillRequest {
  digest: Digest
  size: number
  /** Tells the file from those of other ways to the blob. */
  name: string
  locations: readonly UpstreamLocation[]
  /** What is there of it already, the hash that ran over that, and where it may have come from. */
  before?: { bytes: Growing; hash: Hash; locations: readonly UpstreamLocation[] }
}

export interface FillOptions extends FetchOptions {
  files: Pick<HeldFiles, 'begin' | 'refuse'>
  buffers: Buffers
  now: () => number
  signal: AbortSignal
  /** Called before a location is asked, with those that gave what is there, and it, and why the one before failed. */
  turnTo(through: ReadonlySet<UpstreamLocation>, failure: unknown): void
  /** Called when more is there. */
  onBytes(): void
}

/** A file that is filled from upstream. */
export interface Filling {
  readonly bytes: GrowingFile
  /** Ran over all bytes that are there. */
  readonly hash: Hash
  /** Locations that were not asked yet. */
  readonly untried: readonly UpstreamLocation[]
  /** Fetches all of it, and verifies it. @throws NoRoomError, or RegistryError what became of the locations */
  fetch(): Promise<void>
  /** Makes it the file that is held. @throws NoRoomError */
  keep(): Promise<void>
  /** Removes the file; what is there can be read until `bytes` is closed. */
  discard(): Promise<void>
}

/** Begins a file, with what is there already. @throws NoRoomError */
export async function beginFilling(request: FillRequest, options: FillOptions): Promise<Filling> {
  const { digest, size, name, before } = request
  const { files } = options
  const partial = await files.begin(digest, name, size)
  let bytes: GrowingFile | undefined
  try {
    bytes = await openGrowingFile(partial.path, partial.handle, options)
    if (before !== undefined && before.bytes.received > 0) {
      await partial.takeRoom()
      await copy(before.bytes, bytes)
    }
    return createFilling(request, options, partial, bytes)
  } catch (error) {
    bytes?.close()
    await partial.discard()
    throw error instanceof NoRoomError ? error : files.refuse(error)
  }
}

async function copy(from: Growing, to: GrowingFile): Promise<void> {
  const buffer = Buffer.allocUnsafe(bufferBytes)
  while (to.received < from.received) await to.append(await from.read(to.received, from.received, () => buffer))
}

function createFilling(
  { digest, size, locations, before }: FillRequest,
  { files, turnTo, onBytes, ...options }: FillOptions,
  partial: PartialFile,
  bytes: GrowingFile,
): Filling {
  const hash = before?.hash ?? hashFor(digest)
  const through = new Set(before?.locations)
  const request = { digest, size, start: bytes.received, end: size, locations }
  const fetching = fetchBytes(request, {
    ...options,
    rateClock: options.now,
    turnTo: (location, failure) => turnTo(new Set([...through, ...fetching.used, location]), failure),
  })
  let hasRoom = bytes.received > 0
  let isKept = false
  // It may be that nothing comes any more that could not be written.
  bytes.failed.addEventListener('abort', fetching.close, { once: true })

  async function onDisk(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      throw bytes.failed.aborted ? files.refuse(bytes.failed.reason) : error
    }
  }

  async function fetchAll(): Promise<void> {
    for (let piece = await fetching.read(); piece !== undefined; piece = await fetching.read()) {
      // The answer was not of another size than was promised.
      if (!hasRoom) await partial.takeRoom()
      hasRoom = true
      hash.update(piece)
      const written = bytes.append(piece)
      onBytes()
      if (written !== undefined) await written
    }
  }

  return {
    bytes,
    hash,
    untried: fetching.untried,
    async fetch() {
      try {
        await onDisk(fetchAll)
      } finally {
        fetching.close()
      }
      requireDigest(hash, digest, fetching.used)
    },
    async keep() {
      await onDisk(bytes.flush)
      isKept = true
      await partial.keep(proofOf([...through, ...fetching.used]))
    },
    async discard() {
      fetching.close()
      if (!isKept) await partial.discard()
    },
  }
}
