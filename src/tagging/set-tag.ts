import type { Logger } from 'pino'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { streamNotFound } from '../streams/lives.ts'
import { requireTagUnchanged } from '../streams/preconditions.ts'
import type {
  ChangeResult,
  CurrentTag,
  Stream,
  StreamReader,
  StreamWriter,
  Tag,
  TagChange,
} from '../streams/streams.ts'
import { undefinedWhenUnlinked } from '../streams/unlinking.ts'
import { requireValid, validateStreamName, validateTagName } from '../streams/validation.ts'
import { needsLinks, type Prepare, type Ready } from './prepare.ts'
import type { TagRequest } from './request.ts'
import { imageGroup, inRounds, nameOf } from './rounds.ts'
import type { Wish } from './steps.ts'

/** Waits until a tag has moved to the image that it awaits, no longer than `patienceMs`. @throws RegistryError UNAVAILABLE */
export type AwaitMove = (
  stream: Stream,
  tag: string,
  image: Digest,
  options: { signal: AbortSignal; patienceMs: number },
) => Promise<void>

export interface SetTagOptions {
  reader: Pick<StreamReader, 'stream' | 'tag'>
  writer: Pick<StreamWriter, 'changeTag'>
  prepare: Prepare
  /** Waits until a tag has moved to the image that it awaits. Absent: nobody waits. */
  awaitMove?: AwaitMove
  log: Logger
}

/**
 * Most that is waited for content: what is here already is enough for most tags, and what has to come from far away comes in the
 * background, as the imports of other tags do. The client has one of few slots while it waits.
 */
const patienceMs = 5000

/** Puts one tag where it is wanted; see `Tagging.setTag`. */
export function createSetTag({ reader, writer, prepare, awaitMove, log }: SetTagOptions) {
  return setTag

  async function setTag(request: TagRequest): Promise<ChangeResult & { created: boolean }> {
    const own = nameOf(request)
    const { tag: name, wanted, field, dryRun = false } = request
    const called = `${own.stream}:${name}`
    const { kind, resource } = viewOf(request)
    requireValid(kind, called, [...validateStreamName(own), ...validateTagName(name, `${field}.name`)])
    const wish: Wish = { tag: name, field, wanted }
    const result = await inRounds(called, resource, async () => {
      const stream = await reader.stream(own)
      const tag = stream && (await reader.tag(own, name))
      requireMayWrite(request, stream, tag)
      const present = new Map(tag ? [[name, tag]] : [])
      const { checked, causes } = await prepare.check(own, present, [wish], request)
      requireValid(kind, called, causes)
      // What would be refused in the end gets no links.
      if (!dryRun && needsLinks(own, checked)) await write({ ...request, dryRun: true }, checked)
      const ready = await prepare.link(own, stream, checked, request)
      return ready && write(request, ready)
    })
    return dryRun ? result : whenHeld(request, result)
  }

  /** What was asked for is written, and will be done: a tag that does not move yet says why by itself. */
  async function whenHeld<R extends ChangeResult>({ wait, tag: name }: TagRequest, result: R): Promise<R> {
    const image = result.tag?.record.awaits?.image
    if (wait === undefined || awaitMove === undefined || image === undefined) return result
    await awaitMove(result.stream, name, image, { signal: wait, patienceMs }).catch((error: unknown) => {
      if (!(error instanceof RegistryError)) throw error
      log.info({ ...nameOf(result.stream), tag: name, image, err: error }, 'tag not moved yet')
    })
    const tag = await reader.tag(result.stream, name)
    return { ...result, tag, revision: Math.max(result.revision, tag?.storeRevision ?? 0) }
  }

  /** @returns undefined when what was prepared does not fit the tag any more */
  async function write(
    request: TagRequest,
    [ready]: readonly Ready[],
  ): Promise<(ChangeResult & { created: boolean }) | undefined> {
    const own = nameOf(request)
    const { tag: name, field, dryRun = false } = request
    let created = false
    let outdated = false
    const decide = (current: CurrentTag): TagChange | undefined => {
      const born = current.stream.resourceVersion === 0
      requireMayWrite(request, born ? undefined : current.stream, current.tag)
      requireTagUnchanged(current, name, request.seen)
      created = request.wanted !== null && current.tag?.record.spec === undefined
      const change = prepare.changeOf(current.stream, current.tag, ready, request)
      outdated = change === undefined
      return change
    }
    const options = { create: mayCreate(request), dryRun, field, maySee: request.mayPull }
    const writing = notFoundOnApi(() => writer.changeTag(own, name, decide, options))
    const result = await writing.catch(undefinedWhenUnlinked)
    if (outdated || result === undefined) return undefined
    if (result.entry !== undefined && !dryRun) {
      const { revision, image, cause } = result.entry
      log.info({ ...own, tag: name, revision, image, by: cause.by, from: cause.from?.name }, 'tag moved')
    }
    return { ...result, created }
  }
}

/** As what the caller sees the tag. */
function viewOf({ field }: TagRequest): { kind: 'ImageStreamTag' | 'ImageTag'; resource: string } {
  return field === 'spec'
    ? { kind: 'ImageTag', resource: 'imagetags' }
    : { kind: 'ImageStreamTag', resource: 'imagestreamtags' }
}

/** Only a blind PUT makes what is not there: who names a resourceVersion or uid has seen it. */
function mayCreate({ wanted, seen }: TagRequest): boolean {
  return wanted !== null && !seen.resourceVersion && !seen.uid
}

/** @throws RegistryError NOT_FOUND, ALREADY_EXISTS */
function requireMayWrite(request: TagRequest, stream: Stream | undefined, tag: Tag | undefined): void {
  if (stream === undefined && !mayCreate(request)) throw streamNotFound('NOT_FOUND', request)
  const { resource: kind } = viewOf(request)
  const subject = { name: `${request.stream}:${request.tag}`, kind, group: imageGroup }
  if (request.wanted === null && tag === undefined) {
    const message = `${kind}.${imageGroup} "${subject.name}" not found`
    throw new RegistryError('NOT_FOUND', { message, subject })
  }
  if (request.mode !== 'create' || tag?.record.spec === undefined) return
  const message = `${kind}.${imageGroup} "${subject.name}" already exists`
  throw new RegistryError('ALREADY_EXISTS', { message, subject })
}

/** A stream that is gone is NOT_FOUND to who speaks of streams, NAME_UNKNOWN to who pulls. */
async function notFoundOnApi<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'NAME_UNKNOWN') throw error
    const { message, subject } = error
    throw new RegistryError('NOT_FOUND', { message, ...(subject && { subject }) })
  }
}
