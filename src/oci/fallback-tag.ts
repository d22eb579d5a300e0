import { type Digest, type DigestAlgorithm, digestAlgorithm, digestHex } from './digest.ts'

/** A tag that is derived from the digest of an image, and stands at something about that image. */
export interface FallbackTag {
  algorithm: DigestAlgorithm
  /** The first 64 hexadecimal digits of the image's digest. */
  hex: string
  /** Empty for the index of all referrers; cosign's tags have one, and stand at what it says. */
  suffix: '' | '.sig' | '.att' | '.sbom'
}

const pattern = /^(sha256|sha512)-([a-f0-9]{64})(|\.sig|\.att|\.sbom)$/

/**
 * Reads a tag of the referrers tag schema, or one of cosign's; undefined for other tags.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
 * @see https://github.com/sigstore/cosign/blob/v2.5.0/specs/SIGNATURE_SPEC.md
 */
export function parseFallbackTag(tag: string): FallbackTag | undefined {
  const [, algorithm, hex, suffix] = pattern.exec(tag) ?? []
  if (algorithm === undefined || hex === undefined || suffix === undefined) return undefined
  return { algorithm, hex, suffix } as FallbackTag
}

/** Whether a pattern of tags means such tags, by its beginning or its end, and not just any of many tags. */
export function meansFallbackTags(pattern: string): boolean {
  return /^sha(?:256|512)-|\.(?:sig|att|sbom)$/.test(pattern)
}

/** The tag at which, by the referrers tag schema, an index of all that refers to a digest stands. */
export function fallbackTagOf(digest: Digest): string {
  return `${digestAlgorithm(digest)}-${digestHex(digest).slice(0, 64)}`
}
