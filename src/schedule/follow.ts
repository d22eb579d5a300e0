import type { Logger } from 'pino'
import { type Digest, digestOf } from '../oci/digest.ts'
import type { RegistryError } from '../oci/errors.ts'
import { formatImageReference, type StreamName } from '../oci/reference.ts'
import type { ScheduledRecord } from '../streams/records.ts'
import { isBudgetRefusal } from '../upstream/budget-refusal.ts'
import type { CheckFailure, Follower, Source } from './sources.ts'
import type { Answer } from './tracking.ts'

/** What a tag made of what it was told of its source, as `Importer.importScheduled` answers it. */
export type FollowOutcome =
  | { kind: 'unchanged' | 'moved' | 'candidate'; digest: Digest; dueAt?: number }
  | { kind: 'failed'; error: RegistryError }
  | { kind: 'again' }
  | { kind: 'gone' }

/** What a stream made of the tags of the repository that it follows, as `Importer.followRepository` answers it. */
export type RepositoryOutcome =
  | { kind: 'followed'; newTags: number; error?: RegistryError }
  | { kind: 'again'; newTags: number }
  | { kind: 'gone' }

export interface LetFollowOptions {
  /** Lets a tag follow where its source points, or records why that is not known. @throws whatever `signal` aborted with */
  importScheduled(
    name: StreamName,
    tag: string,
    asked: {
      from: string
      track?: string
      chosen?: string
      told: { digest: Digest } | { failure: RegistryError }
      toldAt: number
    },
    signal: AbortSignal,
  ): Promise<FollowOutcome>
  /** Gives a stream the tags of a repository that it does not have. @throws whatever `signal` aborted with */
  followRepository(
    name: StreamName,
    asked: { record: ScheduledRecord; tags: readonly string[] },
    signal: AbortSignal,
  ): Promise<RepositoryOutcome>
  /** Takes out of the index what does not want to be checked any more. */
  dropFollower(follower: Follower): Promise<void>
  now: () => number
  log: Logger
}

/** What came of one follower. */
export interface Following {
  /** It is to be told again soon: it changed meanwhile, or its first import is under way. */
  again?: true
  moved?: boolean
  /** When its candidate is old enough, in milliseconds since the epoch. */
  dueAt?: number
  /** What it was told was good, and it could not follow that. */
  failure?: RegistryError
}

/** Lets one follower of a source make of an answer what it wants of it. Where nothing is new to it, nothing is read or written. */
export type LetFollow = (source: Source, follower: Follower, answer: Answer, signal: AbortSignal) => Promise<Following>

export function createLetFollow(options: LetFollowOptions): LetFollow {
  const { importScheduled, followRepository, dropFollower, now, log } = options

  /** A failure is told of the check alone: the tags of the stream have their own. */
  async function letStreamFollow(
    source: Source,
    follower: Follower,
    answer: Answer,
    signal: AbortSignal,
  ): Promise<Following> {
    if ('failure' in answer) {
      follower.failure = failureOf(answer.failure)
      return {}
    }
    if (!('tags' in answer)) throw new TypeError('a stream that follows a repository is told of tags')
    const { tags, beyond: additionalTags } = answer
    const settled = digestOf([...tags].sort().join(' '))
    follower.found = { tags: tags.length, newTags: 0, additionalTags }
    follower.result = 'Unchanged'
    delete follower.failure
    if (follower.settled === settled) return {}
    const outcome = await followRepository(follower, { record: follower.record, tags }, signal)
    if (outcome.kind === 'gone') {
      await dropFollower(follower)
      return {}
    }
    const { newTags } = outcome
    const moved = newTags > 0
    follower.found.newTags = newTags
    if (moved) follower.result = 'New'
    log.debug({ source: source.key, stream: follower.stream, newTags }, 'a repository that is followed was checked')
    if (outcome.kind === 'again') return { again: true, moved }
    if (outcome.error === undefined) follower.settled = settled
    else follower.failure = failureOf(outcome.error)
    return { moved }
  }

  return async (source, follower, answer, signal) => {
    const { tag, record } = follower
    if ('tags' in answer || record.all !== undefined) return letStreamFollow(source, follower, answer, signal)
    const { from, track } = record
    const settled = 'failure' in answer ? answer.failure.message : answer.digest
    const chosen = 'failure' in answer || answer.chosen === undefined ? undefined : answer.chosen
    if (chosen !== undefined && 'digest' in answer) follower.chosen = { tag: chosen, digest: answer.digest }
    if (follower.settled === settled) {
      if ('digest' in answer) delete follower.failure
      if (follower.result === 'Moved') follower.result = 'Unchanged'
      return {}
    }
    if (follower.resting?.of === settled && follower.resting.untilMs > now()) return {}
    delete follower.settled
    const asked = {
      from,
      ...(track === undefined ? {} : { track }),
      ...(chosen === undefined ? {} : { chosen: formatImageReference({ ...source.reference, tag: chosen }) }),
      told: 'failure' in answer ? { failure: answer.failure } : { digest: answer.digest },
      toldAt: now(),
    }
    const outcome = await importScheduled(follower, tag, asked, signal)
    delete follower.failure
    if (outcome.kind === 'gone') {
      await dropFollower(follower)
      return {}
    }
    if (outcome.kind === 'again') return { again: true }
    if (outcome.kind === 'failed') {
      if ('failure' in answer) {
        follower.settled = settled
        follower.failure = failureOf(outcome.error)
        return {}
      }
      if (!isBudgetRefusal(outcome.error)) follower.failure = failureOf(outcome.error)
      return { failure: outcome.error }
    }
    const { kind, dueAt } = outcome
    delete follower.resting
    follower.result = kind === 'moved' ? 'Moved' : kind === 'candidate' ? 'Candidate' : 'Unchanged'
    if (dueAt !== undefined) return { dueAt }
    follower.settled = settled
    log.debug({ source: source.key, tag, result: follower.result }, 'a scheduled tag was checked')
    return { moved: kind === 'moved' }
  }
}

/** A failure as it is shown. Without a registry's part in it, it is of the project that has no room, of what is wanted, or Weir's own. */
export function failureOf({ upstream, code, message }: RegistryError): CheckFailure {
  return { reason: upstream?.reason ?? ownReasons[code] ?? 'InternalError', message }
}

const ownReasons: Partial<Record<RegistryError['code'], CheckFailure['reason']>> = {
  DENIED: 'QuotaExceeded',
  INVALID: 'Invalid',
  MANIFEST_INVALID: 'Invalid',
}
