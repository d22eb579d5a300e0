import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { createMirror } from '../store/mirror.ts'
import type { Change } from '../store/store.ts'
import { projectOf } from '../streams/open-project.ts'
import { type Doomed, type SweepOptions, sweepProject } from './sweep.ts'

export interface RemovalOptions extends SweepOptions {
  log: Logger
  /** How long a sweep that failed waits; default 1000. */
  retryMs?: number
}

const prefix = 'object/namespaces/'
const maxSweepsAtOnce = 4

/**
 * Removes projects that are being terminated, until `signal` aborts: those that a process before left, and new ones as they
 * come. One process does it at a time. Never throws: what fails is tried again.
 */
export async function runProjectRemoval(options: RemovalOptions): Promise<void> {
  const { store, signal, log, retryMs = 1000 } = options
  while (!signal.aborted) {
    try {
      const lease = await store.lease('project-removal', signal)
      await followDoomed({ ...options, signal: AbortSignal.any([signal, lease.lost]) }).finally(lease.release)
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error }, 'projects can not be removed for now')
    }
    await pause(retryMs, signal)
  }
}

/** Sweeps each project once it is doomed, a few at a time; settles when `signal` aborts and no sweep is under way. */
async function followDoomed(options: RemovalOptions): Promise<void> {
  const { store, signal } = options
  const known = new Set<string>()
  const waiting: Doomed[] = []
  const sweeps = new Set<Promise<void>>()

  function sweepNext(): void {
    while (sweeps.size < maxSweepsAtOnce && !signal.aborted) {
      const doomed = waiting.shift()
      if (doomed === undefined) return
      const sweep = sweepUntilGone(options, doomed).then(() => {
        known.delete(idOf(doomed))
        sweeps.delete(sweep)
        sweepNext()
      })
      sweeps.add(sweep)
    }
  }

  function apply(changes: readonly Change[]): void {
    for (const { value } of changes) {
      const doomed = value === undefined ? undefined : doomedOf(value)
      if (doomed === undefined || known.has(idOf(doomed))) continue
      known.add(idOf(doomed))
      waiting.push(doomed)
    }
    sweepNext()
  }

  const mirror = createMirror(store, { prefix, apply, reset: () => undefined, signal })
  await mirror.ready
  await aborted(signal)
  await Promise.all(sweeps)
}

async function sweepUntilGone(options: RemovalOptions, doomed: Doomed): Promise<void> {
  const { signal, log, retryMs = 1000 } = options
  while (!signal.aborted) {
    try {
      await sweepProject(options, doomed)
      log.info(doomed, 'a project was removed with all that was in it')
      return
    } catch (error) {
      if (signal.aborted) return
      log.warn({ err: error, ...doomed }, 'the removal of a project stopped and is tried again')
      await pause(retryMs, signal)
    }
  }
}

function doomedOf(value: string): Doomed | undefined {
  try {
    const { name, uid, deletionTimestamp } = projectOf({ value })
    return deletionTimestamp === undefined ? undefined : { project: name, uid }
  } catch {
    // What can not be read is no project that somebody could have removed.
    return undefined
  }
}

function idOf({ project, uid }: Doomed): string {
  return `${project} ${uid}`
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal, ref: false }).catch(() => undefined)
}
