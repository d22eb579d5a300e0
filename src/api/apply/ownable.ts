import { RegistryError } from '../../oci/errors.ts'
import { isJsonObject, type JsonObject } from '../json.ts'

const maxValues = 100_000

const serverFields = new Set(['apiVersion', 'kind', 'status'])
const serverMetadata = new Set([
  'name',
  'generateName',
  'namespace',
  'uid',
  'selfLink',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
])

/**
 * An object without what nobody can own, because it names the object or because the server sets it: its identity, its
 * versions and times, and its status.
 */
export function ownable(object: JsonObject): JsonObject {
  const { metadata } = object
  const own = Object.entries(object).filter(([name]) => !serverFields.has(name) && name !== 'metadata')
  if (!isJsonObject(metadata)) return Object.fromEntries(own)
  const ownMetadata = Object.entries(metadata).filter(([name]) => !serverMetadata.has(name))
  const shown = ownMetadata.length > 0 ? [['metadata', Object.fromEntries(ownMetadata)] as const] : []
  return Object.fromEntries([...own, ...shown])
}

/**
 * Refuses what has more values than owners are kept of: looking for them would take seconds.
 *
 * @throws RegistryError TOO_LARGE
 */
export function requireFewValues(object: JsonObject): void {
  let count = 0
  for (let level: unknown[] = [object]; level.length > 0; ) {
    count += level.length
    if (count > maxValues) {
      throw new RegistryError('TOO_LARGE', {
        message: `the object has more than ${maxValues} values, the most of which it is kept who set them`,
      })
    }
    level = level.flatMap((each) => (typeof each === 'object' && each !== null ? Object.values(each) : []))
  }
}

/** `metadata.managedFields` as an object has it. */
export function managedFieldsOf(object: JsonObject): unknown {
  return isJsonObject(object.metadata) ? object.metadata.managedFields : undefined
}

/** The object with this `metadata.managedFields`; undefined or an empty list leaves the field out. */
export function withManagedFields(object: JsonObject, managedFields: readonly unknown[] | undefined): JsonObject {
  const { managedFields: _, ...metadata } = isJsonObject(object.metadata) ? object.metadata : {}
  return { ...object, metadata: managedFields?.length ? { ...metadata, managedFields } : metadata }
}
