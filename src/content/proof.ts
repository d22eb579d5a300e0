import { createHash } from 'node:crypto'
import type { Link, Proof, UpstreamLocation } from './content.ts'
import { upstreamsOf } from './locations.ts'

/** Names a location in a proof. Another project's credential may fetch other things there: it is part of the location. */
export function locationKey({ host, repository, project, projectUid }: UpstreamLocation): string {
  return createHash('sha256')
    .update(JSON.stringify([host, repository, project, ...(projectUid === undefined ? [] : [projectUid])]))
    .digest('hex')
}

/** What it proves that these locations together gave the bytes whole; of none: that they are `here` alone. */
export function proofOf(locations: Iterable<UpstreamLocation>): Proof {
  return [...new Set([...locations].map(locationKey))].sort()
}

/** The most that a link may show to be given held bytes. */
export function proofOfLink(link: Pick<Link, 'locations'>): { through: Proof; isHere: boolean } {
  return { through: proofOf(upstreamsOf(link)), isHere: link.locations.some(({ kind }) => kind === 'here') }
}
