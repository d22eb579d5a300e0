import { RegistryError } from '../oci/errors.ts'

/** What a body has of its own at a path of names; undefined where there is nothing. */
export function valueAt(body: unknown, ...path: readonly string[]): unknown {
  let value = body
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined
    value = value[name]
  }
  return value
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** @throws RegistryError BAD_REQUEST that names `field` */
export function requireText(value: unknown, field: string): string {
  if (typeof value !== 'string' || value === '') throw unlike(field, 'a text that is not empty')
  return value
}

/** A text that need not be there. @throws RegistryError BAD_REQUEST that names `field` */
export function optionalText(value: unknown, field: string): string | undefined {
  if (value === undefined || value === null || value === '') return undefined
  return requireText(value, field)
}

/** @throws RegistryError BAD_REQUEST that names `field` */
export function requireList(value: unknown, field: string, most: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > most) throw unlike(field, `a list of at most ${most}`)
  return value
}

export function unlike(field: string, what: string): RegistryError {
  return new RegistryError('BAD_REQUEST', { message: `${field}: must be ${what}` })
}
