import { isDeepStrictEqual } from 'node:util'
import type { StreamName } from '../oci/reference.ts'
import { formatTime } from './events.ts'
import { followedAcross, followsOtherwise, nextFollowsAs } from './followed-across.ts'
import { failureMessage, nextSpec, type SpecStep, sameFailure, sameIdentity, sameReference } from './generations.ts'
import { underHold } from './hold.ts'
import { type ImmutableContext, requireNotImmutable, underImmutable } from './immutable.ts'
import { underMinAge } from './min-age.ts'
import { awaitedMove, incompleteReason, ledgerEntry, nextItems, ownMove, type SourceHead, shownItems } from './moves.ts'
import type {
  Cause,
  Hold,
  LedgerEntry,
  Notice,
  TagEvent,
  TagEventCondition,
  TagRecord,
  TagReference,
  UpstreamGone,
} from './records.ts'
import { followedTag } from './sources.ts'
import type { TagChange, TagMove } from './streams.ts'

/** Everything that a change depends on besides the record and the change itself. */
export interface ChangeContext extends StreamName {
  tag: string
  /** The uid of the living stream, and of its project. */
  uid: string
  projectUid: string
  /** The stream's generation now, and the one it gets when the change alters the spec. */
  generation: number
  nextGeneration: number
  nowMs: number
  commitId: string
  /** Where the tag of the same stream stands that this one follows after the change, as it is after that. */
  source?: SourceHead | undefined
  /** Whether a tag with these annotations moves only when its content is held. Default: none does. */
  isMovedWhenHeld?: (annotations: TagReference['annotations'] | undefined) => boolean
  /** What makes a tag with these annotations immutable. Default: nothing. */
  immutableBy?: ImmutableContext['immutableBy']
}

/** What a change comes to: written in one commit, or not at all (I2). */
export interface AppliedChange {
  record: TagRecord
  /** Appended to the ledger. */
  entry?: LedgerEntry
  /** Told to others; the last has the number `record.noticed`. */
  notices: Notice[]
  /** The stream's new generation; absent when the spec stays as it is. */
  generation?: number
  /** The move that took place, whether or not it led elsewhere. */
  move?: TagMove
}

/** Whether a record says nothing of a tag: it was deleted, or never wanted. */
export function isAbsent(record: TagRecord): boolean {
  return record.spec === undefined && record.items.length === 0
}

/**
 * Applies a decided change to a tag's record: okd.md 2.2, 2.3 and 2.6, the hold, and immutable tags. Pure: the same input gives the same
 * output. `stored` may be the record of an earlier stream of the name, of which only the counters count.
 *
 * @returns undefined when there is nothing to write
 * @throws RegistryError INVALID when the tag is held against such a change, or immutable
 */
export function applyChange(
  stored: TagRecord | undefined,
  change: TagChange,
  context: ChangeContext,
): AppliedChange | undefined {
  const time = formatTime(context.nowMs)
  const before = stored?.uid === context.uid ? stored : emptyRecord(context.uid, stored)
  if (change.remove !== undefined) return removeTag(before, change, change.remove.cause, { ...context, time })
  if (change.event !== undefined && change.condition)
    throw new TypeError('a change is a success or a failure, not both')
  if (isAbsent(before) && !change.spec && change.event === undefined) return undefined
  const held = underHold(before, change, { ...context, time })
  const step = nextSpec(before, held, context)
  const passed = underMinAge(before, held, step.spec, { ...context, time })
  const led = passed.event ?? ownMove(before, passed, step, context)
  const asked = underImmutable(before, passed, led, { ...context, time })
  const wanted = asked === passed ? led : undefined
  const awaits = wanted && !asked.isHeld ? awaitedMove(before, wanted, step, { ...context, time }) : undefined
  const move = awaits === undefined ? wanted : undefined
  const { event: _event, ...rest } = asked
  const effective: TagChange = move === undefined ? rest : { ...rest, event: move }
  const stillAwaits = awaits ?? nextAwaited(before, effective, step, context)
  const items = nextItems(shownItems(before.items, change.hide, context), move, step, context)
  const entry = items.moved && move ? ledgerEntry(before, move, items.generation, context) : undefined
  const {
    spec: _spec,
    hold: _hold,
    candidate: _candidate,
    awaits: _awaits,
    lastSeen: _seen,
    followsAs: _followsAs,
    condition: _condition,
    upstreamGone: _gone,
    ...counters
  } = before
  const next: TagRecord = {
    ...counters,
    revision: entry?.revision ?? before.revision,
    items: items.items,
    current: entry?.revision ?? before.current,
    ...optional('spec', step.spec),
    ...optional('hold', nextHold(before, effective, entry?.revision ?? before.current, time)),
    ...optional('candidate', nextCandidate(before, effective, items.items[0])),
    ...optional('awaits', stillAwaits),
    ...optional('lastSeen', nextLastSeen(before, effective, step.spec, { ...context, time })),
    ...optional('followsAs', nextFollowsAs(before, change, step.spec, context)),
    ...optional(
      'condition',
      nextCondition(before, effective, step, { ...context, awaits: stillAwaits, isFound: awaits !== undefined }),
    ),
    ...optional('upstreamGone', nextUpstreamGone(before, change, items.items[0], time)),
  }
  if (entry === undefined && isDeepStrictEqual(next, before)) return undefined
  return { ...applied(before, next, entry, step.generation, context), ...optional('move', move) }
}

/**
 * Whether a change would change anything, by itself: what the tag follows is not looked at.
 *
 * @throws RegistryError as {@link applyChange}
 */
export function wouldChange(
  record: TagRecord | undefined,
  change: TagChange,
  tag: StreamName & { tag: string; uid: string; projectUid: string; generation: number },
): boolean {
  const isSpecAlone = Object.keys(change).every((key) => key === 'spec' || key === 'wantedBy')
  if (isSpecAlone && change.spec && record?.spec && sameReference(record.spec, change.spec)) return false
  const unwritten = { nextGeneration: tag.generation + 1, nowMs: 0, commitId: '' }
  return applyChange(record, change, { ...tag, ...unwritten }) !== undefined
}

function removeTag(
  before: TagRecord,
  change: TagChange,
  cause: Cause,
  context: ChangeContext & { time: string },
): AppliedChange | undefined {
  if (Object.keys(change).length > 1) throw new TypeError('a change that removes a tag does nothing else')
  if (isAbsent(before)) return undefined
  requireNotImmutable(before, context, 'delete')
  const generation = before.spec === undefined ? undefined : context.nextGeneration
  const nothing = { image: '', mediaType: '', dockerImageReference: '', cause } as const
  const entry = ledgerEntry(before, nothing, generation ?? context.generation, context)
  const next = { ...emptyRecord(context.uid, before), revision: entry.revision }
  return applied(before, next, entry, generation, context)
}

function applied(
  before: TagRecord,
  next: TagRecord,
  entry: LedgerEntry | undefined,
  generation: number | undefined,
  context: ChangeContext,
): AppliedChange {
  const told = { uid: context.uid, revision: next.revision, at: formatTime(context.nowMs) }
  const notices = news(before, next, entry).map((kind): Notice => ({ kind, ...told }))
  const noticed = (before.noticed ?? 0) + notices.length
  const record = { ...next, ...(noticed > 0 ? { noticed } : {}), commitId: context.commitId }
  return { record, notices, ...optional('entry', entry), ...optional('generation', generation) }
}

function news(before: TagRecord, next: TagRecord, entry: LedgerEntry | undefined): Notice['kind'][] {
  if (entry?.cause.kind === 'delete') return ['gone']
  const kinds: Notice['kind'][] = entry === undefined ? [] : ['moved']
  if (next.hold !== undefined && before.hold === undefined) kinds.push('held')
  if (next.hold === undefined && before.hold !== undefined) kinds.push('resumed')
  if (next.condition !== undefined && !sameText(before.condition, next.condition)) kinds.push('failed')
  if (next.condition === undefined && before.condition !== undefined) kinds.push('recovered')
  if (next.candidate !== undefined && next.candidate !== before.candidate) kinds.push('candidate')
  return kinds
}

/** A rollback holds, whether the change says so or not. */
function nextHold(before: TagRecord, change: TagChange, revision: number, at: string): Hold | undefined {
  const cause = change.event?.cause
  const byRollback = cause?.kind === 'rollback' ? { by: cause.by, ...optional('reason', cause.reason) } : undefined
  const hold = change.hold === undefined ? byRollback : change.hold
  return hold ? { ...hold, revision, at } : hold === null ? undefined : before.hold
}

/** A candidate stays until the tag is resumed, moves otherwise than by a rollback, or stands there. */
function nextCandidate(
  before: TagRecord,
  change: TagChange,
  head: TagEvent | undefined,
): TagRecord['candidate'] | undefined {
  const { candidate } = change
  if (candidate === undefined) {
    const ends = change.hold === null || (change.event !== undefined && change.event.cause.kind !== 'rollback')
    return ends || before.candidate?.image === head?.image ? undefined : before.candidate
  }
  const same =
    candidate?.image === before.candidate?.image &&
    candidate?.dockerImageReference === before.candidate?.dockerImageReference
  // The clock was put back: nothing was seen in a time to come.
  const isDated = candidate != null && before.candidate !== undefined && candidate.seenAt < before.candidate.seenAt
  return same && !isDated ? before.candidate : (candidate ?? undefined)
}

/** A tag goes on waiting until it moves, or something else is wanted of it. A failure to find something newer is nothing else. */
function nextAwaited(
  before: TagRecord,
  { event, condition }: TagChange,
  { spec, renewed }: SpecStep,
  { project }: StreamName,
): TagRecord['awaits'] {
  if (event !== undefined || spec === undefined || isForbidden(before, condition)) return undefined
  const isFailure = condition != null && before.spec !== undefined && sameIdentity(before.spec, spec, project)
  return renewed && !isFailure ? undefined : before.awaits
}

/** Whether the right to follow ended while a tag awaits what it followed: it goes there only if that comes back. */
function isForbidden({ awaits }: TagRecord, condition: TagChange['condition']): boolean {
  return condition?.reason === 'Forbidden' && (awaits?.cause.kind === 'follow' || awaits?.cause.kind === 'tag')
}

/** Where its source points while a candidate waits to be old enough was seen before whoever else moves the tag then. */
function nextLastSeen(
  before: TagRecord,
  { lastSeen, event, hold, followsAs, condition }: TagChange,
  spec: TagReference | undefined,
  { time: at, ...own }: StreamName & { time: string },
): TagRecord['lastSeen'] {
  // A tag that is let go goes to the tag of another stream that it follows, wherever that was seen meanwhile.
  if (before.hold !== undefined && hold === null && followedAcross(spec, own) !== undefined) return undefined
  if (lastSeen !== undefined) return lastSeen === before.lastSeen?.digest ? before.lastSeen : { digest: lastSeen, at }
  if (isForbidden(before, condition)) return undefined
  // Nothing was seen yet of what is followed from now on; the same source in other words is none other.
  if (followsAs !== undefined && followsOtherwise(spec, before.spec, own)) return undefined
  const { candidate } = before
  const isOvertaken = event !== undefined && candidate?.cause.kind === 'scheduled'
  return isOvertaken ? { digest: candidate.image, at: candidate.seenAt } : before.lastSeen
}

/**
 * okd.md 2.6. The same failure again leaves time and text alone; its generation always follows the wish, or clients would
 * show "importing" for ever. What is said of waiting for content ends with the waiting, and is no failure to find an image.
 */
function nextCondition(
  before: TagRecord,
  change: TagChange,
  step: SpecStep,
  context: ChangeContext & { awaits: TagRecord['awaits']; isFound: boolean },
): TagEventCondition | undefined {
  if (change.condition === null) return undefined
  const { awaits, isFound } = context
  const isOfWaiting = before.condition?.reason === incompleteReason
  const isOver = isOfWaiting && (awaits === undefined || awaits !== before.awaits)
  const standing = isOver ? undefined : before.condition
  if (isFound) return isOfWaiting ? standing : undefined
  if (change.event !== undefined) return change.isHeld === true ? standing : undefined
  const failure = change.condition
  // What follows another tag is not imported any more: no failure of that time says anything about it.
  if (failure === undefined && step.renewed && followedTag(step.spec, context) !== undefined) return undefined
  if (failure === undefined && !isOfWaiting && followsOtherwise(before.spec, step.spec, context)) return undefined
  if (failure === undefined) return standing
  const generation = step.spec?.generation ?? step.generation ?? context.generation
  if (before.condition !== undefined && sameFailure(before, failure)) return { ...before.condition, generation }
  return {
    type: 'ImportSuccess',
    status: 'False',
    lastTransitionTime: formatTime(context.nowMs),
    reason: failure.reason,
    message: failureMessage(failure),
    generation,
  }
}

/**
 * What was said of the image that the tag stands at counts until an upstream is seen to have it, whoever said it last. Who sees
 * the manifest has not seen a part that is gone.
 */
function nextUpstreamGone(
  before: TagRecord,
  { lastSeen, upstreamGone }: TagChange,
  head: TagEvent | undefined,
  at: string,
): UpstreamGone | undefined {
  const standing = before.upstreamGone?.image === head?.image ? before.upstreamGone : undefined
  const isSeen = lastSeen !== undefined && lastSeen === head?.image && standing?.isPart !== true
  if (upstreamGone === null || isSeen) return undefined
  if (standing !== undefined) return standing
  return upstreamGone !== undefined && upstreamGone.image === head?.image ? { ...upstreamGone, at } : undefined
}

function sameText(a: TagEventCondition | undefined, b: TagEventCondition): boolean {
  return a?.reason === b.reason && a.message === b.message
}

function emptyRecord(uid: string, counters: TagRecord | undefined): TagRecord {
  const noticed = optional('noticed', counters?.noticed)
  return { uid, revision: counters?.revision ?? 0, ...noticed, items: [], current: 0, commitId: '' }
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: V }
}
