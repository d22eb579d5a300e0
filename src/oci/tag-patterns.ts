/** Which tags are meant, as people write it. */

/** Most patterns of one choice: each is compared with each tag. */
export const maxTagPatterns = 64

const patternForm = /^[a-zA-Z0-9_*][a-zA-Z0-9._*-]{0,127}$/
/** Other ways to say yes or no, which would else be the name of a tag, and leave all others out. */
const booleanLike = /^\s*(?:true|false|t|f|yes|no|y|n|on|off|enabled?|disabled?|none|1|0)\s*$/i

/** Whether a text is meant as a yes or no. */
export function isBooleanLike(written: string): boolean {
  return booleanLike.test(written)
}

/**
 * Reads `true` (all tags), `false` (none) or patterns with `*`, separated by commas: `v*,release-*`. Undefined when it is none of
 * these, or another way to say yes or no.
 */
export function readTagChoice(written: string): ((tag: string) => boolean) | undefined {
  if (written === 'true' || written === 'false') return () => written === 'true'
  const patterns = readPatterns(written)
  return patterns && ((tag) => patterns.some((pattern) => matchesPattern(tag, pattern)))
}

/** The patterns of a choice; none of `true` and `false`, undefined of what can not be read. */
export function readPatterns(written: string): string[] | undefined {
  if (written === 'true' || written === 'false') return []
  if (isBooleanLike(written)) return undefined
  const patterns = written.split(',', maxTagPatterns + 1).map((each) => each.trim())
  return patterns.length <= maxTagPatterns && patterns.every((each) => patternForm.test(each)) ? patterns : undefined
}

/** Whether a tag has the form of a pattern, in which each `*` stands for any characters, or none. Takes linear time. */
export function matchesPattern(tag: string, pattern: string): boolean {
  const [first = '', ...others] = pattern.split('*')
  const last = others.pop()
  if (last === undefined) return tag === pattern
  if (!tag.startsWith(first) || !tag.endsWith(last)) return false
  let at = first.length
  const end = tag.length - last.length
  for (const part of others) {
    const found = tag.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= end
}
