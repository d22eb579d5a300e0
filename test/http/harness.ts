/** Weir's HTTP front on a free port, with small stand-ins for what is behind it. */
import { type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { Hono } from 'hono'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import type { RegistryToken, TokenRequest, TokenService } from '../../src/access/access.ts'
import type { AuditEvent } from '../../src/audit/event.ts'
import type { BlobReader, ContentCounters, OpenBlob, RangeRequest } from '../../src/content/content.ts'
import { createCounters } from '../../src/content/counters.ts'
import { extentOf } from '../../src/content/range.ts'
import { type ApiEnv, type AppDeps, createApp } from '../../src/http/app.ts'
import type { BlobBodies } from '../../src/http/blob-bodies.ts'
import { createClientOf, type Network } from '../../src/http/client-address.ts'
import { createRequestIds } from '../../src/http/exchange.ts'
import type { HealthCheck } from '../../src/http/health.ts'
import { createListener } from '../../src/http/listener.ts'
import { createMetrics, type MetricsOptions } from '../../src/http/metrics.ts'
import { createRenderFailure } from '../../src/http/respond.ts'
import { listen } from '../../src/http/server.ts'
import { createWarmManifest } from '../../src/http/warm-manifest.ts'
import { type Digest, parseDigest } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { covers } from '../../src/oci/scope.ts'
import type { PullThrough, ServedManifest } from '../../src/pull-through.ts'
import type { StreamReader } from '../../src/streams/streams.ts'
import type { Piece } from '../support/images.ts'
import { createMemoryPush } from './v2/memory-push.ts'

export const publicUrl = 'https://weir.test:5443'
export const service = 'weir.test:5000'

export interface Answered {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
  /** The body as JSON. */
  json(): unknown
}

export interface AskOptions {
  method?: string
  /** Sent as `Authorization: Bearer`. */
  token?: string
  headers?: Record<string, string | string[]>
  body?: string | Buffer
}

export interface HarnessOptions {
  /** Whether verified tokens are in memory, as the warm path wants them. */
  warm?: boolean
  checks?: readonly HealthCheck[]
  counters?: ContentCounters
  retention?: NonNullable<MetricsOptions['retention']>
  uploadCount?: () => Promise<number>
  api?: Hono<ApiEnv>
  idleTimeoutMs?: number
  trustedProxies?: readonly Network[]
  grant?: TokenService['grant']
  providers?: AppDeps['providers']
  /** Gives the bytes of a blob, or of the part that is asked for. */
  readBlob?: (bytes: Buffer, range?: RangeRequest) => Readable | BlobReader
  /** What a blob waits for before there is a stream. */
  beforeBlob?: (signal: AbortSignal | undefined) => Promise<void>
  blobBodies?: BlobBodies
  /** Default: pushes are kept in memory, and there is nothing to list or delete. */
  parts?: Partial<Pick<AppDeps, 'push' | 'referrers' | 'deletions' | 'notifications'>>
  /** Whether a subject may, where the records decide; default all may but pull {@link Harness.hidden}. */
  can?: AppDeps['authorizer']['can']
}

export interface Harness {
  port: number
  ask(path: string, options?: AskOptions): Promise<Answered>
  /** Sends bytes as they stand, answers everything until the connection ends. */
  raw(text: string): Promise<string>
  /** What a token may do; `pull` of `demo/app` unless told otherwise. */
  tokens: Map<string, RegistryToken>
  manifests: Map<string, ServedManifest>
  blobs: Map<string, Piece>
  tags: Map<string, string[]>
  /** All streams, in byte order. */
  streams: string[]
  /** Streams that nobody may pull, as the records have it. */
  hidden: Set<string>
  grants: TokenRequest[]
  /** The lines of the audit log. */
  audited: AuditEvent[]
  /** What the domain was asked. */
  calls: string[]
  logged: string[]
  /** Requests that the warm path answered. */
  warmAnswers(): number
  stop(graceMs: number): Promise<void>
}

/** `demo/app` can be pulled with the token `good`. */
export async function startHttp(options: HarnessOptions = {}): Promise<Harness> {
  const logged: string[] = []
  const log = pino({ level: 'debug' }, { write: (line: string) => void logged.push(line) })
  const state = createState(options)
  const renderFailure = createRenderFailure({ service, log })
  const metrics = createMetrics({
    audit: { lost: 0 },
    content: { counters: options.counters ?? createCounters() },
    maxContentBytes: 2 ** 30,
    ...(options.retention === undefined ? {} : { retention: options.retention }),
    ...(options.uploadCount === undefined ? {} : { push: { uploadCount: options.uploadCount } }),
  })
  const chooseRequestId = createRequestIds('test')
  const clientOf = createClientOf(options.trustedProxies)
  const app = createApp({
    ...state.deps,
    push: createMemoryPush(),
    referrers: { list: async () => ({ referrers: [] }) },
    deletions: { tag: deleteNothing, image: deleteNothing, blob: deleteNothing },
    notifications: { receive: async () => ({ checked: 0, told: [] }) },
    ...options.parts,
    providers: options.providers ?? [],
    api: options.api ?? new Hono<ApiEnv>(),
    checks: options.checks ?? [],
    ...(options.blobBodies && { blobBodies: options.blobBodies }),
    metrics,
    renderFailure,
    log,
  })
  let warmAnswers = 0
  const answerWarm = createWarmManifest({ ...state.deps, chooseRequestId, clientOf, metrics, log })
  const warmManifest: typeof answerWarm = (incoming, outgoing) => {
    const answered = answerWarm(incoming, outgoing)
    if (answered) warmAnswers += 1
    return answered
  }
  const idle = options.idleTimeoutMs === undefined ? {} : { idleTimeoutMs: options.idleTimeoutMs }
  const listening = await listen({ host: '127.0.0.1', port: 0, ...idle })
  const front = { app, warmManifest, metrics, chooseRequestId, renderFailure, clientOf, publicUrl, log }
  listening.serve(createListener(front))
  onTestFinished(() => listening.stop(0))
  const { port, stop } = listening
  return {
    ...state.shown,
    port,
    stop,
    logged,
    ask: (path, ask = {}) => send(port, path, ask),
    raw: (text) => sendRaw(port, text),
    warmAnswers: () => warmAnswers,
  }
}

function createState(options: HarnessOptions) {
  const tokens = new Map<string, RegistryToken>([['good', tokenFor('demo/app', ['pull'])]])
  const manifests = new Map<string, ServedManifest>()
  const blobs = new Map<string, Piece>()
  const tags = new Map<string, string[]>()
  const streams: string[] = []
  const grants: TokenRequest[] = []
  const calls: string[] = []
  const audited: AuditEvent[] = []
  const shown = { tokens, manifests, blobs, tags, streams, grants, audited, calls, hidden: new Set<string>() }

  const tokenService: TokenService = {
    grant:
      options.grant ??
      (async (request) => {
        grants.push(request)
        const token = { token: 'made', issuedAt: 1_767_225_600, expiresInSeconds: 900 }
        return { token, access: [], subject: { name: 'x', groups: [] } }
      }),
    mayAccess: (token, { project, stream, action }) =>
      covers(token.access, { type: 'repository', name: `${project}/${stream}`, actions: [action] })
        ? { kind: 'RoleBinding', name: 'pullers', project }
        : undefined,
    mayListCatalog: (token) => covers(token.access, { type: 'registry', name: 'catalog', actions: ['*'] }),
  }
  const find = (stream: string, reference: string): ServedManifest => {
    const found = manifests.get(`${stream}:${reference}`)
    if (found === undefined) throw new RegistryError('MANIFEST_UNKNOWN')
    return found
  }
  const blobOf = (text: string): Piece & { digest: Digest } => {
    const digest = parseDigest(text)
    if (digest === undefined) throw new RegistryError('DIGEST_INVALID')
    const found = blobs.get(digest)
    if (found === undefined) throw new RegistryError('BLOB_UNKNOWN')
    return found
  }
  const pullThrough: PullThrough = {
    warm: (project, stream, reference) => manifests.get(`${project}/${stream}:${reference}`),
    async manifest({ project, stream }, reference, { head }) {
      calls.push(`${head ? 'head' : 'get'} ${reference}`)
      return find(`${project}/${stream}`, reference)
    },
    async blobSize(_name, text) {
      calls.push('size')
      const { digest, bytes } = blobOf(text)
      return { digest, size: bytes.length }
    },
    async blob(_name, text, range, signal) {
      calls.push(`open ${JSON.stringify(range ?? 'whole')}`)
      await options.beforeBlob?.(signal)
      const { digest, bytes } = blobOf(text)
      return { digest, ...openBlob(bytes, range, options.readBlob) }
    },
    async tags({ project, stream }, { after = '', limit }) {
      const all = tags.get(`${project}/${stream}`)
      if (all === undefined) throw new RegistryError('NAME_UNKNOWN')
      return all.filter((tag) => tag > after).slice(0, limit)
    },
    findBlob: async () => undefined,
    forget: () => undefined,
  }
  const reader: Pick<StreamReader, 'streams'> = {
    async streams(_project, { after, limit } = {}) {
      const first = after === undefined ? '' : `${after.project}/${after.stream}`
      return streams
        .filter((name) => name > first)
        .slice(0, limit)
        .map(streamOf)
    },
  }
  const verified = (token: string): RegistryToken => {
    const found = tokens.get(token)
    if (found !== undefined) return found
    throw new RegistryError('UNAUTHORIZED', { detail: { error: 'invalid_token' } })
  }
  const deps = {
    pullThrough,
    reader,
    tokenService,
    audit: { write: (event: AuditEvent) => void audited.push(event) },
    authorizer: {
      can:
        options.can ??
        ((_subject: unknown, _verb: string, _group: string, _resource: string, name: string, project: string) =>
          !shown.hidden.has(`${project}/${name}`)),
    },
    tokens: {
      peekRegistryToken: (token: string) => (options.warm ? tokens.get(token) : undefined),
      verifyRegistryToken: async (token: string) => verified(token),
      jwks: async () => ({ keys: [{ kty: 'EC', kid: 'k1' }] }),
      openidConfiguration: () => ({ issuer: publicUrl }),
    },
  }
  return { shown, deps }
}

async function deleteNothing(): Promise<never> {
  throw new RegistryError('MANIFEST_UNKNOWN')
}

export function tokenFor(name: string, actions: string[], type = 'repository'): RegistryToken {
  return { subject: { name: 'ci', groups: [] }, access: [{ type, name, actions }], expiresAt: 2 ** 40 }
}

export function served(piece: Piece, pin?: ServedManifest['pin']): ServedManifest {
  return { digest: piece.digest, mediaType: piece.mediaType, size: piece.bytes.length, bytes: piece.bytes, pin }
}

function streamOf(name: string) {
  const [project = '', stream = ''] = name.split('/')
  return {
    project,
    stream,
    uid: 'u',
    projectUid: 'p',
    creationTimestamp: '2026-01-01T00:00:00Z',
    generation: 1,
    resourceVersion: 1,
    objectRevision: 1,
    labels: {},
    annotations: {},
    lookupPolicy: { local: false },
  }
}

function openBlob(
  bytes: Buffer,
  range: RangeRequest | undefined,
  read: NonNullable<HarnessOptions['readBlob']> = (part) => Readable.from([part]),
): OpenBlob {
  const { offset, length } = extentOf(range, bytes.length)
  const given = length === 0 ? Readable.from([]) : read(bytes.subarray(offset, offset + length), range)
  return { size: bytes.length, offset, length, reader: given instanceof Readable ? readerOf(given) : given }
}

/** Gives out a stream's bytes. */
function readerOf(stream: Readable): BlobReader {
  let wake: () => void = () => undefined
  for (const event of ['readable', 'end', 'error', 'close']) stream.on(event, () => wake())
  return {
    async read() {
      for (;;) {
        const piece = stream.read() as Buffer | null
        if (piece !== null) return piece
        if (stream.readableEnded) return undefined
        if (stream.errored) throw stream.errored
        if (stream.destroyed) throw new Error('the reader is closed')
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    close: () => void stream.destroy(),
  }
}

function send(
  port: number,
  path: string,
  { method = 'GET', token, headers = {}, body }: AskOptions,
): Promise<Answered> {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return new Promise((resolve, reject) => {
    const sent = request({
      host: '127.0.0.1',
      port,
      path,
      method,
      headers: { ...authorization, ...headers },
      agent: false,
    })
    sent.on('error', reject)
    sent.on('response', (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('error', reject)
      response.on('end', () => {
        const bytes = Buffer.concat(pieces)
        const { statusCode = 0, headers: answered } = response
        resolve({ status: statusCode, headers: answered, body: bytes, json: () => JSON.parse(bytes.toString('utf8')) })
      })
    })
    sent.end(body)
  })
}

function sendRaw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    let answered = ''
    socket.on('data', (piece) => {
      answered += piece.toString('latin1')
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(answered))
  })
}
