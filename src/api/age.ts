/** How long ago something was, as clients are used to read it. */

const secondMs = 1000
const minuteMs = 60 * secondMs
const hourMs = 60 * minuteMs

/**
 * A duration in at most two units: `45s`, `3m20s`, `5h`, `2d3h`, `4y12d`. Up to a second in the future is `0s`, for clocks
 * that disagree; further ahead is `<invalid>`.
 *
 * @see https://github.com/kubernetes/apimachinery/blob/v0.33.0/pkg/util/duration/duration.go HumanDuration
 */
export function formatAge(durationMs: number): string {
  const seconds = Math.trunc(durationMs / secondMs)
  if (Number.isNaN(durationMs) || seconds < -1) return '<invalid>'
  if (seconds < 0) return '0s'
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.trunc(seconds / 60)
  if (minutes < 10) return twoUnits(minutes, 'm', seconds % 60, 's')
  if (minutes < 180) return `${minutes}m`
  const hours = Math.trunc(minutes / 60)
  if (hours < 8) return twoUnits(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  const days = Math.trunc(hours / 24)
  if (days < 8) return twoUnits(days, 'd', hours % 24, 'h')
  if (days < 730) return `${days}d`
  const years = Math.trunc(days / 365)
  return years < 8 ? twoUnits(years, 'y', days % 365, 'd') : `${years}y`
}

/**
 * A duration in words: `Less than a second`, `About an hour`, `3 weeks`.
 *
 * @see https://github.com/docker/go-units/blob/v0.5.0/duration.go HumanDuration
 */
export function formatDurationWords(durationMs: number): string {
  const seconds = Math.trunc(durationMs / secondMs)
  if (Number.isNaN(durationMs) || seconds < 1) return 'Less than a second'
  if (seconds === 1) return '1 second'
  if (seconds < 60) return `${seconds} seconds`
  const minutes = Math.trunc(seconds / 60)
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${minutes} minutes`
  const hours = Math.trunc(durationMs / hourMs + 0.5)
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${hours} hours`
  const days = Math.trunc(hours / 24)
  if (days < 14) return `${days} days`
  if (days < 60) return `${Math.trunc(days / 7)} weeks`
  if (days < 730) return `${Math.trunc(days / 30)} months`
  return `${Math.trunc(Math.trunc(durationMs / hourMs) / 24 / 365)} years`
}

/** The age of an RFC 3339 time at `nowMs`; `<unknown>` for what is no time. */
export function ageOf(time: unknown, nowMs: number): string {
  const timeMs = parseTime(time)
  return timeMs === undefined ? '<unknown>' : formatAge(nowMs - timeMs)
}

/** `3 weeks ago`, of an RFC 3339 time at `nowMs`; empty for what is no time. */
export function agoInWords(time: unknown, nowMs: number): string {
  const timeMs = parseTime(time)
  return timeMs === undefined ? '' : `${formatDurationWords(nowMs - timeMs)} ago`
}

/** The milliseconds since the epoch of an RFC 3339 time; undefined for what is none. */
export function parseTime(time: unknown): number | undefined {
  if (typeof time !== 'string' || time === '') return undefined
  const timeMs = Date.parse(time)
  return Number.isNaN(timeMs) ? undefined : timeMs
}

function twoUnits(whole: number, unit: string, rest: number, restUnit: string): string {
  return rest === 0 ? `${whole}${unit}` : `${whole}${unit}${rest}${restUnit}`
}
