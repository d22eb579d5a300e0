import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { agoInWords, formatComing, formatMoment } from '../../src/cli/ages.ts'
import { mapFew } from '../../src/cli/concurrent.ts'
import { formatFields, formatLines, pairsOf, shorten } from '../../src/cli/fields.ts'
import { nearestNames } from '../../src/cli/nearest.ts'
import { shortDigests } from '../../src/cli/output.ts'
import { formatBytes } from '../../src/cli/sizes.ts'

const now = Date.UTC(2026, 0, 31)
const ago = (seconds: number) => agoInWords(new Date(now - seconds * 1000).toISOString(), now)

describe('an age', () => {
  test.each([
    [0, 'just now'],
    [0.9, 'just now'],
    [1, '1 second ago'],
    [119, '119 seconds ago'],
    [120, '2 minutes ago'],
    [7199, '119 minutes ago'],
    [7200, '2 hours ago'],
    [2 * 86_400, '2 days ago'],
    [13 * 86_400, '13 days ago'],
    [14 * 86_400, '2 weeks ago'],
    [60 * 86_400, '2 months ago'],
    [730 * 86_400, '2 years ago'],
    [-59, 'just now'],
    [-61, 'in 61 seconds'],
    [-7200, 'in 2 hours'],
    [1 - 12 * 3600, 'in 12 hours'],
    [12 * 3600 - 1, '11 hours ago'],
  ])('of %d seconds is %s', (seconds, text) => expect(ago(seconds)).toBe(text))

  test('stands before its time, and what is no time stays as it is', () => {
    expect(formatMoment('2026-01-28T00:00:00Z', now)).toBe('3 days ago (2026-01-28T00:00:00Z)')
    expect(formatMoment('soon', now)).toBe('soon')
    for (const none of [undefined, null, '']) expect(formatMoment(none, now)).toBe('unknown')
  })

  test.each([
    ['2026-01-31T00:00:01Z', 'within a minute'],
    ['2026-01-31T00:00:59Z', 'within a minute'],
    ['2026-01-31T00:01:00Z', 'in 60 seconds'],
    ['2026-02-03T00:00:00Z', 'in 3 days'],
  ])('to come, %s, is never just now', (time, words) => {
    expect(formatComing(time, now)).toBe(`${words} (${time})`)
  })
})

test.each([
  [0, '0 B'],
  [193, '193 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [36_175_872, '34.5 MiB'],
  [734_003_200, '700 MiB'],
  [2 ** 60, '1048576 TiB'],
  [undefined, '-'],
  [Number.NaN, '-'],
  [-1, '-'],
])('%s bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))

describe('the nearest name', () => {
  test.each([
    ['prd', ['prod', 'test'], ['prod']],
    ['lastet', ['latest', 'test'], ['latest']],
    ['v1.0', ['v1.1', 'v2.0', 'prod'], ['v1.1', 'v2.0']],
    ['x', ['y', 'prod'], ['y']],
    ['prod', [], []],
    ['aaaaaaaaa', ['bbbbbbbbb'], []],
  ])('to %s of %j is %j', (name, names, nearest) => expect(nearestNames(name, names)).toEqual(nearest))

  test('is always one of the names, and the name itself before all', () => {
    const word = fc.string({ maxLength: 12 })
    fc.assert(
      fc.property(word, fc.array(word, { maxLength: 8 }), (name, names) => {
        const found = nearestNames(name, [...names, name])
        expect(found[0]).toBe(name)
        for (const each of found) expect([...names, name]).toContain(each)
        expect(found.length).toBeLessThanOrEqual(3)
      }),
      { numRuns: 300 },
    )
  })
})

test('fields stand in one column, without those that have no value', () => {
  expect(
    formatFields(
      [
        ['A', 'x'],
        ['Long', ['y\u001b', 'z']],
        ['None', undefined],
        ['Empty', []],
      ],
      ' ',
    ),
  ).toBe(' A:     x\n Long:  y?\n        z\n')
  expect(formatFields([])).toBe('')
  expect(formatLines(['a\nb', ''], '  ')).toBe('  a?b\n\n')
})

test('pairs are in the order of their keys, and long ones are cut', () => {
  expect(pairsOf({ b: '2', a: 'x'.repeat(5) }, 3)).toEqual(['a=xxx... (5 characters)', 'b=2'])
  expect(pairsOf(null)).toEqual([])
  expect(shorten('abc', 3)).toBe('abc')
})

test('digests in a text are made short', () => {
  expect(shortDigests(`demo/app@sha256:${'a'.repeat(64)}!`)).toBe('demo/app@sha256:aaaaaaaaaaaa!')
  expect(shortDigests('demo/app:v1')).toBe('demo/app:v1')
})

test('a few at a time, in order, and the first failure is the end', async () => {
  let active = 0
  let most = 0
  const work = async (n: number) => {
    active += 1
    most = Math.max(most, active)
    await Promise.resolve()
    active -= 1
    return n * 2
  }
  const all = Array.from({ length: 20 }, (_, i) => i)
  expect(await mapFew(all, 3, work)).toEqual(all.map((n) => n * 2))
  expect(most).toBe(3)
  expect(await mapFew([], 3, work)).toEqual([])
  await expect(mapFew(all, 3, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
})
