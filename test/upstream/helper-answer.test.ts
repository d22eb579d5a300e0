import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseHelperAnswer } from '../../src/upstream/helper-answer.ts'

const now = Date.UTC(2026, 0, 1)
const parse = (value: unknown) => parseHelperAnswer(JSON.stringify(value), now)

describe('parseHelperAnswer()', () => {
  test.each([
    [{ ServerURL: 'a.example', Username: 'AWS', Secret: 'hush' }, { login: { username: 'AWS', password: 'hush' } }],
    [{ Username: '<token>', Secret: 'hush' }, { login: { identityToken: 'hush', username: '' } }],
    [{ username: 'u', password: 'hush', expiry: null }, { login: { username: 'u', password: 'hush' } }],
    [{ identityToken: 'hush' }, { login: { identityToken: 'hush', username: '' } }],
    [{ username: 'u', identityToken: 'hush' }, { login: { identityToken: 'hush', username: 'u' } }],
    [
      { username: 'u', password: 'hush', expiry: '2026-01-01T02:00:00+01:00' },
      { login: { username: 'u', password: 'hush' }, expiresAt: now + 3_600_000 },
    ],
    [
      { username: 'u', password: 'hush', expiry: '2026-01-01T00:00:01.5Z' },
      { login: { username: 'u', password: 'hush' }, expiresAt: now + 1500 },
    ],
  ])('reads %j', (value, expected) => {
    expect(parse(value)).toEqual(expected)
  })

  const neither = 'printed neither Username and Secret, nor username and password or identityToken'
  test.each([
    [{}, neither],
    [{ Username: 'u' }, neither],
    [{ Username: 'u', Secret: '' }, neither],
    [{ Secret: 'hush' }, neither],
    [{ username: 'a:b', password: 'hush' }, neither],
    [{ username: 'u', password: ['hush'] }, neither],
    [{ username: 'u', password: 'h'.repeat(32 * 1024 + 1) }, neither],
    [{ identityToken: 7 }, neither],
    [[{ username: 'u', password: 'hush' }], 'printed no JSON object'],
    ['hush', 'printed no JSON object'],
    [null, 'printed no JSON object'],
    [{ username: 'u', password: 'hush', expiry: 'tomorrow' }, expect.stringContaining('an expiry that is no time')],
    [{ username: 'u', password: 'hush', expiry: 1_800_000_000 }, expect.stringContaining('an expiry that is no time')],
    [{ username: 'u', password: 'hush', expiry: '2026-13-01T00:00:00Z' }, expect.stringContaining('that is no time')],
    [{ username: 'u', password: 'hush', expiry: '2026-01-01T00:00:00Z' }, expect.stringContaining('expired already')],
  ])('refuses %j', (value, problem) => {
    expect(parse(value)).toEqual(problem)
  })

  test('never fails, and tells nothing of what it read', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.string(),
          fc.string().map((text) => `{"Secret":"hush${text}`),
        ),
        (text) => {
          const answer = parseHelperAnswer(text, now)
          if (typeof answer === 'string') expect(answer).not.toContain('hush')
          else expect(Object.keys(answer.login).length).toBe(2)
        },
      ),
      { numRuns: 500 },
    )
  })
})
