/** Watches how fast somebody sends. Who drips a byte now and then never stalls, and would hold room for ever. */
export interface LeastRate {
  /** Waits for a piece: only while somebody waits does the time count. */
  timed(read: () => Promise<Buffer | undefined>): Promise<Buffer | undefined>
  /** Whether a stretch has just ended in which too little came; asking begins the next. */
  endsSlow(): boolean
  /** How many stretches in a row were too slow. */
  readonly slowStretches: number
}

/** Least bytes of a stretch of so many milliseconds. */
interface Least {
  stretchMs: number
  leastBytes: number
}

/** Of an upstream. */
const ofUpstreams: Least = { stretchMs: 120_000, leastBytes: 512 * 1024 }

/** `now` gives milliseconds. */
export function createLeastRate(now: () => number, { stretchMs, leastBytes }: Least = ofUpstreams): LeastRate {
  let waitedMs = 0
  let bytes = 0
  let slowStretches = 0
  return {
    async timed(read) {
      const since = now()
      try {
        const piece = await read()
        bytes += piece?.length ?? 0
        return piece
      } finally {
        waitedMs += Math.max(0, now() - since)
      }
    },
    endsSlow() {
      if (waitedMs < stretchMs) return false
      const isSlow = bytes < leastBytes
      slowStretches = isSlow ? slowStretches + 1 : 0
      waitedMs = 0
      bytes = 0
      return isSlow
    },
    get slowStretches() {
      return slowStretches
    },
  }
}
