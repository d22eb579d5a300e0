import { type Authenticator, anonymous, type Subject } from '../access/access.ts'
import { RegistryError } from '../oci/errors.ts'

// RFC 6750 2.1. Two Authorization headers arrive joined by a comma, which no token has, and so fail here.
const bearer = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i

/**
 * Who sends the request: the bearer's identity, or anonymous where there is no Authorization header at all.
 *
 * @throws RegistryError UNAUTHORIZED
 */
export async function authenticate(authenticator: Authenticator, headers: Headers): Promise<Subject> {
  const authorization = headers.get('authorization')
  if (authorization === null) return anonymous
  const [, token] = bearer.exec(authorization) ?? []
  if (token === undefined) throw unauthorized('the Authorization header is not one "Bearer TOKEN"')
  const subject = await authenticator.authenticate(token)
  if (subject === undefined) {
    throw unauthorized('the token is not valid: it may have expired, or its service account is gone; get a new one')
  }
  return subject
}

function unauthorized(message: string): RegistryError {
  return new RegistryError('UNAUTHORIZED', { message: `Unauthorized: ${message}` })
}
