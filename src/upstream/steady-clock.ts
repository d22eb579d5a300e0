/** Time that never goes back, whatever the clock it is read from does: what was to be over in a minute is over in a minute. */
export interface SteadyClock {
  now(): number
  /** What the other clock shows at a time of this one. */
  shown(atMs: number): number
}

export function createSteadyClock(now: () => number): SteadyClock {
  let last = Number.NEGATIVE_INFINITY
  let aheadMs = 0
  return {
    now() {
      const at = now()
      if (at + aheadMs < last) aheadMs = last - at
      last = at + aheadMs
      return last
    },
    shown: (atMs) => atMs - aheadMs,
  }
}
