import { fieldPath } from './unknown-fields.ts'

const backslash = 0x5c

/** An object or list that is not closed yet. */
interface Open {
  /** The keys so far; undefined in a list. */
  keys: Set<string> | undefined
  /** The key or position of what is read now. */
  at: string | number
}

/**
 * The paths of fields that stand twice in one object of `json`, once for each time too many; the first `most` of them.
 *
 * @param json valid JSON; of other text the answer means nothing. Takes linear time.
 */
export function duplicateFields(json: string, most: number): string[] {
  const found: string[] = []
  const open: Open[] = []
  for (let at = 0; at < json.length && found.length < most; at++) {
    const inner = open.at(-1)
    switch (json[at]) {
      case '{':
        open.push({ keys: new Set(), at: '' })
        break
      case '[':
        open.push({ keys: undefined, at: 0 })
        break
      case '}':
      case ']':
        open.pop()
        break
      case ',':
        if (typeof inner?.at === 'number') inner.at += 1
        break
      case '"': {
        const end = endOfString(json, at)
        if (inner?.keys !== undefined && isKey(json, end)) {
          inner.at = readKey(json.slice(at, end))
          if (inner.keys.has(inner.at)) found.push(pathOf(open))
          inner.keys.add(inner.at)
        }
        at = end - 1
      }
    }
  }
  return found
}

/** The place after the closing quote of the string that starts at `start`. */
function endOfString(json: string, start: number): number {
  for (let quote = json.indexOf('"', start + 1); quote >= 0; quote = json.indexOf('"', quote + 1)) {
    let before = quote - 1
    while (json.charCodeAt(before) === backslash) before--
    // An even number of backslashes escape one another and leave the quote bare.
    if ((quote - before) % 2 === 1) return quote + 1
  }
  return json.length
}

function isKey(json: string, end: number): boolean {
  let at = end
  while (json[at] === ' ' || json[at] === '\n' || json[at] === '\r' || json[at] === '\t') at++
  return json[at] === ':'
}

function readKey(quoted: string): string {
  return quoted.includes('\\') ? String(JSON.parse(quoted)) : quoted.slice(1, -1)
}

function pathOf(open: readonly Open[]): string {
  return open.reduce((path, { at }) => (typeof at === 'number' ? `${path}[${at}]` : fieldPath(path, at)), '')
}
