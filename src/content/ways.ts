import { digestHex, digestOf } from '../oci/digest.ts'
import type { Link, UpstreamLocation } from './content.ts'
import { upstreamsOf } from './locations.ts'
import { locationKey, proofOf } from './proof.ts'

/** What tells locations from one another. */
export function keysOf(locations: Iterable<UpstreamLocation>): ReadonlySet<string> {
  return new Set([...locations].map(locationKey))
}

/** Whether a link has all locations of these keys: who has it may have what came from them (I5). */
export function mayGo(link: Pick<Link, 'locations'>, keys: ReadonlySet<string>): boolean {
  const own = keysOf(upstreamsOf(link))
  return [...keys].every((key) => own.has(key))
}

/** Tells ways to a blob from one another: who may go one of them may read what another process gets on it. */
export function wayOf(locations: readonly UpstreamLocation[], size: number): string {
  return digestHex(digestOf(JSON.stringify([size, ...proofOf(locations)]))).slice(0, 40)
}
