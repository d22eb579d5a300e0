/** How long ago something was, in words. */

const units: readonly [word: string, seconds: number][] = [
  ['year', 365 * 86_400],
  ['month', 30 * 86_400],
  ['week', 7 * 86_400],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
]

/** `3 days ago`, of an RFC 3339 time; empty for what is no time. Clocks that disagree by less than a minute are not told. */
export function agoInWords(time: string | null | undefined, nowMs: number): string {
  const timeMs = Date.parse(time ?? '')
  if (Number.isNaN(timeMs)) return ''
  const seconds = Math.trunc((nowMs - timeMs) / 1000)
  if (seconds <= -60) return `in ${inWords(-seconds, Math.round)}`
  return seconds < 1 ? 'just now' : `${inWords(seconds, Math.trunc)} ago`
}

/** A time by its age with the time itself beside it; what is no time stays as it is, and `unknown` where there is none. */
export function formatMoment(time: string | null | undefined, nowMs: number): string {
  const ago = agoInWords(time, nowMs)
  return ago === '' ? time || 'unknown' : `${ago} (${time})`
}

/** A time to come, likewise; what is less than a minute away is not counted down. */
export function formatComing(time: string, nowMs: number): string {
  const isNear = Date.parse(time) - nowMs < 60_000
  return isNear ? `within a minute (${time})` : formatMoment(time, nowMs)
}

/** Two of a unit at the least, so that what is rounded away is little: 13 days, 3 weeks. */
function inWords(seconds: number, whole: (count: number) => number): string {
  const [word, size] = units.find(([, unit]) => seconds >= 2 * unit) ?? ['second', 1]
  const count = whole(seconds / size)
  return `${count} ${word}${count === 1 ? '' : 's'}`
}
