import { LRUCache } from 'lru-cache'
import type { BlobSource, UpstreamLocation } from '../content/content.ts'
import { locationKey } from '../content/proof.ts'
import { atMost } from '../oci/at-most.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { createGate } from '../streams/gate.ts'

/** `gone`: every location said so. `unsure`: one could not be asked, or did not say. */
export type Obtainable = { can: 'yes' | 'unsure' } | { can: 'gone'; host: string }

/** Asks locations whether they could give bytes again, within what registries bear. */
export interface LocationCheck {
  /** Asks in order, until one says yes. */
  ask(locations: readonly UpstreamLocation[], digest: Digest, size: number, signal: AbortSignal): Promise<Obtainable>
}

/** Questions to one registry at the same time. */
const perHost = { most: 2, mostWaiting: 64 }
/** A registry that asks for quiet and does not say how long. */
const quietMs = 60_000
/** A registry that failed so often in a row is left alone for a while, and so is a location that was refused so often. */
const maxFailures = 3
const troubledMs = 300_000
const timeoutMs = 30_000
const maxRemembered = 10_000

export function createLocationCheck({
  source,
  now,
}: {
  source: Pick<BlobSource, 'size'>
  now: () => number
}): LocationCheck {
  const enter = createGate(perHost)
  /** By host, or by location. */
  const quietUntil = new LRUCache<string, number>(atMost(maxRemembered))
  const failures = new LRUCache<string, number>(atMost(maxRemembered))

  function isQuiet(of: string): boolean {
    return now() < (quietUntil.get(of) ?? 0)
  }

  function failed(location: UpstreamLocation, error: unknown): void {
    const { host } = location
    if (error instanceof RegistryError && error.code === 'TOOMANYREQUESTS') {
      quietUntil.set(host, now() + (error.retryAfterSeconds === undefined ? quietMs : error.retryAfterSeconds * 1000))
      return
    }
    // What one project may not have, others may.
    const of = error instanceof RegistryError && error.code === 'DENIED' ? locationKey(location) : host
    const count = (failures.get(of) ?? 0) + 1
    if (count >= maxFailures) quietUntil.set(of, now() + troubledMs)
    failures.set(of, count >= maxFailures ? 0 : count)
  }

  function answered(location: UpstreamLocation): void {
    failures.delete(location.host)
    failures.delete(locationKey(location))
  }

  async function askOne(
    location: UpstreamLocation,
    digest: Digest,
    size: number,
    signal: AbortSignal,
  ): Promise<'yes' | 'gone' | 'unsure'> {
    const { host } = location
    const leave = await enter(host)
    try {
      if (isQuiet(host) || isQuiet(locationKey(location))) return 'unsure'
      const told = await source.size(location, digest, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]))
      answered(location)
      // Bytes of another length are not those.
      return told === size ? 'yes' : 'unsure'
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof RegistryError && error.status === 404) {
        answered(location)
        return 'gone'
      }
      failed(location, error)
      return 'unsure'
    } finally {
      leave()
    }
  }

  return {
    async ask(locations, digest, size, signal) {
      let isGone = locations.length > 0
      for (const location of locations) {
        const answer = await askOne(location, digest, size, signal)
        if (answer === 'yes') return { can: 'yes' }
        isGone &&= answer === 'gone'
      }
      return isGone ? { can: 'gone', host: locations[0]?.host ?? '' } : { can: 'unsure' }
    },
  }
}
