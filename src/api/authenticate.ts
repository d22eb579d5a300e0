import { type Authenticator, anonymous, type Client, type Subject } from '../access/access.ts'
import { RegistryError } from '../oci/errors.ts'

// RFC 6750 2.1. Two Authorization headers arrive joined by a comma, which no token has, and so fail here.
const bearer = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i

/**
 * Who sends the request: the bearer's identity, or anonymous where there is no Authorization header at all. Nobody can
 * act as another: who asks for that (`kubectl --as`) must not act with his own rights instead.
 *
 * @throws RegistryError UNAUTHORIZED, FORBIDDEN
 */
export async function authenticate(authenticator: Authenticator, headers: Headers, client: Client): Promise<Subject> {
  const authorization = headers.get('authorization')
  if (authorization === null) return actsAsItself(anonymous, headers)
  const [, token] = bearer.exec(authorization) ?? []
  if (token === undefined) throw unauthorized('the Authorization header is not one "Bearer TOKEN"')
  const subject = await authenticator.authenticate({ user: '', secret: token, client }).catch(inItsWords)
  if (subject === undefined) {
    throw unauthorized('the token is not valid: it may have expired, or its service account is gone; get a new one')
  }
  return actsAsItself(subject, headers)
}

function actsAsItself(subject: Subject, headers: Headers): Subject {
  for (const name of headers.keys()) {
    if (!name.startsWith('impersonate-')) continue
    throw new RegistryError('FORBIDDEN', {
      message: `User "${subject.name}" cannot act as another (${name}): Weir has no impersonation; use a token of that account`,
    })
  }
  return subject
}

/** oc and people look for Kubernetes' word. */
function inItsWords(error: unknown): never {
  throw error instanceof RegistryError && error.code === 'UNAUTHORIZED' ? unauthorized(error.message, error) : error
}

function unauthorized(message: string, cause?: RegistryError): RegistryError {
  return new RegistryError('UNAUTHORIZED', {
    message: `Unauthorized: ${message}`,
    ...(cause && { cause }),
    ...(cause?.claimant && { claimant: cause.claimant }),
  })
}
