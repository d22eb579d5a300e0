import type { UpstreamLocation } from '../content/content.ts'
import { upstreamsOf } from '../content/locations.ts'
import { proofOf } from '../content/proof.ts'
import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { allLinksRange, decode, digestOfLink, lifeKey, streamOfKey } from '../streams/keys.ts'
import type { LifeRecord, LinkRecord } from '../streams/records.ts'
import type { MayGive, ProvenBy } from './may-give.ts'

/** Where streams can have bytes again: the ways of each are its own. */
export interface Place {
  /** One of the streams with these locations. */
  stream: StreamName
  /** Those that gave the bytes. */
  locations: readonly UpstreamLocation[]
  /** Those that a manifest names besides. */
  unproven: readonly UpstreamLocation[]
}

export type Places = ReadonlyMap<Digest, readonly Place[] | 'many'>

/** Of how many places a digest may be had, so that all are asked. */
const maxPlaces = 64

/**
 * The places of all living streams that may give out these digests, each once; `many` for a digest that has too many to ask. One
 * that no upstream gave to a stream is left out: it could not be had again by everyone who can have it now. What a stream has left
 * of an earlier one counts too: its ledger may lead there.
 */
export async function placesOf(
  store: Pick<Store, 'get' | 'range'>,
  digests: ReadonlySet<Digest>,
  { mayGive, provenBy }: { mayGive: MayGive; provenBy: ProvenBy },
): Promise<Places> {
  const places = new Map<Digest, Map<Ways, Place>>()
  const left = new Set<Digest>()
  const waysByKey = new Map<string, Ways>()
  let last: { path: string; stream: StreamName; life: LifeRecord | undefined } | undefined
  for await (const { key, value, revision } of await store.range(allLinksRange())) {
    const digest = digestOfLink(key)
    if (!digests.has(digest) || left.has(digest)) continue
    const stream = streamOfKey(key)
    const path = lifeKey(stream)
    if (last?.path !== path) last = { path, stream, life: await lifeOf(path) }
    const link = decode<LinkRecord>({ key, value, revision })
    if (last.life === undefined || link.projectUid !== last.life.projectUid) continue
    const ways = waysOf(link)
    const known = places.get(digest) ?? new Map<Ways, Place>()
    const isTold = known.has(ways) || (known.size > maxPlaces && ways.length > 0)
    if (isTold || !(await mayGive(digest, link))) continue
    const locations = await provenBy(digest, { locations: ways })
    const unproven = ways.filter((each) => !locations.includes(each))
    places.set(digest, known.set(ways, { stream: last.stream, locations, unproven }))
    if (locations.length > 0) continue
    places.delete(digest)
    left.add(digest)
  }
  return new Map([...places].map(([digest, known]) => [digest, known.size > maxPlaces ? 'many' : [...known.values()]]))

  async function lifeOf(path: string): Promise<LifeRecord | undefined> {
    const entry = await store.get(path)
    return entry && decode<LifeRecord>(entry)
  }

  /** The same for the same locations, in whatever order they are. */
  function waysOf(link: LinkRecord): Ways {
    const upstreams = upstreamsOf(link)
    const key = proofOf(upstreams).join()
    const ways = waysByKey.get(key) ?? upstreams
    waysByKey.set(key, ways)
    return ways
  }
}

/** One object for all streams with these locations. */
type Ways = readonly UpstreamLocation[]
