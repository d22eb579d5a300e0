import type { Authenticator, Authorizer, Subject } from '../access/access.ts'
import { type ErrorSubject, RegistryError } from '../oci/errors.ts'
import type { Answer } from './answer.ts'
import { authenticate } from './authenticate.ts'
import { maxBodyBytes, maxSmallBodyBytes } from './body.ts'
import { listPage } from './list.ts'
import { type Matched, match, methodNotAllowed, rightOf } from './match.ts'
import { negotiate } from './negotiate.ts'
import type { Patch } from './patch/patch.ts'
import { parseQuery } from './query.ts'
import { type Rendering, renderList, renderObject } from './render.ts'
import { readDeleteOptions, readObject } from './request-body.ts'
import type { Admission, ApiObject, Call, RequestOptions, Resource } from './resource.ts'
import { forbidden, hasRight } from './right.ts'
import { successStatus } from './status.ts'
import type { ObjectTarget } from './target.ts'
import type { Watches } from './watch/watches.ts'

export interface DispatchOptions {
  table: readonly Resource[]
  authenticator: Authenticator
  authorizer: Pick<Authorizer, 'can'>
  /** Whether a project is there; only then something can be put into it. */
  projectExists(project: string): Promise<boolean>
  patch: Patch
  watches: Watches
  now: () => number
}

const commonFields = ['metadata.name', 'metadata.namespace']

/**
 * Creates the function that answers requests for the objects of `table`: who asks, which row, may he, what does he send,
 * and only then the row's handler. A refusal is a `RegistryError`.
 */
export function createDispatch(options: DispatchOptions): (request: Request, target: ObjectTarget) => Promise<Answer> {
  const { table, authenticator, authorizer, projectExists, patch, watches, now } = options

  async function write(request: Request, call: Call, matched: Matched): Promise<Answer> {
    const { row, served, target, verb, type } = matched
    const kinds = served.bodyKinds ?? [served.kind]
    const isAllowed = admissionOf(matched) === 'right'
    const maxBytes = isAllowed ? maxBodyBytes : maxSmallBodyBytes
    const expected = { ...target, apiVersion: type.apiVersion, kinds, maxBytes, schema: served.schema }
    const { object: body, headers } = await readObject(request, expected)
    // Before a right was checked, the answer would tell anyone which projects there are.
    if (isAllowed && row.namespaced && verb === 'create' && !(await projectExists(target.project)))
      throw noProject(target.project)
    if (verb === 'create') {
      return { status: 201, body: { ...type, ...(await served.handlers.create?.(call, body)) }, headers }
    }
    const updated = await served.handlers.update?.(call, body)
    return { status: updated?.created ? 201 : 200, body: { ...type, ...updated?.object }, headers }
  }

  return async (request, target) => {
    const subject = await authenticate(authenticator, request.headers)
    const query = new URL(request.url).searchParams
    const matched = match(table, target, request.method, query)
    const { row, served, verb, type } = matched
    const isCollection = verb === 'list' || verb === 'watch' || verb === 'deletecollection'
    const requested = parseQuery(query, isCollection ? [...commonFields, ...(row.fieldSelectors ?? [])] : [])
    const call = callOf(authorizer, subject, target, requested)
    if (admissionOf(matched) === 'right') call.require(rightOf(matched, requested))
    refuseDryRun(matched, requested.dryRun)
    const columns = 'columns' in served ? served.columns : undefined
    const form = negotiate(request.headers.get('accept'), query)
    const rendering: Rendering = { form, type, columns, nowMs: now() }
    switch (verb) {
      case 'get':
        return { status: 200, body: renderObject(rendering, await getObject(call, matched)) }
      case 'list':
        return { status: 200, body: renderList(rendering, await listPage(call, matched)) }
      case 'watch':
        return watches.watch({ row, call, query, rendering, signal: request.signal })
      case 'patch':
        return patch(request, call, matched)
      case 'delete':
        return remove(request, call, matched)
      case 'deletecollection':
        return removeAll(request, call, matched)
      default:
        return write(request, call, matched)
    }
  }
}

/** What a request is about, for a failure that does not say it itself. */
export function subjectOf({ name, resource, group }: ObjectTarget): ErrorSubject {
  return { name, kind: resource, group }
}

function admissionOf({ served, verb }: Matched): Admission {
  return served.admission?.[verb] ?? 'right'
}

function callOf(
  authorizer: Pick<Authorizer, 'can'>,
  subject: Subject,
  { project, name }: ObjectTarget,
  options: RequestOptions,
): Call {
  const can: Call['can'] = (right) => hasRight(authorizer, subject, right)
  const require: Call['require'] = (right) => {
    if (!can(right)) throw forbidden(subject, right)
  }
  return { subject, project, name, options, can, require }
}

async function getObject(call: Call, { served, target }: Matched): Promise<ApiObject> {
  const object = await served.handlers.get?.(call)
  if (object === undefined) throw new RegistryError('NOT_FOUND', { subject: subjectOf(target) })
  return object
}

async function remove(request: Request, call: Call, matched: Matched): Promise<Answer> {
  const { served, target } = matched
  const { dryRun, ...preconditions } = await readDeleteOptions(request)
  refuseDryRun(matched, dryRun)
  const options = { ...call.options, dryRun: dryRun || call.options.dryRun }
  const deleted = await served.handlers.delete?.({ ...call, options }, preconditions)
  const uid = deleted?.metadata.uid
  const { group, resource: kind, name } = target
  return { status: 200, body: successStatus({ name, ...(group && { group }), kind, ...(uid && { uid }) }) }
}

/** Deletes what the list selects, page by page; what is gone meanwhile is no failure. */
async function removeAll(_request: Request, _call: Call, { target }: Matched): Promise<Answer> {
  throw methodNotAllowed(target, 'DELETE')
}

function refuseDryRun({ served, target }: Matched, dryRun: boolean): void {
  if (!dryRun || served.dryRun === true) return
  throw new RegistryError('BAD_REQUEST', { message: `dryRun is not served for ${target.resource}; nothing was done` })
}

function noProject(project: string): RegistryError {
  return new RegistryError('NOT_FOUND', {
    message: `namespaces "${project}" not found; create it with \`weir new-project ${project}\``,
    subject: { name: project, kind: 'namespaces', group: '' },
  })
}
