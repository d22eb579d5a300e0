import type { PolicyRule } from './access.ts'
import type { AggregationRule } from './rules.ts'

/** A ClusterRole that is always there and can not be changed; an aggregated one has no rules of its own. */
export interface BuiltinRole {
  name: string
  description: string
  labels: Readonly<Record<string, string>>
  rules: readonly PolicyRule[]
  aggregationRule?: AggregationRule
}

const rbacGroup = 'rbac.authorization.k8s.io'
/** Requests for streams come in either group, so every rule about them names both. */
const imageGroups = ['', 'image.openshift.io']
const accessGroups = ['', 'authorization.openshift.io']
const streamFamily = ['imagestreams', 'imagestreamtags', 'imagetags', 'imagestreamimages']
const read = ['get', 'list', 'watch']
const write = ['create', 'delete', 'deletecollection', 'patch', 'update']

function rule(verbs: string[], apiGroups: string[], ...resources: string[]): PolicyRule {
  return { verbs, apiGroups, resources }
}

const images = (verbs: string[], ...resources: string[]) => rule(verbs, imageGroups, ...resources)
const layers = (...verbs: string[]) => images(verbs, 'imagestreams/layers')
const tagEvents = (...verbs: string[]) => rule(verbs, ['weir.dev'], 'tagevents')
const tagChecks = rule(['get', 'list'], ['weir.dev'], 'tagchecks')
const projects = (...verbs: string[]) => rule(verbs, ['', 'project.openshift.io'], 'namespaces', 'projects')
const core = (verbs: string[], ...resources: string[]) => rule(verbs, [''], ...resources)

const pullerRules = [layers('get')]
const pusherRules = [layers('get', 'update')]
const builderRules = [...pusherRules, images(['create'], 'imagestreams')]

const streamViewerRules = [images(read, ...streamFamily), layers('get'), tagEvents(...read), tagChecks]
const registryViewerRules = [...streamViewerRules, projects('get')]
const registryEditorRules = [
  images([...read, ...write], ...streamFamily),
  images(['create'], 'imagestreamimports', 'imagestreammappings'),
  images(['get'], 'imagestreams/secrets'),
  layers('get', 'update', 'delete'),
  tagEvents(...read, 'create'),
  tagChecks,
  projects('get'),
]
/** To say who may use a project, and to ask who may. */
const grantRules = [
  rule([...read, ...write], [rbacGroup, 'authorization.openshift.io'], 'roles', 'rolebindings'),
  rule(['create'], ['authorization.k8s.io'], 'localsubjectaccessreviews'),
  rule(['create'], accessGroups, 'localsubjectaccessreviews', 'localresourceaccessreviews', 'subjectrulesreviews'),
]
const registryAdminRules = [...registryEditorRules, ...grantRules]

const projectContent = ['serviceaccounts', 'configmaps', 'events']
const streamStatus = images(read, 'imagestreams/status')
/** Who fills a project does not say how much it may hold. */
const viewRules = [streamStatus, core(read, ...projectContent, 'resourcequotas')]
const editRules = [core([...read, ...write], ...projectContent, 'secrets'), core(['create'], 'serviceaccounts/token')]
const adminRules = [rule(['delete', 'patch', 'update'], ['project.openshift.io'], 'projects')]

/** Everything that can be read, save what opens something: secrets, sessions; and the audit log, which tells of everybody. */
const clusterReaderRules = [
  images(read, 'images'),
  projects(...read),
  rule(read, [rbacGroup, 'authorization.openshift.io'], 'roles', 'rolebindings', 'clusterroles', 'clusterrolebindings'),
  rule(['create'], ['authorization.k8s.io'], 'subjectaccessreviews', 'localsubjectaccessreviews'),
  rule(
    ['create'],
    accessGroups,
    'subjectaccessreviews',
    'resourceaccessreviews',
    'localsubjectaccessreviews',
    'localresourceaccessreviews',
    'subjectrulesreviews',
  ),
]

/** What everybody may ask of himself anyway; here for manifests that bind it. */
const basicUserRules = [
  rule(['create'], ['authorization.k8s.io'], 'selfsubjectaccessreviews', 'selfsubjectrulesreviews'),
  rule(['create'], ['authentication.k8s.io'], 'selfsubjectreviews'),
  rule(['create'], accessGroups, 'selfsubjectrulesreviews'),
  { ...rule(['get'], ['', 'user.openshift.io'], 'users'), resourceNames: ['~'] },
]

const aggregateTo = (role: string) => `${rbacGroup}/aggregate-to-${role}`
const labelled = (role: string) => ({ [aggregateTo(role)]: 'true' })
const bootstrapping = { 'kubernetes.io/bootstrapping': 'rbac-defaults' }

function role(name: string, description: string, rules: readonly PolicyRule[], labels = {}): BuiltinRole {
  return { name, description, rules, labels: { ...bootstrapping, ...labels } }
}

/** A role that has the rules of the roles with a label `.../aggregate-to-NAME`, its own among them. */
function aggregated(name: string, description: string, from: readonly string[], labels = {}): BuiltinRole {
  const clusterRoleSelectors = from.map((each) => ({ matchLabels: labelled(each) }))
  return { ...role(name, description, [], labels), aggregationRule: { clusterRoleSelectors } }
}

const part = (name: string, rules: readonly PolicyRule[]) =>
  role(`system:aggregate-to-${name}`, `What ${name} has beside the roles of the registry.`, rules, labelled(name))

/**
 * The built-in ClusterRoles, after OKD's, cut to what Weir serves. The verbs of `imagestreams/layers` are the registry's
 * actions: `get` pull, `update` push, `delete` delete; here `edit` and above may delete, where OKD asks for the whole
 * cluster's `images`. `view` may pull, as OKD's aggregated `view` can. As in Kubernetes `view`, `edit` and `admin` are
 * aggregated, each holding the one before: a role of one's own with the label
 * `rbac.authorization.k8s.io/aggregate-to-view: "true"` extends all three.
 *
 * @see https://github.com/openshift/openshift-apiserver and its bootstrap policy
 */
export const builtinRoles: readonly BuiltinRole[] = [
  role('system:image-puller', 'Pulls images.', pullerRules),
  role('system:image-pusher', 'Pulls and pushes images.', pusherRules),
  role('system:image-builder', 'Pulls and pushes images, and creates streams by pushing.', builderRules),
  role('system:image-signer', 'Reads images and signs them.', [
    images(['get'], 'images'),
    layers('get'),
    images(['create', 'delete'], 'imagesignatures'),
  ]),
  role('system:image-auditor', 'Reads images and notes findings on them.', [
    images([...read, 'patch', 'update'], 'images'),
  ]),
  role('system:image-pruner', 'Hides old tag events and deletes images that nothing names.', [
    images([...read, 'delete'], 'images'),
    images(read, 'imagestreams'),
    images(['update'], 'imagestreams/status'),
  ]),
  role('system:registry', 'Does what a registry in front of image streams does.', [
    images(['get', 'delete'], 'images', 'imagestreamtags'),
    images(['get'], 'imagestreamimages', 'imagestreams/secrets'),
    images(['get', 'list', 'update'], 'imagestreams'),
    images(['create'], 'imagestreammappings'),
    layers('get', 'update'),
  ]),
  role('system:auth-delegator', 'Asks who a token is, and what he may.', [
    rule(['create'], ['authentication.k8s.io'], 'tokenreviews'),
    rule(['create'], ['authorization.k8s.io'], 'subjectaccessreviews'),
  ]),
  role('registry-viewer', 'Reads and pulls streams.', registryViewerRules, labelled('view')),
  role('registry-editor', 'Changes, pulls and pushes streams.', registryEditorRules, labelled('edit')),
  role('registry-admin', 'Changes streams and says who may use them.', registryAdminRules, labelled('admin')),
  role('shared-resource-viewer', 'Reads and pulls streams that are shared.', streamViewerRules),
  part('view', viewRules),
  part('edit', editRules),
  part('admin', adminRules),
  aggregated('view', 'Reads a project and pulls its streams.', ['view'], labelled('edit')),
  aggregated('edit', 'Changes a project, except who may use it.', ['edit'], labelled('admin')),
  aggregated('admin', 'Changes a project and says who may use it.', ['admin']),
  part('cluster-reader', clusterReaderRules),
  aggregated('cluster-reader', 'Reads all projects and pulls their streams, except secrets.', [
    'cluster-reader',
    'view',
  ]),
  role('basic-user', 'Asks what he may himself.', basicUserRules),
  role('self-provisioner', 'Makes projects, and is the admin of those.', [
    rule(['create'], ['', 'project.openshift.io'], 'projectrequests'),
  ]),
  role('cluster-admin', 'May do everything.', [rule(['*'], ['*'], '*')]),
]
