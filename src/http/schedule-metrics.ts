import type { Registry } from 'prom-client'
import type { Schedule, ScheduleCounters } from '../schedule.ts'

export interface ScheduleMetricsOptions {
  /** Absent where nothing is looked at by itself. */
  schedule?: Pick<Schedule, 'counters'>
}

type Read = (counters: ScheduleCounters) => number

const states: Readonly<Record<string, [help: string, read: Read]>> = {
  weir_scheduled_tags: ['Tags whose upstream is looked at by itself.', (read) => read.tags],
  weir_scheduled_sources: ['What they follow: each is asked once for all of its tags.', (read) => read.sources],
  weir_schedule_late_seconds: ['How late the most overdue source is.', (read) => read.lateMs / 1000],
}

/** Adds what is told of scheduled checks. Everything is read when it is asked for. */
export async function addScheduleMetrics(registry: Registry, { schedule }: ScheduleMetricsOptions): Promise<void> {
  if (schedule === undefined) return
  const { Counter, Gauge } = await import('prom-client')
  const registers = [registry]
  for (const [name, [help, read]] of Object.entries(states)) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read(schedule.counters))
      },
    })
  }
  new Counter({
    name: 'weir_schedule_checks_total',
    help: 'Sources that were asked, by what came of it.',
    labelNames: ['result'],
    registers,
    collect() {
      this.reset()
      for (const [result, count] of Object.entries(schedule.counters.checks)) this.inc({ result }, count)
    },
  })
}
