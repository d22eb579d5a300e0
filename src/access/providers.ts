/** The ways of proving who one is that the config names: OIDC issuers and the htpasswd file. */
import type { Logger } from 'pino'
import type { Provider } from './access.ts'

/** The name of the provider that reads the htpasswd file; no issuer is called so. */
export const htpasswdProvider = 'htpasswd'

/** An OIDC issuer whose tokens are taken, as the config has it. */
export interface OidcIssuer {
  readonly name: string
  /** As `iss` has it. */
  readonly issuer: string
  /** Where its discovery document is. Default: below `issuer`. */
  readonly discoveryUrl?: string
  /** A token has to be for one of them. */
  readonly audiences: readonly string[]
  /** PEM; default: what the system trusts. */
  readonly certificateAuthority?: string
  readonly username: ClaimMapping
  readonly groups: readonly ClaimMapping[]
  /** Claims that a token must have, with their values as text. */
  readonly requiredClaims: Readonly<Record<string, string>>
  /** How long a login may go on by refresh tokens; 0: not at all. */
  readonly sessionLifetimeMs: number
  /** Of the device flow; absent where there is none. */
  readonly clientId?: string
  readonly scopes: readonly string[]
}

/** A claim, and what stands in front of its value. */
export interface ClaimMapping {
  readonly claim: string
  readonly prefix: string
}

/**
 * Fetches a document of a host that the operator named, over https, bounded in size and time, following no redirect.
 * `certificateAuthority` is PEM and stands in the place of what the system trusts.
 *
 * @throws Error whose message says, without secrets, why there is none
 */
export type FetchDocument = (
  url: string,
  options: { certificateAuthority?: string; signal?: AbortSignal },
) => Promise<string>

export interface ProvidersOptions {
  issuers: readonly OidcIssuer[]
  htpasswdFile?: string
  /** How long a login with a password may go on by refresh tokens; 0: not at all. */
  sessionLifetimeMs: number
  fetchDocument: FetchDocument
  now: () => number
  /** Ends what follows the file. */
  signal: AbortSignal
  log: Logger
}

/**
 * The providers of the config, issuers first; none is asked before somebody logs in.
 *
 * @throws Error when the htpasswd file can not be used, saying which line is wrong and what to do
 */
export async function createProviders(options: ProvidersOptions): Promise<readonly Provider[]> {
  const { issuers, htpasswdFile: file, sessionLifetimeMs, now, signal, log } = options
  const providers: Provider[] = []
  if (issuers.length > 0) {
    const { createIssuer } = await import('./issuer.ts')
    providers.push(...issuers.map((issuer) => createIssuer({ ...options, issuer })))
  }
  if (file !== undefined) {
    const { createPasswords } = await import('./passwords.ts')
    providers.push(await createPasswords({ name: htpasswdProvider, file, sessionLifetimeMs, now, signal, log }))
  }
  return providers
}
