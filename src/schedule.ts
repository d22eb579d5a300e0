/** Keeping up with upstreams: the source of every scheduled tag is asked again and again, at times that follow from its name alone. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { RegistryError } from './oci/errors.ts'
import { type Checked, type CheckSourceOptions, createCheckSource, isPassing } from './schedule/check.ts'
import { createCheckpoint } from './schedule/checkpoint.ts'
import { createDueQueue } from './schedule/due.ts'
import { createSources, dropFollower, putBack, type Source } from './schedule/sources.ts'
import { type TagCheck, tagCheck } from './schedule/tag-check.ts'
import { nextTime, pauseAfter } from './schedule/times.ts'
import { type ToldChange, toldSources } from './schedule/told.ts'
import type { Store } from './store/store.ts'
import { isBudgetRefusal } from './upstream/budget-refusal.ts'
import { createHostQueue } from './upstream/host-queue.ts'

export type { LastCheck, TagCheck } from './schedule/tag-check.ts'
export type { ToldChange } from './schedule/told.ts'

/** How the schedule is doing, as it stands. */
export interface ScheduleCounters {
  /** Tags whose sources are checked, streams that follow a whole repository, and these sources. */
  readonly tags: number
  readonly sources: number
  /** Since the start. `unchanged`: no tag moved; `deferred`: a budget let nothing be asked. */
  readonly checks: Readonly<Record<CheckResult, number>>
  /** How long the most overdue source waits for its turn, in milliseconds; 0 where another process keeps the schedule. */
  readonly lateMs: number
}

type CheckResult = 'unchanged' | 'moved' | 'failed' | 'deferred'

export interface Schedule {
  readonly counters: ScheduleCounters
  /** The checks of the scheduled tags of a project or a stream, in the order of their names. Reads memory alone. */
  checks(of: { project: string; stream?: string }): readonly TagCheck[]
  /**
   * Has the sources that a notification names checked at once, as far as tags of `project` follow them; the same again before
   * that was done changes nothing. Of a source that is told of often there are some seconds between two checks, and one that its
   * registry or its budget sent away waits for as long as it did.
   *
   * @returns how many tags follow them
   */
  checkNow(project: string, changes: readonly ToldChange[]): number
  /** Checks until `signal` aborts; one process of several does. Never throws. */
  run(signal: AbortSignal): Promise<void>
}

export interface ScheduleOptions extends Omit<CheckSourceOptions, 'dropFollower'> {
  store: Store
  /** Between two checks of what comes from a registry, where no annotation says otherwise; in milliseconds. */
  intervalOf(host: string): number
  /** Ends the following of what is scheduled. */
  signal: AbortSignal
  now: () => number
  log: Logger
  /** Waits until something is due, or something new comes. */
  pause?: (ms: number, signal: AbortSignal) => Promise<void>
  /** Longest time without a look at the clock, which others may set; default 60 s. */
  maxPauseMs?: number
  random?: () => number
}

/** Sources that are checked at the same time, and those of one registry: what a registry allows is its budget's matter. */
const places = { total: 64, perHost: 16 }
/** Before a source is asked again of which a tag was just being changed by others; doubled while that goes on. */
const againMs = 5_000
/** Those that a budget sent away come back within this time, or within their interval. */
const budgetSpreadMs = 10 * 60_000
/** Between two checks of a source that somebody says has changed, or of a project begins to follow again. */
const toldPauseMs = 5_000
/** A clock that is put back by less is waited for. */
const leastPutBackMs = 1_000
/** Between two writings of last checks. */
const saveIntervalMs = 10 * 60_000
/** Creates the schedule; it knows of scheduled tags at once, and asks nobody before it runs. */
export function createSchedule(options: ScheduleOptions): Schedule {
  const { store, intervalOf, now, log, pause = sleep, maxPauseMs = 60_000, random = Math.random } = options
  const due = createDueQueue<Source>()
  const queue = createHostQueue<Source>(places)
  const checkpoint = createCheckpoint(store, log)
  const checkSource = createCheckSource({ ...options, dropFollower: (follower) => dropFollower(store, follower) })
  const running = new Set<Source>()
  /** Sources that were wanted again while they were being checked, and from when on. */
  const wanted = new Map<Source, { atMs: number; isForAll: boolean }>()
  const results: Record<CheckResult, number> = { unchanged: 0, moved: 0, failed: 0, deferred: 0 }
  let isKept = false
  /** Ends the pause before what is due next. */
  let wake = (): void => undefined

  const sources = createSources({
    store,
    onFollowed(source, project, isNew) {
      if (isNew) return checkFor(source, project, project)
      if (source.nextAt === 0) plan(source, nextTime(source.phase, intervalFor(source), now()))
    },
    onLeft: (source) => due.remove(source),
    signal: options.signal,
  })

  function intervalFor({ followers, reference }: Source): number {
    let intervalMs = Number.POSITIVE_INFINITY
    for (const { record } of followers.values())
      intervalMs = Math.min(intervalMs, record.intervalMs ?? intervalOf(reference.host))
    return intervalMs
  }

  function plan(source: Source, atMs: number): void {
    source.nextAt = atMs
    due.put(source, atMs)
  }

  function checkSoon(source: Source, atMs = now(), isForAll = true): void {
    if (running.has(source)) {
      const { atMs: before = atMs, isForAll: isMeant = false } = wanted.get(source) ?? {}
      wanted.set(source, { atMs: Math.min(atMs, before), isForAll: isForAll || isMeant })
      return
    }
    delete source.delayedBy
    if (isForAll || source.nextAt === 0) delete source.dueAt
    else source.dueAt ??= source.nextAt
    plan(source, source.nextAt > 0 ? Math.min(atMs, source.nextAt) : atMs)
    wake()
  }

  /**
   * With the logins of the project alone: others are not to spend what their registries allow them. What is asked for `by` the same
   * again waits some seconds.
   */
  function checkFor(source: Source, project: string, by = ''): void {
    if (isSentAway(source)) return
    source.told ??= new Set()
    source.told.add(project)
    source.soonAt ??= new Map()
    const at = now()
    // A clock that was put back leaves times that are far away.
    for (const [each, soonAt] of source.soonAt) if (Math.abs(at - soonAt) >= toldPauseMs) source.soonAt.delete(each)
    const before = source.soonAt.get(by)
    const soonAt = before === undefined ? at : before > at ? before : before + toldPauseMs
    source.soonAt.set(by, soonAt)
    checkSoon(source, soonAt, by !== '' && countOf(source, project) === source.followers.size)
  }

  async function check(source: Source, signal: AbortSignal): Promise<void> {
    running.add(source)
    const { told: only, dueAt = 0 } = source
    delete source.told
    delete source.dueAt
    const isForAll = dueAt <= now()
    const latestMs = isForAll ? undefined : dueAt
    try {
      const asking = { intervalMs: intervalFor(source), only: isForAll ? undefined : only }
      const checked = await checkSource(source, asking, signal)
      if (checked.isLeft !== true) results[resultOf(checked)] += 1
      planAfter(source, checked, latestMs)
      checkpoint.changed(source)
    } catch (error) {
      if (signal.aborted) return
      log.error({ source: source.key, err: error }, 'a scheduled check failed unexpectedly')
      results.failed += 1
      planAfter(source, { again: false }, latestMs)
    } finally {
      running.delete(source)
      if (latestMs !== undefined && source.nextAt < latestMs) {
        // The others keep their time.
        source.dueAt = latestMs
        source.told = new Set([...(only ?? []), ...(source.told ?? [])])
      }
      const again = wanted.get(source)
      wanted.delete(source)
      if (again !== undefined && !isSentAway(source)) checkSoon(source, Math.max(again.atMs, now()), again.isForAll)
      wake()
    }
  }

  /** `latestMs` is when those are asked who were not. */
  function planAfter(source: Source, checked: Checked, latestMs = Number.POSITIVE_INFINITY): void {
    if (sources.get(source.key) !== source) return
    const { failure, again, dueAt = Number.POSITIVE_INFINITY } = checked
    const [at, intervalMs] = [now(), intervalFor(source)]
    const own = Math.min(nextTime(source.phase, intervalMs, at), latestMs)
    delete source.delayedBy
    if (failure === undefined) {
      source.agains = again ? (source.agains ?? 0) + 1 : 0
      const againAt = again ? at + againMs * 2 ** Math.min(source.agains - 1, 20) : own
      plan(source, Math.min(own, againAt, Math.max(dueAt, at + 1)))
      return
    }
    if (isBudgetRefusal(failure)) {
      source.delayedBy = 'Budget'
      plan(source, at + afterBudget(failure, Math.max(0, at - (source.last?.at ?? 0)), intervalMs))
      return
    }
    const failures = source.last?.failures ?? 1
    const restMs = pauseAfter(failures, isPassing(failure), intervalMs, random)
    const askedMs = (failure.retryAfterSeconds ?? 0) * 1000
    const isAsked = failure.upstream?.reason === 'TooManyRequests' && askedMs > restMs
    source.delayedBy = isAsked ? 'TooManyRequests' : 'Backoff'
    // All that a registry sent away come back in turn, not at once.
    plan(source, at + Math.max(restMs, askedMs * (1 + random() / 10)))
  }

  /** Begins what is due, as far as there are places. */
  function begin(work: Set<Promise<void>>, signal: AbortSignal): void {
    for (let source = due.take(now()); source !== undefined; source = due.take(now())) {
      const [first] = source.followers.values()
      if (first === undefined || running.has(source)) continue
      queue.add({ project: first.project, host: source.reference.host }, source.key, source)
    }
    for (let next = queue.take(); next !== undefined; next = queue.take()) {
      const { item, ...place } = next
      const ended = check(item, signal).finally(() => {
        queue.done(place)
        work.delete(ended)
      })
      work.add(ended)
    }
  }

  /** The clock was put back: what was planned by it is as far away as it was. */
  function putAllBack(backMs: number): void {
    for (const source of sources.all()) {
      putBack(source, backMs)
      if (!running.has(source)) due.put(source, source.nextAt)
    }
  }

  async function keep(signal: AbortSignal): Promise<void> {
    await sources.ready
    await checkpoint.load(sources.get)
    for (const source of sources.all()) {
      const { last, delayedBy } = source
      if (delayedBy !== undefined && last !== undefined) putBack(source, Math.max(0, last.at - now()))
      due.put(source, source.nextAt)
    }
    isKept = true
    const work = new Set<Promise<void>>()
    let savedAt = now()
    let lookedAt = savedAt
    signal.addEventListener('abort', () => wake(), { once: true })
    while (!signal.aborted) {
      const resting = new AbortController()
      wake = () => resting.abort()
      const backMs = lookedAt - now()
      lookedAt = now()
      if (backMs > leastPutBackMs) {
        putAllBack(backMs)
        savedAt -= backMs
      }
      begin(work, signal)
      if (now() - savedAt >= saveIntervalMs) {
        await checkpoint.save(sources.all())
        savedAt = now()
      }
      const waitMs = Math.min(maxPauseMs, Math.max(0, (due.next() ?? Number.POSITIVE_INFINITY) - now()))
      await pause(waitMs, resting.signal).catch(() => undefined)
    }
    await Promise.all(work)
    await checkpoint.save(sources.all())
  }

  return {
    get counters() {
      const counters = { tags: 0, sources: 0, checks: { ...results }, lateMs: 0 }
      for (const { followers, nextAt } of sources.all()) {
        counters.sources += 1
        counters.tags += followers.size
        if (isKept) counters.lateMs = Math.max(counters.lateMs, now() - nextAt)
      }
      return counters
    },

    checks({ project, stream }) {
      return Array.from(sources.followersOf(project, stream), ([follower, source]) =>
        tagCheck(source, follower, follower.record.intervalMs ?? intervalOf(source.reference.host)),
      )
    },

    checkNow(project, changes) {
      const followed = [...toldSources(sources, project, changes)]
        .map((source) => [source, countOf(source, project)] as const)
        .filter(([, tags]) => tags > 0)
      for (const [source] of followed) checkFor(source, project)
      return followed.reduce((sum, [, tags]) => sum + tags, 0)
    },

    async run(signal) {
      while (!signal.aborted) {
        try {
          const lease = await store.lease('schedule', signal)
          await keep(AbortSignal.any([signal, lease.lost])).finally(() => {
            isKept = false
            return lease.release()
          })
        } catch (error) {
          if (!signal.aborted) log.warn({ err: error }, 'the schedule can not be kept for now')
        }
        if (!signal.aborted) await pause(1000, signal).catch(() => undefined)
      }
    },
  }
}

function resultOf({ failure, moved }: Checked): CheckResult {
  if (failure === undefined) return moved ? 'moved' : 'unchanged'
  return isBudgetRefusal(failure) ? 'deferred' : 'failed'
}

/** Whether its registry asked to be left alone for a while, or its budget did. */
function isSentAway({ delayedBy }: Source): boolean {
  return delayedBy === 'TooManyRequests' || delayedBy === 'Budget'
}

function countOf({ followers }: Source, project: string): number {
  let tags = 0
  for (const follower of followers.values()) if (follower.project === project) tags += 1
  return tags
}

/** How long a source waits that the budget sent away: the later it is for its interval, the earlier it comes of all that were. */
function afterBudget({ retryAfterSeconds = 0 }: RegistryError, sinceMs: number, intervalMs: number): number {
  return retryAfterSeconds * 1000 + Math.min(budgetSpreadMs, intervalMs) / (1 + sinceMs / intervalMs)
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal, ref: false })
}
