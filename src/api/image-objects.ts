import { artifactTypeOf } from '../oci/artifact-type.ts'
import type { Digest } from '../oci/digest.ts'
import { isIndexType } from '../oci/media-types.ts'
import type { StreamName } from '../oci/reference.ts'
import type { RetainedState } from '../retention.ts'
import { incompleteReason } from '../streams/moves.ts'
import type { ImageRecord, TagEvent, TagRecord, TagReference } from '../streams/records.ts'
import type { Stream, Tag, WholeStream } from '../streams/streams.ts'
import { contentAnnotation, contentText } from './content-state.ts'
import { changeCauseAnnotation } from './kinds/change-cause.ts'
import { candidateAnnotation, holdAnnotation, withoutComputed } from './own-annotations.ts'
import { referrersAnnotation } from './own-referrers.ts'
import type { ApiObject } from './resource.ts'

/** The shapes of `image.openshift.io/v1` (types.go of openshift/api), made from Weir's records. Fields that OKD always writes are always there. */

/** Read-only annotation of an image that is none to run, such as a chart: its type. */
export const artifactTypeAnnotation = 'weir.dev/artifact-type'

/** Annotations that say something of how one object was written. */
const ofOneWrite: readonly string[] = [changeCauseAnnotation, 'kubectl.kubernetes.io/last-applied-configuration']

/** What is held of tags, by their names. */
export type RetainedStates = ReadonlyMap<string, RetainedState>

/**
 * An ImageStream with all its tags. `registryHost` is what clients write before `project/stream`; `retained` is what is held of
 * those that wait for their content, where that is told: it changes without the stream.
 */
export function imageStreamObject(
  registryHost: string,
  { stream, tags }: WholeStream,
  retained?: RetainedStates,
): ApiObject {
  const specTags = tags.flatMap(({ record }) => (record.spec === undefined ? [] : [specTag(record, record.spec)]))
  const statusTags = tags.filter(({ record }) => hasStatus(record))
  const repository = repositoryOf(registryHost, stream)
  return {
    metadata: streamMetadata(stream),
    spec: {
      lookupPolicy: { local: stream.lookupPolicy.local },
      ...(stream.dockerImageRepository ? { dockerImageRepository: stream.dockerImageRepository } : {}),
      ...(specTags.length === 0 ? {} : { tags: specTags }),
    },
    status: {
      dockerImageRepository: repository,
      publicDockerImageRepository: repository,
      ...(statusTags.length === 0 ? {} : { tags: statusTags.map((tag) => statusTag(tag, retained?.get(tag.name))) }),
    },
  }
}

/**
 * An ImageStreamTag; `image` is the head item's, as {@link imageObject} or, in lists, in its short form. `retained` is what is held
 * of it, where that is told.
 */
export function imageStreamTagObject(stream: Stream, tag: Tag, image: ApiObject, retained?: RetainedState): ApiObject {
  const { record } = tag
  const [head] = record.items
  const content = retained && { [contentAnnotation]: contentText(retained, head?.image) }
  return {
    metadata: tagMetadata(stream, tag, content ? { ...tagAnnotations(record), ...content } : tagAnnotations(record)),
    tag: record.spec === undefined ? null : specTag(record, record.spec),
    generation: head?.generation ?? 0,
    lookupPolicy: { local: stream.lookupPolicy.local },
    ...conditionsOf(record, retained),
    image,
  }
}

/** An ImageTag: what is wanted and what happened, whether or not there is an image (okd.md 1.7). */
export function imageTagObject(stream: Stream, tag: Tag, image: ApiObject | null, retained?: RetainedState): ApiObject {
  const { record } = tag
  return {
    metadata: tagMetadata(stream, tag, withoutWrite(stream.annotations)),
    spec: record.spec === undefined ? null : specTag(record, record.spec),
    status: hasStatus(record) ? statusTag(tag, retained) : null,
    image,
  }
}

/** An ImageStreamImage; `id` is the name as it was asked for, `created` when it came into the stream. */
export function imageStreamImageObject(stream: Stream, id: string, created: string, image: ApiObject): ApiObject {
  const { annotations } = stream
  return {
    metadata: {
      name: `${stream.stream}@${id}`,
      namespace: stream.project,
      uid: stream.uid,
      resourceVersion: String(stream.resourceVersion),
      creationTimestamp: created,
      ...(Object.keys(annotations).length > 0 && { annotations }),
    },
    image,
  }
}

/** What is told of an image besides its record. */
export interface ToldOfImage {
  /** Those of its tag. */
  annotations?: Readonly<Record<string, string>> | undefined
  /** What the stream has that refers to it. */
  referrers?: string | undefined
}

/**
 * The Image a digest stands for, its manifest and config left out. `created` is when it came into the stream, RFC 3339;
 * without a record, as in lists, only its name and reference are told.
 */
export function imageObject(
  digest: Digest | '',
  dockerImageReference: string,
  created: string | null,
  image: ImageRecord | undefined,
  { annotations, referrers }: ToldOfImage = {},
): ApiObject {
  if (image === undefined) {
    return {
      metadata: { name: digest, creationTimestamp: null },
      dockerImageReference,
      dockerImageMetadata: null,
      dockerImageLayers: null,
    }
  }
  const isIndex = isIndexType(image.mediaType)
  const artifactType = artifactTypeOf(image)
  return {
    metadata: {
      name: digest,
      creationTimestamp: created,
      annotations: {
        'image.openshift.io/dockerLayersOrder': 'ascending',
        ...annotations,
        ...(artifactType && { [artifactTypeAnnotation]: artifactType }),
        ...(referrers && { [referrersAnnotation]: referrers }),
      },
    },
    dockerImageReference,
    dockerImageMetadata: dockerImageMetadata(digest, image),
    dockerImageMetadataVersion: '1.0',
    dockerImageManifestMediaType: image.mediaType,
    dockerImageLayers: image.layers.map(({ digest: name, size, mediaType }) => ({ name, size, mediaType })),
    ...(isIndex ? { dockerImageManifests: image.manifests.map(childManifest) } : {}),
  }
}

/**
 * What a consumer of a tag is told to pull: with policy `Local`, the default, this stream's own repository (okd.md 2.5).
 */
export function resolveReference(registryHost: string, stream: Stream, record: TagRecord, event: TagEvent): string {
  const { type } = record.spec?.referencePolicy ?? { type: 'Local' }
  const isLocal = type === 'Local' && event.image !== ''
  return isLocal ? `${repositoryOf(registryHost, stream)}@${event.image}` : event.dockerImageReference
}

/** What pulls a digest of a stream from Weir. */
export function imageReference(registryHost: string, { project, stream }: StreamName, digest: Digest): string {
  return `${registryHost}/${project}/${stream}@${digest}`
}

/** The annotations of a tag, its hold among them, and where it would have moved; undefined when there are none. */
export function tagAnnotations({ spec, hold, candidate }: TagRecord): Record<string, string> | undefined {
  const own = withoutComputed(spec?.annotations ?? {})
  const ahead = candidate && { image: candidate.image, seenAt: candidate.seenAt }
  const held = hold && JSON.stringify({ ...hold, ...(ahead && { candidate: ahead }) })
  const shown = {
    ...own,
    ...(held !== undefined && { [holdAnnotation]: held }),
    ...(held === undefined && ahead && { [candidateAnnotation]: JSON.stringify(ahead) }),
  }
  return spec?.annotations || Object.keys(shown).length > 0 ? shown : undefined
}

/** Annotations of a stream as its ImageTags show them, or of an ImageTag as it is sent: without what is of one write. */
export function withoutWrite(annotations: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(annotations).filter(([key]) => !ofOneWrite.includes(key)))
}

function tagMetadata(
  stream: Stream,
  { name, record }: Tag,
  annotations: Readonly<Record<string, string>> | undefined,
): ApiObject['metadata'] {
  return {
    name: `${stream.stream}:${name}`,
    namespace: stream.project,
    uid: stream.uid,
    resourceVersion: String(stream.resourceVersion),
    creationTimestamp: record.items[0]?.created ?? stream.creationTimestamp,
    ...(Object.keys(stream.labels).length > 0 && { labels: stream.labels }),
    ...(annotations && Object.keys(annotations).length > 0 && { annotations: { ...annotations } }),
  }
}

function streamMetadata(stream: Stream): ApiObject['metadata'] {
  const { labels, annotations, managedFields } = stream
  return {
    name: stream.stream,
    namespace: stream.project,
    uid: stream.uid,
    resourceVersion: String(stream.resourceVersion),
    generation: stream.generation,
    creationTimestamp: stream.creationTimestamp,
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(Object.keys(annotations).length > 0 && { annotations }),
    ...(managedFields?.length ? { managedFields } : {}),
  }
}

function specTag(record: TagRecord, spec: TagReference): Record<string, unknown> {
  const { name, from, reference, generation, importPolicy, referencePolicy } = spec
  const { insecure, scheduled, importMode } = importPolicy
  return {
    name,
    annotations: tagAnnotations(record) ?? null,
    ...(from && { from }),
    ...(reference && { reference }),
    generation,
    importPolicy: { ...(insecure && { insecure }), ...(scheduled && { scheduled }), ...(importMode && { importMode }) },
    referencePolicy: { type: referencePolicy.type },
  }
}

function hasStatus({ items, condition, awaits }: TagRecord): boolean {
  return items.length > 0 || condition !== undefined || awaits !== undefined
}

function statusTag({ name, record }: Tag, retained: RetainedState | undefined): Record<string, unknown> {
  const items = record.items.map(({ created, dockerImageReference, image, generation }) => ({
    created,
    dockerImageReference,
    image,
    generation,
  }))
  return {
    tag: name,
    items: items.length === 0 ? null : items,
    ...conditionsOf(record, retained),
  }
}

/**
 * Why the newest import failed, that no upstream has what the tag stands at, where it moves when all of that is held, and that a
 * rollback holds it: a tag that was only ever pushed has no annotations that tell so. All but the first have the generation of the
 * head, so that nobody takes them for an answer to a newer wish.
 */
function conditionsOf(
  { condition, upstreamGone, awaits, hold, items }: TagRecord,
  retained: RetainedState | undefined,
): { conditions?: readonly object[] } {
  const gone = upstreamGone && {
    type: 'UpstreamGone',
    status: 'True',
    lastTransitionTime: upstreamGone.at,
    reason: 'NotFound',
    message: `${upstreamGone.host} no longer has all of this image (${upstreamGone.image}); Weir serves what it holds of it`,
    generation: items[0]?.generation ?? 0,
  }
  const progress = retained?.image === awaits?.image ? retained : undefined
  const waiting = awaits && {
    type: 'AwaitsContent',
    status: 'True',
    lastTransitionTime: awaits.since,
    reason: incompleteReason,
    message: `moves to ${awaits.image} when all that it needs of it is held${progress === undefined ? '' : `; ${contentText(progress, awaits.image)}`}`,
    generation: items[0]?.generation ?? 0,
  }
  const held = hold && {
    type: 'Held',
    status: 'True',
    lastTransitionTime: hold.at,
    reason: 'Rollback',
    message: `held at revision ${hold.revision} by ${hold.by}${hold.reason === undefined ? '' : ` (${hold.reason})`}`,
    generation: items[0]?.generation ?? 0,
  }
  const conditions = [condition, gone, waiting, held].filter((each) => each !== undefined)
  return conditions.length === 0 ? {} : { conditions }
}

function repositoryOf(registryHost: string, { project, stream }: Stream): string {
  return `${registryHost}/${project}/${stream}`
}

/** What `docker inspect` would say, as far as the config blob was read; `Size` is that of all unique layers and the config. */
function dockerImageMetadata(digest: Digest | '', image: ImageRecord): Record<string, unknown> {
  const unique = new Map(image.layers.map((layer) => [layer.digest, layer.size]))
  const layers = [...unique.values()].reduce((sum, size) => sum + size, 0)
  const { created, author, architecture, os, variant, dockerVersion, config } = image.configuration ?? {}
  return {
    kind: 'DockerImage',
    apiVersion: 'image.openshift.io/1.0',
    Id: image.config?.digest ?? digest,
    Created: created ?? null,
    ContainerConfig: {},
    ...(dockerVersion && { DockerVersion: dockerVersion }),
    ...(author && { Author: author }),
    Config: { ...config },
    ...(architecture && { Architecture: architecture }),
    ...(os && { Os: os }),
    ...(variant && { Variant: variant }),
    Size: layers + (image.config?.size ?? 0),
  }
}

function childManifest(child: ImageRecord['manifests'][number]): Record<string, unknown> {
  const { digest, mediaType, size: manifestSize, architecture = '', os = '', variant } = child
  return { digest, mediaType, manifestSize, architecture, os, ...(variant && { variant }) }
}
