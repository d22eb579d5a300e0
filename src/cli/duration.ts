const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Parses `90s`, `1h30m`, `365d` into milliseconds; undefined when it is none, or nothing at all. */
export function parseDurationMs(value: string): number | undefined {
  if (!/^(?:\d{1,9}(?:ms|s|m|h|d))+$/.test(value)) return undefined
  let totalMs = 0
  for (const [, amount, unit] of value.matchAll(/(\d+)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * (unitsMs[unit ?? ''] ?? 0)
  }
  return totalMs > 0 ? totalMs : undefined
}
