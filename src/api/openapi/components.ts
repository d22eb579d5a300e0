import { z } from 'zod'
import { apiVersionOf } from '../resource.ts'
import { metadata, statusSchema } from '../schemas/metadata.ts'

/** A schema object of OpenAPI 3.0. */
export type Schema = Record<string, unknown>

/** Names a kind, as `x-kubernetes-group-version-kind` does. */
export interface GroupVersionKind {
  group: string
  version: string
  kind: string
}

/** A kind of a document. */
export interface DocumentKind extends GroupVersionKind {
  /** Absent: an object of any fields. */
  schema: z.ZodObject | undefined
  isListed: boolean
}

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1'

/** Components that documents have beside those of their kinds. */
export const deleteOptionsName = `${meta}.DeleteOptions`
export const patchName = `${meta}.Patch`
export const statusName = `${meta}.Status`

const listMetaName = `${meta}.ListMeta`

const typeMeta: Schema = {
  apiVersion: { description: 'The version of the schema of this object.', type: 'string' },
  kind: { description: 'The kind of this object.', type: 'string' },
}

const anyKind = z.looseObject({ metadata })

const documentParts = z.object({
  definitions: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
  properties: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
})

const common: Readonly<Record<string, Schema>> = {
  [listMetaName]: {
    description: 'What all lists have.',
    type: 'object',
    properties: {
      resourceVersion: { description: 'The revision of the list. A watch goes on from there.', type: 'string' },
      continue: { description: 'Leads to the next page. Empty on the last.', type: 'string' },
      remainingItemCount: { description: 'How many items the next pages have.', type: 'integer', format: 'int64' },
    },
  },
  [deleteOptionsName]: {
    description: 'How an object is deleted.',
    type: 'object',
    properties: {
      ...typeMeta,
      dryRun: { description: '`All`: nothing is deleted.', type: 'array', items: { type: 'string' } },
      gracePeriodSeconds: { description: 'It makes no difference.', type: 'integer', format: 'int64' },
      propagationPolicy: { description: 'It makes no difference.', type: 'string' },
      preconditions: {
        description: 'What must hold for the object to be deleted.',
        type: 'object',
        properties: {
          uid: { description: 'The UID of the object.', type: 'string' },
          resourceVersion: { description: 'The revision at which the object last changed.', type: 'string' },
        },
      },
    },
  },
  [patchName]: { description: 'A patch in the form that the Content-Type names.', type: 'object' },
}

/** A reference to a component. */
export function reference(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` }
}

/**
 * The component's name of a kind: the `id` in its schema's `meta`, or else one as Kubernetes makes them.
 */
export function componentName({ group, version, kind, schema }: DocumentKind): string {
  const id = schema?.meta()?.id
  if (id !== undefined) return id
  const host = group === '' ? ['core'] : group.split('.').reverse()
  return [...host, version, kind].join('.')
}

/** The component's name of a kind's lists. */
export function listName(kind: DocumentKind): string {
  return `${componentName(kind)}List`
}

/** The components of all kinds, with what they are made of. */
export function componentsOf(kinds: readonly DocumentKind[]): Record<string, Schema> {
  const schemas = new Map(kinds.map((kind) => [componentName(kind), kind.schema ?? anyKind]))
  schemas.set(statusName, statusSchema)
  const components = new Map(Object.entries({ ...common, ...jsonSchemas(schemas) }))
  for (const [name, schema] of components) components.set(name, withTypeMeta(schema))
  for (const name of schemas.keys()) {
    const own = kinds.filter((kind) => componentName(kind) === name)
    if (own.length === 0) continue
    components.set(name, { ...components.get(name), 'x-kubernetes-group-version-kind': distinct(own.map(typeOf)) })
  }
  for (const kind of kinds.filter(({ isListed }) => isListed)) components.set(listName(kind), listSchema(kind))
  return Object.fromEntries([...components].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** The group, version and kind alone. */
export function typeOf({ group, version, kind }: GroupVersionKind): GroupVersionKind {
  return { group, version, kind }
}

/** Each schema, and the named ones in them, by name. */
function jsonSchemas(schemas: ReadonlyMap<string, z.ZodObject>): Record<string, Schema> {
  const all = z.toJSONSchema(z.object(Object.fromEntries(schemas)), {
    target: 'openapi-3.0',
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      // The bounds of JavaScript's integers, which mean nothing to others.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
    },
  })
  const parts: unknown = JSON.parse(JSON.stringify(all), (key, value) =>
    key === '$ref' && typeof value === 'string' ? value.replace('#/definitions/', '#/components/schemas/') : value,
  )
  const { definitions = {}, properties = {} } = documentParts.parse(parts)
  const unnamed = Object.entries(properties).filter(([name]) => !Object.hasOwn(definitions, name))
  return { ...Object.fromEntries(unnamed), ...definitions }
}

/** What has metadata is a kind, and may say which. */
function withTypeMeta(schema: Schema): Schema {
  const { properties } = schema
  const isKind = typeof properties === 'object' && properties !== null && 'metadata' in properties
  return isKind ? { ...schema, properties: { ...typeMeta, ...properties } } : schema
}

function listSchema(kind: DocumentKind): Schema {
  return {
    description: `A list of objects of kind ${kind.kind}.`,
    type: 'object',
    required: ['items'],
    properties: {
      ...typeMeta,
      items: { description: 'The objects.', type: 'array', items: reference(componentName(kind)) },
      metadata: { description: 'The revision of the list.', allOf: [reference(listMetaName)] },
    },
    'x-kubernetes-group-version-kind': [{ ...typeOf(kind), kind: `${kind.kind}List` }],
  }
}

function distinct(types: readonly GroupVersionKind[]): GroupVersionKind[] {
  return [...new Map(types.map((type) => [apiVersionOf(type) + type.kind, type])).values()]
}
