import { policyAnnotationNames } from '../streams/content-policy.ts'
import { deletesAnnotation } from '../streams/delete-policy.ts'
import { followAnnotation } from '../streams/follow-annotation.ts'
import { homeAnnotation } from '../streams/home-annotation.ts'
import { fitsNone, immutableAnnotation } from '../streams/immutable.ts'
import { minAgeAnnotation } from '../streams/min-age.ts'
import { intervalAnnotation } from '../streams/scheduled.ts'
import { trackAnnotation } from '../streams/tracking.ts'
import { maxTagsAnnotation } from '../streams/whole-repository.ts'
import { contentAnnotation } from './content-state.ts'
import { isJsonObject } from './json.ts'

/** Shown on a tag that a rollback holds, with what it would have moved to since (`candidate`). Read-only: it is state of the server, whatever a client writes. */
export const holdAnnotation = 'weir.dev/hold'

/** Shown on a tag that is not held, with what it would have moved to if it were not immutable. Read-only. */
export const candidateAnnotation = 'weir.dev/candidate'

const domain = 'weir.dev/'
const computed: readonly string[] = [holdAnnotation, candidateAnnotation, contentAnnotation]
const ofSchedule: readonly string[] = [trackAnnotation, intervalAnnotation, minAgeAnnotation]
const settings: readonly string[] = [
  ...policyAnnotationNames,
  homeAnnotation,
  immutableAnnotation,
  deletesAnnotation,
  followAnnotation,
  ...ofSchedule,
]
/** As they are named to who misspelled one: a `Warning` header has room for little. */
const settingNames = `${domain}${settings.map((name) => name.slice(domain.length)).join(', ')}`
/** Every annotation in Weir's own domain: of tags, streams and projects, and of requests. */
export const ownAnnotations: readonly string[] = [...settings, ...computed, maxTagsAnnotation]
const known = new Set(ownAnnotations)

/** Annotations without those that Weir computes, which are never kept as somebody's own. */
export function withoutComputed(annotations: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(annotations).filter(([name]) => !computed.includes(name)))
}

/** What annotations stand on; undefined: what they are kept of is no matter of Weir's. */
type Level = 'project' | 'stream' | 'following' | 'tag' | undefined

interface Annotated {
  /** The field that has `annotations`. */
  field: string
  level: Level
  annotations: Record<string, unknown>
}

/** Those that do not count on every level, and where they do. */
const counts: ReadonlyMap<string, readonly Level[]> = new Map<string, readonly Level[]>([
  [homeAnnotation, ['project']],
  [deletesAnnotation, ['project', 'stream', 'following']],
  [followAnnotation, ['stream', 'following', 'tag']],
  [trackAnnotation, ['tag', 'following']],
  [intervalAnnotation, ['tag', 'following']],
  [minAgeAnnotation, ['tag']],
  [maxTagsAnnotation, ['following']],
])
const levelNames = {
  project: 'a project',
  stream: 'an image stream',
  following: `an image stream that follows a repository (${followAnnotation})`,
  tag: 'a tag',
} as const
/** Of the objects that have such annotations as `metadata`; an ImageTag shows those of its stream there. */
const levels: ReadonlyMap<unknown, Level> = new Map([
  ['Namespace', 'project'],
  ['Project', 'project'],
  ['ImageStream', 'stream'],
  ['ImageStreamTag', 'tag'],
])
/** Most tags of a stream that patterns are compared with: of one that has more nothing is told. */
const maxTags = 1000

/**
 * What there is to tell of annotations in Weir's own domain, wherever an object has some: of those that it does not know, as they may
 * be of another version, or spelled wrong, and of those that do nothing where they are. Not more than `most`.
 */
export function annotationWarnings(object: unknown, most: number): string[] {
  const found: string[] = []
  for (const { field, level, annotations } of annotationsIn(object)) {
    for (const name of Object.keys(annotations)) {
      if (found.length >= most) return found
      const said = name.startsWith(domain) ? sentence(name, level) : undefined
      if (said !== undefined) found.push(`${field}.annotations: ${said}`)
    }
  }
  return [...found, ...idlePatterns(object)].slice(0, most)
}

function sentence(name: string, level: Level): string | undefined {
  if (!known.has(name)) {
    return `Weir knows no annotation ${shorten(name)}, and does nothing about it; it knows ${settingNames}`
  }
  const places = counts.get(name)
  if (level === undefined || places === undefined || places.includes(level)) return undefined
  const isOfStreams = places.includes('stream')
  const names = places.flatMap((place) => {
    const isTold = place === undefined || (place === 'following' && isOfStreams)
    return isTold ? [] : [levelNames[place]]
  })
  const at = levelNames[level === 'following' ? 'stream' : level]
  return `${name} does nothing on ${at}: it counts on ${names.join(' or ')}`
}

/** What there is to tell of a stream whose immutable tags are named so that it has none. */
function idlePatterns(object: unknown): string[] {
  if (!isJsonObject(object) || object.kind !== 'ImageStream' || !isJsonObject(object.metadata)) return []
  const { annotations } = object.metadata
  const written = isJsonObject(annotations) ? annotations[immutableAnnotation] : undefined
  if (typeof written !== 'string') return []
  const tags = [...namesIn(object.spec, 'name'), ...namesIn(object.status, 'tag')]
  if (tags.length === 0 || tags.length > maxTags || !fitsNone(written, tags)) return []
  const fits = `${immutableAnnotation}: ${shorten(written)} fits no tag that this image stream has now`
  return [`metadata.annotations: ${fits}, and what its project says of immutable tags does not count here`]
}

function namesIn(part: unknown, key: string): string[] {
  if (!isJsonObject(part) || !Array.isArray(part.tags)) return []
  const names = part.tags.map((tag: unknown) => (isJsonObject(tag) ? tag[key] : undefined))
  return names.filter((name) => typeof name === 'string')
}

/** Of the object itself, of the tag that it shows, and of the tags that it has. */
function* annotationsIn(object: unknown): Generator<Annotated> {
  if (!isJsonObject(object)) return
  yield* annotationsOf('metadata', levelOf(object), object.metadata)
  for (const field of ['spec', 'tag']) yield* annotationsOf(field, 'tag', object[field])
  const { spec } = object
  if (!isJsonObject(spec) || !Array.isArray(spec.tags)) return
  for (const [i, tag] of spec.tags.entries()) yield* annotationsOf(`spec.tags[${i}]`, 'tag', tag)
}

function levelOf({ kind, metadata }: Record<string, unknown>): Level {
  const level = levels.get(kind)
  const annotations = isJsonObject(metadata) && isJsonObject(metadata.annotations) ? metadata.annotations : {}
  return level === 'stream' && annotations[followAnnotation] === 'true' ? 'following' : level
}

function* annotationsOf(field: string, level: Level, value: unknown): Generator<Annotated> {
  if (isJsonObject(value) && isJsonObject(value.annotations)) yield { field, level, annotations: value.annotations }
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}...` : text
}
