import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import { appendEvent, formatTime } from './events.ts'
import type { SpecStep } from './generations.ts'
import type { AwaitedMove, Cause, LedgerEntry, TagEvent, TagRecord, TagReference } from './records.ts'
import type { TagChange, TagMove } from './streams.ts'

/** The tag of the same stream that a tag follows, where it stands. */
export interface SourceHead {
  /** How causes call the source: `demo/app:prod`. */
  name: string
  head: TagEvent
  mediaType: string
}

/** What a move depends on besides the record, the change and the spec. */
export interface MoveContext {
  uid: string
  projectUid: string
  generation: number
  nowMs: number
  /** Where the source in the same stream stands; undefined when the tag has none, or it stands nowhere. */
  source?: SourceHead | undefined
}

/**
 * The move that follows from what is wanted, without anybody being asked (okd.md 2.4): a `reference: true` image is taken
 * literally, a source in the same stream is copied. A tag that is let go goes where its source is.
 */
export function ownMove(
  before: TagRecord,
  change: TagChange,
  { spec, renewed }: SpecStep,
  { source }: MoveContext,
): TagMove | undefined {
  if (spec?.from === undefined || change.condition) return undefined
  const { kind, name } = spec.from
  if (renewed && kind === 'DockerImage' && spec.reference === true) {
    const cause: Cause = { kind: 'tag', ...(change.wantedBy ?? { by: '' }), from: { kind, name } }
    return { image: '', mediaType: '', dockerImageReference: name, cause }
  }
  if (source === undefined) return undefined
  if (renewed) return copyOf(source, 'tag', change.wantedBy ?? { by: '' })
  const isLetGo = before.hold !== undefined && change.hold === null
  return isLetGo ? copyOf(source, 'follow', change.wantedBy ?? { by: before.candidate?.cause.by ?? '' }) : undefined
}

/** A move to where a source stands; `created` stays that of the source. */
export function copyOf(
  { name, head, mediaType }: SourceHead,
  kind: 'tag' | 'follow',
  wantedBy: { by: string; reason?: string },
): TagMove {
  const { image, dockerImageReference, created } = head
  const from = { kind: 'ImageStreamTag', name }
  return { image, mediaType, dockerImageReference, created, cause: { kind, ...wantedBy, from } }
}

/** The reason of the condition of a tag that awaits an image of which not all can be had for now. */
export const incompleteReason = 'ContentIncomplete'

/** What moves a tag at once, whatever its policy: a push brings its content, and a rollback is for when there is trouble. */
const neverAwaited: ReadonlySet<Cause['kind']> = new Set(['push', 'rollback', 'delete'])

/** The move that has to wait until its image is held; undefined when it takes place at once. */
export function awaitedMove(
  before: TagRecord,
  { image, mediaType, dockerImageReference, cause, created }: TagMove,
  { spec, renewed }: SpecStep,
  {
    isMovedWhenHeld,
    time,
  }: { isMovedWhenHeld?: (annotations: TagReference['annotations'] | undefined) => boolean; time: string },
): AwaitedMove | undefined {
  if (image === '' || image === before.items[0]?.image || neverAwaited.has(cause.kind)) return undefined
  if (isMovedWhenHeld?.(spec?.annotations) !== true) return undefined
  const { awaits } = before
  const isSame = awaits?.image === image && awaits.dockerImageReference === dockerImageReference
  if (isSame && !renewed) return awaits
  return { image, mediaType, dockerImageReference, ...(created === undefined ? {} : { created }), cause, since: time }
}

/** The items after a move; `moved` when they stand at another image than before, which the ledger must tell. */
export function nextItems(
  items: TagEvent[],
  event: TagMove | undefined,
  step: SpecStep,
  context: MoveContext,
): { items: TagEvent[]; moved: boolean; generation: number } {
  if (event === undefined) return { items, moved: false, generation: 0 }
  const generation = eventGeneration(event.cause.kind, step, context)
  const { image, dockerImageReference, created = formatTime(context.nowMs) } = event
  const [head] = items
  const isRollback = event.cause.kind === 'rollback'
  // okd.md 2.7, step 9: an import that finds the head as it is, and as new as what is wanted, appends nothing.
  if (!isRollback && head !== undefined && head.generation >= generation) {
    const same = head.image === image && head.dockerImageReference === dockerImageReference
    if (same) return { items, moved: false, generation }
  }
  const appended = appendEvent(items, { created, dockerImageReference, image, generation })
  return { items: appended.items, moved: appended.moved || isRollback, generation }
}

/** okd.md 2.2: what was imported or tagged carries the generation of the wish, what was pushed or restored the stream's. */
function eventGeneration(kind: Cause['kind'], step: SpecStep, context: MoveContext): number {
  const ofStream = step.generation ?? context.generation
  return kind === 'push' || kind === 'rollback' ? ofStream : (step.spec?.generation ?? ofStream)
}

/** The entry of the ledger that tells a move. */
export function ledgerEntry(before: TagRecord, event: TagMove, generation: number, context: MoveContext): LedgerEntry {
  const previousImage = before.items[0]?.image
  return {
    uid: context.uid,
    projectUid: context.projectUid,
    revision: before.revision + 1,
    created: formatTime(context.nowMs),
    image: event.image,
    ...(previousImage === undefined ? {} : { previousImage }),
    mediaType: event.mediaType,
    dockerImageReference: event.dockerImageReference,
    generation,
    cause: event.cause,
  }
}

/**
 * The items that stay in status.
 *
 * @throws RegistryError INVALID for the head, which pulls resolve to
 */
export function shownItems(
  items: TagEvent[],
  hide: readonly number[] | undefined,
  { stream, tag }: StreamName & { tag: string },
): TagEvent[] {
  if (hide === undefined || hide.length === 0) return items
  const hidden = new Set(hide)
  for (const index of hidden) {
    if (!Number.isInteger(index) || index < 0 || index >= items.length)
      throw new TypeError(`tag ${tag} has no item ${index} to hide`)
  }
  if (!hidden.has(0)) return items.filter((_, i) => !hidden.has(i))
  const message = `Forbidden: the newest item is what tag ${JSON.stringify(tag)} stands at and stays; to take the tag away, delete it`
  const field = `status.tags[${tag}].items[0]`
  throw new RegistryError('INVALID', {
    message: `ImageStream.image.openshift.io "${stream}" is invalid: ${field}: ${message}`,
    causes: [{ field, reason: 'FieldValueForbidden', message }],
    subject: { name: stream, kind: 'imagestreams', group: 'image.openshift.io' },
  })
}
