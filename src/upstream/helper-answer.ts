import type { Login } from './upstream.ts'

/** The user name by which docker's helpers say that the secret is an identity token. */
const identityUser = '<token>'
const maxFieldLength = 32 * 1024

/**
 * Reads what a helper printed: `{"Username", "Secret"}` as docker's credential helpers do, or `{"username", "password"}` or
 * `{"identityToken", "username"}`, with an `expiry` (RFC 3339) at which it ends.
 *
 * @returns what is wrong, with nothing of what was printed
 */
export function parseHelperAnswer(text: string, now: number): { login: Login; expiresAt?: number } | string {
  const fields = jsonObject(text)
  if (fields === undefined) return 'printed no JSON object'
  const read = (...names: string[]): string | undefined => {
    const value = names.map((name) => fields[name]).find((each) => each !== undefined)
    return typeof value === 'string' && value.length <= maxFieldLength ? value : undefined
  }
  const login = loginOf(read('username', 'Username') ?? '', read('password', 'Secret'), read('identityToken'))
  if (login === undefined) return 'printed neither Username and Secret, nor username and password or identityToken'
  const { expiry } = fields
  if (expiry === undefined || expiry === null) return { login }
  const expiresAt = typeof expiry === 'string' ? instantOf(expiry) : undefined
  if (expiresAt === undefined) return 'printed an expiry that is no time, such as 2026-01-31T12:00:00Z'
  return expiresAt > now ? { login, expiresAt } : 'printed a login that has expired already'
}

function loginOf(username: string, password: string | undefined, identityToken: string | undefined): Login | undefined {
  if (identityToken) return { identityToken, username }
  if (!password) return undefined
  if (username === identityUser) return { identityToken: password, username: '' }
  return username === '' || username.includes(':') ? undefined : { username, password }
}

/** @see https://www.rfc-editor.org/rfc/rfc3339#section-5.6 */
function instantOf(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/i.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : at
}

function jsonObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
