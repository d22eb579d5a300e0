import type { Content } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'

/** What one page of a verification found. */
export interface VerifyReport {
  checked: number
  bytes: number
  corrupt: readonly Digest[]
  /** To go on after; absent at the end. */
  continue?: Digest
}

export interface VerifyRequest {
  after?: Digest
  maxBytes: number
  signal: AbortSignal
}

/** Hashes held bytes again, in the order of digests, at least one. */
export async function verifyHeld(
  content: Pick<Content, 'list' | 'verify'>,
  { after, maxBytes, signal }: VerifyRequest,
): Promise<VerifyReport> {
  const corrupt: Digest[] = []
  let checked = 0
  let bytes = 0
  let last = after
  for await (const { digest, size } of content.list(after === undefined ? {} : { after })) {
    if (checked > 0 && bytes + size > maxBytes && last !== undefined) return { checked, bytes, corrupt, continue: last }
    signal.throwIfAborted()
    const found = await content.verify(digest, signal)
    last = digest
    if (found === 'absent') continue
    checked += 1
    bytes += size
    if (found === 'corrupt') corrupt.push(digest)
  }
  return { checked, bytes, corrupt }
}
