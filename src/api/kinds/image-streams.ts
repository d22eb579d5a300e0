import { isDeepStrictEqual } from 'node:util'
import { RegistryError } from '../../oci/errors.ts'
import type { Retention } from '../../retention.ts'
import type { Objects } from '../../store/objects.ts'
import { sameReference } from '../../streams/generations.ts'
import type {
  Links,
  Pins,
  Stream,
  StreamChangeResult,
  StreamReader,
  StreamWriter,
  WholeStream,
} from '../../streams/streams.ts'
import type { StreamRequest, Tagging } from '../../tagging.ts'
import { parseObject } from '../body.ts'
import { imageStreamColumns } from '../columns/image-columns.ts'
import { atMost, required, requireValid } from '../fields.ts'
import { imageGroup } from '../groups.ts'
import { imageStreamObject, type RetainedStates } from '../image-objects.ts'
import { checkMetadata, type SentMetadata, streamName, withMetadata } from '../metadata.ts'
import { withoutComputed } from '../own-annotations.ts'
import type { ApiObject, Call, DeleteOptions, Follow, Resource } from '../resource.ts'
import { imageStreamSchema, type TagReferenceBody } from '../schemas/image-streams.ts'
import { requireStorable } from '../stored.ts'
import { askingOf, seenOf } from './asking.ts'
import { withNewCause } from './change-cause.ts'
import { layersSubresource } from './image-stream-layers.ts'
import { statusSubresource } from './image-stream-status.ts'
import { streamSecrets } from './secrets.ts'
import { wantedTag } from './sent-tags.ts'
import { listOverStreams } from './whole-streams.ts'

export interface ImageStreamsOptions {
  reader: StreamReader
  writer: Pick<StreamWriter, 'delete'>
  links: Pick<Links, 'list' | 'image'>
  objects: Objects
  tagging: Tagging
  retention: Pick<Retention, 'states'>
  pins: Pick<Pins, 'reached'>
  follow?: Follow
  /** The store's newest revision. */
  newestRevision(): Promise<number>
  registryHost: string
}

/** Most spec tags of one object that is sent. */
const maxTags = 10_000

/** Image streams with their tags. What is sent in `status` is the server's own and ignored. */
export function imageStreams(options: ImageStreamsOptions): Resource {
  const { reader, registryHost } = options
  return {
    group: imageGroup,
    version: 'v1',
    resource: 'imagestreams',
    singular: 'imagestream',
    kind: 'ImageStream',
    namespaced: true,
    shortNames: ['is'],
    categories: ['all'],
    fieldSelectors: ['spec.dockerImageRepository', 'status.dockerImageRepository'],
    columns: imageStreamColumns,
    schema: imageStreamSchema,
    keepsManagedFields: true,
    ...(options.follow && { follow: options.follow }),
    dryRun: true,
    handlers: {
      get: async ({ project, name }) => {
        const whole = await reader.whole({ project, stream: name })
        return whole && imageStreamObject(registryHost, whole, await awaitedStates(options, whole))
      },
      getListed: async ({ project, name }) => {
        const whole = await reader.whole({ project, stream: name })
        return whole && imageStreamObject(registryHost, whole)
      },
      list: (call) => listOverStreams(reader, call, (whole) => [{ item: imageStreamObject(registryHost, whole) }]),
      create: (call, body) => createStream(options, call, body),
      update: async (call, body, read) => ({ object: await updateStream(options, call, body, read) }),
      delete: (call, preconditions) => deleteStream(options, call, preconditions),
    },
    subresources: {
      status: statusSubresource(options),
      layers: layersSubresource(options),
      secrets: streamSecrets(options),
    },
  }
}

/** How far those tags are that wait for their content; most streams have none. */
async function awaitedStates(
  { retention }: Pick<ImageStreamsOptions, 'retention'>,
  { stream, tags }: WholeStream,
): Promise<RetainedStates | undefined> {
  const awaiting = tags.filter(({ record }) => record.awaits !== undefined)
  return awaiting.length === 0 ? undefined : retention.states(stream, awaiting)
}

async function createStream(
  options: ImageStreamsOptions,
  call: Call,
  body: Record<string, unknown>,
): Promise<ApiObject> {
  const { metadata } = parseObject(withMetadata, body)
  if (metadata?.resourceVersion) {
    throw new RegistryError('BAD_REQUEST', { message: 'resourceVersion should not be set on objects to be created' })
  }
  const request = streamRequest(call, body, metadata?.name ?? '')
  return settled(options, await options.tagging.createStream({ ...request, seen: {} }))
}

async function updateStream(
  options: ImageStreamsOptions,
  call: Call,
  body: Record<string, unknown>,
  read: ApiObject | undefined,
): Promise<ApiObject> {
  const { metadata } = parseObject(withMetadata, body)
  if (!metadata?.resourceVersion) {
    const cause = required('metadata.resourceVersion', 'must be specified for an update')
    requireValid([cause], { name: call.name, kind: 'imagestreams', group: imageGroup })
  }
  const live = await options.reader.stream({ project: call.project, stream: call.name })
  const request = streamRequest(call, body, call.name, live)
  const meant = read && changedTags(read, body)
  return settled(options, await options.tagging.updateStream({ ...request, ...(meant && { meant }) }))
}

/** The spec tags that came, went or do not say what they said when they were read. */
function changedTags(read: Record<string, unknown>, body: Record<string, unknown>): Set<string> {
  const [were, are] = [specTags(read), specTags(body)]
  const names = new Set([...were.keys(), ...are.keys()])
  return new Set([...names].filter((name) => !saysSame(were.get(name), are.get(name))))
}

function specTags(object: Record<string, unknown>): Map<string, TagReferenceBody> {
  const { spec } = parseObject(imageStreamSchema.pick({ spec: true }), object)
  return new Map((spec?.tags ?? []).map((tag) => [tag.name ?? '', tag]))
}

function saysSame(was: TagReferenceBody | undefined, is: TagReferenceBody | undefined): boolean {
  if (was === undefined || is === undefined) return was === is
  if (isDeepStrictEqual(was, is)) return true
  return is.generation !== 0 && sameReference(wantedTag('', was), wantedTag('', is))
}

/** What is sent of a stream, `live` as it is. */
function streamRequest(call: Call, body: Record<string, unknown>, name: string, live?: Stream): StreamRequest {
  const { metadata } = parseObject(withMetadata, body)
  const subject = { name, kind: 'imagestreams', group: imageGroup }
  requireValid(atMost('spec.tags', sentTags(body), maxTags), subject)
  const { spec } = parseObject(imageStreamSchema, body)
  const named: SentMetadata = { ...metadata, name }
  requireValid(checkMetadata(named, streamName), subject)
  const { managedFields } = metadata ?? {}
  const object = {
    labels: metadata?.labels ?? {},
    annotations: withoutComputed(metadata?.annotations ?? {}),
    lookupPolicy: { local: spec?.lookupPolicy?.local ?? false },
    ...(spec?.dockerImageRepository ? { dockerImageRepository: spec.dockerImageRepository } : {}),
    ...(managedFields?.length ? { managedFields } : {}),
  }
  requireStorable(object)
  return {
    project: call.project,
    stream: name,
    // The stream keeps the annotation, as objects of Kubernetes do: it is the reason of the write that brings it.
    ...askingOf(call, withNewCause(metadata ?? {}, live?.annotations)),
    object,
    tags: (spec?.tags ?? []).map((tag) => wantedTag(tag.name ?? '', tag)),
    seen: seenOf(metadata),
  }
}

/** Looked at before the object is parsed at a cost. */
function sentTags({ spec }: Record<string, unknown>): unknown {
  return typeof spec === 'object' && spec !== null && 'tags' in spec ? spec.tags : undefined
}

async function settled(
  { pins, registryHost }: ImageStreamsOptions,
  { revision, whole }: StreamChangeResult,
): Promise<ApiObject> {
  await pins.reached(revision)
  return imageStreamObject(registryHost, whole)
}

async function deleteStream(
  { writer, pins, newestRevision }: ImageStreamsOptions,
  { project, name, options: { dryRun } }: Call,
  preconditions: DeleteOptions,
): Promise<ApiObject> {
  const { uid } = await writer.delete({ project, stream: name }, preconditions, { isAsked: true, dryRun })
  if (!dryRun) await pins.reached(await newestRevision())
  return { metadata: { name, uid } }
}
