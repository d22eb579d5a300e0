/** The composition root: config in, a running Weir out. With `open-*.ts` beside it the only place that knows which part is used. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { writeAdminKubeconfig } from './admin-kubeconfig.ts'
import { createApi } from './api/api.ts'
import { followObjects } from './api/watch/follow-objects.ts'
import { createAudit } from './audit.ts'
import type { WeirConfig } from './config.ts'
import type { Content } from './content/content.ts'
import { createApp } from './http/app.ts'
import { createClientOf } from './http/client-address.ts'
import { createRequestIds } from './http/exchange.ts'
import type { Degraded } from './http/health.ts'
import { createListener } from './http/listener.ts'
import { createMetrics } from './http/metrics.ts'
import { createRenderFailure } from './http/respond.ts'
import { createWarmManifest } from './http/warm-manifest.ts'
import { type Address, openCertificate, openListeners, ownHosts } from './listeners.ts'
import { openParts } from './open-parts.ts'
import type { Patience } from './open-upstream.ts'
import { codeOf, messageOf, StartError } from './start-error.ts'
import { isCompacted } from './store/compaction.ts'
import { createLevelStore } from './store/level.ts'
import type { Store } from './store/store.ts'

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
  /** With registries; default as of the client for them. */
  patience?: Patience
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
  'index/scheduled/',
  'index/across/',
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
  { log, now = Date.now, patience = {}, discardUnreadable = false }: WeirOptions,
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
  const userAgent = `weir/${version}`
  const places = { service, issuer, own, userAgent }
  const parts = await openParts({ config, store, ...places, patience, discardUnreadable, opened, log, now })
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
    metrics: createMetrics({ ...parts, audit, maxContentBytes: config.content.maxBytes, now }),
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
