import { isJsonObject, type JsonObject } from '../json.ts'
import { type FieldSet, isEmpty, noFields } from './field-set.ts'

/** The path element of a field of a map. */
export function fieldElement(name: string): string {
  return `f:${name}`
}

/** The path element of a list's item, by its keys and their values. */
export function keyElement(keys: JsonObject): string {
  return `k:${JSON.stringify(sortedFields(keys))}`
}

/** The path element of a set's item. */
export function valueElement(value: unknown): string {
  return `v:${JSON.stringify(value)}`
}

/** A path as messages show it: `.spec.tags[name="prod"].from`. */
export function formatPath(elements: readonly string[]): string {
  return elements.map(formatElement).join('')
}

/** A set as `fieldsV1` has it; the same set always in the same words. */
export function encodeFields({ isMember, children }: FieldSet): JsonObject {
  const encoded: [string, JsonObject][] = [...children]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([element, child]) => [element, encodeFields(child)])
  if (isMember && encoded.length > 0) encoded.unshift(['.', {}])
  return Object.fromEntries(encoded)
}

/** Reads `fieldsV1`; undefined when it is none. */
export function decodeFields(value: unknown): FieldSet | undefined {
  const set = decodeNode(value)
  return set && { ...set, isMember: false }
}

function decodeNode(value: unknown): FieldSet | undefined {
  if (!isJsonObject(value)) return undefined
  const children = new Map<string, FieldSet>()
  let isMember = Object.keys(value).length === 0
  for (const [element, below] of Object.entries(value)) {
    if (element === '.') {
      isMember = true
      continue
    }
    const known = normalElement(element)
    const child = decodeNode(below)
    if (known === undefined || child === undefined) return undefined
    if (!isEmpty(child)) children.set(known, child)
  }
  return children.size === 0 && !isMember ? noFields : { isMember, children }
}

function normalElement(element: string): string | undefined {
  if (element.startsWith('f:')) return element
  const parsed = parsedElement(element)
  if (element.startsWith('k:')) return isJsonObject(parsed) ? keyElement(parsed) : undefined
  if (element.startsWith('v:')) return parsed === undefined ? undefined : valueElement(parsed)
  return /^i:\d{1,9}$/.test(element) ? element : undefined
}

function formatElement(element: string): string {
  if (element.startsWith('f:')) return `.${element.slice(2)}`
  const parsed = parsedElement(element)
  if (!isJsonObject(parsed)) return `[=${element.slice(2)}]`
  return `[${Object.entries(parsed)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join(',')}]`
}

function parsedElement(element: string): unknown {
  try {
    return JSON.parse(element.slice(2))
  } catch {
    return undefined
  }
}

function sortedFields(object: JsonObject): JsonObject {
  if (Object.keys(object).length < 2) return object
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)))
}
