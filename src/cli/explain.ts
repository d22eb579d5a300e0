/** Turns a server's refusal into words that say what to do next. */

import { apiVersion, resources, type SelfSubjectReview, type Target } from './api.ts'
import type { Client } from './client.ts'
import { type ApiError, CliError } from './failures.ts'
import { notLoggedIn } from './login-end.ts'
import { subjectOfUser } from './subjects.ts'

/** The user name of the caller as the server knows it. */
export async function whoIs(client: Client): Promise<SelfSubjectReview> {
  const resource = resources.selfSubjectReviews
  const body = { kind: 'SelfSubjectReview', apiVersion: apiVersion(resource) }
  return client.request<SelfSubjectReview>('POST', { resource }, { body })
}

/** What a failed request means to the person who gave the command. May ask the server who that is. */
export async function explain(error: ApiError, client: Client, nowMs = Date.now()): Promise<CliError> {
  const hints = await hintsFor(error, client, nowMs)
  const message = error.status.message ?? `the server answered ${error.code}`
  return new CliError(message, { hints: [...causesOf(error), ...hints], cause: error })
}

/** The causes of a `Status`, each with its field, where they say more than the message does. */
export function causesOf({ status }: Pick<ApiError, 'status'>): string[] {
  const causes = status.details?.causes ?? []
  return causes
    .filter(({ message }) => message !== undefined && !(status.message ?? '').includes(message))
    .map(({ field, message }) => (field ? `${field}: ${message}` : String(message)))
}

async function hintsFor(error: ApiError, client: Client, nowMs: number): Promise<string[]> {
  switch (error.code) {
    case 401:
      return notLoggedIn(client.server, nowMs)
    case 403:
      return quotaIsUsedUp(error) ?? missingRight(error, client, nowMs)
    case 404:
      return notFound(error)
    case 409:
      return error.status.reason === 'Conflict' ? ['somebody changed it at the same time: look again, then repeat'] : []
    case 429:
      return [`try again in ${error.status.details?.retryAfterSeconds ?? 'some'} seconds`]
    default:
      return error.code < 500 ? [] : serverFailed(error)
  }
}

/** No right is missing where a quota refuses; undefined when none does. */
function quotaIsUsedUp({ status, target: { project } }: ApiError): string[] | undefined {
  const [, quota] = /^exceeded quota: ([a-z0-9.-]{1,253}), /.exec(status.message ?? '') ?? []
  if (quota === undefined || project === undefined) return undefined
  return [
    `kubectl describe quota ${quota} -n ${project} shows what is used; weir delete makes room`,
    'the administrator can allow more (data/admin.kubeconfig)',
  ]
}

async function missingRight(error: ApiError, client: Client, nowMs: number): Promise<string[]> {
  if (error.message.includes('attempting to grant')) {
    return ['nobody can give more than he has: somebody with these rights, or the administrator, must do it']
  }
  const { verb, resource, role } = neededRight(error)
  const { project, name } = error.target
  // What anonymous may does not count there.
  const isForNames = error.target.resource === resources.prefetches
  if (isForNames && client.server.token === undefined) return notLoggedIn(client.server, nowMs)
  if (role === undefined || project === undefined) {
    if (client.server.token === undefined) return notLoggedIn(client.server, nowMs)
    if (error.target.resource === resources.projectRequests) {
      const subject = await callerAsSubject(client)
      return [
        `missing right: ${verb} ${resource}; the administrator has it (data/admin.kubeconfig)`,
        `and can give it: weir grant self-provisioner ${subject} --all-projects`,
      ]
    }
    const isList = verb === 'list' && (role !== undefined || error.target.resource === resources.images)
    return [
      `missing right: ${verb} ${resource}${isList ? ' in all projects' : ''}; the administrator has it (data/admin.kubeconfig)`,
      ...(isList ? ['or name one project: -n PROJECT'] : []),
    ]
  }
  const subject = await callerAsSubject(client)
  const object = name === undefined || verb === 'create' ? '' : ` ${name}`
  return [
    `missing right: ${verb} ${resource}${object} in ${project}`,
    `who administers ${project} can give it: weir grant ${role} ${subject} -n ${project}`,
    ...(subject === 'anonymous'
      ? [
          `you are not logged in: weir login ${client.server.url}; or --token, WEIR_TOKEN or a kubeconfig says who you are`,
        ]
      : []),
  ]
}

/** The caller as `weir grant` names him; the bare word where the server does not say. */
export async function callerAsSubject(client: Client): Promise<string> {
  try {
    const review = await whoIs(client)
    return subjectOfUser(review.status?.userInfo?.username ?? 'SUBJECT')
  } catch {
    return client.server.token === undefined ? 'anonymous' : 'SUBJECT'
  }
}

const verbs: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', DELETE: 'delete' }

function neededRight({ method, target }: ApiError): { verb: string; resource: string; role: string | undefined } {
  const { plural } = target.resource
  const verb = verbs[method] ?? (target.name === undefined ? 'list' : 'get')
  if (target.resource === resources.tagEvents && verb === 'create') {
    return { verb: 'update', resource: resources.imageStreamTags.plural, role: 'registry-editor' }
  }
  if (target.resource === resources.imageDeletions) {
    return { verb: 'delete', resource: `${resources.imageStreams.plural}/layers`, role: 'registry-editor' }
  }
  if (target.resource === resources.prefetches) {
    return { verb: 'get', resource: `${resources.imageStreams.plural}/layers`, role: 'pull' }
  }
  const resource = target.subresource === undefined ? plural : `${plural}/${target.subresource}`
  return { verb: target.subresource === 'token' ? 'create' : verb, resource, role: roleFor(target, verb) }
}

// The narrowest built-in role that has the right.
function roleFor({ resource }: Target, verb: string): string | undefined {
  switch (resource) {
    case resources.imageStreams:
    case resources.imageStreamTags:
    case resources.imageTags:
    case resources.imageStreamImages:
    case resources.tagEvents:
      return verb === 'get' || verb === 'list' ? 'registry-viewer' : 'registry-editor'
    case resources.imageStreamImports:
      return 'registry-editor'
    case resources.serviceAccounts:
      return 'edit'
    case resources.roles:
    case resources.roleBindings:
    case resources.localResourceAccessReviews:
      return 'admin'
    default:
      return undefined
  }
}

function notFound({ target, status }: ApiError): string[] {
  const { project } = target
  if (project === undefined || (status.message ?? '').includes('weir new-project')) return []
  const isProject = status.details?.kind === 'namespaces' || /^(?:namespaces?|projects?)\b/.test(status.message ?? '')
  return isProject ? [`there is no project "${project}": weir new-project ${project}`] : []
}

function serverFailed(error: ApiError): string[] {
  const request = error.requestId === undefined ? '' : `, request ${error.requestId}`
  return [`the fault is in the server: see its log${request}`]
}
