import fc from 'fast-check'
import { expect, test } from 'vitest'
import { maxRanges, parseRange, placeRanges } from '../../src/http/byte-range.ts'

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
  [
    'bytes=0-9,20-29',
    {
      kind: 'ranges',
      ranges: [
        { start: 0, end: 9 },
        { start: 20, end: 29 },
      ],
    },
  ],
  ['bytes=5-,\t-3 ,, 0-0,', { kind: 'ranges', ranges: [{ start: 5 }, { end: 3 }, { start: 0, end: 0 }] }],
  [
    'bytes=20-29,500-0',
    {
      kind: 'ranges',
      ranges: [
        { start: 20, end: 29 },
        { start: 500, end: 0 },
      ],
    },
  ],
  ['bytes=,0-9 ,', { kind: 'range', range: { start: 0, end: 9 } }],
  ['bytes=0-9,a-b', whole],
  ['bytes=0-9,-', whole],
  ['bytes=0-9;20-29', whole],
  ['bytes=0-9,bytes=20-29', whole],
  ['bytes=0 -9', whole],
  ['bytes=+1-2', whole],
  ['bytes=0x1-2', whole],
  ['bytes=,', whole],
  ['bytes=', whole],
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

test('as many ranges as are answered one by one are read, and one more is the whole', () => {
  const header = (count: number) => `bytes=${Array.from({ length: count }, (_, i) => `${i}-${i}`).join(',')}`
  expect(parseRange(header(maxRanges), undefined, etag)).toMatchObject({ kind: 'ranges', ranges: { length: 64 } })
  expect(parseRange(header(maxRanges + 1), undefined, etag)).toEqual(whole)
})

test.each([
  [
    'in the order asked',
    [
      { start: 5, end: 6 },
      { start: 0, end: 1 },
    ],
    ['5+2', '0+2'],
  ],
  ['clipped at the end', [{ start: 8, end: 99 }, { end: 3 }], ['8+2', '7+3']],
  [
    'the same twice',
    [
      { start: 0, end: 0 },
      { start: 0, end: 0 },
    ],
    ['0+1', '0+1'],
  ],
  ['as much as there is', [{ start: 0, end: 4 }, { start: 5 }], ['0+5', '5+5']],
  ['more than there is', [{ start: 0, end: 4 }, { start: 4 }], 'whole'],
  ['twice the whole', [{ start: 0 }, { start: 0 }], 'whole'],
  ['one that no byte answers to', [{ start: 0, end: 0 }, { start: 10 }], 'whole'],
  [
    'one that ends before it starts',
    [
      { start: 0, end: 0 },
      { start: 3, end: 2 },
    ],
    'whole',
  ],
  ['none that a byte answers to', [{ start: 10 }, { end: 0 }, { start: 3, end: 2 }], 'unsatisfiable'],
])('on 10 bytes, %s', (_name, ranges, expected) => {
  const placed = placeRanges(ranges, 10)
  const shown = placed.kind === 'parts' ? placed.parts.map(({ offset, length }) => `${offset}+${length}`) : placed.kind
  expect(shown).toEqual(expected)
})

test('no range of an empty blob is answered', () => {
  expect(placeRanges([{ start: 0 }, { end: 5 }], 0)).toEqual({ kind: 'unsatisfiable' })
})

const position = fc.oneof(fc.nat(120), fc.constant(Number.MAX_SAFE_INTEGER))
const element = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(position, position).map(([a, b]) => `${a}-${b}`) },
  { weight: 2, arbitrary: position.map((a) => `${a}-`) },
  { weight: 2, arbitrary: position.map((a) => `-${a}`) },
  { weight: 1, arbitrary: fc.constantFrom('', ' ', '-', 'x', '1--2') },
)

/** The bytes that a list of ranges means, worked out byte by byte; undefined for one that none answers to. */
function model(written: string, size: number): (number[] | undefined)[] | undefined {
  const elements = written.split(',').filter((each) => each.trim() !== '')
  if (!elements.every((each) => /^(\d+-\d*|-\d+)$/.test(each.trim()))) return undefined
  const all = Array.from({ length: size }, (_, i) => i)
  return elements.map((each) => {
    const [from = '', to = ''] = each.trim().split('-')
    const bytes =
      from === ''
        ? all.filter((i) => i >= size - Number(to))
        : all.filter((i) => i >= Number(from) && (to === '' || i <= Number(to)))
    return bytes.length === 0 ? undefined : bytes
  })
}

test('ranges come to what a model says that works byte by byte', () => {
  fc.assert(
    fc.property(fc.array(element, { maxLength: 6 }), fc.nat(100), (elements, size) => {
      const written = elements.join(',')
      const requested = parseRange(`bytes=${written}`, undefined, etag)
      const expected = model(written, size) ?? []
      if (expected.length === 0) expect(requested).toEqual(whole)
      else if (expected.length === 1) expect(requested.kind).toBe(isBackwards(written) ? 'unsatisfiable' : 'range')
      else
        expect(placeRanges(requested.kind === 'ranges' ? requested.ranges : [], size)).toEqual(placing(expected, size))
    }),
    { numRuns: 2000 },
  )
})

function placing(expected: readonly (number[] | undefined)[], size: number): unknown {
  const satisfied = expected.filter((bytes) => bytes !== undefined)
  if (satisfied.length === 0) return { kind: 'unsatisfiable' }
  if (satisfied.length < expected.length || satisfied.flat().length > size) return whole
  return { kind: 'parts', parts: satisfied.map(([offset, ...more]) => ({ offset, length: more.length + 1 })) }
}

function isBackwards(written: string): boolean {
  const [from = '', to = ''] = written.replaceAll(/[, ]/g, '').split('-')
  return from === '' ? Number(to) === 0 : to !== '' && Number(to) < Number(from)
}

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
      for (const each of [start, end]) expect(each === undefined || Number.isSafeInteger(each)).toBe(true)
      expect(start === undefined ? (end ?? 0) > 0 : (end ?? start) >= start).toBe(true)
    }),
    { numRuns: 1000 },
  )
})

test('a long header of nothing is read as fast as it is long', () => {
  for (const filler of [' ', ',', '-', '0', '0-,', ' ,']) {
    const header = `bytes=${filler.repeat(Math.floor(16_000 / filler.length))}x`
    expect(parseRange(header, undefined, etag)).toEqual(whole)
  }
})
