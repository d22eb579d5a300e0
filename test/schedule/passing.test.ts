import { expect, test } from 'vitest'
import type { UpstreamReason } from '../../src/oci/errors.ts'
import { isPassing } from '../../src/schedule/check.ts'
import { upstreamFailure } from '../../src/upstream/failure.ts'

test.each<[Exclude<UpstreamReason, 'NotFound'>, boolean]>([
  ['TooManyRequests', true],
  ['Unreachable', true],
  ['Unauthorized', false],
  ['Forbidden', false],
  ['CredentialsExpired', false],
  ['NotAllowed', false],
  ['Tls', false],
  ['BadDigest', false],
  ['Invalid', false],
])('what failed as %s may be over by itself: %s', (reason, passes) => {
  expect(isPassing(upstreamFailure('a.example', reason, 'why'))).toBe(passes)
})

test('a login that nobody could give may be given a while later', () => {
  expect(isPassing(upstreamFailure('a.example', 'CredentialsExpired', 'why', { code: 'UNAVAILABLE' }))).toBe(true)
})
