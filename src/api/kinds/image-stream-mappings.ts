import { z } from 'zod'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type FieldCause, RegistryError } from '../../oci/errors.ts'
import { isTag, parseImageReference } from '../../oci/reference.ts'
import type {
  CurrentTag,
  Links,
  Pins,
  StreamLink,
  StreamReader,
  StreamWriter,
  TagChange,
} from '../../streams/streams.ts'
import type { Tagging } from '../../tagging.ts'
import { parseObject } from '../body.ts'
import { invalid, required, requireValid } from '../fields.ts'
import { imageGroup } from '../groups.ts'
import { checkMetadata, streamName, withMetadata } from '../metadata.ts'
import type { ApiObject, Call, Resource } from '../resource.ts'
import { imageStreamMappingSchema } from '../schemas/image-commands.ts'
import { changeCause } from './change-cause.ts'

export interface ImageStreamMappingsOptions {
  reader: Pick<StreamReader, 'stream'>
  writer: Pick<StreamWriter, 'changeTag'>
  links: Pick<Links, 'get'>
  tagging: Pick<Tagging, 'relyOn'>
  pins: Pick<Pins, 'reached'>
}

const sentMapping = withMetadata.extend({
  image: z
    .object({
      metadata: z.object({ name: z.string().nullish() }).nullish(),
      dockerImageReference: z.string().nullish(),
    })
    .nullish(),
  tag: z.string().nullish(),
})

/**
 * A command: a tag of the stream moves to an image that the stream has (okd.md 1.10). What is said of the image is not
 * believed; it must have been imported, tagged or pushed here.
 */
export function imageStreamMappings(options: ImageStreamMappingsOptions): Resource {
  return {
    group: imageGroup,
    version: 'v1',
    resource: 'imagestreammappings',
    singular: 'imagestreammapping',
    kind: 'ImageStreamMapping',
    namespaced: true,
    schema: imageStreamMappingSchema,
    dryRun: true,
    handlers: { create: (call, body) => mapImage(options, call, body) },
  }
}

async function mapImage(
  { reader, writer, links, tagging, pins }: ImageStreamMappingsOptions,
  call: Call,
  body: Record<string, unknown>,
): Promise<ApiObject> {
  const { metadata, image, tag } = parseObject(sentMapping, body)
  const name = metadata?.name ?? ''
  const subject = { name, kind: 'imagestreammappings', group: imageGroup }
  const digest = parseDigest(image?.metadata?.name ?? '')
  const reference = image?.dockerImageReference ?? ''
  requireValid([...checkMetadata(metadata, streamName), ...checkMapping(image, digest, tag)], subject)
  const wanted = { project: call.project, stream: name }
  const stream = await reader.stream(wanted)
  if (stream === undefined) {
    throw new RegistryError('NOT_FOUND', { subject: { name, kind: 'imagestreams', group: imageGroup } })
  }
  const link = digest && (await links.get(stream, digest))
  if (digest === undefined || !tag || !isImage(link)) {
    const cause = invalid('image.metadata.name', digest, 'the stream does not have this image; import, tag or push it')
    return requireValid([cause], subject) as never
  }
  const decide = ({ stream: current }: CurrentTag): TagChange => {
    // The image was found in this very stream.
    if (current.uid !== stream.uid) throw new RegistryError('CONFLICT', { subject })
    const cause = { kind: 'push', by: call.subject.name, ...changeCause(metadata) } as const
    return { event: { image: digest, mediaType: link.mediaType, dockerImageReference: reference, cause } }
  }
  // What would be refused in the end gets no links.
  await writer.changeTag(wanted, tag, decide, { dryRun: true })
  if (call.options.dryRun) return success
  if (!(await tagging.relyOn(stream, tag, digest))) throw new RegistryError('CONFLICT', { subject })
  const result = await writer.changeTag(wanted, tag, decide)
  if (result !== undefined) await pins.reached(result.revision)
  return success
}

const success = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' } as const

function isImage(link: StreamLink | undefined): link is StreamLink {
  return link?.manifestType !== undefined && link.received
}

function checkMapping(
  image: z.infer<typeof sentMapping>['image'],
  digest: Digest | undefined,
  tag: string | null | undefined,
): FieldCause[] {
  const causes: FieldCause[] = []
  const name = image?.metadata?.name
  const reference = image?.dockerImageReference
  if (!name) causes.push(required('image.metadata.name', "the image's digest"))
  else if (digest === undefined) causes.push(invalid('image.metadata.name', name, 'is not a digest'))
  if (!reference) causes.push(required('image.dockerImageReference', 'where the image is'))
  else if (parseImageReference(reference) === undefined) {
    causes.push(invalid('image.dockerImageReference', reference, 'is not an image reference'))
  }
  const said = parseImageReference(reference ?? '')?.digest
  if (digest !== undefined && said !== undefined && said !== digest) {
    causes.push(invalid('image.dockerImageReference', reference, 'names another image than image.metadata.name'))
  }
  if (!tag) causes.push(required('tag', 'which tag moves'))
  else if (!isTag(tag)) causes.push(invalid('tag', tag, "must be at most 128 letters, digits, '_', '.' or '-'"))
  return causes
}
