import type { RegistryError } from '../oci/errors.ts'

/** Whether a registry is to be left alone by who can wait. Times are those of one steady clock. */
export interface Circuit {
  /** It answered 429, and may have said for how long. */
  throttled(by: string, retryAfterMs: number | undefined, nowMs: number): void
  /** It could not be reached. */
  failed(error: RegistryError, nowMs: number): void
  /** It answered something else; `isTelling` of a request like the one that closed the circuit, or of the probe. */
  answered(isTelling: boolean, nowMs: number): void
  /** Until when it is closed, and why; undefined when a request may be sent. */
  closed(nowMs: number): Closed | undefined
  /** It was closed, and one request is to show whether it may be opened. */
  isHalfOpen(nowMs: number): boolean
  /** Whether the newest request was answered. */
  readonly isReachable: boolean
}

export interface Closed {
  untilMs: number
  by: string
  /** Of a registry that can not be reached. */
  error?: RegistryError
}

/** Failures in a row that close the circuit. */
const failuresToClose = 5
/** The first pause of a registry that does not say how long, doubled each time up to the longest. */
const firstPauseMs = 30_000
/** So often in a row a registry is believed that says how long; then it means more than it says. */
const timesBelieved = 3
const longestPauseMs = 10 * 60_000

export function createCircuit(random: () => number): Circuit {
  let closed: Closed | undefined
  /** How often it was closed in a row. */
  let trips = 0
  let failures = 0

  function close(why: Omit<Closed, 'untilMs'>, askedMs: number | undefined, nowMs: number): void {
    const isClosed = closed !== undefined && closed.untilMs > nowMs
    // Requests that were under way together are one reason, and not several.
    if (!isClosed) trips += 1
    const before = askedMs === undefined ? 1 : 1 + timesBelieved
    const ownMs = trips < before ? 0 : Math.min(firstPauseMs * 2 ** (trips - before), longestPauseMs)
    // Never before the registry said, and not all that were told the same at the same moment.
    const untilMs = nowMs + Math.max(askedMs ?? 0, ownMs) * (1 + random() / 10)
    closed = { ...why, untilMs: isClosed ? Math.max(untilMs, closed?.untilMs ?? 0) : untilMs }
  }

  return {
    throttled(by, retryAfterMs, nowMs) {
      failures = 0
      // What is to be tried again at once is no reason to stay away for long, and none to go on as before.
      close({ by }, retryAfterMs === undefined ? undefined : Math.max(retryAfterMs, 1000), nowMs)
    },
    failed(error, nowMs) {
      failures += 1
      const isProbe = closed !== undefined && closed.untilMs <= nowMs
      if (isProbe || failures >= failuresToClose) close({ by: error.message, error }, undefined, nowMs)
    },
    answered(isTelling, nowMs) {
      failures = 0
      if (closed === undefined) return
      // What was under way when others were refused is no sign that it is over.
      if (closed.error === undefined && (!isTelling || closed.untilMs > nowMs)) return
      closed = undefined
      trips = 0
    },
    closed: (nowMs) => (closed !== undefined && closed.untilMs > nowMs ? closed : undefined),
    isHalfOpen: (nowMs) => closed !== undefined && closed.untilMs <= nowMs,
    get isReachable() {
      return failures === 0
    },
  }
}
