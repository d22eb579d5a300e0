import type { UpstreamLocation } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { allLinksRange, decode, digestOfLink, lifeKey, streamOfKey } from '../streams/keys.ts'
import type { LifeRecord, LinkRecord } from '../streams/records.ts'

/** Where streams can have bytes again: the ways of each are its own. */
export interface Place {
  /** One of the streams with these locations. */
  stream: StreamName
  locations: readonly UpstreamLocation[]
}

/** Of how many places a digest may be had, so that all can be asked. */
const maxPlaces = 8

/**
 * The places of all living streams that have links to these digests, each once. A digest that has too many, or one with no
 * upstream, is left out: it could not be had again by everyone who can have it now.
 */
export async function placesOf(
  store: Pick<Store, 'get' | 'range'>,
  digests: ReadonlySet<Digest>,
): Promise<ReadonlyMap<Digest, readonly Place[]>> {
  const places = new Map<Digest, Map<string, Place>>()
  const left = new Set<Digest>()
  let last: { path: string; uid: string | undefined } | undefined
  for await (const { key, value, revision } of await store.range(allLinksRange())) {
    const digest = digestOfLink(key)
    if (!digests.has(digest) || left.has(digest)) continue
    const stream = streamOfKey(key)
    const path = lifeKey(stream)
    if (last?.path !== path) last = { path, uid: await uidOf(path) }
    const { uid, locations } = decode<LinkRecord>({ key, value, revision })
    if (uid !== last.uid) continue
    const upstreams = locations.filter((location) => location.kind === 'upstream')
    const known = places.get(digest) ?? new Map<string, Place>()
    places.set(digest, known.set(JSON.stringify(upstreams), { stream, locations: upstreams }))
    if (upstreams.length > 0 && known.size <= maxPlaces) continue
    places.delete(digest)
    left.add(digest)
  }
  return new Map([...places].map(([digest, known]) => [digest, [...known.values()]]))

  async function uidOf(path: string): Promise<string | undefined> {
    const entry = await store.get(path)
    return entry && decode<LifeRecord>(entry).uid
  }
}
