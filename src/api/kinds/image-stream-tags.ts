import { z } from 'zod'
import { RegistryError } from '../../oci/errors.ts'
import { isTag, type StreamName } from '../../oci/reference.ts'
import { requireTagUnchanged } from '../../streams/preconditions.ts'
import type { CurrentTag, Links, Pins, Stream, StreamReader, StreamWriter, Tag } from '../../streams/streams.ts'
import { decodeContinue, encodeContinue } from '../continue.ts'
import { imageGroup } from '../groups.ts'
import { imageObject, imageStreamTagObject, resolveReference, tagAnnotations } from '../image-objects.ts'
import type { ApiObject, Call, DeleteOptions, Page, Resource } from '../resource.ts'
import { byteLength, maxPageBytes, maxPageItems } from '../stored.ts'

export interface ImageStreamTagsOptions {
  reader: StreamReader
  writer: Pick<StreamWriter, 'changeTag'>
  links: Pick<Links, 'get' | 'image'>
  pins: Pick<Pins, 'reached'>
  /** The store's newest revision. */
  newestRevision(): Promise<number>
  registryHost: string
}

const streamBatch = 100

const continueSchema = z.object({ project: z.string(), stream: z.string(), tag: z.string() })

/** Tags seen one by one, each with the image it stands at; deleting one deletes its status and its history's effect. */
export function imageStreamTags(options: ImageStreamTagsOptions): Resource {
  return {
    group: imageGroup,
    version: 'v1',
    resource: 'imagestreamtags',
    singular: 'imagestreamtag',
    kind: 'ImageStreamTag',
    namespaced: true,
    shortNames: ['istag'],
    dryRun: true,
    handlers: {
      get: (call) => getTag(options, call),
      list: (call) => listTags(options, call),
      delete: (call, preconditions) => deleteTag(options, call, preconditions),
    },
  }
}

/** Splits `stream:tag`. @throws RegistryError BAD_REQUEST in OKD's words */
export function splitTagName(name: string): { stream: string; tag: string } {
  const [stream, tag, ...more] = name.split(':')
  if (stream && tag && more.length === 0) return { stream, tag }
  throw new RegistryError('BAD_REQUEST', { message: 'ImageStreamTags must be retrieved with <name>:<tag>' })
}

async function getTag(
  { reader, links, registryHost }: ImageStreamTagsOptions,
  { project, name }: Call,
): Promise<ApiObject | undefined> {
  const { stream: streamName, tag: tagName } = splitTagName(name)
  const stream = await reader.stream({ project, stream: streamName })
  const tag = stream && (await reader.tag(stream, tagName))
  const head = tag?.record.items[0]
  if (stream === undefined || tag === undefined || !head?.image) return undefined
  // As this stream's pullers get it, whatever others were told of the same bytes (I5).
  const link = await links.get(stream, head.image)
  const image = link && (await links.image(head.image, link.mediaType))
  if (image === undefined) return undefined
  const reference = resolveReference(registryHost, stream, tag.record, head)
  return imageStreamTagObject(
    stream,
    tag,
    imageObject(head.image, reference, head.created, image, tagAnnotations(tag.record)),
  )
}

async function listTags(options: ImageStreamTagsOptions, call: Call): Promise<Page> {
  const limit = Math.min(call.options.limit ?? maxPageItems, maxPageItems)
  const start = decodeContinue(continueSchema, call.options.continue)
  const resourceVersion = String(await options.newestRevision())
  const items: ApiObject[] = []
  let bytes = 0
  for await (const { stream, tag } of tagsAfter(options.reader, call.project, start)) {
    // Found beyond a limit: there is a next page, and it begins after the last item of this one.
    if (items.length >= limit || bytes >= maxPageBytes)
      return { items, resourceVersion, continue: positionOf(items.at(-1)) }
    const head = tag.record.items[0]
    if (!head?.image) continue
    const reference = resolveReference(options.registryHost, stream, tag.record, head)
    const item = imageStreamTagObject(stream, tag, imageObject(head.image, reference, null, undefined))
    items.push(item)
    bytes += byteLength(item)
  }
  return { items, resourceVersion }
}

/** Tags that stand at something, in order of project, stream and tag, after `start`. */
async function* tagsAfter(
  reader: StreamReader,
  project: string,
  start: (StreamName & { tag: string }) | undefined,
): AsyncGenerator<{ stream: Stream; tag: Tag }> {
  const first = start && (project === '' || start.project === project) ? await reader.stream(start) : undefined
  if (first !== undefined) yield* tagsOf(reader, first, start?.tag)
  let after: StreamName | undefined = start
  for (;;) {
    const batch: Stream[] = await reader.streams(project || undefined, { ...(after && { after }), limit: streamBatch })
    for (const stream of batch) yield* tagsOf(reader, stream, undefined)
    after = batch.at(-1)
    if (batch.length < streamBatch) return
  }
}

async function* tagsOf(
  reader: StreamReader,
  stream: Stream,
  after: string | undefined,
): AsyncGenerator<{ stream: Stream; tag: Tag }> {
  for (const tag of await reader.tags(stream, after === undefined ? {} : { after })) {
    if (tag.record.items[0]?.image) yield { stream, tag }
  }
}

function positionOf(item: ApiObject | undefined): string {
  const { namespace: project = '', name = '' } = item?.metadata ?? {}
  return encodeContinue({ project, ...splitTagName(name) })
}

async function deleteTag(
  { reader, writer, pins }: ImageStreamTagsOptions,
  { project, name, subject, options: { dryRun } }: Call,
  preconditions: DeleteOptions,
): Promise<ApiObject> {
  const { stream: streamName, tag: tagName } = splitTagName(name)
  const wanted = { project, stream: streamName }
  const stream = await reader.stream(wanted)
  const check = (current: CurrentTag) => {
    if (current.tag === undefined) throw tagNotFound(name)
    requireTagUnchanged(current, tagName, preconditions)
  }
  if (stream === undefined || !isTag(tagName)) throw tagNotFound(name)
  if (dryRun) {
    check({ stream, tag: await reader.tag(stream, tagName) })
    return { metadata: { name, uid: stream.uid } }
  }
  const result = await writer.changeTag(wanted, tagName, (current) => {
    check(current)
    return { remove: { cause: { kind: 'delete', by: subject.name } } }
  })
  if (result !== undefined) await pins.reached(result.revision)
  return { metadata: { name, uid: stream.uid } }
}

function tagNotFound(name: string): RegistryError {
  return new RegistryError('NOT_FOUND', { subject: { name, kind: 'imagestreamtags', group: imageGroup } })
}
