import { createHash } from 'node:crypto'
import type { JWTPayload, JWTVerifyGetKey } from 'jose'
import { jwtVerify } from 'jose/jwt/verify'
import type { Logger } from 'pino'
import { RegistryError } from '../oci/errors.ts'
import type { Provider } from './access.ts'
import { mapClaims, RefusedToken } from './issuer-claims.ts'
import { createKeySet } from './issuer-keys.ts'
import type { FetchDocument, OidcIssuer } from './oidc-issuer.ts'
import { bringsKey, readUnverified } from './unverified.ts'

export interface IssuerOptions {
  issuer: OidcIssuer
  fetchDocument: FetchDocument
  now: () => number
  log: Logger
}

const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
const clockToleranceSeconds = 30
/** Keys that are tried for a token that names none. */
const maxTries = 16
const types: readonly unknown[] = [undefined, 'jwt', 'at+jwt']

/**
 * Takes the JWTs of an OIDC issuer: identity tokens, those of CI jobs and of clusters' service accounts, and access tokens
 * that are JWTs (RFC 9068), as long as they are for one of the audiences.
 */
export function createIssuer({ issuer, fetchDocument, now, log }: IssuerOptions): Provider {
  const keySet = createKeySet({ issuer, fetchDocument, now, log })
  const rules = digest(
    JSON.stringify([issuer.issuer, issuer.audiences, issuer.username, issuer.groups, issuer.requiredClaims]),
  )
  const { name, sessionLifetimeMs, clientId, scopes } = issuer

  const verify = async (token: string, keys: JWTVerifyGetKey): Promise<JWTPayload> => {
    const options = {
      algorithms,
      issuer: issuer.issuer,
      audience: [...issuer.audiences],
      clockTolerance: clockToleranceSeconds,
      currentDate: new Date(now()),
    }
    return (await verifyWithOne(keys, (key) => jwtVerify(token, key, options))).payload
  }

  return {
    name,
    sessionLifetimeMs,
    version: 0,
    ...(clientId === undefined ? {} : { device: { issuer: issuer.issuer, clientId, scopes } }),
    // What was proven under other rules than today's is not proven.
    isCurrent: ({ provider, uid }) => provider === name && uid?.startsWith(`${rules}.`) === true,
    async authenticate({ secret }) {
      const unverified = readUnverified(secret)
      if (unverified?.claims?.iss !== issuer.issuer) return undefined
      let claims: JWTPayload | undefined
      try {
        checkHeader(unverified.header)
        claims = await keySet.use((keys) => verify(secret, keys))
        const endsAt = checkTimes(claims, now() / 1000)
        const subject = mapClaims(issuer, claims)
        return { ...subject, uid: `${rules}.${digest(subject.name)}`, provider: name, endsAt }
      } catch (error) {
        if (error instanceof RegistryError) throw error
        const reason = reasonOf(error)
        log.debug({ provider: name, reason }, 'a token is refused')
        // jose looks at claims once the signature holds: then who sends the token is told what is wrong with it.
        const isSigned = claims !== undefined || codeOf(error) === 'ERR_JWT_CLAIM_VALIDATION_FAILED'
        const why = isSigned ? `: ${reason} (auth.issuers in weir.yaml says what is taken)` : ''
        throw new RegistryError('UNAUTHORIZED', {
          message:
            codeOf(error) === 'ERR_JWT_EXPIRED'
              ? `the token of ${name} has expired: get a new one`
              : `the token of ${name} is not valid for this${why}`,
        })
      }
    },
  }
}

function checkHeader(header: Readonly<Record<string, unknown>>): void {
  if (bringsKey(header)) throw new RefusedToken('a key comes with it')
  const { typ } = header
  const type = typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : typ
  if (!types.includes(type)) throw new RefusedToken('"typ" is of another kind of token')
}

/** Until when it holds, in seconds. */
function checkTimes({ exp, iat, events }: JWTPayload, nowSeconds: number): number {
  // A notice of a logout looks like an identity otherwise (OpenID Connect Back-Channel Logout 2.4).
  if (events !== undefined) throw new RefusedToken('it is a notice of an event')
  if (typeof exp !== 'number' || !Number.isSafeInteger(Math.floor(exp))) throw new RefusedToken('"exp" is no time')
  // An identity ends when it says; the tolerance is for what begins.
  if (exp <= nowSeconds) throw Object.assign(new RefusedToken('it has expired'), { code: 'ERR_JWT_EXPIRED' })
  if (iat !== undefined && iat > nowSeconds + clockToleranceSeconds) throw new RefusedToken('"iat" is in the future')
  return Math.floor(exp)
}

/** Tries each of the keys that a token without a key id may be signed with. */
async function verifyWithOne<T>(keys: JWTVerifyGetKey, verify: (keys: JWTVerifyGetKey) => Promise<T>): Promise<T> {
  try {
    return await verify(keys)
  } catch (error) {
    if (codeOf(error) !== 'ERR_JWKS_MULTIPLE_MATCHING_KEYS') throw error
    let tries = 0
    for await (const key of error as AsyncIterable<CryptoKey>) {
      if (tries++ >= maxTries) break
      try {
        return await verify(async () => key)
      } catch (failure) {
        if (codeOf(failure) !== 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED') throw failure
      }
    }
    throw new RefusedToken('none of the keys signed it')
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

// What jose says names claims and not their values.
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
