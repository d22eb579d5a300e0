import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseDurationMs } from '../../src/cli/duration.ts'

test.each([
  ['100ms', 100],
  ['90s', 90_000],
  ['1h', 3_600_000],
  ['1h30m', 5_400_000],
  ['365d', 31_536_000_000],
])('%s is %d ms', (value, ms) => {
  expect(parseDurationMs(value)).toBe(ms)
})

test.each(['', '1', '1x', '-1h', '1.5h', 'h', '0s', '1h ', '1 h', '9999999999h', '1H'])(
  '"%s" is no duration',
  (value) => {
    expect(parseDurationMs(value)).toBeUndefined()
  },
)

test('parts add up', () => {
  const part = fc.nat(9999)
  fc.assert(
    fc.property(part, part, part, (h, m, s) => {
      const ms = (h * 3600 + m * 60 + s) * 1000
      expect(parseDurationMs(`${h}h${m}m${s}s`)).toBe(ms === 0 ? undefined : ms)
    }),
    { numRuns: 200 },
  )
})
