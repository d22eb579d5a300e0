import { type FieldCause, RegistryError } from '../../oci/errors.ts'
import { isJsonObject, type JsonObject } from '../json.ts'
import type { Shape } from '../list-keys.ts'
import { compare, everyField, namedFields, unchanged } from './compare.ts'
import { difference, type FieldSet, intersection, isEmpty, leaves, members, noFields, union } from './field-set.ts'
import { formatPath } from './fields-v1.ts'
import { lastAppliedFields, withLastApplied } from './last-applied.ts'
import {
  beforeFirstApply,
  decodeManagedFields,
  encodeManagedFields,
  findOwner,
  type Owner,
  withFewUpdaters,
  withOwner,
} from './managers.ts'
import { mergeConfig, removeFields } from './merge.ts'
import { managedFieldsOf, ownable, requireFewValues, withManagedFields } from './ownable.ts'
import { losing, type Writer } from './track.ts'

/** A configuration that somebody applies. */
export interface Application extends Writer {
  config: JsonObject
  shape: Shape
  /** Takes what others own, instead of failing. */
  force: boolean
}

/** A field that another manager owns with another value. */
interface Conflict {
  owner: Owner
  fields: FieldSet
}

/** The manager whose applies may change what the same tool set before it applied on the server. */
const migratingManager = 'kubectl'

const maxShownConflicts = 100

/**
 * Applies a configuration as its manager: what it names becomes his, what he named before and nobody else owns goes.
 *
 * @param live undefined for an object that is made by it
 * @returns the object with its `metadata.managedFields`
 * @throws RegistryError CONFLICT when others own what would change, BAD_REQUEST for a list with an item twice, TOO_LARGE
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */
export function applyConfig(live: JsonObject | undefined, application: Application): JsonObject {
  const { config, shape, manager, apiVersion, time, force } = application
  requireFewValues(config)
  const known = decodeManagedFields(live && managedFieldsOf(live)) ?? []
  const owners = live !== undefined && known.length === 0 ? [firstOwner(live, shape, application)] : known
  const mine = findOwner(owners, { manager, operation: 'Apply' })
  const others = owners.filter((each) => each !== mine)
  const named = asRoot(namedFields(ownable(config), shape))
  const merged = asObject(mergeConfig(live, config, shape))
  const kept = others.map(({ fields }) => fields).reduce(union, named)
  const next = mine === undefined ? merged : asObject(removeFields(merged, mine.fields, kept, shape))
  // Where nobody else owns anything, nothing can be taken from anybody.
  const { changed, removed } = others.length === 0 ? unchanged : compare(live && ownable(live), ownable(next), shape)
  const conflicts = others
    .map((owner) => ({ owner, fields: intersection(owner.fields, leaves(changed)) }))
    .filter(({ fields }) => !isEmpty(fields))
  if (!force) requireNoConflict(remaining(conflicts, live, application))
  const lost = union(conflicts.map(({ fields }) => fields).reduce(union, noFields), removed)
  const left = owners.map((each) => (each === mine ? each : losing(each, lost, time)))
  const applied = withOwner(left, { manager, operation: 'Apply', apiVersion, time, fields: named })
  const object = manager === migratingManager ? withLastApplied(next, config) : next
  return withManagedFields(object, encodeManagedFields(withFewUpdaters(applied)))
}

/**
 * Merges a configuration over an object whose owners nobody keeps.
 *
 * @throws RegistryError BAD_REQUEST for a list with an item twice, TOO_LARGE
 */
export function mergeOver(live: JsonObject | undefined, config: JsonObject, shape: Shape): JsonObject {
  requireFewValues(config)
  return asObject(mergeConfig(live, config, shape))
}

function firstOwner(live: JsonObject, shape: Shape, { apiVersion, time }: Writer): Owner {
  const fields = asRoot(everyField(ownable(live), shape))
  return { manager: beforeFirstApply, operation: 'Update', apiVersion, time, fields }
}

// A tool that set these fields itself, before it applied on the server, may change them without force.
function remaining(conflicts: Conflict[], live: JsonObject | undefined, application: Application): Conflict[] {
  const { manager, apiVersion, shape } = application
  if (manager !== migratingManager || live === undefined || conflicts.length === 0) return conflicts
  const allowed = lastAppliedFields(live, apiVersion, shape)
  return conflicts
    .map(({ owner, fields }) => ({ owner, fields: difference(fields, allowed) }))
    .filter(({ fields }) => !isEmpty(fields))
}

function requireNoConflict(conflicts: readonly Conflict[]): void {
  if (conflicts.length === 0) return
  const causes: FieldCause[] = []
  const lines: string[] = []
  let count = 0
  for (const { owner, fields } of conflicts) {
    const paths = [...members(fields)].map(formatPath)
    const who = formatOwner(owner)
    count += paths.length
    lines.push(`conflicts with ${who}:`, ...paths.slice(0, maxShownConflicts).map((path) => `- ${path}`))
    for (const field of paths) causes.push({ reason: 'FieldManagerConflict', message: `conflict with ${who}`, field })
  }
  const [only] = causes
  const what = count === 1 ? `1 conflict: ${only?.message}: ${only?.field}` : `${count} conflicts: ${lines.join('\n')}`
  throw new RegistryError('CONFLICT', {
    message: `Apply failed with ${what}`,
    causes: causes.slice(0, maxShownConflicts),
  })
}

function formatOwner({ manager, operation, apiVersion, subresource }: Owner): string {
  const part = subresource ? ` with subresource ${JSON.stringify(subresource)}` : ''
  return `${JSON.stringify(manager)}${part}${operation === 'Update' ? ` using ${apiVersion}` : ''}`
}

function asRoot(fields: FieldSet): FieldSet {
  return { ...fields, isMember: false }
}

function asObject(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {}
}
