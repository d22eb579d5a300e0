import { RegistryError } from '../oci/errors.ts'
import type { Authenticator, Provider, Subject, Tokens } from './access.ts'
import { adminSubject } from './admin.ts'
import type { Current } from './current.ts'
import type { Identities } from './identities.ts'
import { htpasswdProvider } from './providers.ts'
import { readUnverified, type Unverified } from './unverified.ts'

export interface AuthenticatorOptions {
  tokens: Pick<Tokens, 'verifyServiceAccountToken' | 'verifyLoginToken'>
  identities: Pick<Identities, 'admin'>
  current: Pick<Current, 'isCurrent'>
  providers: readonly Provider[]
  /** `iss` of Weir's own tokens. */
  issuer: string
}

/** What Weir's own opaque tokens begin with: such a secret is nobody's password. */
const opaqueToken = /^weir_(?:admin|refresh)_/

/**
 * Knows the admin by his token, accounts and logins by those that Weir signed, and whom the providers know. A JWT goes to
 * the one that its `iss` names and is never tried as a password.
 */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { tokens, identities, current, providers, issuer } = options
  const issuers = providers.filter(({ name }) => name !== htpasswdProvider)
  const passwords = providers.filter(({ name }) => name === htpasswdProvider)

  const verifyOwn = (token: string, claims: Unverified['claims']): Promise<Subject> =>
    claims !== undefined && Object.hasOwn(claims, 'weir')
      ? tokens.verifyLoginToken(token)
      : tokens.verifyServiceAccountToken(token)

  return {
    isCurrent: (subject) => current.isCurrent(subject),
    async authenticate(login) {
      const { secret } = login
      if (secret === '') return undefined
      const admin = adminSubject(secret, identities.admin())
      if (admin !== undefined) return admin
      const jwt = readUnverified(secret)
      if (jwt?.claims?.iss === issuer) return known(verifyOwn(secret, jwt.claims))
      if (jwt !== undefined) return firstOf(issuers, login)
      return opaqueToken.test(secret) ? undefined : firstOf(passwords, login)
    },
  }
}

async function firstOf(
  providers: readonly Provider[],
  login: Parameters<Provider['authenticate']>[0],
): Promise<Subject | undefined> {
  for (const provider of providers) {
    const subject = await provider.authenticate(login)
    if (subject !== undefined) return subject
  }
  return undefined
}

async function known(verified: Promise<Subject>): Promise<Subject | undefined> {
  try {
    return await verified
  } catch (error) {
    // Whose it was is known where it is signed here, though he is no more.
    const isNobodys = error instanceof RegistryError && error.code === 'UNAUTHORIZED' && error.claimant === undefined
    if (isNobodys) return undefined
    throw error
  }
}
