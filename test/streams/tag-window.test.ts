import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createTagWindow } from '../../src/streams/tag-window.ts'
import { parseTrack, type Track } from '../../src/streams/tracking.ts'

function track(text: string): Track {
  const parsed = parseTrack(text)
  if ('problem' in parsed) throw new TypeError(parsed.problem)
  return parsed
}

function kept(most: number, tags: readonly string[], policy?: string) {
  const window = createTagWindow(most, policy === undefined ? undefined : track(policy))
  for (const tag of tags) window.offer(tag)
  return { tags: window.tags(), beyond: window.beyond() }
}

const version = fc
  .tuple(fc.nat(3), fc.nat(12), fc.nat(3), fc.constantFrom('', '-rc1', '-alpine'))
  .map(([major, minor, patch, rest]) => `${major}.${minor}.${patch}${rest}`)
const tag = fc.oneof(version, fc.constantFrom('latest', 'main', 'v1', '1.0', 'nightly-9', 'nightly-10', '!odd'))
const policy = fc.constantFrom(
  undefined,
  'semver:*',
  'semver:>=1 <3',
  'semver:* -alpine',
  'regex:.*',
  'regex:.*;numeric',
)

describe('the tags that a stream follows of a repository', () => {
  test('are the same in whatever order, and however often, they are listed', () => {
    fc.assert(
      fc.property(fc.array(tag, { maxLength: 40 }), fc.integer({ min: 1, max: 10 }), policy, (tags, most, text) => {
        const expected = kept(most, tags, text).tags
        expect(kept(most, tags.toReversed(), text).tags).toEqual(expected)
        expect(kept(most, [...tags, ...tags], text).tags).toEqual(expected)
      }),
      { numRuns: 300 },
    )
  })

  test('are the greatest that fit, each once, and as many as there may be', () => {
    fc.assert(
      fc.property(fc.array(tag, { maxLength: 40 }), fc.integer({ min: 1, max: 10 }), policy, (tags, most, text) => {
        const all = kept(1000, tags, text).tags
        const some = kept(most, tags, text)
        expect(some.tags).toEqual(all.slice(0, most))
        expect(new Set(all).size).toBe(all.length)
        const fitting = (text === undefined ? track('newest') : track(text)).keyOf
        const named = [...new Set(tags)].filter((each) => fitting(each) !== undefined || (!text && each === 'latest'))
        expect([...all].sort()).toEqual(named.sort())
      }),
      { numRuns: 300 },
    )
  })

  test('are counted beyond the most, of different ones exactly', () => {
    fc.assert(
      fc.property(fc.uniqueArray(version, { maxLength: 40 }), fc.integer({ min: 1, max: 10 }), (tags, most) => {
        const { tags: some, beyond } = kept(most, tags)
        expect(some.length + beyond).toBe(tags.length)
      }),
      { numRuns: 200 },
    )
  })

  test('are in the order of the policy; without one latest first, then versions, then the others', () => {
    const tags = ['main', '1.2', '1.10.0', 'latest', '1.2.0-rc1', '2.0.0-alpine']
    expect(kept(3, tags).tags).toEqual(['latest', '1.10.0', '1.2'])
    expect(kept(9, tags, 'semver:>=1').tags).toEqual(['1.10.0', '1.2'])
    expect(kept(2, ['b1', 'b10', 'b9'], 'regex:b(\\d+);numeric').tags).toEqual(['b10', 'b9'])
    expect(kept(2, ['b1', 'b10', 'b9'], 'regex:b(\\d+)').tags).toEqual(['b9', 'b10'])
  })

  test('are never those that are derived from digests, whatever the policy says', () => {
    const derived = [`sha256-${'a'.repeat(64)}`, `sha256-${'a'.repeat(64)}.sig`]
    for (const text of [undefined, 'regex:.*', 'regex:sha256-.*']) expect(kept(9, derived, text).tags).toEqual([])
  })
})
