/** The answer to a manifest request, the same from the router and from the warm path. */
import type { ServedManifest } from '../pull-through.ts'

/** Status and headers, flat: name, value, name, value. */
export interface ManifestHead {
  status: 200 | 304
  headers: string[]
}

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests */
export function manifestHead(served: ServedManifest, ifNoneMatch: string | undefined): ManifestHead {
  const { digest, pin } = served
  const etag = `"${digest}"`
  const headers =
    ifNoneMatch !== undefined && matchesEtag(ifNoneMatch, digest)
      ? ['Docker-Content-Digest', digest, 'ETag', etag]
      : [
          'Content-Type',
          served.mediaType,
          'Content-Length',
          String(served.size),
          'Docker-Content-Digest',
          digest,
          'ETag',
          etag,
        ]
  if (pin !== undefined) {
    headers.push('Weir-Revision', String(pin.revision))
    if (pin.condition !== undefined)
      headers.push(
        'Warning',
        // Who may pull need not be told where from, and with which login, an import was tried: the API says that.
        `299 - "served from the pin: the newest import failed (${pin.condition.reason}) at ${pin.condition.lastTransitionTime}"`,
      )
  }
  return { status: headers[0] === 'Content-Type' ? 200 : 304, headers }
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
