/** Values as JSON has them, as the API receives, stores and answers them. */

/** A JSON object. Its keys are a client's: ask with `Object.hasOwn`, and write with {@link setField} or a spread. */
export type JsonObject = Record<string, unknown>

/** Whether `value` is a JSON object, neither list nor null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An own field of an object; undefined for what it only inherits. */
export function ownField(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

/** Sets an own field; a plain assignment to `__proto__` would change what the object inherits. */
export function setField(object: JsonObject, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true })
}

/** Whether two values are the same; the order of an object's fields means nothing. */
export function jsonEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((each, i) => jsonEqual(each, b[i]))
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false
  // A field that is undefined is not there, as in the JSON that is sent.
  const names = Object.keys(a).filter((name) => a[name] !== undefined)
  const count = Object.keys(b).filter((name) => b[name] !== undefined).length
  return names.length === count && names.every((name) => Object.hasOwn(b, name) && jsonEqual(a[name], b[name]))
}
