import { type FieldCause, RegistryError } from '../oci/errors.ts'
import type { Verb } from './resource.ts'

const maxLength = 128
const optionKinds: Partial<Record<Verb, string>> = {
  create: 'CreateOptions',
  update: 'UpdateOptions',
  patch: 'PatchOptions',
}

/**
 * The name under which a request's changes are owned: its `fieldManager`, else the program that its User-Agent names.
 *
 * @throws RegistryError INVALID for a name that is too long or cannot be printed
 */
export function fieldManagerOf(request: Request, query: URLSearchParams, verb: Verb): string {
  const given = query.get('fieldManager') ?? ''
  if (given === '') return programOf(request.headers.get('user-agent') ?? '')
  const isShort = Buffer.byteLength(given) <= maxLength
  if (isShort && !hasUnprintable(given)) return given
  const message = isShort
    ? 'Invalid value: should only contain printable characters'
    : `Too long: may not be more than ${maxLength} bytes`
  throw invalidOption(verb, {
    field: 'fieldManager',
    reason: isShort ? 'FieldValueInvalid' : 'FieldValueTooLong',
    message,
  })
}

/** The refusal of an option in the query, as Kubernetes words it. */
export function invalidOption(verb: Verb, cause: FieldCause): RegistryError {
  const subject = { name: '', kind: optionKinds[verb] ?? 'Options', group: 'meta.k8s.io' }
  return new RegistryError('INVALID', { causes: [cause], subject })
}

function programOf(userAgent: string): string {
  const [program = ''] = userAgent.split('/', 1)
  const printable = program.replace(/[^\x20-\x7e]/g, '').trim()
  return printable.slice(0, maxLength) || 'unknown'
}

function hasUnprintable(text: string): boolean {
  return /[\p{C}\p{Zl}\p{Zp}]/u.test(text)
}
