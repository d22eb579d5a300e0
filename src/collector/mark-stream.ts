import type { Digest } from '../oci/digest.ts'
import { isManifestType } from '../oci/media-types.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Entry, Store } from '../store/store.ts'
import { type ContentPolicy, contentPolicy } from '../streams/content-policy.ts'
import {
  decode,
  digestOfLink,
  exactly,
  lifeKey,
  linksRange,
  projectKey,
  streamLedgerRange,
  streamObjectKey,
  tagOfKey,
  tagOfLedgerKey,
  tagsRange,
} from '../streams/keys.ts'
import { youngSince } from '../streams/link-records.ts'
import { projectOf } from '../streams/open-project.ts'
import type { LedgerEntry, LifeRecord, LinkRecord, TagRecord } from '../streams/records.ts'
import { createHistoryKeep } from './history-keep.ts'
import { type HeldMarks, marks } from './marks.ts'
import { createReach, type Reach } from './reach.ts'
import { createSomeAtOnce } from './some-at-once.ts'

export interface MarkOptions {
  store: Pick<Store, 'get' | 'range' | 'ranges' | 'commit'>
  /** What holds where no annotation says otherwise. */
  policy: ContentPolicy
  held: HeldMarks
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

const noTags = undefined

/**
 * Marks what a stream needs, from one snapshot: its pins, what they wait for, candidates and the revisions in keep, with all that
 * these name; and what it has links to.
 *
 * @returns the stream, and how many of its links nothing of this leads to: the ledger beyond the revisions in keep may
 */
export async function markStream(
  options: MarkOptions,
  name: StreamName,
): Promise<{ view: StreamView; unreached: number }> {
  const { store } = options
  const project = await store.get(projectKey(name.project))
  const [lives, objects, tags, ledger, links] = await store.ranges([
    exactly(lifeKey(name)),
    exactly(streamObjectKey(name)),
    { ...tagsRange(name, noTags), reverse: true },
    streamLedgerRange(name),
    linksRange(name, '', undefined),
  ])
  if (!lives || !objects || !tags || !ledger || !links)
    throw new TypeError('a snapshot has as many ranges as asked for')
  const [life, object] = [await first(lives), await first(objects)]
  const view = viewOf(options, name, life, project)
  await markTags(options, view, policiesOf(options.policy, project, object), { tags, ledger })
  return { view, unreached: await markLinks(options, view, links) }
}

export function viewOf(
  { store, held }: Pick<MarkOptions, 'store' | 'held'>,
  name: StreamName,
  lifeEntry: Entry | undefined,
  project: Entry | undefined,
): StreamView {
  const life = lifeEntry && decode<LifeRecord>(lifeEntry)
  const projectUid = life?.projectUid ?? (project && projectOf(project).uid)
  const reach = createReach({ store, name, projectUid, held: life === undefined ? undefined : held })
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
  for (const image of [record.items[0]?.image, record.awaits?.image]) {
    if (image) await reach.from(image, bits, policy.platforms)
  }
  if (record.candidate !== undefined) await reach.from(record.candidate.image, marks.history)
}

/** Both ranges come from the last tag down, and a tag's revisions the newest first. */
async function markTags(
  { nowMs }: MarkOptions,
  view: StreamView,
  policies: Policies,
  { tags, ledger }: Record<'tags' | 'ledger', AsyncIterable<Entry>>,
): Promise<void> {
  const { life, reach } = view
  await using entries = await openEntries(ledger)
  const work = createSomeAtOnce()
  for await (const tagEntry of tags) {
    // What was deleted needs nothing.
    if (life === undefined) break
    const tag = tagOfKey(tagEntry.key)
    const record = decode<TagRecord>(tagEntry)
    const isPresent = record.uid === life.uid
    const policy = policies(isPresent ? record.spec?.annotations : undefined)
    if (isPresent) await work.add(() => markTag(view, record, policy))
    const keep = createHistoryKeep(policy, nowMs)
    for (; entries.current && tagOfLedgerKey(entries.current.key) >= tag; await entries.advance()) {
      if (keep.isOver || tagOfLedgerKey(entries.current.key) !== tag) continue
      const { created, image, projectUid } = decode<LedgerEntry>(entries.current)
      const isKept = keep.next(created) && image !== '' && projectUid === life.projectUid
      if (isKept) await work.add(() => reach.from(image as Digest, marks.history))
    }
  }
  await work.done()
}

async function markLinks(
  { held, nowMs }: MarkOptions,
  { life, reach }: StreamView,
  links: AsyncIterable<Entry>,
): Promise<number> {
  let unreached = 0
  for await (const entry of links) {
    const digest = digestOfLink(entry.key)
    const isReached = reach.has(digest)
    if (isReached && held.get(digest) === undefined) continue
    const record = decode<LinkRecord>(entry)
    const isYoung = youngSince(record) > nowMs - minLinkAgeMs
    if (!isReached && !isYoung) unreached += 1
    else if (record.uid === life?.uid) held.mark(digest, marksOfLink(record) | (isYoung ? marks.fresh : 0))
  }
  return unreached
}

/** What a living stream's link says of the bytes. */
export function marksOfLink({ mediaType, otherType, locations }: LinkRecord): number {
  const isHere = locations.every(({ kind }) => kind === 'here')
  const isManifest = [mediaType, otherType].some((type) => type !== undefined && isManifestType(type))
  return marks.linked | (isHere ? marks.here : 0) | (isManifest ? marks.manifest : 0)
}

interface Entries extends AsyncDisposable {
  readonly current: Entry | undefined
  advance(): Promise<void>
}

async function openEntries(entries: AsyncIterable<Entry>): Promise<Entries> {
  const iterator = entries[Symbol.asyncIterator]()
  let result = await iterator.next()
  return {
    get current() {
      return result.done ? undefined : result.value
    },
    async advance() {
      result = await iterator.next()
    },
    async [Symbol.asyncDispose]() {
      await iterator.return?.()
    },
  }
}

async function first(entries: AsyncIterable<Entry>): Promise<Entry | undefined> {
  for await (const entry of entries) return entry
  return undefined
}
