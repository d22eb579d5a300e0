import type { SemVer } from 'semver'
import Range from 'semver/classes/range.js'
import parse from 'semver/functions/parse.js'

/**
 * Tags read as versions. `1.27.3`, with `v` in front or not; `1.27` and `1` count as `1.27.0` and `1.0.0`, after the whole version of
 * the same value; `24.04` as `24.4.0`. What follows the first `-` is a pre-release as far as its parts are one of the usual words
 * (`rc1`, `beta.2`, `SNAPSHOT`) or numbers, and from there on a variant (`alpine`, `bookworm-slim`). Four numbers, a first one of six
 * digits and more, as of dates, builds and commits (`20240131`), and other characters behind a number make no version.
 */
export interface TagVersion {
  version: SemVer
  /** How many numbers are written. */
  numbers: number
  /** With its `-`; empty where there is none. */
  variant: string
}

const shape = /^v?0*(0|[1-9]\d{0,4})(?:\.0*(0|[1-9]\d*))?(?:\.0*(0|[1-9]\d*))?(?:-(.+))?$/
const preReleasePart =
  /^(?:(?:alpha|beta|rc|cr|m|pre|preview|dev|snapshot|nightly|canary|next|ea|milestone)\.?)?\d*(?:\.\d+)*$/i

/** undefined for what is no version. */
export function parseTagVersion(tag: string): TagVersion | undefined {
  const [whole, major, minor, patch, rest = ''] = shape.exec(tag) ?? []
  if (whole === undefined) return undefined
  const { preRelease, variant } = partsOf(rest)
  const version = parse(`${major}.${minor ?? 0}.${patch ?? 0}${preRelease === '' ? '' : `-${preRelease}`}`)
  if (version === null) return undefined
  return { version, numbers: patch === undefined ? (minor === undefined ? 1 : 2) : 3, variant }
}

function partsOf(rest: string): { preRelease: string; variant: string } {
  if (rest === '') return { preRelease: '', variant: '' }
  const parts = rest.split('-')
  const end = parts.findIndex((part) => part === '' || !preReleasePart.test(part))
  if (end < 0) return { preRelease: rest, variant: '' }
  return { preRelease: parts.slice(0, end).join('-'), variant: `-${parts.slice(end).join('-')}` }
}

/** Above 0 when `a` is the higher: by version as semver orders them, then by the numbers that are written. */
export function compareTagVersions(a: TagVersion, b: TagVersion): number {
  return a.version.compare(b.version) || a.numbers - b.numbers
}

/** Which versions are meant. */
export type VersionChoice = (version: TagVersion) => boolean

const maxAlternatives = 16
/** A pre-release that a range names, behind a number. */
const namedPreRelease = /[0-9xX*]-([0-9A-Za-z.-]+)/g
/** As tags have them: `>=22.04`. */
const leadingZeros = /(?<![0-9A-Za-z-])0+(?=\d)/g

/**
 * Reads a range of npm's grammar, and behind it the variant that is meant: `~1.27`, `>=1.2 <2 -alpine`. Without a variant tags that
 * have none are meant. Pre-releases are meant when the range names one (`>=1.27.0-0`), then of all its versions.
 *
 * @returns what is wrong with it, where it is none
 * @see https://github.com/npm/node-semver#ranges
 */
export function parseVersionRange(text: string): VersionChoice | { problem: string } {
  const words = text.trim().split(/\s+/)
  const last = words.at(-1) ?? ''
  const variant = /^-[A-Za-z][A-Za-z0-9._-]*$/.test(last) ? last : ''
  const written = (variant === '' ? words : words.slice(0, -1)).join(' ')
  if (written === '') return { problem: 'it has no range; * is any version' }
  if (variant !== '' && partsOf(variant.slice(1)).preRelease !== '') {
    return { problem: `${variant} is a pre-release, which the range names: >=1.0.0-0` }
  }
  if (written.split('||').length > maxAlternatives)
    return { problem: `it has more than ${maxAlternatives} alternatives` }
  const named = [...written.matchAll(namedPreRelease)].map(([, each = '']) => each)
  const foreign = named.map(partsOf).find((each) => each.variant !== '')
  if (foreign !== undefined) return { problem: `write the variant apart: semver:~1.27 ${foreign.variant}` }
  const range = rangeOf(written.replace(leadingZeros, ''), named.length > 0)
  if (range === undefined) return { problem: 'it is no range of versions, as ~1.27 or >=1.2 <2' }
  return (tag) =>
    tag.variant === variant && (named.length > 0 || tag.version.prerelease.length === 0) && range.test(tag.version)
}

function rangeOf(written: string, includePrerelease: boolean): Range | undefined {
  try {
    return new Range(written, { includePrerelease })
  } catch {
    return undefined
  }
}
