import { RegistryError } from '../../oci/errors.ts'
import { maxSmallBodyBytes, mediaType, readBytes } from '../body.ts'
import { type Document, parseJson, parseYaml } from '../document.ts'

/** The content types of a PATCH. */
export const patchTypes = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
} as const

export type PatchType = (typeof patchTypes)[keyof typeof patchTypes]

/**
 * Which of the four kinds of patch a request carries.
 *
 * @throws RegistryError UNSUPPORTED_MEDIA_TYPE
 */
export function patchTypeOf(request: Request): PatchType {
  const type = mediaType(request.headers.get('content-type'))
  for (const [known, patchType] of Object.entries(patchTypes)) if (known === type) return patchType
  throw new RegistryError('UNSUPPORTED_MEDIA_TYPE', {
    message: `the body of the request was in an unknown format (${type.slice(0, 100) || 'none'}); accepted media types include: ${Object.keys(patchTypes).join(', ')}`,
  })
}

/**
 * Reads a patch.
 *
 * @throws RegistryError TOO_LARGE, BAD_REQUEST
 */
export async function readPatch(request: Request, type: PatchType, maxBytes: number): Promise<Document> {
  const bytes = await readBytes(request, maxBytes)
  if (bytes.length === 0) throw new RegistryError('BAD_REQUEST', { message: 'the request has no body' })
  return type === 'apply' ? parseConfig(bytes) : parseJson(bytes)
}

// Clients call it YAML and mostly send JSON, which may be large.
function parseConfig(bytes: Buffer): Document {
  if (bytes.length <= maxSmallBodyBytes && !/^\s*[{[]/.test(bytes.toString('latin1', 0, 256))) return parseYaml(bytes)
  try {
    return parseJson(bytes)
  } catch (error) {
    if (bytes.length > maxSmallBodyBytes) {
      throw new RegistryError('TOO_LARGE', {
        message: `the configuration is larger than ${maxSmallBodyBytes} bytes, the most in YAML, and is not JSON: send it as JSON`,
        cause: error,
      })
    }
    return parseYaml(bytes)
  }
}
