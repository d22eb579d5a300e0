import type { ServerResponse } from 'node:http'
import { Hono } from 'hono'
import type { Logger } from 'pino'
import type { Authenticator, Client, Rbac, Sessions, Tokens } from '../access/access.ts'
import type { Audit } from '../audit.ts'
import type { Collector } from '../collector.ts'
import type { Deletions } from '../deletions.ts'
import type { StreamImages } from '../importer/stream-images.ts'
import type { Importer } from '../importer.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Projects } from '../projects.ts'
import type { Quotas } from '../quotas.ts'
import type { Retention } from '../retention.ts'
import type { Schedule } from '../schedule.ts'
import type { Objects } from '../store/objects.ts'
import type { StreamChanges } from '../streams/changes.ts'
import type { ImageChanges } from '../streams/image-changes.ts'
import type { ReferrerRecords } from '../streams/referrer-records.ts'
import type { Links, Pins, StreamReader, StreamWriter } from '../streams/streams.ts'
import type { TagEvents } from '../tag-events.ts'
import type { Tagging } from '../tagging.ts'
import type { AllowList } from '../upstream/allow-list.ts'
import type { Budgets } from '../upstream/budget.ts'
import type { Answer } from './answer.ts'
import { createAuditedRequest } from './audited-request.ts'
import { createDiscovery } from './discovery.ts'
import { createDispatch, subjectOf } from './dispatch.ts'
import { encodeJson, encodeYaml } from './encode.ts'
import { imageStreamObject } from './image-objects.ts'
import { auditEvents } from './kinds/audit-events.ts'
import { clusterRoleBindings } from './kinds/cluster-role-bindings.ts'
import { clusterRoles } from './kinds/cluster-roles.ts'
import { contentPrunes, contentVerifications } from './kinds/collector-commands.ts'
import { configMaps } from './kinds/config-maps.ts'
import { events } from './kinds/events.ts'
import { imageDeletions } from './kinds/image-deletions.ts'
import { imageStreamImages } from './kinds/image-stream-images.ts'
import { imageStreamImports } from './kinds/image-stream-imports.ts'
import { imageStreamMappings } from './kinds/image-stream-mappings.ts'
import { imageStreamTags, listedTag } from './kinds/image-stream-tags.ts'
import { imageStreams } from './kinds/image-streams.ts'
import { imageTags, listedImageTag } from './kinds/image-tags.ts'
import { images } from './kinds/images.ts'
import { prefetches } from './kinds/prefetches.ts'
import { projectRequests } from './kinds/project-requests.ts'
import { namespaces, projects } from './kinds/projects.ts'
import { resourceQuotas } from './kinds/resource-quotas.ts'
import {
  localSubjectAccessReviews,
  selfSubjectAccessReviews,
  subjectAccessReviews,
} from './kinds/reviews/access-reviews.ts'
import { selfSubjectReviews, tokenReviews } from './kinds/reviews/identity-reviews.ts'
import {
  openshiftLocalResourceAccessReviews,
  openshiftLocalSubjectAccessReviews,
  openshiftResourceAccessReviews,
  openshiftSubjectAccessReviews,
} from './kinds/reviews/openshift-access.ts'
import { openshiftSelfSubjectRulesReviews, openshiftSubjectRulesReviews } from './kinds/reviews/openshift-rules.ts'
import { selfSubjectRulesReviews } from './kinds/reviews/rules-reviews.ts'
import { roleBindings } from './kinds/role-bindings.ts'
import { roles } from './kinds/roles.ts'
import { secrets } from './kinds/secrets.ts'
import { serviceAccounts } from './kinds/service-accounts.ts'
import { sessions } from './kinds/sessions.ts'
import { tagChecks } from './kinds/tag-checks.ts'
import { tagEvents } from './kinds/tag-events.ts'
import { upstreams } from './kinds/upstreams.ts'
import { users } from './kinds/users.ts'
import { createLists } from './list.ts'
import { negotiate } from './negotiate.ts'
import { createOpenApi } from './openapi/openapi.ts'
import { createPatch } from './patch/patch.ts'
import type { Follow, Resource } from './resource.ts'
import { createRevise } from './revise.ts'
import { failureStatus, internalErrorStatus } from './status.ts'
import { newestRevision } from './stored.ts'
import { parseTarget, type Target } from './target.ts'
import { followStreams, followTags } from './watch/follow-streams.ts'
import { createProjectBorn } from './watch/project-born.ts'
import { createWatches } from './watch/watches.ts'
import { createWrites } from './write.ts'

export interface ApiOptions {
  objects: Objects
  projects: Projects
  /** Follows the stored objects of a resource. */
  followObjects: (resource: string) => Follow
  reader: StreamReader
  writer: StreamWriter
  links: Links
  tagging: Tagging
  images: StreamImages
  referrerRecords: Pick<ReferrerRecords, 'list' | 'fallbacks'>
  pins: Pick<Pins, 'reached'>
  changes: StreamChanges
  imageChanges: ImageChanges
  importer: Importer
  /** The registries that may be imported from, and pushed on to. */
  allowed: Pick<AllowList, 'refusalOf'>
  tagEvents: TagEvents
  quotas: Pick<Quotas, 'usage'>
  retention: Pick<Retention, 'state' | 'states' | 'prefetch'>
  schedule: Pick<Schedule, 'checks'>
  budgets: Pick<Budgets, 'states'>
  collector: Pick<Collector, 'prune' | 'verify'>
  deletions: Pick<Deletions, 'tag' | 'image'>
  authenticator: Authenticator
  authorizer: Rbac
  sessions: Pick<Sessions, 'list' | 'get' | 'revoke'>
  audit: Pick<Audit, 'write' | 'list'>
  /** Whether the audit log has lines for reads. */
  auditsReads: boolean
  tokens: Pick<Tokens, 'issueServiceAccountToken'>
  /** The audience of Weir's own tokens: `auth.issuer`. */
  issuer: string
  /** What clients write before `project/stream`: the host of `publicUrl`, with its port. */
  registryHost: string
  /** Weir's own version, `0.1.0`. */
  version: string
  now: () => number
  /** Whether changes after a revision are no longer all known. */
  isCompacted: (revision: number) => Promise<boolean>
  log: Logger
  /** Ends what would otherwise go on: watches. */
  stopping: AbortSignal
}

/** What the server hands on with each request. */
type Env = { Bindings: { requestId?: string; client?: Client; outgoing?: Outgoing } }
type Outgoing = Pick<ServerResponse, 'once' | 'closed'>

/** Serves `/api`, `/apis` and `/version` as Kubernetes does; failures are `metav1.Status`. Mounted at the root. */
export function createApi(options: ApiOptions): Hono<Env> {
  const { authenticator, authorizer, objects, log } = options
  const table = kinds(options)
  const writes = createWrites({
    now: options.now,
    projectExists: async (project) => (await objects.get('namespaces', '', project)) !== undefined,
  })
  const dispatch = createDispatch({
    table,
    authenticator,
    authorizer,
    audited: createAuditedRequest({ audit: options.audit, reads: options.auditsReads }),
    lists: createLists({ newestRevision: () => newestRevision(objects), isCompacted: options.isCompacted, log }),
    writes,
    patch: createPatch({ writes, revise: createRevise(), now: options.now }),
    watches: createWatches({
      ...options,
      isBornAfter: createProjectBorn(objects, options.followObjects('namespaces')),
      newestRevision: () => newestRevision(objects),
      signal: options.stopping,
    }),
    now: options.now,
  })
  const discover = createDiscovery(table)
  const openApi = createOpenApi(table, options.now)
  const app = new Hono<Env>()

  // Hono sends HEAD to the GET handlers and drops the body: that is what HEAD is here.
  app.get('/version', () => answer(200, versionInfo(options.version)))
  app.all('/openapi/*', ({ req }) => openApi(req.raw))
  const serve = async (
    request: Request,
    { outgoing, requestId, client = unknownClient }: Env['Bindings'] = {},
  ): Promise<Response> => {
    let target: Target | undefined
    try {
      target = parseTarget(new URL(request.url).pathname)
      if (target?.type !== 'object') return respond(discover(request, target))
      const answered = await dispatch(request, target, { client, requestId, sent: outgoing && closed(outgoing) })
      const { yaml } = negotiate(request.headers.get('accept'), new URL(request.url).searchParams)
      return yaml ? respondYaml(answered) : respond(answered)
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      // Whoever leaves while he waits is no trouble.
      if (error.status >= 500 && !request.signal.aborted)
        log.warn({ err: error, method: request.method }, 'a request of the API was refused')
      return refuse(error, target)
    }
  }
  app.all('/api/*', ({ req, env }) => serve(req.raw, env))
  app.all('/apis/*', ({ req, env }) => serve(req.raw, env))

  app.onError((error, c) => {
    if (error instanceof RegistryError) return refuse(error)
    const requestId = c.env?.requestId
    log.error({ err: error, requestId, method: c.req.method, path: c.req.path }, 'a request of the API failed')
    return answer(500, internalErrorStatus(requestId))
  })
  return app
}

const unknownClient: Client = { address: '', userAgent: '' }

/** The table of kinds: one row more serves, authorises and discovers one kind more. */
function kinds(options: ApiOptions): Resource[] {
  const streams = { ...options, newestRevision: () => newestRevision(options.objects) }
  const { changes, registryHost } = options
  return [
    imageStreams({ ...streams, follow: followStreams(changes, (whole) => imageStreamObject(registryHost, whole)) }),
    imageStreamTags({ ...streams, follow: followTags(changes, (...of) => listedTag(registryHost, ...of)) }),
    imageTags({ ...options, follow: followTags(changes, listedImageTag) }),
    imageStreamImages(options),
    images(streams),
    imageStreamImports(options),
    imageStreamMappings(options),
    tagEvents(options),
    tagChecks(options),
    upstreams(options),
    prefetches(options),
    imageDeletions(options),
    contentPrunes(options),
    contentVerifications(options),
    auditEvents(options),
    namespaces(options),
    projects(options),
    projectRequests(options),
    serviceAccounts(options),
    configMaps(options),
    secrets(options),
    events(options),
    resourceQuotas(options),
    users(),
    sessions(options),
    roles(options),
    roleBindings(options),
    clusterRoles(options),
    clusterRoleBindings(options),
    selfSubjectReviews(),
    tokenReviews(options),
    selfSubjectAccessReviews(options),
    subjectAccessReviews(options),
    localSubjectAccessReviews(options),
    selfSubjectRulesReviews(options),
    openshiftSubjectAccessReviews(options),
    openshiftLocalSubjectAccessReviews(options),
    openshiftResourceAccessReviews(options),
    openshiftLocalResourceAccessReviews(options),
    openshiftSelfSubjectRulesReviews(options),
    openshiftSubjectRulesReviews(options),
  ]
}

/** Settles when an answer is out, or its client gone. */
async function closed(outgoing: Outgoing): Promise<void> {
  if (!outgoing.closed) await new Promise<void>((resolve) => outgoing.once('close', () => resolve()))
}

function versionInfo(version: string): Record<string, string> {
  const [major = '0', minor = '0'] = version.split('.')
  return {
    major,
    minor,
    gitVersion: `v${version}`,
    gitCommit: '',
    gitTreeState: '',
    buildDate: '',
    goVersion: '',
    compiler: '',
    platform: `${process.platform}/${process.arch}`,
  }
}

function refuse(error: RegistryError, target?: Target): Response {
  const status = failureStatus(error, target?.type === 'object' ? subjectOf(target) : undefined)
  const headers: Record<string, string> = {}
  if (status.code === 401) headers['www-authenticate'] = 'Bearer realm="weir"'
  if (error.retryAfterSeconds !== undefined) headers['retry-after'] = String(error.retryAfterSeconds)
  return answer(status.code ?? 500, status, headers)
}

function respond(answered: Answer): Response {
  return answered instanceof Response ? answered : answer(answered.status, answered.body, answered.headers)
}

/** What is a response already may be long, and is JSON, which is YAML as well. */
function respondYaml(answered: Answer): Response {
  if (answered instanceof Response) return answered
  const { status, body, headers } = answered
  return new Response(encodeYaml(body), {
    status,
    headers: { 'content-type': 'application/yaml', 'cache-control': 'no-store', ...headers },
  })
}

function answer(status: number, body: object, headers: Record<string, string> = {}): Response {
  return new Response(encodeJson(body), {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers },
  })
}
