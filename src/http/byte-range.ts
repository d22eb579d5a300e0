import type { RangeRequest } from '../content/content.ts'

/** What a Range header comes to: the whole, one range, or one that no bytes answer to. */
export type RequestedRange = { kind: 'whole' } | { kind: 'range'; range: RangeRequest } | { kind: 'unsatisfiable' }

const whole: RequestedRange = { kind: 'whole' }

/**
 * Reads a Range header. Several ranges are answered with the whole, which clients of partial pulls cut up themselves; what is
 * no range of bytes is ignored.
 *
 * @param validator the value of If-Range: unless it is exactly `etag`, the range does not count (RFC 9110 13.1.5)
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-14.2
 */
export function parseRange(header: string | undefined, validator: string | undefined, etag: string): RequestedRange {
  if (header === undefined || (validator !== undefined && validator.trim() !== etag)) return whole
  const match = /^bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*$/i.exec(header)
  if (match === null) return whole
  const start = toPosition(match[1])
  const end = toPosition(match[2])
  if (start === undefined && end === undefined) return whole
  if (start === undefined)
    return end === 0 ? { kind: 'unsatisfiable' } : { kind: 'range', range: { ...only('end', end) } }
  if (end !== undefined && end < start) return { kind: 'unsatisfiable' }
  return { kind: 'range', range: { start, ...only('end', end) } }
}

function toPosition(digits: string | undefined): number | undefined {
  return digits ? Math.min(Number(digits), Number.MAX_SAFE_INTEGER) : undefined
}

function only(key: 'end', value: number | undefined): { end?: number } {
  return value === undefined ? {} : { [key]: value }
}
