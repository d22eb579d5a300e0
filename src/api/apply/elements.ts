import { isJsonObject, type JsonObject, ownField } from '../json.ts'
import { fieldShape, type Shape } from '../list-keys.ts'
import { fieldElement, keyElement, valueElement } from './fields-v1.ts'

/** A part of a value that can have an owner of its own. */
export interface Part {
  value: unknown
  shape: Shape
}

/** What a value is made of. */
export interface Parts {
  type: 'map' | 'list' | 'set'
  /** By path element, in the value's order. */
  parts: ReadonlyMap<string, Part>
  /** A path element that two parts have. */
  duplicate: string | undefined
}

const scalar: Shape = { type: 'atomic' }

/**
 * Takes a value apart into what can be owned singly; undefined for one that is owned as a whole: a scalar, an atomic
 * list or map, and a list whose items lack their keys.
 */
export function partsOf(value: unknown, shape: Shape): Parts | undefined {
  if (isJsonObject(value) && (shape.type === 'map' || shape.type === 'unknown')) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined)
    return collect(
      'map',
      fields.map(([name, field]) => [fieldElement(name), { value: field, shape: fieldShape(shape, name) }]),
    )
  }
  if (!Array.isArray(value)) return undefined
  if (shape.type === 'set') {
    if (value.some((each) => typeof each === 'object')) return undefined
    return collect(
      'set',
      value.map((each) => [valueElement(each), { value: each, shape: scalar }]),
    )
  }
  if (shape.type !== 'list') return undefined
  const items = value.map(
    (each: unknown) => [elementOfItem(each, shape.keys), { value: each, shape: shape.item }] as const,
  )
  const keyed = items.flatMap(([element, part]): [string, Part][] => (element === undefined ? [] : [[element, part]]))
  return keyed.length === items.length ? collect('list', keyed) : undefined
}

/** The path element of an item of a list with keys; undefined when it lacks one. */
function elementOfItem(item: unknown, keys: readonly string[]): string | undefined {
  if (!isJsonObject(item)) return undefined
  const named: JsonObject = {}
  for (const key of keys) {
    const value = ownField(item, key)
    if (value === undefined || value === null || typeof value === 'object') return undefined
    named[key] = value
  }
  return keyElement(named)
}

/** Puts a value together again. */
export function join(type: Parts['type'], parts: Iterable<readonly [string, unknown]>): unknown {
  if (type !== 'map') return [...parts].map(([, value]) => value)
  return Object.fromEntries([...parts].map(([element, value]) => [element.slice(2), value]))
}

function collect(type: Parts['type'], entries: readonly (readonly [string, Part])[]): Parts {
  const parts = new Map<string, Part>()
  let duplicate: string | undefined
  for (const [element, part] of entries) {
    if (parts.has(element)) duplicate = element
    parts.set(element, part)
  }
  return { type, parts, duplicate }
}
