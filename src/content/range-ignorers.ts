import type { UpstreamLocation } from './content.ts'
import { locationKey } from './proof.ts'

/** Locations that sent a whole blob when a part was asked for: each far part of it would cost the whole again. */
export interface RangeIgnorers {
  add(location: UpstreamLocation): void
  /** Whether it did so in the last ten minutes. */
  has(location: UpstreamLocation): boolean
}

const rememberedMs = 600_000
const mostRemembered = 1000

/** `now` gives milliseconds. */
export function createRangeIgnorers(now: () => number): RangeIgnorers {
  /** When, by location key; the newest last. */
  const seen = new Map<string, number>()
  return {
    add(location) {
      const key = locationKey(location)
      seen.delete(key)
      seen.set(key, now())
      const [oldest] = seen.keys()
      if (seen.size > mostRemembered && oldest !== undefined) seen.delete(oldest)
    },
    has(location) {
      const at = seen.get(locationKey(location))
      return at !== undefined && now() - at < rememberedMs
    },
  }
}
