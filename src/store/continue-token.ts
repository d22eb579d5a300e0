/** The opaque position in a list that is read in pages. */

import { RegistryError } from '../oci/errors.ts'
import { isRevision } from './check-commit.ts'

/** Where a page ended: the last key it showed, and the revision of the list's first page. */
export interface Continuation {
  after: string
  revision: number
}

/** Writes a token that `parseContinue` reads. */
export function formatContinue({ after, revision }: Continuation): string {
  return Buffer.from(JSON.stringify([revision, after])).toString('base64url')
}

/**
 * Reads a token of a list of keys under `prefix`.
 *
 * @throws RegistryError BAD_REQUEST for anything that no page of such a list gave.
 */
export function parseContinue(token: string, prefix: string): Continuation {
  const fields = parseJson(Buffer.from(token, 'base64url').toString())
  const [revision, after] = Array.isArray(fields) ? fields : []
  if (!isRevision(revision) || typeof after !== 'string' || !after.startsWith(prefix) || !after.isWellFormed()) {
    const message = 'continue: not a token of this list; leave it out to begin anew'
    const causes = [{ field: 'continue', reason: 'FieldValueInvalid', message }]
    throw new RegistryError('BAD_REQUEST', { message, causes })
  }
  return { after, revision }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
