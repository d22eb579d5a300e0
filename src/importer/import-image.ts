import type { Logger } from 'pino'
import type { Digest } from '../oci/digest.ts'
import { type ErrorCode, RegistryError } from '../oci/errors.ts'
import { isHeldError, requireNotHeld } from '../streams/hold.ts'
import { requireTagUnchanged } from '../streams/preconditions.ts'
import type { ImageRecord } from '../streams/records.ts'
import type { ChangeResult, CurrentTag, Stream, StreamReader, StreamWriter, Tag } from '../streams/streams.ts'
import { isUnlinkedError } from '../streams/unlinking.ts'
import { requireValid, validateTagName } from '../streams/validation.ts'
import type { AllowList } from '../upstream/allow-list.ts'
import { isBudgetRefusal } from '../upstream/budget-refusal.ts'
import type { ChildImage, Children } from './children.ts'
import type { Choose } from './choose.ts'
import type { RecordFailure } from './failures.ts'
import type { Obtain, Obtained } from './obtain.ts'
import { causeOf, type Frame, type ImportImage, isDry, nameOf, permitted, seenBy, specOf } from './request.ts'

/** What became of one image. */
export type ImageOutcome =
  | {
      to: string
      digest: Digest
      mediaType: string
      dockerImageReference: string
      image: ImageRecord
      /** Of the manifest; left out where those of the request's other images are too many already. */
      bytes?: Buffer
      /** Of an index that was wanted with importMode `PreserveOriginal`: those of its children that could be had. */
      children?: readonly ChildImage[]
    }
  | { to: string; error: RegistryError }

/** Imports one image, for somebody who waits or for nobody. */
export interface ImportOne {
  /** @throws RegistryError CONFLICT, which ends the request as a whole; every other failure is the outcome. */
  byHand(frame: Frame, wanted: ImportImage): Promise<ImageOutcome>
  /**
   * `before` is the tag with the wish. A failure is a condition; nothing is done when the tag was changed meanwhile.
   *
   * @returns the refusal of a budget, of which no tag is told: nothing is known of the image
   * @throws RegistryError UNAVAILABLE when the store failed; whatever the frame's `signal` aborted with
   */
  inBackground(frame: Frame, wanted: ImportImage, before: Tag | undefined): Promise<RegistryError | undefined>
  /**
   * As `inBackground`, and tells what came of it; `raced` when the tag was changed meanwhile.
   *
   * @throws RegistryError as `inBackground`; NAME_UNKNOWN, NOT_FOUND when the stream is gone
   */
  scheduled(frame: Frame, wanted: ImportImage, before: Tag | undefined): Promise<ImageOutcome | 'raced'>
}

export interface ImportImageOptions {
  reader: Pick<StreamReader, 'tag'>
  writer: Pick<StreamWriter, 'changeTag'>
  allowed: AllowList
  choose: Choose
  obtain: Obtain
  children: Children
  recordFailure: RecordFailure
  log: Logger
}

/** How often an import by hand asks the upstream anew because the tag moved in between. */
const maxAttempts = 4

/** What a change of a tag says when its stream is gone, or when it was changed meanwhile. */
const overtakenCodes = new Set<ErrorCode>(['NAME_UNKNOWN', 'NOT_FOUND', 'CONFLICT'])

export function createImportImage(options: ImportImageOptions): ImportOne {
  const { reader, writer, allowed, choose, obtain, children, recordFailure, log } = options

  /** Moves the tag to what was obtained, or sees that it may; undefined when it changed since it was read. */
  async function move(
    frame: Frame & { stream: Stream },
    wanted: ImportImage,
    before: Tag | undefined,
    obtained: Obtained,
  ): Promise<ChangeResult | undefined> {
    const { request, stream, background = false } = frame
    const { digest, mediaType, dockerImageReference } = obtained
    let raced = false
    const decide = (current: CurrentTag) => {
      raced = current.stream.uid !== stream.uid && background
      raced ||= (current.tag?.storeRevision ?? 0) !== (before?.storeRevision ?? 0)
      if (raced) return undefined
      requireTagUnchanged(current, wanted.to, seenBy(request, stream))
      const event = { dockerImageReference, image: digest, mediaType, cause: causeOf(frame, wanted) }
      const moved = { event, lastSeen: digest }
      return background ? moved : { ...moved, spec: specOf(current, wanted), reimport: true }
    }
    const result = await writer.changeTag(stream, wanted.to, decide, {
      onConflict: background ? 'drop' : 'decide',
      dryRun: isDry(frame),
    })
    return raced ? undefined : result
  }

  async function importOnce(
    frame: Frame,
    wanted: ImportImage,
    before: Tag | undefined,
  ): Promise<ImageOutcome | 'raced'> {
    const { request, stream } = frame
    const reference = permitted(wanted.chosen ?? wanted.from, allowed)
    requireNotHeld(before?.record, frame.causeKind ?? 'import', request, wanted.to)
    const obtained = await obtain(frame, reference, before)
    frame.signal?.throwIfAborted()
    if (stream !== undefined) {
      const moved = await move({ ...frame, stream }, wanted, before, obtained)
      // What was asked of the upstream before another's move may be older than that move: asked again, decided anew.
      if (moved === undefined) return 'raced'
      if (!isDry(frame)) logMove(frame, wanted, moved)
    }
    const tell = wanted.importPolicy.importMode === 'PreserveOriginal'
    const told = await children.obtain(frame, obtained.image, obtained.location, tell)
    const { location: _location, bytes, ...image } = obtained
    const isTold = frame.room?.take(bytes.length) === true
    return { to: wanted.to, ...image, ...(isTold && { bytes }), ...(tell && told.length > 0 && { children: told }) }
  }

  /** What of a tag's source is imported. @throws RegistryError as {@link permitted} and {@link Choose} */
  async function chosenOf(frame: Frame, wanted: ImportImage, before: Tag | undefined): Promise<ImportImage> {
    permitted(wanted.from, allowed)
    return choose(frame, wanted, before)
  }

  /** An image that is deleted after it was obtained, and before its tag moved, is obtained anew. */
  async function importLinked(...wanted: Parameters<typeof importOnce>): Promise<ImageOutcome | 'raced'> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await importOnce(...wanted)
      } catch (error) {
        if (!isUnlinkedError(error) || attempt >= maxAttempts) throw error
      }
    }
  }

  function logMove({ request }: Frame, wanted: ImportImage, { entry }: ChangeResult): void {
    if (entry === undefined) return
    const { revision, image, cause } = entry
    log.info({ ...nameOf(request), tag: wanted.to, revision, image, by: cause.by }, 'tag imported')
  }

  async function byHand(frame: Frame, wanted: ImportImage): Promise<ImageOutcome> {
    let before: Tag | undefined
    try {
      requireValid('ImageStreamTag', `${frame.request.stream}:${wanted.to}`, validateTagName(wanted.to, 'tag.name'))
      before = frame.stream && (await reader.tag(frame.stream, wanted.to))
      const chosen = await chosenOf(frame, wanted, before)
      for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
        if (attempt > 0) before = frame.stream && (await reader.tag(frame.stream, wanted.to))
        const imported = await importLinked(frame, chosen, before)
        if (imported !== 'raced') return imported
      }
      throw new RegistryError('CONFLICT', {
        message: `tag ${wanted.to} was changed by somebody else again and again; try once more`,
      })
    } catch (error) {
      return { to: wanted.to, error: await recordFailure({ frame, wanted, before }, error) }
    }
  }

  return {
    byHand,
    async inBackground(frame, wanted, before) {
      try {
        await importLinked(frame, await chosenOf(frame, wanted, before), before)
        return undefined
      } catch (error) {
        frame.signal?.throwIfAborted()
        if (isOvertaken(error)) return undefined
        if (isStoreFailure(error)) throw error
        const failure = await recordFailure({ frame, wanted, before }, error)
        return isBudgetRefusal(failure) ? failure : undefined
      }
    },
    async scheduled(frame, wanted, before) {
      try {
        return await importLinked(frame, wanted, before)
      } catch (error) {
        frame.signal?.throwIfAborted()
        if (error instanceof RegistryError && error.upstream === undefined && error.code === 'CONFLICT') return 'raced'
        if (isOvertaken(error) || isStoreFailure(error)) throw error
        return { to: wanted.to, error: await recordFailure({ frame, wanted, before }, error) }
      }
    },
  }
}

/** The stream is gone, the tag is held or was changed: the wish is not what it was. */
function isOvertaken(error: unknown): boolean {
  if (isHeldError(error)) return true
  return error instanceof RegistryError && error.upstream === undefined && overtakenCodes.has(error.code)
}

function isStoreFailure(error: unknown): boolean {
  return error instanceof RegistryError && error.upstream === undefined && error.code === 'UNAVAILABLE'
}
