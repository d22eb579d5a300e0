/** The longest name that is taken, in UTF-16 units. */
const maxNameLength = 512

// Control and format characters, lone surrogates, line and paragraph separators: what makes two names look alike, or breaks lines.
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u
const reserved = /^(?:system|weir):/

/** Whether a name can be no identity of Weir's own, and reads as what it is. */
export function isForeignName(name: string): boolean {
  return name !== '' && name.length <= maxNameLength && isPrintable(name) && !reserved.test(name)
}

export function isPrintable(text: string): boolean {
  return !unprintable.test(text)
}
