import { parseDurationMs } from '../oci/duration.ts'
import type { FieldCause } from '../oci/errors.ts'
import { asCandidate } from './hold.ts'
import type { TagRecord, TagReference } from './records.ts'
import type { TagChange } from './streams.ts'

type Annotations = Readonly<Record<string, string>> | null | undefined

/** How long a digest that the schedule finds has to be there before the tag moves to it; counted from when Weir first saw it. */
export const minAgeAnnotation = 'weir.dev/min-age'

const mostMs = 365 * 86_400_000
const hint = 'write a duration with its unit, up to 365d, such as 72h or 7d'

/** What is wrong with it where it is to be written at `field`; what is there `before` is not judged anew. */
export function validateMinAge(annotations: Annotations, before: Annotations, field: string): FieldCause[] {
  const written = writtenIn(annotations)
  if (written === undefined || written === writtenIn(before) || parse(written) !== undefined) return []
  const message = `Invalid value: ${JSON.stringify(written.slice(0, 100))}: ${hint}`
  return [{ field: `${field}[${minAgeAnnotation}]`, reason: 'FieldValueInvalid', message }]
}

/**
 * A change as the age that is wanted lets it through: a move of the schedule to what was not there for long enough turns into a
 * candidate, and counts as not seen, so that it is looked at again. The first image comes at once: there is nothing else to serve.
 */
export function underMinAge(
  before: TagRecord,
  change: TagChange,
  spec: TagReference | undefined,
  { nowMs, time }: { nowMs: number; time: string },
): TagChange {
  const { event, lastSeen: _seen, ...rest } = change
  const head = before.items[0]?.image
  if (event?.cause.kind !== 'scheduled' || !head || event.image === head) return change
  const minAgeMs = minAgeOf(spec?.annotations)
  const sinceMs = before.candidate?.image === event.image ? Date.parse(before.candidate.seenAt) : nowMs
  return nowMs - sinceMs >= minAgeMs ? change : asCandidate(before, { ...rest, event }, event, time)
}

/** When the candidate of a tag is old enough, in milliseconds since the epoch; undefined when it waits for no age. */
export function candidateDueAt({ candidate, spec, hold }: TagRecord): number | undefined {
  const minAgeMs = minAgeOf(spec?.annotations)
  if (candidate === undefined || candidate.cause.kind !== 'scheduled' || hold !== undefined || minAgeMs === 0)
    return undefined
  return Date.parse(candidate.seenAt) + minAgeMs
}

/** Whether the candidate of a tag is not old enough yet. One of a time to come was seen before the clock was put back: nobody knows. */
export function isTooYoung(record: TagRecord, nowMs: number): boolean {
  const dueAt = candidateDueAt(record)
  return dueAt !== undefined && nowMs < dueAt && nowMs >= Date.parse(record.candidate?.seenAt ?? '')
}

/** In milliseconds; 0 where none is wanted, or it can not be read. */
function minAgeOf(annotations: Annotations): number {
  return parse(writtenIn(annotations) ?? '') ?? 0
}

function parse(written: string): number | undefined {
  const ms = parseDurationMs(written)
  return ms === undefined || ms > mostMs ? undefined : ms
}

function writtenIn(annotations: Annotations): string | undefined {
  return annotations && Object.hasOwn(annotations, minAgeAnnotation) ? annotations[minAgeAnnotation] : undefined
}
