/** What a tag comes from, where it stands and what is the matter with it, as sentences. */

import { formatComing, formatMoment } from './ages.ts'
import type { TagEvent, TagItem } from './api.ts'
import { contentTroubles } from './content-state.ts'
import { type Candidate, candidateOf, describeHold, isResumed } from './holds.ts'
import { incompleteReason, nextSteps } from './import-advice.ts'
import { formatCause, formatClient } from './ledger.ts'
import { shortDigest, shortDigests } from './output.ts'
import { formatStreamReference } from './references.ts'
import { isFollowingAcross, type StreamTag, sourceText, trackedTag } from './stream-tags.ts'
import { checkLines, type TagCheck } from './tag-checks.ts'
import { trackingOf } from './tracking.ts'

/** How old what the schedule finds has to be before a tag moves to it. */
const minAgeAnnotation = 'weir.dev/min-age'

/** A tag, and what is known beside it. */
export interface TagView {
  tag: StreamTag
  /** The newest entries of its ledger, newest first; undefined where they were not read. */
  events: readonly TagEvent[] | undefined
  /** The tag of the same stream that it follows; undefined where there is none, or it could not be read. */
  source: StreamTag | undefined
  /** How much of what it needs is held, as the server says it; undefined where it does not. */
  content: string | undefined
  /** How its upstream is looked at; undefined of one that is not scheduled, and where it could not be read. */
  check: TagCheck | undefined
  /** Whether it moves nowhere else once it stands. */
  isImmutable: boolean
  nowMs: number
  /** Whether digests are whole. */
  wide: boolean
}

/** Where a tag stood, and what the ledger says of it. */
export interface Stood {
  item: TagItem
  event: TagEvent | undefined
}

/** What moves a tag. */
export function sourceLine({ tag, source: followed, check, wide }: TagView): string {
  const { from, wanted } = tag
  const called = formatStreamReference(tag)
  const whole = sourceText(tag)
  const source = wide || whole === undefined ? whole : shortDigests(whole)
  if (from === undefined || source === undefined) {
    return `follows nothing: it moves when it is pushed or tagged${tag.hold === undefined ? '' : ', once it is no longer held'}`
  }
  if (wanted?.reference === true) return `a reference to ${source}: nothing is imported`
  if (from.kind === 'ImageStreamImage') {
    const digest = from.name.slice(from.name.indexOf('@') + 1)
    const isThere = tag.image === undefined || tag.image.includes(digest)
    return isThere ? `pinned to ${source}` : `was tagged from ${source}, and stands elsewhere now`
  }
  if (trackedTag(tag) !== undefined) {
    if (followed === undefined) return `tracks ${source}, which is not there`
    return `tracks ${source}: moves along with it${tag.hold === undefined ? '' : ' when it is no longer held'}`
  }
  if (isFollowingAcross(tag)) {
    return `follows ${source}: moves along with it${tag.hold === undefined ? '' : ' when it is no longer held'}`
  }
  if (from.kind === 'ImageStreamTag') {
    if (tag.items.length > 0) return `taken from ${source}, which it does not follow: tag it again to move it`
    return `was to be taken from ${source}, which stood at no image then; to take it now: weir tag ${whole} ${called}`
  }
  const { scheduled, insecure } = wanted?.importPolicy ?? {}
  const every = check?.interval === undefined ? 'by itself' : `every ${check.interval}`
  const when =
    scheduled === true
      ? `looked at ${every}; at once: weir import-image ${called}`
      : `looked at by hand: weir import-image ${called}; by itself with --scheduled`
  const tracking = trackingOf(tag)
  const what = tracking === undefined ? source : `the tag of ${tracking.repository} that ${tracking.policy} chooses`
  return `follows ${what}, ${when}${insecure === true ? '; insecure connections allowed' : ''}`
}

/** How the upstream of a scheduled tag was looked at, and will be. */
export function lookLines({ tag, check, nowMs }: TagView): string[] {
  if (check === undefined) return []
  const { reason, message } = check.lastCheck ?? {}
  // What is wrong is told in full below.
  const isTold = tag.failure?.reason === reason && tag.failure?.message === message
  const lastCheck = isTold ? { ...check.lastCheck, message: '' } : check.lastCheck
  return checkLines({ ...check, ...(lastCheck && { lastCheck }) }, nowMs)
}

/** Where a tag stands, since when and through whom. */
export function standingLines(view: TagView): string[] {
  const { tag, nowMs } = view
  const { image, items } = tag
  const [head] = items
  if (image === undefined) {
    const pointer = head?.dockerImageReference
    return [pointer ? `points to ${pointer}` : 'stands at nothing yet']
  }
  const event = inForce(view)
  // A followed or promoted image is older than its coming here.
  const since = event?.metadata?.creationTimestamp ?? tag.movedAt
  const where = `stands at ${digestText(view, image)} since ${formatMoment(since, nowMs)}`
  return event === undefined ? [where] : [where, movedLine(event, view)]
}

/** The entry of the ledger that brought the tag to where it stands. */
export function inForce({ tag, events }: TagView): TagEvent | undefined {
  return tag.image === undefined ? undefined : events?.find(({ image }) => image === tag.image)
}

/** What is the matter with a tag; a line that begins with two spaces says more of the one before. */
export function troubleLines(view: TagView): string[] {
  return [
    ...holdLines(view),
    ...candidateLines(view),
    ...importLines(view),
    ...awaitLines(view),
    ...goneLines(view),
    ...contentTroubles(view.tag, view.content, view.wide),
  ]
}

/** Where a tag stood before, newest first. */
export function earlier({ tag, events = [] }: TagView): Stood[] {
  let next = 0
  const stood = tag.items.map((item) => {
    const found = events.findIndex(({ image }, i) => i >= next && image === item.image)
    if (found < 0) return { item, event: undefined }
    next = found + 1
    return { item, event: events[found] }
  })
  return stood.slice(1)
}

/** A digest as the view shows it. */
export function digestText({ wide }: Pick<TagView, 'wide'>, digest: string): string {
  return wide ? digest : shortDigest(digest)
}

function movedLine({ revision, cause }: TagEvent, { tag, wide }: TagView): string {
  const by = cause?.by ? ` by ${cause.by}` : ''
  const source = cause?.from?.name ?? ''
  const from = source === '' ? '' : ` from ${wide ? source : shortDigests(source)}`
  const client = cause?.client ? ` with ${wide ? cause.client : formatClient(cause.client)}` : ''
  const reason = cause?.reason ? ` (${cause.reason})` : ''
  const resumed = isResumed(cause, tag.hold) ? '; no longer held' : ''
  return `revision ${revision}: ${formatCause(cause)}${by}${from}${client}${reason}${resumed}`
}

function holdLines({ tag, source, nowMs, wide }: TagView): string[] {
  if (tag.hold === undefined) return []
  const { candidate } = tag.hold
  const ahead = source?.image === tag.image ? undefined : source?.image
  return [
    `! ${describeHold(tag.hold, nowMs)}`,
    ...(candidate === undefined || candidate.image === ahead
      ? []
      : [`  it would have moved to ${candidateText(candidate, { nowMs, wide })}`]),
    ...(ahead === undefined ? [] : [`  ${sourceText(tag)} stands at ${digestText({ wide }, ahead)} meanwhile`]),
    `  to let it move again: weir resume ${formatStreamReference(tag)}`,
  ]
}

function candidateLines(view: TagView): string[] {
  const { tag, check, isImmutable, nowMs } = view
  const candidate = candidateOf(tag.wanted?.annotations)
  if (candidate === undefined) return []
  const text = candidateText(candidate, view)
  const minAge = tag.wanted?.annotations?.[minAgeAnnotation]
  if (isImmutable || minAge === undefined) return [`! is immutable: it would have moved to ${text}`]
  const dueAt = check?.candidate?.dueAt
  const isDue = dueAt !== undefined && Date.parse(dueAt) <= nowMs
  const when =
    dueAt === undefined ? `when that is ${minAge} old` : isDue ? 'at the next check' : formatComing(dueAt, nowMs)
  return [
    `~ its upstream points to ${text}`,
    `  it moves there ${when}, if its upstream still points there (${minAgeAnnotation}: ${minAge})`,
    `  to move it now: weir import-image ${formatStreamReference(tag)}`,
  ]
}

function candidateText({ image, seenAt }: Candidate, { nowMs, wide }: Pick<TagView, 'nowMs' | 'wide'>): string {
  return `${digestText({ wide }, image)}${seenAt === undefined ? '' : `, first seen ${formatMoment(seenAt, nowMs)}`}`
}

function importLines(view: TagView): string[] {
  const { tag, nowMs } = view
  const { isPending, failure, from, project, image } = tag
  const source = from?.name ?? 'its source'
  if (isPending) return [`~ ${source} is being imported, or waits for it`, ...goesOn(view)]
  if (failure === undefined) return []
  const { reason = 'Unknown', message = '', lastTransitionTime } = failure
  const since = lastTransitionTime === undefined ? '' : ` since ${formatMoment(lastTransitionTime, nowMs)}`
  if (reason === incompleteReason) return [`! waits to move${since}: ${message}`, ...goesOn(view)]
  if (isFollowingAcross(tag)) return [`! does not move along${since}: ${reason}: ${message}`, ...goesOn(view)]
  const called = formatStreamReference(tag)
  const steps = nextSteps(reason, { project, from: source, tracking: trackingOf(tag) })
  return [
    `! import fails${since}: ${reason}: ${message}`,
    ...steps.map((step) => `  ${step}`),
    `  to try again: weir import-image ${called}`,
    ...(image === undefined ? ['  there is nothing to pull until it succeeds'] : goesOn(view)),
  ]
}

/** Of a tag that stands at an image, what is said of its content has all of it. */
function awaitLines({ tag, content, wide }: TagView): string[] {
  const message = tag.awaits?.message
  if (message === undefined || content !== undefined) return []
  return [`~ ${wide ? message : shortDigests(message)}`]
}

function goneLines({ tag, nowMs, wide }: TagView): string[] {
  if (tag.gone === undefined) return []
  const { message = 'no upstream has this image any more', lastTransitionTime } = tag.gone
  const since = lastTransitionTime === undefined ? '' : ` since ${formatMoment(lastTransitionTime, nowMs)}`
  return [`! gone upstream${since}: ${wide ? message : shortDigests(message)}`]
}

function goesOn(view: TagView): string[] {
  if (view.tag.image === undefined) return []
  const revision = inForce(view)?.revision
  return [`  pulls go on from ${revision === undefined ? digestText(view, view.tag.image) : `revision ${revision}`}`]
}
