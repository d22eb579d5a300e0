import { type FieldCause, RegistryError } from '../oci/errors.ts'
import { meansFallbackTags } from '../oci/fallback-tag.ts'
import type { StreamName } from '../oci/reference.ts'
import { isBooleanLike, matchesPattern, maxTagPatterns, readPatterns, readTagChoice } from '../oci/tag-patterns.ts'
import { sameIdentity } from './generations.ts'
import { asCandidate, isHeldError } from './hold.ts'
import type { Cause, TagRecord } from './records.ts'
import type { TagChange, TagMove } from './streams.ts'

/**
 * On a project or a stream: `true`, `false`, or which tags, as patterns with `*`: `v*,release-*`. On a tag: `true` or `false`. The
 * nearest level that has it decides. A tag that is immutable and stands at an image moves nowhere else, and is not deleted.
 */
export const immutableAnnotation = 'weir.dev/immutable'

type Annotations = Readonly<Record<string, string>> | null | undefined
type Level = 'project' | 'stream' | 'tag'

/** What says that a tag is immutable. */
export interface Immutability {
  level: Level
  written: string
}

/** What makes a tag immutable; undefined when nothing does. What can not be read says nothing. */
export function immutableBy(tag: string, levels: Record<Level, Annotations>): Immutability | undefined {
  for (const level of ['tag', 'stream', 'project'] as const) {
    const written = writtenIn(levels[level])
    const says = written === undefined ? undefined : read(written, level)
    if (written !== undefined && says !== undefined) return says(tag) ? { level, written } : undefined
  }
  return undefined
}

/**
 * What makes a tag immutable that is derived from the digest of an image: patterns alone that mean such tags. cosign moves them to add
 * signatures to an image, whose own tags are not to move.
 */
export function derivedImmutableBy(
  tag: string,
  levels: Record<Exclude<Level, 'tag'>, Annotations>,
): Immutability | undefined {
  for (const level of ['stream', 'project'] as const) {
    const written = writtenIn(levels[level])
    const patterns = written === undefined ? undefined : readPatterns(written)
    if (written === undefined || patterns === undefined) continue
    const isMeant = patterns.some((pattern) => meansFallbackTags(pattern) && matchesPattern(tag, pattern))
    return isMeant ? { level, written } : undefined
  }
  return undefined
}

/** What is wrong with annotations that are to be written at `field`; what is there `before` is not judged anew. */
export function validateImmutable(
  annotations: Annotations,
  before: Annotations,
  field: string,
  level: Level,
): FieldCause[] {
  const written = writtenIn(annotations)
  if (written === undefined || written === writtenIn(before) || read(written, level) !== undefined) return []
  const hint = hintOf(written, level)
  const message = `Invalid value: ${JSON.stringify(written.slice(0, 100))}: ${hint}`
  return [{ field: `${field}[${immutableAnnotation}]`, reason: 'FieldValueInvalid', message }]
}

/** Whether the annotation of a project or a stream names tags by patterns, and none of `tags` is one of them. */
export function fitsNone(written: string, tags: readonly string[]): boolean {
  if (isBoolean(written)) return false
  const says = readTagChoice(written)
  return says !== undefined && !tags.some(says)
}

function hintOf(written: string, level: Level): string {
  if (level === 'tag') return 'write true or false'
  const patterns = `true, false, or tags, ${maxTagPatterns} patterns at most: v*,release-*`
  const name = written.trim()
  const isTagToo = isBooleanLike(name) && !isBoolean(name.toLowerCase())
  return `write ${patterns}${isTagToo ? `; for the tag of that name ${name},${name}` : ''}`
}

/** Where and of what a change is, and what makes its tag immutable as it is until then. */
export interface ImmutableContext extends StreamName {
  tag: string
  time: string
  immutableBy?: ((tag: string, annotations: Annotations) => Immutability | undefined) | undefined
}

/**
 * A change as an immutable tag lets it through: an automatic move turns into a candidate. `move` is where the change leads, also
 * where that only follows from what is wanted. The same image again is no move.
 *
 * @throws RegistryError INVALID
 */
export function underImmutable(
  before: TagRecord,
  change: TagChange,
  move: TagMove | undefined,
  context: ImmutableContext,
): TagChange {
  const image = before.items[0]?.image
  if (!image || move?.image === image) return change
  if (move === undefined) {
    if (wantsElsewhere(before, change, context.project)) requireNotImmutable(before, context)
    return change
  }
  if (isAutomatic(move.cause.kind)) {
    return immutabilityOf(before, context) === undefined ? change : asCandidate(before, change, move, context.time)
  }
  requireNotImmutable(before, context)
  return change
}

/**
 * Refuses what would move an immutable tag, or delete it: 422 with a field cause, for the API; `/v2/` says {@link deniedMove}.
 *
 * @throws RegistryError INVALID
 */
export function requireNotImmutable(
  before: TagRecord,
  context: ImmutableContext,
  asked: 'move' | 'delete' = 'move',
): void {
  const by = immutabilityOf(before, context)
  if (by !== undefined) throw immutableError(by, String(before.items[0]?.image), context, asked)
}

/** Whether an error says that a tag may not move: it is held, or immutable. */
export function isMoveRefusal(error: unknown): error is RegistryError {
  if (isHeldError(error)) return true
  if (!(error instanceof RegistryError) || error.code !== 'INVALID') return false
  return typeof error.detail === 'object' && error.detail !== null && 'immutable' in error.detail
}

/** A refusal to move as `/v2/` says it: 403 DENIED, in the same words. Other errors stay what they are. */
export function deniedMove(error: unknown): unknown {
  if (!isMoveRefusal(error)) return error
  const words = error.causes.map(({ message }) => message.replace(/^Forbidden: /, ''))
  return new RegistryError('DENIED', { message: words.join('; '), cause: error })
}

/** The refusal of what would move or delete an immutable tag that is derived from a digest and stands at `image`: DENIED. */
export function deniedDerived(
  by: Immutability,
  image: string,
  context: StreamName & { tag: string },
  asked: 'move' | 'delete' = 'move',
): unknown {
  return deniedMove(immutableError(by, image, context, asked))
}

function immutabilityOf(before: TagRecord, { immutableBy, tag }: ImmutableContext): Immutability | undefined {
  return before.items[0]?.image ? immutableBy?.(tag, before.spec?.annotations) : undefined
}

function isAutomatic(kind: Cause['kind']): boolean {
  return kind === 'scheduled' || kind === 'follow'
}

/** Another source that somebody will look at later: by then nobody would be there to be refused. */
function wantsElsewhere(before: TagRecord, { spec, condition }: TagChange, project: string): boolean {
  if (!spec || condition) return false
  return before.spec === undefined ? spec.from !== undefined : !sameIdentity(before.spec, spec, project)
}

/** What an annotation says of tags; undefined when it can not be read. */
function read(written: string, level: Level): ((tag: string) => boolean) | undefined {
  return level === 'tag' && !isBoolean(written) ? undefined : readTagChoice(written)
}

function isBoolean(written: string): boolean {
  return written === 'true' || written === 'false'
}

function writtenIn(annotations: Annotations): string | undefined {
  return annotations && Object.hasOwn(annotations, immutableAnnotation) ? annotations[immutableAnnotation] : undefined
}

function immutableError(
  { level, written }: Immutability,
  image: string,
  context: StreamName & { tag: string },
  asked: 'move' | 'delete',
): RegistryError {
  const { project, stream, tag } = context
  const places = { project: `project ${project}`, stream: `image stream ${project}/${stream}`, tag: 'the tag' }
  const says = `${immutableAnnotation}: ${written.length > 100 ? `${written.slice(0, 100)}...` : written}`
  const advice =
    asked === 'delete' ? 'to delete it, change that annotation before' : 'use another tag, or change that annotation'
  const message = `tag ${JSON.stringify(tag)} is immutable (${says}, on ${places[level]}) and stays at ${image}; ${advice}`
  return new RegistryError('INVALID', {
    message: `ImageStreamTag.image.openshift.io "${stream}:${tag}" is invalid: tag: Forbidden: ${message}`,
    detail: { immutable: { project, stream, tag, level } },
    causes: [{ field: 'tag', reason: 'FieldValueForbidden', message: `Forbidden: ${message}` }],
    subject: { name: `${stream}:${tag}`, kind: 'imagestreamtags', group: 'image.openshift.io' },
  })
}
