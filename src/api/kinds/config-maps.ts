import { isDeepStrictEqual } from 'node:util'
import type { FieldCause } from '../../oci/errors.ts'
import type { Objects, StoredObject } from '../../store/objects.ts'
import { configMapColumns } from '../columns/core-columns.ts'
import { forbiddenField, invalid } from '../fields.ts'
import { dnsSubdomain } from '../metadata.ts'
import type { Follow, Resource } from '../resource.ts'
import { configMapSchema } from '../schemas/core.ts'
import { type StoredKind, storedHandlers, withoutNull } from '../stored.ts'

export interface ConfigMapsOptions {
  objects: Objects
  followObjects(resource: string): Follow
}

const configMapFields = configMapSchema.omit({ metadata: true }).transform(withoutNull)

type ConfigMapFields = ReturnType<(typeof configMapFields)['parse']>

const keyPattern = /^[-._a-zA-Z0-9]{1,253}$/
const keyRule = "must be at most 253 letters, digits, '-', '_' or '.', and not '.', '__proto__' or begin with '..'"
const maxCauses = 50
const base64Pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Text and bytes by key. Kubernetes takes 1 MiB of them; a record of Weir holds half of that. */
export function configMaps({ objects, followObjects }: ConfigMapsOptions): Resource {
  const resource = 'configmaps'
  const kind: StoredKind<ConfigMapFields> = {
    objects,
    group: '',
    resource,
    schema: configMapFields,
    nameRule: dnsSubdomain,
    generatesNames: true,
    checkSent: checkKeys,
    check: checkBytes,
    checkChange: checkImmutable,
  }
  return {
    group: '',
    version: 'v1',
    resource,
    singular: 'configmap',
    kind: 'ConfigMap',
    namespaced: true,
    shortNames: ['cm'],
    columns: configMapColumns,
    schema: configMapSchema,
    dryRun: true,
    keepsManagedFields: true,
    follow: followObjects(resource),
    handlers: storedHandlers(kind),
  }
}

// What the schema would drop in silence, as `__proto__`, is looked at too.
function checkKeys({ data, binaryData }: Record<string, unknown>): FieldCause[] {
  const both = { data: keysOf(data), binaryData: keysOf(binaryData) }
  const inData = new Set(both.data)
  const twice = both.binaryData.filter((key) => inData.has(key)).slice(0, maxCauses)
  return [
    ...Object.entries(both).flatMap(([field, keys]) =>
      keys
        .filter((key) => !keyPattern.test(key) || key === '.' || key.startsWith('..') || key === '__proto__')
        .slice(0, maxCauses)
        .map((key) => invalid(`${field}[${shown(key)}]`, key, keyRule)),
    ),
    ...twice.map((key) => invalid(`data[${shown(key)}]`, key, 'duplicate of key present in binaryData')),
  ]
}

function keysOf(map: unknown): string[] {
  return typeof map === 'object' && map !== null ? Object.keys(map) : []
}

function checkBytes({ binaryData = {} }: ConfigMapFields): FieldCause[] {
  return Object.entries(binaryData)
    .filter(([, bytes]) => !base64Pattern.test(bytes))
    .map(([key, bytes]) => invalid(`binaryData[${shown(key)}]`, bytes, 'must be base64'))
}

function checkImmutable(before: StoredObject, after: ConfigMapFields): FieldCause[] {
  if (before.immutable !== true) return []
  const fields = ['immutable', 'data', 'binaryData'] as const
  return fields
    .filter((field) => !isDeepStrictEqual(before[field], after[field]))
    .map((field) => forbiddenField(field, 'field is immutable when `immutable` is set'))
}

function shown(key: string): string {
  return key.length > 63 ? `${key.slice(0, 60)}...` : key
}
