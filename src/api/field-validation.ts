import type { ZodType } from 'zod'
import { RegistryError } from '../oci/errors.ts'
import { annotationWarnings } from './own-annotations.ts'
import { quotaWarnings } from './quota-warnings.ts'
import { examineFields, type Findings } from './unknown-fields.ts'

/** What becomes of fields that a kind does not have, or that are given twice: refused, told, or dropped silently. */
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore'

/** What is looked at. */
export interface Sent {
  /** The row's; undefined: every field is known. */
  schema: ZodType | undefined
  object: unknown
  /** Paths of fields that were given twice. */
  duplicates(): string[]
}

const values: readonly FieldValidation[] = ['Strict', 'Warn', 'Ignore']
const nothing: Findings = { unknown: [], wrong: [] }

/** Most problems that one message, and most warnings that one answer has. */
const maxShown = 10
const maxWarningLength = 256

/**
 * Reads `fieldValidation` of a request; absent or empty it is `Warn`.
 *
 * @throws RegistryError BAD_REQUEST for other values
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
 */
export function parseFieldValidation(query: URLSearchParams): FieldValidation {
  const wanted = query.get('fieldValidation') || 'Warn'
  const value = values.find((each) => each === wanted)
  if (value !== undefined) return value
  throw new RegistryError('BAD_REQUEST', {
    message: `fieldValidation: Unsupported value: ${JSON.stringify(wanted.slice(0, 40))}: supported values: "Ignore", "Warn", "Strict"`,
  })
}

/**
 * Checks what was sent before anything else looks at it: the types of its fields, and whether there are fields that are
 * unknown or given twice. Annotations in Weir's own domain that it does not know, or that do nothing there, are told too.
 *
 * @returns the headers that warn of them
 * @throws RegistryError BAD_REQUEST for wrong types, and for `Strict` naming the fields
 */
export function checkFields(validation: FieldValidation, sent: Sent): Record<string, string> {
  const { schema, object, duplicates } = sent
  const { unknown, wrong } = schema === undefined ? nothing : examineFields(schema, object)
  if (wrong.length > 0) {
    throw new RegistryError('BAD_REQUEST', {
      message: `the object has a wrong shape: ${wrong.slice(0, maxShown).join('; ')}`,
    })
  }
  // No field is wrong: objects that are copied from elsewhere bring such annotations.
  const told = [...quotaWarnings(object), ...annotationWarnings(object, maxShown)].slice(0, maxShown)
  if (validation === 'Ignore') return warnings(told)
  const problems = [
    ...unknown.map((path) => `unknown field ${quote(path)}`),
    ...duplicates().map((path) => `duplicate field ${quote(path)}`),
  ]
  if (validation === 'Strict' && problems.length > 0) {
    throw new RegistryError('BAD_REQUEST', { message: `strict decoding error: ${problems.join(', ')}` })
  }
  return warnings([...problems.slice(0, maxShown), ...told])
}

function warnings(texts: readonly string[]): Record<string, string> {
  return texts.length === 0 ? {} : { warning: texts.map(warning).join(', ') }
}

function quote(path: string): string {
  return JSON.stringify(path.length > maxWarningLength ? `${path.slice(0, maxWarningLength)}...` : path)
}

/** A value of the Warning header. @see https://www.rfc-editor.org/rfc/rfc7234#section-5.5 */
function warning(text: string): string {
  // A header has one byte a character, and none of them may end it.
  const ascii = text.replace(/[^\x20-\x7e]/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`)
  const shown = ascii.length > maxWarningLength ? `${ascii.slice(0, maxWarningLength)}...` : ascii
  return `299 - "${shown.replace(/["\\]/g, '\\$&')}"`
}
