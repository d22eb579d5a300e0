import type { HeldRecords, Link, UpstreamLocation } from '../content/content.ts'
import { upstreamsOf } from '../content/locations.ts'
import { locationKey, proofOf, proofOfLink } from '../content/proof.ts'
import type { Digest } from '../oci/digest.ts'

/**
 * Whether held bytes may be given out through a link. One through which they may not neither keeps them nor is asked for them:
 * whoever merely names what others hold would be told of it by that (I5).
 */
export type MayGive = (digest: Digest, link: Pick<Link, 'locations'>) => Promise<boolean>

/**
 * Which upstreams of a link gave the bytes whole, alone or together. Others came with a manifest that merely names them: what
 * such a one says of them proves nothing.
 */
export type ProvenBy = (digest: Digest, link: Pick<Link, 'locations'>) => Promise<UpstreamLocation[]>

export function createMayGive(records: Pick<HeldRecords, 'find'>): MayGive {
  return async (digest, { locations }) => (await records.find(digest, proofOfLink({ locations }))) !== undefined
}

export function createProvenBy(records: Pick<HeldRecords, 'find' | 'get'>): ProvenBy {
  return async (digest, link) => {
    const upstreams = upstreamsOf(link)
    const alone: UpstreamLocation[] = []
    for (const each of upstreams) {
      if ((await records.find(digest, { through: proofOf([each]), isHere: false })) !== undefined) alone.push(each)
    }
    if (alone.length > 0 || upstreams.length < 2) return alone
    const own = new Set(upstreams.map(locationKey))
    const proofs = (await records.get(digest))?.proofs ?? []
    const together = new Set(proofs.filter((proof) => proof.every((key) => own.has(key))).flat())
    return upstreams.filter((each) => together.has(locationKey(each)))
  }
}
