import {
  apiVersion,
  type ImageStreamTag,
  type ImageTag,
  type ImportPolicy,
  type ObjectReference,
  resources,
  type TagReference,
} from './api.ts'
import { type CheckWish, checkAnnotations } from './check-options.ts'
import { type Client, movePatienceMs } from './client.ts'
import { unlessForbidden } from './failures.ts'
import { holdAnnotation } from './holds.ts'
import type { TagName } from './references.ts'
import { followAnnotation, type StreamTag, tagOfImageTag } from './stream-tags.ts'
import type { Resolved } from './tag-resolve.ts'

/** What is wanted of a tag beside its source. What is not said stays as the tag has it. */
export interface TagWish extends CheckWish {
  reference?: boolean
  /** Whether it follows its source, a tag of another stream; one that is set otherwise follows none. */
  follow?: boolean
  insecure?: boolean
  referencePolicy?: 'source' | 'local'
  reason?: string
}

const changeCause = 'kubernetes.io/change-cause'

/** The tag as it is; undefined when it is not there, or not to be read. */
export async function readTag(client: Client, name: TagName): Promise<StreamTag | undefined> {
  const found = await unlessForbidden(client.find<ImageTag>(tagTarget(resources.imageTags, name)), undefined)
  return found && tagOfImageTag(name, found)
}

/** Writes where a tag comes from, and makes it and its stream when they are absent. */
export async function writeTag(
  client: Client,
  name: TagName,
  before: StreamTag | undefined,
  { from }: Resolved,
  wish: TagWish,
): Promise<ImageStreamTag> {
  const resource = resources.imageStreamTags
  const annotations = annotationsOf(before?.wanted, wish)
  const body = {
    kind: 'ImageStreamTag',
    apiVersion: apiVersion(resource),
    metadata: {
      name: `${name.stream}:${name.tag}`,
      namespace: name.project,
      ...(Object.keys(annotations).length > 0 && { annotations }),
    },
    tag: {
      name: name.tag,
      from: inProject(from, name.project),
      ...(wish.reference === true && { reference: true }),
      // The source is looked at anew, also when it is the one that the tag has already.
      generation: 0,
      importPolicy: importPolicy(before?.wanted, from, wish),
      ...referencePolicy(before?.wanted, wish),
    },
  }
  return client.request<ImageStreamTag>('PUT', tagTarget(resource, name), { body, patienceMs: movePatienceMs })
}

/** Where the requests about one tag go. */
export function tagTarget(resource: (typeof resources)['imageTags' | 'imageStreamTags'], name: TagName) {
  return { resource, project: name.project, name: `${name.stream}:${name.tag}` }
}

function inProject({ namespace, ...from }: ObjectReference, project: string): ObjectReference {
  return namespace === undefined || namespace === project ? from : { ...from, namespace }
}

function annotationsOf(wanted: TagReference | undefined, wish: TagWish): Record<string, string> {
  const {
    [holdAnnotation]: _hold,
    [changeCause]: _cause,
    [followAnnotation]: _follow,
    ...kept
  } = wanted?.annotations ?? {}
  const follow = wish.follow === true ? { [followAnnotation]: 'true' } : {}
  const annotations = { ...kept, ...checkAnnotations(wish), ...follow }
  return wish.reason === undefined ? annotations : { ...annotations, [changeCause]: wish.reason }
}

/** How an upstream is asked was said for that upstream: another one starts afresh. */
function importPolicy(wanted: TagReference | undefined, from: Resolved['from'], wish: TagWish): ImportPolicy {
  if (from.kind !== 'DockerImage') return {}
  const isSame = wanted?.from?.kind === 'DockerImage' && wanted.from.name === from.name
  const { insecure, scheduled, importMode } = (isSame ? wanted.importPolicy : undefined) ?? {}
  return {
    insecure: wish.insecure === true || insecure === true,
    scheduled: wish.scheduled ?? scheduled === true,
    importMode: importMode ?? 'PreserveOriginal',
  }
}

function referencePolicy(wanted: TagReference | undefined, wish: TagWish): { referencePolicy?: { type: string } } {
  if (wish.referencePolicy !== undefined) {
    return { referencePolicy: { type: wish.referencePolicy === 'local' ? 'Local' : 'Source' } }
  }
  return wanted?.referencePolicy === undefined ? {} : { referencePolicy: wanted.referencePolicy }
}
