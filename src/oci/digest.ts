import { createHash, type Hash } from 'node:crypto'

/** A registered digest, `sha256:<64 hex>` or `sha512:<128 hex>`; made only by {@link parseDigest} and {@link digestOf}. */
export type Digest = string & { readonly __digest: unique symbol }

export type DigestAlgorithm = 'sha256' | 'sha512'

const pattern = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/

/**
 * Returns `value` as a digest, or undefined when it is not one of the registered forms.
 *
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests
 */
export function parseDigest(value: string): Digest | undefined {
  return value.length <= 135 && pattern.test(value) ? (value as Digest) : undefined
}

/** The algorithm that a digest names. */
export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256'
}

/** The hexadecimal part of a digest. */
export function digestHex(digest: Digest): string {
  return digest.slice(7)
}

/** Hashes whole bytes; `algorithm` defaults to sha256. */
export function digestOf(bytes: Uint8Array | string, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest
}

/** A running hash in the algorithm of `digest`, to be compared with {@link hashedDigest}. */
export function hashFor(digest: Digest): Hash {
  return createHash(digestAlgorithm(digest))
}

/** Ends a running hash of {@link hashFor} and returns the digest of what went in. */
export function hashedDigest(hash: Hash, like: Digest): Digest {
  return `${digestAlgorithm(like)}:${hash.digest('hex')}` as Digest
}
