import { parseDigest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import { apiVersion, type ImageStreamImage, type ImageTag, type ObjectReference, resources } from './api.ts'
import type { Client } from './client.ts'
import { CliError, unlessForbidden } from './failures.ts'
import { missingStream, missingTag } from './missing.ts'
import { formatStreamReference, type TagName } from './references.ts'
import { stateOf, tagOfImageTag } from './stream-tags.ts'
import { formatSource, type Source } from './tag-source.ts'

/** What a tag is to come from. */
export interface Resolved {
  from: ObjectReference
  /** What a person calls it: `demo/app:latest`, `quay.io/org/app:v1`. */
  called: string
  /** The digest that it stands at; undefined where that is not known beforehand. */
  image?: string
}

/**
 * Resolves a source to what is written into a tag. The tag of a stream is pinned: it becomes the image that the tag stands at
 * now.
 *
 * @param to where it goes: who may pull from the source and not read it asks the server through it
 * @throws CliError when the source is not there or stands nowhere
 */
export async function resolveSource(client: Client, source: Source, to: TagName): Promise<Resolved> {
  const called = formatSource(source)
  switch (source.kind) {
    case 'docker':
      return { from: { kind: 'DockerImage', name: source.name }, called }
    case 'image': {
      const image = parseDigest(source.id) ?? (await findImage(client, source))
      return { from: imageOf(source, image), called, image }
    }
    case 'tag':
      return resolveTag(client, source, to)
  }
}

/** What a tag that follows `source`, a tag of its own stream, comes from. @throws CliError when there is no such tag */
export async function resolveAlias(client: Client, source: TagName): Promise<Resolved> {
  const tag = await readTag(client, source)
  const image = tag === 'unknown' ? undefined : tagOfImageTag(source, tag).image
  return {
    // Without the stream, as oc writes it: the API's own columns know a tracking tag by that.
    from: { kind: 'ImageStreamTag', name: source.tag },
    called: formatStreamReference(source),
    ...(image === undefined ? {} : { image }),
  }
}

/** What a tag that follows `source`, of whichever stream, comes from; whether it is there is the server's to say. */
export function resolveFollowed(source: TagName): Resolved {
  const { project, stream, tag } = source
  const from = { kind: 'ImageStreamTag', name: `${stream}:${tag}`, namespace: project }
  return { from, called: formatStreamReference(source) }
}

async function resolveTag(client: Client, source: TagName, to: TagName): Promise<Resolved> {
  const called = formatStreamReference(source)
  const found = await readTag(client, source)
  const tag = tagOfImageTag(source, found === 'unknown' ? await askThrough(client, source, to) : found)
  if (tag.image !== undefined) return { from: imageOf(source, tag.image), called, image: tag.image }
  const pointed = tag.items[0]?.dockerImageReference
  // A mere reference is copied as what it refers to, as oc does.
  if (pointed) return { from: { kind: 'DockerImage', name: pointed }, called }
  if (found === 'unknown') {
    throw new CliError(`${called} is not there, or stands at no image`, {
      hints: [`you may pull from ${source.project}/${source.stream}, and not read which tags it has`],
    })
  }
  const state = stateOf(tag)
  throw new CliError(`${called} stands at no image${state === '' ? '' : `: ${state}`}`, {
    hints: [`weir describe ${called} says why`],
  })
}

async function readTag(client: Client, name: TagName): Promise<ImageTag | 'unknown'> {
  const target = { resource: resources.imageTags, project: name.project, name: `${name.stream}:${name.tag}` }
  const found = await unlessForbidden(client.find<ImageTag>(target), 'unknown')
  if (found === undefined) throw await missingSource(client, name)
  return found
}

// Without a project of that name, what looks like a tag of a stream may be an image as Docker users write it.
async function missingSource(client: Client, name: TagName): Promise<CliError> {
  try {
    return await missingTag(client, name)
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    const hub = `an image of Docker Hub is meant by docker.io/${formatStreamReference(name)}, or with --source docker`
    throw new CliError(error.message, { hints: [...error.hints, hub] })
  }
}

/**
 * Lets the server say where a tag stands that the caller may pull and not read: a dry run of tagging it, which shows what would
 * stand at `to`.
 */
async function askThrough(client: Client, source: TagName, to: TagName): Promise<Pick<ImageTag, 'status'>> {
  const resource = resources.imageTags
  const from = { kind: 'ImageStreamTag', name: `${source.stream}:${source.tag}`, namespace: source.project }
  const body = {
    kind: 'ImageTag',
    apiVersion: apiVersion(resource),
    metadata: { name: `${to.stream}:${to.tag}`, namespace: to.project },
    spec: { name: to.tag, from, generation: 0 },
  }
  const target = { resource, project: to.project, name: body.metadata.name }
  const { spec, status } = await client.request<ImageTag>('PUT', target, { body, query: { dryRun: 'All' } })
  // What stood at the destination before is of an earlier generation.
  const moved = status?.items?.[0]?.generation === spec?.generation
  return { status: moved ? (status ?? null) : null }
}

async function findImage(client: Client, { project, stream, id }: Extract<Source, { kind: 'image' }>): Promise<string> {
  const target = { resource: resources.imageStreamImages, project, name: `${stream}@${id}` }
  const found = await unlessForbidden(client.find<ImageStreamImage>(target), 'unknown')
  if (found === 'unknown') {
    throw new CliError(`you may not look for an image in ${project}/${stream}: write the whole digest`)
  }
  const image = found?.image?.metadata?.name
  if (image) return image
  const read = client.find({ resource: resources.imageStreams, project, name: stream })
  if ((await unlessForbidden(read, 'unknown')) === undefined) throw await missingStream(client, { project, stream })
  throw new CliError(`no image of ${project}/${stream} has a digest that begins with ${id}`, {
    hints: [`weir describe ${project}/${stream} shows where its tags stand and stood`],
  })
}

function imageOf({ project, stream }: StreamName, image: string): ObjectReference {
  return { kind: 'ImageStreamImage', name: `${stream}@${image}`, namespace: project }
}
