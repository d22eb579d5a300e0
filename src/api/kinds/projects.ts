import { z } from 'zod'
import type { Rbac, Subject } from '../../access/access.ts'
import { formatContinue } from '../../store/continue-token.ts'
import { type Objects, objectKey, type StoredObject } from '../../store/objects.ts'
import { parseObject } from '../body.ts'
import { projectGroup, rbacGroup } from '../groups.ts'
import { dnsLabel, withMetadata } from '../metadata.ts'
import type { ApiObject, Call, Handlers, Page, RequestOptions, Resource } from '../resource.ts'
import { maxPageItems, storedHandlers } from '../stored.ts'

export interface ProjectsOptions {
  objects: Objects
  authorizer: Pick<Rbac, 'reached'>
}

const batchSize = 100
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
    /** Everyone may list, and sees what he may get. */
    list: async (call) => {
      const seesAll = call.can({ verb: 'list', group, resource, name: '', project: '' })
      return visiblePage(objects, call.options, (project) => seesAll || maySee(call, project))
    },
  }
}

/** A page of the projects that `isVisible` shows; its `continue` names the last of them, never one that is hidden. */
async function visiblePage(
  objects: Objects,
  { limit = maxPageItems, continue: start }: RequestOptions,
  isVisible: (project: StoredObject) => boolean,
): Promise<Page> {
  const count = Math.min(limit, maxPageItems)
  const visible: StoredObject[] = []
  let next = start
  let resourceVersion: string
  do {
    const page = await objects.list('namespaces', '', {
      limit: batchSize,
      ...(next === undefined ? {} : { continue: next }),
    })
    visible.push(...page.items.filter(isVisible))
    next = page.continue
    resourceVersion = page.resourceVersion
  } while (next !== undefined && visible.length <= count)
  const items = visible.slice(0, count)
  const last = items.at(-1)
  return {
    items: items.map(projectObject),
    resourceVersion,
    ...(last !== undefined && visible.length > items.length
      ? {
          continue: formatContinue({
            after: objectKey('namespaces', '', last.metadata.name),
            revision: Number(resourceVersion),
          }),
        }
      : {}),
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
