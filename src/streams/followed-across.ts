import type { FieldCause } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import { followAnnotation } from './follow-annotation.ts'
import { acrossKey } from './keys.ts'
import type { AcrossRecord, FollowerIdentity, TagRecord, TagReference } from './records.ts'
import { followedTag, isSameStream, parseStreamSource, sourceText } from './sources.ts'
import type { TagChange } from './streams.ts'

/** Which tags follow a tag of another stream, and how far that leads. A tag of the same stream is followed anyway. */

/** A tag of a stream. */
export interface TagName extends StreamName {
  tag: string
}

type Spec = Pick<TagReference, 'annotations' | 'from' | 'reference'>

/** Most tags that one leads through to the last that it follows, where some of them are of other streams. */
export const maxHops = 24

/** Most that is kept of the groups of who follows. */
const mostGroups = { count: 100, bytes: 8192 } as const

/** The tag of another stream that a tag of the stream `own` follows by its spec. */
export function followedAcross(spec: Spec | undefined, own: StreamName): TagName | undefined {
  if (spec?.from === undefined || spec.reference === true || writtenIn(spec.annotations) !== 'true') return undefined
  const source = parseStreamSource(spec.from, own)
  if (source?.kind !== 'ImageStreamTag' || isSameStream(source.stream, own)) return undefined
  return { ...source.stream, tag: source.tag }
}

/** Whether a tag of another stream is followed by one spec that is not by the other. */
export function followsOtherwise(spec: Spec | undefined, other: Spec | undefined, own: StreamName): boolean {
  const source = followedAcross(spec, own)
  return source !== undefined && !isSameTag(source, followedAcross(other, own))
}

/** The tag that a tag of the stream `own` follows by its spec, of whichever stream. */
export function followed(spec: Spec | undefined, own: StreamName): TagName | undefined {
  const tag = followedTag(spec, own)
  return tag === undefined ? followedAcross(spec, own) : { project: own.project, stream: own.stream, tag }
}

/**
 * What is wrong with the annotation where it is to be written at `field`, on a tag of the stream `own`. What is there `before`, with
 * the same source, is not judged anew.
 */
export function validateFollow(spec: Spec, before: Spec | undefined, field: string, own: StreamName): FieldCause[] {
  const written = writtenIn(spec.annotations)
  if (written === undefined || written === 'false') return []
  const isAsBefore = written === writtenIn(before?.annotations) && isSameSource(spec, before)
  const why = isAsBefore ? undefined : whyNot(written, spec, own)
  if (why === undefined) return []
  const message = `Invalid value: ${JSON.stringify(written.slice(0, 100))}: ${why}`
  return [{ field: `${field}[${followAnnotation}]`, reason: 'FieldValueInvalid', message }]
}

/** Whoever follows, as he is kept: his groups as far as there is room, and of a service account that it is still the same. */
export function followerIdentity({ name, groups, uid }: FollowerIdentity): FollowerIdentity {
  const kept: string[] = []
  let bytes = 0
  for (const group of groups.slice(0, mostGroups.count)) {
    bytes += Buffer.byteLength(group)
    if (bytes > mostGroups.bytes) break
    kept.push(group)
  }
  const isAccount = name.startsWith('system:serviceaccount:')
  return { name, groups: kept, ...(isAccount && uid !== undefined ? { uid } : {}) }
}

/** By whose right a tag follows after a change: whoever began it, until it follows something else or nothing. */
export function nextFollowsAs(
  before: TagRecord,
  change: TagChange,
  spec: TagReference | undefined,
  own: StreamName,
): FollowerIdentity | undefined {
  const source = followedAcross(spec, own)
  if (source === undefined) return undefined
  return change.followsAs ?? (isSameTag(source, followedAcross(before.spec, own)) ? before.followsAs : undefined)
}

/** What the index of tags that follow across streams has to say after a change of a tag's record: keys to delete and to put. */
export function nextAcross(
  tag: TagName,
  stored: TagRecord | undefined,
  next: TagRecord,
): { gone?: string; put?: { key: string; record: AcrossRecord } } {
  const keyOf = (record: TagRecord | undefined): string | undefined => {
    const source = followedAcross(record?.spec, tag)
    return source && acrossKey(source, tag)
  }
  const [before, after] = [keyOf(stored), keyOf(next)]
  const isSame = before === after && stored?.uid === next.uid
  return {
    ...(before === undefined || before === after ? {} : { gone: before }),
    ...(after === undefined || isSame ? {} : { put: { key: after, record: { uid: next.uid } } }),
  }
}

/** Where a tag leads: to a tag that follows nothing, to itself again, or further than is looked. */
export interface PathAbove {
  /** The tags that it follows, nearest first; of one that leads to itself those between. */
  path: readonly TagName[]
  ends: 'free' | 'loop' | 'too-long'
}

/** Goes from a tag to what it follows, and on. */
export async function pathAbove(
  tag: TagName,
  sourceOf: (tag: TagName) => Promise<TagName | undefined>,
): Promise<PathAbove> {
  const path: TagName[] = []
  for (let at = await sourceOf(tag); at !== undefined; at = await sourceOf(at)) {
    if (isSameTag(at, tag)) return { path, ends: 'loop' }
    path.push(at)
    if (path.length >= maxHops) return { path, ends: 'too-long' }
  }
  return { path, ends: 'free' }
}

/**
 * Why a tag can not begin what leads it to itself, or too far; undefined when nothing is wrong. Tags of streams that `maySee` denies are
 * not named.
 */
export function pathProblem(
  { path, ends }: PathAbove,
  own: StreamName,
  maySee: (stream: StreamName) => boolean,
): string | undefined {
  if (ends === 'free') return undefined
  if (ends === 'too-long') return `it would follow through ${maxHops} tags or more`
  const shown = path.filter((tag) => isSameStream(tag, own) || maySee(tag))
  const hidden = shown.length < path.length ? ['image streams that you may not see'] : []
  return `it would follow itself, through ${[...shown.map(tagText), ...hidden].join(', ')}`
}

/** Whether who let a tag follow may still pull from what it follows. */
export type MayFollow = (as: FollowerIdentity, source: StreamName) => boolean

/** What is said of a tag that does not follow since nobody who let it may pull from its source. */
export function forbiddenFailure(
  source: TagName,
  { followsAs: as, items }: Pick<TagRecord, 'followsAs' | 'items'>,
): NonNullable<TagChange['condition']> {
  const who = as === undefined ? 'nobody who let it follow is known' : `${as.name} let it follow`
  const stream = `${source.project}/${source.stream}`
  const why = as === undefined ? '' : `, and may not pull from ${stream} any more, or there is no such image stream`
  const kept = items[0] === undefined ? '' : 'the tag keeps what it stands at; '
  const how = 'give that right back, or let somebody who has it set the tag again'
  return { reason: 'Forbidden', message: `${tagText(source)} is not followed: ${who}${why}; ${kept}${how}` }
}

/** How messages and causes call a tag: `demo/app:prod`. */
export function tagText({ project, stream, tag }: TagName): string {
  return sourceText({ kind: 'ImageStreamTag', stream: { project, stream }, tag })
}

/** Whether two names are of one tag. */
export function isSameTag(a: TagName, b: TagName | undefined): boolean {
  return b !== undefined && a.tag === b.tag && isSameStream(a, b)
}

function whyNot(written: string, { from, reference }: Spec, own: StreamName): string | undefined {
  if (written !== 'true') return 'write true or false'
  const source = from && parseStreamSource(from, own)
  if (source?.kind !== 'ImageStreamTag') {
    const what =
      'it lets a tag follow a tag of another image stream, which its source (from, kind ImageStreamTag) has to be'
    return `${what}; an image of a registry is followed by importPolicy.scheduled, and an image of a stream never moves`
  }
  if (reference !== true || isSameStream(source.stream, own)) return undefined
  return 'it lets a tag follow a tag of another image stream, and a mere reference (reference: true) follows nothing'
}

function isSameSource(a: Spec, b: Spec | undefined): boolean {
  const source = ({ from, reference }: Spec) =>
    [from?.kind, from?.name, from?.namespace ?? '', reference ?? false].join(' ')
  return b !== undefined && source(a) === source(b)
}

function writtenIn(annotations: Spec['annotations'] | undefined): string | undefined {
  return annotations && Object.hasOwn(annotations, followAnnotation) ? annotations[followAnnotation] : undefined
}
