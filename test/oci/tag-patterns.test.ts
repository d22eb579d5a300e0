import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { matchesPattern } from '../../src/oci/tag-patterns.ts'

describe('patterns', () => {
  const tags = fc.stringMatching(/^[ab.]{0,8}$/)
  const patterns = fc.stringMatching(/^[ab.*]{0,8}$/)

  test('fit what the same regular expression fits', () => {
    fc.assert(
      fc.property(tags, patterns, (tag, pattern) => {
        const expression = pattern.replaceAll('.', '\\.').replaceAll('*', '.*')
        expect(matchesPattern(tag, pattern)).toBe(new RegExp(`^${expression}$`).test(tag))
      }),
      { numRuns: 2000 },
    )
  })

  test('cost no more than they are long', () => {
    expect(matchesPattern('a'.repeat(128), `${'a*'.repeat(63)}b`)).toBe(false)
    expect(matchesPattern('a'.repeat(128), 'a*'.repeat(64))).toBe(true)
  })
})
