import { RegistryError } from '../../oci/errors.ts'
import { elementId, orderElements } from '../element-order.ts'
import { isJsonObject, type JsonObject, ownField } from '../json.ts'
import { fieldShape, type Shape } from '../list-keys.ts'

/** What a map of a patch says beside its fields. */
interface Directives {
  patch: 'merge' | 'replace' | 'delete'
  retainKeys: ReadonlySet<unknown> | undefined
  /** By field. */
  elementOrder: ReadonlyMap<string, readonly unknown[]>
  /** By field. */
  deletions: ReadonlyMap<string, readonly unknown[]>
}

const elementOrderPrefix = '$setElementOrder/'
const deletionPrefix = '$deleteFromPrimitiveList/'

/**
 * Applies a strategic merge patch. `target` stays as it is.
 *
 * @throws RegistryError BAD_REQUEST for a directive that is unknown or cannot be followed
 * @see https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */
export function strategicPatch(target: JsonObject, patch: JsonObject, shape: Shape): JsonObject {
  return patchMap(target, patch, shape, '')
}

function patchMap(target: JsonObject, patch: JsonObject, shape: Shape, at: string): JsonObject {
  const directives = readDirectives(patch, at)
  if (directives.patch === 'delete') return {}
  const kept = directives.patch === 'replace' || shape.type === 'atomic' ? {} : target
  const { retainKeys } = directives
  const fields = new Map(Object.entries(kept).filter(([name]) => retainKeys === undefined || retainKeys.has(name)))
  const named = [...Object.keys(patch), ...directives.elementOrder.keys(), ...directives.deletions.keys()]
  for (const name of new Set(named.filter((each) => !each.startsWith('$')))) {
    const value = ownField(patch, name)
    const path = `${at}.${name}`
    if (value === null) {
      fields.delete(name)
      continue
    }
    if (retainKeys !== undefined && !retainKeys.has(name)) throw badPatch(at, `$retainKeys leaves ${name} out`)
    const order = directives.elementOrder.get(name)
    const deletions = directives.deletions.get(name)
    const isListChange = order !== undefined || deletions !== undefined
    if (isListChange && fields.get(name) === undefined && value === undefined) continue
    const patched = isListChange
      ? patchList(fields.get(name), value ?? [], fieldShape(shape, name), path, order, deletions)
      : patchValue(fields.get(name), value, fieldShape(shape, name), path)
    fields.set(name, patched)
  }
  return Object.fromEntries(fields)
}

function patchValue(target: unknown, patch: unknown, shape: Shape, at: string): unknown {
  if (isJsonObject(patch)) return patchMap(isJsonObject(target) ? target : {}, patch, shape, at)
  return Array.isArray(patch) ? patchList(target, patch, shape, at) : patch
}

function patchList(
  target: unknown,
  patch: unknown,
  shape: Shape,
  at: string,
  order?: readonly unknown[],
  deletions: readonly unknown[] = [],
): unknown[] {
  const items: readonly unknown[] = Array.isArray(target) ? target : []
  if (!Array.isArray(patch)) throw badPatch(at, 'is not a list')
  if (shape.type === 'list') {
    if (deletions.length > 0) throw badPatch(at, '$deleteFromPrimitiveList is for lists of scalars')
    return patchItems(items, patch, shape, at, order)
  }
  if (shape.type === 'set') return patchSet(items, patch, at, order, deletions)
  // A client that believes the list to be merged sends only what it changes: taken for the whole, it would lose the rest.
  if (order !== undefined || deletions.length > 0 || patch.some((each) => isJsonObject(each) && hasDirective(each))) {
    throw badPatch(at, 'the list has no keys and is replaced as a whole, without directives')
  }
  return patch
}

function patchSet(
  items: readonly unknown[],
  patch: readonly unknown[],
  at: string,
  order: readonly unknown[] | undefined,
  deletions: readonly unknown[],
): unknown[] {
  const values = new Map(items.map((each) => [elementId(each), each]))
  for (const each of deletions) values.delete(elementId(each))
  for (const each of patch) {
    if (typeof each === 'object') throw badPatch(at, 'its items are scalars')
    values.set(elementId(each), each)
  }
  const wanted = (order ?? patch).map((each) => elementId(each))
  const live = items.map((each) => elementId(each))
  requireOrdered(
    patch.map((each) => elementId(each)),
    wanted,
    at,
  )
  return orderElements([...values.keys()], wanted, live).map((id) => values.get(id))
}

function patchItems(
  items: readonly unknown[],
  patch: readonly unknown[],
  shape: Shape & { type: 'list' },
  at: string,
  order: readonly unknown[] | undefined,
): unknown[] {
  const [key] = shape.keys
  const changes = patch.map((each) => {
    if (!isJsonObject(each)) throw badPatch(at, `its items are objects with a ${key}`)
    return { each, kind: Object.hasOwn(each, '$patch') ? patchDirective(each.$patch, at) : 'merge' }
  })
  const isReplaced = changes.some(({ kind }) => kind === 'replace')
  const kept = isReplaced ? [] : items
  const live = kept.map((each, i) => idOf(each, key) ?? `#${i}`)
  const merged = new Map(kept.map((each, i) => [live[i] ?? '', each]))
  const wanted: string[] = []
  for (const { each, kind } of changes) {
    if (kind === 'replace') continue
    const id = idOf(each, key)
    if (id === undefined) throw badPatch(at, `an item does not have the key ${key}`)
    if (kind === 'delete') {
      merged.delete(id)
      continue
    }
    merged.set(id, patchValue(merged.get(id), each, shape.item, `${at}[${key}=${id.slice(1, -1)}]`))
    wanted.push(id)
  }
  const wantedOrder = order === undefined ? wanted : order.map((each) => idOf(each, key) ?? '')
  requireOrdered(wanted, wantedOrder, at)
  return orderElements([...merged.keys()], wantedOrder, live).map((id) => merged.get(id))
}

function idOf(item: unknown, key: string): string | undefined {
  const value = isJsonObject(item) ? ownField(item, key) : undefined
  return value === undefined || typeof value === 'object' ? undefined : elementId(value)
}

function requireOrdered(ids: readonly string[], order: readonly string[], at: string): void {
  const ordered = new Set(order)
  if (ids.some((id) => !ordered.has(id))) throw badPatch(at, '$setElementOrder leaves items of the patch out')
}

function hasDirective(map: JsonObject): boolean {
  return Object.keys(map).some((name) => name.startsWith('$'))
}

function readDirectives(map: JsonObject, at: string): Directives {
  const elementOrder = new Map<string, readonly unknown[]>()
  const deletions = new Map<string, readonly unknown[]>()
  let patch: Directives['patch'] = 'merge'
  let retainKeys: Directives['retainKeys']
  for (const [name, value] of Object.entries(map)) {
    if (!name.startsWith('$')) continue
    if (name === '$patch') patch = patchDirective(value, at)
    else if (name === '$retainKeys') retainKeys = new Set(listOf(value, `${at}.${name}`))
    else if (name.startsWith(elementOrderPrefix)) {
      elementOrder.set(name.slice(elementOrderPrefix.length), listOf(value, `${at}.${name}`))
    } else if (name.startsWith(deletionPrefix)) {
      deletions.set(name.slice(deletionPrefix.length), listOf(value, `${at}.${name}`))
    } else throw badPatch(at, `${JSON.stringify(name.slice(0, 100))} is no directive`)
  }
  return { patch, retainKeys, elementOrder, deletions }
}

function patchDirective(value: unknown, at: string): Directives['patch'] {
  if (value === 'merge' || value === 'replace' || value === 'delete') return value
  throw badPatch(at, '$patch is merge, replace or delete')
}

function listOf(value: unknown, at: string): readonly unknown[] {
  if (!Array.isArray(value)) throw badPatch(at, 'is not a list')
  return value
}

function badPatch(at: string, message: string): RegistryError {
  return new RegistryError('BAD_REQUEST', {
    message: `the strategic merge patch is not valid: ${at.slice(0, 300) || '.'}: ${message}`,
  })
}
