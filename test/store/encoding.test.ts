import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  compareKeys,
  dataBounds,
  dataKey,
  decodeEntry,
  decodeLogRow,
  encodeChanges,
  encodeValue,
  logKey,
  successor,
} from '../../src/store/encoding.ts'

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('a', '\ud7ff', '\ue000', '\uffff', '😀', '\u{10ffff}') }),
)
const bytes = (key: string) => Buffer.from(key)

describe('successor()', () => {
  test('lies behind every key with the prefix and before every other key behind it', () => {
    fc.assert(
      fc.property(text, text, (prefix, key) => {
        const lt = successor(dataKey(prefix))
        expect(lt.isWellFormed()).toBe(true)
        const isInside =
          Buffer.compare(bytes(dataKey(key)), bytes(dataKey(prefix))) >= 0 &&
          Buffer.compare(bytes(dataKey(key)), bytes(lt)) < 0
        expect(isInside).toBe(key.startsWith(prefix))
        expect(Buffer.compare(bytes(dataKey(prefix + key)), bytes(lt))).toBe(-1)
      }),
      { numRuns: 500 },
    )
  })

  test('of U+10FFFF alone there is none', () => {
    expect(() => successor('\u{10ffff}')).toThrow(TypeError)
  })
})

test('compareKeys() orders beyond U+FFFF as bytes do, unlike JavaScript', () => {
  expect(compareKeys('\uffff', '😀')).toBe(-1)
  expect('\uffff' < '😀').toBe(false)
})

test('dataBounds() never leaves the prefix', () => {
  fc.assert(
    fc.property(text, text, text, (prefix, start, end) => {
      const whole = dataBounds({ prefix })
      const { gte, lt } = dataBounds({ prefix, start, end })
      expect(compareKeys(gte, whole.gte)).toBeGreaterThanOrEqual(0)
      expect(compareKeys(lt, whole.lt)).toBeLessThanOrEqual(0)
    }),
    { numRuns: 300 },
  )
})

test('a value keeps its revision, whatever it contains', () => {
  fc.assert(
    fc.property(text, fc.maxSafeNat(), (value, revision) => {
      expect(decodeEntry('k', encodeValue(value, revision))).toEqual({ key: 'k', value, revision })
    }),
    { numRuns: 300 },
  )
})

test('changes are read as they were written', () => {
  const entry = fc.record({ value: text, revision: fc.maxSafeNat() })
  const change = fc
    .record({ key: text, value: fc.option(text, { nil: undefined }), previous: fc.option(entry, { nil: undefined }) })
    .map(({ key, value, previous }) => ({ key, value, previous: previous && { key, ...previous } }))
  fc.assert(
    fc.property(fc.array(change), fc.maxSafeNat(), (changes, revision) => {
      const written = encodeChanges(changes)
      expect(decodeLogRow(logKey(revision), written)).toEqual({ revision, changes, size: written.length })
    }),
    { numRuns: 300 },
  )
})

test('log keys are ordered as their revisions', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
      expect(compareKeys(logKey(a), logKey(b))).toBe(Math.sign(a - b))
    }),
    { numRuns: 300 },
  )
})
