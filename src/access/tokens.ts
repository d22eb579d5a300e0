import { randomUUID } from 'node:crypto'
import type { JWTHeaderParameters, JWTPayload } from 'jose'
import { SignJWT } from 'jose/jwt/sign'
import { jwtVerify } from 'jose/jwt/verify'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { RegistryError } from '../oci/errors.ts'
import { anonymous, type IssuedToken, type RegistryToken, type Subject, type Tokens } from './access.ts'
import { type Current, hasEnded } from './current.ts'
import { serviceAccountSubject } from './identities.ts'
import { type Keys, signingAlgorithm } from './keys.ts'
import { bringsKey } from './unverified.ts'

export interface TokensOptions {
  keys: Keys
  current: Pick<Current, 'isCurrent' | 'confirm'>
  /** `iss` of every token, and `aud` of those for the API: an absolute URL. */
  issuer: string
  /** `aud` of registry tokens: the host that clients write in image names. */
  service: string
  /** How long a registry token lives. Default 15 minutes. */
  tokenLifetimeMs?: number
  /** The longest life that may be asked for a service account's token. Default 365 days. */
  maxTokenLifetimeMs?: number
  /** How long a login token lives. Default 12 hours. */
  loginLifetimeMs?: number
  now: () => number
}

/** Longest token that is made, and looked at: two fit beside the other headers in Node's 16 KiB. */
export const maxTokenLength = 8192

const typ = 'JWT'
const clockToleranceSeconds = 30
/** Clients take a token that lives shorter for one of a minute. */
const leastSeconds = 60
const hour = 60 * 60 * 1000
const day = 24 * hour

/** Of a subject, beside its name. */
const subjectClaims = z.object({
  groups: z.array(z.string()),
  uid: z.string().optional(),
  provider: z.string().optional(),
  session: z.string().optional(),
  endsAt: z.number().optional(),
})

const registryClaims = subjectClaims.extend({
  sub: z.string(),
  exp: z.number(),
  access: z.array(z.object({ type: z.string(), name: z.string(), actions: z.array(z.string()) })),
})

const loginClaims = z.object({ sub: z.string().min(1), exp: z.number(), weir: subjectClaims })

const accountClaims = z.object({
  sub: z.string(),
  exp: z.number(),
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
 * Signs and verifies Weir's three kinds of JWT. Registry tokens are for `service`; those of service accounts and of logins
 * are for the issuer itself, and differ by their claims. None passes for another.
 */
export function createTokens(options: TokensOptions): Tokens {
  const { keys, current, issuer, service, now } = options
  if (issuer === service)
    throw new TypeError('issuer and service are the audiences that tell tokens apart: both are equal')
  const { tokenLifetimeMs = hour / 4, maxTokenLifetimeMs = 365 * day, loginLifetimeMs = 12 * hour } = options
  const verified = new LRUCache<string, Verified>({
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
      return current.isCurrent(known.token.subject) ? known.token : undefined
    }
    verified.delete(token)
    return undefined
  }

  const lifeOf = (subject: Subject, lifetimeMs: number): number => {
    const { endsAt = Number.POSITIVE_INFINITY } = subject
    const leftSeconds = Math.floor(endsAt - now() / 1000)
    return Math.min(Math.floor(lifetimeMs / 1000), Math.max(leftSeconds, leastSeconds))
  }
  const confirm = async (subject: Subject): Promise<Subject> => {
    if (await current.confirm(subject)) return subject
    const why = hasEnded(subject, now()) ? 'it has expired' : 'the account or login it was made for is gone'
    throw invalidToken(why, subject)
  }

  return {
    issueRegistryToken: async (subject, access) => {
      const sub = isAnonymous(subject) ? '' : subject.name
      const claims = { sub, aud: service, ...claimsOf(subject), access }
      const issued = await sign(claims, lifeOf(subject, tokenLifetimeMs))
      checkLength(issued, subject)
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
      await confirm(registryToken.subject)
      // Another request may have verified the same token meanwhile; decisions hang on the one object.
      const first = peek(token)
      if (first === undefined) verified.set(token, { token: registryToken, kid })
      return first ?? registryToken
    },
    verifyServiceAccountToken: async (token) => {
      const { payload } = await verify(token, issuer)
      const { sub, exp, 'kubernetes.io': kubernetes } = parseClaims(accountClaims, payload)
      const { namespace: project, serviceaccount: account } = kubernetes
      const subject = serviceAccountSubject({ project, ...account })
      if (subject.name !== sub || 'weir' in payload) throw invalidToken('its claims contradict each other')
      return confirm({ ...subject, endsAt: exp })
    },
    issueLoginToken: async (subject) => {
      const claims = { sub: subject.name, aud: issuer, weir: claimsOf(subject) }
      const issued = await sign(claims, lifeOf(subject, loginLifetimeMs))
      checkLength(issued, subject)
      return issued
    },
    verifyLoginToken: async (token) => {
      const { payload } = await verify(token, issuer)
      const { sub, exp, weir } = parseClaims(loginClaims, payload)
      if ('kubernetes.io' in payload) throw invalidToken('its claims contradict each other')
      // What is made of this token ends with it, or it could be exchanged for another without end.
      const endsAt = Math.min(exp, weir.endsAt ?? Number.POSITIVE_INFINITY)
      return confirm({ ...subjectOf(sub, weir), endsAt })
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
  const keyOf = async (header: JWTHeaderParameters) => {
    const { kid } = header
    const key = typeof kid === 'string' && !bringsKey({ ...header }) ? await keys.confirm(kid) : undefined
    if (key === undefined) throw new Error('not our key')
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
      if (error instanceof RegistryError) throw error
      const expired = error instanceof Error && 'code' in error && error.code === 'ERR_JWT_EXPIRED'
      throw invalidToken(expired ? 'it has expired' : 'it was not made here for this')
    }
  }
}

function parseClaims<T>(schema: z.ZodType<T>, payload: JWTPayload): T {
  const { data } = schema.safeParse(payload)
  if (data === undefined) throw invalidToken('it was not made here for this')
  return data
}

function tokenSubject({ sub, ...claims }: z.infer<typeof registryClaims>): Subject {
  return sub === '' ? anonymous : subjectOf(sub, claims)
}

/** A subject as tokens carry it, beside its name. */
function claimsOf({ groups, uid, provider, session, endsAt }: Subject): JWTPayload {
  return {
    groups,
    ...(uid !== undefined && { uid }),
    ...(provider !== undefined && { provider }),
    ...(session !== undefined && { session }),
    ...(endsAt !== undefined && { endsAt }),
  }
}

function subjectOf(name: string, { groups, uid, provider, session, endsAt }: z.infer<typeof subjectClaims>): Subject {
  return {
    name,
    groups,
    ...(uid !== undefined && { uid }),
    ...(provider !== undefined && { provider }),
    ...(session !== undefined && { session }),
    ...(endsAt !== undefined && { endsAt }),
  }
}

function checkLength({ token }: IssuedToken, { groups }: Subject): void {
  if (token.length <= maxTokenLength) return
  const isGroups = JSON.stringify(groups).length > maxTokenLength / 4
  throw new RegistryError('BAD_REQUEST', {
    message: isGroups
      ? `the token would be too long with the ${groups.length} groups of this login: have its issuer name fewer`
      : 'scope: the token would be too long: ask for fewer repositories',
  })
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

function invalidToken(why: string, claimant?: Subject): RegistryError {
  return new RegistryError('UNAUTHORIZED', {
    message: `the token is not valid: ${why}`,
    detail: { error: 'invalid_token' },
    ...(claimant !== undefined && { claimant }),
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
