/** So many at a time, in the order in which they came, and no more than so many a second. */
export interface Turns {
  /** Takes a turn where nobody waits and `most` are not taken. */
  take(most: number): boolean
  /**
   * Waits for a turn, for `longestMs` at most.
   *
   * @returns whether it was taken @throws whatever `signal` aborted with
   */
  wait(longestMs: number, signal: AbortSignal | undefined): Promise<boolean>
  /** Gives a turn back; those who wait are let in while less than `most` are taken. */
  release(most: number): void
  readonly waiting: number
}

export interface TurnsOptions {
  wait(ms: number, signal?: AbortSignal): Promise<void>
}

export function createTurns(options: TurnsOptions): Turns {
  let taken = 0
  const queue = new Set<() => void>()
  return {
    take(most) {
      if (queue.size > 0 || taken >= most) return false
      taken += 1
      return true
    },

    async wait(longestMs, signal) {
      signal?.throwIfAborted()
      const over = new AbortController()
      let isLet = false
      const leave = (): void => over.abort()
      signal?.addEventListener('abort', leave, { once: true })
      const late = options.wait(longestMs, over.signal)
      const turn = Promise.withResolvers<void>()
      const enter = (): void => {
        isLet = true
        over.abort()
        turn.resolve()
      }
      queue.add(enter)
      await Promise.race([turn.promise, late]).catch(() => undefined)
      late.catch(() => undefined)
      over.abort()
      signal?.removeEventListener('abort', leave)
      queue.delete(enter)
      if (isLet) return true
      signal?.throwIfAborted()
      return false
    },

    release(most) {
      taken -= 1
      for (const enter of queue) {
        if (taken >= most) return
        queue.delete(enter)
        taken += 1
        enter()
      }
    },
    get waiting() {
      return queue.size
    },
  }
}

/** Spaces requests evenly, after so many at once as may be under way together. */
export interface Pace {
  /** How long the next one would have to wait, in milliseconds. */
  peek(nowMs: number): number
  /** Takes the next place in time. @returns how long it has to wait for it */
  next(nowMs: number): number
}

export function createPace({ perSecond, atOnce }: { perSecond: number; atOnce: number }): Pace {
  const spacingMs = 1000 / perSecond
  let freeAt = Number.NEGATIVE_INFINITY
  const placeAt = (nowMs: number): number => Math.max(freeAt, nowMs - (atOnce - 1) * spacingMs)
  return {
    peek: (nowMs) => Math.max(0, placeAt(nowMs) - nowMs),
    next(nowMs) {
      const at = placeAt(nowMs)
      freeAt = at + spacingMs
      return Math.max(0, at - nowMs)
    },
  }
}
