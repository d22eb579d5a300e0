import type { Logger } from 'pino'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import { candidateDueAt, isTooYoung } from '../streams/min-age.ts'
import { isPending } from '../streams/pending.ts'
import type { TagRecord, TagReference } from '../streams/records.ts'
import type { Stream, StreamReader, StreamWriter, Tag } from '../streams/streams.ts'
import { trackOf } from '../streams/tracking.ts'
import type { RecordFailure } from './failures.ts'
import type { ImportOne } from './import-image.ts'
import { type Frame, nameOf } from './request.ts'

/** What is asked of a scheduled tag. */
export interface ScheduledImport {
  /** Its source, as its spec has it. */
  from: string
  /** The tracking policy by which one of its tags was chosen, and what was chosen: no tag that fits is a failure. */
  track?: string
  chosen?: string
  /** Where it points now, as a poll just told; or why that is not known. */
  told: { digest: Digest } | { failure: RegistryError }
  /** When that was, in milliseconds since the epoch; absent, a candidate that waits to be old enough is asked for anew. */
  toldAt?: number
}

/** What came of it. */
export type ScheduledOutcome =
  /** `candidate`: the tag is held or immutable, waits for its content, or until what was found is old enough: `dueAt`, ms since the epoch. */
  | { kind: 'unchanged' | 'moved' | 'candidate'; digest: Digest; dueAt?: number }
  | { kind: 'failed'; error: RegistryError }
  /** Its first import is under way, or somebody changed it meanwhile: to be asked again. */
  | { kind: 'again' }
  /** It does not want that any more. */
  | { kind: 'gone' }

/** Who the ledger says it was. */
export const schedulerName = 'system:weir:schedule'

export interface ImportScheduledOptions {
  reader: Pick<StreamReader, 'stream' | 'tag'>
  writer: Pick<StreamWriter, 'changeTag'>
  importImage: Pick<ImportOne, 'scheduled'>
  recordFailure: RecordFailure
  log: Logger
}

/** `Importer.importScheduled`. */
export type ImportScheduled = (
  name: StreamName,
  tag: string,
  asked: ScheduledImport,
  signal?: AbortSignal,
) => Promise<ScheduledOutcome>

export function createImportScheduled(options: ImportScheduledOptions): ImportScheduled {
  const { reader, writer, importImage, recordFailure, log } = options

  async function follow(frame: Frame & { stream: Stream }, before: Tag, asked: Asked): Promise<ScheduledOutcome> {
    const { wanted, digest, toldAt } = asked
    const { record } = before
    if (!isMet(record)) return importNow(frame, before, asked)
    const isWaiting = record.candidate?.image === digest && toldAt !== undefined && isTooYoung(record, toldAt)
    // What was pushed or tagged since the source was last seen there stays.
    const isSeen = record.lastSeen?.digest === digest && !isPassedOver(record, digest)
    if (!isSeen && !isWaiting) return importNow(frame, before, asked)
    if (record.condition === undefined) return standing(record, asked)
    const seen = isSeen ? { lastSeen: digest } : {}
    const recovered = await writer.changeTag(
      frame.stream,
      wanted.to,
      (current) => (isSame(current.tag, before) ? { condition: null, ...seen } : undefined),
      { onConflict: 'drop' },
    )
    return recovered === undefined ? { kind: 'again' } : standing(recovered.tag?.record, asked)
  }

  async function importNow(frame: Frame & { stream: Stream }, before: Tag, asked: Asked): Promise<ScheduledOutcome> {
    const imported = await importImage.scheduled(frame, asked.wanted, before)
    if (imported === 'raced') return { kind: 'again' }
    if ('error' in imported) return { kind: 'failed', error: imported.error }
    const { digest } = imported
    const record = (await reader.tag(frame.stream, asked.wanted.to))?.record
    const head = record?.items[0]?.image
    if (head === digest && head !== before.record.items[0]?.image) return { kind: 'moved', digest }
    return standing(record, { digest, toldAt: asked.toldAt })
  }

  return async (name, tag, { from, track, chosen = from, told, toldAt }, signal) => {
    const stream = await reader.stream(name)
    const before = stream && (await reader.tag(stream, tag))
    const spec = before?.record.spec
    if (stream === undefined || before === undefined || !wants(spec, from, track)) return { kind: 'gone' }
    if (isPending(before.record)) return { kind: 'again' }
    const { importPolicy, referencePolicy } = spec
    const wanted = { from: chosen, to: tag, importPolicy, referencePolicy }
    const request = { ...nameOf(name), images: [wanted], by: schedulerName }
    const frame: Frame & { stream: Stream } = { request, stream, background: true, causeKind: 'scheduled', signal }
    try {
      if ('digest' in told)
        return await follow({ ...frame, seen: told.digest }, before, { wanted, digest: told.digest, toldAt })
      return { kind: 'failed', error: await recordFailure({ frame, wanted, before }, told.failure) }
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof RegistryError)) throw error
      if (error.code === 'NAME_UNKNOWN' || error.code === 'NOT_FOUND') return { kind: 'gone' }
      log.warn({ ...nameOf(name), tag, err: error }, 'what came of a scheduled check could not be recorded')
      return { kind: 'again' }
    }
  }
}

interface Asked {
  wanted: Frame['request']['images'][number]
  digest: Digest
  toldAt: number | undefined
}

function wants(spec: TagReference | undefined, from: string, track: string | undefined): spec is TagReference {
  if (spec?.from?.kind !== 'DockerImage' || spec.from.name !== from || trackOf(spec) !== track) return false
  return spec.importPolicy.scheduled === true
}

/** Whether what is wanted was found once: else a failure of the first import is still to be made good. */
function isMet({ spec, items }: TagRecord): boolean {
  return items[0] !== undefined && items[0].generation >= (spec?.generation ?? 0)
}

/** Whether a candidate waits to be old enough, and the source has left it again. */
function isPassedOver({ candidate }: TagRecord, digest: Digest): boolean {
  return candidate !== undefined && candidate.image !== digest
}

function isSame(now: Tag | undefined, before: Tag): boolean {
  return now?.storeRevision === before.storeRevision
}

function standing(record: TagRecord | undefined, { digest, toldAt = 0 }: Omit<Asked, 'wanted'>): ScheduledOutcome {
  const isAhead = record?.candidate?.image === digest || record?.awaits?.image === digest
  if (record === undefined || !isAhead) return { kind: 'unchanged', digest }
  const dueAt = candidateDueAt(record)
  // Of one that is old enough, what is waited for is something else.
  return { kind: 'candidate', digest, ...(dueAt === undefined || dueAt <= toldAt ? {} : { dueAt }) }
}
