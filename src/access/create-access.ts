import type { Logger } from 'pino'
import type { Store } from '../store/store.ts'
import type { Admin, Authenticator, Provider, Rbac, Sessions, TokenService, Tokens } from './access.ts'
import { createAdmin } from './admin.ts'
import { createAuthenticator } from './authenticator.ts'
import { createAuthorizer } from './authorizer.ts'
import { createCurrent, createIsKnown } from './current.ts'
import { createIdentities } from './identities.ts'
import type { SecretKeys } from './key-ring.ts'
import { createKeys } from './keys.ts'
import { openSecretKeys } from './secret-key.ts'
import { createSessions } from './sessions.ts'
import { createTokenService } from './token-service.ts'
import { createTokens } from './tokens.ts'

export interface AccessOptions {
  store: Store
  /** The file of the keys that seal secrets and signing keys, `<data>/secret.key`; made when absent. */
  secretKeyFile: string
  /** Takes what those keys do not open out of the store. Default false: it is refused. */
  discardUnreadable?: boolean
  /** `iss` of all tokens, an absolute URL. */
  issuer: string
  /** `aud` of registry tokens and the `service` of the challenge: the host of `publicUrl`. */
  service: string
  /** Life of a registry token. Default 15 minutes. */
  tokenLifetimeMs?: number
  /** The longest life a service account's token may be given. Default 365 days. */
  maxTokenLifetimeMs?: number
  /** Age at which the signing key is followed by a new one. Default 90 days. */
  keyRotationMs?: number
  /** How long a token for the API lives that a login gets. Default 12 hours. */
  loginLifetimeMs?: number
  /** Who else knows people and machines. Default none. */
  providers?: readonly Provider[]
  now: () => number
  /** Ends the watches behind the memory. */
  signal: AbortSignal
  log: Logger
}

/** Everything about who may do what. */
export interface AccessParts {
  authorizer: Rbac
  tokens: Tokens
  authenticator: Authenticator
  tokenService: TokenService
  sessions: Sessions
  providers: readonly Provider[]
  admin: Admin
  secretKeys: SecretKeys
}

/**
 * Opens the access part and settles when its memory is filled and a key can sign. The store has to keep changes of
 * `object/`, `key/`, `session/` and `meta/` for watches.
 *
 * @throws SecretKeyError when the secret keys are none, or do not open a sealed record of the store
 */
export async function createAccess(options: AccessOptions): Promise<AccessParts> {
  const { store, issuer, service, now, signal, log } = options
  const { tokenLifetimeMs = 15 * 60 * 1000, maxTokenLifetimeMs = 365 * 24 * 60 * 60 * 1000 } = options
  const { secretKeyFile: file, discardUnreadable = false } = options
  const secretKeys = await openSecretKeys({ store, file, discardUnreadable, log })
  const rotation = options.keyRotationMs === undefined ? {} : { rotationMs: options.keyRotationMs }
  const { loginLifetimeMs = 12 * 60 * 60 * 1000, providers = [] } = options
  const longestTokenMs = Math.max(tokenLifetimeMs, maxTokenLifetimeMs, loginLifetimeMs)
  const keys = await createKeys({ store, secretKeys, ...rotation, longestTokenMs, now, signal, log })
  // The key set is public from the first answer on, and the first client does not wait for a key.
  await keys.signing()
  const identities = createIdentities({ store, signal, log })
  const sessions = createSessions({ store, isKnown: createIsKnown(providers), now, signal, log })
  const current = createCurrent({ identities, providers, sessions, now })
  const authorizer = createAuthorizer({ store, current, signal, log })
  await authorizer.ready
  const lifetimes = { tokenLifetimeMs, maxTokenLifetimeMs, loginLifetimeMs }
  const tokens = createTokens({ keys, current, issuer, service, ...lifetimes, now })
  const authenticator = createAuthenticator({ tokens, identities, current, providers, issuer })
  const tokenService = createTokenService({
    authenticator,
    authorizer,
    tokens,
    current,
    sessions,
    providers,
    service,
    issuer,
    now,
  })
  const admin = createAdmin({ store, identities, now })
  return { authorizer, tokens, authenticator, tokenService, sessions, providers, admin, secretKeys }
}
