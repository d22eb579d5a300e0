import { RegistryError } from '../oci/errors.ts'
import { isLabelKey, isLabelValue } from './metadata.ts'

/** Whether the labels of an object meet a requirement. */
export type Requirement = (labels: Readonly<Record<string, string>>) => boolean

/** Most requirements of a selector, and most values of one requirement. */
export const maxLabelTerms = 500

interface Token {
  /** A symbol, `word` or `end`. */
  type: '=' | '==' | '!=' | '!' | '(' | ')' | ',' | '>' | '<' | 'word' | 'end'
  text: string
  /** Of its first character, counted from 1. */
  position: number
}

const tokenPattern = /[ \t\r\n]*(==|!=|[=!(),<>]|[^ \t\r\n=!(),<>]+)/y

/**
 * Parses a label selector: requirements `key=value`, `key==value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`, `key`,
 * `!key`, `key>1`, `key<1`, between commas. All must be met; an absent label meets `!=` and `notin`.
 *
 * @throws RegistryError BAD_REQUEST that tells the position
 * @see https://github.com/kubernetes/apimachinery/blob/v0.33.0/pkg/labels/selector.go
 */
export function parseLabelSelector(selector: string): Requirement[] {
  const tokens = tokensOf(selector)
  const requirements: Requirement[] = []
  let at = 0
  const peek = (): Token => tokens[at] as Token
  const take = (): Token => {
    const token = peek()
    if (token.type !== 'end') at++
    return token
  }
  const expect = (type: Token['type'], wanted: string): Token => {
    const token = take()
    if (token.type !== type) throw unexpected(token, wanted)
    return token
  }

  function parseRequirement(): Requirement {
    const isAbsence = peek().type === '!'
    if (isAbsence) take()
    const key = labelKey(expect('word', isAbsence ? 'a key' : "a key, '!' or the end"))
    if (isAbsence) return (labels) => !Object.hasOwn(labels, key)
    if (peek().type === ',' || peek().type === 'end') return (labels) => Object.hasOwn(labels, key)
    const operator = take()
    switch (operator.type === 'word' ? operator.text : operator.type) {
      case 'in':
        return isIn(key, parseValues())
      case 'notin':
        return not(isIn(key, parseValues()))
      case '=':
      case '==':
        return isIn(key, new Set([parseValue()]))
      case '!=':
        return not(isIn(key, new Set([parseValue()])))
      case '>':
        return compares(key, expect('word', 'a number'), (label, bound) => label > bound)
      case '<':
        return compares(key, expect('word', 'a number'), (label, bound) => label < bound)
      default:
        throw unexpected(operator, "'=', '==', '!=', 'in', 'notin', '>', '<', ',' or the end")
    }
  }

  /** A value, which may be left out: `key=`. */
  function parseValue(): string {
    return peek().type === ',' || peek().type === 'end' ? '' : labelValue(expect('word', 'a value'))
  }

  function parseValues(): Set<string> {
    const open = expect('(', "'('")
    const values = new Set<string>()
    if (peek().type === ')') throw refused(open, 'the values of in and notin cannot be empty')
    for (;;) {
      if (values.size >= maxLabelTerms) throw refused(open, `there are more than ${maxLabelTerms} values`)
      values.add(peek().type === 'word' ? labelValue(take()) : '')
      if (peek().type !== ',') break
      take()
    }
    expect(')', "',' or ')'")
    return values
  }

  while (peek().type !== 'end') {
    if (requirements.length >= maxLabelTerms) throw refused(peek(), `there are more than ${maxLabelTerms} requirements`)
    requirements.push(parseRequirement())
    if (peek().type === 'end') break
    expect(',', "',' or the end")
    if (peek().type !== 'word' && peek().type !== '!') throw unexpected(peek(), "a key after ','")
  }
  return requirements
}

function tokensOf(selector: string): Token[] {
  const tokens: Token[] = []
  const pattern = new RegExp(tokenPattern)
  for (;;) {
    const { lastIndex } = pattern
    const text = pattern.exec(selector)?.[1]
    if (text === undefined) return [...tokens, { type: 'end', text: '', position: lastIndex + 1 }]
    const isSymbol = /^[=!(),<>]/.test(text)
    tokens.push({
      type: isSymbol ? (text as Token['type']) : 'word',
      text,
      position: pattern.lastIndex - text.length + 1,
    })
  }
}

function labelKey(token: Token): string {
  if (isLabelKey(token.text)) return token.text
  throw refused(token, 'is not a label key: letters, digits, -, _ and . (at most 63), after DOMAIN/ if need be')
}

function labelValue(token: Token): string {
  if (isLabelValue(token.text)) return token.text
  throw refused(token, 'is not a label value: at most 63 letters, digits, -, _ and .')
}

function isIn(key: string, values: ReadonlySet<string>): Requirement {
  return (labels) => Object.hasOwn(labels, key) && values.has(labels[key] ?? '')
}

function not(requirement: Requirement): Requirement {
  return (labels) => !requirement(labels)
}

function compares(key: string, token: Token, compare: (label: bigint, bound: bigint) => boolean): Requirement {
  const bound = integerOf(token.text)
  if (bound === undefined) throw refused(token, 'is not a number')
  return (labels) => {
    const label = Object.hasOwn(labels, key) ? integerOf(labels[key] ?? '') : undefined
    return label !== undefined && compare(label, bound)
  }
}

function integerOf(text: string): bigint | undefined {
  return /^[+-]?[0-9]{1,19}$/.test(text) ? BigInt(text.replace(/^\+/, '')) : undefined
}

function unexpected({ type, text, position }: Token, wanted: string): RegistryError {
  const found = type === 'end' ? 'the end' : `'${shown(text)}'`
  return badRequest(`unable to parse requirement: found ${found} at position ${position}, expected: ${wanted}`)
}

function refused({ text, position }: Token, why: string): RegistryError {
  return badRequest(`unable to parse requirement: '${shown(text)}' at position ${position}: ${why}`)
}

function badRequest(message: string): RegistryError {
  return new RegistryError('BAD_REQUEST', { message: `labelSelector: ${message}` })
}

function shown(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}...` : text
}
