import { RegistryError } from '../oci/errors.ts'
import {
  type Authenticator,
  anonymous,
  type Provider,
  type Sessions,
  type Subject,
  type TokenRequest,
} from './access.ts'
import type { Current } from './current.ts'
import { readUnverified } from './unverified.ts'

export interface LoginsOptions {
  authenticator: Pick<Authenticator, 'authenticate'>
  sessions: Pick<Sessions, 'begin' | 'refresh'>
  providers: readonly Pick<Provider, 'name' | 'sessionLifetimeMs'>[]
  current: Pick<Current, 'confirm'>
  /** `iss` of Weir's own tokens. */
  issuer: string
}

/** Who asks at `/token`, and the refresh token by which he goes on where he asked for one and may have one. */
export interface LoggedIn {
  subject: Subject
  refreshToken?: string
}

/**
 * Makes what reads the login of a request. Who gave a wrong one is refused, and never taken for anonymous.
 *
 * @throws RegistryError UNAUTHORIZED, and as {@link Authenticator.authenticate}
 */
export function createLogins(options: LoginsOptions): (request: TokenRequest) => Promise<LoggedIn> {
  const { authenticator, sessions, providers, current, issuer } = options
  const lifetimes = new Map(providers.map(({ name, sessionLifetimeMs }) => [name, sessionLifetimeMs]))

  const begin = async (subject: Subject, { clientId, client }: TokenRequest): Promise<LoggedIn> => {
    const lifetimeMs = lifetimes.get(subject.provider ?? '') ?? 0
    const begun = lifetimeMs > 0 ? await sessions.begin(subject, { clientId, client, lifetimeMs }) : undefined
    return begun === undefined ? { subject } : { subject: begun.session.subject, refreshToken: begun.refreshToken }
  }

  return async (request) => {
    const { login, offline, clientId, client } = request
    if (login === undefined) return { subject: anonymous }
    if ('refreshToken' in login) {
      const refreshed = await sessions.refresh(login.refreshToken, { clientId, client, rotate: offline })
      if (await current.confirm(refreshed.subject)) return refreshed
      throw new RegistryError('UNAUTHORIZED', {
        message: 'the login has ended: log in again',
        claimant: refreshed.subject,
      })
    }
    if (login.user === '' && login.secret === '') return { subject: anonymous }
    const subject = await authenticator.authenticate({ ...login, client })
    if (subject === undefined) {
      throw new RegistryError('UNAUTHORIZED', {
        message: 'the user name, password or token is not valid: log in again',
      })
    }
    // A token is taken a little after its end, for clocks that differ, and what were made of it would be refused at once.
    if (!(await current.confirm(subject))) {
      throw new RegistryError('UNAUTHORIZED', { message: 'the token has expired: log in again', claimant: subject })
    }
    // A token for the API that came by no session ends soon, and what is made of it with it: it begins none.
    const isOfToken = subject.session === undefined && readUnverified(login.secret)?.claims?.iss === issuer
    return offline && !isOfToken ? begin(subject, request) : { subject }
  }
}
