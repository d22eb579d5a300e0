import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TagReference } from '../../src/streams/records.ts'
import { parseTagVersion } from '../../src/streams/tag-version.ts'
import {
  createChooser,
  offerAll,
  parseTrack,
  type Track,
  trackAnnotation,
  trackOf,
  validateTrack,
} from '../../src/streams/tracking.ts'

function track(text: string): Track {
  const parsed = parseTrack(text)
  if ('problem' in parsed) throw new Error(parsed.problem)
  return parsed
}

function choose(text: string, tags: readonly string[]): string | undefined {
  const chooser = createChooser(track(text))
  for (const tag of tags) chooser.offer(tag)
  return chooser.chosen()
}

const nginx = ['latest', '1', '1.26', '1.26.3', '1.27', '1.27.4', '1.27.5', '1.27.10', '1.28.0-rc1', '1.27-alpine']
nginx.push('1.27.5-alpine', '1.27.5-alpine3.21', '1.28.0-rc1-alpine', '2', 'stable', '20240131', '1.27.5.1', '1234567')

describe('semver', () => {
  test.each([
    ['~1.27', '1.27.10'],
    ['1.27', '1.27.10'],
    ['v1.27', '1.27.10'],
    ['1', '1.27.10'],
    ['>=1.26 <1.27', '1.26.3'],
    ['1.25 - 1.26', '1.26.3'],
    ['*', '2'],
    ['1.26.x || 1.25.x', '1.26.3'],
    ['3', undefined],
    // Pre-releases only where one is named, and then of all versions.
    ['~1.28', undefined],
    ['~1.28.0-0', '1.28.0-rc1'],
    ['>=1.27.0-0 <2', '1.28.0-rc1'],
    // Variants only where one is named, and that one alone.
    ['~1.27 -alpine', '1.27.5-alpine'],
    ['~1.27 -alpine3.21', '1.27.5-alpine3.21'],
    ['~1.28 -alpine', undefined],
    ['>=1.27.0-0 -alpine', '1.28.0-rc1-alpine'],
    ['* -bookworm', undefined],
    // A version by itself is exact; what a range says of a whole version, it says of its pre-releases too.
    ['=1.27.4', '1.27.4'],
    ['>=1.27.0-0 <1.28.0', '1.28.0-rc1'],
    ['>=1.27.0-0 <1.28.0-0', '1.27.10'],
  ])('%s chooses %s', (range, chosen) => {
    expect(choose(`semver:${range}`, nginx)).toBe(chosen)
  })

  test.each([
    [['1.27', '1.27.0'], '1.27.0'],
    [['1.27', 'v1.27'], '1.27'],
    [['v1', '1.0'], '1.0'],
    [['v1'], 'v1'],
    [['1.27', '1.27.0-rc.1'], '1.27'],
    [['1.0.0-rc.9', '1.0.0-rc.10', '1.0.0-beta.11'], '1.0.0-rc.10'],
    [['v1.27.0', '1.27.0'], '1.27.0'],
    [['1.27.0-rc1', '1.27-rc1'], '1.27.0-rc1'],
    [['24.04', '24.10', '25.04'], '25.04'],
    [['1.07', '1.7'], '1.07'],
    [['1.27.3', '20240131', '20240131-1', 'v20240131', '7654321', '20240131.2'], '1.27.3'],
    [['1.2.3-1', '1.2.3', '1.2.3-9'], '1.2.3'],
    [['1.2.3-rc.99999999999999999999', '1.2.3-rc.99999999999999999998'], '1.2.3-rc.99999999999999999998'],
    [['1.9007199254740993.0', '1.2'], '1.2'],
  ])('of %s the highest is %s', (tags, chosen) => {
    expect(choose('semver:>=0.0.0-0', tags)).toBe(chosen)
    expect(choose('semver:>=0.0.0-0', tags.toReversed())).toBe(chosen)
  })

  test.each([
    ['>=22.04 <24', '22.10'],
    ['~24.04', '24.04'],
    ['24.04 || 22.04', '24.04'],
    ['>=24.04', '25.04'],
    ['<=24.04', '24.04'],
    ['22.04 - 24.04', '24.04'],
    ['>1.0.0-0 <23', '22.10'],
  ])('of numbers with leading zeros %s chooses %s', (range, chosen) => {
    expect(choose(`semver:${range}`, ['22.04', '22.10', '24.04', '25.04'])).toBe(chosen)
  })

  test.each([
    ['', 'no range'],
    ['-alpine', 'no range'],
    ['latest', 'no range of versions'],
    ['1.27-alpine', 'semver:~1.27 -alpine'],
    ['~1.27 -rc1', 'pre-release'],
    ['1.27 -alpine || 1.28', 'no range of versions'],
    [Array(20).fill('1').join('||'), 'alternatives'],
  ])('%s is refused: %s', (range, why) => {
    expect(parseTrack(`semver:${range}`)).toEqual({ problem: expect.stringContaining(why) })
  })
})

describe('a tag', () => {
  test.each([
    ['1', '1.0.0', 1, ''],
    ['v1', '1.0.0', 1, ''],
    ['1.27', '1.27.0', 2, ''],
    ['1.27.3', '1.27.3', 3, ''],
    ['1.27-alpine', '1.27.0', 2, '-alpine'],
    ['1.27.3-alpine3.19', '1.27.3', 3, '-alpine3.19'],
    ['1.27-bookworm-perl', '1.27.0', 2, '-bookworm-perl'],
    ['1.2.3-debian-12-r4', '1.2.3', 3, '-debian-12-r4'],
    ['1.2.3-rc.1', '1.2.3-rc.1', 3, ''],
    ['1.2.3-RC1', '1.2.3-RC1', 3, ''],
    ['1.2.3-SNAPSHOT', '1.2.3-SNAPSHOT', 3, ''],
    ['1.2.3-1', '1.2.3-1', 3, ''],
    ['1.2.3-beta-2-alpine', '1.2.3-beta-2', 3, '-alpine'],
    ['3.0.0-M1', '3.0.0-M1', 3, ''],
    ['1.2.3-rcx', '1.2.3', 3, '-rcx'],
    ['24.04', '24.4.0', 2, ''],
    ['2024.01.05', '2024.1.5', 3, ''],
    ['v00.00', '0.0.0', 2, ''],
    ['99999', '99999.0.0', 1, ''],
    ['1.2.3-20240131', '1.2.3-20240131', 3, ''],
  ])('%s is version %s of %i numbers, variant "%s"', (tag, version, numbers, variant) => {
    const parsed = parseTagVersion(tag)
    expect({ ...parsed, version: parsed?.version.version }).toEqual({ version, numbers, variant })
  })

  test.each([
    'latest',
    '20240131',
    '100000.1',
    '1.2.3-rc.01',
    '1.2.3.4',
    '1.27_a',
    '1.27alpine',
    'V1',
    '1.2.',
    'v',
    '1.2.3-',
    '99999999999999999999',
  ])('%s is no version', (tag) => {
    expect(parseTagVersion(tag)).toBeUndefined()
  })

  test('that was made to take long is read at once', () => {
    const made = [`1.2.3-rc${'1'.repeat(100)}x`, `1.${'0'.repeat(60)}.${'0'.repeat(60)}x`, '1.2.3-'.repeat(21)]
    for (let i = 0; i < 1000; i++) for (const each of made) parseTagVersion(each)
  })
})

describe('regex', () => {
  const builds = ['main-0af-9', 'main-1bc-10', 'main-2cd-2', 'dev-0aa-99', 'latest']

  test.each([
    ['regex:main-[a-f0-9]+-(\\d+);numeric', 'main-1bc-10'],
    ['regex:main-[a-f0-9]+-(\\d+);alphabetical', 'main-0af-9'],
    ['regex:main-[a-f0-9]+-(\\d+)', 'main-0af-9'],
    ['regex:main-.*', 'main-2cd-2'],
    ['regex:none', undefined],
  ])('%s chooses %s', (text, chosen) => {
    expect(choose(text, builds)).toBe(chosen)
  })

  test('means no tag that is derived from a digest', () => {
    const derived = `sha256-${'f'.repeat(64)}`
    expect(choose('regex:.*', ['b1', derived, `${derived}.sig`])).toBe('b1')
  })

  test('numbers count as such wherever they are, and however long', () => {
    expect(choose('regex:.*;numeric', ['2024.01.9', '2024.01.10', '2023.12.31'])).toBe('2024.01.10')
    expect(choose('regex:.*;numeric', [`b${'9'.repeat(100)}`, `b1${'0'.repeat(100)}`])).toBe(`b1${'0'.repeat(100)}`)
    expect(choose('regex:(\\d+)-.*;numeric', ['7-b', '07-a'])).toBe('07-a')
  })

  test.each([
    ['regex:a;up', ';numeric or ;alphabetical'],
    ['regex:a;numeric;numeric', ';numeric or ;alphabetical'],
    ['regex:(a', 'not closed'],
    ['regex:', 'empty'],
    [`regex:${'a'.repeat(300)}`, '256'],
  ])('%s is refused: %s', (text, why) => {
    expect(parseTrack(text)).toEqual({ problem: expect.stringContaining(why) })
  })
})

describe('newest', () => {
  const digestTag = `sha256-${'f'.repeat(64)}`
  test.each([
    [nginx.filter((tag) => tag !== '2'), '1.27.10'],
    [['latest', '3.0.0-rc1', '2.0.0'], '2.0.0'],
    [['latest', 'build-9', 'build-10', digestTag, `${digestTag}.sig`], 'build-10'],
    [['24.04', '24.10', '22.04', '25.04'], '25.04'],
    [['20240131', '20231231', '20240131-1', 'latest'], '20240131-1'],
    [['1.27.3', '20240131', '1234567'], '1.27.3'],
    [['1.0.0.9', '1.0.0.10'], '1.0.0.10'],
    [['latest', digestTag], undefined],
  ])('of %s is %s', (tags, chosen) => {
    expect(choose('newest', tags)).toBe(chosen)
  })
})

describe('a range', () => {
  const number = fc.nat({ max: 30 })
  const release = fc.tuple(number, number, number)
  const written = fc.tuple(fc.constantFrom('', 'v'), release, fc.nat({ max: 2 })).map(([v, numbers, cut]) => {
    const shown = numbers.slice(0, 3 - cut)
    return { tag: v + shown.join('.'), numbers: [...shown, 0, 0].slice(0, 3) }
  })
  const order = (a: readonly number[], b: readonly number[]): number =>
    a.map((each, i) => each - (b[i] ?? 0)).find((difference) => difference !== 0) ?? 0

  test('chooses of releases what plain numbers choose', () => {
    fc.assert(
      fc.property(release, release, fc.array(written, { minLength: 1, maxLength: 20 }), (least, below, tags) => {
        const chosen = choose(
          `semver:>=${least.join('.')} <${below.join('.')}`,
          tags.map(({ tag }) => tag),
        )
        const meant = tags.filter(({ numbers }) => order(numbers, least) >= 0 && order(numbers, below) < 0)
        const best = meant.reduce<number[] | undefined>(
          (high, { numbers }) => (high === undefined || order(numbers, high) > 0 ? numbers : high),
          undefined,
        )
        expect(tags.find(({ tag }) => tag === chosen)?.numbers).toEqual(best)
      }),
      { numRuns: 500 },
    )
  })

  test('means no pre-release where it names none, and no variant that is not named', () => {
    const end = fc.constantFrom('-rc1', '-rc.1', '-1', '-alpine', '-rc1-alpine', '-bookworm-slim', '-SNAPSHOT')
    fc.assert(
      fc.property(written, end, ({ tag }, suffix) => {
        expect(choose('semver:*', [tag + suffix])).toBeUndefined()
        expect(choose('semver:>=0.0.0-0', [tag + suffix]) !== undefined).toBe(!/alpine|slim/.test(suffix))
        expect(choose('semver:* -alpine', [tag + suffix]) !== undefined).toBe(suffix === '-alpine')
      }),
      { numRuns: 300 },
    )
  })
})

describe('any policy', () => {
  const policy = fc.constantFrom(
    'newest',
    'semver:*',
    'semver:>=0.0.0-0',
    'semver:^1.2 -alpine',
    'regex:.*',
    'regex:.*;numeric',
    'regex:[a-z]*-?(\\d*).*;numeric',
    'regex:v?([\\w.]+)-?.*;alphabetical',
  )
  const number = fc.constantFrom('0', '1', '2', '10', '01', '27', '1234567')
  const versionTag = fc
    .tuple(fc.constantFrom('', 'v'), fc.array(number, { minLength: 1, maxLength: 4 }))
    .chain(([v, numbers]) =>
      fc.constantFrom('', '-alpine', '-rc1', '-rc.2', '-rc1-alpine', '-1').map((end) => v + numbers.join('.') + end),
    )
  const otherTag = fc.string({
    unit: fc.constantFrom('a', 'b', '-', '.', '_', '0', '1', '9'),
    minLength: 1,
    maxLength: 6,
  })
  const tag = fc.oneof(versionTag, otherTag, fc.constantFrom('latest', 'v1', '1.27'))

  test('chooses the same in whatever order, and however often, its tags come', () => {
    const shuffled = fc
      .array(tag, { minLength: 1, maxLength: 12 })
      .chain((tags) =>
        fc.tuple(fc.constant(tags), fc.shuffledSubarray([...tags, ...tags], { minLength: 2 * tags.length })),
      )
    fc.assert(
      fc.property(policy, shuffled, (text, [tags, mixed]) => {
        expect(choose(text, mixed)).toBe(choose(text, tags))
      }),
      { numRuns: 1000 },
    )
  })

  test('orders its tags: what is higher than the higher is higher, and nothing than itself', () => {
    fc.assert(
      fc.property(policy, tag, tag, tag, (text, ...tags) => {
        const { keyOf, compare } = track(text)
        const keys = tags.map(keyOf).filter((key) => key !== undefined)
        const [a, b, c] = keys
        for (const key of keys) expect(compare(key, key)).toBe(0)
        if (b === undefined) return
        expect(Math.sign(compare(a, b)) + Math.sign(compare(b, a))).toBe(0)
        if (c === undefined) return
        if (compare(a, b) >= 0 && compare(b, c) >= 0) expect(compare(a, c)).toBeGreaterThanOrEqual(0)
      }),
      { numRuns: 3000 },
    )
  })

  test('chooses what it was offered and means, and what it offers alone chooses is never higher', () => {
    fc.assert(
      fc.property(policy, fc.array(tag, { minLength: 1, maxLength: 12 }), (text, tags) => {
        const chosen = choose(text, tags)
        const fitting = tags.filter((each) => choose(text, [each]) !== undefined)
        expect(chosen === undefined).toBe(fitting.length === 0)
        if (chosen === undefined) return
        expect(fitting).toContain(chosen)
        for (const each of fitting) expect(choose(text, [each, chosen])).toBe(chosen)
      }),
      { numRuns: 500 },
    )
  })

  test('lets others have their turn while it looks at very many tags, and ends when nobody waits', async () => {
    const chooser = createChooser(track('regex:(?:a|aa)+(?:a|aa)+b'))
    const tags = Array.from({ length: 100_000 }, (_, i) => 'a'.repeat(100 + (i % 20)))
    const gone = new AbortController()
    setImmediate(() => gone.abort(new Error('gone')))
    await expect(offerAll([chooser], tags, gone.signal)).rejects.toThrow('gone')
  })

  test('lets others have their turn while very many look at one tag', async () => {
    const chooser = createChooser(track('regex:(?:a|aa)+(?:a|aa)+b'))
    let offered = 0
    const counted = {
      offer(tag: string) {
        offered += 1
        chooser.offer(tag)
      },
    }
    const choosers = Array.from({ length: 100_000 }, () => counted)
    const gone = new AbortController()
    setImmediate(() => gone.abort(new Error('gone')))
    await expect(offerAll(choosers, ['a'.repeat(120)], gone.signal)).rejects.toThrow('gone')
    expect(offered).toBeLessThan(choosers.length)
  })

  test('is read or refused, whatever is written', () => {
    fc.assert(
      fc.property(fc.constantFrom('semver:', 'regex:', ''), fc.string({ maxLength: 40 }), (kind, text) => {
        const parsed = parseTrack(kind + text)
        if ('problem' in parsed) expect(parsed.problem).not.toBe('')
        else createChooser(parsed).offer('v1.2.3-alpine')
      }),
      { numRuns: 1000 },
    )
  })
})

describe('weir.dev/track', () => {
  test.each(['semver:~1.27', 'semver:^1 -alpine', 'regex:v\\d+;numeric', 'newest'])('%s may be written', (text) => {
    expect(validateTrack({ [trackAnnotation]: text }, null, 'a')).toEqual([])
  })

  test.each(['', 'latest', 'Newest', 'semver', 'semver:x.y.z', 'regex:(?=a)', `semver:${'1'.repeat(300)}`])(
    '"%s" is refused at its field, unless it is there already',
    (text) => {
      expect(validateTrack({ [trackAnnotation]: text }, null, 'tag.annotations')).toEqual([
        {
          field: `tag.annotations[${trackAnnotation}]`,
          reason: 'FieldValueInvalid',
          message: expect.stringContaining('Invalid value'),
        },
      ])
      expect(validateTrack({ [trackAnnotation]: text }, { [trackAnnotation]: text }, 'a')).toEqual([])
    },
  )

  test('counts for tags that come from a registry, and not by digest', () => {
    const spec = (kind: 'DockerImage' | 'ImageStreamTag', name: string) =>
      ({ annotations: { [trackAnnotation]: 'newest' }, from: { kind, name } }) as unknown as TagReference
    expect(trackOf(spec('DockerImage', 'quay.io/org/app'))).toBe('newest')
    expect(trackOf(spec('DockerImage', 'quay.io/org/app:v1'))).toBe('newest')
    expect(trackOf(spec('DockerImage', `quay.io/org/app@sha256:${'0'.repeat(64)}`))).toBeUndefined()
    expect(trackOf(spec('ImageStreamTag', 'app:v1'))).toBeUndefined()
    expect(trackOf(undefined)).toBeUndefined()
  })
})
