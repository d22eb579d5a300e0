import type { StreamImages } from '../../importer/stream-images.ts'
import { RegistryError } from '../../oci/errors.ts'
import { isTag } from '../../oci/reference.ts'
import type { Retention } from '../../retention.ts'
import { requireTagUnchanged } from '../../streams/preconditions.ts'
import type { ReferrerRecords } from '../../streams/referrer-records.ts'
import type {
  CurrentTag,
  Links,
  Pins,
  Stream,
  StreamReader,
  StreamWriter,
  Tag,
  TagChange,
} from '../../streams/streams.ts'
import type { Tagging } from '../../tagging.ts'
import { imageGroup } from '../groups.ts'
import { imageObject, resolveReference, tagAnnotations } from '../image-objects.ts'
import { countReferrers } from '../own-referrers.ts'
import type { ApiObject, Call, DeleteOptions, Follow } from '../resource.ts'

/** What the two views of one tag, ImageStreamTag and ImageTag, have in common. */
export interface TagKindOptions {
  reader: StreamReader
  writer: Pick<StreamWriter, 'changeTag'>
  links: Pick<Links, 'get'>
  images: StreamImages
  referrerRecords: Pick<ReferrerRecords, 'list' | 'fallbacks'>
  tagging: Pick<Tagging, 'setTag'>
  pins: Pick<Pins, 'reached'>
  retention: Pick<Retention, 'state' | 'states'>
  follow?: Follow
  registryHost: string
}

/** Which view of a tag a request is about. */
export type TagResource = 'imagestreamtags' | 'imagetags'

/** Splits `stream:tag`. @throws RegistryError BAD_REQUEST in OKD's words */
export function splitTagName(name: string, resource: TagResource): { stream: string; tag: string } {
  const [stream, tag, ...more] = name.split(':')
  if (stream && tag && more.length === 0) return { stream, tag }
  const kinds = { imagestreamtags: 'ImageStreamTags', imagetags: 'ImageTags' }
  throw new RegistryError('BAD_REQUEST', { message: `${kinds[resource]} must be retrieved with <name>:<tag>` })
}

/** A stream and one of its tags; undefined when either is missing. */
export async function readTag(
  reader: StreamReader,
  project: string,
  { stream: streamName, tag: tagName }: { stream: string; tag: string },
): Promise<{ stream: Stream; tag: Tag } | undefined> {
  const stream = await reader.stream({ project, stream: streamName })
  const tag = stream && isTag(tagName) ? await reader.tag(stream, tagName) : undefined
  return stream && tag && { stream, tag }
}

/** The image that a tag stands at, as this stream's pullers get it; undefined when it has none. */
export async function headImage(
  options: Pick<TagKindOptions, 'links' | 'images' | 'referrerRecords' | 'registryHost'>,
  stream: Stream,
  { record }: Tag,
): Promise<ApiObject | undefined> {
  const { links, images, referrerRecords, registryHost } = options
  const [head] = record.items
  if (!head?.image) return undefined
  // By the stream's own link, whatever others were told of the same bytes (I5).
  const type = (await links.get(stream, head.image))?.manifestType
  const image = type === undefined ? undefined : await images.get(stream, head.image, type)
  if (image === undefined) return undefined
  const reference = resolveReference(registryHost, stream, record, head)
  const referrers = await countReferrers(referrerRecords, stream, head.image)
  return imageObject(head.image, reference, head.created, image, { annotations: tagAnnotations(record), referrers })
}

/** The image in its short form, as lists have it; undefined when the tag stands at none. */
export function shortImage(registryHost: string, stream: Stream, { record }: Tag): ApiObject | undefined {
  const [head] = record.items
  if (!head?.image) return undefined
  return imageObject(head.image, resolveReference(registryHost, stream, record, head), null, undefined)
}

/** Deletes a tag: its spec, its status and its pin go; the ledger tells of it (okd.md 2.1). */
export async function deleteTag(
  { reader, writer, pins }: TagKindOptions,
  { project, name, subject, options: { dryRun } }: Call,
  resource: TagResource,
  preconditions: DeleteOptions,
): Promise<ApiObject> {
  const { stream: streamName, tag: tagName } = splitTagName(name, resource)
  const wanted = { project, stream: streamName }
  const notFound = () => new RegistryError('NOT_FOUND', { subject: { name, kind: resource, group: imageGroup } })
  const stream = await reader.stream(wanted)
  if (stream === undefined || !isTag(tagName)) throw notFound()
  const decide = (current: CurrentTag): TagChange => {
    if (current.tag === undefined) throw notFound()
    requireTagUnchanged(current, tagName, preconditions)
    return { remove: { cause: { kind: 'delete', by: subject.name } } }
  }
  const result = await writer.changeTag(wanted, tagName, decide, { dryRun }).catch((error: unknown) => {
    // Deleted meanwhile with its whole stream.
    throw error instanceof RegistryError && error.code === 'NAME_UNKNOWN' ? notFound() : error
  })
  if (result !== undefined) await pins.reached(result.revision)
  return { metadata: { name, uid: result?.stream.uid ?? stream.uid } }
}
