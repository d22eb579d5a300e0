import { isDeepStrictEqual } from 'node:util'
import { RegistryError } from '../../oci/errors.ts'
import type { RetainedState } from '../../retention.ts'
import type { TagRecord } from '../../streams/records.ts'
import type { ChangeResult, Stream, Tag } from '../../streams/streams.ts'
import type { TagRequest } from '../../tagging.ts'
import { parseObject } from '../body.ts'
import { imageStreamTagColumns } from '../columns/image-columns.ts'
import { invalid, requireValid } from '../fields.ts'
import { imageGroup } from '../groups.ts'
import { imageObject, imageStreamTagObject } from '../image-objects.ts'
import type { ApiObject, Call, Resource, Updated } from '../resource.ts'
import { type ImageStreamTagBody, imageStreamTagSchema, type TagReferenceBody } from '../schemas/image-streams.ts'
import { askingOf, seenOf } from './asking.ts'
import { keptAnnotations, wantedTag } from './sent-tags.ts'
import { requireStreamMetadata } from './tag-metadata.ts'
import { deleteTag, headImage, readTag, shortImage, splitTagName, type TagKindOptions } from './tag-objects.ts'
import { listOverStreams, tagItems } from './whole-streams.ts'

const resource = 'imagestreamtags'

/**
 * Tags seen one by one, each with the image it stands at. PUT and POST set the one spec tag, and PUT creates what is missing,
 * the stream too (okd.md 1.6); deleting one deletes its spec, status and pin.
 */
export function imageStreamTags(options: TagKindOptions): Resource {
  const { reader, registryHost } = options
  return {
    group: imageGroup,
    version: 'v1',
    resource,
    singular: 'imagestreamtag',
    kind: 'ImageStreamTag',
    namespaced: true,
    shortNames: ['istag'],
    columns: imageStreamTagColumns,
    schema: imageStreamTagSchema,
    ...(options.follow && { follow: options.follow }),
    dryRun: true,
    handlers: {
      async get({ project, name }) {
        const found = await readTag(reader, project, splitTagName(name, resource))
        const image = found && (await headImage(options, found.stream, found.tag))
        if (found === undefined || image === undefined) return undefined
        const retained = await options.retention.state(found.stream, found.tag.name)
        return imageStreamTagObject(found.stream, found.tag, image, retained)
      },
      async getListed({ project, name }) {
        const found = await readTag(reader, project, splitTagName(name, resource))
        const states = found && (await options.retention.states(found.stream, [found.tag]))
        return found && listedTag(registryHost, found.stream, found.tag, states?.get(found.tag.name))
      },
      list: (call) =>
        listOverStreams(reader, call, async (whole, afterTag) => {
          const states = await options.retention.states(whole.stream, whole.tags)
          return tagItems(whole, afterTag, (stream, tag) => listedTag(registryHost, stream, tag, states.get(tag.name)))
        }),
      create: (call, body) => createTag(options, call, body),
      update: (call, body) => updateTag(options, call, body),
      delete: (call, preconditions) => deleteTag(options, call, resource, preconditions),
    },
  }
}

/**
 * A tag as lists and watches show it; undefined when it stands at no image. Lists alone know what is `retained`: it changes without
 * the tag.
 */
export function listedTag(
  registryHost: string,
  stream: Stream,
  tag: Tag,
  retained?: RetainedState,
): ApiObject | undefined {
  const image = shortImage(registryHost, stream, tag)
  return image && imageStreamTagObject(stream, tag, image, retained)
}

async function createTag(options: TagKindOptions, call: Call, body: Record<string, unknown>): Promise<ApiObject> {
  const sent = parseObject(imageStreamTagSchema, body)
  const name = sent.metadata?.name ?? ''
  const { tag } = splitTagName(name, resource)
  const own = keptAnnotations(sent.tag?.annotations)
  const outer = keptAnnotations(sent.metadata?.annotations)
  const differs = own && outer && !isDeepStrictEqual(own, outer)
  const cause = invalid('tag.annotations', own, 'must be equal to metadata.annotations when both are set')
  requireValid([...(differs ? [cause] : []), ...(sent.tag ? checkName(sent.tag, tag) : [])], {
    name,
    kind: resource,
    group: imageGroup,
  })
  const wanted = { ...sent.tag, annotations: own ?? outer }
  const result = await setTag(options, call, sent, { name, wanted, mode: 'create' })
  return shown(options, result, tag)
}

async function updateTag(options: TagKindOptions, call: Call, body: Record<string, unknown>): Promise<Updated> {
  const sent = parseObject(imageStreamTagSchema, body)
  const { stream, tag } = splitTagName(call.name, resource)
  if (sent.tag) requireValid(checkName(sent.tag, tag), { name: call.name, kind: resource, group: imageGroup })
  const live = await readTag(options.reader, call.project, { stream, tag })
  if (live !== undefined) requireStreamMetadata(live.stream, call.name, sent.metadata, resource)
  const annotations = wantedAnnotations(sent, live?.tag.record)
  // A tag that was only ever pushed has no spec: all that is wanted of it are its annotations, and it follows nothing.
  const annotated = live !== undefined && annotations !== null ? { name: tag } : undefined
  const spec = sent.tag ?? storedSpec(live?.tag.record) ?? annotated
  if (spec === undefined) {
    throw new RegistryError('BAD_REQUEST', {
      message: `imagestreamtag ${tag} is not a spec tag in imagestream ${call.project}/${stream}, cannot be updated`,
    })
  }
  const result = await setTag(options, call, sent, { name: call.name, wanted: { ...spec, annotations }, mode: 'put' })
  // Who sends no tag has one already.
  return { object: await shown(options, result, tag), created: result.created && Boolean(sent.tag) }
}

function setTag(
  { tagging }: TagKindOptions,
  call: Call,
  { metadata }: ImageStreamTagBody,
  { name, wanted, mode }: { name: string; wanted: TagReferenceBody; mode: NonNullable<TagRequest['mode']> },
) {
  const { stream, tag } = splitTagName(name, resource)
  return tagging.setTag({
    project: call.project,
    stream,
    tag,
    ...askingOf(call, metadata),
    wanted: wantedTag(tag, wanted),
    seen: mode === 'create' ? {} : seenOf(metadata),
    wait: call.signal,
    mode,
    field: 'tag',
  })
}

/** A tag just written: it may stand at no image yet, which the answer to a write shows empty. */
async function shown(
  options: TagKindOptions,
  { revision, stream, tag }: ChangeResult,
  name: string,
): Promise<ApiObject> {
  await options.pins.reached(revision)
  const written = tag ?? emptyTag(name, stream)
  const image = await headImage(options, stream, written)
  return imageStreamTagObject(stream, written, image ?? imageObject('', '', null, undefined))
}

function emptyTag(name: string, { uid }: Stream): Tag {
  return { name, record: { uid, revision: 0, items: [], current: 0, commitId: '' }, storeRevision: 0 }
}

function storedSpec(record: TagRecord | undefined): TagReferenceBody | undefined {
  if (record?.spec === undefined) return undefined
  const { generation: _generation, ...spec } = record.spec
  return spec
}

function checkName({ name }: TagReferenceBody, tag: string) {
  return name && name !== tag ? [invalid('tag.name', name, `must be "${tag}", as in metadata.name, or empty`)] : []
}

/**
 * Annotations stand in two places of an ImageStreamTag, and clients change either. As in OKD those of `metadata` count; those
 * of `tag` do where they alone were changed, or are all that is sent by who has not read the tag.
 */
function wantedAnnotations({ metadata, tag }: ImageStreamTagBody, live: TagRecord | undefined) {
  const own = keptAnnotations(tag?.annotations)
  const outer = keptAnnotations(metadata?.annotations)
  if (own === null) return outer
  if (outer === null && !metadata?.resourceVersion) return own
  return isDeepStrictEqual(outer, keptAnnotations(live?.spec?.annotations)) ? own : outer
}
