import type { Subject } from '../access/access.ts'
import type { ObjectMeta } from '../store/objects.ts'

/** The table of kinds: routing, authorisation and discovery follow from its rows alone. */

export type Verb = 'get' | 'list' | 'create' | 'update' | 'delete'

/** An object as it is answered, without `kind` and `apiVersion`, which its row adds. */
export interface ApiObject {
  metadata: Partial<Omit<ObjectMeta, 'creationTimestamp'>> & {
    resourceVersion?: string
    creationTimestamp?: string | null
  }
  [field: string]: unknown
}

/** A page of a list; `continue` is opaque and absent on the last page. */
export interface Page {
  items: ApiObject[]
  resourceVersion?: string
  continue?: string
}

/** What a caller asks for beside the object itself. */
export interface RequestOptions {
  limit?: number
  continue?: string
  /** `fieldSelector`, by field; only those that the row names. */
  fields: Readonly<Record<string, string>>
  /** `dryRun=All`: check everything, write nothing. */
  dryRun: boolean
}

/** A right as `can(...)` is asked for it; `resource` may have a subresource. */
export interface Right {
  verb: string
  group: string
  resource: string
  name: string
  project: string
}

/** One request of a caller whose right was checked. `project` and `name` are empty where the path has none. */
export interface Call {
  subject: Subject
  project: string
  name: string
  options: RequestOptions
  can(right: Right): boolean
  /** @throws RegistryError FORBIDDEN in Kubernetes' words */
  require(right: Right): void
}

export interface DeleteOptions {
  uid?: string
  resourceVersion?: string
}

/** What a row can do; a verb without a handler is answered 405. Bodies are parsed, their kind checked. */
export interface Handlers {
  /** undefined is answered 404. */
  get?(call: Call): Promise<ApiObject | undefined>
  list?(call: Call): Promise<Page>
  /** Answered 201. An own `kind` of the answer wins over the row's. */
  create?(call: Call, body: Record<string, unknown>): Promise<ApiObject>
  update?(call: Call, body: Record<string, unknown>): Promise<ApiObject>
  /** Answers what was deleted. */
  delete?(call: Call, options: DeleteOptions): Promise<ApiObject>
}

/**
 * Who may: `right` asks `can(...)` before anything else is looked at; `handler` leaves it to the handler, because the
 * right depends on the body or every caller sees his own part; `anyone` is for what tells a caller only of himself.
 */
export type Admission = 'right' | 'handler' | 'anyone'

interface Served {
  kind: string
  handlers: Handlers
  /** Default `right` for each verb. */
  admission?: Partial<Record<Verb, Admission>>
  /** Whether the handlers honour `dryRun=All`; otherwise it is refused. Default false. */
  dryRun?: boolean
  /** Kinds that `create` accepts in the body; default the row's own. */
  bodyKinds?: readonly string[]
}

/** `resource/name/subresource`; only POST (create) and GET exist so far. */
export interface Subresource extends Served {
  /** Of its objects, where it differs from the parent's. */
  group?: string
  version?: string
}

/** One row of the table. */
export interface Resource extends Served {
  /** Empty for the core group. */
  group: string
  version: string
  /** Plural, as in paths and rules. */
  resource: string
  singular: string
  namespaced: boolean
  /** Cluster-scoped, but a right on one object is also a right in the project of its name (namespaces, projects). */
  isProject?: boolean
  shortNames?: readonly string[]
  categories?: readonly string[]
  /** Fields that a list's `fieldSelector` may name, beside `metadata.name` and `metadata.namespace`. */
  fieldSelectors?: readonly string[]
  subresources?: Readonly<Record<string, Subresource>>
}

/** `imagestreams.image.openshift.io`, `namespaces`: how messages call a resource. */
export function qualifiedName({ group, resource }: { group: string; resource: string }): string {
  return group === '' ? resource : `${resource}.${group}`
}

/** The `apiVersion` of a group's version. */
export function apiVersionOf({ group, version }: { group: string; version: string }): string {
  return group === '' ? version : `${group}/${version}`
}
