import type { Logger } from 'pino'
import { recentUseMs } from './evict.ts'
import type { PruneReport } from './report.ts'

export interface RunOptions {
  /** One pass; `neededBytes` had no room. */
  pass(neededBytes: number): Promise<PruneReport>
  intervalMs: number
  /** Before the first pass. */
  firstMs: number
  /** Milliseconds since any moment. */
  now: () => number
  pause: (ms: number, signal: AbortSignal) => Promise<void>
  signal: AbortSignal
  log: Logger
}

export interface Running {
  /** There is no room: a pass is to come soon. */
  press(neededBytes: number): void
  /** Settles once `signal` is aborted and no pass is under way. Never rejects. */
  readonly ended: Promise<void>
}

/** Between two passes for lack of room; doubled while they find nothing that may go, until what is being used now may go. */
const firstPressedPauseMs = 10_000
const longestPressedPauseMs = recentUseMs
/** After a pass that failed. */
const retryMs = 3_600_000
const longestPauseMs = 86_400_000

/** Passes from time to time, and as soon as there is no room. */
export function runPasses({ pass, intervalMs, firstMs, now, pause, signal, log }: RunOptions): Running {
  let neededBytes: number | undefined
  let dueAt = now() + firstMs
  let pressedPauseMs = firstPressedPauseMs
  let notBefore = 0
  let wake = new AbortController()

  const nextAt = () => (neededBytes === undefined ? dueAt : Math.min(dueAt, notBefore))

  async function runOne(): Promise<void> {
    const needed = neededBytes
    let untilNextMs = intervalMs
    neededBytes = undefined
    try {
      const { freedBytes, freedCount, removedLinks, kept } = await pass(needed ?? 0)
      log.info({ freedBytes, freedCount, removedLinks, kept }, 'content was collected')
      // That little was left was said while room was made: whoever still finds too little says so again.
      if (neededBytes === 0 && freedBytes > 0) neededBytes = undefined
      if (needed === undefined) return
      pressedPauseMs = freedBytes > 0 ? firstPressedPauseMs : Math.min(pressedPauseMs * 2, longestPressedPauseMs)
    } catch (error) {
      if (!signal.aborted) log.error({ err: error }, 'content could not be collected: it is tried again')
      pressedPauseMs = Math.min(pressedPauseMs * 2, longestPressedPauseMs)
      untilNextMs = Math.min(intervalMs, retryMs)
    } finally {
      dueAt = now() + untilNextMs
      notBefore = now() + pressedPauseMs
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const waitMs = nextAt() - now()
      if (waitMs <= 0) {
        await runOne()
        continue
      }
      wake = new AbortController()
      const either = AbortSignal.any([signal, wake.signal])
      await pause(Math.min(waitMs, longestPauseMs), either).catch(() => undefined)
    }
  }

  return {
    press(bytes) {
      const isNews = neededBytes === undefined
      neededBytes = Math.max(neededBytes ?? 0, bytes)
      if (isNews) wake.abort()
    },
    ended: run(),
  }
}
