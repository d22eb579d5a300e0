import { readFileSync } from 'node:fs'
import protobuf from 'protobufjs'
import type { OcRequest } from './oc.ts'
import { rbacApi, type Step } from './oc-commands.ts'

/** The requests of oc's commands about rights. */

export const ocAuthorizationApi = '/apis/authorization.openshift.io/v1'

const proto = readFileSync(new URL('../../../src/api/protobuf/kubernetes.proto', import.meta.url), 'utf8')
const { root } = protobuf.parse(proto, { keepCase: true })

interface Bound {
  metadata: { name: string; namespace?: string; creationTimestamp?: string | null; [field: string]: unknown }
  subjects?: Subject[]
  roleRef: { apiGroup: string; kind: string; name: string }
}

export interface Subject {
  kind: 'User' | 'Group' | 'ServiceAccount'
  apiGroup?: string
  name: string
  namespace?: string
}

const rbacGroup = 'rbac.authorization.k8s.io'

export const user = (name: string): Subject => ({ kind: 'User', apiGroup: rbacGroup, name })
export const group = (name: string): Subject => ({ kind: 'Group', apiGroup: rbacGroup, name })
export const account = (namespace: string, name: string): Subject => ({ kind: 'ServiceAccount', namespace, name })

/** A binding of a project, or of the whole cluster where that is empty, that `oc` sends in protobuf. */
export function sendBinding(method: 'POST' | 'PUT', project: string, binding: Bound, needs: Step['needs']): Step {
  const kind = project === '' ? 'ClusterRoleBinding' : 'RoleBinding'
  const { name } = binding.metadata
  return {
    method,
    path: `${bindings(project)}${method === 'PUT' ? `/${name}` : ''}`,
    accept: 'protobuf',
    ...inProtobuf(kind, binding),
    needs,
  }
}

export function newBinding(project: string, name: string, role: string, subjects: readonly Subject[]): Bound {
  return {
    metadata: { name, ...(project !== '' && { namespace: project }) },
    subjects: [...subjects],
    roleRef: { apiGroup: rbacGroup, kind: 'ClusterRole', name: role },
  }
}

/** Where the bindings of a project, or of the whole cluster, are. */
export function bindings(project: string): string {
  return project === '' ? `${rbacApi}/clusterrolebindings` : `${rbacApi}/namespaces/${project}/rolebindings`
}

/** A review about an action, with all that Go can not leave out. */
export function action(kind: string, more: object): object {
  return {
    kind,
    apiVersion: 'authorization.openshift.io/v1',
    namespace: '',
    verb: '',
    resourceAPIGroup: '',
    resourceAPIVersion: '',
    resource: '',
    resourceName: '',
    path: '',
    isNonResourceURL: false,
    content: null,
    ...more,
  }
}

/** An object that was read, or is new, as Go writes it in protobuf: times as seconds, and no owners of fields. */
export function inProtobuf(kind: string, object: object): Pick<OcRequest, 'contentType' | 'body'> {
  const apiVersion = kind.endsWith('Review') ? 'authorization.k8s.io/v1' : `${rbacGroup}/v1`
  const { metadata = { name: '' } } = object as Partial<Bound>
  const { creationTimestamp, managedFields, ...rest } = metadata
  const seconds = creationTimestamp ? Date.parse(creationTimestamp) / 1000 : undefined
  const time = seconds === undefined ? {} : { creationTimestamp: { seconds, nanos: 0 } }
  const type = root.lookupType(kind)
  const raw = type.encode(type.fromObject({ ...object, metadata: { ...rest, ...time } })).finish()
  const envelope = root.lookupType('Envelope')
  const bytes = envelope.encode({ typeMeta: { apiVersion, kind }, raw }).finish()
  return { contentType: 'application/vnd.kubernetes.protobuf', body: Buffer.concat([Buffer.from('k8s\0'), bytes]) }
}
