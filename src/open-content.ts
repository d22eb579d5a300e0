/** Opens what is held of images: the pulls that fill it, what keeps in it what tags need, and what makes room in it. */
import { join } from 'node:path'
import type { Logger } from 'pino'
import { followUnlinked } from './collector/unlinked.ts'
import { type Collector, createCollector } from './collector.ts'
import type { WeirConfig } from './config.ts'
import type { Content } from './content/content.ts'
import { createContent } from './content/create-content.ts'
import type { Lifetime } from './lifetime.ts'
import type { Digest } from './oci/digest.ts'
import type { StreamName } from './oci/reference.ts'
import type { Patience } from './open-upstream.ts'
import { createBlobSource } from './pull-through/blob-source.ts'
import { createPullThrough, type PullThrough, type ServedManifest } from './pull-through.ts'
import { createReferrers, type Referrers } from './referrers.ts'
import { createRetention, type Retention } from './retention.ts'
import { messageOf, StartError } from './start-error.ts'
import type { Store } from './store/store.ts'
import type { Streams } from './streams/create-streams.ts'
import type { MayFollow } from './streams/followed-across.ts'
import { createHeldRecords } from './streams/held-records.ts'
import type { ProjectUse } from './streams/project-use.ts'
import type { Upstream } from './upstream/upstream.ts'

export interface OpenContentOptions {
  config: Pick<WeirConfig, 'content' | 'data'>
  store: Store
  streams: Streams
  upstream: Upstream
  /** Whether who let a tag follow another may still pull from that. */
  mayFollow: MayFollow
  /** Keeps account of what projects use. */
  use: Pick<ProjectUse, 'unlinked' | 'recount'>
  patience: Patience
  lifetime: Lifetime
  now: () => number
  log: Logger
}

/** What is held, and all that looks after it. */
export interface ContentParts {
  content: Content
  pullThrough: PullThrough
  referrers: Referrers
  retention: Retention
  collector: Collector
  /** Obtains a manifest that a stream has a link to, so that it is kept and what it names is linked. */
  keepManifest(name: StreamName, digest: Digest, options?: { isBackground?: boolean }): Promise<ServedManifest>
  /** Forgets what memory knows by the links of the stream with this uid, or of all: these were removed, or may have been. */
  forget(uid?: string, name?: StreamName, digests?: readonly Digest[]): void
}

/** @throws StartError */
export async function openContent(options: OpenContentOptions): Promise<ContentParts> {
  const { config, store, streams, upstream, mayFollow, use, patience, lifetime, now, log } = options
  const { policy, maxBytes, finishBytes, pruneIntervalMs } = config.content
  const source = createBlobSource(upstream)
  /** Who is told of what becomes of held bytes; nobody before there are any keepers. */
  let keepers: { retention: Retention; collector: Collector } | undefined
  const content = await createContent({
    directory: join(config.data, 'content'),
    source,
    records: createHeldRecords({ store, now }),
    acquireLease: (name, wanted) => store.lease(name, wanted),
    maxBytes,
    finishBytes,
    onPressure: (neededBytes) => keepers?.collector.press(neededBytes),
    onLost: () => keepers?.retention.lookAgain(),
    ...(patience.retry?.wait && { pause: patience.retry.wait }),
    log,
    now,
  }).catch((error: unknown) => {
    throw new StartError(`the data directory ${config.data} can not be used: ${messageOf(error)}`, error)
  })
  lifetime.defer(() => content.close())

  const keepManifest = (name: StreamName, digest: string, options: { isBackground?: boolean } = {}) =>
    pullThrough.manifest(name, digest, { head: false, ...options })
  const referrers = createReferrers({ ...streams, upstream, obtain: keepManifest, now, log })
  const pullThrough = createPullThrough({ ...streams, content, upstream, fallbackTags: referrers, now, log })
  const forget: ContentParts['forget'] = (uid, name, digests = []) => {
    pullThrough.forget(uid)
    if (name === undefined) use.recount()
    else use.unlinked(name, digests)
  }
  const retention = createRetention({
    ...streams,
    ...config.content,
    store,
    content,
    mayFollow,
    keepManifest,
    forget: pullThrough.forget,
    reviewIntervalMs: pruneIntervalMs,
    now,
    log,
  })
  lifetime.run(retention.run)
  const collector = createCollector({
    ...streams,
    store,
    content,
    source,
    policy,
    maxBytes,
    intervalMs: pruneIntervalMs,
    onUnlinked: forget,
    onMissing: retention.lookAgain,
    now,
    signal: lifetime.leaving,
    log,
  })
  lifetime.run(() => collector.ended)
  followUnlinked({ store, onUnlinked: forget, signal: lifetime.leaving })
  keepers = { retention, collector }
  return { content, pullThrough, referrers, retention, collector, keepManifest, forget }
}
