import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Store } from '../store/store.ts'
import type { OpenSessions } from './open-sessions.ts'
import { sessionPrefix } from './session-record.ts'

export interface SweepOptions {
  store: Pick<Store, 'commit'>
  open: Pick<OpenSessions, 'ended' | 'reached' | 'ready'>
  /** How long between two sweeps. */
  intervalMs: number
  signal: AbortSignal
  log: Logger
}

/** Records that one commit removes. */
const step = 50

/** Removes the records of sessions that have ended, now and again until `signal` aborts. Never throws. */
export async function sweepSessions({ store, open, intervalMs, signal, log }: SweepOptions): Promise<void> {
  while (!signal.aborted) {
    try {
      await open.ready
      await sweep(store, open, signal)
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error }, 'ended sessions can not be removed for now')
    }
    await delay(intervalMs, undefined, { signal, ref: false }).catch(() => undefined)
  }
}

async function sweep(store: SweepOptions['store'], open: SweepOptions['open'], signal: AbortSignal): Promise<void> {
  for (let ids = open.ended(step); ids.length > 0 && !signal.aborted; ids = open.ended(step)) {
    const operations = ids.map((id) => ({ type: 'delete', key: `${sessionPrefix}${id}` }) as const)
    const result = await store.commit({ operations })
    if (result.status !== 'committed') throw new Error(`the commit was ${result.status}`)
    await open.reached(result.revision)
    await nextTurn()
  }
}
