import { isJsonObject, type JsonObject } from '../json.ts'

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

/** `metadata.managedFields` as an object has it. */
export function managedFieldsOf(object: JsonObject): unknown {
  return isJsonObject(object.metadata) ? object.metadata.managedFields : undefined
}

/** The object with this `metadata.managedFields`; undefined or an empty list leaves the field out. */
export function withManagedFields(object: JsonObject, managedFields: readonly unknown[] | undefined): JsonObject {
  const { managedFields: _, ...metadata } = isJsonObject(object.metadata) ? object.metadata : {}
  return { ...object, metadata: managedFields?.length ? { ...metadata, managedFields } : metadata }
}
