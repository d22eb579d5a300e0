/** `/login`: how one can log in here, for `weir login`. */
import type { Hono } from 'hono'
import type { Provider, Tokens } from '../access/access.ts'
import type { HttpEnv } from './exchange.ts'
import { json, toResponse } from './respond.ts'

export interface LoginRouteDeps {
  tokens: Pick<Tokens, 'openidConfiguration'>
  providers: readonly Pick<Provider, 'name' | 'device'>[]
}

/** Of the config; no issuer is called so. */
const passwords = 'htpasswd'

/**
 * Adds `/login`, which anybody may read: `issuer` is Weir's own, the `service` that `/token` makes tokens for the API for;
 * `issuers` those whose tokens are taken, with what the device flow needs where there is one (RFC 8628); `htpasswd` whether
 * users with passwords are known.
 */
export function addLoginRoute(app: Hono<HttpEnv>, { tokens, providers }: LoginRouteDeps): void {
  const { issuer } = tokens.openidConfiguration()
  const body = {
    issuer,
    issuers: providers.filter(({ name }) => name !== passwords).map(({ name, device }) => ({ name, ...device })),
    htpasswd: providers.some(({ name }) => name === passwords),
  }
  app.get('/login', () => toResponse(json(200, body, { 'cache-control': 'no-store' })))
}
