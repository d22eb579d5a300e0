/** How the upstreams of scheduled tags are looked at, as the server tells it. */

import { formatComing, formatMoment } from './ages.ts'
import { type ApiObject, resources } from './api.ts'
import type { Client } from './client.ts'
import { isForbidden, isNotFound } from './failures.ts'
import { formatStreamReference, type TagName } from './references.ts'

/** A TagCheck of `weir.dev/v1`. Times are RFC 3339. */
export interface TagCheck extends ApiObject {
  stream?: string
  tag?: string
  from?: string
  /** Between two checks, as `15m`. */
  interval?: string
  lastCheck?: {
    time?: string
    result?: string
    image?: string
    /** The tag of the upstream that a tracking policy chose. */
    chosen?: string
    /** Of a stream that follows a whole repository: its tags there, those that the check brought, and those beyond the most. */
    tags?: number
    newTags?: number
    additionalTags?: number
    reason?: string
    message?: string
    failures?: number
  } | null
  nextCheck?: string
  delayedBy?: string
  candidate?: { image?: string; seenAt?: string; dueAt?: string } | null
  /** Why its import waits. */
  importWaits?: { until?: string; reason?: string; message?: string } | null
}

/** What a tag waits for beyond its own time. */
const delays: Readonly<Record<string, string>> = {
  Backoff: 'later each time that it fails',
  TooManyRequests: 'its registry asked to be left alone until then',
  Budget: 'put off, since its registry could be asked no more in the background (administrators: weir upstreams)',
}

/** The check of a tag; undefined of one that is not scheduled, and for who may not read it. */
export async function readCheck(client: Client, { project, stream, tag }: TagName): Promise<TagCheck | undefined> {
  return unlessAbsent(client.request<TagCheck>('GET', { ...place(project), name: `${stream}:${tag}` }), undefined)
}

/** The checks of a stream, a project or of all, by `project/stream:tag`; none for who may not read them. */
export async function readChecks(
  client: Client,
  { project, stream }: { project?: string | undefined; stream?: string | undefined },
): Promise<ReadonlyMap<string, TagCheck>> {
  const query = stream === undefined ? {} : { query: { fieldSelector: `stream=${stream}` } }
  const { items } = await unlessAbsent(client.list<TagCheck>(place(project), query), { items: [] })
  return new Map(
    items.map((check) => {
      const { stream: streamName = '', tag = '', metadata } = check
      return [formatStreamReference({ project: metadata?.namespace ?? '', stream: streamName, tag }), check]
    }),
  )
}

/** What came of the last check, and when the next is. */
export function checkLines({ lastCheck, nextCheck, delayedBy, importWaits }: TagCheck, nowMs: number): string[] {
  const waits = importWaits?.message === undefined ? [] : [`its import waits: ${importWaits.message}`]
  const last =
    lastCheck?.time === undefined
      ? waits
      : [...waits, `last check ${formatMoment(lastCheck.time, nowMs)}: ${outcome(lastCheck)}`]
  if (nextCheck === undefined) return last
  const why = delayedBy === undefined ? '' : `: ${delays[delayedBy] ?? delayedBy}`
  return [...last, `next check ${nextText(nextCheck, nowMs)}${why}`]
}

function nextText(nextCheck: string, nowMs: number): string {
  return Date.parse(nextCheck) < nowMs ? `waits for its turn since ${nextCheck}` : formatComing(nextCheck, nowMs)
}

function outcome(last: NonNullable<TagCheck['lastCheck']>): string {
  const { result, chosen, reason, message, failures = 0 } = last
  const of = chosen === undefined ? foundText(last) : `, chosen ${chosen}`
  switch (result) {
    case 'New':
      return `${last.newTags ?? 0} new${of}`
    case 'Unchanged':
      return `unchanged${of}`
    case 'Moved':
      return `moved${of}`
    case 'Candidate':
      return `found another image, and the tag stays${of}`
    case 'Failed':
      return `failed${failures > 1 ? ` for the ${ordinal(failures)} time` : ''}: ${[reason ?? 'Unknown', message].filter(Boolean).join(': ')}`
    default:
      return result ?? 'unknown'
  }
}

/** How many tags of a repository were found. */
function foundText({ tags, additionalTags = 0 }: NonNullable<TagCheck['lastCheck']>): string {
  if (tags === undefined) return ''
  return `, ${tags} tags${additionalTags > 0 ? `, and ${additionalTags} more that it does not get (weir.dev/max-tags)` : ''}`
}

function ordinal(count: number): string {
  const isTeen = Math.trunc(count / 10) % 10 === 1
  const ending = isTeen ? undefined : { 1: 'st', 2: 'nd', 3: 'rd' }[count % 10]
  return `${count}${ending ?? 'th'}`
}

function place(project: string | undefined) {
  return { resource: resources.tagChecks, ...(project === undefined ? {} : { project }) }
}

/** A server of another version may have none of it. */
async function unlessAbsent<T, const D>(answer: Promise<T>, otherwise: D): Promise<T | D> {
  try {
    return await answer
  } catch (error) {
    if (isForbidden(error) || isNotFound(error)) return otherwise
    throw error
  }
}
