/** The answer to a manifest request, the same from the router and from the warm path. */
import type { ServedManifest } from '../pull-through.ts'
import { warningOf } from './warning.ts'

/** Status and headers, flat: name, value, name, value. */
export interface ManifestHead {
  status: 200 | 304
  headers: readonly string[]
}

/** Of what a digest names, which never changes. Whoever may have it showed a token: no cache that others share keeps it. */
export const immutable = 'private, max-age=31536000, immutable'

/** Of what is served, both answers: the same object is served again as long as memory has it. */
const heads = new WeakMap<ServedManifest, Readonly<Record<'whole' | 'unchanged', ManifestHead>>>()

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests */
export function manifestHead(served: ServedManifest, ifNoneMatch: string | undefined): ManifestHead {
  let known = heads.get(served)
  if (known === undefined) {
    known = headsOf(served)
    heads.set(served, known)
  }
  return ifNoneMatch !== undefined && matchesEtag(ifNoneMatch, served.digest) ? known.unchanged : known.whole
}

function headsOf({ digest, mediaType, size, pin }: ServedManifest) {
  const identity = ['Docker-Content-Digest', digest, 'ETag', `"${digest}"`]
  identity.push('Cache-Control', pin === undefined ? immutable : 'no-cache')
  if (pin !== undefined) {
    identity.push('Weir-Revision', String(pin.revision))
    const warning = warningOf(pin)
    if (warning !== undefined) identity.push('Warning', warning)
  }
  const content = ['Content-Type', mediaType, 'Content-Length', String(size)]
  return {
    whole: { status: 200, headers: [...content, ...identity] },
    unchanged: { status: 304, headers: identity },
  } as const
}

/**
 * Whether an If-None-Match names `digest`: quoted, weak, bare as some clients send it, in a list, or `*`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
 */
export function matchesEtag(ifNoneMatch: string, digest: string): boolean {
  return ifNoneMatch.split(',').some((part) => {
    const tag = part.trim()
    return tag === '*' || tag.replace(/^W\//, '').replace(/^"(.*)"$/, '$1') === digest
  })
}
