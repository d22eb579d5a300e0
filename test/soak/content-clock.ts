const dayMs = 86_400_000

/** How far the clock of a session is ahead of the system's: each is more than a day after the one before. */
export function aheadMs(days: number): number {
  return days * (dayMs + 3_600_000)
}
