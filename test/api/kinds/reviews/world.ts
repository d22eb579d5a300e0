import { type Answered, type ApiWorld, apiWorld } from '../../world.ts'

/** What is bound to whom. */
interface Bound {
  name: string
  /** Default `system:image-puller`. */
  role?: string
  subject: { kind: 'User' | 'Group' | 'ServiceAccount'; name: string; namespace?: string }
  /** Default `demo`; empty for the whole cluster. */
  project?: string
}

export interface ReviewsWorld extends ApiWorld {
  bind(bound: Bound): Promise<void>
  /** Sends a review; as the admin unless a token is given, and as nobody where that is undefined. */
  ask(path: string, body: unknown, as?: { token: string | undefined }): Promise<Answered>
}

export const kubernetes = '/apis/authorization.k8s.io/v1'
export const openshift = '/apis/authorization.openshift.io/v1'
export const identity = '/apis/authentication.k8s.io/v1'

/** What pulls the stream `app` of demo. */
export const pull = {
  namespace: 'demo',
  verb: 'get',
  group: 'image.openshift.io',
  resource: 'imagestreams',
  subresource: 'layers',
  name: 'app',
}

export async function reviewsWorld(replace?: Parameters<typeof apiWorld>[0]): Promise<ReviewsWorld> {
  const world = await apiWorld(replace)
  const { objects, authorizer, send, adminToken } = world
  return {
    ...world,
    async bind({ name, role = 'system:image-puller', subject, project = 'demo' }) {
      const bound = await objects.create(project === '' ? 'clusterrolebindings' : 'rolebindings', project, {
        metadata: { name },
        subjects: [subject],
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      })
      await authorizer.reached(Number(bound.metadata.resourceVersion))
    },
    ask: (path, body, { token } = { token: adminToken }) =>
      send('POST', path, { ...(token !== undefined && { token }), body }),
  }
}
