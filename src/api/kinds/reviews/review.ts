import type { z } from 'zod'
import type { Admission, Handlers, Resource } from '../../resource.ts'

/** What every answer has: a review is answered, and stored nowhere. */
export const created = { metadata: { creationTimestamp: null } }

export interface ReviewOptions {
  group: string
  /** Plural, as in paths; without its `s` it is the singular. */
  resource: string
  kind: string
  schema: z.ZodObject
  namespaced?: boolean
  /** Default `right`. */
  admission?: Admission
  create: NonNullable<Handlers['create']>
}

/** A row of version v1 whose objects can be created alone, which changes nothing. */
export function review({
  group,
  resource,
  kind,
  schema,
  namespaced = false,
  admission,
  create,
}: ReviewOptions): Resource {
  return {
    group,
    version: 'v1',
    resource,
    singular: resource.slice(0, -1),
    kind,
    schema,
    namespaced,
    ...(admission && { admission: { create: admission } }),
    dryRun: true,
    handlers: { create },
  }
}
