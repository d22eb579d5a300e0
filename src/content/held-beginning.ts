import type { Hash } from 'node:crypto'
import { hashFor } from '../oci/digest.ts'
import type { BlobReader, Link } from './content.ts'
import type { HeldFiles } from './held-files.ts'

/** Whether held bytes begin with the `end` bytes that `hash` has run over; not, where they can not be read through the link. */
export async function isBeginningOfHeld(
  files: Pick<HeldFiles, 'open'>,
  link: Link,
  { end, hash }: { end: number; hash: Hash },
): Promise<boolean> {
  if (end === 0) return true
  const held = await files.open(link, { start: 0, end: end - 1 }).catch(() => undefined)
  const heldHash = held && (await hashOf(held.reader, hashFor(link.digest)).catch(() => undefined))
  return heldHash?.digest().equals(hash.copy().digest()) === true
}

/** Reads to the end, and closes. */
async function hashOf(reader: BlobReader, hash: Hash): Promise<Hash> {
  try {
    for (let piece = await reader.read(); piece !== undefined; piece = await reader.read()) hash.update(piece)
    return hash
  } finally {
    reader.close()
  }
}
