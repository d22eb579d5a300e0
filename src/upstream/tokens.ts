import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import type { RegistryError } from '../oci/errors.ts'
import { basicAuthorization, fingerprint } from './credentials.ts'
import { upstreamFailure } from './failure.ts'
import type { Hosts } from './hosts.ts'
import { trustedRealm } from './realm-trust.ts'
import { type RetryPolicy, retried } from './retry.ts'
import { retryAfterMs } from './retry-after.ts'
import type { Ask, Transport, WholeAnswer } from './transport.ts'
import type { Credential, TokenLogin } from './upstream.ts'

/** A login that a token endpoint gives tokens for. */
export type TokenCredential = Exclude<Credential, TokenLogin>

/** A token wanted from the endpoint that a registry's challenge names. */
export interface TokenRequest {
  /** The registry as users name it, and where its API is. */
  host: string
  origin: URL
  realm: string
  service: string | undefined
  scope: string
  /** Absent: an anonymous token. */
  credential: TokenCredential | undefined
}

/** A token, `fresh` when it was fetched for this request; or the status with which the endpoint refused. */
export type TokenGrant = { token: string; fresh: boolean } | { refused: number }

export interface Tokens {
  /** `stale` is a token that the registry just refused: it is not given again. */
  get(request: TokenRequest, stale?: string): Promise<TokenGrant>
}

export interface TokensOptions {
  hosts: Hosts
  transport: Transport
  retry: RetryPolicy
  log: Logger
  now: () => number
}

const clientId = 'weir'
const maxAnswerBytes = 1024 * 1024
/** The longest token that is taken; few servers take headers of half of that. */
const maxTokenLength = 32 * 1024
/** What a kept token counts at least. */
const leastKeptLength = 1000
/** Most characters of tokens that are kept. */
const maxKeptLength = 16 * 1024 * 1024
const maxLifetimeMs = 3600 * 1000
/** The lifetime of a token that comes without one (distribution token spec). */
const defaultLifetimeMs = 60 * 1000

interface CachedToken {
  token: string
  expiresAt: number
}

/** Fetches tokens and keeps them for as long as they are good; requests for the same token share one fetch. */
export function createTokens({ hosts, transport, retry, log, now }: TokensOptions): Tokens {
  const cache = new LRUCache<string, CachedToken>({
    maxSize: maxKeptLength,
    sizeCalculation: ({ token }, key) => leastKeptLength + token.length + key.length,
  })
  const flights = new Map<string, Promise<TokenGrant>>()

  async function fetch(request: TokenRequest, key: string): Promise<TokenGrant> {
    const { host, credential, scope } = request
    const realm = trustedRealm(request.realm, request, hosts)
    let answer: WholeAnswer | undefined
    for (const ask of asks(request, realm)) {
      answer = await retried(retry, now, undefined, () => transport.whole(ask, maxAnswerBytes))
      log.debug({ host, realm: realm.host, login: credential?.id, scope, status: answer.status }, 'token')
      if (!isUnspoken(answer.status, credential)) break
    }
    if (answer === undefined) throw new TypeError('a token was not asked for')
    if (answer.status !== 200) return refusal(answer, host, now())
    const { token, lifetimeMs } = parseToken(answer.bytes, host, realm.host)
    // Counted from the receipt, as clocks differ, and used a while less than it lives.
    const expiresAt = now() + lifetimeMs - Math.max(10_000, lifetimeMs / 10)
    if (expiresAt > now()) cache.set(key, { token, expiresAt })
    return { token, fresh: true }
  }

  return {
    async get(request, stale) {
      const key = cacheKey(request)
      const cached = cache.get(key)
      if (cached !== undefined && cached.token !== stale && cached.expiresAt > now()) {
        return { token: cached.token, fresh: false }
      }
      cache.delete(key)
      const running = flights.get(key) ?? fetch(request, key).finally(() => flights.delete(key))
      flights.set(key, running)
      return running
    },
  }
}

/**
 * Whether an endpoint does not know the form of OAuth2: GCR answers 404, others 405; Azure's ACR 400 and JFrog's Artifactory 401, where
 * the token goes as a password only for a user that was named (containerd, `auth/fetch.go`).
 */
function isUnspoken(status: number, credential: TokenCredential | undefined): boolean {
  if (status === 404 || status === 405) return true
  return (status === 400 || status === 401) && credential !== undefined && credential.username !== ''
}

/** Two logins never share a token, even if they share an id: a changed password must prove itself. */
function cacheKey({ origin, realm, service, scope, credential }: TokenRequest): string {
  return JSON.stringify([origin.origin, realm, service ?? null, credential ? fingerprint(credential) : null, scope])
}

/**
 * The requests for a token, a later one where the endpoint does not know the one before. A token endpoint that redirects
 * could carry the login to anybody: it is not followed.
 */
function asks(request: TokenRequest, realm: URL): Ask[] {
  const { host, origin, service, scope, credential } = request
  const common = { host, namedBy: origin, redirects: 'none' } as const
  if (credential === undefined) return [{ ...common, url: tokenUrl(request, realm), method: 'GET' }]
  if ('password' in credential) {
    const url = tokenUrl(request, realm, credential.username)
    return [{ ...common, url, method: 'GET', authorization: basicAuthorization(credential) }]
  }
  const { username, identityToken } = credential
  const form = {
    grant_type: 'refresh_token',
    ...(service === undefined ? {} : { service }),
    scope,
    client_id: clientId,
    refresh_token: identityToken,
  }
  const url = new URL(realm)
  url.hash = ''
  const authorization = basicAuthorization({ username, password: identityToken })
  return [
    { ...common, url, method: 'POST', form },
    { ...common, url: tokenUrl(request, realm, username), method: 'GET', authorization },
  ]
}

function tokenUrl({ service, scope }: TokenRequest, realm: URL, account?: string): URL {
  const url = new URL(realm)
  url.hash = ''
  if (service !== undefined) url.searchParams.set('service', service)
  url.searchParams.set('scope', scope)
  if (account !== undefined) url.searchParams.set('account', account)
  return url
}

function refusal(answer: WholeAnswer, host: string, now: number): TokenGrant {
  const { status } = answer
  const delayMs = retryAfterMs(answer.headers['retry-after'], now)
  const options = { status, retryAfterSeconds: delayMs === undefined ? undefined : Math.ceil(delayMs / 1000) }
  const message = `the token endpoint ${answer.url.host} of ${host} answered ${status}`
  if (status === 429) throw upstreamFailure(host, 'TooManyRequests', message, options)
  if (status === 408 || status >= 500) throw upstreamFailure(host, 'Unreachable', message, options)
  if (status < 400) throw upstreamFailure(host, 'Invalid', message, options)
  return { refused: status }
}

function parseToken(bytes: Buffer, host: string, realm: string): { token: string; lifetimeMs: number } {
  const invalid = (why: string): RegistryError =>
    upstreamFailure(host, 'Invalid', `the token endpoint ${realm} of ${host} answered ${why}`)
  const fields = jsonObject(bytes)
  if (fields === undefined) throw invalid('no JSON object')
  const token = [fields.token, fields.access_token].find((value) => typeof value === 'string' && value !== '')
  if (typeof token !== 'string') throw invalid('no token')
  // It becomes a header.
  if (token.length > maxTokenLength || !/^[\x21-\x7e]+$/.test(token)) throw invalid('a token that no header can carry')
  const seconds = fields.expires_in
  const told = typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : defaultLifetimeMs
  return { token, lifetimeMs: Math.min(told, maxLifetimeMs) }
}

function jsonObject(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
