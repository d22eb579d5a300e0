/** Longest time that an upstream can tell somebody to wait: a day. */
const maxMs = 24 * 3600 * 1000

/**
 * Reads `Retry-After`, seconds or an HTTP date, as milliseconds from `now`; at most a day, undefined when it says nothing.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
 */
export function retryAfterMs(header: string | string[] | undefined, now: number): number | undefined {
  if (typeof header !== 'string') return undefined
  const seconds = /^\s*(\d+)\s*$/.exec(header)?.[1]
  if (seconds !== undefined) return Math.min(Number(seconds) * 1000, maxMs)
  // Date.parse reads much that is no HTTP date; each of the three forms begins with the name of a day.
  const date = /^\s*(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(header) ? Date.parse(header) : Number.NaN
  return Number.isNaN(date) ? undefined : Math.min(Math.max(date - now, 0), maxMs)
}
