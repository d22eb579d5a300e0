/** The API's resources and shapes, as far as the verbs read and write them. */

/** One kind of API object. `group` is empty for the core group. */
export interface Resource {
  group: string
  version: string
  plural: string
}

/** What a request is about; without `name` the collection, without `project` all projects or a cluster-wide object. */
export interface Target {
  resource: Resource
  project?: string
  name?: string
  subresource?: string
}

function resource(group: string, plural: string): Resource {
  return { group, version: 'v1', plural }
}

/** Every resource that a verb uses. */
export const resources = {
  namespaces: resource('', 'namespaces'),
  serviceAccounts: resource('', 'serviceaccounts'),
  imageStreams: resource('image.openshift.io', 'imagestreams'),
  imageStreamTags: resource('image.openshift.io', 'imagestreamtags'),
  imageStreamImports: resource('image.openshift.io', 'imagestreamimports'),
  tagEvents: resource('weir.dev', 'tagevents'),
  roles: resource('rbac.authorization.k8s.io', 'roles'),
  roleBindings: resource('rbac.authorization.k8s.io', 'rolebindings'),
  clusterRoles: resource('rbac.authorization.k8s.io', 'clusterroles'),
  selfSubjectReviews: resource('authentication.k8s.io', 'selfsubjectreviews'),
} as const satisfies Record<string, Resource>

/** The `apiVersion` of a resource's objects. */
export function apiVersion({ group, version }: Resource): string {
  return group === '' ? version : `${group}/${version}`
}

/** The path of a request, from the server's root. */
export function targetPath({ resource, project, name, subresource }: Target): string {
  const root = resource.group === '' ? '/api' : '/apis'
  const scope = project === undefined ? [] : ['namespaces', project]
  const parts = [...scope, resource.plural, name, subresource].filter((part) => part !== undefined)
  return `${root}/${apiVersion(resource)}/${parts.map(escapeSegment).join('/')}`
}

function escapeSegment(segment: string): string {
  return encodeURIComponent(segment).replaceAll('%3A', ':')
}

/** One element of `metav1.Status.details.causes`. */
export interface StatusCause {
  field?: string
  reason?: string
  message?: string
}

/** `metav1.Status`, as far as it is read here. */
export interface Status {
  kind: 'Status'
  status?: string
  message?: string
  reason?: string
  code?: number
  details?: { name?: string; kind?: string; causes?: StatusCause[]; retryAfterSeconds?: number }
}

export interface ObjectMeta {
  name?: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  creationTimestamp?: string
  annotations?: Record<string, string> | null
}

export interface ApiObject {
  kind?: string
  apiVersion?: string
  metadata?: ObjectMeta
}

/** A list; `items` of the API carry no `kind` of their own. */
export interface ApiList<T extends ApiObject = ApiObject> {
  kind?: string
  apiVersion?: string
  metadata?: { resourceVersion?: string; continue?: string }
  items: T[]
}

export interface ObjectReference {
  kind: string
  name: string
  namespace?: string
}

export interface TagReference {
  name: string
  annotations?: Record<string, string> | null
  from?: ObjectReference | null
  reference?: boolean
  importPolicy?: ImportPolicy
  referencePolicy?: { type: string }
}

export interface ImportPolicy {
  insecure?: boolean
  scheduled?: boolean
  importMode?: string
}

export interface Condition {
  type?: string
  status?: string
  reason?: string
  message?: string
}

export interface NamedTagEventList {
  tag: string
  items?: { created?: string; dockerImageReference?: string; image?: string }[] | null
  conditions?: Condition[] | null
}

export interface ImageStream extends ApiObject {
  spec?: { tags?: TagReference[] | null }
  status?: { dockerImageRepository?: string; publicDockerImageRepository?: string; tags?: NamedTagEventList[] | null }
}

export interface ImageStreamTag extends ApiObject {
  image?: { metadata?: ObjectMeta; dockerImageReference?: string } | null
}

/** What became of one image of an import; of an image, `metadata.name` is the digest. */
export interface ImportedImage {
  tag?: string
  status?: Status
  image?: { metadata?: ObjectMeta } | null
}

export interface ImageStreamImport extends ApiObject {
  spec?: { images?: object[] | null }
  status?: { import?: ImageStream | null; images?: ImportedImage[] | null }
}

/** One entry of a tag's ledger, `weir.dev/v1`. */
export interface TagEvent extends ApiObject {
  stream?: string
  tag?: string
  revision?: number
  image?: string
  previousImage?: string
  dockerImageReference?: string
  cause?: { kind?: string; by?: string; reason?: string; from?: ObjectReference; restoredRevision?: number }
}

export interface PolicyRule {
  apiGroups?: string[]
  resources?: string[]
  verbs?: string[]
  resourceNames?: string[]
}

export interface Role extends ApiObject {
  rules?: PolicyRule[] | null
}

export interface RbacSubject {
  kind: string
  name: string
  namespace?: string
  apiGroup?: string
}

export interface RoleBinding extends ApiObject {
  roleRef: { apiGroup?: string; kind: string; name: string }
  subjects?: RbacSubject[] | null
}

export interface TokenRequest extends ApiObject {
  spec?: { expirationSeconds?: number }
  status?: { token?: string; expirationTimestamp?: string }
}

export interface SelfSubjectReview extends ApiObject {
  status?: { userInfo?: { username?: string; uid?: string; groups?: string[] } }
}
