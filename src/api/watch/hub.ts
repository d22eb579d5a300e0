import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { RegistryError } from '../../oci/errors.ts'
import { CompactedError } from '../../store/store.ts'
import { apiVersionOf, type Resource } from '../resource.ts'
import { createRecent, type Recent } from './recent.ts'
import { createWriting, lineOf, type SharedChange } from './shared-change.ts'

/** What one resource tells all its watchers, followed once for all of them. */
export interface Hub {
  /** Settles when it is known from where on it follows, or when it has ended. */
  readonly ready: Promise<void>
  readonly recent: Recent
  /** Why it ended, if it did: a failure, or `closed`. */
  readonly ended: RegistryError | 'closed' | undefined
  /** Calls `wake` once, at the next change, or with `progress` any news, or the end; unless it is taken back. */
  onNext(wake: () => void, options: { progress: boolean }): void
  forget(wake: () => void): void
  stop(): void
}

export interface HubOptions {
  row: Resource
  /** The revision after which it follows, unless that is compacted. */
  since: number
  /** The store's newest revision, after which it follows then. */
  newest: number
  now: () => number
  log: Logger
  /** How long to wait before a store that failed is asked again, in milliseconds. */
  retryMs: number
}

/** Follows a row on and on, until it is stopped, the store closes, or it fails for good. */
export function startHub({ row, since, newest, now, log, retryMs }: HubOptions): Hub {
  const stopped = new AbortController()
  const { signal } = stopped
  const ready = Promise.withResolvers<void>()
  const sizeOf = createSizeOf(row, now)
  let recent = createRecent(since)
  let isReady = false
  const waiting = new Set<() => void>()
  const waitingForProgress = new Set<() => void>()
  let ended: Hub['ended']

  function wakeAll(waiters: Set<() => void>): void {
    const woken = [...waiters]
    waiters.clear()
    for (const wake of woken) wake()
  }

  async function follow(): Promise<void> {
    for await (const batch of row.follow?.({ since: recent.position, signal }) ?? []) {
      isReady = true
      ready.resolve()
      recent.push(batch, sizeOf)
      wakeAll(waitingForProgress)
      if (batch.changes.length > 0) wakeAll(waiting)
    }
  }

  async function run(): Promise<RegistryError | 'closed'> {
    while (!signal.aborted) {
      try {
        await follow()
        return 'closed'
      } catch (error) {
        if (error instanceof CompactedError) {
          if (isReady || recent.position >= newest) return tooOld()
          recent = createRecent(newest)
        } else if (error instanceof RegistryError) {
          log.warn({ err: error, resource: row.resource }, 'a resource can not be followed for now')
          await delay(retryMs, undefined, { signal, ref: false }).catch(() => undefined)
        } else {
          log.error({ err: error, resource: row.resource }, 'a resource can not be followed')
          return new RegistryError('UNKNOWN', { cause: error })
        }
      }
    }
    return 'closed'
  }

  void run().then((end) => {
    ended = end
    ready.resolve()
    wakeAll(waitingForProgress)
    wakeAll(waiting)
  })
  return {
    ready: ready.promise,
    get recent() {
      return recent
    },
    get ended() {
      return ended
    },
    onNext(wake, { progress }) {
      if (ended !== undefined) wake()
      else (progress ? waitingForProgress : waiting).add(wake)
    },
    forget(wake) {
      waiting.delete(wake)
      waitingForProgress.delete(wake)
    },
    stop: () => stopped.abort(),
  }
}

/** The refusal of a position from which changes are not known any more. */
export function tooOld(): RegistryError {
  const message =
    'The resourceVersion is too old: what happened since is no longer known. List again and watch from there'
  return new RegistryError('EXPIRED', { message })
}

/** About what a change takes in memory. The line that most watchers want is written for it, which they then share. */
function createSizeOf(row: Resource, now: () => number): (change: SharedChange) => number {
  const form = { table: undefined, includeObject: 'Metadata' } as const
  const type = { kind: row.kind, apiVersion: apiVersionOf(row) }
  const writing = createWriting({ form, type, columns: row.columns }, now)
  return (change) => {
    const { before, after } = change
    const natural = after === undefined ? 'DELETED' : before === undefined ? 'ADDED' : 'MODIFIED'
    // An object takes about twice its text, and shares what it was before with the change before.
    return 3 * lineOf(change, natural, writing, false).length + 1000
  }
}
