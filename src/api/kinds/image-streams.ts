import { z } from 'zod'
import { RegistryError } from '../../oci/errors.ts'
import { requireStreamUnchanged } from '../../streams/preconditions.ts'
import type { Pins, Stream, StreamReader, StreamWriter } from '../../streams/streams.ts'
import { parseObject } from '../body.ts'
import { decodeContinue, encodeContinue } from '../continue.ts'
import { forbiddenField, requireValid } from '../fields.ts'
import { imageGroup } from '../groups.ts'
import { imageStreamObject } from '../image-objects.ts'
import { checkMetadata, ownMetadata, streamName, withMetadata } from '../metadata.ts'
import type { ApiObject, Call, DeleteOptions, Page, Resource } from '../resource.ts'
import { byteLength, maxPageBytes, maxPageItems, requireStorable } from '../stored.ts'

export interface ImageStreamsOptions {
  reader: StreamReader
  writer: Pick<StreamWriter, 'create' | 'delete'>
  pins: Pick<Pins, 'reached'>
  /** The store's newest revision. */
  newestRevision(): Promise<number>
  registryHost: string
}

const streamSpec = z.object({
  spec: z
    .object({
      lookupPolicy: z.object({ local: z.boolean().default(false) }).nullish(),
      dockerImageRepository: z.string().nullish(),
      tags: z.array(z.unknown()).nullish(),
    })
    .nullish(),
})

const continueSchema = z.object({ project: z.string(), stream: z.string() })

/** Image streams: created empty, for their tags come with the first import or push. */
export function imageStreams(options: ImageStreamsOptions): Resource {
  const { reader } = options
  return {
    group: imageGroup,
    version: 'v1',
    resource: 'imagestreams',
    singular: 'imagestream',
    kind: 'ImageStream',
    namespaced: true,
    shortNames: ['is'],
    categories: ['all'],
    dryRun: true,
    handlers: {
      get: async ({ project, name }) => {
        const stream = await reader.stream({ project, stream: name })
        return stream && showStream(options, stream)
      },
      list: (call) => listStreams(options, call),
      create: (call, body) => createStream(options, call, body),
      delete: (call, preconditions) => deleteStream(options, call, preconditions),
    },
  }
}

/** A stream as the API shows it. */
export async function showStream(
  { reader, registryHost }: Pick<ImageStreamsOptions, 'reader' | 'registryHost'>,
  stream: Stream,
): Promise<ApiObject> {
  return imageStreamObject(registryHost, stream, await reader.tags(stream))
}

async function listStreams(options: ImageStreamsOptions, call: Call): Promise<Page> {
  const { limit = maxPageItems } = call.options
  const after = decodeContinue(continueSchema, call.options.continue)
  const resourceVersion = String(await options.newestRevision())
  const count = Math.min(limit, maxPageItems)
  // One more than asked for tells whether there is a next page.
  const range = { ...(after && { after }), limit: count + 1 }
  const streams = await options.reader.streams(call.project || undefined, range)
  const items: ApiObject[] = []
  let bytes = 0
  for (const stream of streams.slice(0, count)) {
    if (bytes >= maxPageBytes) break
    const item = await showStream(options, stream)
    items.push(item)
    bytes += byteLength(item)
  }
  const last = streams[items.length - 1]
  return {
    items,
    resourceVersion,
    ...(last && streams.length > items.length
      ? { continue: encodeContinue({ project: last.project, stream: last.stream }) }
      : {}),
  }
}

async function createStream(
  options: ImageStreamsOptions,
  call: Call,
  body: Record<string, unknown>,
): Promise<ApiObject> {
  const { metadata } = parseObject(withMetadata, body)
  const { spec } = parseObject(streamSpec, body)
  const name = metadata?.name ?? ''
  const subject = { name, kind: 'imagestreams', group: imageGroup }
  const tags = spec?.tags?.length ? [forbiddenField('spec.tags', 'not served yet; import the tags instead')] : []
  const repository = spec?.dockerImageRepository
    ? [forbiddenField('spec.dockerImageRepository', 'not served yet; import single tags instead')]
    : []
  requireValid([...checkMetadata(metadata, streamName), ...tags, ...repository], subject)
  const { labels = {}, annotations = {} } = ownMetadata(metadata ?? {})
  requireStorable({ labels, annotations })
  const lookupPolicy = { local: spec?.lookupPolicy?.local ?? false }
  const wanted = { project: call.project, stream: name }
  if (!call.options.dryRun) {
    return showStream(options, await options.writer.create(wanted, { labels, annotations, lookupPolicy }))
  }
  if ((await options.reader.stream(wanted)) !== undefined) throw new RegistryError('ALREADY_EXISTS', { subject })
  return { metadata: { name, namespace: call.project, labels, annotations }, spec: { lookupPolicy }, status: {} }
}

async function deleteStream(
  { reader, writer, pins, newestRevision }: ImageStreamsOptions,
  { project, name, options: { dryRun } }: Call,
  preconditions: DeleteOptions,
): Promise<ApiObject> {
  const wanted = { project, stream: name }
  if (!dryRun) {
    const { uid } = await writer.delete(wanted, preconditions)
    await pins.reached(await newestRevision())
    return { metadata: { name, uid } }
  }
  const subject = { name, kind: 'imagestreams', group: imageGroup }
  const stream = await reader.stream(wanted)
  if (stream === undefined) throw new RegistryError('NOT_FOUND', { subject })
  requireStreamUnchanged(stream, preconditions)
  return { metadata: { name, uid: stream.uid } }
}
