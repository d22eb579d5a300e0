const unitsMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Parses `0s`, `15m`, `1h30m`, `365d` to milliseconds, as the config has them; undefined for what is none. */
export function parseDurationMs(text: string): number | undefined {
  if (!/^(?:[0-9]{1,9}(?:ms|s|m|h|d)){1,5}$/.test(text)) return undefined
  const parts = [...text.matchAll(/([0-9]+)(ms|s|m|h|d)/g)]
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * unitsMs[unit as keyof typeof unitsMs], 0)
}
