import type { Client } from './client.ts'
import { CliError } from './failures.ts'
import { claimsOf } from './token-claims.ts'

/** Who logs in: a user with his password, or with a token of an issuer in its place. */
export interface Secret {
  user: string
  secret: string
}

/** Kept with the session that the exchange begins. */
const clientId = 'weir'

/**
 * Gets a token for the API in exchange for a login; `issuer` is the server's own.
 *
 * @throws CliError with the server's reason
 */
export async function exchangeLogin(client: Client, issuer: string, { user, secret }: Secret): Promise<string> {
  const form = {
    grant_type: 'password',
    service: issuer,
    client_id: clientId,
    access_type: 'offline',
    username: user,
    password: secret,
  }
  const content = { type: 'application/x-www-form-urlencoded', text: new URLSearchParams(form).toString() }
  const { code, value } = await client.fetch('POST', '/token', { content })
  const { access_token: token } = (value ?? {}) as { access_token?: unknown }
  if (code === 200 && typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)) return token
  throw refused(client, code, value, claimsOf(secret)?.issuer)
}

function refused(
  { server }: Client,
  code: number,
  value: object | undefined,
  tokenIssuer: string | undefined,
): CliError {
  const { errors, error_description: described } = (value ?? {}) as {
    errors?: { message?: unknown }[]
    error_description?: unknown
  }
  const told = Array.isArray(errors) ? errors[0]?.message : described
  const reason = typeof told === 'string' && told !== '' ? told : `it answered ${code}`
  if (code === 401) {
    const hints = tokenIssuer === undefined ? [] : whyRefused(reason, tokenIssuer)
    return new CliError(`${server.url} refuses this login: ${reason}`, { hints })
  }
  return new CliError(`${server.url} gives no token: ${reason}`, {
    hints: code === 429 ? ['wait, then try again'] : code >= 500 ? ['the fault is in the server: see its log'] : [],
  })
}

/** Why a token is refused; the server tells of the tokens of its issuers alone whose they are. */
function whyRefused(reason: string, issuer: string): string[] {
  if (reason.includes('expired')) return []
  if (reason.includes('(auth.issuers')) return []
  return reason.startsWith('the token of ')
    ? ["the server's log says why, with log.level: debug in its weir.yaml"]
    : [`the token is of ${issuer}: the server takes those of the issuers in auth.issuers of its weir.yaml`]
}
