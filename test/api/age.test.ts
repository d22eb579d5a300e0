import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ageOf, agoInWords, formatAge, formatDurationWords } from '../../src/api/age.ts'

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour
const year = 365 * day

describe('formatAge()', () => {
  test.each([
    [-2 * second, '<invalid>'],
    [-1500, '0s'],
    [-1, '0s'],
    [0, '0s'],
    [119 * second, '119s'],
    [2 * minute, '2m'],
    [3 * minute + 20 * second, '3m20s'],
    [10 * minute + 5 * second, '10m'],
    [179 * minute, '179m'],
    [3 * hour, '3h'],
    [7 * hour + 59 * minute, '7h59m'],
    [8 * hour + 59 * minute, '8h'],
    [47 * hour, '47h'],
    [48 * hour, '2d'],
    [2 * day + 3 * hour, '2d3h'],
    [8 * day + 3 * hour, '8d'],
    [2 * year - day, '729d'],
    [2 * year, '2y'],
    [3 * year + 12 * day, '3y12d'],
    [8 * year + 12 * day, '8y'],
    [Number.NaN, '<invalid>'],
  ])('writes %i ms as %s', (duration, text) => {
    expect(formatAge(duration)).toBe(text)
  })

  test('is never off by more than a tenth', () => {
    const unitMs: Record<string, number> = { s: second, m: minute, h: hour, d: day, y: year }
    fc.assert(
      fc.property(fc.integer({ min: 10 * second, max: 100 * year }), (duration) => {
        const parts = [...formatAge(duration).matchAll(/([0-9]+)([smhdy])/g)]
        const shown = parts.reduce((sum, [, count, unit = '']) => sum + Number(count) * (unitMs[unit] ?? 0), 0)
        expect(parts.length).toBeGreaterThan(0)
        expect(shown).toBeLessThanOrEqual(duration)
        expect(shown).toBeGreaterThan(duration * 0.88)
      }),
      { numRuns: 500 },
    )
  })

  test('grows with the duration', () => {
    const years = (text: string) => /^([0-9]+)y$/.exec(text)?.[1]
    fc.assert(
      fc.property(fc.integer({ min: 8 * year, max: 500 * year }), (duration) => {
        expect(Number(years(formatAge(duration + year)))).toBe(Number(years(formatAge(duration))) + 1)
      }),
      { numRuns: 200 },
    )
  })
})

describe('formatDurationWords()', () => {
  test.each([
    [-5 * hour, 'Less than a second'],
    [999, 'Less than a second'],
    [second, '1 second'],
    [59 * second, '59 seconds'],
    [minute, 'About a minute'],
    [2 * minute, '2 minutes'],
    [59 * minute, '59 minutes'],
    [60 * minute, 'About an hour'],
    [89 * minute, 'About an hour'],
    [90 * minute, '2 hours'],
    [47 * hour, '47 hours'],
    [48 * hour, '2 days'],
    [13 * day, '13 days'],
    [14 * day, '2 weeks'],
    [21 * day, '3 weeks'],
    [59 * day, '8 weeks'],
    [60 * day, '2 months'],
    [729 * day, '24 months'],
    [2 * year, '2 years'],
  ])('writes %i ms as %s', (duration, text) => {
    expect(formatDurationWords(duration)).toBe(text)
  })

  test('always has words', () => {
    fc.assert(
      fc.property(fc.double(), (duration) => {
        expect(formatDurationWords(duration)).toMatch(/^(Less than a second|About an? (minute|hour)|\S+ [a-z]+)$/)
      }),
      { numRuns: 500 },
    )
  })
})

test('what is no time has no age', () => {
  for (const time of [undefined, null, '', 'yesterday', 5, {}]) {
    expect(ageOf(time, 0)).toBe('<unknown>')
    expect(agoInWords(time, 0)).toBe('')
  }
  expect(ageOf('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:05:00Z'))).toBe('5m')
  expect(agoInWords('2026-01-01T00:00:00Z', Date.parse('2026-01-08T00:00:00Z'))).toBe('7 days ago')
})
