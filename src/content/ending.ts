/** An end that comes from inside or from outside. */
export interface Ending {
  readonly signal: AbortSignal
  /** Ends it, and lets go of the outer signal. */
  end(reason: Error): void
}

/** Ends with `outer`. Whoever makes it ends it: a signal that outlives it would else keep it forever. */
export function endingWith(outer: AbortSignal): Ending {
  const controller = new AbortController()
  const leave = (): void => controller.abort(outer.reason)
  if (outer.aborted) leave()
  else outer.addEventListener('abort', leave, { once: true })
  return {
    signal: controller.signal,
    end(reason) {
      outer.removeEventListener('abort', leave)
      controller.abort(reason)
    },
  }
}
