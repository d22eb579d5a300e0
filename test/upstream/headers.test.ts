import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  contentRangeOf,
  headerOf,
  lengthOf,
  manifestTypeOf,
  strongEtagOf,
  unsatisfiedSizeOf,
} from '../../src/upstream/headers.ts'

describe('headers', () => {
  test('a length is an exact integer or nothing', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.maxSafeNat().map(String), fc.string(), fc.stringMatching(/^[0-9-+.e ]{1,20}$/)),
        (value) => {
          const length = lengthOf({ 'content-length': value })
          if (/^\d{1,15}$/.test(value)) expect(length).toBe(Number(value))
          if (length !== undefined) expect(Number.isSafeInteger(length) && length >= 0).toBe(true)
        },
      ),
      { numRuns: 500 },
    )
  })

  test.each(['9007199254740992', '99999999999999999999', '-1', '+1', '1.0', '1e3', '0x10', '1, 1', ''])(
    'the length %j is none',
    (value) => {
      expect(lengthOf({ 'content-length': value })).toBeUndefined()
    },
  )

  test('a content range is read as written, and never with its end before its start or behind the whole', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.option(fc.nat()), (first, last, size) => {
        const range = contentRangeOf({ 'content-range': `bytes ${first}-${last}/${size ?? '*'}` })
        const possible = first <= last && (size === null || last < size)
        expect(range).toEqual(possible ? { first, last, size: size ?? undefined } : undefined)
      }),
      { numRuns: 300 },
    )
  })

  test('the size of an unsatisfied range is read', () => {
    expect(unsatisfiedSizeOf({ 'content-range': 'bytes */42' })).toBe(42)
    expect(unsatisfiedSizeOf({ 'content-range': 'bytes */*' })).toBeUndefined()
    expect(unsatisfiedSizeOf({})).toBeUndefined()
  })

  test('an ETag is good for a condition only when it is strong, short and one', () => {
    for (const etag of ['"a"', '"Sha256:AbC/+=!"', `"${'x'.repeat(254)}"`]) expect(strongEtagOf({ etag })).toBe(etag)
    for (const etag of ['W/"a"', 'a', '""', '"a", "b"', '"a"\r\nx: y', '"\u00e4"', `"${'x'.repeat(255)}"`]) {
      expect(strongEtagOf({ etag }), etag).toBeUndefined()
    }
    expect(strongEtagOf({})).toBeUndefined()
  })

  test('a header that came several times has no value', () => {
    expect(headerOf({ 'x-a': ['1', '2'] }, 'x-a')).toBeUndefined()
  })

  test("a media type that is no manifest's is none", () => {
    expect(manifestTypeOf({ 'content-type': 'text/html' })).toBeUndefined()
    expect(manifestTypeOf({})).toBeUndefined()
  })
})
