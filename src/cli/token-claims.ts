/** What a token says of itself: enough to tell people until when it is good, never a proof of anything. */

export interface TokenClaims {
  issuer: string | undefined
  endsAtMs: number | undefined
  /** Of a token that `weir login` got. */
  login: { provider: string | undefined; session: string | undefined } | undefined
}

/** The claims of a JWT, unverified; undefined when it is none. */
export function claimsOf(token: string): TokenClaims | undefined {
  const [, payload = '', ...rest] = token.split('.')
  if (rest.length !== 1) return undefined
  const claims = parse(payload)
  if (claims === undefined) return undefined
  const { iss, exp, weir } = claims
  return {
    issuer: textOf(iss),
    endsAtMs: typeof exp === 'number' && Number.isFinite(exp) ? exp * 1000 : undefined,
    login: isFields(weir) ? { provider: textOf(weir.provider), session: textOf(weir.session) } : undefined,
  }
}

function parse(payload: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    return isFields(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
