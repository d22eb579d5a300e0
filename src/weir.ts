/** The composition root: config in, a running Weir out. The only place that knows which part is used. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Provider } from './access/access.ts'
import { createAccess } from './access/create-access.ts'
import { sealingOf } from './access/key-ring.ts'
import { createProviders } from './access/providers.ts'
import { resealRecords } from './access/sealed-records.ts'
import { SecretKeyError, secretKeyFile } from './access/secret-key.ts'
import { writeAdminKubeconfig } from './admin-kubeconfig.ts'
import { createApi } from './api/api.ts'
import { groupOf } from './api/groups.ts'
import { followObjects } from './api/watch/follow-objects.ts'
import { createAudit } from './audit.ts'
import { followUnlinked } from './collector/unlinked.ts'
import { createCollector } from './collector.ts'
import type { WeirConfig } from './config.ts'
import type { Content } from './content/content.ts'
import { createContent } from './content/create-content.ts'
import { createDeletions } from './deletions.ts'
import { createApp } from './http/app.ts'
import { createClientOf } from './http/client-address.ts'
import { createRequestIds } from './http/exchange.ts'
import type { Degraded } from './http/health.ts'
import { createListener } from './http/listener.ts'
import { createMetrics } from './http/metrics.ts'
import { createRenderFailure } from './http/respond.ts'
import { createWarmManifest } from './http/warm-manifest.ts'
import { hasReadableConfig, parseImageConfiguration } from './importer/image-configuration.ts'
import { runPendingImports } from './importer/pending.ts'
import { createStreamImages } from './importer/stream-images.ts'
import { createImporter } from './importer.ts'
import { type Address, openCertificate, openListeners, ownHosts } from './listeners.ts'
import type { StreamName } from './oci/reference.ts'
import { runProjectRemoval } from './projects/removal.ts'
import { createProjectGuard, createProjects } from './projects.ts'
import { pullSecretCredentials } from './pull-secrets.ts'
import { createBlobSource } from './pull-through/blob-source.ts'
import { createPullThrough } from './pull-through.ts'
import { createHome } from './push/home.ts'
import { createPutManifest } from './push/manifests.ts'
import type { ReserveBytes } from './push/reservations.ts'
import { createPush } from './push.ts'
import { createQuotas } from './quotas.ts'
import { createReferrers } from './referrers.ts'
import { createRetention } from './retention.ts'
import { codeOf, messageOf, StartError } from './start-error.ts'
import { isCompacted } from './store/compaction.ts'
import { createLevelStore } from './store/level.ts'
import { createObjects } from './store/objects.ts'
import type { Store } from './store/store.ts'
import { createStreams } from './streams/create-streams.ts'
import { createHeldRecords } from './streams/held-records.ts'
import { createTagEvents } from './tag-events.ts'
import { createTagging } from './tagging.ts'
import { createAllowList } from './upstream/allow-list.ts'
import { createUpstream } from './upstream/client.ts'
import { credentialsFromRules, credentialsInTurn } from './upstream/credentials.ts'
import { createDocuments } from './upstream/documents.ts'

export interface Weir {
  readonly http: Address
  readonly https: Address
  /** The file that `weir`, `kubectl` and `oc` find server and token in. */
  readonly adminKubeconfig: string
  /** Takes no more requests, lets those under way finish for `graceMs` (default 9 s), then closes everything. */
  stop(graceMs?: number): Promise<void>
}

export interface WeirOptions {
  log: Logger
  /** Milliseconds since the epoch; default the system's clock. */
  now?: () => number
  /** Takes out of the store what the secret keys do not open, instead of refusing to start. Default false. */
  discardUnreadable?: boolean
}

/** What is kept in the change log: everything that somebody watches. */
const logged = [
  'object/',
  'life/',
  'stream/',
  'generation/',
  'tag/',
  'index/pending/',
  'index/unheld/',
  'index/image/',
  'image/',
  'key/',
  'session/',
  'meta/',
]

const version = readVersion()

/** @throws StartError */
export async function startWeir(
  config: WeirConfig,
  { log, now = Date.now, discardUnreadable = false }: WeirOptions,
): Promise<Weir> {
  await using opened = new AsyncDisposableStack()
  const store = await openStore(config.data, log)
  opened.defer(() => store.close())
  const audit = createAudit({ ...config.audit, directory: join(config.data, 'audit'), now, log })
  opened.defer(() => audit.close())
  const certificate = await openCertificate(config, now)
  const { http, https } = await openListeners(config, certificate, opened)
  const service = new URL(http.address.publicUrl).host
  const issuer = config.auth.issuer ?? https.address.publicUrl
  const own = [http, https].flatMap(({ address }) => ownHosts(address))
  const parts = await openParts({ config, store, service, issuer, own, discardUnreadable, opened, log, now })
  const stopping = new AbortController()
  const api = createApi({
    ...parts,
    followObjects: (resource) => followObjects(store, resource, parts.sealing),
    isCompacted: (revision) => isCompacted(store, revision, 'object/'),
    registryHost: service,
    issuer,
    audit,
    auditsReads: config.audit.reads,
    version,
    now,
    log,
    stopping: stopping.signal,
  })

  const adminKubeconfig = join(config.data, 'admin.kubeconfig')
  const server = https.address.publicUrl
  await writeAdminKubeconfig({ file: adminKubeconfig, server, authority: certificate.authority, admin: parts.admin })
  const front = {
    ...parts,
    audit,
    metrics: createMetrics({ ...parts, audit, maxContentBytes: config.content.maxBytes }),
    clientOf: createClientOf(config.trustedProxies),
    renderFailure: createRenderFailure({ service, log }),
    chooseRequestId: createRequestIds(randomBytes(4).toString('hex')),
    log,
  }
  const checks = [
    { name: 'store', check: () => checkStore(store) },
    { name: 'content', check: () => checkContent(parts.content) },
  ]
  const app = createApp({ ...front, api, checks })
  const warmManifest = createWarmManifest(front)
  for (const { listening, address } of [http, https]) {
    listening.serve(createListener({ ...front, app, warmManifest, publicUrl: address.publicUrl }))
  }
  log.info({ http: http.address, https: https.address, data: config.data, version }, 'weir is ready')

  const resources = opened.move()
  return {
    http: http.address,
    https: https.address,
    adminKubeconfig,
    async stop(graceMs = 9000) {
      stopping.abort()
      await Promise.all([http, https].map(({ listening }) => listening.stop(graceMs)))
      await resources.disposeAsync()
    },
  }
}

interface PartsOptions {
  config: WeirConfig
  store: Store
  service: string
  issuer: string
  /** The names under which this Weir is reached, as image references have them. */
  own: readonly string[]
  discardUnreadable: boolean
  opened: AsyncDisposableStack
  log: Logger
  now: () => number
}

/** Everything between the store and the surfaces. */
async function openParts(options: PartsOptions) {
  const { config, store, service, issuer, own, discardUnreadable, opened, log, now } = options
  const closing = new AbortController()
  opened.defer(() => closing.abort())
  const { signal } = closing
  const { tokenLifetimeMs, maxTokenLifetimeMs, loginLifetimeMs } = config.auth
  const secrets = { secretKeyFile: secretKeyFile(config.data), discardUnreadable }
  const lifetimes = { tokenLifetimeMs, maxTokenLifetimeMs, loginLifetimeMs }
  const providers = await openProviders(options, signal)
  const access = await createAccess({
    store,
    ...secrets,
    issuer,
    service,
    ...lifetimes,
    providers,
    now,
    signal,
    log,
  }).catch((error: unknown) => {
    const what = error instanceof SecretKeyError ? '' : 'the signing keys can not be used: '
    throw new StartError(`${what}${messageOf(error)}`, error)
  })

  const rules = config.upstreams
  const sealing = sealingOf(access.secretKeys)
  const pullSecrets = pullSecretCredentials({ store, sealing, signal, log })
  const credentialsFor = credentialsInTurn(pullSecrets, credentialsFromRules(rules))
  const upstream = createUpstream({ rules, credentialsFor, userAgent: `weir/${version}`, log, now })
  opened.defer(() => upstream.close())
  const source = createBlobSource(upstream)
  const directory = join(config.data, 'content')
  let press: (neededBytes: number) => void = () => undefined
  let lose: () => void = () => undefined
  const content = await createContent({
    directory,
    source,
    records: createHeldRecords({ store, now }),
    acquireLease: (name, wanted) => store.lease(name, wanted),
    maxBytes: config.content.maxBytes,
    finishBytes: config.content.finishBytes,
    onPressure: (neededBytes) => press(neededBytes),
    onLost: () => lose(),
    log,
    now,
  }).catch((error: unknown) => {
    throw new StartError(`the data directory ${config.data} can not be used: ${messageOf(error)}`, error)
  })
  opened.defer(() => content.close())

  const { policy } = config.content
  const objects = createObjects({ store, now, groupOf, guard: createProjectGuard(store, groupOf), sealing })
  const quotas = createQuotas({ store, objects, now, restore: () => push.restoreReservations(), signal })
  const streams = createStreams({ store, now, policy, use: quotas.use, signal })
  const projects = createProjects({ store, objects, now })
  void runProjectRemoval({ store, writer: streams.writer, signal, log })
  const keepManifest = (name: StreamName, digest: string) => pullThrough.manifest(name, digest, { head: false })
  const referrers = createReferrers({ ...streams, upstream, obtain: keepManifest, now, log })
  const pullThrough = createPullThrough({ ...streams, content, upstream, fallbackTags: referrers, now, log })
  const named = rules.map(({ host }) => host)
  const allowed = createAllowList({ patterns: config.imports.allowedRegistries, named, own })
  const retention = createRetention({
    ...streams,
    ...config.content,
    store,
    content,
    keepManifest,
    forget: pullThrough.forget,
    reviewIntervalMs: config.content.pruneIntervalMs,
    now,
    log,
  })
  lose = retention.lookAgain
  const { awaitMove } = retention
  const importer = createImporter({ ...streams, content, upstream, allowed, keepManifest, awaitMove, log })
  const leaving = new AbortController()
  const retaining = retention.run(leaving.signal)
  opened.defer(() => retaining)
  const imports = runPendingImports({ ...streams, ...importer, store, signal: leaving.signal, log })
  opened.defer(() => imports)
  const forget = (uid?: string, project?: string): void => {
    pullThrough.forget(uid)
    quotas.use.recount(project)
  }
  const collector = createCollector({
    ...streams,
    store,
    content,
    source,
    policy: config.content.policy,
    maxBytes: config.content.maxBytes,
    intervalMs: config.content.pruneIntervalMs,
    onUnlinked: forget,
    onMissing: retention.lookAgain,
    now,
    signal: leaving.signal,
    log,
  })
  opened.defer(() => collector.ended)
  followUnlinked({ store, onUnlinked: forget, signal: leaving.signal })
  press = collector.press
  const homes = createHome({ ...streams, store, content, upstream, allowed, obtain: keepManifest, log })
  const reserveBytes: ReserveBytes = (project, bytes, options) => quotas.reserve(project, { bytes }, options)
  const putManifest = createPutManifest({
    ...streams,
    content,
    homes,
    registryHost: service,
    reserveBytes,
    findBlob: pullThrough.findBlob,
    configurationOf: (image, config) => (hasReadableConfig(image) ? parseImageConfiguration(config) : undefined),
    fallbackTags: { isOne: referrers.isOne, putFallback: streams.referrerRecords.putFallback },
    forgetReferrers: referrers.forget,
    log,
  })
  const push = createPush({
    ...streams,
    store,
    content,
    putManifest,
    homes,
    reserveBytes,
    limits: config.uploads,
    now,
    log,
  })
  const expiring = push.run(leaving.signal)
  opened.defer(() => expiring)
  const resealing = resealRecords({ store, keys: access.secretKeys, signal: leaving.signal, log })
  opened.defer(() => resealing)
  opened.defer(() => leaving.abort())
  const tagEvents = createTagEvents({ ...streams, content, pullThrough, importer, log })
  const tagging = createTagging({
    ...streams,
    content,
    allowed,
    registryHost: service,
    obtain: keepManifest,
    awaitMove,
    log,
  })
  const deletions = createDeletions({ ...streams, store, forget, forgetReferrers: referrers.forget, log })
  const images = createStreamImages({ ...streams, content })
  return {
    ...access,
    ...streams,
    content,
    sealing,
    images,
    objects,
    projects,
    pullThrough,
    referrers,
    push,
    quotas,
    importer,
    allowed,
    tagEvents,
    tagging,
    collector,
    retention,
    deletions,
  }
}

/** Who logs in by what the config names; fetches nothing before somebody does. */
async function openProviders(
  { config, opened, log, now }: PartsOptions,
  signal: AbortSignal,
): Promise<readonly Provider[]> {
  const documents = createDocuments({ userAgent: `weir/${version}` })
  opened.defer(() => documents.close())
  try {
    return await createProviders({ ...config.auth, fetchDocument: documents.fetch, now, signal, log })
  } catch (error) {
    throw new StartError(`auth.htpasswdFile: ${messageOf(error)}`, error)
  }
}

async function openStore(data: string, log: Logger): Promise<Store> {
  try {
    await mkdir(data, { recursive: true, mode: 0o700 })
    return await createLevelStore({ directory: join(data, 'store'), logged, log })
  } catch (error) {
    const code = codeOf(error)
    if (code === 'STORE_LOCKED') throw new StartError(`another Weir is running on the data directory ${data}`, error)
    throw new StartError(`the data directory ${data} can not be used: ${messageOf(error)}`, error)
  }
}

// Any key does: what counts is that the engine answers.
async function checkStore(store: Store): Promise<void> {
  await store.get('meta/admin')
}

/** Pulls go on when nothing can be kept. */
function checkContent({ counters }: Pick<Content, 'counters'>): Degraded | undefined {
  const { problem } = counters
  return problem === undefined ? undefined : { degraded: `${problem}: images are passed through and not kept` }
}

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  return String((manifest as { version: string }).version)
}
