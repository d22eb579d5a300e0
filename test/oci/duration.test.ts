import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatDurationMs, parseDurationMs } from '../../src/oci/duration.ts'

test.each([
  [0, '0s'],
  [900_000, '15m'],
  [5_400_000, '1h30m'],
  [86_400_000, '1d'],
  [129_600_001, '1d12h1ms'],
  [-1, '0s'],
])('%d ms are %s', (durationMs, text) => {
  expect(formatDurationMs(durationMs)).toBe(text)
})

test('what is written of a duration is read as it was', () => {
  fc.assert(
    fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (durationMs) => {
      expect(parseDurationMs(formatDurationMs(durationMs))).toBe(durationMs)
    }),
    { numRuns: 500 },
  )
})
