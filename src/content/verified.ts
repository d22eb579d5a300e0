import type { Hash } from 'node:crypto'
import { type Digest, hashedDigest } from '../oci/digest.ts'
import type { UpstreamLocation } from './content.ts'
import { wrongBytes } from './locations.ts'

/** The end of a blob that nobody gets before its digest is known to be right (I4): of a small one everything. */
const heldBackBytes = 64 * 1024

/** Up to where a blob of `size` bytes may be given out before its digest is known. */
export function freeBytes(size: number): number {
  return Math.max(0, size - heldBackBytes)
}

/** Ends a hash that ran over a whole blob. @throws RegistryError when these are not its bytes; names the location that ended them */
export function requireDigest(hash: Hash, digest: Digest, locations: Iterable<UpstreamLocation>): void {
  const found = hashedDigest(hash, digest)
  if (found !== digest) throw wrongBytes([...locations].at(-1), `has the digest ${found} and not ${digest}`)
}
