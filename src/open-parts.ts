/** Opens everything between the store and the surfaces. */
import type { Logger } from 'pino'
import type { AccessParts } from './access/create-access.ts'
import { sealingOf } from './access/key-ring.ts'
import { resealRecords } from './access/sealed-records.ts'
import { groupOf, imageGroup } from './api/groups.ts'
import type { WeirConfig } from './config.ts'
import { createDeletions } from './deletions.ts'
import { createFollowing } from './following.ts'
import { createStreamImages } from './importer/stream-images.ts'
import { createLifetime } from './lifetime.ts'
import { createNotifications } from './notifications.ts'
import { openAccess } from './open-access.ts'
import { openContent } from './open-content.ts'
import { openImports } from './open-imports.ts'
import { openPushes } from './open-pushes.ts'
import { openUpstream, type Patience } from './open-upstream.ts'
import { runProjectRemoval } from './projects/removal.ts'
import { createProjectGuard, createProjects } from './projects.ts'
import { createQuotas } from './quotas.ts'
import { createObjects } from './store/objects.ts'
import type { Store } from './store/store.ts'
import { createStreams } from './streams/create-streams.ts'
import type { MayFollow } from './streams/followed-across.ts'
import { createTagEvents } from './tag-events.ts'
import { createTagging } from './tagging.ts'

export interface OpenPartsOptions {
  config: WeirConfig
  store: Store
  /** Host of the public URL, with its port: as clients write it in image names. */
  service: string
  issuer: string
  /** The names under which this Weir is reached, as image references have them. */
  own: readonly string[]
  userAgent: string
  patience: Patience
  discardUnreadable: boolean
  /** Closes what is opened. */
  opened: AsyncDisposableStack
  now: () => number
  log: Logger
}

/** @throws StartError */
export async function openParts(options: OpenPartsOptions) {
  const { config, store, service: registryHost, patience, opened, now, log } = options
  const lifetime = createLifetime(opened)
  const { closing: signal } = lifetime
  const access = await openAccess({ ...options, lifetime })
  const sealing = sealingOf(access.secretKeys)
  const { upstream, budgets, loginEnds, allowed, loginsOf } = openUpstream({ ...options, sealing, lifetime })

  const objects = createObjects({ store, now, groupOf, guard: createProjectGuard(store, groupOf), sealing })
  const projects = createProjects({ store, objects, now })
  // Bytes of uploads that came before the start count too: pushes know of them.
  const quotas = createQuotas({ store, objects, now, restore: () => push.restoreReservations(), signal })
  const { use } = quotas
  const streams = createStreams({ store, now, policy: config.content.policy, use, signal })

  const mayFollow = mayFollowOf(access)
  const kept = await openContent({ config, store, streams, upstream, mayFollow, use, patience, lifetime, now, log })
  const { content, pullThrough, referrers, retention, collector, keepManifest, forget } = kept
  const push = openPushes({
    ...kept,
    config,
    store,
    streams,
    upstream,
    allowed,
    quotas,
    registryHost,
    lifetime,
    now,
    log,
  })
  const { awaitMove } = retention
  const { importer, schedule } = openImports({
    config,
    store,
    streams,
    content,
    upstream,
    allowed,
    loginsOf,
    keepManifest,
    awaitMove,
    lifetime,
    now,
    log,
  })
  const obtain = keepManifest
  const tagging = createTagging({ ...streams, content, allowed, registryHost, obtain, awaitMove, mayFollow, log })
  const { follow } = tagging
  const rightsVersion = () => access.authorizer.version
  const following = createFollowing({ store, follow, mayFollow, rightsVersion, now, log })
  const tagEvents = createTagEvents({ ...streams, content, pullThrough, importer, follow, log })
  const deletions = createDeletions({ ...streams, store, forget, forgetReferrers: referrers.forget, log })
  const images = createStreamImages({ ...streams, content })
  const notifications = createNotifications({ store, sealing, schedule, signal, now, log })

  lifetime.run(following.run)
  void runProjectRemoval({ store, writer: streams.writer, signal, log })
  lifetime.run((leaving) => resealRecords({ store, keys: access.secretKeys, signal: leaving, log }))
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
    schedule,
    following,
    notifications,
    allowed,
    budgets,
    loginEnds,
    tagEvents,
    tagging,
    collector,
    retention,
    deletions,
  }
}

/** Whether who let a tag follow may pull from its source now; a service account that was made anew is another. */
function mayFollowOf({ authenticator, authorizer }: AccessParts): MayFollow {
  return (as, { project, stream }) => {
    const isStill = as.uid === undefined || authenticator.isCurrent(as)
    return isStill && authorizer.can(as, 'get', imageGroup, 'imagestreams/layers', stream, project)
  }
}
