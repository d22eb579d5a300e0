import type { ZodType } from 'zod'
import { RegistryError } from '../oci/errors.ts'

/** Makes the opaque token of a list's next page. */
export function encodeContinue(position: Readonly<Record<string, unknown>>): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url')
}

/**
 * Reads a token of {@link encodeContinue}; undefined when there is none.
 *
 * @throws RegistryError BAD_REQUEST
 */
export function decodeContinue<T>(schema: ZodType<T>, token: string | undefined): T | undefined {
  if (token === undefined) return undefined
  try {
    return schema.parse(JSON.parse(Buffer.from(token, 'base64url').toString('utf8'), wellFormed))
  } catch {
    throw new RegistryError('BAD_REQUEST', { message: 'continue: not a token of this list; start the list again' })
  }
}

// A lone surrogate has no UTF-8 form, so it is in no key.
function wellFormed(_name: string, value: unknown): unknown {
  if (typeof value === 'string' && !value.isWellFormed()) throw new TypeError('not well-formed')
  return value
}
