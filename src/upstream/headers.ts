import type { IncomingHttpHeaders } from 'node:http'
import { isManifestType } from '../oci/media-types.ts'

/** The one value of a header, in lower case; undefined when there is none, or several. */
export function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value.trim().toLowerCase() : undefined
}

/** `Content-Length` in bytes. */
export function lengthOf(headers: IncomingHttpHeaders): number | undefined {
  return integer(headerOf(headers, 'content-length'))
}

/** The `ETag`, when it is a strong one of at most 256 characters (RFC 9110 8.8.3). */
export function strongEtagOf(headers: IncomingHttpHeaders): string | undefined {
  const { etag } = headers
  return typeof etag === 'string' && /^"[\x21\x23-\x7e]{1,254}"$/.test(etag) ? etag : undefined
}

/** `Content-Type` without parameters; undefined when it is no manifest's. */
export function manifestTypeOf(headers: IncomingHttpHeaders): string | undefined {
  const type = headerOf(headers, 'content-type')?.split(';')[0]?.trim()
  return type !== undefined && isManifestType(type) ? type : undefined
}

/** Bytes `first` to `last` (inclusive) of `size`; `size` undefined when the answer did not tell it. */
export interface ContentRange {
  first: number
  last: number
  size: number | undefined
}

/** `Content-Range` of a 206; undefined when it contradicts itself (RFC 9110 14.4). */
export function contentRangeOf(headers: IncomingHttpHeaders): ContentRange | undefined {
  const value = headerOf(headers, 'content-range') ?? ''
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(value)
  const first = integer(match?.[1])
  const last = integer(match?.[2])
  const size = integer(match?.[3])
  if (first === undefined || last === undefined || last < first || (size !== undefined && last >= size))
    return undefined
  return { first, last, size }
}

/** The size that the `Content-Range` of a 416 tells. */
export function unsatisfiedSizeOf(headers: IncomingHttpHeaders): number | undefined {
  return integer(/^bytes \*\/(\d+)$/.exec(headerOf(headers, 'content-range') ?? '')?.[1])
}

function integer(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d+$/.test(text)) return undefined
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : undefined
}
