import type { Stream, Tag } from '../../streams/streams.ts'
import { parseObject } from '../body.ts'
import { imageTagColumns } from '../columns/image-columns.ts'
import { invalid, required, requireValid } from '../fields.ts'
import { imageGroup } from '../groups.ts'
import { imageTagObject } from '../image-objects.ts'
import type { ApiObject, Call, Resource } from '../resource.ts'
import { type ImageTagBody, imageTagSchema } from '../schemas/image-streams.ts'
import { askingOf, seenOf } from './asking.ts'
import { wantedTag } from './sent-tags.ts'
import { requireStreamMetadata } from './tag-metadata.ts'
import { deleteTag, headImage, readTag, splitTagName, type TagKindOptions } from './tag-objects.ts'
import { listOverStreams, tagItems } from './whole-streams.ts'

const resource = 'imagetags'

/** Tags with what is wanted of them and what happened, also where there is no image yet (okd.md 1.7). */
export function imageTags(options: TagKindOptions): Resource {
  const { reader } = options
  return {
    group: imageGroup,
    version: 'v1',
    resource,
    singular: 'imagetag',
    kind: 'ImageTag',
    namespaced: true,
    shortNames: ['itag'],
    columns: imageTagColumns,
    schema: imageTagSchema,
    ...(options.follow && { follow: options.follow }),
    dryRun: true,
    handlers: {
      get: async ({ project, name }) => showTag(options, project, splitTagName(name, resource)),
      async getListed({ project, name }) {
        const found = await readTag(reader, project, splitTagName(name, resource))
        return found && listedImageTag(found.stream, found.tag)
      },
      list: (call) => listOverStreams(reader, call, (whole, afterTag) => tagItems(whole, afterTag, listedImageTag)),
      create: async (call, body) => {
        const sent = parseObject(imageTagSchema, body)
        return (await setTag(options, call, sent, sent.metadata?.name ?? '', 'create')).object
      },
      update: (call, body) => setTag(options, call, parseObject(imageTagSchema, body), call.name, 'put'),
      delete: (call, preconditions) => deleteTag(options, call, resource, preconditions),
    },
  }
}

/** A tag as lists and watches show it. */
export function listedImageTag(stream: Stream, tag: Tag): ApiObject {
  return imageTagObject(stream, tag, null)
}

async function showTag(
  options: TagKindOptions,
  project: string,
  name: { stream: string; tag: string },
): Promise<ApiObject | undefined> {
  const found = await readTag(options.reader, project, name)
  if (found === undefined) return undefined
  const { stream, tag } = found
  const retained = tag.record.awaits === undefined ? undefined : await options.retention.state(stream, tag.name)
  return imageTagObject(stream, tag, (await headImage(options, stream, tag)) ?? null, retained)
}

async function setTag(options: TagKindOptions, call: Call, sent: ImageTagBody, name: string, mode: 'create' | 'put') {
  const { stream, tag } = splitTagName(name, resource)
  const { metadata, spec } = sent
  const causes = mode === 'create' && !spec ? [required('spec', 'what is wanted of the tag')] : []
  if (spec && spec.name !== tag)
    causes.push(invalid('spec.name', spec.name ?? '', `must be "${tag}", as in metadata.name`))
  requireValid(causes, { name, kind: resource, group: imageGroup })
  const live = mode === 'put' ? await options.reader.stream({ project: call.project, stream }) : undefined
  if (live !== undefined) requireStreamMetadata(live, name, metadata, resource)
  const result = await options.tagging.setTag({
    project: call.project,
    stream,
    tag,
    ...askingOf(call, metadata),
    wanted: spec ? wantedTag(tag, spec) : null,
    seen: mode === 'create' ? {} : seenOf(metadata),
    wait: call.signal,
    mode,
    field: 'spec',
  })
  await options.pins.reached(result.revision)
  const image = result.tag && (await headImage(options, result.stream, result.tag))
  const emptied: Tag = {
    name: tag,
    record: { uid: result.stream.uid, revision: 0, items: [], current: 0, commitId: '' },
    storeRevision: 0,
  }
  return { object: imageTagObject(result.stream, result.tag ?? emptied, image ?? null), created: result.created }
}
