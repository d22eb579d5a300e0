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
  projectRequests: resource('project.openshift.io', 'projectrequests'),
  serviceAccounts: resource('', 'serviceaccounts'),
  imageStreams: resource('image.openshift.io', 'imagestreams'),
  imageStreamTags: resource('image.openshift.io', 'imagestreamtags'),
  imageTags: resource('image.openshift.io', 'imagetags'),
  imageStreamImages: resource('image.openshift.io', 'imagestreamimages'),
  images: resource('image.openshift.io', 'images'),
  imageStreamImports: resource('image.openshift.io', 'imagestreamimports'),
  tagEvents: resource('weir.dev', 'tagevents'),
  tagChecks: resource('weir.dev', 'tagchecks'),
  sessions: resource('weir.dev', 'sessions'),
  upstreams: resource('weir.dev', 'upstreams'),
  auditEvents: resource('weir.dev', 'auditevents'),
  prefetches: resource('weir.dev', 'prefetches'),
  imageDeletions: resource('weir.dev', 'imagedeletions'),
  contentPrunes: resource('weir.dev', 'contentprunes'),
  contentVerifications: resource('weir.dev', 'contentverifications'),
  roles: resource('rbac.authorization.k8s.io', 'roles'),
  roleBindings: resource('rbac.authorization.k8s.io', 'rolebindings'),
  clusterRoles: resource('rbac.authorization.k8s.io', 'clusterroles'),
  clusterRoleBindings: resource('rbac.authorization.k8s.io', 'clusterrolebindings'),
  selfSubjectReviews: resource('authentication.k8s.io', 'selfsubjectreviews'),
  selfSubjectAccessReviews: resource('authorization.k8s.io', 'selfsubjectaccessreviews'),
  selfSubjectRulesReviews: resource('authorization.k8s.io', 'selfsubjectrulesreviews'),
  subjectAccessReviews: resource('authorization.k8s.io', 'subjectaccessreviews'),
  localSubjectAccessReviews: resource('authorization.k8s.io', 'localsubjectaccessreviews'),
  resourceAccessReviews: resource('authorization.openshift.io', 'resourceaccessreviews'),
  localResourceAccessReviews: resource('authorization.openshift.io', 'localresourceaccessreviews'),
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
  creationTimestamp?: string | null
  labels?: Record<string, string> | null
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
  /** Newer than what was imported while an import is pending. In a write, 0 asks for a look at the source. */
  generation?: number | null
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
  lastTransitionTime?: string
  generation?: number
}

/** Where a tag stands or stood; `image` is empty for a mere reference. */
export interface TagItem {
  created?: string
  dockerImageReference?: string
  image?: string
  generation?: number
}

export interface NamedTagEventList {
  tag: string
  /** Newest first. */
  items?: TagItem[] | null
  conditions?: Condition[] | null
}

export interface ImageStream extends ApiObject {
  spec?: { lookupPolicy?: { local?: boolean }; dockerImageRepository?: string; tags?: TagReference[] | null }
  status?: { dockerImageRepository?: string; publicDockerImageRepository?: string; tags?: NamedTagEventList[] | null }
}

export interface ImageStreamTag extends ApiObject {
  tag?: TagReference | null
  conditions?: Condition[] | null
  /** That of the item in force. */
  generation?: number
  image?: Image | null
}

/** What is wanted of a tag and what became of it, also where it stands at no image. */
export interface ImageTag extends ApiObject {
  spec?: TagReference | null
  status?: NamedTagEventList | null
  image?: Image | null
}

/** An image of a stream by its digest. */
export interface ImageStreamImage extends ApiObject {
  image?: Image | null
}

/** An image; in lists of tags its name and reference alone. `metadata.name` is the digest, empty where there is none. */
export interface Image extends ApiObject {
  dockerImageReference?: string
  dockerImageManifestMediaType?: string
  dockerImageMetadata?: ImageMetadata | null
  dockerImageLayers?: { name?: string; size?: number; mediaType?: string }[] | null
  /** Of an index alone. */
  dockerImageManifests?: ChildManifest[] | null
}

/** What the config of an image says; without one all but `Size` may be absent. */
export interface ImageMetadata {
  Id?: string
  Created?: string | null
  Author?: string
  Architecture?: string
  Os?: string
  Variant?: string
  /** Bytes of all unique layers and the config. */
  Size?: number
  Config?: ImageConfig | null
}

export interface ImageConfig {
  User?: string
  ExposedPorts?: Record<string, unknown> | null
  Env?: string[] | null
  Entrypoint?: string[] | null
  Cmd?: string[] | null
  Volumes?: Record<string, unknown> | null
  WorkingDir?: string
  Labels?: Record<string, string> | null
  StopSignal?: string
}

/** One image of an index. */
export interface ChildManifest {
  digest?: string
  mediaType?: string
  manifestSize?: number
  architecture?: string
  os?: string
  variant?: string
}

/** What became of one image of an import; of an image, `metadata.name` is the digest. */
export interface ImportedImage {
  tag?: string
  status?: Status
  image?: { metadata?: ObjectMeta } | null
}

export interface ImageStreamImport extends ApiObject {
  spec?: { images?: object[] | null }
  status?: {
    import?: ImageStream | null
    images?: ImportedImage[] | null
    /** `additionalTags` are those that were not imported. */
    repository?: { status?: Status; images?: ImportedImage[] | null; additionalTags?: string[] | null } | null
  }
}

/** One entry of a tag's ledger, `weir.dev/v1`. */
export interface TagEvent extends ApiObject {
  stream?: string
  tag?: string
  revision?: number
  image?: string
  previousImage?: string
  dockerImageReference?: string
  cause?: {
    kind?: string
    by?: string
    reason?: string
    from?: ObjectReference
    client?: string
    restoredRevision?: number
  }
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
  status?: { userInfo?: { username?: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> } }
}
