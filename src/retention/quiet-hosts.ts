import { RegistryError } from '../oci/errors.ts'
import { isBudgetRefusal } from '../upstream/budget-refusal.ts'
import { isThrottled } from './failures.ts'

/** The registries that asked to be left alone for a while (429). */
export interface QuietHosts {
  /** Milliseconds for which a host is to be left alone; 0 when it may be asked. */
  waitMs(host: string): number
  /** Remembers what a failure says of its host. */
  note(error: unknown): void
  /** @throws RegistryError TOOMANYREQUESTS with the time that is left, and nobody was asked */
  require(host: string): void
}

/** For a host that does not say how long. */
const defaultMs = 30_000
const maxHosts = 10_000

export function createQuietHosts(now: () => number): QuietHosts {
  const until = new Map<string, number>()

  function waitMs(host: string): number {
    const left = (until.get(host) ?? 0) - now()
    if (left <= 0) until.delete(host)
    return Math.max(0, left)
  }

  return {
    waitMs,
    note(error) {
      if (!isThrottled(error) || error.upstream === undefined) return
      // What a limit leaves to others is of manifests: blobs are not counted.
      if (isBudgetRefusal(error)) return
      const ms = error.retryAfterSeconds === undefined ? defaultMs : error.retryAfterSeconds * 1000
      const { host } = error.upstream
      // A registry that was asked at the same time may tell less than is known already.
      if (until.size < maxHosts || until.has(host)) until.set(host, Math.max(until.get(host) ?? 0, now() + ms))
    },
    require(host) {
      const ms = waitMs(host)
      if (ms === 0) return
      const upstream = { host, reason: 'TooManyRequests' as const }
      const message = `${host} asked to be left alone for a while`
      throw new RegistryError('TOOMANYREQUESTS', { message, upstream, retryAfterSeconds: Math.ceil(ms / 1000) })
    },
  }
}
