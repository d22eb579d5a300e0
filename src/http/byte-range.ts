import type { RangeRequest } from '../content/content.ts'
import { type Extent, extentOf } from '../content/range.ts'
import { RegistryError } from '../oci/errors.ts'

/** What a Range header comes to: the whole, one range, several, or one that no bytes answer to. */
export type RequestedRange =
  | { kind: 'whole' }
  | { kind: 'range'; range: RangeRequest }
  | { kind: 'ranges'; ranges: readonly RangeRequest[] }
  | { kind: 'unsatisfiable' }

/** What several ranges come to on a blob: its parts in the order asked, the whole, or nothing. */
export type PlacedRanges = { kind: 'whole' } | { kind: 'parts'; parts: readonly Extent[] } | { kind: 'unsatisfiable' }

/** Most ranges that are answered one by one: each costs an opening of the blob (RFC 9110 17.15). */
export const maxRanges = 64

const whole = { kind: 'whole' } as const
const unsatisfiable = { kind: 'unsatisfiable' } as const

/**
 * Reads a Range header. What is no list of ranges of bytes, and what lists too many, is ignored; empty elements of the list
 * are (RFC 9110 5.6.1.2).
 *
 * @param validator the value of If-Range: unless it is exactly `etag`, the range does not count (RFC 9110 13.1.5)
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-14.2
 */
export function parseRange(header: string | undefined, validator: string | undefined, etag: string): RequestedRange {
  if (header === undefined || (validator !== undefined && validator.trim() !== etag)) return whole
  if (!/^bytes=/i.test(header)) return whole
  const written = header
    .slice('bytes='.length)
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
  if (written.length > maxRanges) return whole
  const ranges = written.map(parseOne)
  if (!ranges.every((range) => range !== undefined)) return whole
  const [first, ...more] = ranges
  if (first === undefined) return whole
  if (more.length > 0) return { kind: 'ranges', ranges }
  return isEmpty(first) ? unsatisfiable : { kind: 'range', range: first }
}

/**
 * Places several ranges on a blob of `size` bytes. Either each gets its part, or the whole is the answer: clients of partial
 * pulls count the parts, and cut up a whole themselves. What asks for more bytes than there are is cheaper whole (RFC 9110 14.2).
 */
export function placeRanges(ranges: readonly RangeRequest[], size: number): PlacedRanges {
  const placed = ranges.map((range) => extentIn(range, size))
  const parts = placed.filter((extent) => extent !== undefined)
  if (parts.length === 0) return unsatisfiable
  if (parts.length < placed.length) return whole
  const bytes = parts.reduce((sum, { length }) => sum + length, 0)
  return bytes > size ? whole : { kind: 'parts', parts }
}

/** A `-` alone is none. One that ends before it starts is read, as one that no byte answers to. */
function parseOne(written: string): RangeRequest | undefined {
  const match = /^([0-9]*)-([0-9]*)$/.exec(written)
  const start = toPosition(match?.[1])
  const end = toPosition(match?.[2])
  if (start === undefined && end === undefined) return undefined
  return { ...(start !== undefined && { start }), ...(end !== undefined && { end }) }
}

function isEmpty({ start, end }: RangeRequest): boolean {
  return start === undefined ? end === 0 : end !== undefined && end < start
}

/** undefined where no byte of it exists. */
function extentIn(range: RangeRequest, size: number): Extent | undefined {
  try {
    return extentOf(range, size)
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'RANGE_INVALID') return undefined
    throw error
  }
}

function toPosition(digits: string | undefined): number | undefined {
  return digits ? Math.min(Number(digits), Number.MAX_SAFE_INTEGER) : undefined
}
