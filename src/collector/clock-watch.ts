import { RegistryError } from '../oci/errors.ts'

/** Notices when the clock is set: what is old by it may have been used just now. */
export interface ClockWatch {
  /**
   * Refuses while the clock is an hour away from where it was by the time that went by. Set for good, it is believed after an hour.
   *
   * @throws RegistryError UNAVAILABLE
   */
  check(): void
}

export interface ClockWatchOptions {
  /** Milliseconds since the epoch. */
  now: () => number
  /** Milliseconds since any moment, which nobody sets. */
  monotonic: () => number
}

const hourMs = 3_600_000

export function createClockWatch({ now, monotonic }: ClockWatchOptions): ClockWatch {
  const offset = () => now() - monotonic()
  let believed = offset()
  let doubted: { offset: number; until: number } | undefined

  return {
    check() {
      const current = offset()
      if (isNear(current, believed) || (doubted && isNear(current, doubted.offset) && monotonic() >= doubted.until)) {
        believed = current
        doubted = undefined
        return
      }
      if (doubted === undefined || !isNear(current, doubted.offset)) {
        doubted = { offset: current, until: monotonic() + hourMs }
      }
      const hours = Math.round((current - believed) / hourMs)
      const message = `the clock was set by ${hours} h: no content is collected before it has been so for an hour`
      throw new RegistryError('UNAVAILABLE', { message })
    },
  }
}

function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= hourMs
}
