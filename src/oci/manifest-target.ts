import { type Digest, parseDigest } from './digest.ts'
import { RegistryError } from './errors.ts'
import { isTag } from './reference.ts'

/** Where a manifest is to stand. */
export interface ManifestTarget {
  /** That it has to have. */
  digest: Digest | undefined
  /** Each once. */
  tags: string[]
}

/** Most tags of one push. */
const maxTags = 100

/**
 * Reads where a manifest is to stand: at a tag, or under its digest and at the tags of the query.
 *
 * @throws RegistryError DIGEST_INVALID; MANIFEST_INVALID for what is no tag; BAD_REQUEST for tags beside a tag; URI_TOO_LONG
 */
export function readManifestTarget(reference: string, more: readonly string[]): ManifestTarget {
  const tags = [...new Set(more)]
  if (tags.length > maxTags) {
    throw new RegistryError('URI_TOO_LONG', { message: `tag: at most ${maxTags} tags can be given at once` })
  }
  if (!reference.includes(':')) {
    requireTag(reference)
    if (tags.length === 0) return { digest: undefined, tags: [reference] }
    throw new RegistryError('BAD_REQUEST', { message: 'tag: tags can be given where the manifest is named by digest' })
  }
  const digest = parseDigest(reference)
  if (digest === undefined) {
    const message = 'a manifest is pushed by tag, or by a sha256 or sha512 digest'
    throw new RegistryError('DIGEST_INVALID', { message, detail: { digest: reference.slice(0, 200) } })
  }
  for (const tag of tags) requireTag(tag)
  return { digest, tags }
}

function requireTag(tag: string): void {
  if (isTag(tag)) return
  const message = 'a tag has up to 128 letters, digits and . _ -, and does not begin with . or -'
  throw new RegistryError('MANIFEST_INVALID', { message, detail: { tag: tag.slice(0, 200) } })
}
