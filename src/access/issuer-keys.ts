import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose'
import { createLocalJWKSet } from 'jose/jwks/local'
import type { Logger } from 'pino'
import { RegistryError } from '../oci/errors.ts'
import type { FetchDocument, OidcIssuer } from './oidc-issuer.ts'

/** The public keys of an issuer, fetched when they are first needed and kept through its outages. */
export interface KeySet {
  /**
   * Verifies with the keys that are known, and, when they lack the key that a token names, once more with those that the
   * issuer publishes now. `verify` fails with jose's `ERR_JWKS_NO_MATCHING_KEY` when the key is not there.
   *
   * @throws RegistryError UNAVAILABLE when the issuer can not be asked; else what `verify` throws
   */
  use<T>(verify: (keys: JWTVerifyGetKey) => Promise<T>): Promise<T>
}

export interface KeySetOptions {
  issuer: Pick<OidcIssuer, 'name' | 'issuer' | 'discoveryUrl' | 'certificateAuthority'>
  fetchDocument: FetchDocument
  now: () => number
  log: Logger
}

/** Keys are asked for again when they are older: one that was withdrawn is good no longer than this, while the issuer answers. */
const maxAgeMs = 10 * 60_000
/** After a question that brought nothing new, the next is asked no sooner: whoever invents key ids gains nothing by it. */
const cooldownMs = 10_000
/** While old keys are used because the issuer does not answer, it is asked so often. */
const retryMs = 60_000
const maxKeys = 100
const maxUrlLength = 2048

export function createKeySet({ issuer, fetchDocument, now, log }: KeySetOptions): KeySet {
  const { name, certificateAuthority } = issuer
  let known: { keys: JWTVerifyGetKey; fetchedAt: number } | undefined
  let pending: Promise<JWTVerifyGetKey> | undefined
  /** When keys that are missing, and keys that are too old, may be asked for. */
  let missingFrom = 0
  let agedFrom = 0
  let failure: string | undefined

  const fetchObject = async (url: string): Promise<Record<string, unknown>> => {
    const text = await fetchDocument(url, certificateAuthority === undefined ? {} : { certificateAuthority })
    const value: unknown = parseJson(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
    throw new Error(`${url} is no JSON object`)
  }

  const fetchKeys = async (): Promise<JWTVerifyGetKey> => {
    const discoveryUrl = issuer.discoveryUrl ?? `${issuer.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const discovered = await fetchObject(discoveryUrl)
    if (discovered.issuer !== issuer.issuer) {
      throw new Error(`${discoveryUrl} is of another issuer than ${issuer.issuer}: write "issuer" as it stands there`)
    }
    const { jwks_uri: jwksUri } = discovered
    if (!isSecureUrl(jwksUri)) throw new Error(`${discoveryUrl} has no https URL as jwks_uri`)
    return readKeys(jwksUri, await fetchObject(jwksUri))
  }

  const refresh = (): Promise<JWTVerifyGetKey> => {
    pending ??= fetchKeys()
      .then(
        (keys) => {
          if (failure !== undefined) log.info({ provider: name }, 'the issuer answers again')
          failure = undefined
          known = { keys, fetchedAt: now() }
          return keys
        },
        (error: unknown) => {
          const reason = error instanceof Error ? error.message : String(error)
          const kept = known === undefined ? 'nobody can log in with it' : 'the keys known are used on'
          if (failure !== reason) log.warn({ provider: name, reason }, `the keys of an issuer can not be had; ${kept}`)
          failure = reason
          missingFrom = now() + cooldownMs
          agedFrom = now() + retryMs
          throw unavailable()
        },
      )
      .finally(() => {
        pending = undefined
      })
    return pending
  }

  const unavailable = () =>
    new RegistryError('UNAVAILABLE', {
      message: `the issuer ${name} can not be asked for its keys now: try again later`,
      retryAfterSeconds: Math.max(1, Math.ceil((missingFrom - now()) / 1000)),
    })

  const current = async (): Promise<JWTVerifyGetKey> => {
    if (known === undefined) {
      if (missingFrom > now()) throw unavailable()
      return refresh()
    }
    const { keys, fetchedAt } = known
    if (fetchedAt + maxAgeMs > now() || agedFrom > now()) return keys
    return refresh().catch(() => keys)
  }

  /** Newer keys than `keys`; undefined when it is too early to ask for them. */
  const newer = async (keys: JWTVerifyGetKey): Promise<JWTVerifyGetKey | undefined> => {
    if (known !== undefined && known.keys !== keys) return known.keys
    if (pending !== undefined) return pending
    if (missingFrom > now()) {
      if (failure !== undefined) throw unavailable()
      return undefined
    }
    missingFrom = now() + cooldownMs
    return refresh()
  }

  return {
    async use(verify) {
      const before = known?.keys
      const keys = await current()
      try {
        return await verify(keys)
      } catch (error) {
        // Keys that were fetched for this very token are as new as they can be.
        if (!isMissingKey(error) || keys !== before) throw error
        const fresh = await newer(keys)
        if (fresh === undefined) throw error
        const verified = await verify(fresh)
        // The key was there: what follows may be the next one's turn.
        missingFrom = 0
        return verified
      }
    },
  }
}

function readKeys(url: string, { keys }: Record<string, unknown>): JWTVerifyGetKey {
  if (!Array.isArray(keys)) throw new Error(`${url} has no list of keys`)
  if (keys.length > maxKeys) throw new Error(`${url} has more than ${maxKeys} keys`)
  // A set may hold keys of kinds that nobody here can use beside those that sign (RFC 7517 5).
  const usable = keys.filter(
    (key) => typeof key === 'object' && key !== null && ['RSA', 'EC', 'OKP'].includes(key.kty) && key.d === undefined,
  )
  if (usable.length === 0) throw new Error(`${url} has no public key`)
  return createLocalJWKSet({ keys: usable } as JSONWebKeySet)
}

function isSecureUrl(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > maxUrlLength || !URL.canParse(value)) return false
  const { protocol, username, password } = new URL(value)
  return protocol === 'https:' && username === '' && password === ''
}

function isMissingKey(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_JWKS_NO_MATCHING_KEY'
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
