import { z } from 'zod'
import type { Rbac, Subject } from '../../access/access.ts'
import type { Objects, StoredObject } from '../../store/objects.ts'
import { parseObject } from '../body.ts'
import { projectGroup, rbacGroup } from '../groups.ts'
import { dnsLabel, withMetadata } from '../metadata.ts'
import type { ApiObject, Call, Handlers, Page, Resource } from '../resource.ts'
import { pageOptions, storedHandlers } from '../stored.ts'

export interface ProjectsOptions {
  objects: Objects
  authorizer: Pick<Rbac, 'reached'>
}

const requesterAnnotation = 'openshift.io/requester'
const serviceAccountUser = /^system:serviceaccount:([^:]+):([^:]+)$/

/** Projects as Kubernetes calls them. Creating one is a cluster-wide right, and makes the creator its admin. */
export function namespaces(options: ProjectsOptions): Resource {
  const { objects } = options
  const { get, list } = readers(objects, { group: '', resource: 'namespaces' })
  const { create } = storedHandlers({
    objects,
    group: '',
    resource: 'namespaces',
    schema: z.object({}),
    nameRule: dnsLabel,
  })
  return {
    group: '',
    version: 'v1',
    resource: 'namespaces',
    singular: 'namespace',
    kind: 'Namespace',
    namespaced: false,
    isProject: true,
    shortNames: ['ns'],
    admission: { list: 'handler' },
    handlers: { get, list, create: (call, body) => createProject(options, create, call, body) },
  }
}

/** The same projects as OpenShift calls them. */
export function projects({ objects }: ProjectsOptions): Resource {
  return {
    group: projectGroup,
    version: 'v1',
    resource: 'projects',
    singular: 'project',
    kind: 'Project',
    namespaced: false,
    isProject: true,
    admission: { list: 'handler' },
    handlers: readers(objects, { group: projectGroup, resource: 'projects' }),
  }
}

function readers(
  objects: Objects,
  { group, resource }: { group: string; resource: string },
): Required<Pick<Handlers, 'get' | 'list'>> {
  const maySee = (call: Call, { metadata: { name } }: StoredObject) =>
    call.can({ verb: 'get', group, resource, name, project: name })
  return {
    get: async ({ name }) => {
      const project = await objects.get('namespaces', '', name)
      return project && projectObject(project)
    },
    /** Everyone may list, and sees what he may get; a page can so be shorter than its limit. */
    list: async (call): Promise<Page> => {
      const page = await objects.list('namespaces', '', pageOptions(call.options))
      const seesAll = call.can({ verb: 'list', group, resource, name: '', project: '' })
      return { ...page, items: page.items.filter((each) => seesAll || maySee(call, each)).map(projectObject) }
    },
  }
}

async function createProject(
  { objects, authorizer }: ProjectsOptions,
  create: Required<Handlers>['create'],
  call: Call,
  body: Record<string, unknown>,
): Promise<ApiObject> {
  const { metadata } = parseObject(withMetadata, body)
  const annotations = { ...metadata?.annotations, [requesterAnnotation]: call.subject.name }
  const project = await create(call, { metadata: { ...metadata, annotations } })
  const binding = await objects.create('rolebindings', project.metadata.name ?? '', {
    metadata: { name: 'admin' },
    subjects: [bindingSubject(call.subject)],
    roleRef: { apiGroup: rbacGroup, kind: 'ClusterRole', name: 'admin' },
  })
  await authorizer.reached(Number(binding.metadata.resourceVersion))
  return projectObject(project)
}

function bindingSubject({ name }: Subject): Record<string, string> {
  const [, namespace, account] = serviceAccountUser.exec(name) ?? []
  return namespace && account
    ? { kind: 'ServiceAccount', name: account, namespace }
    : { kind: 'User', apiGroup: rbacGroup, name }
}

function projectObject({ metadata }: { metadata: ApiObject['metadata'] }): ApiObject {
  return { metadata, spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } }
}
