import { RegistryError } from '../../oci/errors.ts'
import type { Answer } from '../answer.ts'
import type { Matched } from '../match.ts'
import type { Call } from '../resource.ts'

/**
 * Serves PATCH in its four content types: JSON patch, JSON merge patch, strategic merge patch and server-side apply.
 *
 * @throws RegistryError UNSUPPORTED_MEDIA_TYPE, BAD_REQUEST, NOT_FOUND, CONFLICT, INVALID
 */
export type Patch = (request: Request, call: Call, matched: Matched) => Promise<Answer>

export function createPatch(): Patch {
  return () => Promise.reject(new RegistryError('UNSUPPORTED'))
}
