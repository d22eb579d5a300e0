/** A clock that stands still until it is moved. */
export interface TestClock {
  now: () => number
  advance(ms: number): void
}

/** Starts at 2026-01-01T00:00:00Z unless told otherwise. */
export function testClock(startMs: number = Date.UTC(2026, 0, 1)): TestClock {
  let current = startMs
  return {
    now: () => current,
    advance: (ms) => {
      current += ms
    },
  }
}
