import type { Logger } from 'pino'
import type { Digest } from '../oci/digest.ts'
import { RegistryError, type UpstreamReason } from '../oci/errors.ts'
import { formatImageReference, type StreamName } from '../oci/reference.ts'
import type { AllowList } from '../upstream/allow-list.ts'
import { isBudgetRefusal } from '../upstream/budget-refusal.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { Follower, Source } from './sources.ts'
import { type Answer, chooseForAll } from './tracking.ts'

/** What a tag made of what it was told of its source, as `Importer.importScheduled` answers it. */
export type FollowOutcome =
  | { kind: 'unchanged' | 'moved' | 'candidate'; digest: Digest; dueAt?: number }
  | { kind: 'failed'; error: RegistryError }
  | { kind: 'again' }
  | { kind: 'gone' }

export interface CheckSourceOptions {
  /** The registries that may be asked: the config may have changed since a tag was allowed to follow one. */
  allowed: Pick<AllowList, 'refusalOf'>
  upstream: Pick<Upstream, 'onBehalf'>
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
  /** Names the logins that a project may use somewhere, the same for the same ones alone: who has others is not told what these were. */
  loginsOf(project: string, host: string, repository: string): Promise<string>
  /** Takes out of the index what does not want to be checked any more. */
  dropFollower(follower: Follower): Promise<void>
  now: () => number
  log: Logger
}

/** What came of one check. */
export interface Checked {
  /** The worst that was told: undefined when all was well. */
  failure?: RegistryError
  /** Somebody is to be asked again soon: the tag changed meanwhile, or its first import is under way. */
  again: boolean
  /** A tag went along. */
  moved?: boolean
  /** When the first candidate is old enough, in milliseconds since the epoch. */
  dueAt?: number
}

/** Asks where a source points, once for each login of its followers, and lets those follow that do not stand there. */
export type CheckSource = (source: Source, signal: AbortSignal) => Promise<Checked>

/** Tags that follow one source at the same time. */
const concurrency = 4
/** A failure that may pass is a condition of tags after so many in a row; the schedule itself shows it at once. */
const failuresToTell = 3

const passing: ReadonlySet<UpstreamReason> = new Set(['TooManyRequests', 'Unreachable'])

/** Whether a failure may be over by itself. */
export function isPassing({ upstream, code }: RegistryError): boolean {
  return upstream === undefined ? code === 'UNAVAILABLE' || code === 'TOOMANYREQUESTS' : passing.has(upstream.reason)
}

export function createCheckSource(options: CheckSourceOptions): CheckSource {
  const { allowed, upstream, importScheduled, loginsOf, now, log } = options

  async function answered(source: Source, signal: AbortSignal, ask: () => Promise<Digest>): Promise<Answer> {
    try {
      return { digest: await ask() }
    } catch (error) {
      return { failure: failureFor(source, signal, error) }
    }
  }

  /** @throws whatever `signal` aborted with */
  function failureFor({ key }: Source, signal: AbortSignal, error: unknown): RegistryError {
    signal.throwIfAborted()
    if (error instanceof RegistryError) return error
    log.error({ source: key, err: error }, 'a scheduled check failed unexpectedly')
    return new RegistryError('UNKNOWN', { message: 'internal error; the log of the server has it' })
  }

  /** What followers that log in alike are answered, and who of them is. */
  async function told(source: Source, group: Follower[], signal: AbortSignal): Promise<[Answer, Follower[]][]> {
    const [first] = group
    if (first === undefined) return []
    const { project, stream } = first
    const { host, repository, tag, digest } = source.reference
    const refusal = allowed.refusalOf(host)
    if (refusal !== undefined) {
      const failure = new RegistryError('DENIED', { message: refusal, upstream: { host, reason: 'NotAllowed' } })
      return [[{ failure }, group]]
    }
    const from = { host, repository, project }
    const asked = upstream.onBehalf({ isBackground: true, stream: { project, stream } })
    const resolve = (reference: string): Promise<Answer> =>
      answered(source, signal, async () => (await asked.resolve(from, reference, signal)).digest)
    const named = digest ?? tag
    if (named !== undefined) return [[await resolve(named), group]]
    const byTrack = Map.groupBy(group, ({ record }) => record.track ?? '')
    try {
      const answers = await chooseForAll(asked, from, new Set(byTrack.keys()), resolve, signal)
      return [...answers].map(([track, answer]) => [answer, byTrack.get(track) ?? []])
    } catch (error) {
      return [[{ failure: failureFor(source, signal, error) }, group]]
    }
  }

  /** One question for projects that log in alike. */
  async function byLogins({ followers, reference }: Source): Promise<Follower[][]> {
    const { host, repository } = reference
    const logins = new Map<string, string>()
    const groups = new Map<string, Follower[]>()
    for (const follower of followers.values()) {
      const { project } = follower
      const login = logins.get(project) ?? (await loginsOf(project, host, repository))
      logins.set(project, login)
      const group = groups.get(login)
      if (group === undefined) groups.set(login, [follower])
      else group.push(follower)
    }
    return [...groups.values()]
  }

  async function letFollow(
    source: Source,
    follower: Follower,
    answer: Answer,
    signal: AbortSignal,
  ): Promise<{ again?: true; moved?: boolean; dueAt?: number; failure?: RegistryError }> {
    const { tag, record } = follower
    const { from, track } = record
    const settled = 'failure' in answer ? answer.failure.message : answer.digest
    const chosen = 'failure' in answer || answer.chosen === undefined ? undefined : answer.chosen
    if (chosen !== undefined && 'digest' in answer) follower.chosen = { tag: chosen, digest: answer.digest }
    if (follower.settled === settled) return {}
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
      await options.dropFollower(follower)
      return {}
    }
    if (outcome.kind === 'again') return { again: true }
    if (outcome.kind === 'failed') {
      if ('failure' in answer) {
        follower.settled = settled
        if (answer.isOwn === true) follower.failure = failureOf(outcome.error)
        return {}
      }
      if (!isBudgetRefusal(outcome.error)) follower.failure = failureOf(outcome.error)
      return { failure: outcome.error }
    }
    const { kind, dueAt } = outcome
    follower.result = kind === 'moved' ? 'Moved' : kind === 'candidate' ? 'Candidate' : 'Unchanged'
    if (dueAt !== undefined) return { dueAt }
    follower.settled = settled
    log.debug({ source: source.key, tag, result: follower.result }, 'a scheduled tag was checked')
    return { moved: kind === 'moved' }
  }

  async function letAllFollow(
    source: Source,
    followers: readonly Follower[],
    answer: Answer,
    signal: AbortSignal,
    checked: Checked,
  ): Promise<void> {
    for (let start = 0; start < followers.length; start += concurrency) {
      const some = followers.slice(start, start + concurrency)
      const outcomes = await Promise.all(some.map((follower) => letFollow(source, follower, answer, signal)))
      for (const { again, moved, dueAt, failure } of outcomes) {
        checked.again ||= again === true
        checked.moved ||= moved === true
        if (dueAt !== undefined) checked.dueAt = Math.min(checked.dueAt ?? dueAt, dueAt)
        if (failure !== undefined) checked.failure = worse(checked.failure, failure)
      }
    }
  }

  return async (source, signal) => {
    const checked: Checked = { again: false }
    const failures = (source.last?.failures ?? 0) + 1
    let digest: Digest | undefined
    for (const group of await byLogins(source)) {
      for (const [answer, followers] of await told(source, group, signal)) {
        if ('digest' in answer && answer.chosen === undefined) digest = answer.digest
        if ('failure' in answer && answer.isOwn !== true) {
          checked.failure = worse(checked.failure, answer.failure)
          // Nothing was learned, and no tag has to hear of it.
          if (isBudgetRefusal(answer.failure)) continue
          if (isPassing(answer.failure) && !isTold(answer.failure, failures)) continue
        }
        await letAllFollow(source, followers, answer, signal, checked)
      }
    }
    if (isBudgetRefusal(checked.failure)) return checked
    source.last = {
      at: now(),
      ...(digest === undefined ? {} : { digest }),
      ...(checked.failure === undefined ? {} : { failure: failureOf(checked.failure) }),
      failures: checked.failure === undefined ? 0 : failures,
    }
    return checked
  }
}

export function failureOf({ upstream, message }: RegistryError): NonNullable<Follower['failure']> {
  return { reason: upstream?.reason ?? 'InternalError', message }
}

/** A registry that asks to be left alone says so for certain; what else may pass is given a while. */
function isTold({ upstream }: RegistryError, failures: number): boolean {
  return upstream?.reason === 'TooManyRequests' || failures >= failuresToTell
}

/** What is to be waited for longest. */
function worse(one: RegistryError | undefined, other: RegistryError): RegistryError {
  if (one === undefined) return other
  if (isPassing(one) !== isPassing(other)) return isPassing(one) ? one : other
  return (one.retryAfterSeconds ?? 0) >= (other.retryAfterSeconds ?? 0) ? one : other
}
