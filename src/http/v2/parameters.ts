/** Parameters that name content. */
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { single } from '../paging.ts'

/** @throws RegistryError DIGEST_INVALID */
export function requireDigest(written: string): Digest {
  const digest = parseDigest(written)
  if (digest !== undefined) return digest
  const message = 'write a digest as sha256: and 64 hexadecimal digits, or sha512: and 128'
  throw new RegistryError('DIGEST_INVALID', { message, detail: { digest: written.slice(0, 200) } })
}

/**
 * The `digest` that says what an upload is; undefined when there is none.
 *
 * @throws RegistryError DIGEST_INVALID; BAD_REQUEST when there are several
 */
export function readDigest(query: URLSearchParams): Digest | undefined {
  const written = single(query, 'digest')
  return written === undefined ? undefined : requireDigest(written)
}
