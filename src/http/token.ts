/** `/token`: logins and scopes in, a token for `/v2/` out. */
import type { Hono } from 'hono'
import type { Access, Client, TokenGrant, TokenRequest, TokenService } from '../access/access.ts'
import type { Audit } from '../audit.ts'
import { RegistryError } from '../oci/errors.ts'
import { formatScopes } from '../oci/scope.ts'
import { createAuditedGrant } from './audited-grant.ts'
import { readBody } from './body.ts'
import type { HttpContext, HttpEnv } from './exchange.ts'
import { json, toResponse } from './respond.ts'

/** Most bytes of a form. */
export const maxFormBytes = 64 * 1024

/**
 * Adds `/token`, GET and POST.
 *
 * @see https://distribution.github.io/distribution/spec/auth/token/
 * @see https://distribution.github.io/distribution/spec/auth/oauth/
 */
export function addTokenRoutes(
  app: Hono<HttpEnv>,
  deps: { tokenService: Pick<TokenService, 'grant'>; audit: Pick<Audit, 'write'> },
): void {
  const grant = createAuditedGrant(deps)
  app.get('/token', async (c) => {
    const read = () => {
      const login = readBasic(c.req.header('authorization'))
      return readRequest(new URL(c.req.url).searchParams, login, c.env.client)
    }
    return answer(await grant(c.env, read))
  })
  app.post('/token', async (c) => {
    const read = async () => {
      const form = await readForm(c)
      return readRequest(form, readGrant(form), c.env.client)
    }
    return answer(await grant(c.env, read), true)
  })
  app.all('/token', () => {
    const errors = [{ code: 'UNSUPPORTED', message: 'only GET and POST are supported here', detail: null }]
    return toResponse(json(405, { errors }, { allow: 'GET, HEAD, POST', 'cache-control': 'no-store' }))
  })
}

function answer({ token, access, refreshToken }: TokenGrant, oauth = false): Response {
  const body = {
    token: token.token,
    access_token: token.token,
    expires_in: token.expiresInSeconds,
    issued_at: new Date(token.issuedAt * 1000).toISOString().replace('.000', ''),
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
    ...(oauth ? { token_type: 'Bearer', scope: scopeOf(access) } : {}),
  }
  return toResponse(json(200, body, { 'cache-control': 'no-store' }))
}

function scopeOf(access: readonly Access[]): string {
  return formatScopes(access.filter(({ actions }) => actions.length > 0))
}

function readRequest(parameters: URLSearchParams, login: TokenRequest['login'], client: Client): TokenRequest {
  for (const name of new Set(parameters.keys())) {
    // RFC 6749 3.1; scopes alone are repeated by clients.
    if (name !== 'scope' && parameters.getAll(name).length > 1) throw invalid(`${name.slice(0, 64)} is given twice`)
  }
  const service = parameters.get('service') ?? undefined
  return {
    login,
    service: service === '' ? undefined : service,
    scopes: parameters.getAll('scope'),
    offline: parameters.get('offline_token') === 'true' || parameters.get('access_type') === 'offline',
    clientId: parameters.get('client_id') ?? '',
    client,
  }
}

/** @throws RegistryError UNAUTHORIZED when there is an Authorization header that is not one Basic login */
function readBasic(authorization: string | undefined): { user: string; secret: string } | undefined {
  if (authorization === undefined) return undefined
  const encoded = /^basic ([A-Za-z0-9+/]*={0,2})$/i.exec(authorization)?.[1]
  const decoded = Buffer.from(encoded ?? '', 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  if (encoded === undefined || colon < 0) {
    throw new RegistryError('UNAUTHORIZED', { message: 'the Authorization header is not one Basic login' })
  }
  return { user: decoded.slice(0, colon), secret: decoded.slice(colon + 1) }
}

function readGrant(form: URLSearchParams): TokenRequest['login'] {
  switch (form.get('grant_type')) {
    case 'password': {
      const user = form.get('username')
      const secret = form.get('password')
      if (!user || !secret) throw invalid('username and password are required with grant_type=password')
      return { user, secret }
    }
    case 'refresh_token': {
      const refreshToken = form.get('refresh_token')
      if (!refreshToken) throw invalid('refresh_token is required with grant_type=refresh_token')
      return { refreshToken }
    }
    case null:
      throw invalid('grant_type is missing; write grant_type=password or grant_type=refresh_token')
    default:
      throw invalid('grant_type can be password or refresh_token', 'unsupported_grant_type')
  }
}

/** @throws RegistryError BAD_REQUEST, TOO_LARGE */
async function readForm(c: HttpContext): Promise<URLSearchParams> {
  const type = (c.req.header('content-type') ?? '').split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded')
    throw invalid('Content-Type must be application/x-www-form-urlencoded')
  return new URLSearchParams((await readBody(c.req.raw, maxFormBytes)).toString('utf8'))
}

function invalid(message: string, oauth = 'invalid_request'): RegistryError {
  return new RegistryError('BAD_REQUEST', { message, detail: { oauth } })
}
