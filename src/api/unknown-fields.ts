import { type ZodType, z } from 'zod'

/** What a schema knows of a value. */
interface Shape {
  /** What it must be; undefined: anything, and all in it is known. */
  type: 'object' | 'array' | 'string' | 'number' | 'boolean' | undefined
  /** Of an object with named fields. */
  fields?: ReadonlyMap<string, Shape>
  /** Of a list its elements, of a map its values. */
  elements?: Shape
  isNullable: boolean
}

/** Paths of fields, as `spec.tags[0].foo`; the first 100 of each sort. */
export interface Findings {
  /** Fields that the schema does not know. */
  unknown: string[]
  /** Fields that are not of the schema's type, each with what was expected: `spec.tags: expected array, received string`. */
  wrong: string[]
}

const typeMeta = ['kind', 'apiVersion']
const anything: Shape = { type: undefined, isNullable: true }
const shapes = new WeakMap<ZodType, Shape>()

const maxFound = 100
const maxShownKey = 64

/**
 * Looks for fields that `schema` does not know, and for those of another type. `kind` and `apiVersion` are known beside
 * every `metadata`; in a map with free keys, and in what may be anything, all is known. Costs little whatever is wrong:
 * a parser that reports a million wrong elements does not.
 *
 * @param object not deeper than a stack can bear
 */
export function examineFields(schema: ZodType, object: unknown): Findings {
  const findings: Findings = { unknown: [], wrong: [] }
  examine(shapeOf(schema), object, '', findings)
  return findings
}

/** `spec.foo` of `spec` and `foo`; a key is cut to 64 characters. */
export function fieldPath(parent: string, key: string): string {
  const shown = key.length > maxShownKey ? `${key.slice(0, maxShownKey)}...` : key
  return parent === '' ? shown : `${parent}.${shown}`
}

function examine(shape: Shape, value: unknown, path: string, findings: Findings): void {
  const { type, fields, elements, isNullable } = shape
  if (type === undefined || (isNullable && (value === null || value === undefined))) return
  const received = typeOf(value)
  if (received !== type) {
    if (findings.wrong.length < maxFound) findings.wrong.push(`${path}: expected ${type}, received ${received}`)
  } else if (Array.isArray(value)) {
    if (elements === undefined || elements === anything) return
    for (const [i, element] of value.entries()) {
      if (isFull(findings)) return
      examine(elements, element, `${path}[${i}]`, findings)
    }
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, field] of Object.entries(value)) {
      if (isFull(findings)) return
      const inner = fields?.get(key) ?? elements
      if (inner !== undefined) examine(inner, field, fieldPath(path, key), findings)
      else if (findings.unknown.length < maxFound) findings.unknown.push(fieldPath(path, key))
    }
  }
}

function isFull({ unknown, wrong }: Findings): boolean {
  return wrong.length >= maxFound && unknown.length >= maxFound
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

function shapeOf(schema: unknown): Shape {
  // What may be anything, or one of several, says nothing of its fields.
  if (!(schema instanceof z.ZodType)) return anything
  const shape = shapes.get(schema) ?? readShape(schema)
  shapes.set(schema, shape)
  return shape
}

function readShape(schema: ZodType): Shape {
  if (schema instanceof z.ZodObject) return objectShape(schema)
  if (schema instanceof z.ZodArray) return { type: 'array', elements: shapeOf(schema.element), isNullable: false }
  if (schema instanceof z.ZodRecord) return { type: 'object', elements: shapeOf(schema.valueType), isNullable: false }
  if (schema instanceof z.ZodString || schema instanceof z.ZodEnum) return { type: 'string', isNullable: false }
  if (schema instanceof z.ZodNumber) return { type: 'number', isNullable: false }
  if (schema instanceof z.ZodBoolean) return { type: 'boolean', isNullable: false }
  if (schema instanceof z.ZodPipe) return shapeOf(schema.in)
  if (schema instanceof z.ZodReadonly) return shapeOf(schema.unwrap())
  const isOptional =
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault
  return isOptional ? nullable(shapeOf(schema.unwrap())) : anything
}

function nullable(shape: Shape): Shape {
  return shape.isNullable ? shape : { ...shape, isNullable: true }
}

function objectShape(schema: z.ZodObject): Shape {
  const fields = new Map(Object.entries(schema.shape).map(([name, field]) => [name, shapeOf(field)]))
  if (fields.has('metadata')) for (const name of typeMeta) fields.set(name, anything)
  const { catchall } = schema.def
  const isClosed = catchall === undefined || catchall instanceof z.ZodNever
  return { type: 'object', fields, isNullable: false, ...(isClosed ? {} : { elements: shapeOf(catchall) }) }
}
