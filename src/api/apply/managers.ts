import { z } from 'zod'
import type { JsonObject } from '../json.ts'
import { equals, type FieldSet, isEmpty, union } from './field-set.ts'
import { decodeFields, encodeFields } from './fields-v1.ts'

/** Who owns which fields: one entry of `metadata.managedFields`. */
export interface Owner {
  manager: string
  /** `Apply` owns what its configuration names, `Update` what it changed. */
  operation: 'Apply' | 'Update'
  apiVersion: string
  /** When the entry last changed: RFC 3339, seconds, UTC. */
  time: string
  subresource?: string
  fields: FieldSet
}

/** Whose fields everything is that was there before anybody applied. */
export const beforeFirstApply = 'before-first-apply'

/** Whose fields those of the oldest updaters become when there are too many. */
const ancientChanges = 'ancient-changes'

const maxUpdaters = 10

const entrySchema = z.object({
  manager: z.string().max(128),
  operation: z.enum(['Apply', 'Update']),
  apiVersion: z.string().max(256),
  time: z.string().max(40).nullish(),
  fieldsType: z.literal('FieldsV1'),
  fieldsV1: z.record(z.string(), z.unknown()),
  subresource: z.string().max(64).nullish(),
})

/** Reads `metadata.managedFields`; undefined when it is none. */
export function decodeManagedFields(value: unknown): Owner[] | undefined {
  if (!Array.isArray(value)) return undefined
  const owners: Owner[] = []
  for (const each of value) {
    const parsed = entrySchema.safeParse(each)
    const fields = parsed.success ? decodeFields(parsed.data.fieldsV1) : undefined
    if (!parsed.success || fields === undefined) return undefined
    const { manager, operation, apiVersion, time, subresource } = parsed.data
    owners.push({ manager, operation, apiVersion, time: time ?? '', ...(subresource && { subresource }), fields })
  }
  const ids = owners.map(({ manager, operation, subresource }) => JSON.stringify([manager, operation, subresource]))
  return new Set(ids).size === ids.length ? owners : undefined
}

/** `metadata.managedFields` of these owners, without those that own nothing. */
export function encodeManagedFields(owners: readonly Owner[]): JsonObject[] {
  return owners
    .filter(({ fields }) => !isEmpty(fields))
    .map(({ manager, operation, apiVersion, time, subresource, fields }) => ({
      manager,
      operation,
      apiVersion,
      ...(time && { time }),
      fieldsType: 'FieldsV1',
      fieldsV1: encodeFields(fields),
      ...(subresource && { subresource }),
    }))
}

/** The owner of that name and operation, of the object itself. */
export function findOwner(
  owners: readonly Owner[],
  { manager, operation }: Pick<Owner, 'manager' | 'operation'>,
): Owner | undefined {
  return owners.find((each) => each.manager === manager && each.operation === operation && !each.subresource)
}

/** Puts `owner` into the place of the one of its name and operation, whose time stays where the fields are the same. */
export function withOwner(owners: readonly Owner[], owner: Owner): Owner[] {
  const previous = findOwner(owners, owner)
  const next = previous !== undefined && equals(previous.fields, owner.fields) ? previous : owner
  return previous === undefined ? [...owners, next] : owners.map((each) => (each === previous ? next : each))
}

/** Makes one owner of the oldest updaters where there are more than ten, so that no client's name fills the object. */
export function withFewUpdaters(owners: readonly Owner[]): Owner[] {
  const updaters = owners.filter(({ operation, fields }) => operation === 'Update' && !isEmpty(fields))
  if (updaters.length <= maxUpdaters) return [...owners]
  const byAge = updaters.toSorted((a, b) => rank(a) - rank(b) || (a.time < b.time ? -1 : Number(a.time > b.time)))
  const merged = byAge.slice(0, updaters.length - maxUpdaters + 1)
  const [oldest] = merged
  if (oldest === undefined) return [...owners]
  const ancient: Owner = {
    manager: ancientChanges,
    operation: 'Update',
    apiVersion: oldest.apiVersion,
    time: merged.at(-1)?.time ?? oldest.time,
    fields: merged.map(({ fields }) => fields).reduce(union),
  }
  return [ancient, ...owners.filter((each) => !merged.includes(each))]
}

function rank({ manager }: Owner): number {
  return manager === ancientChanges ? 0 : 1
}
