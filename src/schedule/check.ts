import type { Logger } from 'pino'
import type { Digest } from '../oci/digest.ts'
import { RegistryError, type UpstreamReason } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import { isBudgetRefusal } from '../upstream/budget-refusal.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { Follower, Source } from './sources.ts'

/** What a tag made of what it was told of its source, as `Importer.importScheduled` answers it. */
export type FollowOutcome =
  | { kind: 'unchanged' | 'moved' | 'candidate'; digest: Digest; dueAt?: number }
  | { kind: 'failed'; error: RegistryError }
  | { kind: 'again' }
  | { kind: 'gone' }

export interface CheckSourceOptions {
  upstream: Pick<Upstream, 'onBehalf'>
  /** Lets a tag follow where its source points, or records why that is not known. @throws whatever `signal` aborted with */
  importScheduled(
    name: StreamName,
    tag: string,
    asked: { from: string; told: { digest: Digest } | { failure: RegistryError } },
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
  const { upstream, importScheduled, loginsOf, now, log } = options

  async function told(source: Source, first: Follower, signal: AbortSignal): Promise<Digest | RegistryError> {
    const { project, stream } = first
    const { host, repository, tag, digest } = source.reference
    try {
      const asked = upstream.onBehalf({ isBackground: true, stream: { project, stream } })
      return (await asked.resolve({ host, repository, project }, digest ?? tag ?? 'latest', signal)).digest
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof RegistryError) return error
      log.error({ source: source.key, err: error }, 'a scheduled check failed unexpectedly')
      return new RegistryError('UNKNOWN', { message: 'internal error; the log of the server has it' })
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
    answer: Digest | RegistryError,
    signal: AbortSignal,
  ): Promise<{ again?: true; moved?: boolean; dueAt?: number; failure?: RegistryError }> {
    const { tag, record } = follower
    const settled = answer instanceof RegistryError ? answer.message : answer
    if (follower.settled === settled) return {}
    delete follower.settled
    const asked = answer instanceof RegistryError ? { failure: answer } : { digest: answer }
    const outcome = await importScheduled(follower, tag, { from: record.from, told: asked }, signal)
    delete follower.failure
    if (outcome.kind === 'gone') {
      await options.dropFollower(follower)
      return {}
    }
    if (outcome.kind === 'again') return { again: true }
    if (outcome.kind === 'failed') {
      if (answer instanceof RegistryError) {
        follower.settled = settled
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

  return async (source, signal) => {
    const checked: Checked = { again: false }
    const failures = (source.last?.failures ?? 0) + 1
    let digest: Digest | undefined
    for (const group of await byLogins(source)) {
      const [first] = group
      if (first === undefined) continue
      const answer = await told(source, first, signal)
      if (answer instanceof RegistryError) checked.failure = worse(checked.failure, answer)
      else digest = answer
      // Nothing was learned, and no tag has to hear of it.
      if (isBudgetRefusal(answer)) continue
      if (answer instanceof RegistryError && isPassing(answer) && !isTold(answer, failures)) continue
      for (let start = 0; start < group.length; start += concurrency) {
        const some = group.slice(start, start + concurrency)
        const outcomes = await Promise.all(some.map((follower) => letFollow(source, follower, answer, signal)))
        for (const { again, moved, dueAt, failure } of outcomes) {
          checked.again ||= again === true
          checked.moved ||= moved === true
          if (dueAt !== undefined) checked.dueAt = Math.min(checked.dueAt ?? dueAt, dueAt)
          if (failure !== undefined) checked.failure = worse(checked.failure, failure)
        }
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
