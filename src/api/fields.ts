import { type ErrorSubject, type FieldCause, RegistryError } from '../oci/errors.ts'

/** Causes that concern a field, worded as Kubernetes' `field.Error`s. */

export function required(field: string, detail: string): FieldCause {
  return {
    field,
    reason: 'FieldValueRequired',
    message: detail === '' ? 'Required value' : `Required value: ${detail}`,
  }
}

export function invalid(field: string, value: unknown, detail: string): FieldCause {
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${shown(value)}: ${detail}` }
}

export function forbiddenField(field: string, detail: string): FieldCause {
  return { field, reason: 'FieldValueForbidden', message: `Forbidden: ${detail}` }
}

export function notSupported(field: string, value: unknown, supported: readonly string[]): FieldCause {
  const values = supported.map((each) => `"${each}"`).join(', ')
  const message = `Unsupported value: ${shown(value)}${values === '' ? '' : `: supported values: ${values}`}`
  return { field, reason: 'FieldValueNotSupported', message }
}

/** Says of a list with more than `most` items that it is too long; what is no list is another check's business. */
export function atMost(field: string, list: unknown, most: number): FieldCause[] {
  if (!Array.isArray(list) || list.length <= most) return []
  return [{ field, reason: 'FieldValueTooMany', message: `Too many: ${list.length}: must have at most ${most} items` }]
}

/**
 * Refuses an object for all its causes at once.
 *
 * @throws RegistryError INVALID when there are any
 */
export function requireValid(causes: readonly FieldCause[], subject: ErrorSubject): void {
  if (causes.length > 0) throw new RegistryError('INVALID', { causes: causes.slice(0, 50), subject })
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'null'
  return text.length > 100 ? `${text.slice(0, 100)}...` : text
}
