import type { Hash } from 'node:crypto'
import { type Digest, hashFor } from '../oci/digest.ts'
import type { BlobReader, UpstreamLocation } from './content.ts'
import { fetchBytes } from './fetching.ts'
import { isWrongBytes } from './locations.ts'
import type { FetchOptions } from './resume.ts'
import { freeBytes, requireDigest } from './verified.ts'

/** Bytes of a blob of `size`, from `start` up to `end` (exclusive), that one reader gets for itself. */
export interface DirectRequest {
  digest: Digest
  size: number
  start: number
  end: number
  locations: readonly UpstreamLocation[]
  /**
   * The digest is checked: `hash` has run over all bytes before `start`, of which `heldBack`, the last ones, are yet to be given
   * out. Absent of a part that is given out as it comes.
   */
  verify?: { hash: Hash; heldBack?: Buffer }
}

/** Reads from upstream for one reader alone, which makes the upstream wait when it is slow. Nothing is kept. */
export function createDirectReader(
  request: DirectRequest,
  options: FetchOptions & { signal: AbortSignal },
): BlobReader {
  return request.verify === undefined
    ? fetchBytes(request, options)
    : createVerifiedReader({ ...request, verify: request.verify }, options)
}

function createVerifiedReader(
  { verify, ...request }: DirectRequest & Required<Pick<DirectRequest, 'verify'>>,
  options: FetchOptions & { signal: AbortSignal },
): BlobReader {
  const { digest, size, start } = request
  const free = freeBytes(size)
  let hash = verify.hash
  let fetching = fetchBytes(request, options)
  let at = start
  let hasGiven = start > 0
  let isWhole = false
  let isClosed = false
  let heldBack: Buffer[] = verify.heldBack === undefined ? [] : [verify.heldBack]

  /** Gives out what it may, and holds the rest back. */
  function take(piece: Buffer): Buffer | undefined {
    hash.update(piece)
    const isFree = Math.max(0, Math.min(piece.length, free - at))
    at += piece.length
    if (isFree < piece.length) heldBack.push(Buffer.from(piece.subarray(isFree)))
    return isFree > 0 ? piece.subarray(0, isFree) : undefined
  }

  function check(): void {
    requireDigest(hash, digest, fetching.used)
    isWhole = true
  }

  async function readOn(): Promise<Buffer | undefined> {
    for (;;) {
      if (isWhole) return heldBack.shift()
      const piece = await fetching.read()
      const free = piece === undefined ? check() : take(piece)
      if (free !== undefined) return free
    }
  }

  /** Another location may have the right bytes, for who has got none yet. */
  function beginAgain(error: unknown): void {
    if (isClosed || hasGiven || !isWrongBytes(error) || fetching.untried.length === 0) throw error
    fetching.close()
    fetching = fetchBytes({ ...request, locations: fetching.untried }, options)
    hash = hashFor(digest)
    heldBack = []
    at = start
  }

  return {
    async read() {
      for (;;) {
        try {
          const piece = await readOn()
          hasGiven = true
          return piece
        } catch (error) {
          beginAgain(error)
        }
      }
    },
    close() {
      isClosed = true
      fetching.close()
    },
  }
}
