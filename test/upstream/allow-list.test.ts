import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createAllowList } from '../../src/upstream/allow-list.ts'

const allows = (options: Partial<Parameters<typeof createAllowList>[0]>, host: string): boolean =>
  createAllowList({ patterns: [], named: [], own: [], ...options }).refusalOf(host) === undefined

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
    ['1234.dkr.ecr.eu-west-1.amazonaws.com', true],
    ['bucket.s3.amazonaws.com', false],
    ['a.dkr.ecr.bucket.s3.amazonaws.com', false],
    ['registry.local:5000', true],
    ['registry.local', false],
    ['localhost:5100', true],
    ['localhost:5101', false],
  ])('%s allowed: %s', (host, allowed) => {
    const patterns = ['docker.io', 'quay.io', '*.gcr.io', '*.dkr.ecr.*.amazonaws.com', 'registry.local:5000']
    expect(allows({ patterns, named: ['localhost:5100'] }, host)).toBe(allowed)
  })

  test('an empty list allows only the hosts named in upstreams', () => {
    expect(allows({ named: ['localhost:5100'] }, 'localhost:5100')).toBe(true)
    expect(allows({ named: ['localhost:5100'] }, 'docker.io')).toBe(false)
  })

  test('a lone star allows every registry', () => {
    expect(allows({ patterns: ['*'] }, 'anything.example:1234')).toBe(true)
  })

  test('Weir itself is never allowed, whoever names it', () => {
    const own = ['weir.example', 'localhost:5000']
    for (const host of ['weir.example', 'weir.example:443', 'localhost:5000']) {
      expect(allows({ patterns: ['*'], named: [host], own }, host)).toBe(false)
    }
    expect(allows({ patterns: ['*'], own }, 'weir.example:8443')).toBe(true)
  })

  test.each([
    'localhost:5000',
    '127.0.0.1:5000',
    '10.0.0.5',
    '169.254.169.254',
    '0x7f000001:80',
    '127.1',
    '[::1]:5000',
    '[fd00::1]',
    '[::ffff:10.0.0.5]',
  ])('a home at %s is named in upstreams, or none', (host) => {
    expect(createAllowList({ patterns: ['*', host], named: [], own: [] }).refusalOf(host, 'push')).toBe(
      `pushing images on to "${host}" is forbidden: its address is not public; name it in upstreams of Weir's config`,
    )
    expect(createAllowList({ patterns: [], named: [host], own: [] }).refusalOf(host, 'push')).toBeUndefined()
  })

  test.each(['quay.io', '8.8.8.8:5000', '[2606:4700::1111]', 'ten.0.0.5', 'localhost.example'])(
    'a star allows a home at %s',
    (host) => {
      expect(createAllowList({ patterns: ['*'], named: [], own: [] }).refusalOf(host, 'push')).toBeUndefined()
    },
  )

  test('a refusal says what is allowed and where to change it', () => {
    const refusal = createAllowList({ patterns: ['quay.io'], named: ['a:1'], own: [] }).refusalOf('b.example')
    expect(refusal).toContain('a:1, quay.io')
    expect(refusal).toContain('imports.allowedRegistries')
  })

  test('a pattern without a star allows exactly itself', () => {
    const host = fc.stringMatching(/^[a-z0-9]{1,8}(\.[a-z0-9]{1,8}){0,3}(:[1-9][0-9]{3})?$/)
    fc.assert(
      fc.property(host, host, (pattern, other) => {
        expect(allows({ patterns: [pattern] }, other)).toBe(pattern === other)
      }),
      { numRuns: 300 },
    )
  })
})
