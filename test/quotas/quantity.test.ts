import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatBinary, parseQuantity } from '../../src/quotas/quantity.ts'

test.each([
  ['0', 0],
  ['10', 10],
  ['+7', 7],
  ['10Gi', 10 * 1024 ** 3],
  ['1.5Ki', 1536],
  ['.5Mi', 512 * 1024],
  ['500M', 500_000_000],
  ['1e3', 1000],
  ['2E3', 2000],
  ['2E', undefined],
  ['1P', 1e15],
  ['100m', 1],
  ['1500m', 2],
  ['1n', 1],
  ['12e-1', 2],
  ['8Pi', undefined],
  ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ['9007199254740992', undefined],
  [20, 20],
  [1.5, 2],
])('%s is the quantity %s', (written, number) => {
  expect(parseQuantity(written)).toBe(number)
})

test.each([
  '',
  ' ',
  '-1',
  '1 Gi',
  'Gi',
  '1GiB',
  '1KB',
  '1e',
  '1e9999',
  '0x10',
  '1_000',
  'NaN',
  'Infinity',
  '1Gi\n',
  '.',
  '1'.repeat(10_000),
  -1,
  Number.NaN,
  1e300,
  undefined,
  null,
  {},
  ['1'],
])('%j is no quantity', (written) => {
  expect(parseQuantity(written)).toBeUndefined()
})

test('what is written of a number of bytes is read as that number', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.nat(4), (number, power) => {
      const bytes = (number % 1024 ** (5 - power)) * 1024 ** power
      expect(parseQuantity(formatBinary(bytes))).toBe(bytes)
    }),
    { numRuns: 500 },
  )
})

test('any text is a whole number or nothing', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const number = parseQuantity(text)
      expect(number === undefined || (Number.isSafeInteger(number) && number >= 0)).toBe(true)
    }),
    { numRuns: 1000 },
  )
})
