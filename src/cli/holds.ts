import { formatMoment } from './ages.ts'
import type { Condition, TagEvent } from './api.ts'

/** Read-only annotation of a tag that a rollback holds. */
export const holdAnnotation = 'weir.dev/hold'

/** Read-only annotation of a tag that is not held and that something would have moved. */
export const candidateAnnotation = 'weir.dev/candidate'

/** Why a tag stands still, as far as the server says. */
export interface Hold {
  revision?: number
  by?: string
  /** RFC 3339. */
  at?: string
  reason?: string
  /** What the tag would have moved to since. */
  candidate?: Candidate
  /** What the server says of it, in place of the revision, who and why. */
  said?: string
}

/** The hold that a tag's annotations tell of; undefined when it is not held. */
export function holdOf(annotations: Readonly<Record<string, string>> | null | undefined): Hold | undefined {
  const text = annotations?.[holdAnnotation]
  return text === undefined ? undefined : parseHold(text)
}

/** The hold that a tag's conditions tell of, as of one that was only ever pushed and has no annotations. */
export function heldBy(conditions: readonly Condition[] | null | undefined): Hold | undefined {
  const { message, lastTransitionTime } =
    conditions?.find(({ type, status }) => type === 'Held' && status === 'True') ?? {}
  return message === undefined ? undefined : { said: message, ...(lastTransitionTime && { at: lastTransitionTime }) }
}

/** Where a tag would have moved that does not, or not yet. */
export interface Candidate {
  /** Digest. */
  image: string
  /** When it was first seen, RFC 3339. */
  seenAt: string | undefined
}

/** Where a tag that is not held would have moved, as its annotations tell; undefined when nothing would have moved it. */
export function candidateOf(annotations: Readonly<Record<string, string>> | null | undefined): Candidate | undefined {
  return readCandidate(parseObject(annotations?.[candidateAnnotation] ?? ''))
}

function readCandidate(value: unknown): Candidate | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { image, seenAt } = value as { image?: unknown; seenAt?: unknown }
  return typeof image === 'string' ? { image, seenAt: typeof seenAt === 'string' ? seenAt : undefined } : undefined
}

/** `held since ... by jane (bad build)`; with `nowMs` also at which revision, and how long ago that was. */
export function describeHold({ revision, at, by, reason, said }: Hold, nowMs?: number): string {
  const parts = [
    said ?? 'held',
    nowMs !== undefined && revision !== undefined && `at revision ${revision}`,
    at !== undefined && `since ${nowMs === undefined ? at : formatMoment(at, nowMs)}`,
    by !== undefined && `by ${by}`,
    reason !== undefined && `(${reason})`,
  ]
  return parts.filter((part) => part !== false).join(' ')
}

/** Whether a tag that a rollback brought to where it stands may move again: somebody resumed it, which is no revision. */
export function isResumed(cause: TagEvent['cause'], hold: Hold | undefined): boolean {
  return cause?.kind === 'rollback' && hold === undefined
}

// A server of another version may write another form: the tag is held all the same.
function parseHold(text: string): Hold {
  const { revision, by, at, reason, candidate } = parseObject(text)
  const ahead = readCandidate(candidate)
  return {
    ...(typeof revision === 'number' && { revision }),
    ...(typeof by === 'string' && { by }),
    ...(typeof at === 'string' && { at }),
    ...(typeof reason === 'string' && { reason }),
    ...(ahead !== undefined && { candidate: ahead }),
  }
}

function parseObject(text: string): { [field in keyof Hold]: unknown } {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
