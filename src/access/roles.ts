import type { PolicyRule } from './access.ts'

/** A ClusterRole that is always there and can not be changed. */
export interface BuiltinRole {
  name: string
  description: string
  rules: readonly PolicyRule[]
}

/** Requests for streams come in either group, so every rule about them names both. */
const imageGroups = ['', 'image.openshift.io']
const streamFamily = ['imagestreams', 'imagestreamtags', 'imagetags', 'imagestreamimages']
const read = ['get', 'list', 'watch']
const write = ['create', 'delete', 'deletecollection', 'patch', 'update']
const layers = (...verbs: string[]): PolicyRule => images(verbs, ['imagestreams/layers'])
const images = (verbs: string[], resources: string[]): PolicyRule => ({ verbs, apiGroups: imageGroups, resources })

const tagEvents = (...verbs: string[]): PolicyRule => ({
  verbs,
  apiGroups: ['weir.dev'],
  resources: ['tagevents'],
})
const projectRules = (...verbs: string[]): PolicyRule => ({
  verbs,
  apiGroups: ['', 'project.openshift.io'],
  resources: ['namespaces', 'projects'],
})
const accounts = (verbs: string[], ...resources: string[]): PolicyRule => ({ verbs, apiGroups: [''], resources })

const pullerRules = [layers('get')]
const pusherRules = [layers('get', 'update')]
const builderRules = [...pusherRules, images(['create'], ['imagestreams'])]

const registryViewerRules = [images(read, streamFamily), layers('get'), tagEvents(...read), projectRules('get')]
const registryEditorRules = [
  images([...read, ...write], streamFamily),
  images(['create'], ['imagestreamimports', 'imagestreammappings']),
  layers('get', 'update', 'delete'),
  tagEvents(...read, 'create'),
  projectRules('get'),
]
const bindingRules: PolicyRule = {
  verbs: [...read, ...write],
  apiGroups: ['rbac.authorization.k8s.io', 'authorization.openshift.io'],
  resources: ['roles', 'rolebindings'],
}

const streamStatus = images(read, ['imagestreams/status'])
const viewRules = [...registryViewerRules, streamStatus, accounts(read, 'serviceaccounts', 'configmaps', 'events')]
const editRules = [
  ...registryEditorRules,
  streamStatus,
  accounts([...read, ...write], 'serviceaccounts', 'configmaps', 'events'),
  accounts(['create'], 'serviceaccounts/token'),
]

/**
 * The built-in ClusterRoles, after OKD's, cut to what Weir serves. The verbs of `imagestreams/layers` are the registry's
 * actions: `get` pull, `update` push, `delete` delete; here `edit` and above may delete, where OKD asks for the whole
 * cluster's `images`. `view` may pull, as OKD's aggregated `view` can.
 *
 * @see https://github.com/openshift/openshift-apiserver and its bootstrap policy
 */
export const builtinRoles: readonly BuiltinRole[] = [
  { name: 'system:image-puller', description: 'Pulls images.', rules: pullerRules },
  { name: 'system:image-pusher', description: 'Pulls and pushes images.', rules: pusherRules },
  {
    name: 'system:image-builder',
    description: 'Pulls and pushes images, and creates streams by pushing.',
    rules: builderRules,
  },
  {
    name: 'system:image-signer',
    description: 'Reads images and signs them.',
    rules: [images(['get'], ['images']), layers('get'), images(['create', 'delete'], ['imagesignatures'])],
  },
  {
    name: 'system:image-auditor',
    description: 'Reads images and notes findings on them.',
    rules: [images([...read, 'patch', 'update'], ['images'])],
  },
  {
    name: 'system:image-pruner',
    description: 'Hides old tag events and deletes images that nothing names.',
    rules: [
      images([...read, 'delete'], ['images']),
      images(read, ['imagestreams']),
      images(['update'], ['imagestreams/status']),
    ],
  },
  { name: 'registry-viewer', description: 'Reads and pulls streams.', rules: registryViewerRules },
  { name: 'registry-editor', description: 'Changes, pulls and pushes streams.', rules: registryEditorRules },
  {
    name: 'registry-admin',
    description: 'Changes streams and says who may use them.',
    rules: [...registryEditorRules, bindingRules],
  },
  { name: 'view', description: 'Reads a project and pulls its streams.', rules: viewRules },
  { name: 'edit', description: 'Changes a project, except who may use it.', rules: editRules },
  {
    name: 'admin',
    description: 'Changes a project and says who may use it.',
    rules: [
      ...editRules,
      bindingRules,
      { verbs: ['delete', 'patch', 'update'], apiGroups: ['project.openshift.io'], resources: ['projects'] },
    ],
  },
  {
    name: 'cluster-admin',
    description: 'May do everything.',
    rules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
  },
]
