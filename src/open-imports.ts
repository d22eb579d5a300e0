/** Opens what follows upstreams: imports by hand, and those that go on by themselves. */

import type { WeirConfig } from './config.ts'
import { runPendingImports } from './importer/pending.ts'
import { createImporter, type Importer, type ImporterOptions } from './importer.ts'
import type { Lifetime } from './lifetime.ts'
import { canonicalHost } from './oci/reference.ts'
import { indexScheduled } from './schedule/index-scheduled.ts'
import { createSchedule, type Schedule, type ScheduleOptions } from './schedule.ts'
import type { Store } from './store/store.ts'
import type { Streams } from './streams/create-streams.ts'

export interface OpenImportsOptions
  extends Omit<ImporterOptions, keyof Streams | 'now'>,
    Pick<ScheduleOptions, 'loginsOf' | 'now'> {
  config: Pick<WeirConfig, 'upstreams' | 'imports'>
  store: Store
  streams: Streams
  lifetime: Lifetime
}

/** Begins what is pending at once, and keeps the schedule. */
export function openImports(options: OpenImportsOptions): { importer: Importer; schedule: Schedule } {
  const { config, store, streams, allowed, upstream, loginsOf, lifetime, now, log } = options
  const importer = createImporter({ ...options, ...streams })
  lifetime.run((signal) => runPendingImports({ ...streams, ...importer, store, signal, log }))
  const schedule = createSchedule({
    store,
    allowed,
    upstream,
    isPending: importer.isPending,
    importScheduled: importer.importScheduled,
    followRepository: importer.followRepository,
    loginsOf,
    intervalOf: intervalOf(config),
    signal: lifetime.closing,
    now,
    log,
  })
  lifetime.run((signal) => indexScheduled({ store, signal, log }))
  lifetime.run(schedule.run)
  return { importer, schedule }
}

function intervalOf({ upstreams, imports }: OpenImportsOptions['config']): (host: string) => number {
  const intervals = new Map(upstreams.map(({ host, intervalMs }) => [canonicalHost(host), intervalMs]))
  return (host) => intervals.get(host) ?? imports.intervalMs
}
