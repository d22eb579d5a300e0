/** The ways of proving who one is that the config names: OIDC issuers and the htpasswd file. */
import type { Logger } from 'pino'
import type { Provider } from './access.ts'
import type { FetchDocument, OidcIssuer } from './oidc-issuer.ts'

/** The name of the provider that reads the htpasswd file; no issuer is called so. */
export const htpasswdProvider = 'htpasswd'

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
