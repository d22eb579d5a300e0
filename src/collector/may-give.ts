import type { HeldRecords } from '../content/content.ts'
import { proofOfLink } from '../content/proof.ts'
import type { Digest } from '../oci/digest.ts'
import type { LinkRecord } from '../streams/records.ts'

/**
 * Whether held bytes may be given out through a link. One through which they may not neither keeps them nor is asked for them:
 * whoever merely names what others hold would be told of it by that (I5).
 */
export type MayGive = (digest: Digest, link: Pick<LinkRecord, 'locations'>) => Promise<boolean>

export function createMayGive(records: Pick<HeldRecords, 'find'>): MayGive {
  return async (digest, { locations }) => (await records.find(digest, proofOfLink({ locations }))) !== undefined
}
