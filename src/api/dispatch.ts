import type { Authenticator, Authorizer, Grant } from '../access/access.ts'
import { hasEnded } from '../access/current.ts'
import { type ErrorSubject, RegistryError } from '../oci/errors.ts'
import type { Answer } from './answer.ts'
import type { Asked, Origin } from './asked.ts'
import type { AuditedRequest, Learned } from './audited-request.ts'
import { authenticate } from './authenticate.ts'
import type { Lists } from './list.ts'
import { admissionOf, type Matched, match, refuseDryRun, rightOf } from './match.ts'
import { negotiate } from './negotiate.ts'
import type { Patch } from './patch/patch.ts'
import { parseQuery } from './query.ts'
import { remove, removeAll } from './remove.ts'
import { renderObject } from './render.ts'
import type { ApiObject, Call, RequestOptions, Resource, Right } from './resource.ts'
import { forbidden, grantOf } from './right.ts'
import { createSlots } from './slots.ts'
import type { ObjectTarget } from './target.ts'
import type { Watches } from './watch/watches.ts'
import type { Writes } from './write.ts'

export interface DispatchOptions {
  table: readonly Resource[]
  authenticator: Authenticator
  authorizer: Pick<Authorizer, 'explain' | 'version'>
  audited: AuditedRequest
  lists: Lists
  writes: Pick<Writes, 'create' | 'update'>
  patch: Patch
  watches: Watches
  now: () => number
}

export type Dispatch = (request: Request, target: ObjectTarget, origin: Origin) => Promise<Answer>

const commonFields = ['metadata.name', 'metadata.namespace']

/**
 * Creates the function that answers requests for the objects of `table`: who asks, which row, may he, what does he send,
 * and only then the row's handler. A refusal is a `RegistryError`.
 */
export function createDispatch(options: DispatchOptions): Dispatch {
  const { table, authenticator, authorizer, audited, lists, writes, patch, watches, now } = options
  const slots = createSlots()

  return (request, target, origin) =>
    audited(request, target, origin, (learn) => answerRequest(request, target, origin, learn))

  async function answerRequest(
    request: Request,
    target: ObjectTarget,
    { client, sent }: Origin,
    learn: (learned: Learned) => void,
  ): Promise<Answer> {
    const subject = await authenticate(authenticator, request.headers, client)
    learn({ subject })
    const query = new URL(request.url).searchParams
    const matched = match(table, target, request.method, query)
    learn({ matched })
    const { row, served, verb, type } = matched
    const isCollection = verb === 'list' || verb === 'watch' || verb === 'deletecollection'
    const fieldNames = isCollection ? [...commonFields, ...(row.fieldSelectors ?? [])] : []
    const requested = parseQuery(query, fieldNames, row.ownSelectors)
    const find = (right: Right): Grant | undefined => {
      const grant = grantOf(authorizer, subject, right)
      if (grant !== undefined) learn({ grant })
      return grant
    }
    const call = callOf(find, { subject, client, signal: request.signal }, target, requested)
    if (admissionOf(matched) === 'right') call.require(rightOf(matched, requested))
    refuseDryRun(matched, requested.dryRun)
    const form = negotiate(request.headers.get('accept'), query)
    const rendering = { form, type, columns: served.columns, nowMs: now() }
    const asked: Asked = { request, query, call, matched, rendering }
    const tried = (): void => learn({ isTrial: true })
    if (row.asksOthers === true || admissionOf(matched) === 'anyone') return answerTo(asked, tried)
    const leave = await slots.take(subject, request.signal)
    try {
      const answered = await answerTo(asked, tried, leave)
      // A watch goes on for hours: its slot is for what it tells at its beginning.
      if (sent !== undefined) void sent.then(leave)
      else if (verb !== 'watch') leave()
      return answered
    } catch (error) {
      leave()
      throw error
    }
  }

  /** Whether what was allowed at the beginning is allowed still: not ended by time, nor by a change of any right or account. */
  function mayGoOn({ call, matched }: Asked): () => boolean {
    let { version } = authorizer
    let may = true
    return () => {
      if (hasEnded(call.subject, now())) return false
      if (version === authorizer.version) return may
      version = authorizer.version
      may = authenticator.isCurrent(call.subject)
      if (admissionOf(matched) === 'right') may &&= call.can(rightOf(matched, call.options))
      return may
    }
  }

  async function answerTo(asked: Asked, tried: () => void, begun: () => void = () => undefined): Promise<Answer> {
    const { call, matched, rendering, request } = asked
    switch (matched.verb) {
      case 'get':
        return { status: 200, body: renderObject(rendering, await getObject(call, matched)) }
      case 'list':
        return lists.list(asked)
      case 'watch':
        return watches.watch({ ...asked, row: matched.row, signal: request.signal, begun, mayGoOn: mayGoOn(asked) })
      case 'create':
        return writes.create(asked)
      case 'update':
        return writes.update(asked)
      case 'patch':
        return patch(asked)
      case 'delete':
        return remove(asked, tried)
      case 'deletecollection':
        return removeAll(asked, tried)
    }
  }
}

/** What a request is about, for a failure that does not say it itself. */
export function subjectOf({ name, resource, group }: ObjectTarget): ErrorSubject {
  return { name, kind: resource, group }
}

function callOf(
  find: (right: Right) => Grant | undefined,
  { subject, client, signal }: Pick<Call, 'subject' | 'client' | 'signal'>,
  { project, name }: ObjectTarget,
  options: RequestOptions,
): Call {
  const can: Call['can'] = (right) => find(right) !== undefined
  const require: Call['require'] = (right) => {
    if (!can(right)) throw forbidden(subject, right)
  }
  return { subject, client, project, name, options, signal, can, require }
}

async function getObject(call: Call, { served, target }: Matched): Promise<ApiObject> {
  const object = await served.handlers.get?.(call)
  if (object === undefined) throw new RegistryError('NOT_FOUND', { subject: subjectOf(target) })
  return object
}
