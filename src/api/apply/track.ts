import { isJsonObject, type JsonObject } from '../json.ts'
import type { Shape } from '../list-keys.ts'
import { compare } from './compare.ts'
import { difference, equals, isEmpty, noFields, union } from './field-set.ts'
import {
  decodeManagedFields,
  encodeManagedFields,
  findOwner,
  type Owner,
  withFewUpdaters,
  withOwner,
} from './managers.ts'
import { managedFieldsOf, ownable, requireFewValues, withManagedFields } from './ownable.ts'

/** A write by somebody. */
export interface Writer {
  manager: string
  /** Of the object that is written. */
  apiVersion: string
  /** RFC 3339, seconds, UTC. */
  time: string
}

/**
 * Gives `next`, which is to replace `live`, the `metadata.managedFields` that follow: the writer owns what he changes, and
 * takes it from those who did. An object that nobody ever applied has no owners and gets none.
 *
 * @param mayReplace whether owners that `next` brings itself count, as when a client migrates those of its earlier writes
 * @throws RegistryError TOO_LARGE
 */
export function trackUpdate(
  live: JsonObject,
  next: JsonObject,
  shape: Shape,
  writer: Writer,
  mayReplace: boolean,
): JsonObject {
  const owners = (mayReplace ? sentOwners(next) : undefined) ?? decodeManagedFields(managedFieldsOf(live)) ?? []
  if (owners.length === 0) return withManagedFields(next, undefined)
  requireFewValues(next)
  const updated = afterUpdate(owners, ownable(live), ownable(next), shape, writer)
  return withManagedFields(next, encodeManagedFields(withFewUpdaters(updated)))
}

/** Who owns what after `writer` made `after` of `before`. */
export function afterUpdate(
  owners: readonly Owner[],
  before: JsonObject,
  after: JsonObject,
  shape: Shape,
  writer: Writer,
): Owner[] {
  const { changed, removed } = compare(before, after, shape)
  const lost = union(changed, removed)
  if (isEmpty(lost)) return [...owners]
  const own = { manager: writer.manager, operation: 'Update' } as const
  const mine = findOwner(owners, own)
  const others = owners.map((each) => (each === mine ? each : losing(each, lost, writer.time)))
  const fields = union(difference(mine?.fields ?? noFields, removed), { ...changed, isMember: false })
  return withOwner(others, { ...writer, ...own, fields })
}

/** An owner without the fields that he lost. */
export function losing(owner: Owner, lost: Owner['fields'], time: string): Owner {
  const fields = difference(owner.fields, lost)
  return equals(owner.fields, fields) ? owner : { ...owner, fields, time }
}

// A list of one empty entry asks for tracking to end; an empty list comes from clients that know nothing of owners.
function sentOwners(next: JsonObject): Owner[] | undefined {
  const sent = managedFieldsOf(next)
  if (!Array.isArray(sent) || sent.length === 0) return undefined
  const [first] = sent
  if (sent.length === 1 && isJsonObject(first) && Object.keys(first).length === 0) return []
  return decodeManagedFields(sent)
}
