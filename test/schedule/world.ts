import { setImmediate as tick } from 'node:timers/promises'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import type { StreamName } from '../../src/oci/reference.ts'
import { createSchedule, type Schedule, type ScheduleOptions } from '../../src/schedule.ts'
import type { TagReference } from '../../src/streams/records.ts'
import type { Upstream } from '../../src/upstream/upstream.ts'
import { type FlowsOptions, type FlowsWorld, flowsWorld } from '../support/flows.ts'

export const app = { project: 'demo', stream: 'app' }

/** A running schedule, whose time passes when a test lets it. */
export interface DrivenSchedule {
  readonly schedule: Schedule
  /** Wants a tag scheduled, and imports it the first time, as the background does. */
  follow(tag: string, from: string, more?: Partial<TagReference>, name?: StreamName): Promise<void>
  /** Wants a tag scheduled, and leaves its import to come; answers how to make it. */
  want(tag: string, from: string, more?: Partial<TagReference>, name?: StreamName): Promise<() => Promise<void>>
  /** Lets time pass, each thing that is due at its time, until nothing is under way. */
  pass(ms: number): Promise<void>
  /** Ends the schedule as a stop does. */
  stop(): Promise<void>
  /** Begins a new one over the same store, as a start does. */
  start(): Promise<void>
  /** Where a tag stands. */
  head(tag?: string, name?: StreamName): Promise<string | undefined>
}

export type ScheduleWorld = FlowsWorld & DrivenSchedule

interface DrivenOptions {
  schedule?: Partial<ScheduleOptions>
  intervalMs?: number
}

/** The flows with a running schedule. */
export async function scheduleWorld(options: FlowsOptions & DrivenOptions = {}): Promise<ScheduleWorld> {
  const flows = await flowsWorld(options)
  return Object.defineProperties(
    flows,
    Object.getOwnPropertyDescriptors(await driveSchedule(flows, options)),
  ) as ScheduleWorld
}

/** Runs a schedule over flows. */
export async function driveSchedule(flows: FlowsWorld, options: DrivenOptions = {}): Promise<DrivenSchedule> {
  const { clock } = flows
  const log = pino({ level: 'silent' })
  let underWay = 0
  const counted =
    <A extends unknown[], R>(work: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      underWay += 1
      return work(...args).finally(() => {
        underWay -= 1
      })
    }
  const observed = (upstream: Upstream): Pick<Upstream, 'onBehalf'> => ({
    onBehalf(purpose) {
      const view = upstream.onBehalf(purpose)
      return { ...view, resolve: counted(view.resolve), tagPages: counted(view.tagPages) }
    },
  })
  /** What the schedule waits for: until when, and what wakes it. */
  let resting: { untilMs: number; wake: () => void } | undefined

  async function pause(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    await new Promise<void>((wake) => {
      resting = { untilMs: clock.now() + ms, wake }
      signal.addEventListener('abort', () => wake(), { once: true })
    })
    resting = undefined
  }

  async function idle(): Promise<void> {
    for (let quiet = 0; quiet < 4; ) {
      await tick()
      quiet = underWay === 0 && resting !== undefined ? quiet + 1 : 0
    }
  }

  function begin(): { schedule: Schedule; end: () => Promise<void> } {
    const stopping = new AbortController()
    const schedule = createSchedule({
      store: flows.store,
      allowed: flows.allowed,
      upstream: observed(flows.upstream),
      isPending: counted(flows.importer.isPending),
      importScheduled: counted(flows.importer.importScheduled),
      followRepository: counted(flows.importer.followRepository),
      loginsOf: counted(async () => ''),
      intervalOf: () => options.intervalMs ?? 15 * 60_000,
      signal: stopping.signal,
      now: clock.now,
      log,
      pause,
      random: () => 0.5,
      ...options.schedule,
    })
    const ended = schedule.run(stopping.signal)
    return {
      schedule,
      async end() {
        stopping.abort()
        await ended
      },
    }
  }

  const want: DrivenSchedule['want'] = async (tag, from, more = {}, name = app) => {
    const spec = {
      name: tag,
      annotations: null,
      from: { kind: 'DockerImage' as const, name: from },
      importPolicy: { scheduled: true },
      referencePolicy: { type: 'Local' as const },
      ...more,
    }
    const changed = await flows.writer.changeTag(name, tag, () => ({ spec }), { create: true })
    const generation = changed?.tag?.record.spec?.generation ?? 0
    return () => flows.importer.importPending(name, tag, { generation, by: 'ann' })
  }

  let running = begin()
  onTestFinished(() => running.end())
  await idle()
  return {
    get schedule() {
      return running.schedule
    },
    want,
    async follow(...wanted) {
      const importNow = await want(...wanted)
      await importNow()
      await idle()
    },
    async pass(ms) {
      const endMs = clock.now() + ms
      for (;;) {
        await idle()
        const nextMs = Math.min(endMs, resting?.untilMs ?? endMs)
        if (nextMs > clock.now()) clock.advance(nextMs - clock.now())
        else if (clock.now() >= endMs) return
        resting?.wake()
        await idle()
        if (clock.now() >= endMs) return
      }
    },
    stop: () => running.end(),
    async start() {
      running = begin()
      await idle()
    },
    async head(tag = 'prod', name = app) {
      return (await flows.reader.tag(name, tag))?.record.items[0]?.image
    },
  }
}
