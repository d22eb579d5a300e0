import type { IncomingHttpHeaders } from 'node:http'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { toldQuota } from '../../src/upstream/quota-headers.ts'

const day = 86_400_000

describe('what a registry tells of its limit', () => {
  test.each<[string, IncomingHttpHeaders, ReturnType<typeof toldQuota>]>([
    [
      'Docker Hub',
      { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '76;w=21600' },
      { limit: 100, remaining: 76, windowMs: 21_600_000 },
    ],
    [
      'each header twice',
      // As undici gives them.
      {
        'ratelimit-limit': ['100;w=21600', '100;w=21600'],
        'ratelimit-remaining': ['76;w=21600', '75;w=21600'],
      } as unknown as IncomingHttpHeaders,
      { limit: 100, remaining: 76, windowMs: 21_600_000 },
    ],
    [
      'negative, as Docker Hub was seen to say',
      { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '-3;w=21600' },
      { limit: 100, remaining: 0, windowMs: 21_600_000 },
    ],
    [
      'draft 06',
      { 'ratelimit-limit': '10, 10;w=1, 1000;w=3600', 'ratelimit-remaining': '9', 'ratelimit-reset': '50' },
      { limit: 10, remaining: 9, windowMs: 1000, resetMs: 50_000 },
    ],
    [
      'draft 07',
      { ratelimit: 'limit=100, remaining=50, reset=5', 'ratelimit-policy': '100;w=60' },
      { limit: 100, remaining: 50, windowMs: 60_000, resetMs: 5000 },
    ],
    [
      'draft 08 and later, of two the one of which less is left',
      {
        ratelimit: '"day";r=999;t=3600, "hour";r=5;t=60',
        'ratelimit-policy': '"hour";q=100;w=3600, "day";q=1000;w=86400',
      },
      { limit: 100, remaining: 5, windowMs: 3_600_000, resetMs: 60_000 },
    ],
    ['more left than there is', { 'ratelimit-limit': '10', 'ratelimit-remaining': '11' }, { limit: 10, remaining: 10 }],
    [
      'a window of years counts as a day',
      { 'ratelimit-limit': '1;w=999999999999', 'ratelimit-remaining': '0' },
      { limit: 1, remaining: 0, windowMs: day },
    ],
  ])('%s', (_, headers, told) => {
    expect(toldQuota(headers)).toEqual(told)
  })

  test.each<[string, IncomingHttpHeaders]>([
    ['nothing', {}],
    ['a limit alone', { 'ratelimit-limit': '100;w=21600' }],
    ['what is left alone', { 'ratelimit-remaining': '100;w=21600' }],
    ['words', { 'ratelimit-limit': 'many', 'ratelimit-remaining': 'some' }],
    ['no limit', { 'ratelimit-limit': '0;w=60', 'ratelimit-remaining': '0' }],
    ['a fraction', { 'ratelimit-limit': '10.5', 'ratelimit-remaining': '3' }],
    ['a policy that nobody told', { ratelimit: '"a";r=5', 'ratelimit-policy': '"b";q=10' }],
    ['a header of kilobytes', { 'ratelimit-limit': `10${' '.repeat(2000)}`, 'ratelimit-remaining': '3' }],
  ])('is nothing where there is %s', (_, headers) => {
    expect(toldQuota(headers)).toBeUndefined()
  })

  test('never leads to anything but sane numbers, whatever the headers are', () => {
    const piece = fc.constantFrom(
      '100',
      '-1',
      ';w=',
      'w',
      '=',
      ';',
      ',',
      '"a"',
      ';r=',
      ';q=',
      'limit=',
      'remaining=',
      ' ',
      '21600',
      'NaN',
      '1e9',
    )
    const header = fc.oneof(
      fc.array(piece, { maxLength: 12 }).map((all) => all.join('')),
      fc.string(),
    )
    const names = ['ratelimit', 'ratelimit-policy', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset']
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), header), (headers) => {
        const told = toldQuota(headers)
        if (told === undefined) return
        expect(told.limit).toBeGreaterThan(0)
        expect(told.remaining).toBeGreaterThanOrEqual(0)
        expect(told.remaining).toBeLessThanOrEqual(told.limit)
        for (const ms of [told.windowMs ?? 1, told.resetMs ?? 1]) {
          expect(ms).toBeGreaterThan(0)
          expect(ms).toBeLessThanOrEqual(day)
        }
      }),
      { numRuns: 1000 },
    )
  })

  test('reads back each limit that was written as Docker Hub does', () => {
    const count = fc.integer({ min: 1, max: 1_000_000 })
    fc.assert(
      fc.property(
        count,
        fc.integer({ min: -10, max: 1_000_000 }),
        fc.integer({ min: 1, max: 86_400 }),
        (limit, left, w) => {
          const headers = { 'ratelimit-limit': `${limit};w=${w}`, 'ratelimit-remaining': `${left};w=${w}` }
          const remaining = Math.min(limit, Math.max(0, left))
          expect(toldQuota(headers)).toEqual({ limit, remaining, windowMs: w * 1000 })
        },
      ),
      { numRuns: 300 },
    )
  })
})
