import fc from 'fast-check'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { retryAfterMs } from '../../src/upstream/retry-after.ts'

const now = Date.UTC(2026, 0, 1)
const dayMs = 24 * 3600 * 1000

describe('retryAfterMs()', () => {
  test('reads seconds and dates, a day at most and never a negative time', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1_000_000, max: 1_000_000 }), (seconds) => {
        const wanted = Math.min(Math.max(seconds, 0) * 1000, dayMs)
        if (seconds >= 0) expect(retryAfterMs(String(seconds), now)).toBe(wanted)
        expect(retryAfterMs(new Date(now + seconds * 1000).toUTCString(), now)).toBe(wanted)
      }),
      { numRuns: 300 },
    )
  })

  test('gives of anything a time from nothing to a day, or nothing at all', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9 .:,a-zA-Z+-]{0,30}$/)), (header) => {
        const ms = retryAfterMs(header, now)
        if (ms !== undefined) expect(ms >= 0 && ms <= dayMs).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  test.each(['Thu, 01 Jan 2026 00:02:00 GMT', 'Thursday, 01-Jan-26 00:02:00 GMT', 'Thu Jan  1 00:02:00 2026'])(
    'reads %s as UTC, wherever the server stands',
    (header) => {
      vi.stubEnv('TZ', 'Pacific/Kiritimati')
      onTestFinished(() => void vi.unstubAllEnvs())
      expect(new Date(0).getTimezoneOffset()).not.toBe(0)
      expect(retryAfterMs(header, now)).toBe(120_000)
    },
  )

  test('takes the longest of several, and leaves out what is none', () => {
    expect(retryAfterMs(['1', '120', 'soon'], now)).toBe(120_000)
    expect(retryAfterMs(['soon', ''], now)).toBeUndefined()
    expect(retryAfterMs([], now)).toBeUndefined()
  })

  test.each([undefined, '', '-1', '1.5', '1e3', 'soon', 'Sunday', '1, 2'])('reads nothing in %j', (header) => {
    expect(retryAfterMs(header, now)).toBeUndefined()
  })
})
