/** Opens what knows who may do what. */
import type { Logger } from 'pino'
import type { Provider } from './access/access.ts'
import { type AccessParts, createAccess } from './access/create-access.ts'
import { createProviders } from './access/providers.ts'
import { SecretKeyError, secretKeyFile } from './access/secret-key.ts'
import type { WeirConfig } from './config.ts'
import type { Lifetime } from './lifetime.ts'
import { messageOf, StartError } from './start-error.ts'
import type { Store } from './store/store.ts'
import { createDocuments } from './upstream/documents.ts'

export interface OpenAccessOptions {
  config: Pick<WeirConfig, 'auth' | 'data'>
  store: Store
  /** Host of the public URL, with its port: `aud` of registry tokens. */
  service: string
  /** `iss` of all tokens. */
  issuer: string
  userAgent: string
  /** Takes out of the store what the secret keys do not open, instead of refusing to start. */
  discardUnreadable: boolean
  lifetime: Lifetime
  now: () => number
  log: Logger
}

/** @throws StartError */
export async function openAccess(options: OpenAccessOptions): Promise<AccessParts> {
  const { config, store, service, issuer, discardUnreadable, lifetime, now, log } = options
  const { tokenLifetimeMs, maxTokenLifetimeMs, loginLifetimeMs } = config.auth
  const providers = await openProviders(options)
  try {
    return await createAccess({
      store,
      secretKeyFile: secretKeyFile(config.data),
      discardUnreadable,
      issuer,
      service,
      tokenLifetimeMs,
      maxTokenLifetimeMs,
      loginLifetimeMs,
      providers,
      now,
      signal: lifetime.closing,
      log,
    })
  } catch (error) {
    const what = error instanceof SecretKeyError ? '' : 'the signing keys can not be used: '
    throw new StartError(`${what}${messageOf(error)}`, error)
  }
}

/** Who logs in by what the config names; fetches nothing before somebody does. */
async function openProviders({
  config,
  userAgent,
  lifetime,
  now,
  log,
}: OpenAccessOptions): Promise<readonly Provider[]> {
  const documents = createDocuments({ userAgent })
  lifetime.defer(() => documents.close())
  try {
    const { closing: signal } = lifetime
    return await createProviders({ ...config.auth, fetchDocument: documents.fetch, now, signal, log })
  } catch (error) {
    throw new StartError(`auth.htpasswdFile: ${messageOf(error)}`, error)
  }
}
