import { isDeepStrictEqual } from 'node:util'
import type { StreamName } from '../oci/reference.ts'
import { followedAcross, isSameTag } from '../streams/followed-across.ts'
import { sameIdentity } from '../streams/generations.ts'
import type { TagReference } from '../streams/records.ts'
import { isSameStream, parseStreamSource, type StreamSource } from '../streams/sources.ts'
import type { TagChange } from '../streams/streams.ts'
import type { Asking, StreamRequest, WantedTag } from './request.ts'

/** What is wanted of one tag, and its path in the object that was sent; null takes the spec away. */
export interface Wish {
  tag: string
  field: string
  wanted: WantedTag | null
}

/** What a wish comes to against the spec that is there. */
export interface Step {
  wish: Wish
  /** Without the move to what a source stands at. */
  change: TagChange
  /** Whether the source is another than the tag has now, or is to be taken again: it has to be checked. */
  isNewSource: boolean
  /** Whether the tag follows a tag of another stream from now on, by the right of whoever asks. */
  isFollowing: boolean
  /** Where the tag has to move to: the source is new, or is to be taken again. The writer itself follows tags of its own stream. */
  moveTo?: StreamSource
}

/** Compares a wish with the spec of its tag (okd.md 2.2 and 2.4). Pure. */
export function stepOf(own: StreamName, before: TagReference | undefined, wish: Wish, asking: Asking): Step {
  if (wish.wanted === null) return { wish, change: { spec: null }, isNewSource: false, isFollowing: false }
  const { generation, ...wanted } = wish.wanted
  const spec = { ...wanted, name: wish.tag }
  const again = generation === 0
  const wantedBy = { by: asking.by, ...(asking.reason === undefined ? {} : { reason: asking.reason }) }
  const renewed = again || before === undefined || !sameIdentity(before, spec, own.project)
  const across = followedAcross(spec, own)
  const isTurnedOn = across !== undefined && !isSameTag(across, followedAcross(before, own))
  const source = (renewed || isTurnedOn) && spec.from ? parseStreamSource(spec.from, own) : undefined
  const isNewSource = renewed || isTurnedOn || !isDeepStrictEqual(before?.from, spec.from)
  return {
    wish,
    change: { spec, wantedBy, ...(again ? { reimport: true } : {}) },
    isNewSource,
    isFollowing: isNewSource && across !== undefined,
    ...(source === undefined || isFollowed(source, own) ? {} : { moveTo: source }),
  }
}

/** All tags that a whole stream wants: the last of a name counts, and a tag that is missing from the list loses its spec. */
export function wishesOf({ tags, meant }: Pick<StreamRequest, 'tags' | 'meant'>, present: Iterable<string>): Wish[] {
  const wishes = new Map<string, Wish>()
  for (const tag of present) wishes.set(tag, { tag, field: pathOf(tag), wanted: null })
  for (const wanted of tags) wishes.set(wanted.name, { tag: wanted.name, field: pathOf(wanted.name), wanted })
  return [...wishes.values()].filter(({ tag }) => meant?.has(tag) ?? true)
}

function isFollowed(source: StreamSource, own: StreamName): boolean {
  return source.kind === 'ImageStreamTag' && isSameStream(source.stream, own)
}

function pathOf(tag: string): string {
  return `spec.tags[${tag.slice(0, 128)}]`
}
