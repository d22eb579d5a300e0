/** Opens what takes pushes: the homes of projects, room in their quotas, manifests, uploads and their end. */
import type { Logger } from 'pino'
import type { WeirConfig } from './config.ts'
import { hasReadableConfig, parseImageConfiguration } from './importer/image-configuration.ts'
import type { Lifetime } from './lifetime.ts'
import type { ContentParts } from './open-content.ts'
import { createHome } from './push/home.ts'
import { createPutManifest } from './push/manifests.ts'
import type { ReserveBytes } from './push/reservations.ts'
import { createPush } from './push.ts'
import type { Quotas } from './quotas.ts'
import type { Store } from './store/store.ts'
import type { Streams } from './streams/create-streams.ts'
import type { AllowList } from './upstream/allow-list.ts'
import type { Upstream } from './upstream/upstream.ts'

export interface OpenPushesOptions
  extends Pick<ContentParts, 'content' | 'pullThrough' | 'referrers' | 'keepManifest'> {
  config: Pick<WeirConfig, 'uploads'>
  store: Store
  streams: Streams
  upstream: Upstream
  allowed: AllowList
  quotas: Pick<Quotas, 'reserve'>
  /** Host, with its port, as which clients write this Weir in image names. */
  registryHost: string
  lifetime: Lifetime
  now: () => number
  log: Logger
}

export function openPushes(options: OpenPushesOptions): ReturnType<typeof createPush> {
  const { config, store, streams, content, pullThrough, referrers, keepManifest, upstream, allowed, quotas } = options
  const { registryHost, lifetime, now, log } = options
  const homes = createHome({ ...streams, store, content, upstream, allowed, obtain: keepManifest, log })
  const reserveBytes: ReserveBytes = (project, bytes, how) => quotas.reserve(project, { bytes }, how)
  const putManifest = createPutManifest({
    ...streams,
    content,
    homes,
    registryHost,
    reserveBytes,
    findBlob: pullThrough.findBlob,
    configurationOf: (image, config) => (hasReadableConfig(image) ? parseImageConfiguration(config) : undefined),
    fallbackTags: { isOne: referrers.isOne, putFallback: streams.referrerRecords.putFallback },
    forgetReferrers: referrers.forget,
    log,
  })
  const { uploads: limits } = config
  const push = createPush({ ...streams, store, content, putManifest, homes, reserveBytes, limits, now, log })
  lifetime.run(push.run)
  return push
}
