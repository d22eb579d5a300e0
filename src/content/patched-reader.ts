import type { Hash } from 'node:crypto'
import { type Digest, hashedDigest } from '../oci/digest.ts'
import type { BlobReader, OpenBlob } from './content.ts'
import { CorruptError, UnreadableError } from './disk-reader.ts'
import type { Extent } from './range.ts'
import { skipping } from './reader.ts'

/**
 * Gives out held bytes, and where their file ends early or can not be read, the rest from elsewhere. When the whole is to be
 * verified, it still is.
 *
 * @param fetchRest opens the bytes that are missing
 */
export function createPatchedReader(
  { reader: file, size, offset, length }: OpenBlob,
  digest: Digest,
  fetchRest: (extent: Extent) => Promise<BlobReader>,
): BlobReader {
  const end = offset + length
  let at = offset
  let current = file
  let hash: Hash | undefined
  let isClosed = false

  async function readOn(): Promise<Buffer | undefined> {
    const piece = await current.read()
    at += piece?.length ?? 0
    if (piece === undefined || hash === undefined) return piece
    hash.update(piece)
    if (at < end) return piece
    const found = hashedDigest(hash, digest)
    if (found !== digest) throw new CorruptError(digest, found)
    return piece
  }

  /** Of a whole whose beginning is trusted the rest comes after what was given out, out of a whole that is verified (I4). */
  async function openRest(): Promise<BlobReader> {
    const isVerified = hash !== undefined || length < size
    return isVerified
      ? fetchRest({ offset: at, length: end - at })
      : skipping(await fetchRest({ offset: 0, length: size }), at)
  }

  /** Whether bytes from elsewhere may follow on what was given out, and the hash of that if it is to go on. */
  function othersAfter(error: unknown): { hash: Hash | undefined } | undefined {
    if (current !== file) return undefined
    if (error instanceof UnreadableError) return { hash: error.hash }
    return error instanceof CorruptError && at === offset ? { hash: undefined } : undefined
  }

  return {
    async read() {
      try {
        return await readOn()
      } catch (error) {
        const others = isClosed ? undefined : othersAfter(error)
        if (others === undefined) throw error
        hash = others.hash
      }
      current.close()
      const rest = await openRest()
      current = rest
      if (isClosed) {
        rest.close()
        throw new Error('the reader is closed')
      }
      return readOn()
    },
    close() {
      isClosed = true
      current.close()
    },
  }
}
