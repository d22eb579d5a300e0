/** What a JSON document from outside may look like. */
export interface JsonLimits {
  /** Most objects and arrays inside each other. */
  maxDepth: number
  /** Most values in the whole document. */
  maxValues: number
  /** Most keys in the whole document that differ: each costs more than a value. */
  maxKeys: number
  /** Keys whose numbers must be written as plain integers: no sign, fraction or exponent. */
  integerKeys: ReadonlySet<string>
}

const backslash = 0x5c
const plainInteger = /^(?:0|[1-9][0-9]*)$/

// With ignoreBOM the mark stays in the text, where JSON does not allow it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Parses JSON that every reader understands alike. Beyond RFC 8259 it refuses what parsers disagree on (invalid UTF-8, a
 * byte order mark, a key given twice in one object) and what costs more than it may. Takes linear time.
 *
 * @throws SyntaxError with a message that names what is wrong
 */
export function parseStrictJson(bytes: Uint8Array, limits: JsonLimits): unknown {
  const text = decode(bytes)
  if (text.charCodeAt(0) === 0xfeff) throw new SyntaxError('starts with a byte order mark')
  scan(text, limits)
  return parse(text)
}

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new SyntaxError('is not valid UTF-8', { cause })
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new SyntaxError('is not valid JSON', { cause })
  }
}

/** Checks what `JSON.parse` forgives, before it spends memory. Exact on valid JSON; the rest is left to `JSON.parse`. */
function scan(text: string, limits: JsonLimits): void {
  const open: (Set<string> | undefined)[] = []
  const keys = new Set<string>()
  let values = 0
  let key = ''
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at)
    if (char === '"') {
      const end = endOfString(text, at)
      const next = skipBlanks(text, end)
      if (text[next] === ':') {
        key = readKey(text.slice(at, end))
        addKey(open, key)
        if (keys.add(key).size > limits.maxKeys) throw new SyntaxError(`has more than ${limits.maxKeys} different keys`)
      }
      at = next - 1
    } else if (char === '{' || char === '[') {
      if (open.push(undefined) > limits.maxDepth) {
        throw new SyntaxError(`is nested deeper than ${limits.maxDepth} levels`)
      }
      values++
    } else if (char === '}' || char === ']') open.pop()
    else if (char === ',') values++
    else if (char === '-' || (char >= '0' && char <= '9')) {
      const end = endOfNumber(text, at)
      if (limits.integerKeys.has(key) && !plainInteger.test(text.slice(at, end))) {
        throw new SyntaxError(`has a ${key} that is not written as a plain integer`)
      }
      at = end - 1
    }
    if (values > limits.maxValues) throw new SyntaxError(`has more than ${limits.maxValues} values`)
  }
}

/** The place after the closing quote of the string that starts at `start`. */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let before = quote - 1
    while (text.charCodeAt(before) === backslash) before--
    // An even number of backslashes escape one another and leave the quote bare.
    if ((quote - before) % 2 === 1) return quote + 1
  }
  throw new SyntaxError('is not valid JSON')
}

function skipBlanks(text: string, start: number): number {
  let at = start
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++
  return at
}

function endOfNumber(text: string, start: number): number {
  let at = start + 1
  while (/[-+.0-9eE]/.test(text[at] ?? '')) at++
  return at
}

function readKey(quoted: string): string {
  return quoted.includes('\\') ? String(parse(quoted)) : quoted.slice(1, -1)
}

function addKey(open: (Set<string> | undefined)[], key: string): void {
  const depth = open.length - 1
  const keys = open[depth] ?? new Set<string>()
  if (keys.has(key)) throw new SyntaxError(`has the key ${JSON.stringify(key.slice(0, 64))} twice in one object`)
  open[depth] = keys.add(key)
}
