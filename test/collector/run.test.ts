import { pino } from 'pino'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { PruneReport } from '../../src/collector/report.ts'
import { runPasses } from '../../src/collector/run.ts'
import { testClock } from '../support/clock.ts'

const nothing: PruneReport = { freedBytes: 0, freed: [], freedCount: 0, kept: [], removedLinks: 0 }
const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** Passes under a clock that runs as fast as it is waited for. */
function running(answer: (n: number) => Promise<PruneReport> | PruneReport = () => nothing) {
  const clock = testClock()
  const start = clock.now()
  const ending = new AbortController()
  const passes: { at: number; neededBytes: number }[] = []
  const waits: { until: number; wake: () => void }[] = []
  const pause = async (ms: number, signal: AbortSignal): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const wait = { until: clock.now() + ms, wake: resolve }
    waits.push(wait)
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    waits.splice(waits.indexOf(wait), 1)
  }
  const { press, ended } = runPasses({
    pass: async (neededBytes) => {
      passes.push({ at: (clock.now() - start) / minuteMs, neededBytes })
      return answer(passes.length)
    },
    intervalMs: 24 * hourMs,
    firstMs: 5 * minuteMs,
    now: clock.now,
    pause,
    signal: ending.signal,
    log: pino({ level: 'silent' }),
  })
  onTestFinished(async () => {
    ending.abort()
    await ended
  })
  const idle = () => new Promise((resolve) => setImmediate(resolve))
  /** Lets time run on, stopping wherever somebody waits until then. */
  const advance = async (ms: number): Promise<void> => {
    const end = clock.now() + ms
    for (await idle(); ; await idle()) {
      const next = waits.toSorted((a, b) => a.until - b.until)[0]
      if (next === undefined || next.until > end) break
      clock.advance(Math.max(next.until - clock.now(), 0))
      next.wake()
    }
    clock.advance(end - clock.now())
    await idle()
  }
  return { press, passes, advance, end: () => ending.abort(), ended }
}

describe('the collector', () => {
  test('passes some minutes after the start, and then in its interval', async () => {
    const { passes, advance } = running()
    await advance(50 * hourMs)
    expect(passes.map(({ at }) => at)).toEqual([5, 5 + 24 * 60, 5 + 48 * 60])
  })

  test('passes at once when there is no room, for the most that was needed', async () => {
    const { press, passes, advance } = running()
    await advance(minuteMs)
    press(10)
    press(30)
    press(20)
    await advance(minuteMs)
    expect(passes).toEqual([{ at: 1, neededBytes: 30 }])
  })

  test('does not pass again and again when nothing may go', async () => {
    const { press, passes, advance } = running()
    for (let n = 0; n < 6 * 60; n += 1) {
      press(1)
      await advance(minuteMs)
    }
    expect(passes.length).toBeLessThan(6 * 6 + 10)
    const last = passes.at(-1)?.at ?? 0
    // What was being used may go by then.
    expect(last - (passes.at(-2)?.at ?? 0)).toBe(10)
  })

  test('passes as often as it helps', async () => {
    const { press, passes, advance } = running(() => ({ ...nothing, freedBytes: 1 }))
    for (let n = 0; n < 30; n += 1) {
      press(1)
      await advance(minuteMs)
    }
    expect(passes.length).toBeGreaterThanOrEqual(30)
  })

  test('goes on after a pass that failed', async () => {
    const { passes, advance } = running((n) => (n === 1 ? Promise.reject(new Error('no disk')) : nothing))
    await advance(50 * hourMs)
    expect(passes.map(({ at }) => at)).toEqual([5, 65, 65 + 24 * 60, 65 + 48 * 60])
  })

  test('ends when it is told to', async () => {
    const { end, ended, passes, advance } = running()
    end()
    await ended
    await advance(50 * hourMs)
    expect(passes).toEqual([])
  })
})
