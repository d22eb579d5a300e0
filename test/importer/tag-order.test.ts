import fc from 'fast-check'
import semver from 'semver'
import { describe, expect, test } from 'vitest'
import { prioritizeTags } from '../../src/importer/tag-order.ts'
import { isTag } from '../../src/oci/reference.ts'

const number = fc.nat({ max: 30 })
const suffix = fc.constantFrom('', '-rc1', '-alpine', '-rc.2', '-0', '-01', '_x')
const versionLike = fc
  .tuple(fc.constantFrom('', 'v', 'V'), fc.array(number, { minLength: 1, maxLength: 4 }), suffix)
  .map(([v, numbers, rest]) => `${v}${numbers.join('.')}${rest}`)
const word = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,12}$/)
const tag = fc.oneof(fc.constant('latest'), versionLike, word).filter(isTag)
const tags = fc.uniqueArray(tag, { maxLength: 40 })

describe('the order in which tags are imported', () => {
  test('is latest, versions without a patch level, whole versions, and all others', () => {
    const listed = [
      'zeta',
      '1.2.3',
      'latest',
      '5',
      'v5.1',
      'alpha',
      '5.1-rc1',
      'v1.2.10',
      '1.2.3-rc1',
      '4.9',
      'v5.1-rc1',
    ]
    expect(prioritizeTags(listed)).toEqual([
      'latest',
      'v5.1',
      '5.1-rc1',
      'v5.1-rc1',
      '5',
      '4.9',
      'v1.2.10',
      '1.2.3',
      '1.2.3-rc1',
      'alpha',
      'zeta',
    ])
  })

  test('goes by numbers and not by letters', () => {
    expect(prioritizeTags(['1.9', '1.10', '1.2.9', '1.2.10', '9', '10'])).toEqual([
      '10',
      '9',
      '1.10',
      '1.9',
      '1.2.10',
      '1.2.9',
    ])
  })

  test.each([
    ['a version of four parts', '1.2.3.4'],
    ['a number with a zero in front', '01.2'],
    ['a pre-release with a zero in front', '1.2-01'],
    ['a number that no version has', '1.99999999999999999999'],
    ['an underscore', '1.2.3_4'],
    ['two letters in front', 'vv1.2'],
    ['a capital in front', 'V1.2'],
    ['latest in other letters', 'Latest'],
  ])('takes %s for no version', (_what, odd) => {
    expect(prioritizeTags([odd, '0.0.1', 'v0'])).toEqual(['v0', '0.0.1', odd])
  })

  test('keeps every tag, and is the same in whatever order they were listed', () => {
    fc.assert(
      fc.property(tags, fc.infiniteStream(fc.nat()), (listed, random) => {
        const shuffled = listed
          .map((each) => ({ each, at: random.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ each }) => each)
        const ordered = prioritizeTags(listed)
        expect([...ordered].sort()).toEqual([...listed].sort())
        expect(prioritizeTags(shuffled)).toEqual(ordered)
        expect(prioritizeTags(ordered)).toEqual(ordered)
      }),
      { numRuns: 500 },
    )
  })

  test('is the same of two tags whatever others there are', () => {
    fc.assert(
      fc.property(tags, fc.nat(), fc.nat(), (listed, i, j) => {
        const [a, b] = [listed[i % listed.length], listed[j % listed.length]]
        if (a === undefined || b === undefined) return
        const ordered = prioritizeTags(listed)
        expect(prioritizeTags([a, b]).indexOf(a)).toBe(a === b ? 0 : ordered.indexOf(a) < ordered.indexOf(b) ? 0 : 1)
      }),
      { numRuns: 500 },
    )
  })

  test('puts whole versions highest first', () => {
    const version = fc.tuple(fc.constantFrom('', 'v'), number, number, number).map(([v, ...n]) => v + n.join('.'))
    fc.assert(
      fc.property(fc.uniqueArray(version), (listed) => {
        const plain = prioritizeTags(listed).map((each) => each.replace('v', ''))
        expect(plain).toEqual([...plain].sort(semver.rcompare))
      }),
      { numRuns: 200 },
    )
  })
})
