const unitsMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Parses `0s`, `15m`, `1h30m`, `365d` to milliseconds, as config, annotations and commands have them; undefined for what is none. */
export function parseDurationMs(text: string): number | undefined {
  if (text.length > 100 || !/^(?:[0-9]+(?:ms|s|m|h|d))+$/.test(text)) return undefined
  const parts = [...text.matchAll(/([0-9]+)(ms|s|m|h|d)/g)]
  const durationMs = parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * unitsMs[unit as 'ms'], 0)
  return Number.isSafeInteger(durationMs) ? durationMs : undefined
}

/** Formats a duration as {@link parseDurationMs} reads it: `15m`, `1h30m`, `1d12h`; `0s` for none. */
export function formatDurationMs(durationMs: number): string {
  let rest = Math.max(0, Math.round(durationMs))
  let text = ''
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const amount = Math.floor(rest / unitsMs[unit])
    rest -= amount * unitsMs[unit]
    if (amount > 0) text += `${amount}${unit}`
  }
  return text === '' ? '0s' : text
}
