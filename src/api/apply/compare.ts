import { jsonEqual } from '../json.ts'
import type { Shape } from '../list-keys.ts'
import { partsOf } from './elements.ts'
import { type FieldSet, fieldSet, leaf, noFields, union } from './field-set.ts'

/** How one object differs from another. */
export interface Comparison {
  /** Added, or of another value than before. */
  changed: FieldSet
  removed: FieldSet
}

export const unchanged: Comparison = { changed: noFields, removed: noFields }

/** Compares what was with what is; undefined stands for nothing. */
export function compare(before: unknown, after: unknown, shape: Shape): Comparison {
  if (before === undefined)
    return after === undefined ? unchanged : { changed: everyField(after, shape), removed: noFields }
  if (after === undefined) return { changed: noFields, removed: everyField(before, shape) }
  const was = partsOf(before, shape)
  const is = partsOf(after, shape)
  if (was === undefined || is === undefined || was.type !== is.type) {
    if (jsonEqual(before, after)) return unchanged
    const [changed, old] = [everyField(after, shape), everyField(before, shape)]
    return { changed, removed: { ...old, isMember: false } }
  }
  // Of two items with the same key, which only a client's mistake makes, one alone is compared.
  const elements = [...new Set([...was.parts.keys(), ...is.parts.keys()])]
  const compared = elements.map((element) => {
    const [old, now] = [was.parts.get(element), is.parts.get(element)]
    return [element, compare(old?.value, now?.value, (now ?? old)?.shape ?? { type: 'unknown' })] as const
  })
  return {
    changed: fieldSet(
      false,
      compared.map(([element, { changed }]) => [element, changed]),
    ),
    removed: fieldSet(
      false,
      compared.map(([element, { removed }]) => [element, removed]),
    ),
  }
}

/** A value with all its parts. What has none is not there: clients send empty maps, which are not kept. */
export function everyField(value: unknown, shape: Shape): FieldSet {
  const whole = partsOf(value, shape)
  if (whole === undefined) return leaf
  if (whole.parts.size === 0) return noFields
  return fieldSet(
    true,
    [...whole.parts].map(([element, part]) => [element, everyField(part.value, part.shape)]),
  )
}

/** What a configuration names: its values, and the items of its lists, but not the maps that hold them. */
export function namedFields(value: unknown, shape: Shape): FieldSet {
  const whole = partsOf(value, shape)
  if (whole === undefined) return leaf
  const children = [...whole.parts].map(([element, part]) => {
    const named = namedFields(part.value, part.shape)
    return [element, whole.type === 'list' ? union(named, leaf) : named] as const
  })
  // An empty map or list is a value.
  return fieldSet(children.length === 0, children)
}
