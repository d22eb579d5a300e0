import { RegistryError } from '../oci/errors.ts'
import type { Authenticator, Tokens } from './access.ts'
import { adminSubject } from './admin.ts'
import type { Identities } from './identities.ts'

/** Knows the admin by his token and service accounts by theirs. */
export function createAuthenticator(options: { tokens: Tokens; identities: Identities }): Authenticator {
  const { tokens, identities } = options
  return {
    isCurrent: (subject) => identities.isCurrent(subject),
    authenticate: async ({ secret }) => {
      if (secret === '') return undefined
      const admin = adminSubject(secret, identities.admin())
      if (admin !== undefined) return admin
      try {
        return await tokens.verifyServiceAccountToken(secret)
      } catch (error) {
        if (error instanceof RegistryError && error.code === 'UNAUTHORIZED') return undefined
        throw error
      }
    },
  }
}
