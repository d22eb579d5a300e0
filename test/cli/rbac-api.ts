import { type FakeApi, startFakeApi } from './fake-api.ts'
import { type CliResult, run } from './run.ts'

/** Paths and objects of the RBAC API, as `grant` and `revoke` meet them. */
const rbac = '/apis/rbac.authorization.k8s.io/v1'
export const bindings = `${rbac}/namespaces/demo/rolebindings`
export const roles = `${rbac}/namespaces/demo/roles`
export const clusterRoles = `${rbac}/clusterroles`
export const accounts = '/api/v1/namespaces/demo/serviceaccounts'
export const app = '/apis/image.openshift.io/v1/namespaces/demo/imagestreams/app'
export const apiGroup = 'rbac.authorization.k8s.io'
export const puller = { apiGroup, kind: 'ClusterRole', name: 'system:image-puller' }
export const ci = { kind: 'ServiceAccount', name: 'ci', namespace: 'demo' }
export const jane = { kind: 'User', apiGroup, name: 'jane' }
export const layers = { verbs: ['get'], apiGroups: ['', 'image.openshift.io'], resources: ['imagestreams/layers'] }

/** A role or a binding as it is sent. */
export interface Body {
  metadata: { name: string }
  roleRef: { name: string; kind: string }
  subjects: object[]
}

/** Runs a command line in the project `demo`. */
export async function weir(api: FakeApi, ...argv: string[]): Promise<CliResult> {
  return run([...argv, '-n', 'demo', '--server', api.url, '--token', 't'])
}

/** An API that has the puller role and the robot ci, and keeps bindings. */
export async function rbacApi(): Promise<FakeApi> {
  const api = await startFakeApi()
  api.answer('GET', `${clusterRoles}/system:image-puller`, {
    body: { metadata: { name: 'system:image-puller' }, rules: [layers] },
  })
  api.answer('GET', `${accounts}/ci`, { body: { metadata: { name: 'ci', namespace: 'demo' } } })
  api.answer('POST', bindings, ({ body }) => ({ status: 201, body: body as object }))
  return api
}

export function binding(name: string, roleRef: object, subjects: object[], resourceVersion = '5'): object {
  return { metadata: { name, namespace: 'demo', uid: `uid-of-${name}`, resourceVersion }, roleRef, subjects }
}

/** The binding that was sent last. */
export function sentBinding(api: FakeApi): Body {
  return api.sent('POST', bindings).at(-1) as Body
}
