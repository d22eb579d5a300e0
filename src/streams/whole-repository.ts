import { isDeepStrictEqual } from 'node:util'
import type { FieldCause } from '../oci/errors.ts'
import { parseImageReference } from '../oci/reference.ts'
import { followAnnotation } from './follow-annotation.ts'
import type { ScheduledRecord } from './records.ts'
import { intervalAnnotation, parseInterval, validateSchedule } from './scheduled.ts'
import type { ObjectFields } from './stream-object.ts'
import type { Stream } from './streams.ts'
import { parseTrack, trackAnnotation } from './tracking.ts'

/**
 * Image streams that follow a whole repository: with `weir.dev/follow: "true"` a stream gets the tags that appear in the one which
 * its `spec.dockerImageRepository` names. What its annotations narrow it to: `weir.dev/track` which tags, `weir.dev/max-tags` how
 * many, `weir.dev/import-interval` how often it is looked at.
 */

type Annotations = Readonly<Record<string, string>> | undefined
/** What a client sets of a stream, as far as it matters here. */
type Fields = Pick<ObjectFields, 'annotations' | 'dockerImageRepository'>

/** So many tags of a repository at the most: of one that an image stream follows, and of one that an ImageStreamImport is for. */
export const maxTagsAnnotation = 'weir.dev/max-tags'

/** Most tags of a repository that a stream follows at a time, and the default. */
export const mostFollowedTags = 1000

/** Stands for the stream itself where tags are named: none can be called so. */
export const wholeStream = '*'

/** Whether a stream wants to follow a whole repository. */
export function isFollowing({ annotations }: Pick<Fields, 'annotations'>): boolean {
  return writtenIn(annotations, followAnnotation) === 'true'
}

/** What the index of scheduled sources says of a stream itself; undefined when it says nothing. */
export function wholeRecord(stream: Fields & Pick<Stream, 'uid'>): ScheduledRecord | undefined {
  const { uid, annotations, dockerImageRepository: from } = stream
  if (!isFollowing(stream) || !from || parseImageReference(from) === undefined) return undefined
  const interval = writtenIn(annotations, intervalAnnotation)
  const intervalMs = interval === undefined ? undefined : parseInterval(interval)
  const track = writtenIn(annotations, trackAnnotation)
  return {
    uid,
    from,
    ...(intervalMs === undefined ? {} : { intervalMs }),
    ...(track === undefined ? {} : { track: track.slice(0, 300) }),
    all: { most: parseMaxTags(writtenIn(annotations, maxTagsAnnotation)) ?? mostFollowedTags },
  }
}

/**
 * What the index has to say after a change of a stream's object: a record to put, null to delete, undefined to leave it as it is.
 */
export function nextWhole(before: Stream | undefined, after: Stream): ScheduledRecord | null | undefined {
  const [stood, stands] = [before && wholeRecord(before), wholeRecord(after)]
  if (stands === undefined) return stood === undefined ? undefined : null
  return isDeepStrictEqual(stood, stands) ? undefined : stands
}

/** Whether a stream that does not yet is to follow a repository: all that it says of that is judged. */
export function beginsToFollow(object: Fields, before: Fields | undefined): boolean {
  return isFollowing(object) && (before === undefined || !isFollowing(before))
}

/**
 * What is wrong with how a stream wants to follow a repository, by the path of each annotation. What is there `before` is not judged
 * anew: else nothing else of the stream could be changed. Without the repository it follows nothing, and may go on being changed.
 */
export function validateWhole(object: Fields, before: Fields | undefined): FieldCause[] {
  const { annotations } = object
  const at = (name: string): string => `metadata.annotations[${name}]`
  const follow = writtenIn(annotations, followAnnotation)
  if (follow !== undefined && follow !== 'true' && follow !== 'false') {
    const isKnown = follow === writtenIn(before?.annotations, followAnnotation)
    return isKnown ? [] : [invalid(at(followAnnotation), follow, 'write true or false')]
  }
  if (follow !== 'true') return []
  const begins = beginsToFollow(object, before)
  const known = begins ? undefined : before?.annotations
  const causes = validateSchedule(annotations, known, 'metadata.annotations')
  if (begins && !object.dockerImageRepository) {
    const why = 'spec.dockerImageRepository names no repository to follow: set it before, or in the same write'
    causes.push(invalid(at(followAnnotation), follow, why))
  }
  const track = writtenIn(annotations, trackAnnotation)
  if (track !== undefined && track !== writtenIn(known, trackAnnotation)) {
    const problem = problemOf(track)
    if (problem !== undefined) causes.push(invalid(at(trackAnnotation), track, problem))
  }
  const most = writtenIn(annotations, maxTagsAnnotation)
  if (most !== undefined && most !== writtenIn(known, maxTagsAnnotation) && parseMaxTags(most) === undefined) {
    causes.push(invalid(at(maxTagsAnnotation), most, `write a whole number from 1 to ${mostFollowedTags}`))
  }
  return causes
}

function problemOf(track: string): string | undefined {
  const hint = 'of the repository that an image stream follows: write semver:RANGE or regex:PATTERN'
  if (track === 'newest') return `it chooses one tag, and says nothing ${hint}`
  const parsed = parseTrack(track)
  return 'problem' in parsed ? parsed.problem : undefined
}

function parseMaxTags(written: string | undefined): number | undefined {
  const most = written !== undefined && /^[0-9]{1,4}$/.test(written) ? Number(written) : 0
  return most >= 1 && most <= mostFollowedTags ? most : undefined
}

function invalid(field: string, value: string, why: string): FieldCause {
  return {
    field,
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${JSON.stringify(value.slice(0, 100))}: ${why}`,
  }
}

function writtenIn(annotations: Annotations, name: string): string | undefined {
  return annotations && Object.hasOwn(annotations, name) ? annotations[name] : undefined
}
