import { isDeepStrictEqual } from 'node:util'
import { parseDurationMs } from '../oci/duration.ts'
import type { FieldCause } from '../oci/errors.ts'
import { parseImageReference } from '../oci/reference.ts'
import type { ScheduledRecord, TagRecord, TagReference } from './records.ts'
import { trackOf } from './tracking.ts'

/** Which tags' sources are asked again and again (`importPolicy.scheduled`), and what their annotations say of it. */

type Annotations = Readonly<Record<string, string>> | null | undefined

/** How long between two checks of a tag's source; a duration. */
export const intervalAnnotation = 'weir.dev/import-interval'

/** Between two checks, in milliseconds. */
export const intervalBounds = { leastMs: 60_000, mostMs: 30 * 86_400_000 } as const

const intervalHint = 'write a duration with its unit, from 1m to 30d, such as 15m or 6h'

/** Parses an interval between checks; undefined for what is none, or too short or long. */
export function parseInterval(text: string): number | undefined {
  const intervalMs = parseDurationMs(text)
  const { leastMs, mostMs } = intervalBounds
  return intervalMs !== undefined && intervalMs >= leastMs && intervalMs <= mostMs ? intervalMs : undefined
}

/**
 * What is wrong with annotations of a tag that are to be written at `field`, by the path of each. What is there `before` is not judged
 * anew: else nothing else of it could be changed.
 */
export function validateSchedule(annotations: Annotations, before: Annotations, field: string): FieldCause[] {
  const written = writtenIn(annotations, intervalAnnotation)
  if (written === undefined || written === writtenIn(before, intervalAnnotation)) return []
  if (parseInterval(written) !== undefined) return []
  const message = `Invalid value: ${JSON.stringify(written.slice(0, 100))}: ${intervalHint}`
  return [{ field: `${field}[${intervalAnnotation}]`, reason: 'FieldValueInvalid', message }]
}

/** What the index of scheduled tags says of a tag; undefined when it says nothing. */
export function scheduledRecord(record: TagRecord | undefined): ScheduledRecord | undefined {
  const spec = record?.spec
  if (record === undefined || spec?.from === undefined || !isScheduled(record, spec)) return undefined
  const written = writtenIn(spec.annotations, intervalAnnotation)
  const intervalMs = written === undefined ? undefined : parseInterval(written)
  const track = trackOf(spec)
  return {
    uid: record.uid,
    from: spec.from.name,
    ...(intervalMs === undefined ? {} : { intervalMs }),
    ...(track === undefined ? {} : { track }),
  }
}

/**
 * What the index of scheduled tags has to say after a change of a tag's record: a record to put, null to delete, undefined to leave
 * it as it is.
 */
export function nextScheduled(stored: TagRecord | undefined, next: TagRecord): ScheduledRecord | null | undefined {
  const [before, after] = [scheduledRecord(stored), scheduledRecord(next)]
  if (after === undefined) return before === undefined ? undefined : null
  return isDeepStrictEqual(before, after) ? undefined : after
}

/** What a digest names never changes: it is asked for until it was had once. */
function isScheduled({ items }: TagRecord, { from, importPolicy, reference }: TagReference): boolean {
  if (from?.kind !== 'DockerImage' || reference === true || importPolicy.scheduled !== true) return false
  const source = parseImageReference(from.name)
  if (source === undefined) return false
  return source.digest === undefined || items[0]?.image !== source.digest
}

function writtenIn(annotations: Annotations, name: string): string | undefined {
  return annotations && Object.hasOwn(annotations, name) ? annotations[name] : undefined
}
