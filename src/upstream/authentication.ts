import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { atMost } from '../oci/at-most.ts'
import { parseChallenges } from '../oci/challenge.ts'
import { RegistryError } from '../oci/errors.ts'
import { unlessAborted } from './abort.ts'
import { basicAuthorization } from './credentials.ts'
import { createCredentialOrder } from './credentials-order.ts'
import { type Refusal, refusedFailure, type Subject } from './failure.ts'
import type { TokenCredential, Tokens } from './tokens.ts'
import type { Answer, Transport } from './transport.ts'
import type { Credential, CredentialsFor } from './upstream.ts'

/** What is asked for and on whose behalf. */
export interface Target extends Subject {
  project: string
  projectUid?: string | undefined
  /** Where the registry's API is. */
  origin: URL
  signal: AbortSignal | undefined
}

/** How requests go out; `login` is the id of the login that pays for them, undefined for nobody's. */
export interface Sending<A extends Answer> {
  /** Sends the request with this Authorization header, or without one. */
  send(authorization: string | undefined, login: string | undefined): Promise<A>
  /** Fetches a token, unless a request with that login would not be let out. */
  granted<T>(login: string | undefined, fetch: () => Promise<T>): Promise<T>
  /** Hears whether a login was taken: `refusedWith` is the status of who said that it is none. */
  loggedIn(login: string, refusedWith: number | undefined): void
}

export interface Authentication {
  /**
   * Sends a request as the registry's challenge asks: with each login in turn that the project may use there, at last
   * with none, until one is not refused. Answers other than 401 and 403 are the caller's matter.
   *
   * @throws RegistryError DENIED when all were refused
   */
  authorized<A extends Answer>(target: Target, sending: Sending<A>): Promise<A>
}

export interface AuthenticationOptions {
  tokens: Tokens
  transport: Transport
  credentialsFor: CredentialsFor
  log: Logger
  now: () => number
}

/** What came of a login that was refused; `isStale`: it may have been good once, and been replaced; `hasEnded`: so it was told. */
interface Refused {
  refused: number
  isStale: boolean
  hasEnded?: boolean
}

type Scheme = { kind: 'basic' } | { kind: 'bearer'; realm: string; service: string | undefined }

/** How long a registry's challenge is taken for granted, so that later requests come with a token at once. */
const challengeLifetimeMs = 3600 * 1000
/** A kept token, a fresh one, and one more if the registry named another token endpoint in between. */
const maxTokens = 3

export function createAuthentication(options: AuthenticationOptions): Authentication {
  const { tokens, transport, credentialsFor, log, now } = options
  const schemes = new LRUCache<string, { scheme: Scheme; expiresAt: number }>(atMost(1000))
  const order = createCredentialOrder(now)

  function remember(target: Target, scheme: Scheme): void {
    schemes.set(target.origin.origin, { scheme, expiresAt: now() + challengeLifetimeMs })
  }

  async function challengeOf(target: Target, answer: Answer): Promise<Scheme | undefined> {
    const told = schemeOf(answer)
    if (told !== undefined) return told
    // Some registries challenge at their root alone.
    return challengeAtRoot(target)
  }

  async function challengeAtRoot(target: Target): Promise<Scheme | undefined> {
    return schemeOf(await root(target))
  }

  async function root({ host, origin, signal }: Target, authorization?: string): Promise<Answer> {
    const ask = { host, url: new URL('/v2/', origin), method: 'GET', redirects: 'none', authorization, signal } as const
    const answer = await transport.open(ask)
    answer.discard()
    return answer
  }

  async function withToken<A extends Answer>(
    target: Target,
    scheme: Scheme & { kind: 'bearer' },
    credential: TokenCredential | undefined,
    { send, granted }: Sending<A>,
  ): Promise<A | Refused> {
    const { host, origin, repository, isPush } = target
    const actions = isPush ? 'pull,push' : 'pull'
    let { realm, service } = scheme
    let stale: string | undefined
    for (let attempt = 1; ; attempt++) {
      // The scope is made from what is asked for: a challenge can not widen it to another repository.
      const wanted = { host, origin, realm, service, scope: `repository:${repository}:${actions}`, credential }
      const after = stale
      const grant = await granted(credential?.id, () => unlessAborted(tokens.get(wanted, after), target.signal))
      if ('refused' in grant) {
        const { refused } = grant
        // An endpoint says no more of a refresh token than that (RFC 6749 5.2, invalid_grant).
        const hasEnded =
          credential !== undefined && 'identityToken' in credential && (refused === 400 || refused === 401)
        return { refused, isStale: refused === 401 || hasEnded, hasEnded }
      }
      const answer = await send(`Bearer ${grant.token}`, credential?.id)
      if (!isRefusal(answer)) return answer
      answer.discard()
      const told = schemeOf(answer)
      // Harbor asks for Basic once it was sent a token: that is no new way in.
      const moved = told?.kind === 'bearer' && (told.realm !== realm || told.service !== service) ? told : undefined
      if (attempt >= maxTokens || (grant.fresh && moved === undefined)) return refusalOf(answer)
      stale = grant.token
      if (moved === undefined) continue
      remember(target, moved)
      realm = moved.realm
      service = moved.service
    }
  }

  async function attempt<A extends Answer>(
    target: Target,
    scheme: Scheme,
    credential: Credential | undefined,
    sending: Sending<A>,
  ): Promise<A | Refused> {
    const isOwnToken = credential !== undefined && 'registryToken' in credential
    if (scheme.kind === 'bearer' && !isOwnToken) return withToken(target, scheme, credential, sending)
    const authorization = credential && authorizationOf(credential)
    // What a token endpoint is to exchange is of no use to a registry that has none.
    if (credential !== undefined && authorization === undefined) return { refused: 401, isStale: false }
    const answer = await sending.send(authorization, credential?.id)
    if (!isRefusal(answer)) return answer
    answer.discard()
    const refusal = refusalOf(answer)
    // Who is refused a HEAD is not told why.
    const isUntold = answer.status === 403 && answer.isLoginExpired === undefined && credential?.renewed !== undefined
    return isUntold ? { ...refusalOf(await root(target, authorization)), refused: refusal.refused } : refusal
  }

  async function inTurn<A extends Answer>(target: Target, scheme: Scheme, sending: Sending<A>): Promise<A> {
    const { host, repository, project, projectUid, origin, isPush } = target
    // A login that may pull need not be one that may push.
    const key = JSON.stringify([origin.origin, project, repository, ...(isPush ? ['push'] : [])])
    const refused: Credential[] = []
    const refusals: Refusal[] = []
    for await (const credential of order.of(key, credentialsFor(project, host, repository, projectUid))) {
      let outcome = await attempt(target, scheme, credential, sending)
      if ('refused' in outcome && outcome.isStale && credential?.renewed !== undefined) {
        const renewed = await unlessAborted(credential.renewed(), target.signal)
        if (renewed !== undefined) outcome = await attempt(target, scheme, renewed, sending)
      }
      if (!('refused' in outcome)) {
        if (credential !== undefined) sending.loggedIn(credential.id, undefined)
        order.accepted(key, credential, refused)
        return outcome
      }
      const status = outcome.refused
      // 403 may be about this repository alone.
      if (credential !== undefined && outcome.isStale) sending.loggedIn(credential.id, status)
      const login = credential && (credential.title ?? `login ${credential.id}`)
      refusals.push({ login, status, hasEnded: outcome.hasEnded === true })
      if (credential === undefined) continue
      log.warn({ host, repository, project, login: credential.id, status }, 'upstream refused a login')
      refused.push(credential)
    }
    throw refusedFailure(target, project, refusals)
  }

  return {
    async authorized(target, sending) {
      const known = schemes.get(target.origin.origin)
      if (known !== undefined && known.expiresAt > now()) {
        return inTurn(target, known.scheme, sending).catch((error: unknown) => {
          // The registry may have changed its ways: the next request asks for them again.
          if (!isUnsent(error)) schemes.delete(target.origin.origin)
          throw error
        })
      }
      const answer = await sending.send(undefined, undefined).catch((error: unknown) => {
        if (isUnsent(error)) return error
        throw error
      })
      if (answer instanceof RegistryError) {
        // Nobody without a login is let out now: who has one may be.
        const scheme = await challengeAtRoot(target)
        if (scheme === undefined) throw answer
        remember(target, scheme)
        return inTurn(target, scheme, sending)
      }
      if (!isRefusal(answer)) return answer
      answer.discard()
      const scheme = await challengeOf(target, answer)
      if (scheme === undefined) {
        throw refusedFailure(target, target.project, [{ login: undefined, status: answer.status }])
      }
      remember(target, scheme)
      return inTurn(target, scheme, sending)
    },
  }
}

function refusalOf({ status, isLoginExpired = false }: Answer): Refused {
  return { refused: status, isStale: status === 401 || isLoginExpired, hasEnded: isLoginExpired }
}

/** What is sent to the registry itself; undefined where its token endpoint alone can make something of a login. */
function authorizationOf(credential: Credential): string | undefined {
  if ('registryToken' in credential) return `Bearer ${credential.registryToken}`
  return 'password' in credential ? basicAuthorization(credential) : undefined
}

/** Whether a request was not sent: a registry's own 429 is an answer. */
function isUnsent(error: unknown): error is RegistryError {
  return error instanceof RegistryError && error.upstream?.reason === 'TooManyRequests'
}

function isRefusal(answer: Answer): boolean {
  return !answer.foreign && (answer.status === 401 || answer.status === 403)
}

/** The way in that an answer names: Bearer before Basic, others are not spoken. */
function schemeOf(answer: Answer): Scheme | undefined {
  if (answer.foreign) return undefined
  const challenges = parseChallenges(answer.headers['www-authenticate'])
  const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.has('realm'))
  if (bearer !== undefined) {
    return { kind: 'bearer', realm: bearer.parameters.get('realm') ?? '', service: bearer.parameters.get('service') }
  }
  return challenges.some(({ scheme }) => scheme === 'basic') ? { kind: 'basic' } : undefined
}
