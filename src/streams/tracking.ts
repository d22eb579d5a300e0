import { setImmediate as immediate } from 'node:timers/promises'
import { type FieldCause, RegistryError } from '../oci/errors.ts'
import { parseFallbackTag } from '../oci/fallback-tag.ts'
import { type ImageReference, parseImageReference } from '../oci/reference.ts'
import type { TagReference } from './records.ts'
import { compileTagRegex } from './tag-regex.ts'
import { PatternProblem } from './tag-regex-syntax.ts'
import { compareTagVersions, parseTagVersion, parseVersionRange, type TagVersion } from './tag-version.ts'

type Annotations = Readonly<Record<string, string>> | null | undefined

/**
 * Which of its source's tags a tag follows; the tag that the source names does not count then.
 *
 * - `semver:RANGE`, with a variant or without: `semver:~1.27`, `semver:>=1.2 <2 -alpine`. The highest version of the range, see
 *   tag-version.ts.
 * - `regex:PATTERN`, with `;alphabetical` (the default: by bytes) or `;numeric` (runs of digits count as numbers) behind it. The
 *   whole tag has to fit; the highest counts by what the pattern's group took, without one by the whole tag.
 * - `newest`. Registries tell no times with their tags, so it is by name: the highest version that is neither pre-release nor
 *   variant; of a repository that has none, the highest by numeric order. `latest` never.
 *
 * Of several that are equal, the one that is first by bytes. Tags derived from digests, as of signatures, are never meant.
 */
export const trackAnnotation = 'weir.dev/track'

const maxLength = 256
/** Longest time that tags are looked at in one go. */
const turnMs = 10
const hint = 'write semver:RANGE, regex:PATTERN with ;numeric or ;alphabetical behind it, or newest'

/** A tracking policy. */
export interface Track {
  /** As written. */
  readonly text: string
  /** What orders a tag that it means; undefined for one that it does not mean. */
  keyOf(tag: string): unknown
  /** Above 0 when `a` is the higher; keys are of this policy's `keyOf`. */
  compare(a: unknown, b: unknown): number
}

/** Keeps the best of the tags that it is offered, and forgets the others. */
export interface Chooser {
  offer(tag: string): void
  /** The best so far; undefined when none fitted. */
  chosen(): string | undefined
}

/** Reads a policy; tells what is wrong with what is none. */
export function parseTrack(text: string): Track | { problem: string } {
  if (text.length > maxLength) return { problem: `it is longer than ${maxLength} characters` }
  if (text === 'newest') return newest(text)
  if (text.startsWith('semver:')) return byVersion(text)
  if (text.startsWith('regex:')) return byPattern(text)
  return { problem: hint }
}

export function createChooser(track: Track): Chooser {
  let best: { tag: string; key: unknown } | undefined
  return {
    offer(tag) {
      const key = track.keyOf(tag)
      if (key === undefined) return
      const difference = best === undefined ? 1 : track.compare(key, best.key)
      if (best === undefined || difference > 0 || (difference === 0 && tag < best.tag)) best = { tag, key }
    },
    chosen: () => best?.tag,
  }
}

/** Offers tags to choosers, and lets others have their turn meanwhile. @throws whatever `signal` aborted with */
export async function offerAll(
  choosers: readonly Pick<Chooser, 'offer'>[],
  tags: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  let restAt = performance.now() + turnMs
  for (const tag of tags) {
    for (const chooser of choosers) {
      chooser.offer(tag)
      if (performance.now() < restAt) continue
      await immediate()
      signal?.throwIfAborted()
      restAt = performance.now() + turnMs
    }
  }
}

/** What is wrong with it where it is to be written at `field`; what is there `before` is not judged anew. */
export function validateTrack(annotations: Annotations, before: Annotations, field: string): FieldCause[] {
  const written = writtenIn(annotations)
  if (written === undefined || written === writtenIn(before)) return []
  const track = parseTrack(written)
  if (!('problem' in track)) return []
  const message = `Invalid value: ${JSON.stringify(written.slice(0, 100))}: ${track.problem}`
  return [{ field: `${field}[${trackAnnotation}]`, reason: 'FieldValueInvalid', message }]
}

/** The policy as written, of a tag whose source has tags to choose from: a digest names one image for ever. */
export function trackOf(spec: TagReference | undefined): string | undefined {
  const written = writtenIn(spec?.annotations)
  if (written === undefined || spec?.from?.kind !== 'DockerImage') return undefined
  return parseImageReference(spec.from.name)?.digest === undefined ? written.slice(0, maxLength + 1) : undefined
}

/** What a tag is told of a policy that can not be read: it was written before Weir knew of it. */
export function unreadableTrack(host: string, text: string, problem: string): RegistryError {
  const message = `${trackAnnotation}: ${JSON.stringify(text.slice(0, 100))} is no policy: ${problem}`
  return new RegistryError('INVALID', { message, upstream: { host, reason: 'Invalid' } })
}

/** What a tag is told whose policy means none of its source's tags. */
export function nothingFits({ host, repository }: ImageReference, text: string): RegistryError {
  const message = `no tag of ${host}/${repository} fits ${trackAnnotation}: ${text}`
  return new RegistryError('MANIFEST_UNKNOWN', { message, upstream: { host, reason: 'NotFound' } })
}

function byVersion(text: string): Track | { problem: string } {
  const means = parseVersionRange(text.slice('semver:'.length))
  if ('problem' in means) return means
  return trackBy(text, compareTagVersions, (tag) => {
    const version = parseTagVersion(tag)
    return version !== undefined && means(version) ? version : undefined
  })
}

function byPattern(text: string): Track | { problem: string } {
  const [pattern = '', order = 'alphabetical', ...more] = text.slice('regex:'.length).split(';')
  if (more.length > 0 || (order !== 'alphabetical' && order !== 'numeric')) {
    return { problem: 'behind the pattern is ;numeric or ;alphabetical' }
  }
  try {
    const regex = compileTagRegex(pattern)
    if (order === 'alphabetical') return trackBy(text, compareBytes, regex.match)
    return trackBy(text, compareNumeric, (tag) => {
      const taken = regex.match(tag)
      return taken === undefined ? undefined : numericKey(taken)
    })
  } catch (error) {
    if (error instanceof PatternProblem) return { problem: error.message }
    throw error
  }
}

function newest(text: string): Track {
  type Key = { version: TagVersion } | { numeric: readonly string[] }
  const compare = (a: Key, b: Key): number => {
    if ('version' in a) return 'version' in b ? compareTagVersions(a.version, b.version) : 1
    return 'version' in b ? -1 : compareNumeric(a.numeric, b.numeric)
  }
  return trackBy<Key>(text, compare, (tag) => {
    if (tag === 'latest') return undefined
    const version = parseTagVersion(tag)
    const isPlain = version !== undefined && version.variant === '' && version.version.prerelease.length === 0
    return isPlain ? { version } : { numeric: numericKey(tag) }
  })
}

function trackBy<K>(text: string, compare: (a: K, b: K) => number, keyOf: (tag: string) => K | undefined): Track {
  return {
    text,
    keyOf: (tag) => (parseFallbackTag(tag) === undefined ? keyOf(tag) : undefined),
    // Keys come from `keyOf` alone.
    compare: (a, b) => compare(a as K, b as K),
  }
}

/** Runs of digits, and what is between them. */
function numericKey(text: string): string[] {
  return text.match(/\d+|\D+/g) ?? []
}

function compareNumeric(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const difference = comparePart(a[i] ?? '', b[i] ?? '')
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

function comparePart(a: string, b: string): number {
  if (!/^\d/.test(a) || !/^\d/.test(b)) return compareBytes(a, b)
  const [one, other] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')]
  return one.length - other.length || compareBytes(one, other)
}

function compareBytes(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}

function writtenIn(annotations: Annotations): string | undefined {
  return annotations && Object.hasOwn(annotations, trackAnnotation) ? annotations[trackAnnotation] : undefined
}
