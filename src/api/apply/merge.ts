import { RegistryError } from '../../oci/errors.ts'
import { orderElements } from '../element-order.ts'
import type { Shape } from '../list-keys.ts'
import { join, partsOf } from './elements.ts'
import { type FieldSet, isEmpty } from './field-set.ts'
import { fieldElement, formatPath } from './fields-v1.ts'

/**
 * Merges a configuration over what is there; undefined stands for nothing.
 *
 * @throws RegistryError BAD_REQUEST for two items of the configuration with the same key
 */
export function mergeConfig(live: unknown, config: unknown, shape: Shape, at: readonly string[] = []): unknown {
  const wanted = partsOf(config, shape)
  if (wanted === undefined) {
    if (Array.isArray(config) && shape.type === 'list')
      throw badConfig(at, `each item needs ${shape.keys.join(' and ')}`)
    if (Array.isArray(config) && shape.type === 'set') throw badConfig(at, 'its items are scalars')
    return config
  }
  if (wanted.duplicate !== undefined) throw badConfig(at, `duplicate entries for ${formatPath([wanted.duplicate])}`)
  const there = partsOf(live, shape)
  const merged = new Map(
    there?.type === wanted.type ? [...there.parts].map(([element, { value }]) => [element, value]) : [],
  )
  const before = [...merged.keys()]
  for (const [element, part] of wanted.parts) {
    merged.set(element, mergeConfig(merged.get(element), part.value, part.shape, [...at, element]))
  }
  if (wanted.type === 'map') return join('map', merged)
  const ordered = orderElements([...merged.keys()], [...wanted.parts.keys()], before)
  return join(
    wanted.type,
    ordered.map((element) => [element, merged.get(element)]),
  )
}

/**
 * Takes out of a value what is in `gone` and not in `kept`; of an item that has anything in `kept`, its keys stay as well.
 *
 * @returns undefined when nothing is left
 */
export function removeFields(value: unknown, gone: FieldSet, kept: FieldSet | undefined, shape: Shape): unknown {
  return remove(value, gone, kept, shape, [])
}

function remove(
  value: unknown,
  gone: FieldSet,
  kept: FieldSet | undefined,
  shape: Shape,
  keys: readonly string[],
): unknown {
  const isKept = kept !== undefined && !isEmpty(kept)
  const whole = partsOf(value, shape)
  if (whole === undefined || whole.parts.size === 0) return gone.isMember && !isKept ? undefined : value
  const isItemKey = new Set(keys.map(fieldElement))
  const left: [string, unknown][] = []
  for (const [element, part] of whole.parts) {
    const below = gone.children.get(element)
    const keptBelow = kept?.children.get(element)
    if (below === undefined || isItemKey.has(element)) {
      left.push([element, part.value])
      continue
    }
    const isWholeItem = whole.type !== 'map' && below.isMember
    if (isWholeItem && (keptBelow === undefined || isEmpty(keptBelow))) continue
    const itemKeys = shape.type === 'list' ? shape.keys : []
    const rest = remove(part.value, below, keptBelow, part.shape, itemKeys)
    if (rest !== undefined) left.push([element, rest])
  }
  // A map that was there only for its fields goes with the last of them.
  if (left.length === 0 && !isKept) return undefined
  return join(whole.type, left)
}

function badConfig(at: readonly string[], message: string): RegistryError {
  return new RegistryError('BAD_REQUEST', {
    message: `failed to read the applied configuration: ${formatPath(at)}: ${message}`,
  })
}
