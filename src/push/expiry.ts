import type { Logger } from 'pino'
import type { Uploads } from '../content/uploads.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Store } from '../store/store.ts'
import type { Session, Sessions } from './sessions.ts'

export interface ExpiryOptions {
  store: Pick<Store, 'lease'>
  sessions: Pick<Sessions, 'list' | 'has' | 'end' | 'recount'>
  uploads: Pick<Uploads, 'list' | 'cancel'>
  /** Told of those that were given up. */
  onExpired(id: string): void
  expireAfterMs: number
  now: () => number
  pause: (ms: number, signal: AbortSignal) => Promise<void>
  log: Logger
}

/** Gives up uploads that nobody goes on with. */
export interface Expiry {
  /** @returns how many were given up */
  pass(signal: AbortSignal): Promise<number>
  /** Looks now and again until `signal` aborts, in one process at a time. Never throws. */
  run(signal: AbortSignal): Promise<void>
}

/** After the start: whoever starts Weir wants to push and pull first. */
const firstMs = 60_000
const longestPauseMs = 3_600_000

export function createExpiry(options: ExpiryOptions): Expiry {
  const { store, sessions, uploads, onExpired, expireAfterMs, now, pause, log } = options
  const pauseMs = Math.min(Math.max(expireAfterMs / 4, firstMs), longestPauseMs)

  /** @returns false while a request is sending to it */
  async function giveUp(id: string): Promise<boolean> {
    try {
      await uploads.cancel(id)
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'UPLOAD_OFFSET_INVALID') return false
      throw error
    }
    await sessions.end(id)
    onExpired(id)
    return true
  }

  async function pass(signal: AbortSignal): Promise<number> {
    const before = now() - expireAfterMs
    const files = new Map<string, number>()
    for await (const { id, usedAt } of uploads.list()) files.set(id, usedAt)
    let expired = 0
    for await (const session of sessions.list()) {
      signal.throwIfAborted()
      const { id } = session
      const usedAt = Math.max(lastStep(session), files.get(id) ?? 0)
      files.delete(id)
      if (usedAt < before && (await giveUp(id))) expired += 1
    }
    // An upload has its record before its first byte, and may lose it before its file when the process ends.
    for (const [id, usedAt] of files) {
      signal.throwIfAborted()
      if (usedAt < before && !(await sessions.has(id)) && (await giveUp(id))) expired += 1
    }
    await sessions.recount()
    return expired
  }

  async function runPasses(signal: AbortSignal): Promise<void> {
    for (let waitMs = firstMs; ; waitMs = pauseMs) {
      await pause(waitMs, signal)
      signal.throwIfAborted()
      const expired = await pass(signal)
      if (expired > 0) log.info({ expired }, 'uploads that nobody went on with were given up')
    }
  }

  return {
    pass,
    async run(signal) {
      while (!signal.aborted) {
        try {
          const lease = await store.lease('upload-expiry', signal)
          await runPasses(AbortSignal.any([signal, lease.lost])).finally(lease.release)
        } catch (error) {
          if (signal.aborted) return
          log.warn({ err: error }, 'uploads that nobody goes on with can not be looked for: it is tried again')
          await pause(firstMs, signal).catch(() => undefined)
        }
      }
    },
  }
}

/** When its record was last written. */
function lastStep({ createdAt, whole }: Session): number {
  return Math.max(Date.parse(createdAt), whole === undefined ? 0 : Date.parse(whole.at))
}
