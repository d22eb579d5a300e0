import { z } from 'zod'
import type { FieldCause } from '../../oci/errors.ts'
import { parseQuantity } from '../../quotas/quantity.ts'
import { type Quotas, quotaResources, quotaStatus } from '../../quotas.ts'
import type { Objects } from '../../store/objects.ts'
import { resourceQuotaColumns } from '../columns/core-columns.ts'
import { forbiddenField, invalid } from '../fields.ts'
import { dnsSubdomain, isLabelKey } from '../metadata.ts'
import type { ApiObject, ChangeBatch, Follow, Resource } from '../resource.ts'
import { resourceQuotaSchema } from '../schemas/core.ts'
import { storedHandlers, withoutNull } from '../stored.ts'

export interface ResourceQuotasOptions {
  objects: Objects
  quotas: Pick<Quotas, 'usage'>
  followObjects(resource: string): Follow
}

/** Of one project: each is looked at when something is pushed. */
const most = { most: 20, mostLength: 1024 * 1024 }
const maxResources = 100

/** Manifests have quantities as numbers too. */
const quantity = z.union([z.string(), z.number()]).transform(String)
const spec = resourceQuotaSchema.shape.spec
  .unwrap()
  .unwrap()
  .extend({ hard: z.record(z.string(), quantity).nullish() })
const quotaFields = z.object({ spec: spec.nullish() }).transform(withoutNull)

type QuotaFields = ReturnType<(typeof quotaFields)['parse']>

/** How much a project may hold: `status` is worked out whenever it is read. */
export function resourceQuotas({ objects, quotas, followObjects }: ResourceQuotasOptions): Resource {
  const resource = 'resourcequotas'
  const stored = storedHandlers({
    objects,
    group: '',
    resource,
    schema: quotaFields,
    nameRule: dnsSubdomain,
    generatesNames: true,
    quota: most,
    check: checkSpec,
  })

  async function withStatus(object: ApiObject): Promise<ApiObject> {
    const { hard } = (object.spec ?? {}) as { hard?: Record<string, unknown> | null }
    const usage = await quotas.usage(object.metadata.namespace ?? '')
    return { ...object, status: quotaStatus(hard ?? {}, usage) }
  }

  const follow: Follow = async function* (options) {
    for await (const batch of followObjects(resource)(options)) yield { ...batch, changes: await shown(batch) }
  }

  function shown({ changes }: ChangeBatch) {
    return Promise.all(
      changes.map(async ({ before, after }) => ({
        before: before && (await withStatus(before)),
        after: after && (await withStatus(after)),
      })),
    )
  }

  return {
    group: '',
    version: 'v1',
    resource,
    singular: 'resourcequota',
    kind: 'ResourceQuota',
    namespaced: true,
    shortNames: ['quota'],
    columns: resourceQuotaColumns,
    schema: resourceQuotaSchema,
    dryRun: true,
    keepsManagedFields: true,
    follow,
    handlers: {
      ...stored,
      async get(call) {
        const object = await stored.get(call)
        return object && withStatus(object)
      },
      async list(call) {
        const page = await stored.list(call)
        const items: ApiObject[] = []
        for (const object of page.items) items.push(await withStatus(object))
        return { ...page, items }
      },
      create: async (call, body) => withStatus(await stored.create(call, body)),
      async update(call, body) {
        const updated = await stored.update(call, body)
        return { ...updated, object: await withStatus(updated.object) }
      },
      delete: async (call, options) => withStatus(await stored.delete(call, options)),
    },
  }
}

function checkSpec({ spec }: QuotaFields): FieldCause[] {
  const { hard, scopes, scopeSelector } = spec ?? {}
  const resources = Object.entries(hard ?? {})
  return [
    ...(resources.length > maxResources
      ? [invalid('spec.hard', resources.length, `must have at most ${maxResources} resources`)]
      : []),
    ...resources.slice(0, maxResources).flatMap(([name, quantity]) => checkResource(name, quantity)),
    ...(scopes?.length ? [forbiddenField('spec.scopes', 'there are no pods whose scope could be meant')] : []),
    ...(scopeSelector ? [forbiddenField('spec.scopeSelector', 'there are no pods that could be meant')] : []),
  ]
}

function checkResource(name: string, quantity: unknown): FieldCause[] {
  const field = `spec.hard[${name.slice(0, 100)}]`
  if (!isLabelKey(name)) return [invalid(field, name, 'must be a qualified name')]
  const amount = parseQuantity(quantity)
  if (amount !== undefined) return []
  const counted: readonly string[] = Object.values(quotaResources)
  const example = counted.includes(name) && name !== quotaResources.bytes ? '100' : '10Gi'
  return [invalid(field, quantity, `must be a quantity from 0 to ${Number.MAX_SAFE_INTEGER}, such as ${example}`)]
}
