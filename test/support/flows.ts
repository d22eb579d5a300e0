import { join } from 'node:path'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import type { Content } from '../../src/content/content.ts'
import { createContent } from '../../src/content/create-content.ts'
import type { ImportRequest } from '../../src/importer/request.ts'
import { createStreamImages, type StreamImages } from '../../src/importer/stream-images.ts'
import { createImporter, type Importer, type ImportResult } from '../../src/importer.ts'
import type { StreamName } from '../../src/oci/reference.ts'
import { createBlobSource } from '../../src/pull-through/blob-source.ts'
import { createPullThrough, type PullThrough } from '../../src/pull-through.ts'
import { createQuotas } from '../../src/quotas.ts'
import { createReferrers, type Referrers } from '../../src/referrers.ts'
import { createRetention, type Retention, type RetentionOptions } from '../../src/retention.ts'
import { createLevelStore } from '../../src/store/level.ts'
import { createObjects, type Objects } from '../../src/store/objects.ts'
import type { Store } from '../../src/store/store.ts'
import type { ContentPolicy } from '../../src/streams/content-policy.ts'
import { createStreams, type Streams } from '../../src/streams/create-streams.ts'
import { createHeldRecords } from '../../src/streams/held-records.ts'
import { createTagEvents, type TagEvents } from '../../src/tag-events.ts'
import { createTagging, type Tagging, type TaggingOptions } from '../../src/tagging.ts'
import { type AllowList, createAllowList } from '../../src/upstream/allow-list.ts'
import { createUpstream, type UpstreamOptions } from '../../src/upstream/client.ts'
import { credentialsFromRules } from '../../src/upstream/credentials.ts'
import type { Upstream, UpstreamRule } from '../../src/upstream/upstream.ts'
import { type TestClock, testClock } from './clock.ts'
import { temporaryDirectory } from './directory.ts'
import { type FakeUpstream, startFakeUpstream } from './fake-upstream.ts'

/** The flows of Weir over real parts; only the upstream registry and the clock are replaced. */
export interface FlowsWorld extends Streams {
  clock: TestClock
  registry: FakeUpstream
  store: Store
  objects: Objects
  quotas: ReturnType<typeof createQuotas>
  upstream: Upstream
  content: Content
  importer: Importer
  allowed: AllowList
  pullThrough: PullThrough
  referrers: Referrers
  tagEvents: TagEvents
  tagging: Tagging
  /** Does nothing in the background unless a test lets it `run`. */
  retention: Retention
  images: StreamImages
  /** Imports one image by hand, as `admin`. */
  importImage(stream: string, tag: string, from: string, more?: Partial<ImportRequest>): Promise<ImportResult>
}

/** What clients write before `project/stream`. */
export const ownHost = 'weir.test:5000'

/** The prefixes whose changes are followed. */
export const loggedPrefixes = [
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
  'outbox/',
  'key/',
  'session/',
  'meta/',
]

const testPolicy: ContentPolicy = {
  retain: 'pulled',
  platforms: ['linux/amd64', 'linux/arm64'],
  historyKeep: 10,
  historyKeepDays: 30,
  move: 'at-once',
}

export interface FlowsOptions {
  /** Of the fake upstream; default: the background is not paced. */
  limits?: UpstreamRule['limits']
  rules?: readonly UpstreamRule[]
  allowed?: readonly string[]
  /** Of the client for upstreams. */
  client?: Partial<Pick<UpstreamOptions, 'lookup' | 'timeouts'>>
  /** What is kept where no annotation says otherwise; default: what is pulled. */
  policy?: Partial<ContentPolicy>
  /** Of retention, which works only when a test lets it run. */
  retention?: Partial<RetentionOptions>
  /** Who may let tags follow which streams of others; default: nobody. */
  mayFollow?: NonNullable<TaggingOptions['mayFollow']>
  /** What the flows use in the place of that client. */
  observe?: (upstream: Upstream) => Upstream
}

/** Builds the flows with a project `demo` and a fake upstream that may be used. */
export async function flowsWorld(options: FlowsOptions = {}): Promise<FlowsWorld> {
  const directory = await temporaryDirectory()
  const clock = testClock()
  const closing = new AbortController()
  const log = pino({ level: 'silent' })
  const registry = await startFakeUpstream()
  // The clock stands still while what happens at one time happens: nothing is paced.
  const limits = { concurrency: 1000, requestsPerSecond: 1e6, ...options.limits }
  const rules = [{ host: registry.host, insecure: true, limits }, ...(options.rules ?? [])]
  const store = await createLevelStore({
    directory: join(directory, 'store'),
    logged: loggedPrefixes,
    progressIntervalMs: 20,
  })
  const client = createUpstream({
    rules,
    credentialsFor: credentialsFromRules(rules),
    userAgent: 'weir/test',
    log,
    now: clock.now,
    retry: { baseMs: 1, random: () => 0.5 },
    ...options.client,
  })
  const upstream = options.observe?.(client) ?? client
  const policy = { ...testPolicy, ...options.policy }
  const objects = createObjects({ store, now: clock.now })
  const quotas = createQuotas({ store, objects, now: clock.now, signal: closing.signal })
  const streams = createStreams({ store, now: clock.now, policy, use: quotas.use, signal: closing.signal })
  const content = await createContent({
    directory: join(directory, 'content'),
    source: createBlobSource(upstream),
    records: createHeldRecords({ store, now: clock.now }),
    acquireLease: (name, signal) => store.lease(name, signal),
    maxBytes: 1024 ** 3,
    finishBytes: 1024 ** 2,
  })
  const allowed = createAllowList({ patterns: options.allowed ?? [], named: rules.map(({ host }) => host), own: [] })
  const obtain = (name: StreamName, digest: string) => pullThrough.manifest(name, digest, { head: false })
  const referrers = createReferrers({ ...streams, upstream, obtain, now: clock.now, log })
  const pullThrough = createPullThrough({ ...streams, content, upstream, fallbackTags: referrers, log })
  const { mayFollow = () => false } = options
  const retention = createRetention({
    ...streams,
    store,
    content,
    policy,
    mayFollow,
    keepManifest: obtain,
    forget: pullThrough.forget,
    backgroundDownloads: 4,
    backgroundDownloadsPerHost: 2,
    reviewIntervalMs: 24 * 3600_000,
    now: clock.now,
    log,
    ...options.retention,
  })
  const { awaitMove } = retention
  const importer = createImporter({ ...streams, content, upstream, allowed, awaitMove, now: clock.now, log })
  const registryHost = ownHost
  const tagging = createTagging({ ...streams, content, allowed, registryHost, obtain, awaitMove, mayFollow, log })
  const { follow } = tagging
  const tagEvents = createTagEvents({ ...streams, content, pullThrough, importer, follow, log })
  onTestFinished(async () => {
    closing.abort()
    await content.close()
    await upstream.close()
    await store.close()
  })
  await objects.create('namespaces', '', { metadata: { name: 'demo' } })
  const importImage: FlowsWorld['importImage'] = (stream, tag, from, more = {}) =>
    importer.import({ project: 'demo', stream, by: 'admin', images: [{ from, to: tag, importPolicy: {} }], ...more })
  return {
    ...streams,
    clock,
    registry,
    store,
    objects,
    quotas,
    upstream,
    content,
    importer,
    allowed,
    pullThrough,
    referrers,
    tagEvents,
    tagging,
    retention,
    images: createStreamImages({ ...streams, content }),
    importImage,
  }
}
