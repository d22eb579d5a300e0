/** What becomes of an image that could not be imported: a condition of its tag, and an error of its own (I7). */
import type { Logger } from 'pino'
import { RegistryError } from '../oci/errors.ts'
import { requireTagUnchanged } from '../streams/preconditions.ts'
import type { StreamWriter, Tag } from '../streams/streams.ts'
import { type Frame, type ImportImage, nameOf, seenBy, specOf } from './request.ts'

/** One image, and the tag as it was before the upstream was asked. */
export interface Attempted {
  frame: Frame
  wanted: ImportImage
  before: Tag | undefined
}

/**
 * Records a failure and answers what the client is told of it.
 *
 * @throws RegistryError CONFLICT, which ends the request as a whole
 */
export type RecordFailure = (attempted: Attempted, error: unknown) => Promise<RegistryError>

export function createRecordFailure({ writer, log }: { writer: StreamWriter; log: Logger }): RecordFailure {
  /** Of one image alone: whatever went wrong, the others of the request go on (I7). */
  async function failed(attempted: Attempted, error: unknown): Promise<RegistryError> {
    const { frame, wanted } = attempted
    const known = error instanceof RegistryError ? error : unexpected(frame, wanted, error)
    const { code, upstream } = known
    // A race, a hold or a bad field is the caller's news and says nothing about the upstream.
    if (code === 'CONFLICT' && frame.request.resourceVersion !== undefined) throw known
    if (upstream === undefined && code !== 'MANIFEST_INVALID' && code !== 'UNKNOWN') return known
    try {
      await record(attempted, known)
    } catch (cause) {
      if (cause instanceof RegistryError && cause.code === 'CONFLICT') throw cause
      log.error({ ...nameOf(frame.request), tag: wanted.to, err: cause }, 'failed import not recorded')
    }
    return known
  }

  /** The client is told nothing of a programmer's mistake: the log has it. */
  function unexpected({ request }: Frame, wanted: ImportImage, error: unknown): RegistryError {
    log.error({ ...nameOf(request), tag: wanted.to, from: wanted.from, err: error }, 'import failed unexpectedly')
    return new RegistryError('UNKNOWN', { message: 'internal error while importing; the log of the server has it' })
  }

  async function record({ frame, wanted, before }: Attempted, error: RegistryError): Promise<void> {
    const { request, stream } = frame
    if (stream === undefined || request.dryRun === true) return
    const reason = error.upstream?.reason ?? (error.code === 'UNKNOWN' ? 'InternalError' : 'Invalid')
    log.info({ ...nameOf(request), tag: wanted.to, from: wanted.from, reason }, 'import failed')
    await writer.changeTag(stream, wanted.to, (current) => {
      requireTagUnchanged(current, wanted.to, seenBy(request, stream))
      // Who moved the tag meanwhile asked later: an older failure says nothing of where it stands now.
      if ((current.tag?.storeRevision ?? 0) !== (before?.storeRevision ?? 0)) return undefined
      const condition = { reason, message: error.message }
      return current.tag?.record.spec === undefined
        ? { spec: specOf(current, wanted), reimport: true, condition }
        : { reimport: true, condition }
    })
  }

  return failed
}
