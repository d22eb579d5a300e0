/** A part of a pattern. A set says of each ASCII code whether it is in it. */
export type PatternNode =
  | { kind: 'set'; set: Uint8Array }
  | { kind: 'all'; nodes: readonly PatternNode[] }
  | { kind: 'any'; nodes: readonly PatternNode[] }
  | { kind: 'repeat'; node: PatternNode; min: number; max: number }
  | { kind: 'group'; node: PatternNode }

/** What is wrong with a pattern, to be shown to who wrote it. */
export class PatternProblem extends Error {}

const tagCharacter = /[A-Za-z0-9_.-]/
const escapedSets: ReadonlyMap<string, RegExp> = new Map([
  ['d', /\d/],
  ['D', /\D/],
  ['w', /\w/],
  ['W', /\W/],
])
const lookaround = /^\(\?(?:[=!]|<[=!])/
const groupStart = /^\((?:\?:|\?P?<[A-Za-z][A-Za-z0-9_]*>)?/
const counts = /^\{(\d{1,4})(,(\d{1,4})?)?\}/
/** Longest repetition: no tag is longer. */
const maxCount = 128

/** Reads a pattern, which means the whole tag whether `^` and `$` are written or not. @throws PatternProblem */
export function parsePattern(pattern: string): PatternNode {
  const text = withoutAnchors(pattern)
  let at = 0
  let groups = 0

  function anyOf(depth: number): PatternNode {
    const nodes = [allOf(depth)]
    while (text[at] === '|') {
      at += 1
      nodes.push(allOf(depth))
    }
    const [only] = nodes
    return nodes.length === 1 && only !== undefined ? only : { kind: 'any', nodes }
  }

  function allOf(depth: number): PatternNode {
    const nodes: PatternNode[] = []
    while (at < text.length && text[at] !== '|' && text[at] !== ')') nodes.push(repeated(depth))
    return { kind: 'all', nodes }
  }

  function repeated(depth: number): PatternNode {
    const groupsBefore = groups
    const node = one(depth)
    const times = quantifier()
    if (times === undefined) return node
    if (groups > groupsBefore) throw new PatternProblem('the group to order by is repeated: repeat (?:...) instead')
    if (canBeEmpty(node)) throw new PatternProblem('what is repeated can be empty')
    if (quantifier() !== undefined) throw new PatternProblem(`a repetition of a repetition at ${rest()}`)
    return { kind: 'repeat', node, ...times }
  }

  function quantifier(): { min: number; max: number } | undefined {
    const character = text[at]
    const simple = { '*': [0, Number.POSITIVE_INFINITY], '+': [1, Number.POSITIVE_INFINITY], '?': [0, 1] } as const
    if (character === '*' || character === '+' || character === '?') {
      at += 1
      const [min, max] = simple[character]
      return { min, max }
    }
    const [written, least, more, most] = counts.exec(text.slice(at)) ?? []
    if (written === undefined) return undefined
    const min = Number(least)
    const max = more === undefined ? min : most === undefined ? Number.POSITIVE_INFINITY : Number(most)
    if (min > maxCount || (max > maxCount && Number.isFinite(max)) || min > max) {
      throw new PatternProblem(`${written}: write counts from 0 to ${maxCount}, the lower first`)
    }
    at += written.length
    return { min, max }
  }

  function one(depth: number): PatternNode {
    const character = text[at] ?? ''
    if (character === '(') return group(depth)
    if (character === '[') return { kind: 'set', set: characterClass() }
    if (character === '\\') return { kind: 'set', set: escaped() }
    if (character === '.') {
      at += 1
      return { kind: 'set', set: setOf((each) => tagCharacter.test(each)) }
    }
    if (/[*+?{]/.test(character)) throw new PatternProblem(`nothing to repeat at ${rest()}`)
    if (/[$^]/.test(character)) throw new PatternProblem(`${character} inside of the pattern`)
    if (!tagCharacter.test(character)) throw new PatternProblem(`no tag has a character as at ${rest()}`)
    at += 1
    return { kind: 'set', set: setOf((each) => each === character) }
  }

  function group(depth: number): PatternNode {
    if (depth > 32) throw new PatternProblem('groups within groups within groups')
    if (lookaround.test(text.slice(at))) throw new PatternProblem(`lookaround is not taken: ${rest()}`)
    const [opened = '('] = groupStart.exec(text.slice(at)) ?? []
    if (opened === '(' && text[at + 1] === '?') throw new PatternProblem(`not taken: ${rest()}`)
    at += opened.length
    if (opened !== '(?:') {
      groups += 1
      if (groups > 1) throw new PatternProblem('one group is what to order by: write others as (?:...)')
    }
    const node = anyOf(depth + 1)
    if (text[at] !== ')') throw new PatternProblem('a ( is not closed')
    at += 1
    return opened === '(?:' ? node : { kind: 'group', node }
  }

  function escaped(): Uint8Array {
    const character = text[at + 1] ?? ''
    const set = escapedSets.get(character)
    if (set === undefined && /[1-9k]/.test(character)) throw new PatternProblem('backreferences are not taken')
    if (set === undefined && !/[!-/:-@[-`{-~]/.test(character)) {
      throw new PatternProblem(`\\${character} is not taken; of escapes \\d \\w \\D \\W and \\. are`)
    }
    at += 2
    return setOf((each) => (set === undefined ? each === character : set.test(each)))
  }

  function characterClass(): Uint8Array {
    at += 1
    const isNegated = text[at] === '^'
    if (isNegated) at += 1
    const set = new Uint8Array(128)
    if (text[at] === ']') throw new PatternProblem('[] has no character')
    while (text[at] !== ']') {
      if (at >= text.length) throw new PatternProblem('a [ is not closed')
      const from = classMember()
      if (text[at] !== '-' || text[at + 1] === ']' || text[at + 1] === undefined) {
        for (const code of from) set[code] = 1
        continue
      }
      at += 1
      const [first, last] = [from, classMember()].map((each) => (each.length === 1 ? each[0] : undefined))
      if (first === undefined || last === undefined || first > last) {
        throw new PatternProblem('a range in [...] goes from one character to a later one')
      }
      for (let code = first; code <= last; code++) set[code] = 1
    }
    at += 1
    return isNegated ? set.map((each) => 1 - each) : set
  }

  /** The codes of a member, of which there is one where it is a character. */
  function classMember(): number[] {
    const character = text[at] ?? ''
    if (character === '\\') return [...escaped().entries()].flatMap(([code, isIn]) => (isIn === 1 ? [code] : []))
    if (character === '[') throw new PatternProblem('[ within [...]: write \\[')
    at += 1
    return [character.charCodeAt(0)]
  }

  function rest(): string {
    return JSON.stringify(text.slice(at, at + 10))
  }

  const node = anyOf(0)
  if (at < text.length) throw new PatternProblem('a ) opens nowhere')
  return node
}

function canBeEmpty(node: PatternNode): boolean {
  if (node.kind === 'set') return false
  if (node.kind === 'all') return node.nodes.every(canBeEmpty)
  if (node.kind === 'any') return node.nodes.some(canBeEmpty)
  return node.kind === 'repeat' ? node.min === 0 || canBeEmpty(node.node) : canBeEmpty(node.node)
}

function withoutAnchors(pattern: string): string {
  if (!/^[!-~]+$/.test(pattern)) throw new PatternProblem('it is empty, or has characters that no tag has')
  const text = pattern.startsWith('^') ? pattern.slice(1) : pattern
  const [, slashes = ''] = /(\\*)\$$/.exec(text) ?? []
  return text.endsWith('$') && slashes.length % 2 === 0 ? text.slice(0, -1) : text
}

function setOf(isIn: (character: string) => boolean): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, code) => (isIn(String.fromCharCode(code)) ? 1 : 0))
}
