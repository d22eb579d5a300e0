import { isDeepStrictEqual } from 'node:util'
import type { Location } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { isManifestType } from '../oci/media-types.ts'
import type { StreamName } from '../oci/reference.ts'
import { commitLimits, type Entry, type Operation, type Precondition, type Store } from '../store/store.ts'
import { formatTime } from './events.ts'
import { decode, encode, imageKey, lifeKey, linkKey } from './keys.ts'
import { streamNotFound } from './lives.ts'
import type { ImageRecord, LifeRecord, LinkRecord } from './records.ts'
import type { Links, NewLink, StreamLink } from './streams.ts'
import { createTurns, type InTurn } from './turns.ts'

/** A link's key and the record it should come to, made from what is there; undefined leaves it as it is. */
interface Step {
  key: string
  next: (stored: LinkRecord | undefined, life: LifeRecord) => LinkRecord | undefined
}

const maxAttempts = 20
/** The stream's life is a precondition besides those of the links. */
const maxStepLinks = commitLimits.maxOperations - 1
/** Leaves room for what the engine adds to a commit. */
const maxStepBytes = commitLimits.maxBytes / 2

/** Reads and writes what streams may have of which digest, and what is known of images. */
export function createLinks({ store, now }: { store: Store; now: () => number }): Links {
  const inTurn = createTurns()

  async function life(name: StreamName): Promise<LifeRecord | undefined> {
    const entry = await store.get(lifeKey(name))
    return entry && decode<LifeRecord>(entry)
  }

  async function get(name: StreamName, digest: Digest): Promise<StreamLink | undefined> {
    const [living, entry] = await Promise.all([life(name), store.get(linkKey(name, digest))])
    if (living === undefined || entry === undefined) return undefined
    const record = decode<LinkRecord>(entry)
    return record.uid === living.uid ? streamLink(digest, record) : undefined
  }

  async function image(digest: Digest, mediaType: string): Promise<ImageRecord | undefined> {
    const entry = await store.get(imageKey(digest, mediaType))
    return entry && decode<ImageRecord>(entry)
  }

  return {
    get,
    image,
    list: () => Promise.reject(new TypeError('not there yet')),
    copy: () => Promise.reject(new TypeError('not there yet')),
    images: () => Promise.reject(new TypeError('not there yet')),
    knownImage: () => Promise.reject(new TypeError('not there yet')),
    async add(name, uid, links) {
      const steps = [...merged(links)].map(([digest, link]): Step => {
        return { key: linkKey(name, digest), next: (stored, living) => withLink(stored, link, living, now()) }
      })
      await write(store, inTurn, name, uid, steps)
    },
    async revive(name, digest) {
      const living = await life(name)
      if (living === undefined) return undefined
      const found = await lostLinks(store, name, digest, living, image)
      // The one asked for comes last: once it is there, so is all it names.
      const steps = found.reverse().map((key): Step => ({ key, next: (stored, to) => revived(stored, to, now()) }))
      await write(store, inTurn, name, living.uid, steps)
      return get(name, digest)
    },
    async putImage(digest, record) {
      const key = imageKey(digest, record.mediaType)
      const result = await store.commit({ operations: [{ type: 'put', key, value: encode(record) }] })
      if (result.status !== 'unknown') return
      if ((await store.get(key)) === undefined) throw unavailable(`image ${digest}`, result.cause)
    },
  }
}

/** Writes links in steps. A step that lost a race is made anew, and waits for its turn from then on. */
async function write(
  store: Store,
  inTurn: InTurn,
  name: StreamName,
  uid: string,
  steps: readonly Step[],
): Promise<void> {
  for (let done = 0; done < steps.length; ) {
    const batch = steps.slice(done, done + maxStepLinks)
    done += (await writeStep(store, name, uid, batch)) ?? (await inTurn(lifeKey(name), () => again(batch)))
  }

  async function again(batch: readonly Step[]): Promise<number> {
    for (let attempt = 1; attempt < maxAttempts; attempt++) {
      const taken = await writeStep(store, name, uid, batch)
      if (taken !== undefined) return taken
    }
    throw unavailable(`links of ${name.project}/${name.stream}`)
  }
}

/**
 * Writes as many of `batch` as one commit takes, conditioned on the stream's life and on the links as read. After a
 * conflict or a lost answer, reading again shows which are still missing.
 *
 * @returns how many are written; undefined when it has to be tried again
 */
async function writeStep(
  store: Store,
  name: StreamName,
  uid: string,
  batch: readonly Step[],
): Promise<number | undefined> {
  const lifeEntry = await store.get(lifeKey(name))
  const living = lifeEntry && decode<LifeRecord>(lifeEntry)
  if (lifeEntry === undefined || living?.uid !== uid) throw streamNotFound('NAME_UNKNOWN', name)
  const stored = await Promise.all(batch.map(({ key }) => store.get(key)))
  const { operations, preconditions, taken } = pack(batch, stored, living)
  if (operations.length === 0) return taken
  preconditions.push({ key: lifeKey(name), revision: lifeEntry.revision })
  const result = await store.commit({ operations, preconditions })
  return result.status === 'committed' ? taken : undefined
}

/** As many steps as one commit can hold; steps that change nothing cost nothing. */
function pack(
  batch: readonly Step[],
  stored: readonly (Entry | undefined)[],
  life: LifeRecord,
): { operations: Operation[]; preconditions: Precondition[]; taken: number } {
  const operations: Operation[] = []
  const preconditions: Precondition[] = []
  let bytes = 0
  for (const [i, { key, next }] of batch.entries()) {
    const entry = stored[i]
    const record = next(entry && decode<LinkRecord>(entry), life)
    if (record === undefined) continue
    const value = encode(record)
    bytes += key.length + Buffer.byteLength(value)
    if (bytes > maxStepBytes && operations.length > 0) return { operations, preconditions, taken: i }
    operations.push({ type: 'put', key, value })
    preconditions.push({ key, revision: entry?.revision ?? 0 })
  }
  return { operations, preconditions, taken: batch.length }
}

/** Links of one digest are one: a key occurs once in a commit. */
function merged(links: readonly NewLink[]): Map<Digest, NewLink> {
  const byDigest = new Map<Digest, NewLink>()
  for (const link of links) {
    const other = byDigest.get(link.digest)
    const locations = union(other?.locations ?? [], link.locations)
    byDigest.set(link.digest, { ...(other?.received ? other : link), locations })
  }
  return byDigest
}

function withLink(
  stored: LinkRecord | undefined,
  link: NewLink,
  life: LifeRecord,
  nowMs: number,
): LinkRecord | undefined {
  const before = stored?.uid === life.uid ? stored : undefined
  const record: LinkRecord = {
    uid: life.uid,
    projectUid: life.projectUid,
    ...told(before, link),
    locations: union(before?.locations ?? [], link.locations),
    createdAt: before?.createdAt ?? formatTime(nowMs),
  }
  return isDeepStrictEqual(record, before) ? undefined : record
}

type Told = Pick<LinkRecord, 'mediaType' | 'size' | 'children' | 'received' | 'disputed' | 'otherType'>

/**
 * What is known of a digest with one more link to it. A manifest that was received tells for good; the others may come
 * from any upstream behind any tag of the stream, and a lie of one must not break the image of another.
 */
function told(before: LinkRecord | undefined, link: NewLink): Told {
  const types = [before?.mediaType, before?.otherType, link.mediaType].filter((type) => type !== undefined)
  const facts = before?.received ? before : link.received ? link : undefined
  const mediaType = facts?.mediaType ?? before?.mediaType ?? link.mediaType
  const otherType = types.find((type) => isManifestType(type) !== isManifestType(mediaType))
  const other = otherType === undefined ? {} : { otherType }
  if (facts !== undefined) {
    const { size, children } = facts
    return {
      mediaType,
      ...(size === undefined ? {} : { size }),
      ...(children === undefined ? {} : { children: [...children] }),
      received: true,
      ...other,
    }
  }
  const sizes = new Set([before?.size, link.size].filter((size) => size !== undefined))
  const [size] = sizes
  const disputed = before?.disputed === true || sizes.size > 1
  return { mediaType, ...(disputed ? { disputed } : size === undefined ? {} : { size }), ...other }
}

/** A link of an earlier stream, given to the one that lives: only its project had the right to it. */
function revived(stored: LinkRecord | undefined, life: LifeRecord, nowMs: number): LinkRecord | undefined {
  if (stored === undefined || !isLost(stored, life)) return undefined
  return { ...stored, uid: life.uid, createdAt: formatTime(nowMs) }
}

function isLost(record: LinkRecord, life: LifeRecord): boolean {
  return record.uid !== life.uid && record.projectUid === life.projectUid
}

/** The keys of an earlier stream's links of a digest and of what it names, the digest's own first. */
async function lostLinks(
  store: Store,
  name: StreamName,
  digest: Digest,
  life: LifeRecord,
  image: Links['image'],
): Promise<string[]> {
  const keys: string[] = []
  const queue = new Set([digest])
  for (const next of queue) {
    const entry = await store.get(linkKey(name, next))
    const record = entry && decode<LinkRecord>(entry)
    if (record === undefined || !isLost(record, life)) continue
    keys.push(linkKey(name, next))
    const known = await image(next, record.mediaType)
    const parts = [...(known?.manifests ?? []), ...(known?.layers ?? []), ...(known?.config ? [known.config] : [])]
    for (const named of [...(record.children ?? []), ...parts.map((part) => part.digest)]) queue.add(named)
  }
  return keys
}

function union(locations: readonly Location[], more: readonly Location[]): Location[] {
  const all = new Map<string, Location>()
  for (const location of [...locations, ...more]) {
    const id = location.kind === 'here' ? '' : `${location.host} ${location.repository} ${location.project}`
    if (!all.has(id)) all.set(id, location)
  }
  return [...all.values()]
}

function streamLink(digest: Digest, record: LinkRecord): StreamLink {
  const { mediaType, otherType, size, locations, children = [], received = false } = record
  const types = otherType === undefined ? [mediaType] : [mediaType, otherType]
  return {
    digest,
    mediaType,
    size,
    locations,
    children,
    received,
    manifestType: types.find(isManifestType),
    isBlob: !types.every(isManifestType),
  }
}

function unavailable(what: string, cause?: unknown): RegistryError {
  return new RegistryError('UNAVAILABLE', {
    message: `${what} could not be written, the store was changed too often or failed; try again`,
    retryAfterSeconds: 1,
    cause,
  })
}
