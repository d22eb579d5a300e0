import { formatMoment } from './ages.ts'
import type { Condition, ImageStream, TagEvent } from './api.ts'
import { contentAnnotation, hasFailed, heldLine, inheritedLines, type Level } from './content-state.ts'
import {
  digestText,
  earlier,
  lookLines,
  sourceLine,
  standingLines,
  type TagView,
  troubleLines,
} from './describe-state.ts'
import { formatFields, formatLines, pairsOf } from './fields.ts'
import { candidateAnnotation, holdAnnotation } from './holds.ts'
import { immutableText } from './immutable.ts'
import { incompleteReason } from './import-advice.ts'
import { formatStreamReference } from './references.ts'
import { followersIn, type StreamTag, trackedTag } from './stream-tags.ts'
import { checkLines, type TagCheck } from './tag-checks.ts'

/** A stream, and what is known beside it. */
export interface StreamView {
  stream: ImageStream
  tags: readonly StreamTag[]
  /** The newest entries of the ledgers that were read, by tag. */
  events: ReadonlyMap<string, readonly TagEvent[]>
  /** How much of what they need is held, of those that were read, by tag. */
  contents: ReadonlyMap<string, string | undefined>
  /** How the upstreams of its scheduled tags are looked at, by `project/stream:tag`. */
  checks: ReadonlyMap<string, TagCheck>
  project: Level
  nowMs: number
  wide: boolean
}

/** A tag, and those that track it and stand where it stands: they are told of with it. */
export interface FoldedTag {
  tag: StreamTag
  aliases: readonly StreamTag[]
}

type TagsByName = ReadonlyMap<string | undefined, StreamTag>

/** Annotations of the machinery, which nobody wrote to be read. */
const unread = new Set([
  holdAnnotation,
  candidateAnnotation,
  contentAnnotation,
  'openshift.io/image.dockerRepositoryCheck',
  'kubectl.kubernetes.io/last-applied-configuration',
])
/** Most characters of an annotation, or of a label, that are shown. */
const valueLength = 200

/** Formats a stream and all its tags. */
export function formatStream(view: StreamView): string {
  const byName: TagsByName = new Map(view.tags.map((tag) => [tag.tag, tag]))
  return [formatHeader(view), ...foldAliases(view.tags).map((folded) => formatTag(view, byName, folded))].join('\n')
}

/** The annotations that people wrote, as `key=value`. */
export function annotationLines(
  annotations: Readonly<Record<string, string>> | null | undefined,
  wide: boolean,
): string[] {
  const shown = Object.fromEntries(Object.entries(annotations ?? {}).filter(([key]) => !unread.has(key)))
  return pairsOf(shown, wide ? undefined : valueLength)
}

/** The tags without those that are only other names of one of them. */
export function foldAliases(tags: readonly StreamTag[]): FoldedTag[] {
  const followersOf = followersIn(tags)
  const folded = tags.map((tag) => {
    const isOther = trackedTag(tag) !== undefined
    return { tag, aliases: isOther ? [] : followersOf(tag.tag).filter((each) => isSameAs(each, tag)) }
  })
  const aliases = new Set(folded.flatMap((each) => each.aliases))
  return folded.filter(({ tag }) => !aliases.has(tag))
}

function isSameAs(alias: StreamTag, tag: StreamTag): boolean {
  const isQuiet = alias.hold === undefined && alias.failure === undefined && alias.awaits === undefined
  return isQuiet && alias.image === tag.image && annotationLines(alias.wanted?.annotations, false).length === 0
}

function formatHeader({ stream, tags, contents, checks, project, nowMs, wide }: StreamView): string {
  const { metadata, spec, status } = stream
  const name = { project: metadata?.namespace ?? '', stream: metadata?.name ?? '' }
  const whole = checks.get(formatStreamReference({ ...name, tag: '*' }))
  const images = new Set(tags.flatMap(({ items }) => items.flatMap(({ image }) => (image ? [image] : []))))
  return formatFields([
    ['Name', metadata?.name ?? ''],
    ['Project', metadata?.namespace ?? ''],
    ['Created', formatMoment(metadata?.creationTimestamp, nowMs)],
    ['Labels', pairsOf(metadata?.labels, wide ? undefined : valueLength)],
    ['Annotations', annotationLines(metadata?.annotations, wide)],
    ['Inherited', inheritedLines(metadata?.annotations, [project])],
    ['Repository', status?.publicDockerImageRepository ?? status?.dockerImageRepository],
    ['Imports', importLines(spec?.dockerImageRepository, whole, nowMs)],
    ['Image lookup', spec?.lookupPolicy?.local === true ? 'local' : 'off'],
    ['Images', `${images.size}`],
    ['Tags', `${tags.length}`],
    ['Attention', attentionLines(tags, contents)],
  ])
}

/** The repository that a stream names, and where it follows it, how that is looked at. */
function importLines(repository: string | undefined, check: TagCheck | undefined, nowMs: number): string[] {
  if (!repository) return []
  if (check === undefined) return [repository]
  return [`${repository}, followed every ${check.interval ?? 'interval'}`, ...checkLines(check, nowMs)]
}

/** Names what stands still or fails, so that it is seen in a stream of many tags. */
function attentionLines(tags: readonly StreamTag[], contents: StreamView['contents']): string[] {
  const held = tags.filter(({ hold }) => hold !== undefined)
  const failed = tags.filter(
    ({ failure, isPending, awaits }) => failure !== undefined && !isPending && !isOfWaiting(failure, awaits),
  )
  const waiting = tags.filter(({ awaits }) => awaits !== undefined)
  const pending = tags.filter(({ isPending }) => isPending)
  const unheld = tags.filter(({ tag }) => hasFailed(contents.get(tag)))
  return [
    ...namesLine('held', held),
    ...namesLine('imports fail', failed),
    ...namesLine('imports are pending', pending),
    ...namesLine('wait for content', waiting),
    ...namesLine('content can not be fetched', unheld),
  ]
}

/** Whether a failure says no more than that the tag waits. */
function isOfWaiting({ reason }: Condition, awaits: Condition | undefined): boolean {
  return awaits !== undefined && reason === incompleteReason
}

function namesLine(what: string, tags: readonly StreamTag[]): string[] {
  if (tags.length === 0) return []
  const more = tags.length - 10
  const names = tags.slice(0, 10).map(({ tag }) => tag)
  return [`${what}: ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`]
}

function formatTag(
  { stream, project, events, contents, checks, nowMs, wide }: StreamView,
  byName: TagsByName,
  { tag, aliases }: FoldedTag,
): string {
  const ofStream = { called: `stream ${tag.project}/${tag.stream}`, annotations: stream.metadata?.annotations }
  const immutable = immutableText(tag, [ofStream, project])
  const view: TagView = {
    tag,
    events: events.get(tag.tag),
    source: byName.get(trackedTag(tag)),
    content: contents.get(tag.tag),
    check: checks.get(formatStreamReference(tag)),
    isImmutable: immutable?.startsWith('yes') === true,
    nowMs,
    wide,
  }
  const names = aliases.map((alias) => alias.tag).join(', ')
  const title = `${formatStreamReference(tag)}${names === '' ? '' : `  (tracked by ${names})`}`
  const held = heldLine(view.content)
  const lines = [
    ...standingLines(view),
    ...(held === undefined ? [] : [held]),
    sourceLine(view),
    ...lookLines(view),
    ...(view.isImmutable ? [`immutable: ${immutable}`] : []),
    ...(tag.wanted?.referencePolicy?.type === 'Source' ? ['others are told to pull from the source'] : []),
    ...annotationLines(tag.wanted?.annotations, wide),
    ...troubleLines(view),
    ...earlierLines(view),
  ]
  return formatLines([title]) + formatLines(lines, '  ')
}

function earlierLines(view: TagView): string[] {
  const stood = earlier(view)
  if (stood.length === 0) return []
  const lines = stood.map(({ item, event }) => {
    const where = item.image ? digestText(view, item.image) : (item.dockerImageReference ?? '')
    const revision = event?.revision === undefined ? '' : `revision ${event.revision}, `
    return `  ${where}  ${revision}${formatMoment(event?.metadata?.creationTimestamp ?? item.created, view.nowMs)}`
  })
  return ['before:', ...lines]
}
