import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createAllowList } from '../../src/upstream/allow-list.ts'

describe('allow list', () => {
  test.each([
    ['docker.io', true],
    ['quay.io', true],
    ['quay.io:443', true],
    ['quay.io:8443', false],
    ['evil-quay.io', false],
    ['quay.io.evil.example', false],
    ['quayxio', false],
    ['eu.gcr.io', true],
    ['gcr.io', false],
    ['a.b.gcr.io', true],
    ['.gcr.io', false],
    ['registry.local:5000', true],
    ['registry.local', false],
    ['localhost:5100', true],
    ['localhost:5101', false],
  ])('%s allowed: %s', (host, allowed) => {
    const list = createAllowList(['docker.io', 'quay.io', '*.gcr.io', 'registry.local:5000'], ['localhost:5100'])
    expect(list.allows(host)).toBe(allowed)
  })

  test('an empty list allows only the hosts named in upstreams', () => {
    const list = createAllowList([], ['localhost:5100'])
    expect(list.allows('localhost:5100')).toBe(true)
    expect(list.allows('docker.io')).toBe(false)
  })

  test('a lone star allows every registry', () => {
    expect(createAllowList(['*'], []).allows('anything.example:1234')).toBe(true)
  })

  test('a pattern without a star allows exactly itself', () => {
    const host = fc.stringMatching(/^[a-z0-9]{1,8}(\.[a-z0-9]{1,8}){0,3}(:[1-9][0-9]{3})?$/)
    fc.assert(
      fc.property(host, host, (pattern, other) => {
        expect(createAllowList([pattern], []).allows(other)).toBe(pattern === other)
      }),
      { numRuns: 300 },
    )
  })
})
