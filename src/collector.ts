/** Makes room: removes links that nothing leads to any more, bytes that no revision in keep needs, and evicts what can be had again. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { createClockWatch } from './collector/clock-watch.ts'
import { recentUseMs } from './collector/evict.ts'
import { createGoneUpstream } from './collector/gone.ts'
import { createLocationCheck } from './collector/location-check.ts'
import { createMayGive, createProvenBy } from './collector/may-give.ts'
import { runPass } from './collector/pass.ts'
import type { PruneReport } from './collector/report.ts'
import { runPasses } from './collector/run.ts'
import { type VerifyReport, verifyHeld } from './collector/verify.ts'
import type { BlobSource, Content } from './content/content.ts'
import type { Digest } from './oci/digest.ts'
import type { StreamName } from './oci/reference.ts'
import type { Store } from './store/store.ts'
import type { ContentPolicy } from './streams/content-policy.ts'
import { createGate } from './streams/gate.ts'
import { createHeldRecords } from './streams/held-records.ts'
import type { Links, StreamReader, StreamWriter } from './streams/streams.ts'

export type { FreedContent, FreeReason, KeepReason, PruneReport } from './collector/report.ts'
export type { VerifyReport } from './collector/verify.ts'

export interface Collector {
  /**
   * One pass over everything that leads to content. `keepYoungerThanMs`: what was used since is kept; default 24 h, at least ten
   * minutes. One runs at a time. A dry run changes nothing, and says what a real one would do.
   *
   * @throws RegistryError UNAVAILABLE, also for an hour after the clock was set; TOOMANYREQUESTS when many wait already
   */
  prune(options: { dryRun: boolean; keepYoungerThanMs?: number; signal?: AbortSignal }): Promise<PruneReport>
  /** Hashes what is held again, after a digest, about `maxBytes` of it (default 1 GiB). */
  verify(options: { after?: Digest; maxBytes?: number; signal?: AbortSignal }): Promise<VerifyReport>
  /** There is no room for `neededBytes`, or soon will be none: a pass comes at once, or when the last was long enough ago. */
  press(neededBytes: number): void
  /** Settles when nothing is under way any more, after `signal` aborted. */
  readonly ended: Promise<void>
}

export interface CollectorOptions {
  /** Must log the tags. */
  store: Store
  reader: Pick<StreamReader, 'tags'>
  writer: Pick<StreamWriter, 'changeTag'>
  links: Pick<Links, 'get' | 'image'>
  content: Pick<Content, 'list' | 'remove' | 'sweep' | 'verify' | 'counters'>
  /** Tells whether a location has bytes still. */
  source: Pick<BlobSource, 'size'>
  /** What holds where no annotation says otherwise. */
  policy: ContentPolicy
  maxBytes: number
  intervalMs: number
  /** Before the first pass; default 5 min. */
  firstMs?: number
  /** Told of a living stream, by its uid, whose links were removed: what memory knows by them is to be forgotten. */
  onUnlinked(uid: string, name: StreamName, digests: readonly Digest[]): void
  /** Told when bytes turned out wrong or missing, which a pin may need. */
  onMissing?: () => void
  now: () => number
  /** Milliseconds since any moment, which nobody sets: passes are refused for an hour when `now` was set. Default the process's. */
  monotonic?: () => number
  pause?: (ms: number, signal: AbortSignal) => Promise<void>
  signal: AbortSignal
  log: Logger
}

/** What was used since then is being used, and is kept whatever is asked. */
export const leastKeptMs = recentUseMs

const dayMs = 86_400_000
const defaultVerifiedBytes = 1024 ** 3

/** Starts the collector: it runs by itself until `signal` aborts, in one process at a time. */
export function createCollector(options: CollectorOptions): Collector {
  const { store, content, intervalMs, firstMs = 300_000, onMissing, now, pause = sleep, log } = options
  const { monotonic = () => performance.now() } = options
  const clock = createClockWatch({ now, monotonic })
  const check = createLocationCheck(options)
  const gone = createGoneUpstream(options)
  const records = createHeldRecords(options)
  const entitled = { mayGive: createMayGive(records), provenBy: createProvenBy(records) }
  const enter = createGate({ most: 1, mostWaiting: 8 })
  const ending = (signal: AbortSignal | undefined) =>
    signal === undefined ? options.signal : AbortSignal.any([options.signal, signal])

  async function alone<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const leave = await enter('the collector')
    try {
      const lease = await store.lease('collector', signal)
      try {
        return await work(AbortSignal.any([signal, lease.lost]))
      } finally {
        await lease.release()
      }
    } finally {
      leave()
    }
  }

  const pass = (request: { dryRun: boolean; keepYoungerThanMs?: number; neededBytes: number }, left?: AbortSignal) =>
    alone(ending(left), async (signal) => {
      clock.check()
      return runPass(
        { ...options, ...entitled, checkClock: clock.check, check, gone, signal },
        { keepYoungerThanMs: dayMs, ...request },
      )
    })

  const running = runPasses({
    pass: (neededBytes) => pass({ dryRun: false, neededBytes }),
    intervalMs,
    firstMs,
    now: monotonic,
    pause,
    signal: options.signal,
    log,
  })

  return {
    prune: ({ dryRun, keepYoungerThanMs = dayMs, signal }) =>
      pass({ dryRun, keepYoungerThanMs, neededBytes: 0 }, signal),
    async verify({ maxBytes = defaultVerifiedBytes, signal, after }) {
      const request = { maxBytes, signal: ending(signal), ...(after && { after }) }
      const report = await verifyHeld(content, request)
      if (report.corrupt.length + report.missing.length > 0) onMissing?.()
      return report
    },
    press: running.press,
    ended: running.ended,
  }
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal, ref: false })
}
