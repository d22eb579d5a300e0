import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { createImages } from './images.ts'
import {
  decode,
  digestOfLink,
  digestOfReferrer,
  lifeKey,
  linkKey,
  linksRange,
  referrerKey,
  referrersRange,
} from './keys.ts'
import { isLatelyRenewed, isLost, mergedLinks, revivedLink, saidOf, streamLink, withLink } from './link-records.ts'
import { type LinkStep, writeLinks } from './link-steps.ts'
import type { ProjectUse } from './project-use.ts'
import type { LifeRecord, LinkRecord, ReferrerRecord } from './records.ts'
import { createReferrerRecords, keptFacts } from './referrer-records.ts'
import type { Links, StreamLink } from './streams.ts'
import { createTurns } from './turns.ts'

/** Most of what refers to an image that is taken along with it. */
const maxReferrers = 1000

export interface LinksOptions {
  store: Store
  now: () => number
  /** Counts what projects use; default: nobody does. */
  use?: ProjectUse
}

/** Reads and writes what streams may have of which digest, and what is known of images. */
export function createLinks({ store, now, use }: LinksOptions): Links {
  const inTurn = createTurns()
  const images = createImages({ store })
  const referrers = createReferrerRecords({ store, now })

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

  async function write(name: StreamName, uid: string, steps: readonly LinkStep[]): Promise<void> {
    if (use === undefined) return writeLinks(store, inTurn, name, uid, steps)
    const linked = new Map<Digest, LinkRecord>()
    const told = steps.map((step) => ({
      ...step,
      next(...from: Parameters<LinkStep['next']>) {
        const record = step.next(...from)
        if (record !== undefined) linked.set(step.digest, record)
        return record
      },
    }))
    try {
      await writeLinks(store, inTurn, name, uid, told)
    } finally {
      // Of those that could not be written some may be there.
      use.linked(name, linked)
    }
  }

  /** A stream's records of digests, of all that they are known to name and of what refers to those, as far as `counts`; in this order. */
  async function closure(
    name: StreamName,
    digests: readonly Digest[],
    counts: (record: LinkRecord) => boolean,
  ): Promise<Map<Digest, LinkRecord>> {
    const found = new Map<Digest, LinkRecord>()
    const queue = new Set(digests)
    let left = maxReferrers
    for (const next of queue) {
      const linked = await record(name, next)
      if (linked === undefined || !counts(linked)) continue
      found.set(next, linked)
      for (const named of await namedBy(next, linked)) queue.add(named)
      if (!linked.received) continue
      const referring = await referringTo(name, next, left)
      left -= referring.length
      for (const each of referring) queue.add(each)
    }
    return found
  }

  async function referringTo(name: StreamName, digest: Digest, limit: number): Promise<Digest[]> {
    const found: Digest[] = []
    if (limit <= 0) return found
    for await (const { key } of await store.range({ ...referrersRange(name, digest), limit }))
      found.push(digestOfReferrer(key))
    const tags = await referrers.fallbacks(name, { of: digest, limit: limit - found.length })
    return [...found, ...tags.map(({ image }) => image)]
  }

  /** What is kept of what a manifest of the stream tells of its subject. */
  async function factsOf(name: StreamName, digest: Digest, { subject }: LinkRecord): Promise<LinkStep['referrer']> {
    const entry = subject && (await store.get(referrerKey(name, subject, digest)))
    if (entry === undefined) return undefined
    const { artifactType, annotations, isCut } = decode<ReferrerRecord>(entry)
    return {
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(annotations === undefined ? {} : { annotations }),
      ...(isCut && { isCut }),
    }
  }

  /** Whoever has an image has what the tags derived from its digest stand at; what was pushed there stays. */
  async function copyFallbacks(
    from: StreamName,
    to: StreamName & { uid: string },
    images: Iterable<Digest>,
  ): Promise<void> {
    for (const image of images) {
      for (const { at: _, ...tag } of await referrers.fallbacks(from, { of: image, limit: maxReferrers })) {
        if ((await referrers.fallback(to, tag.tag)) === undefined) await referrers.putFallback(to, tag)
      }
    }
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
    async add(name, uid, links, { isReliedOn = false, whileThere } = {}) {
      const steps = [...mergedLinks(links)].map(
        ([digest, { referrer, ...link }]): LinkStep => ({
          digest,
          next: (stored, living) => {
            if (digest === whileThere && stored?.uid !== living.uid) return undefined
            const said = { ...link, ...(referrer && { subject: referrer.subject }) }
            return withLink(stored, said, living, { nowMs: now(), isReliedOn })
          },
          referrer: referrer && keptFacts(referrer),
        }),
      )
      await write(name, uid, steps)
    },
    async revive(name, digest) {
      const living = await life(name)
      if (living === undefined) return undefined
      const lost = await closure(name, [digest], (found) => isLost(found, living))
      // The one asked for comes last: once it is there, so is all it names.
      const steps = await Promise.all(
        [...lost].reverse().map(
          async ([each, record]): Promise<LinkStep> => ({
            digest: each,
            next: (stored, to) => revivedLink(stored, to, now()),
            referrer: await factsOf(name, each, record),
          }),
        ),
      )
      await write(name, living.uid, steps)
      return get(name, digest)
    },
    async requireRoom(from, project, digest) {
      const living = from.project === project ? undefined : await life(from)
      if (living === undefined || use === undefined) return
      const copied = await closure(from, [digest], (found) => found.uid === living.uid)
      const release = await use.reserveLinks(project, copied)
      release()
    },
    async renew(stream, digests) {
      const nowMs = now()
      const linked = await closure(stream, digests, (found) => found.uid === stream.uid)
      const steps: LinkStep[] = []
      for (const [digest, record] of [...linked].reverse()) {
        if (isLatelyRenewed(record, nowMs)) continue
        const said = saidOf(record)
        steps.push({
          digest,
          next: (stored, life) => withLink(stored, said, life, { nowMs, isReliedOn: true }),
          referrer: await factsOf(stream, digest, record),
        })
      }
      await write(stream, stream.uid, steps)
    },
    async copy(from, to, digest) {
      const living = await life(from)
      if (living === undefined) return undefined
      const copied = await closure(from, [digest], (found) => found.uid === living.uid)
      if (copied.size === 0) return undefined
      const steps = await Promise.all(
        [...copied].reverse().map(async ([each, linked]): Promise<LinkStep> => {
          const said = saidOf(linked)
          return {
            digest: each,
            next: (stored, life) => withLink(stored, said, life, { nowMs: now(), isReliedOn: true }),
            referrer: await factsOf(from, each, linked),
          }
        }),
      )
      const isMore = from.project !== to.project
      const release = isMore ? await use?.reserveLinks(to.project, copied) : undefined
      await write(to, to.uid, steps).finally(() => release?.())
      const isElsewhere = isMore || from.stream !== to.stream
      if (isElsewhere) await copyFallbacks(from, to, received(copied))
      return get(to, digest)
    },
  }
}

/** The manifests among links. */
function received(links: ReadonlyMap<Digest, LinkRecord>): Digest[] {
  return [...links].flatMap(([digest, record]) => (record.received ? [digest] : []))
}
