import { randomUUID } from 'node:crypto'
import { type JWTHeaderParameters, type JWTPayload, jwtVerify, SignJWT } from 'jose'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { RegistryError } from '../oci/errors.ts'
import { anonymous, type IssuedToken, type RegistryToken, type Subject, type Tokens } from './access.ts'
import { type Identities, serviceAccountSubject } from './identities.ts'
import { type Keys, signingAlgorithm } from './keys.ts'

export interface TokensOptions {
  keys: Keys
  identities: Identities
  /** `iss` of every token, and `aud` of service accounts' tokens: an absolute URL. */
  issuer: string
  /** `aud` of registry tokens: the host that clients write in image names. */
  service: string
  /** How long a registry token lives. Default 15 minutes. */
  tokenLifetimeMs?: number
  /** The longest life that may be asked for a service account's token. Default 365 days. */
  maxTokenLifetimeMs?: number
  now: () => number
}

/** Longest token that is made, and looked at: two fit beside the other headers in Node's 16 KiB. */
export const maxTokenLength = 8192

const typ = 'JWT'
const clockToleranceSeconds = 30
const day = 24 * 60 * 60 * 1000

const registryClaims = z.object({
  sub: z.string(),
  exp: z.number(),
  groups: z.array(z.string()),
  uid: z.string().optional(),
  access: z.array(z.object({ type: z.string(), name: z.string(), actions: z.array(z.string()) })),
})

const accountClaims = z.object({
  sub: z.string(),
  'kubernetes.io': z.object({
    namespace: z.string(),
    serviceaccount: z.object({ name: z.string(), uid: z.string() }),
  }),
})

interface Verified {
  token: RegistryToken
  kid: string
}

/**
 * Signs and verifies Weir's two kinds of JWT. Registry tokens are for `service`, service accounts' tokens for the issuer
 * itself; neither passes for the other.
 */
export function createTokens(options: TokensOptions): Tokens {
  const { keys, identities, issuer, service, now } = options
  if (issuer === service)
    throw new TypeError('issuer and service are the audiences that tell tokens apart: both are equal')
  const { tokenLifetimeMs = 15 * 60 * 1000, maxTokenLifetimeMs = 365 * day } = options
  const verified = new LRUCache<string, Verified>({
    max: 10_000,
    maxSize: 16 * 1024 * 1024,
    sizeCalculation: (_, token) => token.length + 512,
  })
  const sign = createSigner(keys, issuer, now)
  const verify = createVerifier(keys, issuer, now)

  const peek = (token: string): RegistryToken | undefined => {
    const known = verified.get(token)
    if (known === undefined) return undefined
    const expired = known.token.expiresAt <= now() / 1000 - clockToleranceSeconds
    if (!expired && keys.find(known.kid) !== undefined) {
      return identities.isCurrent(known.token.subject) ? known.token : undefined
    }
    verified.delete(token)
    return undefined
  }

  return {
    issueRegistryToken: async (subject, access) => {
      const { name, groups, uid } = subject
      const claims = { sub: isAnonymous(subject) ? '' : name, aud: service, groups, access, ...(uid && { uid }) }
      const issued = await sign(claims, Math.floor(tokenLifetimeMs / 1000))
      if (issued.token.length > maxTokenLength) {
        throw new RegistryError('BAD_REQUEST', {
          message: 'scope: the token would be too long: ask for fewer repositories',
        })
      }
      return issued
    },
    issueServiceAccountToken: async ({ project, name, uid }, wantedSeconds) => {
      const mostSeconds = Math.floor(maxTokenLifetimeMs / 1000)
      const expiresInSeconds = wantedSeconds ?? Math.min(3600, mostSeconds)
      checkLifetime(expiresInSeconds, mostSeconds)
      const sub = serviceAccountSubject({ project, name, uid }).name
      const kubernetes = { namespace: project, serviceaccount: { name, uid } }
      return sign({ sub, aud: issuer, 'kubernetes.io': kubernetes }, expiresInSeconds)
    },
    peekRegistryToken: peek,
    verifyRegistryToken: async (token) => {
      const known = peek(token)
      if (known !== undefined) return known
      const { payload, kid } = await verify(token, service)
      const claims = parseClaims(registryClaims, payload)
      const registryToken = { subject: tokenSubject(claims), access: claims.access, expiresAt: claims.exp }
      if (!(await identities.confirm(registryToken.subject))) throw invalidToken('the account it was made for is gone')
      // Another request may have verified the same token meanwhile; decisions hang on the one object.
      const first = peek(token)
      if (first === undefined) verified.set(token, { token: registryToken, kid })
      return first ?? registryToken
    },
    verifyServiceAccountToken: async (token) => {
      const { payload } = await verify(token, issuer)
      const { sub, 'kubernetes.io': kubernetes } = parseClaims(accountClaims, payload)
      const { namespace: project, serviceaccount: account } = kubernetes
      const subject = serviceAccountSubject({ project, ...account })
      if (subject.name !== sub) throw invalidToken('its claims contradict each other')
      if (!(await identities.confirm(subject))) throw invalidToken('the account it was made for is gone')
      return subject
    },
    issueLoginToken: async () => {
      throw new RegistryError('UNSUPPORTED', { message: 'no login tokens are issued' })
    },
    verifyLoginToken: async () => {
      throw invalidToken('it was not made here for this')
    },
    jwks: async () => ({ keys: keys.published() }),
    openidConfiguration: () => openidConfiguration(issuer),
  }
}

function createSigner(keys: Keys, issuer: string, now: () => number) {
  return async (claims: JWTPayload, expiresInSeconds: number): Promise<IssuedToken> => {
    const { kid, privateKey } = await keys.signing()
    const issuedAt = Math.floor(now() / 1000)
    const token = await new SignJWT(claims)
      .setProtectedHeader({ typ, alg: signingAlgorithm, kid })
      .setIssuer(issuer)
      .setIssuedAt(issuedAt)
      .setNotBefore(issuedAt)
      .setExpirationTime(issuedAt + expiresInSeconds)
      .setJti(randomUUID())
      .sign(privateKey)
    return { token, issuedAt, expiresInSeconds }
  }
}

function createVerifier(keys: Keys, issuer: string, now: () => number) {
  const keyOf = (header: JWTHeaderParameters) => {
    const key = typeof header.kid === 'string' ? keys.find(header.kid) : undefined
    // A key that comes with the token proves nothing, whatever it is named (CVE-2018-0114).
    if (key === undefined || embeddedKeys.some((name) => Object.hasOwn(header, name))) throw new Error('not our key')
    return key
  }
  return async (token: string, audience: string): Promise<{ payload: JWTPayload; kid: string }> => {
    if (token.length > maxTokenLength) throw invalidToken('it is too long')
    const options = {
      algorithms: [signingAlgorithm],
      issuer,
      audience,
      typ,
      requiredClaims: ['sub', 'exp', 'nbf', 'iat', 'jti'],
      clockTolerance: clockToleranceSeconds,
      currentDate: new Date(now()),
    }
    try {
      const { payload, protectedHeader } = await jwtVerify(token, keyOf, options)
      return { payload, kid: protectedHeader.kid ?? '' }
    } catch (error) {
      const expired = error instanceof Error && 'code' in error && error.code === 'ERR_JWT_EXPIRED'
      throw invalidToken(expired ? 'it has expired' : 'it was not made here for this')
    }
  }
}

const embeddedKeys = ['jwk', 'jku', 'x5c', 'x5u']

function parseClaims<T>(schema: z.ZodType<T>, payload: JWTPayload): T {
  const { data } = schema.safeParse(payload)
  if (data === undefined) throw invalidToken('it was not made here for this')
  return data
}

function tokenSubject({ sub, groups, uid }: z.infer<typeof registryClaims>): Subject {
  if (sub === '') return anonymous
  return { name: sub, groups, ...(uid !== undefined && { uid }) }
}

function isAnonymous(subject: Subject): boolean {
  return subject.name === anonymous.name
}

function checkLifetime(seconds: number, maxSeconds: number): void {
  if (Number.isSafeInteger(seconds) && seconds >= 1 && seconds <= maxSeconds) return
  const message = `must be a whole number of seconds from 1 to ${maxSeconds} (auth.maxTokenLifetime)`
  throw new RegistryError('INVALID', {
    message: `spec.expirationSeconds: ${message}`,
    causes: [{ field: 'spec.expirationSeconds', reason: 'FieldValueInvalid', message }],
  })
}

function invalidToken(why: string): RegistryError {
  return new RegistryError('UNAUTHORIZED', {
    message: `the token is not valid: ${why}`,
    detail: { error: 'invalid_token' },
  })
}

function openidConfiguration(issuer: string): Record<string, unknown> {
  return {
    issuer,
    jwks_uri: `${issuer.replace(/\/+$/, '')}/openid/v1/jwks`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [signingAlgorithm],
  }
}
