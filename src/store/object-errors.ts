/** Failures of API objects, worded as Kubernetes words them. */

import { type ErrorCode, RegistryError } from '../oci/errors.ts'

export interface ObjectErrors {
  notFound(name: string): RegistryError
  alreadyExists(name: string): RegistryError
  /** The stored object is not the one the caller meant. */
  conflict(name: string, why: string): RegistryError
  /** Undefined for a name that can stand in a path. */
  invalidName(name: string): RegistryError | undefined
}

/** Makes the errors of one resource; `group` is empty for the core group. */
export function createObjectErrors(resource: string, group: string): ObjectErrors {
  const qualified = group === '' ? resource : `${resource}.${group}`
  const error = (code: ErrorCode, name: string, message: string) =>
    new RegistryError(code, { message, subject: { name, kind: resource, group } })
  return {
    notFound: (name) => error('NOT_FOUND', name, `${qualified} "${name}" not found`),
    alreadyExists: (name) => error('ALREADY_EXISTS', name, `${qualified} "${name}" already exists`),
    conflict: (name, why) => error('CONFLICT', name, `Operation cannot be fulfilled on ${qualified} "${name}": ${why}`),
    invalidName: (name) => {
      const fault = faultOf(name)
      if (fault === undefined) return undefined
      const cause = {
        field: 'metadata.name',
        reason: 'FieldValueInvalid',
        message: `Invalid value: "${name}": ${fault}`,
      }
      return new RegistryError('INVALID', {
        message: `${qualified} "${name}" is invalid: metadata.name: ${cause.message}`,
        causes: [cause],
        subject: { name, kind: resource, group },
      })
    },
  }
}

/** @see https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#path-segment-names */
function faultOf(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..') return `may not be "${name}"`
  if (!name.isWellFormed()) return 'must be valid UTF-8'
  const forbidden = ['/', '%'].find((character) => name.includes(character))
  return forbidden === undefined ? undefined : `may not contain "${forbidden}"`
}
