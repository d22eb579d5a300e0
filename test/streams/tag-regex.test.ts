import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileTagRegex } from '../../src/streams/tag-regex.ts'
import { PatternProblem } from '../../src/streams/tag-regex-syntax.ts'

/** Patterns of the syntax that is taken, of which the engine of JavaScript says the same. */
const atom = fc.constantFrom('a', 'b', '1', '.', '\\d', '\\w', '\\.', '\\-', '[ab]', '[^a]', '[0-9a]', '[\\d.-]', '\\D')
const times = fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,}', '{0,2}')
const { pattern: repeatable } = fc.letrec<{ pattern: string; item: string }>((tie) => ({
  pattern: fc
    .array(
      fc.array(tie('item'), { maxLength: 3 }).map((items) => items.join('')),
      { minLength: 1, maxLength: 3 },
    )
    .map((all) => all.join('|')),
  item: fc.oneof(
    { depthSize: 'small' },
    fc.tuple(atom, times).map(([one, more]) => one + more),
    fc.tuple(tie('pattern'), times).map(([inner, more]) => `(?:${inner})${more}`),
  ),
}))
const pattern = fc.oneof(
  repeatable,
  fc.tuple(repeatable, repeatable, repeatable).map(([a, b, c]) => `(?:${a})(${b})(?:${c})`),
  fc.tuple(repeatable, repeatable).map(([a, b]) => `${a}|(?<n>${b})`),
)
const text = fc.string({ unit: fc.constantFrom('a', 'b', '1', '2', '.', '-'), maxLength: 8 })

function compiled(written: string) {
  try {
    return compileTagRegex(written)
  } catch (error) {
    if (error instanceof PatternProblem) return error.message
    throw error
  }
}

test('what is taken of a tag is what the engine of JavaScript takes', () => {
  fc.assert(
    fc.property(pattern, fc.array(text, { minLength: 5, maxLength: 5 }), (written, tags) => {
      fc.pre(written !== '')
      const regex = compiled(written)
      fc.pre(typeof regex !== 'string')
      const oracle = new RegExp(`^(?:${written})$`)
      for (const tag of tags) {
        const match = oracle.exec(tag)
        const wanted = match === null ? undefined : match.length > 1 ? match[1] : tag
        expect(typeof regex === 'string' ? regex : regex.match(tag)).toBe(wanted)
      }
    }),
    { numRuns: 1000 },
  )
})

test('whatever is written is a pattern, or a problem in words', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab1.*+?{},2()[]^$|\\-:<>=!Pd'), maxLength: 20 }), (written) => {
      const regex = compiled(written)
      if (typeof regex === 'string') expect(regex).not.toBe('')
      else regex.match('ab1.2-')
    }),
    { numRuns: 2000 },
  )
})

describe('a pattern', () => {
  test.each([
    ['main-[a-f0-9]+-(\\d+)', 'main-0af3-17', '17'],
    ['^main-(?P<ts>[0-9]+)$', 'main-17', '17'],
    ['main-(?<ts>[0-9]+)', 'main-17', '17'],
    ['v1\\.\\d+', 'v1.27', 'v1.27'],
    ['a|b', 'b', 'b'],
    ['(?:a|b){3}', 'aba', 'aba'],
    ['(a*)a*', 'aaa', 'aaa'],
  ])('%s takes of %s: %s', (written, tag, taken) => {
    expect(compileTagRegex(written).match(tag)).toBe(taken)
  })

  test.each([
    ['v1', 'v1.27'],
    ['^v1', 'v1.27'],
    ['27$', 'v1.27'],
    ['a.c', 'a/c'],
    ['V1', 'v1'],
    ['a|(b)', 'a'],
  ])('%s does not fit %s', (written, tag) => {
    expect(compileTagRegex(written).match(tag)).toBeUndefined()
  })

  test.each([
    ['', 'empty'],
    ['(a)\\1', 'backreferences'],
    ['(?=a)b', 'lookaround'],
    ['(?<!a)b', 'lookaround'],
    ['(?i)a', 'not taken'],
    ['a**', 'repetition of a repetition'],
    ['a+?', 'repetition of a repetition'],
    ['*', 'nothing to repeat'],
    ['(a', 'not closed'],
    ['[a', 'not closed'],
    ['[]', 'no character'],
    ['[z-a]', 'range'],
    ['[\\d-z]', 'range'],
    ['[[:alpha:]]', '\\['],
    ['a)', 'opens nowhere'],
    ['(a)(b)', 'one group'],
    ['(a)+', 'repeated'],
    ['(?:(a)|b)*', 'repeated'],
    ['a$b', '$ inside'],
    ['a{2,1}', 'counts'],
    ['a{999}', 'counts'],
    ['a/b', 'no tag has'],
    ['\\bfoo', '\\b is not taken'],
    ['a\\', '\\ is not taken'],
    ['ä', 'no tag has'],
    ['(?:(?:a{100}){100}){100}', 'repeats too much'],
    ['(?:(?:(?:a|b){128}){128}){128}', 'repeats too much'],
    ['a{128}a{128}', 'repeats too much'],
    ['(?:a*)*b', 'can be empty'],
    ['(?:)*', 'can be empty'],
    ['(?:a?|b){9}', 'can be empty'],
    ['(?:'.repeat(60) + ')'.repeat(60), 'groups within'],
    ['.*a.{20}', 'too many ways'],
    ['(?:a|b)*a(?:a|b){12}(?:c|d)', 'too many ways'],
    ['(?:[a-m]?[g-z]?[a-z]?){9}', 'can be empty'],
  ])('%s is refused: %s', (written, why) => {
    expect(compiled(written)).toContain(why)
  })

  test.each([
    'main-[a-f0-9]{7,40}-(?P<ts>[0-9]+)',
    'v?(\\d+\\.\\d+\\.\\d+)(?:-rc\\.?\\d+)?',
    '.*[a-f0-9]{40}.*',
    'release-.*-build-.*-(\\d+)-.*',
    '(.*)-(?:amd64|arm64)-.*',
    '.*'.repeat(60),
    '[a-z]?'.repeat(38),
    '.{0,40}.{40}b',
  ])('%s is taken', (written) => {
    expect(compiled(written)).toMatchObject({ match: expect.any(Function) })
  })

  test('of the longest tags a hundred thousand are looked at, whatever it is', () => {
    const tags = Array.from({ length: 100 }, (_, i) => 'a'.repeat(125) + String(i).padStart(3, '0'))
    for (const written of ['.*'.repeat(60), '(.{0,90}).*', '[a-z]?'.repeat(38).concat('.*')]) {
      const regex = compileTagRegex(written)
      for (let i = 0; i < 1000; i++) for (const tag of tags) regex.match(tag)
    }
  })

  test.each(['(?:a|a)*b', '(?:a+a+)+b', '.*.*.*.*.*.*.*.*b', '(?:a|aa)+(?:a|aa)+b', 'a{0,60}a{60}b'])(
    '%s is decided with few steps, however a tag is made',
    (written) => {
      const regex = compileTagRegex(written)
      for (let i = 0; i < 200; i++) expect(regex.match(`${'a'.repeat(127)}-`)).toBeUndefined()
    },
  )
})
