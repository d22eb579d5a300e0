import fc from 'fast-check'
import { expect, test } from 'vitest'
import { extentOf } from '../../src/content/range.ts'

test('no range is the whole blob, also of an empty one', () => {
  expect(extentOf(undefined, 10)).toEqual({ offset: 0, length: 10 })
  expect(extentOf(undefined, 0)).toEqual({ offset: 0, length: 0 })
})

test.each([
  [
    { start: 500, end: 1499 },
    { offset: 500, length: 1000 },
  ],
  [{ start: 500 }, { offset: 500, length: 1548 }],
  [{ end: 500 }, { offset: 1548, length: 500 }],
  [
    { start: 2000, end: 5000 },
    { offset: 2000, length: 48 },
  ],
  [{ end: 5000 }, { offset: 0, length: 2048 }],
  [
    { start: 0, end: 0 },
    { offset: 0, length: 1 },
  ],
  [{ start: 2047 }, { offset: 2047, length: 1 }],
])('%o of 2048 bytes is %o', (range, extent) => {
  expect(extentOf(range, 2048)).toEqual(extent)
})

test.each([
  [{ start: 500, end: 0 }, 2048],
  [{ start: 5000, end: 10_000 }, 2048],
  [{ start: 2048 }, 2048],
  [{ end: 0 }, 2048],
  [{ start: 0 }, 0],
  [{ end: 5 }, 0],
])('%o of %i bytes can not be satisfied, and the answer tells the size', (range, size) => {
  expect(() => extentOf(range, size)).toThrow(expect.objectContaining({ code: 'RANGE_INVALID', detail: { size } }))
})

test('a range that can be satisfied is what slicing gives', () => {
  const optional = fc.option(fc.nat(60), { nil: undefined })
  fc.assert(
    fc.property(fc.nat(50), optional, optional, (size, start, end) => {
      fc.pre(start !== undefined || end !== undefined)
      const range = { ...(start === undefined ? {} : { start }), ...(end === undefined ? {} : { end }) }
      const bytes = Array.from({ length: size }, (_, i) => i)
      const meant =
        start === undefined ? (end === 0 ? [] : bytes.slice(-(end ?? 0))) : bytes.slice(start, (end ?? size) + 1)
      if (meant.length === 0) expect(() => extentOf(range, size)).toThrow()
      else {
        const { offset, length } = extentOf(range, size)
        expect(bytes.slice(offset, offset + length)).toEqual(meant)
      }
    }),
    { numRuns: 500 },
  )
})
