import { parseDigest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { maxManifestBytes } from '../oci/media-types.ts'
import { isNameComponent, isTag } from '../oci/reference.ts'
import type { Authentication } from './authentication.ts'
import type { Budgets, Payer, Purpose, RequestKind, Slot } from './budget.ts'
import { type Subject, statusFailure } from './failure.ts'
import type { Origins } from './origins.ts'
import { type RetryPolicy, retried } from './retry.ts'
import type { Answer, Ask, OpenAnswer, Transport, WholeAnswer } from './transport.ts'
import type { UpstreamRepository } from './upstream.ts'

/** A request for one manifest or blob, or for a page of a repository's tags or of what refers to a digest; or to take a manifest or blob. */
export interface Want extends Pick<Ask, 'method' | 'headers' | 'redirects' | 'isBodyHarmless' | 'signal'> {
  from: UpstreamRepository
  kind: Subject['kind']
  /** A digest or, of a manifest, a tag; of tags `list`. Of referrers their subject. */
  reference: string
  /** With its question mark. */
  query?: string
  /** Asks for the right to push besides that to pull. */
  isPush?: boolean
}

/** Sends requests with the right login, as often as it takes. */
export interface Exchange {
  /** Reads the body of a 200, up to the size of a manifest. */
  whole(want: Want): Promise<WholeAnswer>
  /** The body is the caller's to read or to discard. */
  open(want: Want): Promise<OpenAnswer>
  /**
   * Pushes what one or several requests bring there, `attempt` made from the start each time: it gives the first answer that decides.
   * All requests of an attempt go with the login that it is handed.
   */
  pushed(want: Want, attempt: (ask: Ask, push: Transport['push']) => Promise<Answer>): Promise<Answer>
  /** Lets go of an answer that is not the one wanted, and makes the error for it. */
  unexpected(want: Want, answer: Answer): RegistryError
}

export interface ExchangeOptions {
  transport: Transport
  origins: Origins
  authentication: Authentication
  budgets: Budgets
  /** For whom all its requests are. */
  purpose: Purpose
  retry: RetryPolicy
  now: () => number
}

export function createExchange(options: ExchangeOptions): Exchange {
  const { transport, origins, authentication, budgets, purpose, retry, now } = options

  // Who can wait does not ask again what was just answered 429.
  const policy: RetryPolicy = purpose.isBackground ? { ...retry, retriesThrottled: false } : retry

  /** Who can wait does not look again and again for a registry that is not there. */
  async function found(host: string, asked: RequestKind, signal: AbortSignal | undefined): Promise<URL> {
    const nobody: Payer = { host, credential: undefined }
    budgets.require(nobody, purpose, asked)
    try {
      return await origins.of(host, signal)
    } catch (error) {
      if (isUnreachable(error)) budgets.failed(nobody, error)
      throw error
    }
  }

  async function send<A extends Answer>(want: Want, request: (ask: Ask) => Promise<A>): Promise<A> {
    const { from, method, headers, redirects, isBodyHarmless, signal } = want
    const subject = subjectOf(want)
    const asked: RequestKind = { method, kind: subject.kind }
    const origin = origins.known(from.host) ?? (await found(from.host, asked, signal))
    const url = new URL(`/v2/${subject.repository}/${pathOf(subject)}`, origin)
    if (want.query !== undefined) url.search = want.query
    const ask: Ask = {
      host: from.host,
      url,
      method,
      signal,
      ...(headers && { headers }),
      ...(redirects && { redirects }),
      ...(isBodyHarmless && { isBodyHarmless }),
    }
    const { project, projectUid } = from
    return authentication.authorized<A>(
      { ...subject, project, projectUid, origin, signal },
      {
        async send(authorization, login) {
          const entered = budgets.enter({ host: from.host, credential: login }, purpose, asked, signal)
          const slot = entered instanceof Promise ? await entered : entered
          try {
            return await retried(policy, now, signal, () => told(slot, asked, request({ ...ask, authorization })))
          } finally {
            slot.release()
          }
        },
        async granted(login, fetch) {
          const payer: Payer = { host: from.host, credential: login }
          budgets.require(payer, purpose, asked)
          try {
            return await fetch()
          } catch (error) {
            if (isThrottled(error)) budgets.throttled(payer, error)
            throw error
          }
        },
        loggedIn: (login, refusedWith) => budgets.loggedIn({ host: from.host, credential: login }, refusedWith),
      },
    )
  }

  return {
    whole: (want) => send(want, (ask) => transport.whole(ask, maxManifestBytes)),
    open: (want) => send(want, transport.open),
    pushed: (want, attempt) => send({ ...want, isPush: true }, (ask) => attempt(ask, transport.push)),
    unexpected(want, answer) {
      answer.discard()
      return statusFailure(subjectOf(want), answer, answer.url.host, now())
    },
  }
}

/** Tells the budget what came of a request. */
async function told<A extends Answer>(slot: Slot, { kind }: RequestKind, request: Promise<A>): Promise<A> {
  try {
    const answer = await request
    // Who answers after a redirect is not the registry, which did answer.
    if (answer.foreign) slot.answered(307, {})
    else slot.answered(answer.status, answer.headers)
    return answer
  } catch (error) {
    // Of a blob it may be another host, where the registry keeps it.
    if (kind !== 'blob' && isUnreachable(error)) slot.failed(error)
    throw error
  }
}

function isUnreachable(error: unknown): error is RegistryError {
  if (!(error instanceof RegistryError)) return false
  return error.upstream?.reason === 'Unreachable' || error.upstream?.reason === 'Tls'
}

function isThrottled(error: unknown): error is RegistryError {
  return error instanceof RegistryError && error.upstream?.reason === 'TooManyRequests'
}

/** @throws TypeError when a name could lead to another path than the one meant */
export function subjectOf({ from: { host, repository }, kind, reference, isPush }: Want): Subject {
  if (!repository.split('/').every(isNameComponent)) throw new TypeError(`not a repository: ${repository}`)
  const isMeant = kind === 'tags' ? reference === 'list' : kind === 'manifest' && isTag(reference)
  if (!isMeant && parseDigest(reference) === undefined) throw new TypeError(`not a reference: ${reference}`)
  return { kind, host, repository, reference, ...(isPush && { isPush }) }
}

function pathOf({ kind, reference }: Subject): string {
  if (kind === 'tags') return 'tags/list'
  return kind === 'referrers' ? `referrers/${reference}` : `${kind}s/${reference}`
}
