import { pino } from 'pino'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createCounters } from '../../src/content/counters.ts'
import { createMetrics } from '../../src/http/metrics.ts'
import { createSchedule } from '../../src/schedule.ts'
import { scheduleWorld } from '../schedule/world.ts'
import { failing } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'

const minuteMs = 60_000
const intervalMs = 15 * minuteMs
const [v1, v2] = [makeImage('v1'), makeImage('v2')]

async function world(options: Parameters<typeof scheduleWorld>[0] = {}) {
  const w = await scheduleWorld({ intervalMs, ...options })
  w.registry.put('lib/app', v1, { tag: 'stable' })
  w.registry.put('lib/app', v2)
  const metrics = createMetrics({
    audit: { lost: 0 },
    content: { counters: createCounters() },
    maxContentBytes: 1,
    schedule: {
      get counters() {
        return w.schedule.counters
      },
    },
  })
  const lines = async () => {
    const { text } = await metrics.render()
    const told = text.split('\n').filter((line) => /^weir_schedule/.test(line))
    return Object.fromEntries(told.map((line) => line.split(/ (?=\S+$)/) as [string, string]))
  }
  return { ...w, lines, from: `${w.registry.host}/lib/app:stable` }
}

test('/metrics tells how many tags follow how many sources, and what came of asking', async () => {
  const w = await world()
  for (const tag of ['a', 'b']) await w.follow(tag, w.from)
  await w.follow('d', w.from, { importPolicy: {} })
  await w.pass(minuteMs)
  expect(await w.lines()).toMatchObject({
    weir_scheduled_tags: '2',
    weir_scheduled_sources: '1',
    weir_schedule_late_seconds: '0',
    'weir_schedule_checks_total{result="moved"}': '0',
    'weir_schedule_checks_total{result="failed"}': '0',
    'weir_schedule_checks_total{result="deferred"}': '0',
  })
  w.registry.tag('lib/app', 'stable', v2.manifest.digest)
  await w.pass(intervalMs)
  w.registry.intercept(failing(/manifests/, 404))
  const before = await w.lines()
  await w.pass(intervalMs)
  const after = await w.lines()
  expect(after['weir_schedule_checks_total{result="moved"}']).toBe('1')
  expect(after['weir_schedule_checks_total{result="failed"}']).toBe('1')
  expect(after['weir_schedule_checks_total{result="unchanged"}']).toBe(
    before['weir_schedule_checks_total{result="unchanged"}'],
  )
})

test('/metrics tells that the schedule is stuck: how late the most overdue is', async () => {
  const w = await world({
    schedule: { importScheduled: (_name, _tag, _asked, signal) => aborted(signal) },
  })
  await w.follow('a', w.from)
  // The first check waits for the import to be done.
  await w.pass(60_000)
  const before = Number((await w.lines()).weir_schedule_late_seconds)
  w.clock.advance(3_600_000)
  expect(Number((await w.lines()).weir_schedule_late_seconds)).toBeGreaterThanOrEqual(before + 3600)
})

test('a process that does not keep the schedule is not late', async () => {
  const w = await world()
  await w.follow('a', w.from)
  const stopping = new AbortController()
  onTestFinished(() => stopping.abort())
  const schedule = createSchedule({
    store: w.store,
    allowed: w.allowed,
    upstream: w.upstream,
    isPending: w.importer.isPending,
    importScheduled: w.importer.importScheduled,
    followRepository: w.importer.followRepository,
    loginsOf: async () => '',
    intervalOf: () => intervalMs,
    signal: stopping.signal,
    now: w.clock.now,
    log: pino({ level: 'silent' }),
  })
  await vi.waitFor(() => expect(schedule.counters.tags).toBe(1))
  w.clock.advance(3_600_000)
  expect(schedule.counters).toEqual({
    tags: 1,
    sources: 1,
    checks: { unchanged: 0, moved: 0, failed: 0, deferred: 0 },
    lateMs: 0,
  })
})

/** Does not settle before the signal aborts, as what is stuck. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
}
