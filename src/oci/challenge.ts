/**
 * One challenge of a `WWW-Authenticate` header. `scheme` and the parameters' names are in lower case; `token68` is there
 * where a scheme carries that instead of parameters.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
 */
export interface Challenge {
  scheme: string
  token68?: string
  parameters: ReadonlyMap<string, string>
}

/** What Weir's own challenge says; `error` is `invalid_token` or `insufficient_scope` (RFC 6750 3.1). */
export interface BearerChallenge {
  realm: string
  service: string
  scope?: string
  error?: string
}

const tokenPattern = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y
const spacePattern = /[ \t]+/y
const separatorPattern = /[ \t,]+/y
const equalsPattern = /[ \t]*=[ \t]*/y
const token68Pattern = /[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y
const quotedPattern = /"((?:[^"\\]|\\.)*)"/y
const boundaryPattern = /[ \t]*(?=,|$)/y
// Up to the next comma that stands outside quotes.
const rubbishPattern = /(?:"(?:[^"\\]|\\.)*"|[^,])+/y

/** Longest header value that is read; the patterns need quadratic time on hostile ones. */
const maxLength = 8192

/**
 * Parses the values of all `WWW-Authenticate` headers of one answer, each of which may hold several challenges. What can
 * not be read is left out, and so is a parameter that is given again: the first stands.
 */
export function parseChallenges(header: string | readonly string[] | undefined): Challenge[] {
  const values = header === undefined ? [] : typeof header === 'string' ? [header] : header
  return values.flatMap(parseValue)
}

/**
 * Formats Weir's Bearer challenge: one line, one scheme, all parameters quoted.
 *
 * @throws TypeError when a value has characters that no header may carry
 */
export function formatBearerChallenge(challenge: BearerChallenge): string {
  const { realm, service, scope, error } = challenge
  const parameters = Object.entries({ realm, service, scope, error })
    .filter((entry): entry is [string, string] => entry[1] !== undefined)
    .map(([name, value]) => `${name}=${quote(value)}`)
  return `Bearer ${parameters.join(',')}`
}

function parseValue(value: string): Challenge[] {
  const challenges: Challenge[] = []
  if (value.length > maxLength) return challenges
  const scanner = createScanner(value)
  scanner.take(separatorPattern)
  while (!scanner.ended()) {
    const challenge = parseChallenge(scanner)
    if (challenge === undefined) scanner.take(rubbishPattern)
    else challenges.push(challenge)
    scanner.take(separatorPattern)
  }
  return challenges
}

function parseChallenge(scanner: Scanner): Challenge | undefined {
  const scheme = scanner.take(tokenPattern)?.[0].toLowerCase()
  if (scheme === undefined) return undefined
  const spaced = scanner.take(spacePattern) !== undefined
  if (!spaced) return isBoundary(scanner) ? { scheme, parameters: new Map() } : undefined
  const parameters = new Map<string, string>()
  const first = parseParameter(scanner, parameters)
  if (!first) {
    const token68 = scanner.take(token68Pattern)?.[0]
    return { scheme, ...(token68 === undefined ? {} : { token68 }), parameters }
  }
  let more = true
  while (more) {
    const mark = scanner.mark()
    more = scanner.take(separatorPattern) !== undefined && parseParameter(scanner, parameters)
    // A token without '=' is the next challenge's scheme.
    if (!more) scanner.reset(mark)
  }
  return { scheme, parameters }
}

/** Takes one `name=value`; false, with nothing taken, when there is none. */
function parseParameter(scanner: Scanner, parameters: Map<string, string>): boolean {
  const mark = scanner.mark()
  const name = scanner.take(tokenPattern)?.[0].toLowerCase()
  const equals = name !== undefined && scanner.take(equalsPattern) !== undefined
  const quoted = equals ? scanner.take(quotedPattern)?.[1]?.replace(/\\(.)/gs, '$1') : undefined
  const value = quoted ?? (equals ? scanner.take(tokenPattern)?.[0] : undefined)
  if (name === undefined || value === undefined || !isBoundary(scanner)) {
    scanner.reset(mark)
    return false
  }
  if (!parameters.has(name)) parameters.set(name, value)
  return true
}

interface Scanner {
  /** Matches a sticky pattern here and moves behind it. */
  take(pattern: RegExp): RegExpExecArray | undefined
  ended(): boolean
  mark(): number
  reset(mark: number): void
}

function createScanner(text: string): Scanner {
  let at = 0
  return {
    take(pattern) {
      pattern.lastIndex = at
      const match = pattern.exec(text) ?? undefined
      if (match !== undefined) at += match[0].length
      return match
    },
    ended: () => at >= text.length,
    mark: () => at,
    reset: (mark) => {
      at = mark
    },
  }
}

/** Whether an element of the list ends here. */
function isBoundary(scanner: Scanner): boolean {
  return scanner.take(boundaryPattern) !== undefined
}

function quote(value: string): string {
  if (!/^[\t\x20-\x7e]*$/.test(value)) throw new TypeError('a challenge holds printable ASCII only')
  return `"${value.replace(/["\\]/g, '\\$&')}"`
}
