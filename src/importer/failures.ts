/** What becomes of an image that could not be imported: a condition of its tag, and an error of its own (I7). */
import type { Logger } from 'pino'
import { RegistryError } from '../oci/errors.ts'
import { requireTagUnchanged } from '../streams/preconditions.ts'
import type { CurrentTag, StreamWriter, Tag, TagChange } from '../streams/streams.ts'
import { isBudgetRefusal } from '../upstream/budget-refusal.ts'
import type { AskForPin } from './ask-for-pin.ts'
import { type Frame, type ImportImage, isDry, nameOf, seenBy, specOf } from './request.ts'

/** One image, and the tag as it was before the upstream was asked. */
export interface Attempted {
  frame: Frame
  wanted: ImportImage
  before: Tag | undefined
}

/**
 * Records a failure and answers what the client is told of it.
 *
 * @throws RegistryError CONFLICT, which ends the request as a whole; in the background what may pass: the store's failure
 */
export type RecordFailure = (attempted: Attempted, error: unknown) => Promise<RegistryError>

export interface RecordFailureOptions {
  writer: Pick<StreamWriter, 'changeTag'>
  askForPin: AskForPin
  log: Logger
}

export function createRecordFailure({ writer, askForPin, log }: RecordFailureOptions): RecordFailure {
  /** Of one image alone: whatever went wrong, the others of the request go on (I7). */
  async function failed(attempted: Attempted, error: unknown): Promise<RegistryError> {
    const { frame, wanted } = attempted
    const known = error instanceof RegistryError ? worded(error, wanted.from) : unexpected(frame, wanted, error)
    const { code } = known
    // A race, a hold or a bad field is the caller's news and says nothing about the upstream.
    if (code === 'CONFLICT' && frame.request.resourceVersion !== undefined) throw known
    // Of what was not even asked nothing is known: whoever let it be asked tries again.
    if (frame.background === true && isBudgetRefusal(error)) return known
    if (!isOfSource(known, frame)) return known
    try {
      await record(attempted, known)
    } catch (cause) {
      if (frame.background || (cause instanceof RegistryError && cause.code === 'CONFLICT')) throw cause
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
    const { request, stream, background = false } = frame
    if (stream === undefined || isDry(frame)) return
    const reason = error.upstream?.reason ?? (error.code === 'UNKNOWN' ? 'InternalError' : 'Invalid')
    log.info({ ...nameOf(request), tag: wanted.to, from: wanted.from, reason }, 'import failed')
    const image = before?.record.items[0]?.image
    const upstreamGone =
      reason === 'NotFound' && image
        ? await askForPin(stream, image, { signal: frame.signal, isBackground: background })
        : undefined
    frame.signal?.throwIfAborted()
    const failed = {
      condition: { reason, message: error.message },
      ...(upstreamGone !== undefined && { upstreamGone }),
    }
    const decide = (current: CurrentTag): TagChange | undefined => {
      if (background && current.stream.uid !== stream.uid) return undefined
      requireTagUnchanged(current, wanted.to, seenBy(request, stream))
      // Who moved the tag meanwhile asked later: an older failure says nothing of where it stands now.
      if ((current.tag?.storeRevision ?? 0) !== (before?.storeRevision ?? 0)) return undefined
      if (background) return failed
      return current.tag?.record.spec === undefined
        ? { spec: specOf(current, wanted), reimport: true, ...failed }
        : { reimport: true, ...failed }
    }
    await writer.changeTag(stream, wanted.to, decide, { onConflict: background ? 'drop' : 'decide' })
  }

  return failed
}

/** Whether an import failed for what its source is, and not for who asked or when. */
function isOfSource({ upstream, code }: RegistryError, { background }: Frame): boolean {
  if (upstream !== undefined || code === 'MANIFEST_INVALID' || code === 'UNKNOWN') return true
  // Nobody is told of a bad reference in the spec if not the tag.
  return background === true && code === 'INVALID'
}

/** The message in the words of OKD where it has some (okd.md 2.6), and in full. */
function worded(error: RegistryError, from: string): RegistryError {
  const words = wordsFor(error, from)
  if (words === undefined) return error
  const { code, detail, causes, subject, retryAfterSeconds, upstream, cause } = error
  return new RegistryError(code, {
    message: `${words}: ${error.message}`,
    detail,
    causes,
    ...(subject && { subject }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(upstream && { upstream }),
    ...(cause === undefined ? {} : { cause }),
  })
}

function wordsFor({ upstream }: RegistryError, from: string): string | undefined {
  switch (upstream?.reason) {
    case 'NotFound':
      return `dockerimage.image.openshift.io "${from}" not found`
    case 'Unauthorized':
    case 'Forbidden':
      return `you may not have access to the container image "${from}"`
    default:
      return undefined
  }
}
