import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import { sameIdentity } from './generations.ts'
import type { Cause, Hold, TagRecord } from './records.ts'
import type { TagChange, TagMove } from './streams.ts'

/**
 * What a hold makes of a move: automatic causes become a candidate, people who import, tag or push are refused, a
 * rollback moves a held tag and holds it again, and a tag may be deleted.
 */
export function effectOfHold(kind: Cause['kind']): 'moves' | 'candidate' | 'refused' {
  switch (kind) {
    case 'scheduled':
    case 'follow':
      return 'candidate'
    case 'import':
    case 'tag':
    case 'push':
      return 'refused'
    case 'rollback':
    case 'delete':
      return 'moves'
  }
}

/**
 * Refuses what a hold refuses: 422 with a field cause, for the API; `/v2/` asks {@link isHeldError} and says 403 DENIED.
 *
 * @throws RegistryError INVALID
 */
export function requireNotHeld(
  record: Pick<TagRecord, 'hold'> | undefined,
  kind: Cause['kind'],
  name: StreamName,
  tag: string,
): void {
  if (record?.hold !== undefined && effectOfHold(kind) === 'refused') throw heldError(record.hold, name, tag)
}

/** Whether an error is the refusal of {@link requireNotHeld}. */
export function isHeldError(error: unknown): error is RegistryError {
  return error instanceof RegistryError && error.code === 'INVALID' && isHeldDetail(error.detail)
}

/**
 * A change as the hold lets it through: an automatic move turns into a candidate (or into none, when it leads to where
 * the tag stands).
 *
 * @throws RegistryError INVALID
 */
export function underHold(
  before: TagRecord,
  change: TagChange,
  context: StreamName & { tag: string; time: string },
): TagChange {
  if (before.hold === undefined || change.hold === null) return change
  const { event, ...rest } = change
  if (event === undefined) {
    if (asksForImport(before, change, context.project)) requireNotHeld(before, 'import', context, context.tag)
    return change
  }
  // A client that heard no answer pushes again.
  if (event.cause.kind === 'push' && event.image === before.items[0]?.image) return underHold(before, rest, context)
  requireNotHeld(before, event.cause.kind, context, context.tag)
  return effectOfHold(event.cause.kind) === 'moves' ? change : asCandidate(before, change, event, context.time)
}

/** A change that only notes where its `move` would have led. */
export function asCandidate(before: TagRecord, change: TagChange, move: TagMove, time: string): TagChange {
  const { event: _event, ...rest } = change
  const { image, mediaType, dockerImageReference, cause } = move
  const leadsElsewhere = image !== '' && image !== before.items[0]?.image
  const candidate = leadsElsewhere ? { image, mediaType, dockerImageReference, seenAt: time, cause } : null
  return { ...rest, candidate, condition: null }
}

function asksForImport(before: TagRecord, change: TagChange, project: string): boolean {
  if (change.reimport) return true
  if (!change.spec) return false
  return before.spec === undefined ? change.spec.from !== undefined : !sameIdentity(before.spec, change.spec, project)
}

function heldError(hold: Hold, name: StreamName, tag: string): RegistryError {
  const where = `${name.project}/${name.stream}:${tag}`
  const why = hold.reason === undefined ? '' : ` (${hold.reason})`
  const message = `tag ${JSON.stringify(tag)} is held at revision ${hold.revision} since ${hold.at} by ${hold.by}${why}; to let it move again: weir resume ${where}`
  return new RegistryError('INVALID', {
    message: `ImageStreamTag.image.openshift.io "${name.stream}:${tag}" is invalid: tag: Forbidden: ${message}`,
    detail: { held: { project: name.project, stream: name.stream, tag, revision: hold.revision } },
    causes: [{ field: 'tag', reason: 'FieldValueForbidden', message: `Forbidden: ${message}` }],
    subject: { name: `${name.stream}:${tag}`, kind: 'imagestreamtags', group: 'image.openshift.io' },
  })
}

function isHeldDetail(detail: unknown): boolean {
  return typeof detail === 'object' && detail !== null && 'held' in detail
}
