import type { ZodObject } from 'zod'
import type { Client, Subject } from '../access/access.ts'
import type { ObjectMeta } from '../store/objects.ts'

/** The table of kinds: routing, authorisation, discovery, tables, patches, watches and OpenAPI follow from its rows alone. */

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection'

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
  /** Answered instead of a list: a Status. */
  answer?: object
}

/** What a caller asks for beside the object itself. */
export interface RequestOptions {
  limit?: number
  continue?: string
  /** What `fieldSelector` wants to be equal, by field; only fields that the row names. */
  fields: Readonly<Record<string, string>>
  /** Whether `labelSelector` and `fieldSelector` select an object; a list leaves out what they do not. */
  selects(object: ApiObject): boolean
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
  client: Client
  project: string
  name: string
  options: RequestOptions
  /** Aborts when the client leaves. */
  signal: AbortSignal
  can(right: Right): boolean
  /** @throws RegistryError FORBIDDEN in Kubernetes' words */
  require(right: Right): void
}

export interface DeleteOptions {
  uid?: string
  resourceVersion?: string
}

/** What became of an update: 201 when the object was `created` by it, else 200. */
export interface Updated {
  object: ApiObject
  created?: boolean
}

/**
 * What a row can do; a verb without a handler is answered 405. Bodies are parsed, their kind checked. A row with `get` and
 * `update` can be patched: the patch is made of what `get` answers and goes through `update` with its resourceVersion,
 * again after each CONFLICT. With `list` and `delete` a collection can be deleted.
 */
export interface Handlers {
  /** undefined is answered 404. */
  get?(call: Call): Promise<ApiObject | undefined>
  list?(call: Call): Promise<Page>
  /** One object as `list` and `follow` show it, where `get` shows more of it; default `get`. */
  getListed?(call: Call): Promise<ApiObject | undefined>
  /** Answered 201. An own `kind` of the answer wins over the row's. */
  create?(call: Call, body: Record<string, unknown>): Promise<ApiObject>
  /**
   * `read` is what `get` answered and a patch made the body of: what is the same in both is not meant, and a change of it
   * meanwhile need not conflict.
   */
  update?(call: Call, body: Record<string, unknown>, read?: ApiObject): Promise<Updated>
  /** Answers what was deleted. */
  delete?(call: Call, options: DeleteOptions): Promise<ApiObject>
}

/** What one revision did to one object: `before` is undefined when it was created, `after` when it was deleted. */
export interface ObjectChange {
  before: ApiObject | undefined
  after: ApiObject | undefined
}

/** All changes of one revision, or, without any, the news that time went on to `revision`. */
export interface ChangeBatch {
  revision: number
  changes: readonly ObjectChange[]
}

/**
 * Follows the objects of a resource in all projects: every revision after `since` once and in order, `after` with the
 * revision as its resourceVersion, and progress at least every second. Ends when `signal` aborts or the store closes.
 *
 * @throws CompactedError (from the iterator) when `since` is too old
 */
export type Follow = (options: { since: number; signal: AbortSignal }) => AsyncIterable<ChangeBatch>

/** A column of a `Table`. @see https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables */
export interface Column {
  name: string
  type: 'string' | 'integer' | 'date'
  /** `name` of the column that names the object. */
  format?: string
  description: string
  /** Above 0: shown by `-o wide` alone. Default 0. */
  priority?: number
  value(object: ApiObject, nowMs: number): string | number
}

/**
 * Who may: `right` asks `can(...)` before anything else is looked at; `handler` leaves it to the handler, because the
 * right depends on the body or every caller sees his own part; `anyone` is for what tells a caller only of himself.
 */
export type Admission = 'right' | 'handler' | 'anyone'

interface Served {
  kind: string
  /**
   * The wire form of an object without `kind` and `apiVersion`, for OpenAPI, `fieldValidation` and the keys of lists that
   * are merged (see `list-keys.ts`). Absent: everything is known and lists are atomic.
   */
  schema?: ZodObject
  handlers: Handlers
  /** Default `right` for each verb. */
  admission?: Partial<Record<Verb, Admission>>
  /** Whether the handlers honour `dryRun=All`; otherwise it is refused. Default false. */
  dryRun?: boolean
  /** What a table shows; default name and age. */
  columns?: readonly Column[]
  /** Kinds that `create` accepts in the body; default the row's own. */
  bodyKinds?: readonly string[]
}

/** `resource/name/subresource`: POST is its `create`, GET, PUT and PATCH as of an object. */
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
  /** Paths of fields that a list's `fieldSelector` may name, beside `metadata.name` and `metadata.namespace`. */
  fieldSelectors?: readonly string[]
  /** Those of them that `list` itself selects by, as they stand in `options.fields`; they are `FIELD=VALUE` alone. */
  ownSelectors?: readonly string[]
  /** How many items a page has where no limit is asked for: a list that may have no end is never answered whole. */
  pageSize?: number
  /** Makes the resource one that can be watched. */
  follow?: Follow
  /** Whether a watcher may be told of an object, where `list` is admitted by the handler. Default: yes. */
  maySee?(call: Call, object: ApiObject): boolean
  /** `metadata.managedFields` is kept by its handlers as the body has it. Default false: server-side apply then owns nothing. */
  keepsManagedFields?: boolean
  /** Its commands ask upstreams, which takes as long as those do: they have a gate of their own. Default false. */
  asksOthers?: boolean
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

/** The verbs that a row or subresource is served with. */
export function verbsOf(served: Resource | Subresource): Verb[] {
  const { get, list, create, update, delete: remove } = served.handlers
  const verbs: [Verb, unknown][] = [
    ['get', get],
    ['list', list],
    ['watch', list && 'follow' in served && served.follow],
    ['create', create],
    ['update', update],
    ['patch', get && update],
    ['delete', remove],
    // As in Kubernetes, projects are removed one by one.
    ['deletecollection', list && remove && !('isProject' in served && served.isProject)],
  ]
  return verbs.filter(([, handler]) => handler).map(([verb]) => verb)
}
