import protobuf from 'protobufjs'

/** What the wire says and no object can mean. Names the field. */
export class WireError extends Error {}

/** Fields that a message had and its type does not know, each with its tag. */
interface WithUnknown {
  $unknowns?: readonly Uint8Array[]
}

/**
 * The JSON of a decoded message: times as RFC 3339, bytes in base64, what is empty left out.
 *
 * @param message decoded with its unknown fields kept
 * @throws WireError
 */
export function jsonOf(type: protobuf.Type, message: object): Record<string, unknown> {
  requireWireTypes(type, message)
  const json: [string, unknown][] = []
  for (const field of type.fieldsArray) {
    if (!Object.hasOwn(message, field.name)) continue
    const value: unknown = Reflect.get(message, field.name)
    const shown = fieldValue(field, value)
    if (shown !== undefined) json.push([field.name, shown])
  }
  return Object.fromEntries(json)
}

function fieldValue(field: protobuf.Field, value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((each) => single(field, each))
  if (!field.map || typeof value !== 'object' || value === null) return single(field, value)
  const entries = Object.entries(value).map(([key, each]) => [key, single(field, each)])
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}

function single(field: protobuf.Field, value: unknown): unknown {
  const { resolvedType } = field
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  // A number, or an object of two halves.
  if (field.type === 'int64') return Number(String(value))
  if (!(resolvedType instanceof protobuf.Type) || typeof value !== 'object' || value === null) return value
  const json = jsonOf(resolvedType, value)
  switch (resolvedType.name) {
    case 'Time':
      return timeOf(field, json)?.replace(/\.\d+Z$/, 'Z')
    case 'MicroTime':
      return timeOf(field, json)
    case 'Quantity':
      return json.string ?? ''
    case 'ExtraValue':
      return json.items ?? []
    default:
      return json
  }
}

/** RFC 3339 with microseconds; undefined for the time that is none. */
function timeOf(field: protobuf.Field, { seconds, nanos = 0 }: Record<string, unknown>): string | undefined {
  if (seconds === undefined) return undefined
  const date = new Date(Number(seconds) * 1000)
  const isTime = !Number.isNaN(date.getTime()) && date.getUTCFullYear() >= 0 && date.getUTCFullYear() <= 9999
  if (!isTime || typeof nanos !== 'number' || nanos < 0 || nanos > 999_999_999) {
    throw new WireError(`${field.name} is no time`)
  }
  const micros = String(Math.floor(nanos / 1000)).padStart(6, '0')
  return date.toISOString().replace(/\.\d+Z$/, `.${micros}Z`)
}

// A decoder skips a field of another wire type than its own, and the object would silently lack it.
function requireWireTypes(type: protobuf.Type, message: WithUnknown): void {
  for (const unknown of message.$unknowns ?? []) {
    const field = type.fieldsById[protobuf.Reader.create(unknown).uint32() >>> 3]
    if (field !== undefined) throw new WireError(`${field.name} is of another type`)
  }
}
