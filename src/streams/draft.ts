import type { FieldCause, RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import { commitLimits, type Operation, type Precondition } from '../store/store.ts'
import { formatTime } from './events.ts'
import { type AskedChange, createFollowGraph, type FollowGraph, livingRecord } from './follow-graph.ts'
import { nextAcross } from './followed-across.ts'
import { isMoveRefusal } from './immutable.ts'
import {
  decode,
  encode,
  eventKey,
  followersKey,
  lifeKey,
  linkKey,
  outboxKey,
  pendingKey,
  scheduledKey,
  tagKey,
  unheldKey,
} from './keys.ts'
import { copyOf, type SourceHead } from './moves.ts'
import { nextPending } from './pending.ts'
import { createReads, type Reads } from './reads.ts'
import type { LedgerEntry, LifeRecord, LinkRecord, Notice, PendingRecord, TagEvent, TagRecord } from './records.ts'
import { applyChange, type ChangeContext } from './rules.ts'
import { nextScheduled } from './scheduled.ts'
import { sourceText } from './sources.ts'
import type { TagChange } from './streams.ts'
import { nextUnheld } from './unheld.ts'
import { unlinkedError } from './unlinking.ts'

/** What all changes of one attempt share. */
export interface Frame extends StreamName, Pick<ChangeContext, 'isMovedWhenHeld' | 'immutableBy'> {
  uid: string
  projectUid: string
  generation: number
  nextGeneration: number
  nowMs: number
  commitId: string
  /** Whether tags move only to images that the stream has links of: not in a dry run, nor while the stream is not there. */
  needsLinks: boolean
  /** Which other streams a refusal may name; default none. */
  maySee?: ((stream: StreamName) => boolean) | undefined
}

/** A tag as it will be. */
export interface DraftedTag {
  tag: string
  /** The store revision of its record so far; 0 when there was none. */
  baseRevision: number
  /** As it was, whichever stream's; undefined when there never was one. */
  stored: TagRecord | undefined
  record: TagRecord
  /** Appended to the ledger, oldest first. */
  entries: LedgerEntry[]
  notices: Notice[]
}

/** Changes that belong together, as one commit has to write them (I2). */
export interface Draft {
  /** Those that are written; the tags that follow come after those they follow. */
  tags: DraftedTag[]
  operations: Operation[]
  preconditions: Precondition[]
  /** Whether a spec changed: the stream gets its next generation. */
  isOfSpec: boolean
}

/** Most operations of changes that belong together; leaves room for what a commit writes besides. */
export const maxDraftOperations = commitLimits.maxOperations - 6

/** Why changes are refused; `held` is the error as it is for the change of one tag, when a hold is why or that it is immutable. */
export interface Refusal {
  causes: FieldCause[]
  held?: RegistryError
}

/**
 * Works out what changes of tags come to: each by the rules, and with it all tags of the stream that follow those that
 * move (okd.md 2.4). Writes nothing. Refusals are told as causes, all of them. `together` are all changes that were asked for at once,
 * also those that these here have nothing to do with within the stream.
 *
 * @throws RegistryError INVALID; CONFLICT when the stream does not have an image that a tag moves to, see `isUnlinkedError`
 */
export async function draftChanges(
  frame: Frame,
  get: Reads['get'],
  changes: ReadonlyMap<string, AskedChange>,
  together: ReadonlyMap<string, AskedChange> = changes,
): Promise<Draft | Refusal> {
  const reads = createReads(get)
  for (const tag of changes.keys()) await reads.rely(tagKey(frame, tag))
  const graph = createFollowGraph(frame, reads, changes, together)
  const causes: FieldCause[] = []
  for (const tag of changes.keys()) causes.push(...(await graph.refusals(tag)))
  if (causes.length > 0) return { causes }
  const work: Work = { frame, reads, graph, changes, tags: new Map(), movedBy: new Map(), isOfSpec: false }
  let held: RegistryError | undefined
  for (const tag of await sourcesFirst(graph, [...changes.keys()])) {
    try {
      if (!work.tags.has(tag)) await visit(work, tag)
    } catch (error) {
      const field = changes.get(tag)?.field
      if (!isMoveRefusal(error) || field === undefined) throw error
      causes.push(...error.causes.map((cause) => ({ ...cause, field })))
      held ??= error
    }
  }
  if (held !== undefined) return { causes, held }
  const tags = [...work.tags.values()].filter(isWritten)
  if (frame.needsLinks) await relyOnImages(work, tags)
  const operations = tags.length === 0 ? [] : [...(await tagOperations(work, tags)), ...(await graph.operations())]
  const room = Math.max(0, maxDraftOperations - operations.length)
  operations.push(...unheldOperations(frame, tags).slice(0, room))
  return { tags, operations, preconditions: reads.preconditions(), isOfSpec: work.isOfSpec }
}

/** A tag that was looked at; `record` stays undefined until something of it changes. */
type Visited = Omit<DraftedTag, 'record'> & { record: TagRecord | undefined }

interface Work {
  frame: Frame
  reads: Reads
  graph: FollowGraph
  changes: ReadonlyMap<string, AskedChange>
  tags: Map<string, Visited>
  /** Whose heads changed, by whom. */
  movedBy: Map<string, string>
  isOfSpec: boolean
}

function isWritten(tag: Visited): tag is DraftedTag {
  return tag.record !== undefined
}

/** A tag may follow one that changes too: it has to see that as it will be. */
async function sourcesFirst(graph: FollowGraph, tags: readonly string[]): Promise<string[]> {
  const depths = new Map<string, number>()
  for (const tag of tags) depths.set(tag, await graph.depthOf(tag))
  return tags.toSorted((a, b) => (depths.get(a) ?? 0) - (depths.get(b) ?? 0))
}

/** Applies what is asked of a tag, lets it follow its source, and lets its own followers follow it. */
async function visit(work: Work, tag: string): Promise<void> {
  const { reads, graph, frame } = work
  const entry = await reads.rely(tagKey(frame, tag))
  const stored = entry && decode<TagRecord>(entry)
  const baseRevision = entry?.revision ?? 0
  const visited: Visited = { tag, baseRevision, stored, record: undefined, entries: [], notices: [] }
  work.tags.set(tag, visited)
  const before = headOf(work, visited)
  const asked = work.changes.get(tag)?.change
  const mover = asked && apply(work, visited, asked, await sourceFor(work, tag, asked))
  const followed = await graph.sourceOf(tag)
  const by = followed === undefined ? undefined : work.movedBy.get(followed)
  const source = followed === undefined || by === undefined ? undefined : await sourceHead(work, followed)
  if (source !== undefined && by !== undefined) {
    apply(work, visited, { event: copyOf(source, 'follow', { by }) }, undefined)
  }
  if (isSameHead(before, headOf(work, visited))) return
  work.movedBy.set(tag, mover ?? by ?? '')
  await reads.rely(followersKey(frame, tag))
  for (const follower of await graph.followersOf(tag)) {
    if (!work.tags.has(follower)) await visit(work, follower)
  }
}

/** @returns who moved the tag; undefined when nobody did */
function apply(work: Work, visited: Visited, change: TagChange, source: SourceHead | undefined): string | undefined {
  const { tag } = visited
  const applied = applyChange(visited.record ?? visited.stored, change, { ...work.frame, tag, source })
  if (applied === undefined) return undefined
  const { record, entry, notices, generation, move } = applied
  visited.record = record
  if (entry !== undefined) visited.entries.push(entry)
  visited.notices.push(...notices)
  if (generation !== undefined) work.isOfSpec = true
  return move?.cause.by
}

/** Where the source of a tag's own change stands, when that may matter. */
async function sourceFor(work: Work, tag: string, change: TagChange): Promise<SourceHead | undefined> {
  if (!change.spec && !change.reimport && change.hold !== null) return undefined
  const source = await work.graph.sourceOf(tag)
  return source === undefined ? undefined : sourceHead(work, source)
}

async function sourceHead(work: Work, tag: string): Promise<SourceHead | undefined> {
  const { frame, reads } = work
  const drafted = work.tags.get(tag)
  const record = drafted?.record ?? livingRecord(await reads.rely(tagKey(frame, tag)), frame.uid)
  const [head] = record?.items ?? []
  if (record === undefined || head === undefined) return undefined
  const { project, stream } = frame
  const name = sourceText({ kind: 'ImageStreamTag', stream: { project, stream }, tag })
  return { name, head, mediaType: await mediaTypeOf() }

  /** The ledger never changes: its entry of the revision in force needs no condition. */
  async function mediaTypeOf(): Promise<string> {
    const current = record?.current ?? 0
    const drawn = drafted?.entries.find(({ revision }) => revision === current)
    if (drawn !== undefined) return drawn.mediaType
    const told = await reads.get(eventKey(frame, tag, current))
    return told === undefined ? '' : decode<LedgerEntry>(told).mediaType
  }
}

function headOf({ frame }: Work, { record, stored }: Visited): TagEvent | undefined {
  const now = record ?? stored
  return now?.uid === frame.uid ? now.items[0] : undefined
}

/** Whether nobody has to follow: the head says the same, or is gone. */
function isSameHead(before: TagEvent | undefined, after: TagEvent | undefined): boolean {
  if (after === undefined) return true
  return before?.image === after.image && before.dockerImageReference === after.dockerImageReference
}

/** A tag moves only to an image that the stream has, and only while it has it: who removes the link looks at the tags before. */
async function relyOnImages({ frame, reads }: Work, tags: readonly DraftedTag[]): Promise<void> {
  for (const { tag, entries } of tags) {
    const image = entries.at(-1)?.image
    if (!image) continue
    const link = await reads.rely(linkKey(frame, image))
    if (link !== undefined && decode<LinkRecord>(link).uid === frame.uid) continue
    const life = await reads.get(lifeKey(frame))
    // A stream that was deleted meanwhile, or made anew: the commit is conditioned on its life.
    if (life !== undefined && decode<LifeRecord>(life).uid === frame.uid) throw unlinkedError(frame, tag, image)
  }
}

/** Record, ledger entries, notices, and what the index of pending tags says. */
async function tagOperations(work: Work, tags: readonly DraftedTag[]): Promise<Operation[]> {
  const { frame } = work
  const operations: Operation[] = []
  for (const { tag, record, entries, notices } of tags) {
    const firstNotice = (record.noticed ?? 0) - notices.length + 1
    operations.push(put(tagKey(frame, tag), record))
    for (const entry of entries) operations.push(put(eventKey(frame, tag, entry.revision), entry))
    for (const [i, notice] of notices.entries()) operations.push(put(outboxKey(frame, tag, firstNotice + i), notice))
  }
  for (const tag of tags) {
    const pending = await pendingOperation(work, tag)
    if (pending !== undefined) operations.push(pending)
    operations.push(...scheduledOperations(frame, tag), ...acrossOperations(frame, tag))
  }
  return operations
}

function scheduledOperations(frame: Frame, { tag, stored, record }: DraftedTag): Operation[] {
  const next = nextScheduled(stored, record)
  if (next === undefined) return []
  const key = scheduledKey(frame, tag)
  return [next === null ? { type: 'delete', key } : put(key, next)]
}

function acrossOperations({ project, stream }: Frame, { tag, stored, record }: DraftedTag): Operation[] {
  const next = nextAcross({ project, stream, tag }, stored, record)
  return [
    ...(next.gone === undefined ? [] : [{ type: 'delete' as const, key: next.gone }]),
    ...(next.put === undefined ? [] : [put(next.put.key, next.put.record)]),
  ]
}

async function pendingOperation(work: Work, { tag, stored, record }: DraftedTag): Promise<Operation | undefined> {
  const key = pendingKey(work.frame, tag)
  const wantedBy = work.changes.get(tag)?.change.wantedBy
  const provisional = nextPending(stored, record, wantedBy, undefined)
  if (provisional === undefined) return undefined
  if (provisional === null) return { type: 'delete', key }
  if (wantedBy !== undefined) return put(key, provisional)
  // Written together with the tag's record only, which the commit is conditioned on.
  const earlier = await work.reads.get(key)
  return put(key, nextPending(stored, record, wantedBy, earlier && decode<PendingRecord>(earlier)))
}

/**
 * What the index of unheld tags says, the most needed first: a tag that awaits its image moves by it alone. The others get what
 * the tag that they follow gets, and are found when retention looks for what is missing.
 */
function unheldOperations(frame: Frame, tags: readonly DraftedTag[]): Operation[] {
  const wish = { id: frame.commitId, since: formatTime(frame.nowMs) }
  const awaiting = tags.filter(({ record }) => record.awaits !== undefined)
  const others = tags.filter(({ record }) => record.awaits === undefined)
  return [...awaiting, ...others].flatMap(({ tag, stored, record }): Operation[] => {
    const key = unheldKey(frame, tag)
    const next = nextUnheld(stored, record, wish)
    if (next === undefined) return []
    return [next === null ? { type: 'delete', key } : put(key, next)]
  })
}

function put(key: string, record: unknown): Operation {
  return { type: 'put', key, value: encode(record) }
}
