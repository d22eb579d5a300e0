import type { Content } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'

/** What one page of a verification found. */
export interface VerifyReport {
  checked: number
  bytes: number
  corrupt: readonly Digest[]
  /** Recorded as held, without a file. */
  missing: readonly Digest[]
  /** To go on after; absent at the end. */
  continue?: Digest
}

export interface VerifyRequest {
  after?: Digest
  maxBytes: number
  signal: AbortSignal
}

/** Digests that one page names: after a loss of the disk it would be all. */
const maxNamed = 1000

/** Hashes held bytes again, in the order of digests, at least one. What is missing counts towards `maxBytes` too. */
export async function verifyHeld(
  content: Pick<Content, 'list' | 'verify'>,
  { after, maxBytes, signal }: VerifyRequest,
): Promise<VerifyReport> {
  const corrupt: Digest[] = []
  const missing: Digest[] = []
  let checked = 0
  let bytes = 0
  let missingBytes = 0
  let last = after
  for await (const { digest, size } of content.list({ withMissing: true, ...(after && { after }) })) {
    const isFull = checked + missing.length > 0 && bytes + missingBytes + size > maxBytes
    const isLong = corrupt.length + missing.length >= maxNamed
    if ((isFull || isLong) && last !== undefined) return { checked, bytes, corrupt, missing, continue: last }
    signal.throwIfAborted()
    const found = await content.verify(digest, signal)
    last = digest
    if (found === 'absent') continue
    if (found === 'missing') {
      missing.push(digest)
      missingBytes += size
      continue
    }
    checked += 1
    bytes += size
    if (found === 'corrupt') corrupt.push(digest)
  }
  return { checked, bytes, corrupt, missing }
}
