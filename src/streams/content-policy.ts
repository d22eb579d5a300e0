import type { FieldCause } from '../oci/errors.ts'

/** What is kept of which tag, as the config and the annotations of project, stream and tag say (DESIGN section 5, Keep). */

export interface ContentPolicy {
  /** `pinned`: what a pin needs is fetched and kept. `pulled`: only what was pulled, as long as there is room. */
  retain: 'pinned' | 'pulled'
  /** Of an index, which children are fetched: `os/architecture` or `os/architecture/variant`. */
  platforms: readonly string[]
  /** Newest revisions of a tag whose bytes are kept, the pin's among them. */
  historyKeep: number
  /** Days for which the bytes of a revision are kept after another came in its place. */
  historyKeepDays: number
  /** Whether a tag moves before its content is held, or only after. */
  move: 'at-once' | 'when-held'
}

type Annotations = Readonly<Record<string, string>> | null | undefined

interface AnnotationRule {
  key: keyof ContentPolicy
  /** undefined for what is no value. */
  read(written: string): unknown
  /** What to write instead. */
  hint: string
}

/** Most platforms: each is compared with each child of an index, which may name as many as it likes. */
const maxPlatforms = 32
const platform = /^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9]+)?$/

/** The annotations that change the policy, on a project, a stream or a tag; the most specific one counts. */
const rules: Readonly<Record<string, AnnotationRule>> = {
  'weir.dev/retain': { key: 'retain', ...oneOf('pinned', 'pulled') },
  'weir.dev/platforms': {
    key: 'platforms',
    read: parsePlatforms,
    hint: `write platforms, ${maxPlatforms} at most: linux/amd64,linux/arm64`,
  },
  'weir.dev/history-keep': { key: 'historyKeep', ...count(1, 1_000_000) },
  'weir.dev/history-keep-days': { key: 'historyKeepDays', ...count(0, 36_500) },
  'weir.dev/move': { key: 'move', ...oneOf('at-once', 'when-held') },
}

/** The names of the annotations that change the policy. */
export const policyAnnotationNames: readonly string[] = Object.keys(rules)

/** The policy of a tag: `levels` are the annotations of its project, its stream and itself. What can not be read is left out. */
export function contentPolicy(defaults: ContentPolicy, ...levels: readonly Annotations[]): ContentPolicy {
  const policy: Record<string, unknown> = { ...defaults }
  for (const annotations of levels) {
    for (const [name, { key, read }] of Object.entries(rules)) {
      const written = annotations && Object.hasOwn(annotations, name) ? annotations[name] : undefined
      const value = written === undefined ? undefined : read(written)
      if (value !== undefined) policy[key] = value
    }
  }
  return policy as unknown as ContentPolicy
}

/**
 * What is wrong with annotations that are to be written at `field`, by the path of each. What is there `before` is not judged
 * anew: else nothing else of it could be changed.
 */
export function validateContentPolicy(annotations: Annotations, before: Annotations, field: string): FieldCause[] {
  return Object.entries(rules).flatMap(([name, { read, hint }]) => {
    const [written, stands] = [annotations, before].map((from) =>
      from && Object.hasOwn(from, name) ? from[name] : undefined,
    )
    if (written === undefined || written === stands || read(written) !== undefined) return []
    const message = `Invalid value: ${JSON.stringify(written.slice(0, 100))}: ${hint}`
    return [{ field: `${field}[${name}]`, reason: 'FieldValueInvalid', message }]
  })
}

/** Those of annotations that change the policy. */
export function policyAnnotations(annotations: Annotations): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(annotations ?? {}).filter(([name]) => Object.hasOwn(rules, name)))
}

/** Whether a child of an index is for one of the platforms. What names no platform, or none that is known, belongs to all. */
export function isWantedPlatform(
  { os, architecture, variant }: { os?: string; architecture?: string; variant?: string },
  platforms: readonly string[],
): boolean {
  if (os === undefined || architecture === undefined || os === 'unknown') return true
  return platforms.some((wanted) => {
    const [wantedOs, wantedArchitecture, wantedVariant] = wanted.split('/')
    if (os !== wantedOs || architecture !== wantedArchitecture) return false
    return wantedVariant === undefined || variant === undefined || variant === wantedVariant
  })
}

/** Reads `linux/amd64, linux/arm64`; undefined when one is none, or they are too many. */
export function parsePlatforms(written: string): string[] | undefined {
  const platforms = written.split(',', maxPlatforms + 1).map((each) => each.trim())
  if (platforms.length > maxPlatforms) return undefined
  return platforms.every((each) => platform.test(each)) ? platforms : undefined
}

function oneOf(...values: string[]): Omit<AnnotationRule, 'key'> {
  return { read: (written) => values.find((value) => value === written), hint: `write ${values.join(' or ')}` }
}

function count(least: number, most: number): Omit<AnnotationRule, 'key'> {
  const read = (written: string): number | undefined => {
    const value = /^[0-9]{1,7}$/.test(written) ? Number(written) : -1
    return value >= least && value <= most ? value : undefined
  }
  return { read, hint: `write a whole number from ${least} to ${most}` }
}
