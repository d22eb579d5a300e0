/** A JWT as it reads before anybody checked it: good for choosing who checks it, and for nothing else. */
export interface Unverified {
  header: Readonly<Record<string, unknown>>
  /** Undefined for an encrypted token, whose claims can not be read. */
  claims: Readonly<Record<string, unknown>> | undefined
}

/** The longest token that is looked at: what with the other headers fits Node's 16 KiB. */
export const maxForeignTokenLength = 16_000

const compact = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){2}(?:(?:\.[A-Za-z0-9_-]*){2})?$/

/** Reads a compact JWS or JWE (RFC 7515 3.1, RFC 7516 3.1); undefined when the text is neither. */
export function readUnverified(text: string): Unverified | undefined {
  if (!compact.test(text)) return undefined
  const parts = text.split('.')
  // Where a token is too long to be looked at, its header still tells that it is one.
  const header = readObject((parts[0] ?? '').slice(0, maxForeignTokenLength))
  if (header === undefined || typeof header.alg !== 'string') return undefined
  const readable = parts.length === 3 && text.length <= maxForeignTokenLength
  return { header, claims: readable ? readObject(parts[1] ?? '') : undefined }
}

/** Whether a token names a key of its own, which proves nothing, whatever its id (CVE-2018-0114, CVE-2025-24976). */
export function bringsKey(header: Unverified['header']): boolean {
  return ['jwk', 'jku', 'x5c', 'x5u'].some((name) => Object.hasOwn(header, name))
}

function readObject(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
