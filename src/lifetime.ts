/** How long what a running Weir is made of goes on: everything closes in the reverse order of its opening. */
export interface Lifetime {
  /** Aborts when Weir stops, before anything closes: ends what goes on by itself. */
  readonly leaving: AbortSignal
  /** Aborts when everything is closed but the store: ends the following of changes. */
  readonly closing: AbortSignal
  /** Closes it when Weir stops. */
  defer(close: () => unknown): void
  /** Begins work that goes on until `leaving`; what was opened before it stays open until it settles. */
  run(work: (leaving: AbortSignal) => Promise<unknown>): void
}

/** Begins a lifetime that ends with `opened`. */
export function createLifetime(opened: AsyncDisposableStack): Lifetime {
  const leaving = new AbortController()
  const closing = new AbortController()
  opened.defer(() => closing.abort())
  return {
    leaving: leaving.signal,
    closing: closing.signal,
    defer(close) {
      opened.defer(async () => {
        await close()
      })
    },
    run(work) {
      const settled = work(leaving.signal)
      opened.defer(async () => {
        leaving.abort()
        await settled
      })
    },
  }
}
