import type { Condition, ImageStream, NamedTagEventList, ObjectReference, TagReference } from './api.ts'
import type { TagName } from './references.ts'

/** Read-only annotation of a tag that a rollback holds. */
export const holdAnnotation = 'weir.dev/hold'

/** A tag as its stream shows it: what is wanted of it, and what became of it. */
export interface StreamTag extends TagName {
  from: ObjectReference | undefined
  /** The digest that it stands at; undefined when it stands at none. */
  image: string | undefined
  /** When it came to stand there, RFC 3339. */
  movedAt: string | undefined
  isHeld: boolean
  /** Why its newest import failed. */
  failure: Condition | undefined
}

/** Every tag that is wanted or has stood, in byte order. */
export function tagsOf(stream: ImageStream): StreamTag[] {
  const wanted = new Map((stream.spec?.tags ?? []).map((tag) => [tag.name, tag]))
  const events = new Map((stream.status?.tags ?? []).map((list) => [list.tag, list]))
  const names = [...new Set([...wanted.keys(), ...events.keys()])]
  return names.toSorted(byBytes).map((tag) => describeTag(stream, tag, wanted.get(tag), events.get(tag)))
}

/** One tag; undefined when it is neither wanted nor has stood. */
export function tagOf(stream: ImageStream | undefined, tag: string): StreamTag | undefined {
  const wanted = stream?.spec?.tags?.find(({ name }) => name === tag)
  const events = stream?.status?.tags?.find((list) => list.tag === tag)
  if (stream === undefined || (wanted === undefined && events === undefined)) return undefined
  return describeTag(stream, tag, wanted, events)
}

function describeTag(
  { metadata }: ImageStream,
  tag: string,
  wanted: TagReference | undefined,
  events: NamedTagEventList | undefined,
): StreamTag {
  const head = events?.items?.[0]
  return {
    project: metadata?.namespace ?? '',
    stream: metadata?.name ?? '',
    tag,
    from: wanted?.from ?? undefined,
    image: head?.image || undefined,
    movedAt: head?.created,
    isHeld: wanted?.annotations?.[holdAnnotation] !== undefined,
    failure: events?.conditions?.find(({ type, status }) => type === 'ImportSuccess' && status === 'False'),
  }
}

// Tags are ASCII, of which UTF-16 has the order of the bytes.
function byBytes(a: string, b: string): number {
  return a < b ? -1 : 1
}
