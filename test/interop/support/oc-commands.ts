import type { Oc, OcAnswer, OcRequest } from './oc.ts'

/** The requests of oc's commands, and what oc needs of their answers. */

export const imageApi = '/apis/image.openshift.io/v1'
export const projectApi = '/apis/project.openshift.io/v1'
export const rbacApi = '/apis/rbac.authorization.k8s.io/v1'
export const userSelf = '/apis/user.openshift.io/v1/users/~'
export const streams = (project = 'demo') => `${imageApi}/namespaces/${project}/imagestreams`
export const tags = (project = 'demo') => `${imageApi}/namespaces/${project}/imagestreamtags`
export const imports = (project = 'demo') => `${imageApi}/namespaces/${project}/imagestreamimports`

/** A request, and what oc needs of its answer. */
export interface Step extends OcRequest {
  needs: { status: number | number[]; body?: object; contentType?: string }
}

/** A step that is made of the answers so far. */
export type MakeStep = (answers: readonly OcAnswer[]) => Step

/** A command of oc, as its requests, and what it leads to. */
export interface Row {
  command: string
  given?: () => Promise<unknown>
  as?: () => Promise<Oc>
  steps: MakeStep[]
  leads?: (answers: readonly OcAnswer[]) => Promise<unknown> | unknown
}

export const get = (path: string, needs: Step['needs'], accept: NonNullable<OcRequest['accept']> = 'typed'): Step => ({
  method: 'GET',
  path,
  accept,
  needs,
})

export const ok = (body?: object): Step['needs'] => ({ status: 200, ...(body && { body }) })
export const refused = (status: number, reason: string, message?: unknown): Step['needs'] => ({
  status,
  body: { status: 'Failure', reason, ...(message === undefined ? {} : { message }) },
})

/** What `oc delete` and the typed clients send along. */
export const deleteOptions = { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Background' }

export interface SentTag {
  from?: { kind: string; name: string; namespace?: string }
  reference?: boolean
  scheduled?: boolean
  insecure?: boolean
  /** Default as `oc tag` has it, `Source`. */
  policy?: 'Source' | 'Local' | ''
  annotations?: Record<string, string>
  /** A newer oc sends Legacy unless it is told otherwise. */
  importMode?: string
}

/** An ImageStreamTag as Go writes it, with all that it can not leave out. */
export function streamTag(name: string, sent: SentTag, project: string | undefined = 'demo', named = true): object {
  const { from, reference, scheduled, insecure, policy = 'Source', annotations, importMode = 'Legacy' } = sent
  return {
    kind: 'ImageStreamTag',
    apiVersion: 'image.openshift.io/v1',
    metadata: {
      name,
      ...(project !== '' && { namespace: project }),
      creationTimestamp: null,
      ...(annotations && { annotations }),
    },
    tag: {
      name: named ? name.slice(name.indexOf(':') + 1) : '',
      annotations: annotations ?? null,
      ...(from && { from }),
      ...(reference && { reference }),
      generation: named && from?.kind === 'DockerImage' ? 0 : null,
      importPolicy: {
        ...(insecure && { insecure }),
        ...(scheduled && { scheduled }),
        ...(importMode && { importMode }),
      },
      referencePolicy: { type: policy },
    },
    generation: 0,
    lookupPolicy: { local: false },
    image: { metadata: { creationTimestamp: null }, dockerImageMetadata: null, dockerImageLayers: null },
  }
}

export const docker = (name: string) => ({ kind: 'DockerImage', name })

/** `oc tag`'s own request. */
export const putTag = (
  name: string,
  sent: SentTag,
  needs: Step['needs'] = { status: [200, 201] },
  project = 'demo',
): Step => ({
  method: 'PUT',
  path: `${tags(project)}/${name}`,
  body: streamTag(name, sent, project),
  needs,
})

export const postTag = (
  name: string,
  sent: SentTag,
  needs: Step['needs'] = { status: 201 },
  project = 'demo',
): Step => ({
  method: 'POST',
  path: tags(project),
  body: streamTag(name, sent, project),
  needs,
})

/** `oc create imagestreamtag`'s. */
export const createTag = (name: string, sent: SentTag, needs: Step['needs'] = { status: 201 }): Step => ({
  method: 'POST',
  path: tags(),
  body: streamTag(name, { policy: '', importMode: '', ...sent }, '', false),
  needs,
})

export interface SentImport {
  /** Sources by tag. */
  tags?: Record<string, string>
  repository?: string
  resourceVersion?: string
  dryRun?: boolean
  scheduled?: boolean
  project?: string
}

/** `oc import-image`'s own request. */
export function postImport(stream: string, sent: SentImport, needs: Step['needs'] = { status: 201 }): Step {
  const policies = {
    importPolicy: { ...(sent.scheduled && { scheduled: true }), importMode: 'Legacy' },
    referencePolicy: { type: '' },
  }
  const list = Object.entries(sent.tags ?? {}).map(([name, from]) => ({
    from: docker(from),
    to: { name },
    ...policies,
  }))
  const body = {
    kind: 'ImageStreamImport',
    apiVersion: 'image.openshift.io/v1',
    metadata: {
      name: stream,
      namespace: sent.project ?? 'demo',
      ...(sent.resourceVersion && { resourceVersion: sent.resourceVersion }),
      creationTimestamp: null,
    },
    spec: {
      import: !sent.dryRun,
      ...(list.length > 0 && { images: list }),
      ...(sent.repository && { repository: { from: docker(sent.repository), ...policies } }),
    },
    status: {},
  }
  return { method: 'POST', path: imports(sent.project), body, needs }
}

/** What `oc tag` makes of the stream it read: the image that the tag stands at. */
export function exact(stream: OcAnswer | undefined, tag: string, namespace?: string): NonNullable<SentTag['from']> {
  const { metadata, status } = stream?.body ?? {}
  const head = status.tags.find((each: { tag: string }) => each.tag === tag)?.items[0]
  if (head.image === '') return docker(head.dockerImageReference)
  return { kind: 'ImageStreamImage', name: `${metadata.name}@${head.image}`, ...(namespace && { namespace }) }
}

export const rule = (resource: string, ...verbs: string[]) => ({
  apiGroups: ['', 'image.openshift.io'],
  resources: [resource],
  verbs,
})
