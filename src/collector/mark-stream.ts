import type { Digest } from '../oci/digest.ts'
import { isManifestType } from '../oci/media-types.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Entry, Store } from '../store/store.ts'
import { type ContentPolicy, contentPolicy } from '../streams/content-policy.ts'
import {
  decode,
  digestOfLink,
  lifeKey,
  projectKey,
  streamObjectKey,
  tagOfKey,
  tagOfLedgerKey,
} from '../streams/keys.ts'
import { youngSince } from '../streams/link-records.ts'
import { projectOf } from '../streams/open-project.ts'
import type { LedgerEntry, LifeRecord, LinkRecord, TagRecord } from '../streams/records.ts'
import { createHistoryKeep } from './history-keep.ts'
import { type HeldMarks, marks } from './marks.ts'
import type { MayGive } from './may-give.ts'
import { createReach, type Reach } from './reach.ts'
import { createSomeAtOnce } from './some-at-once.ts'
import type { Cursor, StreamRecords } from './stream-records.ts'

export interface MarkOptions {
  store: Pick<Store, 'get' | 'range' | 'ranges' | 'commit'>
  /** What holds where no annotation says otherwise. */
  policy: ContentPolicy
  held: HeldMarks
  mayGive: MayGive
  /** When the pass began. */
  nowMs: number
}

/** A stream as a pass looks at it. */
export interface StreamView {
  name: StreamName
  /** undefined for a stream that was deleted. */
  life: LifeRecord | undefined
  projectUid: string | undefined
  reach: Reach
}

export type Policies = (ofTag: Readonly<Record<string, string>> | null | undefined) => ContentPolicy

/** Links that are younger may be those of an import that is under way. */
export const minLinkAgeMs = 86_400_000

/**
 * Marks what a stream needs: its pins, what they wait for, candidates and the revisions in keep, with all that these name; what only
 * older revisions lead to; and what it has links to.
 *
 * @returns the stream, and how many of its links nothing leads to
 */
export async function markStream(
  options: MarkOptions,
  { name, tags, ledgers, links }: StreamRecords,
): Promise<{ view: StreamView; unreached: number }> {
  const { store, policy } = options
  const keys = [lifeKey(name), projectKey(name.project), streamObjectKey(name)]
  const [life, project, object] = await Promise.all(keys.map((key) => store.get(key)))
  const view = viewOf(options, name, life, project)
  await markTags(options, view, policiesOf(policy, project, object), { tags, ledgers })
  return { view, unreached: await markLinks(options, view, links) }
}

export function viewOf(
  { store, held, mayGive }: Pick<MarkOptions, 'store' | 'held' | 'mayGive'>,
  name: StreamName,
  lifeEntry: Entry | undefined,
  project: Entry | undefined,
): StreamView {
  const life = lifeEntry && decode<LifeRecord>(lifeEntry)
  const projectUid = life?.projectUid ?? (project && projectOf(project).uid)
  const reach = createReach({ store, name, projectUid, held: life === undefined ? undefined : held, mayGive })
  return { name, life, projectUid, reach }
}

/** The policies of a stream's tags by their own annotations. */
export function policiesOf(defaults: ContentPolicy, project: Entry | undefined, object: Entry | undefined): Policies {
  const levels = [project, object].map((entry) => entry && projectOf(entry).annotations)
  return (ofTag) => contentPolicy(defaults, ...levels, ofTag)
}

/** Marks where a tag stands, where it waits to go, and where it would have gone. */
export async function markTag({ reach }: StreamView, record: TagRecord, policy: ContentPolicy): Promise<void> {
  const bits = policy.retain === 'pinned' ? marks.pinned : marks.pulled
  const { items, awaits, upstreamGone } = record
  const head = items[0]?.image
  if (head) await reach.from(head, upstreamGone?.image === head ? bits | marks.gone : bits, policy.platforms)
  if (awaits !== undefined) await reach.from(awaits.image, bits, policy.platforms)
  if (record.candidate !== undefined) await reach.from(record.candidate.image, marks.history)
}

/** Also of tags and streams that were deleted, since they can be rolled back. */
async function markTags(
  { nowMs }: MarkOptions,
  view: StreamView,
  policies: Policies,
  { tags, ledgers }: Pick<StreamRecords, 'tags' | 'ledgers'>,
): Promise<void> {
  const { life, projectUid, reach } = view
  const work = createSomeAtOnce()
  for (; tags.current !== undefined; await tags.advance()) {
    const tag = tagOfKey(tags.current.key)
    const record = decode<TagRecord>(tags.current)
    const isPresent = record.uid === life?.uid
    const policy = policies(isPresent ? record.spec?.annotations : undefined)
    if (isPresent) await work.add(() => markTag(view, record, policy))
    const head = isPresent ? record.items[0]?.image : undefined
    const keep = createHistoryKeep(policy, nowMs)
    for (; ledgers.current && tagOfLedgerKey(ledgers.current.key) >= tag; await ledgers.advance()) {
      const isOwn = tagOfLedgerKey(ledgers.current.key) === tag
      const entry = decode<LedgerEntry>(ledgers.current)
      const bits = isOwn && keep.next(entry.created) ? marks.history : marks.beyond
      // What the tag stands at is marked, and needed more.
      if (!isOwn || entry.image !== head) await markEntry(entry, bits)
    }
  }
  // Of tags that have a ledger and no record.
  for (; ledgers.current; await ledgers.advance()) await markEntry(decode<LedgerEntry>(ledgers.current), marks.beyond)
  await work.done()

  async function markEntry({ image, projectUid: ofEntry }: LedgerEntry, bits: number): Promise<void> {
    // An earlier project's revisions are nowhere to go back to.
    if (image !== '' && ofEntry === projectUid) await work.add(() => reach.from(image, bits))
  }
}

async function markLinks({ held, nowMs }: MarkOptions, view: StreamView, links: Cursor): Promise<number> {
  const { reach } = view
  let unreached = 0
  for (; links.current !== undefined; await links.advance()) {
    const entry = links.current
    const digest = digestOfLink(entry.key)
    const isReached = reach.has(digest)
    if (isReached && held.get(digest) === undefined) continue
    const record = decode<LinkRecord>(entry)
    const isYoung = youngSince(record) > nowMs - minLinkAgeMs
    if (!isReached && !isYoung) unreached += 1
    else if (isOfStream(view, digest, record))
      await reach.markLink(digest, record, marksOfLink(record) | (isYoung ? marks.fresh : 0))
  }
  return unreached
}

/** Whether a link is the living stream's. One that an earlier stream left is, where the ledger leads to it. */
export function isOfStream({ life, projectUid, reach }: StreamView, digest: Digest, record: LinkRecord): boolean {
  return reach.has(digest) ? record.projectUid === projectUid : record.uid === life?.uid
}

/** What a living stream's link says of the bytes. */
export function marksOfLink({ mediaType, otherType, locations }: LinkRecord): number {
  const isHere = locations.every(({ kind }) => kind === 'here')
  const isManifest = [mediaType, otherType].some((type) => type !== undefined && isManifestType(type))
  return marks.linked | (isHere ? marks.here : 0) | (isManifest ? marks.manifest : 0)
}
