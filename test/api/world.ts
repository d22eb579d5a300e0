import type { EventEmitter } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { type AccessOptions, type AccessParts, createAccess } from '../../src/access/create-access.ts'
import { sealingOf } from '../../src/access/key-ring.ts'
import { type ApiOptions, createApi } from '../../src/api/api.ts'
import { groupOf } from '../../src/api/groups.ts'
import { followObjects } from '../../src/api/watch/follow-objects.ts'
import type { AuditEvent } from '../../src/audit/event.ts'
import { createCollector } from '../../src/collector.ts'
import { createDeletions } from '../../src/deletions.ts'
import { createProjectGuard, createProjects } from '../../src/projects.ts'
import { createBlobSource } from '../../src/pull-through/blob-source.ts'
import { isCompacted } from '../../src/store/compaction.ts'
import { createObjects, type Objects } from '../../src/store/objects.ts'
import type { ContentPolicy } from '../../src/streams/content-policy.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { type FlowsWorld, flowsWorld } from '../support/flows.ts'

/** An answer with its parsed body; of YAML the text alone. */
export interface Answered {
  status: number
  headers: Headers
  body: Record<string, unknown>
  text: string
}

/** A line of a watch. */
export interface WatchEvent {
  type: string
  object: { kind: string; metadata: Record<string, unknown>; [field: string]: unknown }
}

/** The server's side of an exchange: when it closes, the answer is out or the client gone. */
export type Outgoing = EventEmitter & { closed: boolean }

export interface Sent {
  token?: string
  /** Sent as it is when a string or bytes, otherwise as JSON. */
  body?: unknown
  headers?: Record<string, string>
}

/** The API over real parts, with the project `demo` and an admin. */
export interface ApiWorld extends FlowsWorld, AccessParts {
  objects: Objects
  adminToken: string
  /** The log, a line for each record. */
  lines: string[]
  /** The lines of the audit log. */
  audited: AuditEvent[]
  send(method: string, path: string, sent?: Sent): Promise<Answered>
  /** A GET whose answer is not read to its end: a watch. As the admin unless a token is given */
  open(path: string, sent?: Pick<Sent, 'token' | 'headers'> & { outgoing?: Outgoing }): Promise<Response>
  asAdmin(method: string, path: string, body?: unknown): Promise<Answered>
  /** Opens a watch and answers what waits for its next event; undefined at the end. The watch ends with the test. */
  watch(path: string, token?: string): Promise<() => Promise<WatchEvent | undefined>>
  /** Makes a service account in `project` (default `demo`), binds `role` to it in `demo`, and answers its token. */
  robot(name: string, role?: string, project?: string): Promise<string>
}

export const registryHost = 'weir.test:5000'
export const issuer = 'https://weir.test:5443'
export const imageApi = '/apis/image.openshift.io/v1'
/** What is kept of tags, unless annotations say otherwise. */
export const testPolicy: ContentPolicy = {
  retain: 'pinned',
  platforms: ['linux/amd64'],
  historyKeep: 10,
  historyKeepDays: 30,
  move: 'at-once',
}
export const rbacApi = '/apis/rbac.authorization.k8s.io/v1'
export const weirApi = '/apis/weir.dev/v1'
export const inDemo = 'namespaces/demo'

/** The parts that `replace` gives stand in for the real ones; `accessOptions` win over those of the access part. */
export async function apiWorld(
  replace: (real: ApiOptions & FlowsWorld) => Partial<ApiOptions> = () => ({}),
  accessOptions: Partial<AccessOptions> = {},
): Promise<ApiWorld> {
  const flows = await flowsWorld()
  const { store, clock } = flows
  const now = clock.now
  const closing = new AbortController()
  onTestFinished(() => closing.abort())
  const lines: string[] = []
  const log = pino({ base: null }, { write: (line: string) => void lines.push(line) })
  const access = await createAccess({
    store,
    secretKeyFile: join(await temporaryDirectory(), 'secret.key'),
    issuer,
    service: registryHost,
    now,
    signal: closing.signal,
    log,
    ...accessOptions,
  })
  const sealing = sealingOf(access.secretKeys)
  const objects = createObjects({ store, now, groupOf, guard: createProjectGuard(store, groupOf), sealing })
  const projects = createProjects({ store, objects, now })
  const follow = (resource: string) => followObjects(store, resource, sealing)
  const audited: AuditEvent[] = []
  const collector = createCollector({
    ...flows,
    source: createBlobSource(flows.upstream),
    policy: testPolicy,
    maxBytes: 1024 ** 3,
    intervalMs: 86_400_000,
    onUnlinked: flows.pullThrough.forget,
    now,
    monotonic: now,
    signal: closing.signal,
    log,
  })
  const real = {
    ...flows,
    ...access,
    objects,
    projects,
    collector,
    schedule: { checks: () => [] },
    budgets: { states: () => [] },
    deletions: createDeletions({ ...flows, forget: flows.pullThrough.forget, log }),
    followObjects: follow,
    isCompacted: (revision: number) => isCompacted(store, revision, 'object/'),
    registryHost,
    issuer,
    audit: { write: (event: AuditEvent) => void audited.push(event), list: async () => ({ lines: [] }) },
    auditsReads: false,
    version: '1.2.3',
    now,
    log,
    stopping: closing.signal,
  }
  const api = createApi({ ...real, ...replace(real) })
  const adminToken = (await access.admin.ensureAdmin({ kubeconfigExists: false })) ?? ''

  const send: ApiWorld['send'] = async (method, path, { token, body, headers = {} } = {}) => {
    const response = await api.request(path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isSentAsItIs(body) ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const isYaml = response.headers.get('content-type') === 'application/yaml'
    return {
      status: response.status,
      headers: response.headers,
      body: text === '' || isYaml ? {} : JSON.parse(text),
      text,
    }
  }
  const watch: ApiWorld['watch'] = async (path, token) => {
    const { signal } = closing
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const response = await api.request(path, { headers, signal })
    const lines =
      response.body === null ? undefined : createInterface(Readable.fromWeb(response.body as ReadableStream))
    const next = lines?.[Symbol.asyncIterator]()
    return async () => {
      const line = await next?.next()
      return line === undefined || line.done ? undefined : JSON.parse(line.value)
    }
  }
  const open: ApiWorld['open'] = async (path, { token = adminToken, headers = {}, outgoing } = {}) =>
    api.request(path, { headers: { authorization: `Bearer ${token}`, ...headers } }, outgoing && { outgoing })
  const asAdmin: ApiWorld['asAdmin'] = (method, path, body) =>
    send(method, path, { token: adminToken, ...(body === undefined ? {} : { body }) })
  const robot: ApiWorld['robot'] = async (name, role, project = 'demo') => {
    const account = await objects.create('serviceaccounts', project, { metadata: { name } })
    if (role !== undefined) {
      const bound = await objects.create('rolebindings', 'demo', {
        metadata: { name: `${project}-${name}-${role}` },
        subjects: [{ kind: 'ServiceAccount', name, namespace: project }],
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      })
      await access.authorizer.reached(Number(bound.metadata.resourceVersion))
    }
    const { token } = await access.tokens.issueServiceAccountToken({ project, name, uid: account.metadata.uid })
    return token
  }
  return { ...flows, ...access, objects, adminToken, lines, audited, send, open, asAdmin, watch, robot }
}

function isSentAsItIs(body: unknown): body is string | Uint8Array<ArrayBuffer> {
  return typeof body === 'string' || body instanceof Uint8Array
}

/** A refusal as it is answered, for `toMatchObject`. */
export function refusal(code: number, reason: string, message?: unknown): Record<string, unknown> {
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason, code }
  return { status: code, body: { ...status, ...(message === undefined ? {} : { message }) } }
}

/** The refusal of an object for the causes at these fields. */
export function invalidFields(...fields: string[]): Record<string, unknown> {
  const causes = fields.map((field) => ({ field }))
  return { status: 422, body: { kind: 'Status', reason: 'Invalid', code: 422, details: { causes } } }
}

/** The names of a list's items. */
export function names({ body }: Answered): string[] {
  return (body.items as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name)
}
