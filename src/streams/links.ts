import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { createImages } from './images.ts'
import { decode, digestOfLink, lifeKey, linkKey, linksRange } from './keys.ts'
import { isLost, mergedLinks, revivedLink, saidOf, streamLink, withLink } from './link-records.ts'
import { type LinkStep, writeLinks } from './link-steps.ts'
import type { LifeRecord, LinkRecord } from './records.ts'
import type { Links, StreamLink } from './streams.ts'
import { createTurns } from './turns.ts'

/** Reads and writes what streams may have of which digest, and what is known of images. */
export function createLinks({ store, now }: { store: Store; now: () => number }): Links {
  const inTurn = createTurns()
  const images = createImages({ store })

  async function life(name: StreamName): Promise<LifeRecord | undefined> {
    const entry = await store.get(lifeKey(name))
    return entry && decode<LifeRecord>(entry)
  }

  async function record(name: StreamName, digest: Digest): Promise<LinkRecord | undefined> {
    const entry = await store.get(linkKey(name, digest))
    return entry && decode<LinkRecord>(entry)
  }

  async function get(name: StreamName, digest: Digest): Promise<StreamLink | undefined> {
    const [living, found] = await Promise.all([life(name), record(name, digest)])
    return living !== undefined && found?.uid === living.uid ? streamLink(digest, found) : undefined
  }

  /** A stream's records of a digest and of all that it is known to name, as far as `counts`; what is named comes after. */
  async function closure(
    name: StreamName,
    digest: Digest,
    counts: (record: LinkRecord) => boolean,
  ): Promise<Map<Digest, LinkRecord>> {
    const found = new Map<Digest, LinkRecord>()
    const queue = new Set([digest])
    for (const next of queue) {
      const linked = await record(name, next)
      if (linked === undefined || !counts(linked)) continue
      found.set(next, linked)
      for (const named of await namedBy(next, linked)) queue.add(named)
    }
    return found
  }

  async function namedBy(digest: Digest, linked: LinkRecord): Promise<Digest[]> {
    const known = await images.image(digest, streamLink(digest, linked).manifestType ?? linked.mediaType)
    const parts = [...(known?.manifests ?? []), ...(known?.layers ?? []), ...(known?.config ? [known.config] : [])]
    return [...(linked.children ?? []), ...parts.map((part) => part.digest)]
  }

  return {
    ...images,
    get,
    async list(name, { prefix = '', after, limit = Number.POSITIVE_INFINITY } = {}) {
      const living = await life(name)
      const links: StreamLink[] = []
      if (living === undefined || limit <= 0) return links
      for await (const entry of await store.range(linksRange(name, prefix, after))) {
        const found = decode<LinkRecord>(entry)
        if (found.uid === living.uid && links.push(streamLink(digestOfLink(entry.key), found)) >= limit) break
      }
      return links
    },
    async add(name, uid, links, { isReliedOn = false } = {}) {
      const steps = [...mergedLinks(links)].map(
        ([digest, link]): LinkStep => ({
          digest,
          next: (stored, living) => withLink(stored, link, living, { nowMs: now(), isReliedOn }),
        }),
      )
      await writeLinks(store, inTurn, name, uid, steps)
    },
    async revive(name, digest) {
      const living = await life(name)
      if (living === undefined) return undefined
      const lost = await closure(name, digest, (found) => isLost(found, living))
      // The one asked for comes last: once it is there, so is all it names.
      const steps = [...lost.keys()]
        .reverse()
        .map((each): LinkStep => ({ digest: each, next: (stored, to) => revivedLink(stored, to, now()) }))
      await writeLinks(store, inTurn, name, living.uid, steps)
      return get(name, digest)
    },
    async copy(from, to, digest) {
      const living = await life(from)
      if (living === undefined) return undefined
      const copied = await closure(from, digest, (found) => found.uid === living.uid)
      if (copied.size === 0) return undefined
      const steps = [...copied].reverse().map(([each, linked]): LinkStep => {
        const said = saidOf(linked)
        return {
          digest: each,
          next: (stored, life) => withLink(stored, said, life, { nowMs: now(), isReliedOn: true }),
        }
      })
      await writeLinks(store, inTurn, to, to.uid, steps)
      return get(to, digest)
    },
  }
}
