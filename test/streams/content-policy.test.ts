import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type ContentPolicy,
  contentPolicy,
  isWantedPlatform,
  parsePlatforms,
  validateContentPolicy,
} from '../../src/streams/content-policy.ts'

const defaults: ContentPolicy = {
  retain: 'pinned',
  platforms: ['linux/amd64'],
  historyKeep: 10,
  historyKeepDays: 30,
  move: 'at-once',
}

/** So many platforms. */
function many(count: number): string {
  return Array.from({ length: count }, (_, i) => `linux/amd64/v${i}`).join(',')
}

const good: Record<string, [written: string, key: keyof ContentPolicy, value: unknown][]> = {
  'weir.dev/retain': [
    ['pinned', 'retain', 'pinned'],
    ['pulled', 'retain', 'pulled'],
  ],
  'weir.dev/platforms': [
    ['linux/arm64', 'platforms', ['linux/arm64']],
    ['linux/arm/v7, windows/amd64', 'platforms', ['linux/arm/v7', 'windows/amd64']],
    [many(32), 'platforms', many(32).split(',')],
  ],
  'weir.dev/history-keep': [
    ['1', 'historyKeep', 1],
    ['1000000', 'historyKeep', 1_000_000],
  ],
  'weir.dev/history-keep-days': [
    ['0', 'historyKeepDays', 0],
    ['36500', 'historyKeepDays', 36_500],
  ],
  'weir.dev/move': [
    ['when-held', 'move', 'when-held'],
    ['at-once', 'move', 'at-once'],
  ],
}

const bad: Record<string, string[]> = {
  'weir.dev/retain': ['', 'Pinned', 'all', 'pinned '],
  'weir.dev/platforms': [
    '',
    'linux',
    'linux/',
    'Linux/amd64',
    'linux/amd64,',
    'linux/amd64;linux/arm64',
    '../..',
    many(33),
  ],
  'weir.dev/history-keep': ['', '0', '-1', '1.5', '1e3', '1000001', '99999999', 'ten', '0x10'],
  'weir.dev/history-keep-days': ['', '-1', '36501', 'never'],
  'weir.dev/move': ['', 'held', 'WHEN-HELD'],
}

describe('the policy of a tag', () => {
  test.each(Object.entries(good))('is changed by %s, which is valid', (name, cases) => {
    for (const [written, key, value] of cases) {
      expect(contentPolicy(defaults, { [name]: written })).toEqual({ ...defaults, [key]: value })
      expect(validateContentPolicy({ [name]: written }, undefined, 'metadata.annotations')).toEqual([])
    }
  })

  test.each(Object.entries(bad))(
    'is not changed by what says nothing in %s, which is refused by its path',
    (name, values) => {
      for (const written of values) {
        expect(contentPolicy(defaults, { [name]: written })).toEqual(defaults)
        const [cause, ...more] = validateContentPolicy({ [name]: written }, {}, 'metadata.annotations')
        expect(cause).toMatchObject({ field: `metadata.annotations[${name}]`, reason: 'FieldValueInvalid' })
        expect(more).toEqual([])
        // What is there is not judged anew.
        expect(validateContentPolicy({ [name]: written }, { [name]: written }, 'metadata.annotations')).toEqual([])
      }
    },
  )

  test('is not changed by annotations that every object inherits', () => {
    const inherited = Object.create({ 'weir.dev/retain': 'pulled' }) as Record<string, string>
    expect(contentPolicy(defaults, inherited)).toEqual(defaults)
  })

  test('is that of the most specific level which says something', () => {
    const level = fc.option(
      fc.record(
        Object.fromEntries(
          Object.entries(good).map(([name, cases]) => [
            name,
            fc.constantFrom(...cases.map(([written]) => written), ...(bad[name] ?? [])),
          ]),
        ),
        { requiredKeys: [] },
      ) as fc.Arbitrary<Record<string, string>>,
      { nil: undefined },
    )
    fc.assert(
      fc.property(level, level, level, (project, stream, tag) => {
        const policy = contentPolicy(defaults, project, stream, tag)
        for (const [name, cases] of Object.entries(good)) {
          const said = [tag, stream, project].map((annotations) => annotations?.[name])
          const known = said.map((written) => cases.find(([each]) => each === written)).find(Boolean)
          const key = cases[0]?.[1] as keyof ContentPolicy
          expect(policy[key]).toEqual(known === undefined ? defaults[key] : known[2])
        }
      }),
      { numRuns: 300 },
    )
  })

  test('is read of any text without a failure', () => {
    fc.assert(
      fc.property(fc.string(), (written) => {
        const annotations = Object.fromEntries(Object.keys(good).map((name) => [name, written]))
        const policy = contentPolicy(defaults, annotations)
        const refused = validateContentPolicy(annotations, undefined, 'a').length
        expect(refused).toBeGreaterThanOrEqual(Object.keys(good).length - 2)
        expect(policy.historyKeep).toBeGreaterThanOrEqual(1)
        expect(parsePlatforms(written)?.length ?? 1).toBeGreaterThan(0)
      }),
      { numRuns: 300 },
    )
  })
})

describe('a child of an index', () => {
  test.each([
    [{ os: 'linux', architecture: 'amd64' }, true],
    [{ os: 'linux', architecture: 'amd64', variant: 'v2' }, true],
    [{ os: 'linux', architecture: 'arm64', variant: 'v8' }, true],
    [{ os: 'linux', architecture: 'arm', variant: 'v7' }, true],
    [{ os: 'linux', architecture: 'arm', variant: 'v6' }, false],
    [{ os: 'windows', architecture: 'amd64' }, false],
    [{ os: 'linux', architecture: 's390x' }, false],
    // Attestations belong to all.
    [{ os: 'unknown', architecture: 'unknown' }, true],
    [{}, true],
  ])('%o is wanted for linux/amd64, linux/arm64 and linux/arm/v7: %s', (child, isWanted) => {
    expect(isWantedPlatform(child, ['linux/amd64', 'linux/arm64', 'linux/arm/v7'])).toBe(isWanted)
  })
})
