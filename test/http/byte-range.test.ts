import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseRange } from '../../src/http/byte-range.ts'

const etag = '"sha256:abc"'
const whole = { kind: 'whole' }

test.each([
  [undefined, whole],
  ['bytes=0-9', { kind: 'range', range: { start: 0, end: 9 } }],
  ['BYTES=0-9', { kind: 'range', range: { start: 0, end: 9 } }],
  ['bytes=5-', { kind: 'range', range: { start: 5 } }],
  ['bytes=-5', { kind: 'range', range: { end: 5 } }],
  ['bytes= 1-2 ', { kind: 'range', range: { start: 1, end: 2 } }],
  ['bytes=500-0', { kind: 'unsatisfiable' }],
  ['bytes=-0', { kind: 'unsatisfiable' }],
  ['bytes=0-9,20-29', whole],
  ['bytes=-', whole],
  ['bytes=a-b', whole],
  ['bytes=1.5-2', whole],
  ['bytes 0-9', whole],
  ['items=0-9', whole],
  ['', whole],
  [`bytes=0-${'9'.repeat(400)}`, { kind: 'range', range: { start: 0, end: Number.MAX_SAFE_INTEGER } }],
])('Range %j is %j', (header, requested) => {
  expect(parseRange(header, undefined, etag)).toEqual(requested)
})

test.each([
  ['the same strong tag', etag, 'range'],
  ['another tag', '"sha256:def"', 'whole'],
  ['a weak tag', `W/${etag}`, 'whole'],
  ['a date', 'Thu, 01 Jan 2026 00:00:00 GMT', 'whole'],
])('If-Range with %s gives the %s kind', (_name, validator, kind) => {
  expect(parseRange('bytes=0-9', validator, etag).kind).toBe(kind)
})

test('no header makes a range that is not of whole safe numbers in order', () => {
  const header = fc.oneof(
    fc.string(),
    fc.tuple(fc.nat(), fc.nat()).map(([a, b]) => `bytes=${a}-${b}`),
  )
  fc.assert(
    fc.property(header, (value) => {
      const requested = parseRange(value, undefined, etag)
      if (requested.kind !== 'range') return
      const { start, end } = requested.range
      for (const position of [start, end]) expect(position === undefined || Number.isSafeInteger(position)).toBe(true)
      expect(start === undefined ? (end ?? 0) > 0 : (end ?? start) >= start).toBe(true)
    }),
    { numRuns: 1000 },
  )
})
