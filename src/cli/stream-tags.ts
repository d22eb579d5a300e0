import type {
  Condition,
  ImageStream,
  ImageTag,
  NamedTagEventList,
  ObjectReference,
  TagItem,
  TagReference,
} from './api.ts'
import { type Hold, heldBy, holdOf } from './holds.ts'
import { incompleteReason } from './import-advice.ts'
import type { TagName } from './references.ts'

/** On a tag: it follows the tag of another stream that is its source. */
export const followAnnotation = 'weir.dev/follow'

/** A tag as its stream shows it: what is wanted of it, and what became of it. */
export interface StreamTag extends TagName {
  /** What is wanted; absent for a tag that was only ever pushed. */
  wanted: TagReference | undefined
  from: ObjectReference | undefined
  /** Where it stands and stood, newest first. */
  items: readonly TagItem[]
  /** The digest that it stands at; undefined when it stands at none. */
  image: string | undefined
  /** When the image that it stands at came, RFC 3339. */
  movedAt: string | undefined
  /** Of a tag that a rollback holds. */
  hold: Hold | undefined
  /** Why its newest import failed. */
  failure: Condition | undefined
  /** That no upstream has the image any more that it stands at. */
  gone: Condition | undefined
  /** That it moves to an image when all that it needs of it is held, and how far that is. */
  awaits: Condition | undefined
  /** Whether what is wanted was not looked at yet. */
  isPending: boolean
}

/** Every tag that is wanted or has stood, in byte order. */
export function tagsOf(stream: ImageStream): StreamTag[] {
  const wanted = new Map((stream.spec?.tags ?? []).map((tag) => [tag.name, tag]))
  const events = new Map((stream.status?.tags ?? []).map((list) => [list.tag, list]))
  const names = [...new Set([...wanted.keys(), ...events.keys()])]
  return names.toSorted(byBytes).map((tag) => describeTag(nameOf(stream), tag, wanted.get(tag), events.get(tag)))
}

/** One tag; undefined when it is neither wanted nor has stood. */
export function tagOf(stream: ImageStream | undefined, tag: string): StreamTag | undefined {
  const wanted = stream?.spec?.tags?.find(({ name }) => name === tag)
  const events = stream?.status?.tags?.find((list) => list.tag === tag)
  if (stream === undefined || (wanted === undefined && events === undefined)) return undefined
  return describeTag(nameOf(stream), tag, wanted, events)
}

/** A tag as an ImageTag shows it. */
export function tagOfImageTag(name: TagName, { spec, status }: Pick<ImageTag, 'spec' | 'status'>): StreamTag {
  return describeTag(name, name.tag, spec ?? undefined, status ?? undefined)
}

/** The tag of the same stream that a tag follows; undefined for every other source. */
export function trackedTag({
  project,
  stream,
  from,
}: Pick<StreamTag, 'project' | 'stream' | 'from'>): string | undefined {
  if (from?.kind !== 'ImageStreamTag' || (from.namespace || project) !== project) return undefined
  const colon = from.name.indexOf(':')
  return colon < 0 || from.name.slice(0, colon) === stream ? from.name.slice(colon + 1) : undefined
}

/** Whether it follows a tag of another stream, which is then its source. */
export function isFollowingAcross(tag: Pick<StreamTag, 'project' | 'stream' | 'from' | 'wanted'>): boolean {
  if (tag.from?.kind !== 'ImageStreamTag' || tag.wanted?.reference === true || trackedTag(tag) !== undefined)
    return false
  return tag.wanted?.annotations?.[followAnnotation] === 'true'
}

/** Whether its upstream is looked at by the server itself. */
export function isScheduled({ wanted }: StreamTag): boolean {
  return wanted?.importPolicy?.scheduled === true && wanted.from?.kind === 'DockerImage' && wanted.reference !== true
}

/** Answers, of a tag's name, those of `tags` that follow it, directly or through others. */
export function followersIn(tags: readonly StreamTag[]): (tag: string) => StreamTag[] {
  const byTracked = Map.groupBy(tags, trackedTag)
  return (tag) => {
    const found: StreamTag[] = []
    const names = [tag]
    for (const name of names) {
      for (const follower of byTracked.get(name) ?? []) {
        // A tag follows one other: where there is a circle, it comes round here.
        if (follower.tag === tag) continue
        found.push(follower)
        names.push(follower.tag)
      }
    }
    return found
  }
}

/** What there is to know of a tag beside where it stands, in a few words; empty when it just stands. */
export function stateOf(tag: StreamTag): string {
  const { hold, failure, gone, awaits, isPending, wanted } = tag
  const states = [
    hold !== undefined && 'held',
    isPending && 'pending',
    awaits !== undefined && 'waits for content',
    !isPending && failure !== undefined && failureText(failure, awaits),
    gone !== undefined && 'gone upstream',
    wanted?.reference === true && 'reference',
    trackedTag(tag) !== undefined && 'tracking',
    isFollowingAcross(tag) && 'following',
  ]
  return states.filter((state) => state !== false).join(', ')
}

function failureText({ reason = 'Unknown' }: Condition, awaits: Condition | undefined): string | false {
  if (reason !== incompleteReason) return `failed (${reason})`
  return awaits === undefined && 'waits for content'
}

/** What a tag comes from, as it is written on the command line; undefined for a tag that is only pushed to. */
export function sourceText({ project, stream, from }: StreamTag): string | undefined {
  if (from === undefined || from.kind === 'DockerImage') return from?.name
  const separator = from.kind === 'ImageStreamTag' ? ':' : '@'
  const name = from.name.includes(separator) ? from.name : `${stream}${separator}${from.name}`
  return `${from.namespace || project}/${name}`
}

function describeTag(
  { project, stream }: { project: string; stream: string },
  tag: string,
  wanted: TagReference | undefined,
  events: NamedTagEventList | undefined,
): StreamTag {
  const items = events?.items ?? []
  const awaits = events?.conditions?.find(({ type, status }) => type === 'AwaitsContent' && status === 'True')
  return {
    project,
    stream,
    tag,
    wanted,
    from: wanted?.from ?? undefined,
    items,
    image: items[0]?.image || undefined,
    movedAt: items[0]?.created,
    hold: holdOf(wanted?.annotations) ?? heldBy(events?.conditions),
    failure: events?.conditions?.find(({ type, status }) => type === 'ImportSuccess' && status === 'False'),
    gone: events?.conditions?.find(({ type, status }) => type === 'UpstreamGone' && status === 'True'),
    awaits,
    // What was found waits for its content, and nobody has to ask again.
    isPending: awaits === undefined && isPending(wanted, events),
  }
}

// As the API's own columns read it: what is wanted is newer than the newest success and the newest failure.
function isPending(wanted: TagReference | undefined, events: NamedTagEventList | undefined): boolean {
  if (wanted?.from?.kind !== 'DockerImage' || wanted.reference === true) return false
  const failed = events?.conditions?.map(({ generation = 0 }) => generation) ?? []
  return (wanted.generation ?? 0) > Math.max(events?.items?.[0]?.generation ?? 0, ...failed)
}

function nameOf({ metadata }: ImageStream): { project: string; stream: string } {
  return { project: metadata?.namespace ?? '', stream: metadata?.name ?? '' }
}

// Tags are ASCII, of which UTF-16 has the order of the bytes.
function byBytes(a: string, b: string): number {
  return a < b ? -1 : 1
}
