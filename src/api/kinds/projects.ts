import { z } from 'zod'
import type { Rbac } from '../../access/access.ts'
import type { Projects } from '../../projects.ts'
import type { Objects } from '../../store/objects.ts'
import { validateContentPolicy } from '../../streams/content-policy.ts'
import { validateDeletes } from '../../streams/delete-policy.ts'
import { validateHome } from '../../streams/home-annotation.ts'
import { validateImmutable } from '../../streams/immutable.ts'
import type { AllowList } from '../../upstream/allow-list.ts'
import { parseObject } from '../body.ts'
import { namespaceColumns, projectColumns } from '../columns/core-columns.ts'
import { projectGroup } from '../groups.ts'
import { dnsLabel, withMetadata } from '../metadata.ts'
import type { ApiObject, Call, Follow, Handlers, Resource } from '../resource.ts'
import { namespaceSchema } from '../schemas/core.ts'
import { projectSchema } from '../schemas/projects.ts'
import { readPage, storedHandlers } from '../stored.ts'

export interface ProjectsOptions {
  objects: Objects
  projects: Projects
  authorizer: Pick<Rbac, 'reached'>
  /** The registries that a project may have as its home. */
  allowed: Pick<AllowList, 'refusalOf'>
  followObjects(resource: string): Follow
}

interface ProjectType {
  group: string
  resource: string
}

const requesterAnnotation = 'openshift.io/requester'

/** Projects as Kubernetes calls them. Creating one is a cluster-wide right, and makes the creator its admin. */
export function namespaces(options: ProjectsOptions): Resource {
  const type = { group: '', resource: 'namespaces' }
  return {
    ...type,
    version: 'v1',
    singular: 'namespace',
    kind: 'Namespace',
    shortNames: ['ns'],
    columns: namespaceColumns,
    schema: namespaceSchema,
    ...served(options, type),
  }
}

/** The same projects as OpenShift calls them. */
export function projects(options: ProjectsOptions): Resource {
  const type = { group: projectGroup, resource: 'projects' }
  return {
    ...type,
    version: 'v1',
    singular: 'project',
    kind: 'Project',
    columns: projectColumns,
    schema: projectSchema,
    ...served(options, type),
  }
}

type Served = Pick<
  Resource,
  | 'namespaced'
  | 'isProject'
  | 'fieldSelectors'
  | 'admission'
  | 'dryRun'
  | 'keepsManagedFields'
  | 'handlers'
  | 'follow'
  | 'maySee'
>

/** What is the same of both: everyone may list and watch, and sees what he may get. */
function served(options: ProjectsOptions, type: ProjectType): Served {
  const maySee = sightOf(type)
  return {
    namespaced: false,
    isProject: true,
    fieldSelectors: ['status.phase'],
    admission: { list: 'handler', watch: 'handler' },
    dryRun: true,
    keepsManagedFields: true,
    handlers: projectHandlers(options, type, maySee),
    follow: followProjects(options),
    maySee,
  }
}

/** The handlers of either kind; `type` says which rights they look at. */
export function projectHandlers(
  { objects, projects, authorizer, allowed }: ProjectsOptions,
  type: ProjectType,
  maySee = sightOf(type),
): Required<Omit<Handlers, 'getListed'>> {
  const stored = storedHandlers({
    objects,
    group: '',
    resource: 'namespaces',
    schema: z.object({}),
    nameRule: dnsLabel,
    checkAnnotations: (annotations, before) => {
      const field = 'metadata.annotations'
      const refusalOf = (host: string) => allowed.refusalOf(host, 'push')
      return [
        ...validateContentPolicy(annotations, before, field),
        ...validateImmutable(annotations, before, field, 'project'),
        ...validateDeletes(annotations, before, field),
        ...validateHome(annotations, before, field, refusalOf),
      ]
    },
    insert: (call, object) => projects.create(object, call.subject),
    written: authorizer.reached,
  })
  return {
    get: async ({ name }) => {
      const project = await objects.get('namespaces', '', name)
      return project && projectObject(project)
    },
    list: async (call) => {
      const { options } = call
      const page = await readPage(objects, {
        ...options,
        resource: 'namespaces',
        project: '',
        isWanted: (project) => maySee(call, project) && options.selects(projectObject(project)),
      })
      return { ...page, items: page.items.map(projectObject) }
    },
    create: async (call, body) => projectObject(await stored.create(call, requestedBy(call.subject.name, body))),
    update: async (call, body) => {
      const current = await objects.get('namespaces', '', call.name)
      const requester = current?.metadata.annotations?.[requesterAnnotation]
      const { object } = await stored.update(call, requestedBy(requester, body))
      return { object: projectObject(object) }
    },
    delete: async (call, preconditions) =>
      projectObject(
        call.options.dryRun
          ? await stored.delete(call, preconditions)
          : await projects.remove(call.name, preconditions),
      ),
  }
}

/** The body with the annotation that says who asked for the project, whatever the body says itself. */
function requestedBy(requester: string | undefined, body: Record<string, unknown>): Record<string, unknown> {
  const { annotations: sent, ...metadata } = parseObject(withMetadata, body).metadata ?? {}
  const { [requesterAnnotation]: _, ...annotations } = sent ?? {}
  if (requester !== undefined) annotations[requesterAnnotation] = requester
  return { metadata: { ...metadata, ...(Object.keys(annotations).length > 0 && { annotations }) } }
}

/**
 * Whether a caller may know of a project. One that was shown to him while it was being removed he hears of to its end within
 * the same request, although the bindings by which he sees it go before it does.
 */
function sightOf({ group, resource }: ProjectType): (call: Call, project: ApiObject) => boolean {
  // A request is told by its `can`, which the copies of its call share.
  const shown = new WeakMap<Call['can'], Set<string>>()
  return ({ can }, { metadata: { name = '', uid = '', deletionTimestamp } }) => {
    const maySee =
      can({ verb: 'get', group, resource, name, project: name }) ||
      can({ verb: 'list', group, resource, name: '', project: '' })
    if (deletionTimestamp === undefined) return maySee
    const going = shown.get(can) ?? new Set()
    if (maySee) shown.set(can, going.add(uid))
    return maySee || going.has(uid)
  }
}

/** Tells of a project only once the bindings made with it are known here: its creator sees it by them. */
function followProjects({ followObjects, authorizer }: ProjectsOptions): Follow {
  const follow = followObjects('namespaces')
  return async function* (options) {
    for await (const { revision, changes } of follow(options)) {
      if (changes.length > 0) await authorizer.reached(revision)
      yield {
        revision,
        changes: changes.map(({ before, after }) => ({
          before: before && projectObject(before),
          after: after && projectObject(after),
        })),
      }
    }
  }
}

function projectObject({ metadata }: Pick<ApiObject, 'metadata'>): ApiObject {
  const phase = metadata.deletionTimestamp === undefined ? 'Active' : 'Terminating'
  return { metadata, spec: { finalizers: ['kubernetes'] }, status: { phase } }
}
