/** Longest time that an upstream can tell somebody to wait: a day. */
const maxMs = 24 * 3600 * 1000

/**
 * Reads `Retry-After`, seconds or an HTTP date, as milliseconds from `now`; at most a day, undefined when it says nothing. Of several
 * the longest.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
 */
export function retryAfterMs(header: string | string[] | undefined, now: number): number | undefined {
  if (typeof header !== 'string') {
    const told = (header ?? []).map((each) => retryAfterMs(each, now)).filter((ms) => ms !== undefined)
    return told.length === 0 ? undefined : Math.max(...told)
  }
  const seconds = /^\s*(\d+)\s*$/.exec(header)?.[1]
  if (seconds !== undefined) return Math.min(Number(seconds) * 1000, maxMs)
  // Date.parse reads much that is no HTTP date; each of the three forms begins with the name of a day. That of C's asctime names no zone.
  const named = /^\s*(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(header) ? header : ''
  const date = Date.parse(/:\d\d\s+\d{4}\s*$/.test(named) ? `${named} GMT` : named)
  return Number.isNaN(date) ? undefined : Math.min(Math.max(date - now, 0), maxMs)
}
