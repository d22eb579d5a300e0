import { ageOf } from '../age.ts'
import type { ApiObject, Column } from '../resource.ts'

/** Columns that many kinds share, and how a cell reads an object that may be of any shape. */

const nameDescription =
  'Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names'

const creationDescription =
  'CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata'

export const nameColumn: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: nameDescription,
  value: ({ metadata }) => metadata.name ?? '',
}

export const ageColumn: Column = {
  name: 'Age',
  type: 'string',
  description: creationDescription,
  value: ({ metadata }, nowMs) => ageOf(metadata.creationTimestamp, nowMs),
}

export const createdAtColumn: Column = {
  name: 'Created At',
  type: 'date',
  description: creationDescription,
  value: ({ metadata }) => metadata.creationTimestamp ?? '<unknown>',
}

/** What a kind without columns of its own shows. */
export const defaultColumns: readonly Column[] = [nameColumn, ageColumn]

/** The value at a path of fields; undefined where one of them is not there. */
export function valueAt(value: unknown, ...path: (string | number)[]): unknown {
  let at = value
  for (const field of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, field)) return undefined
    at = (at as Record<string | number, unknown>)[field]
  }
  return at
}

/** The text at a path of fields; empty where there is none. */
export function textAt(value: unknown, ...path: (string | number)[]): string {
  const text = valueAt(value, ...path)
  return typeof text === 'string' ? text : ''
}

/** The elements of the list at a path of fields; none where there is no list. */
export function listAt(value: unknown, ...path: (string | number)[]): unknown[] {
  const list = valueAt(value, ...path)
  return Array.isArray(list) ? list : []
}

/** The number of fields of the map at a path. */
export function sizeAt(object: ApiObject, ...path: string[]): number {
  const map = valueAt(object, ...path)
  return typeof map === 'object' && map !== null ? Object.keys(map).length : 0
}
