import { RegistryError } from '../oci/errors.ts'
import type { RangeRequest } from './content.ts'

/** Which bytes of a blob are meant: `length` of them from `offset`. */
export interface Extent {
  offset: number
  length: number
}

/**
 * Places a range on a blob of `size` bytes: clipped at the end, and the whole blob without a range.
 *
 * @throws RegistryError RANGE_INVALID with `detail.size` when no byte of it exists
 * @see RFC 9110 14.1.2
 */
export function extentOf(range: RangeRequest | undefined, size: number): Extent {
  if (range === undefined) return { offset: 0, length: size }
  const { start, end } = range
  const offset = start ?? Math.max(0, size - (end ?? size))
  const last = start === undefined ? size - 1 : Math.min(end ?? size - 1, size - 1)
  if (!(offset >= 0 && last >= offset)) throw new RegistryError('RANGE_INVALID', { detail: { size } })
  return { offset, length: last - offset + 1 }
}
