import type { Digest } from '../oci/digest.ts'
import { RegistryError, type UpstreamReason } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { AllowList } from '../upstream/allow-list.ts'
import { isBudgetRefusal } from '../upstream/budget-refusal.ts'
import type { Upstream } from '../upstream/upstream.ts'
import { createLetFollow, failureOf, type LetFollowOptions } from './follow.ts'
import type { Follower, Resting, Source } from './sources.ts'
import { pauseAfter } from './times.ts'
import { type Answer, askRepository, groupByWanted, tooManyWanted } from './tracking.ts'

export interface CheckSourceOptions extends LetFollowOptions {
  /** The registries that may be asked: the config may have changed since a tag was allowed to follow one. */
  allowed: Pick<AllowList, 'refusalOf'>
  upstream: Pick<Upstream, 'onBehalf'>
  /** Whether a tag waits for an import of its own, which will ask its source. */
  isPending(name: StreamName, tag: string): Promise<boolean>
  /** Names the logins that a project may use somewhere, the same for the same ones alone: who has others is not told what these were. */
  loginsOf(project: string, host: string, repository: string): Promise<string>
}

/** How a source is asked. */
export interface Asking {
  /** Between two checks while they succeed, in milliseconds. */
  intervalMs: number
  /** With the logins of these projects alone; default: of all that follow it. */
  only?: ReadonlySet<string> | undefined
}

/** What came of one check. */
export interface Checked {
  /** The worst that was told where nobody could follow: undefined when all was well, or the source good to somebody. */
  failure?: RegistryError
  /** Somebody is to be asked again soon: the tag changed meanwhile, or its first import is under way. */
  again: boolean
  /** Nobody was asked: the imports that its tags wait for do it, and what one registry may be asked is theirs. */
  isLeft?: true
  /** A tag went along. */
  moved?: boolean
  /** When the first candidate is old enough, in milliseconds since the epoch. */
  dueAt?: number
}

/**
 * Asks where a source points, once for each login of its followers, and lets those follow that do not stand there. Who fails where
 * others do not rests, and keeps nobody waiting.
 */
export type CheckSource = (source: Source, asking: Asking, signal: AbortSignal) => Promise<Checked>

/** What came of those that log in alike. */
interface Asked extends Checked {
  digest?: Digest
  /** Followers that could make of the answer what they want. */
  followed: number
  /** Those that could not, and what of. */
  failed: Map<Follower, { failure: RegistryError; of: string }>
}

/** Tags that follow one source at the same time. */
const concurrency = 4
/** A failure that may pass is a condition of tags after so many in a row; the schedule itself shows it at once. */
const failuresToTell = 3

const passing: ReadonlySet<UpstreamReason> = new Set(['TooManyRequests', 'Unreachable'])

/** Whether a failure may be over by itself. */
export function isPassing({ upstream, code }: RegistryError): boolean {
  if (upstream === undefined) return code === 'UNAVAILABLE' || code === 'TOOMANYREQUESTS'
  // Who gives logins may have one again; a registry that refused one will do so again.
  if (upstream.reason === 'CredentialsExpired') return code === 'UNAVAILABLE'
  return passing.has(upstream.reason)
}

export function createCheckSource(options: CheckSourceOptions): CheckSource {
  const { allowed, upstream, isPending, loginsOf, now, log } = options
  const letFollow = createLetFollow(options)

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
  async function answersFor(source: Source, group: Follower[], signal: AbortSignal): Promise<[Answer, Follower[]][]> {
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
    const { groups, tooMany } = groupByWanted(group)
    const wanted = [...groups.values()].flatMap(([follower]) => (follower === undefined ? [] : [follower.record]))
    try {
      const answers = await askRepository(asked, from, wanted, resolve, signal)
      const answered = [...answers].map(([key, answer]): [Answer, Follower[]] => [answer, groups.get(key) ?? []])
      return tooMany.length === 0 ? answered : [...answered, [tooManyWanted(from), tooMany]]
    } catch (error) {
      return [[{ failure: failureFor(source, signal, error) }, group]]
    }
  }

  /** One question for projects that log in alike, by their login. */
  async function byLogins({ followers, reference }: Source): Promise<Map<string, Follower[]>> {
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
    return groups
  }

  /** Asks for those that log in alike, and lets them follow. */
  async function ask(source: Source, group: Follower[], failures: number, signal: AbortSignal): Promise<Asked> {
    const asked: Asked = { again: false, followed: 0, failed: new Map() }
    for (const [answer, followers] of await answersFor(source, group, signal)) {
      const refused = 'failure' in answer && answer.isOwn !== true ? answer.failure : undefined
      if (refused !== undefined) {
        asked.failure = worse(asked.failure, refused)
        // Nothing was learned, and no tag has to hear of it.
        if (isBudgetRefusal(refused)) continue
      }
      for (const follower of followers) {
        delete follower.isNew
        if (refused !== undefined) follower.failure = failureOf(refused)
      }
      if ('digest' in answer && answer.chosen === undefined) asked.digest = answer.digest
      if (refused !== undefined && isPassing(refused) && !isTold(refused, failures)) continue
      await letAllFollow(source, followers, answer, signal, asked)
      if (refused !== undefined) asked.followed = 0
    }
    return asked
  }

  async function letAllFollow(
    source: Source,
    followers: readonly Follower[],
    answer: Answer,
    signal: AbortSignal,
    asked: Asked,
  ): Promise<void> {
    const of = 'digest' in answer ? answer.digest : ''
    for (let start = 0; start < followers.length; start += concurrency) {
      const some = followers.slice(start, start + concurrency)
      await Promise.all(
        some.map(async (follower) => {
          const { again, moved, dueAt, failure } = await letFollow(source, follower, answer, signal)
          asked.again ||= again === true
          asked.moved ||= moved === true
          if (dueAt !== undefined) asked.dueAt = Math.min(asked.dueAt ?? dueAt, dueAt)
          if (failure === undefined) asked.followed += 1
          else asked.failed.set(follower, { failure, of })
        }),
      )
    }
  }

  async function isLeftToImports({ followers }: Source): Promise<boolean> {
    for (const { project, stream, tag, record, settled } of followers.values()) {
      const isOfImports = settled === undefined && record.all === undefined
      if (!isOfImports || !(await isPending({ project, stream }, tag))) return false
    }
    return true
  }

  return async (source, { intervalMs, only }, signal) => {
    if (await isLeftToImports(source)) return { again: true, isLeft: true }
    const groups = await byLogins(source)
    const logins = source.logins ?? new Map<string, Resting>()
    const failuresOf = (login: string): number => (logins.get(login) ?? source.last)?.failures ?? 0
    const rest = (failures: number, failure: RegistryError): Resting => {
      const pauseMs = Math.max(
        pauseAfter(failures, isPassing(failure), intervalMs, () => 0),
        (failure.retryAfterSeconds ?? 0) * 1000,
      )
      // The source's own times are an interval apart: what ends shortly after one of them would wait for another.
      return { failures, untilMs: now() + pauseMs - intervalMs / 2 }
    }
    const results = new Map<string, Asked>()
    for (const [login, group] of groups) {
      const isMeant = only === undefined || group.some(({ project }) => only.has(project))
      if (!isMeant || (logins.get(login)?.untilMs ?? 0) > now()) continue
      results.set(login, await ask(source, group, failuresOf(login) + 1, signal))
    }
    const all = [...results.values()]
    const isGood = results.size < groups.size || all.some(({ followed }) => followed > 0)
    const checked: Checked = { again: false }
    for (const asked of all) merge(checked, asked, isGood)
    // Whoever logs in otherwise is not told what these were.
    for (const [login, { digest }] of results)
      for (const follower of groups.get(login) ?? []) {
        delete follower.digest
        if (digest !== undefined && groups.size > 1) follower.digest = digest
      }
    const resting = new Map([...logins].filter(([login]) => groups.has(login) && !results.has(login)))
    if (isGood) {
      for (const [login, { failure, failed }] of results) {
        if (failure !== undefined) resting.set(login, rest(failuresOf(login) + 1, failure))
        for (const [follower, { failure, of }] of failed)
          follower.resting = { ...rest((follower.resting?.failures ?? 0) + 1, failure), of }
      }
    }
    if (resting.size > 0) source.logins = resting
    else delete source.logins
    if (isBudgetRefusal(checked.failure) || (isGood && all.every(({ followed }) => followed === 0))) return checked
    const [digest] = groups.size === 1 ? all.map((asked) => asked.digest) : []
    source.last = {
      at: now(),
      ...(digest === undefined ? {} : { digest }),
      ...(checked.failure === undefined ? {} : { failure: failureOf(checked.failure) }),
      failures: checked.failure === undefined ? 0 : (source.last?.failures ?? 0) + 1,
    }
    return checked
  }
}

/** A registry that asks to be left alone says so for certain; what else may pass is given a while. */
function isTold({ upstream }: RegistryError, failures: number): boolean {
  return upstream?.reason === 'TooManyRequests' || failures >= failuresToTell
}

function merge(checked: Checked, { again, moved, dueAt, failure, failed }: Asked, isGood: boolean): void {
  checked.again ||= again
  if (moved === true) checked.moved = true
  if (dueAt !== undefined) checked.dueAt = Math.min(checked.dueAt ?? dueAt, dueAt)
  if (isGood) return
  for (const each of [failure, ...[...failed.values()].map((one) => one.failure)])
    if (each !== undefined) checked.failure = worse(checked.failure, each)
}

/** What is to be waited for longest. */
function worse(one: RegistryError | undefined, other: RegistryError): RegistryError {
  if (one === undefined) return other
  if (isPassing(one) !== isPassing(other)) return isPassing(one) ? one : other
  return (one.retryAfterSeconds ?? 0) >= (other.retryAfterSeconds ?? 0) ? one : other
}
