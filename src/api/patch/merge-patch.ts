import { isJsonObject, type JsonObject, ownField } from '../json.ts'

/**
 * Applies a JSON merge patch. `target` stays as it is.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7386
 */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return patch
  const merged = new Map(isJsonObject(target) ? Object.entries(target) : [])
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name)
    else merged.set(name, mergePatch(isJsonObject(target) ? ownField(target, name) : undefined, value))
  }
  // Unlike an assignment, this takes any name for a field's, `__proto__` as well.
  return Object.fromEntries(merged) as JsonObject
}
