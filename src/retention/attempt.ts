import type { Logger } from 'pino'
import { isClosingError } from '../content/closing.ts'
import type { Digest } from '../oci/digest.ts'
import type { MayFollow } from '../streams/followed-across.ts'
import type { HeldProgress } from '../streams/records.ts'
import type { Stream, StreamReader, StreamWriter, Tag } from '../streams/streams.ts'
import type { PolicyOf } from '../streams/tag-policy.ts'
import { neededImage } from '../streams/unheld.ts'
import { reportGone, reportSeen } from '../streams/upstream-gone.ts'
import { type AwaitingTag, moveAwaited, noteIncomplete } from './awaited.ts'
import { currentRecord, dropEntry, type EntriesStore, finishEntry, noteOnEntry, type UnheldEntry } from './entries.ts'
import { failureAfter, isGone } from './failures.ts'
import type { HoldWanted } from './hold-wanted.ts'

export interface AttemptOptions {
  store: EntriesStore
  reader: Pick<StreamReader, 'stream' | 'tag'>
  writer: Pick<StreamWriter, 'changeTag'>
  policyOf: PolicyOf
  holdWanted: HoldWanted
  mayFollow: MayFollow
  now: () => number
  log: Logger
}

/**
 * Tries to have everything held that an entry wants, and removes the entry when it is, or when nothing is wanted any more.
 *
 * @returns after how many milliseconds to try again; undefined when the entry is done with
 */
export type Attempt = (entry: UnheldEntry, signal: AbortSignal) => Promise<number | undefined>

/** Between two notes of how far an entry is. */
const noteIntervalMs = 5000

export function createAttempt(options: AttemptOptions): Attempt {
  const { store, reader, writer, policyOf, holdWanted, mayFollow, now, log } = options

  /** The stream and the tag that still need the entry's image. */
  async function standing({ name, tag, record }: UnheldEntry): Promise<{ stream: Stream; tag: Tag } | undefined> {
    const stream = await reader.stream(name)
    const found = stream?.uid === record.uid ? await reader.tag(name, tag) : undefined
    return stream && found && neededImage(found.record) === record.image ? { stream, tag: found } : undefined
  }

  /** @returns what was left out; undefined when nothing was to be held */
  async function holdFor(
    entry: UnheldEntry,
    { stream, tag }: { stream: Stream; tag: Tag },
    signal: AbortSignal,
  ): Promise<readonly Digest[] | undefined> {
    const { image, forced } = entry.record
    const { awaits, upstreamGone, spec } = tag.record
    const awaiting: AwaitingTag = { name: stream, tag: tag.name, image }
    const { retain, move } = await policyOf(stream, spec?.annotations)
    const isAwaited = awaits !== undefined && move === 'when-held'
    // It was to wait when it was set to move, and is not any more.
    if (awaits !== undefined && !isAwaited) await moveAwaited(writer, awaiting, mayFollow)
    if (!isAwaited && retain === 'pulled' && forced !== true) return undefined
    const noting = createNoting(entry)
    const outcome = await holdWanted(awaiting, signal, noting.progress)
    await noting.ended()
    if (outcome === undefined) return undefined
    const { hasFetched, leftOut } = outcome
    if (isAwaited) await moveAwaited(writer, awaiting, mayFollow)
    // Only a manifest that is seen again says of one that was gone; a part may be there without it.
    const isSeen = hasFetched && upstreamGone?.image === image && upstreamGone.isPart === true
    if (isSeen) await reportSeen(writer, entry.name, tag.name, image)
    return leftOut
  }

  /** Notes how far an entry is, not too often; what can not be noted is no trouble. */
  function createNoting(entry: UnheldEntry) {
    let noted = now()
    let writing: Promise<void> = Promise.resolve()
    return {
      progress(progress: HeldProgress): void {
        if (now() - noted < noteIntervalMs) return
        noted = now()
        writing = writing.then(() => noteOnEntry(store, entry, { progress })).catch(() => undefined)
      },
      ended: () => writing,
    }
  }

  async function failed(entry: UnheldEntry, { stream, tag }: { stream: Stream; tag: Tag }, error: unknown) {
    const { image } = entry.record
    const current = await currentRecord(store, entry)
    const failure = failureAfter(current?.record.failure?.attempts ?? 0, error, now())
    const { reason, message, retryAt } = failure
    log.info({ ...entry.name, tag: entry.tag, image, reason, retryAt, err: error }, 'content of a tag not held yet')
    await noteOnEntry(store, entry, { failure })
    if (tag.record.awaits !== undefined) {
      await noteIncomplete(writer, { name: stream, tag: entry.tag, image }, message)
    } else if (isGone(error) && error.upstream !== undefined) {
      await reportGone(writer, entry.name, entry.tag, image, error.upstream.host)
    }
    return Date.parse(retryAt) - now()
  }

  return async (entry, signal) => {
    const current = await currentRecord(store, entry)
    if (current === undefined) return undefined
    const { failure } = current.record
    const waitMs = failure === undefined ? 0 : Date.parse(failure.retryAt) - now()
    if (waitMs > 0) return waitMs
    // Read after the entry: a commit that gave the tag another image wrote another entry.
    const found = await standing(entry)
    let leftOut: readonly Digest[] | undefined
    try {
      leftOut = found && (await holdFor(entry, found, signal))
    } catch (error) {
      signal.throwIfAborted()
      if (isClosingError(error)) throw error
      if (found !== undefined) return failed(entry, found, error)
    }
    if (leftOut === undefined) await dropEntry(store, entry)
    else await finishEntry(store, entry, leftOut, now())
    return undefined
  }
}
