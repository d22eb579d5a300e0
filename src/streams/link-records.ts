import { isDeepStrictEqual } from 'node:util'
import type { Location } from '../content/content.ts'
import { locationKey } from '../content/proof.ts'
import type { Digest } from '../oci/digest.ts'
import { isManifestType } from '../oci/media-types.ts'
import { formatTime } from './events.ts'
import type { LifeRecord, LinkRecord } from './records.ts'
import type { NewLink, StreamLink } from './streams.ts'

/** The rules of what a link's record comes to. Pure. */

/** What a link is to say besides what it says; of a copied one also what was said of it elsewhere. */
export type Said = Omit<NewLink, 'digest' | 'referrer'> & Pick<LinkRecord, 'otherType' | 'disputed' | 'subject'>

/** Links of one digest are one: a key occurs once in a commit. */
export function mergedLinks(links: readonly NewLink[]): Map<Digest, NewLink> {
  const byDigest = new Map<Digest, NewLink>()
  for (const link of links) {
    const other = byDigest.get(link.digest)
    const locations = union(other?.locations ?? [], link.locations)
    const measured = measuredOf(other, link)
    byDigest.set(link.digest, { ...(other?.received ? other : link), ...measured, locations })
  }
  return byDigest
}

/** How old a link may be that somebody relies on before it is written anew. */
const renewAfterMs = 3_600_000

/**
 * The record of a link that is added to one stream; undefined when it says all that already. `isReliedOn` is for whoever is
 * about to move a tag to what it leads to: it counts as young afterwards, see {@link youngSince}.
 */
export function withLink(
  stored: LinkRecord | undefined,
  link: Said,
  life: LifeRecord,
  { nowMs, isReliedOn = false }: { nowMs: number; isReliedOn?: boolean },
): LinkRecord | undefined {
  const before = stored?.uid === life.uid ? stored : undefined
  const isRenewed = isReliedOn && before !== undefined && !isLatelyRenewed(before, nowMs)
  const renewedAt = isRenewed ? formatTime(nowMs) : before?.renewedAt
  const record: LinkRecord = {
    uid: life.uid,
    projectUid: life.projectUid,
    ...told(before, link),
    locations: union(before?.locations ?? [], link.locations),
    createdAt: before?.createdAt ?? formatTime(nowMs),
    ...(renewedAt === undefined ? {} : { renewedAt }),
  }
  return isDeepStrictEqual(record, before) ? undefined : record
}

/**
 * When somebody last needed a link that nothing else may lead to yet, in milliseconds since the epoch. It is not removed
 * before a day is over: a tag that moves relies on links that were made or renewed just before.
 */
export function youngSince({ createdAt, renewedAt }: Pick<LinkRecord, 'createdAt' | 'renewedAt'>): number {
  return Math.max(Date.parse(createdAt), renewedAt === undefined ? 0 : Date.parse(renewedAt))
}

/** Whether it is so young that whoever relies on it need not write it anew. */
export function isLatelyRenewed(record: Pick<LinkRecord, 'createdAt' | 'renewedAt'>, nowMs: number): boolean {
  return youngSince(record) >= nowMs - renewAfterMs
}

type Told = Omit<LinkRecord, 'uid' | 'projectUid' | 'locations' | 'createdAt' | 'renewedAt'>

/**
 * What is known of a digest with one more link to it. A manifest that was received tells for good, and so does a size that was
 * measured; the others may come from any upstream behind any tag of the stream, and a lie of one must not break the image of another.
 */
function told(before: LinkRecord | undefined, link: Said): Told {
  const types = [before?.mediaType, before?.otherType, link.mediaType, link.otherType].filter(
    (type) => type !== undefined,
  )
  const facts = before?.received ? before : link.received ? link : undefined
  const mediaType = facts?.mediaType ?? before?.mediaType ?? link.mediaType
  const otherType = types.find((type) => isManifestType(type) !== isManifestType(mediaType))
  const other = otherType === undefined ? {} : { otherType }
  if (facts !== undefined) {
    const { size, children } = facts
    const subject = facts.subject ?? (link.received ? link.subject : undefined)
    return {
      mediaType,
      ...(size === undefined ? {} : { size }),
      ...(children === undefined ? {} : { children: [...children] }),
      ...(subject === undefined ? {} : { subject }),
      received: true,
      ...other,
    }
  }
  const measured = measuredOf(before, link)
  if (measured !== undefined) return { mediaType, ...measured, ...other }
  const sizes = new Set([before?.size, link.size].filter((size) => size !== undefined))
  const [size] = sizes
  const disputed = before?.disputed === true || link.disputed === true || sizes.size > 1
  return { mediaType, ...(disputed ? { disputed } : size === undefined ? {} : { size }), ...other }
}

/** The size of which the bytes were there, whoever else says what: the digest is theirs, so that it can not change. */
function measuredOf(
  ...links: ((Pick<LinkRecord, 'measured'> & { size?: number | undefined }) | undefined)[]
): { size: number; measured: true } | undefined {
  const size = links.find((link) => link?.measured)?.size
  return size === undefined ? undefined : { size, measured: true }
}

/** A link of an earlier stream, given to the one that lives: only its project had the right to it. */
export function revivedLink(stored: LinkRecord | undefined, life: LifeRecord, nowMs: number): LinkRecord | undefined {
  if (stored === undefined || !isLost(stored, life)) return undefined
  return { ...stored, uid: life.uid, createdAt: formatTime(nowMs) }
}

/** Whether a record is of an earlier stream of the same project. */
export function isLost(record: LinkRecord, life: LifeRecord): boolean {
  return record.uid !== life.uid && record.projectUid === life.projectUid
}

/** A location of a project that was made anew is another: what the one before could log in to is not its. */
function union(locations: readonly Location[], more: readonly Location[]): Location[] {
  const all = new Map<string, Location>()
  for (const location of [...locations, ...more]) {
    const id = location.kind === 'here' ? '' : locationKey(location)
    if (!all.has(id)) all.set(id, location)
  }
  return [...all.values()]
}

/** A record as others read it. */
export function streamLink(digest: Digest, record: LinkRecord): StreamLink {
  const { mediaType, otherType, size, measured, locations, children = [], subject, received = false } = record
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
    createdAt: record.createdAt,
    ...(subject === undefined ? {} : { subject }),
    ...(measured === undefined ? {} : { measured }),
  }
}

/** What a record says, to be said of another stream's. */
export function saidOf(record: LinkRecord): Said {
  const { mediaType, otherType, size, measured, disputed, locations, children, subject, received } = record
  return {
    mediaType,
    size,
    locations,
    ...(otherType === undefined ? {} : { otherType }),
    ...(measured === undefined ? {} : { measured }),
    ...(disputed === undefined ? {} : { disputed }),
    ...(children === undefined ? {} : { children }),
    ...(subject === undefined ? {} : { subject }),
    ...(received === undefined ? {} : { received }),
  }
}
