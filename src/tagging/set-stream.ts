import type { Logger } from 'pino'
import { type FieldCause, RegistryError } from '../oci/errors.ts'
import { parseImageReference, type StreamName } from '../oci/reference.ts'
import { validateContentPolicy } from '../streams/content-policy.ts'
import { validateDeletes } from '../streams/delete-policy.ts'
import { validateImmutable } from '../streams/immutable.ts'
import { streamNotFound } from '../streams/lives.ts'
import { requireChangeUnchanged } from '../streams/preconditions.ts'
import type {
  CurrentStream,
  Stream,
  StreamChange,
  StreamChangeResult,
  StreamReader,
  StreamWriter,
  TagChange,
  WholeStream,
} from '../streams/streams.ts'
import { undefinedWhenUnlinked } from '../streams/unlinking.ts'
import { requireValid, validateObject, validateStreamName } from '../streams/validation.ts'
import { beginsToFollow, validateWhole } from '../streams/whole-repository.ts'
import type { AllowList } from '../upstream/allow-list.ts'
import { needsLinks, type Prepare, type Ready } from './prepare.ts'
import type { StreamRequest } from './request.ts'
import { imageGroup, inRounds, nameOf } from './rounds.ts'
import { wishesOf } from './steps.ts'

export interface SetStreamOptions {
  reader: Pick<StreamReader, 'whole'>
  writer: Pick<StreamWriter, 'create' | 'delete' | 'changeStream'>
  prepare: Prepare
  allowed: AllowList
  log: Logger
}

/** Makes and changes streams as a whole; see `Tagging.createStream` and `updateStream`. */
export function createSetStream({ reader, writer, prepare, allowed, log }: SetStreamOptions) {
  return { createStream, updateStream }

  async function createStream(request: StreamRequest): Promise<StreamChangeResult> {
    const own = nameOf(request)
    const wishes = wishesOf(request, [])
    let made: Stream | undefined
    try {
      return await inRounds(own.stream, 'imagestreams', async () => {
        const { checked, causes } = await prepare.check(own, new Map(), wishes, request)
        requireValid('ImageStream', own.stream, [
          ...validateStreamName(own),
          ...objectCauses(request.object, undefined),
          ...causes,
        ])
        // Links belong to a stream that is there; without any it is born in one commit with its tags.
        if (!request.dryRun && needsLinks(own, checked) && made === undefined) {
          await writeStream({ ...request, dryRun: true }, checked, 'create')
          made = await writer.create(own, request.object)
        }
        const ready = await prepare.link(own, made, checked, request)
        return ready && writeStream(request, ready, made === undefined ? 'create' : 'fill')
      })
    } catch (error) {
      if (made !== undefined) await unmake(made)
      throw error
    }
  }

  async function updateStream(request: StreamRequest): Promise<StreamChangeResult> {
    const own = nameOf(request)
    return inRounds(own.stream, 'imagestreams', async () => {
      const whole = await reader.whole(own)
      if (whole === undefined) throw streamNotFound('NOT_FOUND', own)
      const present = new Map(whole.tags.map((tag) => [tag.name, tag]))
      const wishes = wishesOf(request, specNames(whole))
      const { checked, causes } = await prepare.check(own, present, wishes, request)
      requireValid('ImageStream', own.stream, [...objectCauses(request.object, whole.stream), ...causes])
      // What would be refused in the end gets no links.
      if (!request.dryRun && needsLinks(own, checked))
        await writeStream({ ...request, dryRun: true }, checked, 'update')
      const ready = await prepare.link(own, whole.stream, checked, request)
      return ready && writeStream(request, ready, 'update')
    })
  }

  /** `fill` puts tags into a stream that was made for them; nothing of it is taken away. */
  async function writeStream(
    request: StreamRequest,
    ready: readonly Ready[],
    mode: 'create' | 'fill' | 'update',
  ): Promise<StreamChangeResult | undefined> {
    const own = nameOf(request)
    const byTag = new Map(ready.map((one) => [one.wish.tag, one]))
    let outdated = false
    const decide = (current: CurrentStream): StreamChange | undefined => {
      if (mode === 'create' && current.stream.resourceVersion !== 0) throw alreadyExists(own)
      const present = new Map(current.tags.map((tag) => [tag.name, tag]))
      const tags = new Map<string, TagChange>()
      for (const { tag } of wishesOf(request, mode === 'fill' ? [] : specNames(current))) {
        const change = prepare.changeOf(current.stream, present.get(tag), byTag.get(tag), request)
        outdated = change === undefined
        if (change === undefined) return undefined
        tags.set(tag, change)
      }
      const change = mode === 'fill' ? { tags } : { object: request.object, tags }
      if (mode === 'update') requireChangeUnchanged(current, change, request.seen)
      return change
    }
    const options = { create: mode === 'create', dryRun: request.dryRun ?? false, maySee: request.mayPull }
    const result = await writer.changeStream(own, decide, options).catch(undefinedWhenUnlinked)
    return outdated ? undefined : result
  }

  /** Takes back a stream whose tags could not be made, unless somebody uses it already. */
  async function unmake(made: Stream): Promise<void> {
    try {
      await writer.delete(made, { uid: made.uid, resourceVersion: String(made.resourceVersion) })
    } catch (error) {
      log.warn({ err: error, ...nameOf(made) }, 'an image stream that was made for tags stays without them')
    }
  }

  function objectCauses(object: StreamRequest['object'], before: Stream | undefined): FieldCause[] {
    const causes = [
      ...validateObject(object),
      ...validateContentPolicy(object.annotations, before?.annotations, 'metadata.annotations'),
      ...validateImmutable(object.annotations, before?.annotations, 'metadata.annotations', 'stream'),
      ...validateDeletes(object.annotations, before?.annotations, 'metadata.annotations'),
      ...validateWhole(object, before),
    ]
    const { dockerImageRepository: repository } = object
    if (causes.length > 0 || !repository) return causes
    if (repository === before?.dockerImageRepository && !beginsToFollow(object, before)) return causes
    const host = parseImageReference(repository)?.host
    const refusal = host === undefined ? undefined : allowed.refusalOf(host)
    if (refusal === undefined) return []
    const field = 'spec.dockerImageRepository'
    return [{ field, reason: 'FieldValueForbidden', message: `Forbidden: ${refusal}` }]
  }
}

function specNames({ tags }: WholeStream): string[] {
  return tags.filter(({ record }) => record.spec !== undefined).map(({ name }) => name)
}

function alreadyExists({ stream: name }: StreamName): RegistryError {
  const message = `imagestreams.${imageGroup} "${name}" already exists`
  return new RegistryError('ALREADY_EXISTS', { message, subject: { name, kind: 'imagestreams', group: imageGroup } })
}
