import { type ZodType, z } from 'zod'

/**
 * How a value is merged with another of its kind: maps field by field, lists by the keys of their items, sets item by item.
 * What is `unknown` is judged by the value itself: a map field by field, a list as a whole.
 */
export type Shape =
  | { type: 'map'; fields: ReadonlyMap<string, Shape>; values: Shape }
  /** `keys` tell items apart; a strategic merge patch knows only the first. */
  | { type: 'list'; keys: readonly [string, ...string[]]; item: Shape }
  | { type: 'set' }
  /** Replaced as a whole. */
  | { type: 'atomic' }
  | { type: 'unknown' }

interface JsonSchema {
  $ref?: unknown
  anyOf?: unknown
  oneOf?: unknown
  allOf?: unknown
  properties?: unknown
  additionalProperties?: unknown
  items?: unknown
  [extension: string]: unknown
}

const unknown: Shape = { type: 'unknown' }
const atomic: Shape = { type: 'atomic' }
const stringMap: Shape = { type: 'map', fields: new Map(), values: atomic }

// Every kind has the same metadata, whatever its schema tells of it.
const metadataShape: Shape = {
  type: 'map',
  values: unknown,
  fields: new Map<string, Shape>([
    ['labels', stringMap],
    ['annotations', stringMap],
    ['finalizers', { type: 'set' }],
    ['ownerReferences', { type: 'list', keys: ['uid'], item: unknown }],
    ['managedFields', atomic],
  ]),
}

const shapes = new WeakMap<ZodType, Shape>()
const withoutSchema: Shape = { type: 'map', values: unknown, fields: new Map([['metadata', metadataShape]]) }

/**
 * The shape of a kind's objects, from the `x-kubernetes-*` extensions in its schema's `meta`: `x-kubernetes-list-type`,
 * `x-kubernetes-list-map-keys`, `x-kubernetes-map-type`, `x-kubernetes-patch-merge-key` and `x-kubernetes-patch-strategy`.
 *
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
 */
export function shapeOf({ schema }: { schema?: ZodType }): Shape {
  if (schema === undefined) return withoutSchema
  const known = shapes.get(schema)
  if (known !== undefined) return known
  const root = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema
  const shape = shapeFrom(root, root, [])
  const fields = new Map(shape.type === 'map' ? shape.fields : [])
  const object: Shape = { type: 'map', values: unknown, fields: fields.set('metadata', metadataShape) }
  shapes.set(schema, object)
  return object
}

/** The shape of a field of a map. */
export function fieldShape(shape: Shape, field: string): Shape {
  if (shape.type !== 'map') return unknown
  return shape.fields.get(field) ?? shape.values
}

/** `within` are the definitions that this one is a part of: one that contains itself is cut there. */
function shapeFrom(schema: JsonSchema, root: JsonSchema, within: readonly string[]): Shape {
  const alternatives = [schema.anyOf, schema.oneOf, schema.allOf].flatMap((each) => (Array.isArray(each) ? each : []))
  const { $ref: reference } = schema
  const isUsed = typeof reference === 'string' && !within.includes(reference)
  for (const each of [...alternatives, ...(isUsed ? [resolve(reference, root)] : [])]) {
    // What is said of `X | null` as a whole is meant for X.
    const known = isUsed ? [...within, reference] : within
    const shape = isObject(each) ? shapeFrom({ ...each, ...extensionsOf(schema) }, root, known) : unknown
    if (shape.type !== 'unknown') return shape
  }
  if (schema.items !== undefined || schema.type === 'array') return listShape(schema, root, within)
  if (schema.properties === undefined && !isObject(schema.additionalProperties)) return unknown
  if (schema['x-kubernetes-map-type'] === 'atomic') return atomic
  const properties = isObject(schema.properties) ? Object.entries(schema.properties) : []
  const { additionalProperties: values } = schema
  return {
    type: 'map',
    fields: new Map(
      properties.map(([name, field]) => [name, isObject(field) ? shapeFrom(field, root, within) : unknown]),
    ),
    values: isObject(values) ? shapeFrom(values, root, within) : unknown,
  }
}

function listShape(schema: JsonSchema, root: JsonSchema, within: readonly string[]): Shape {
  const listKeys = schema['x-kubernetes-list-map-keys']
  const mergeKey = schema['x-kubernetes-patch-merge-key']
  const named = Array.isArray(listKeys) ? listKeys.filter((key) => typeof key === 'string') : []
  const [first, ...rest] = typeof mergeKey === 'string' ? [mergeKey, ...named.filter((key) => key !== mergeKey)] : named
  if (first !== undefined) {
    const item = isObject(schema.items) ? shapeFrom(schema.items, root, within) : unknown
    return { type: 'list', keys: [first, ...rest], item }
  }
  const isSet = schema['x-kubernetes-list-type'] === 'set' || schema['x-kubernetes-patch-strategy'] === 'merge'
  return isSet ? { type: 'set' } : atomic
}

function extensionsOf(schema: JsonSchema): JsonSchema {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => name.startsWith('x-kubernetes-')))
}

function resolve(reference: string, root: JsonSchema): unknown {
  if (reference === '#') return root
  const [, name] = /^#\/\$defs\/(.+)$/.exec(reference) ?? []
  const definitions = root.$defs
  return name !== undefined && isObject(definitions) && Object.hasOwn(definitions, name) ? definitions[name] : undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
