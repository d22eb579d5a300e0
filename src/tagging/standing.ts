import { type Digest, digestOf } from '../oci/digest.ts'
import { type FieldCause, RegistryError } from '../oci/errors.ts'
import { formatImageReference, parseImageReference, type StreamName } from '../oci/reference.ts'
import type { Cause } from '../streams/records.ts'
import { isSameStream, type StreamSource, sourceText } from '../streams/sources.ts'
import type { Links, StreamLink, StreamReader, TagChange } from '../streams/streams.ts'
import { imagesById } from './images.ts'

const noImage = 'no image of that stream was found by this id'

/** Where a source stands. `link` is absent for a tag that is a mere reference and has no image. */
export interface Standing {
  source: StreamSource
  link?: StreamLink
  dockerImageReference: string
  /** When the image came to the source tag; absent for a source by digest, which comes now. */
  created?: string
}

/**
 * Why nothing can be had of a source: it may not be pulled from, and nothing more is told; its stream is not there; or `why` it is
 * of no use.
 */
export type Problem = { kind: 'forbidden' } | { kind: 'absent' } | { kind: 'unusable'; why: string }

/** What became of a source: where it stands, undefined for a tag that stands nowhere yet; or why it is none. */
export type Looked = { standing: Standing | undefined } | { problem: Problem }

export interface LookOptions {
  reader: Pick<StreamReader, 'stream' | 'tag'>
  links: Pick<Links, 'get' | 'list'>
  registryHost: string
  /** Receives a manifest of the stream that others merely name, and what it names in turn. */
  obtain(name: StreamName, digest: Digest): Promise<unknown>
}

/**
 * Looks where a source stands now (okd.md 2.4). Whether a stream exists is told only to those who may pull from it. A dry run
 * receives nothing.
 */
export async function look(
  options: LookOptions,
  source: StreamSource,
  to: { own: StreamName; mayPull(source: StreamName): boolean; dryRun?: boolean },
): Promise<Looked> {
  if (!isSameStream(source.stream, to.own) && !to.mayPull(source.stream)) return { problem: { kind: 'forbidden' } }
  if ((await options.reader.stream(source.stream)) === undefined) return { problem: { kind: 'absent' } }
  return source.kind === 'ImageStreamTag'
    ? lookAtTag(options, source)
    : lookAtImage(options, source, to.dryRun ?? false)
}

/** A problem as whoever named the source is told it; `path` is that of `from`. */
export function causeOf(problem: Problem, source: StreamSource, path: string): FieldCause {
  const field = `${path}.name`
  const { project, stream } = source.stream
  switch (problem.kind) {
    case 'forbidden': {
      const message = `Forbidden: you may not pull from "${project}/${stream}", or there is no such image stream`
      return { field, reason: 'FieldValueForbidden', message }
    }
    case 'absent': {
      const message = `Not found: "${sourceText(source)}": there is no image stream "${project}/${stream}"`
      return { field, reason: 'FieldValueNotFound', message }
    }
    case 'unusable': {
      const message = `Invalid value: "${sourceText(source)}": ${problem.why}`
      return { field, reason: 'FieldValueInvalid', message }
    }
  }
}

/** By what it is told that a source was seen where it stands: its image, or of a mere reference a digest of its text. */
export function seenOf({ link, dockerImageReference }: Standing): Digest {
  return link?.digest ?? digestOf(dockerImageReference)
}

/** What a move to where a source stands is, `tag` unless it is another kind of cause. A reference to the source within Weir becomes one to the stream `to`. */
export function eventOf(
  { source, link, dockerImageReference, created }: Standing,
  to: {
    kind?: 'tag' | 'follow'
    own: StreamName
    isReference: boolean
    by: string
    reason?: string
    registryHost: string
  },
): NonNullable<TagChange['event']> {
  const cause: Cause = {
    kind: to.kind ?? 'tag',
    by: to.by,
    ...(to.reason === undefined ? {} : { reason: to.reason }),
    from: {
      kind: source.kind,
      name: sourceText(source.kind === 'ImageStreamImage' && link ? { ...source, id: link.digest } : source),
    },
  }
  return {
    image: link?.digest ?? '',
    mediaType: link?.manifestType ?? '',
    dockerImageReference: to.isReference ? dockerImageReference : rewritten(dockerImageReference, source.stream, to),
    cause,
    ...(created === undefined ? {} : { created }),
  }
}

async function lookAtTag(
  { reader, links }: LookOptions,
  source: Extract<StreamSource, { kind: 'ImageStreamTag' }>,
): Promise<Looked> {
  const head = (await reader.tag(source.stream, source.tag))?.record.items[0]
  if (head === undefined) return { standing: undefined }
  const { image, dockerImageReference, created } = head
  if (image === '') return { standing: { source, dockerImageReference, created } }
  const link = await links.get(source.stream, image)
  if (link?.manifestType === undefined) return unusable(`its image ${image} is gone from there`)
  return { standing: { source, link, dockerImageReference, created } }
}

async function lookAtImage(
  options: LookOptions,
  source: Extract<StreamSource, { kind: 'ImageStreamImage' }>,
  dryRun: boolean,
): Promise<Looked> {
  const { links, registryHost } = options
  const [found, another] = await imagesById(links, source.stream, source.id)
  if (found === undefined) return unusable(noImage)
  if (another !== undefined) return unusable(`multiple images match the prefix "${source.id}"`)
  const link = found.received || dryRun ? found : await received(options, source.stream, found.digest)
  if (link instanceof RegistryError) {
    return unusable(`an index names this image, but it can not be had: ${link.message}`)
  }
  if (link?.manifestType === undefined) return unusable(noImage)
  return { standing: { source, link, dockerImageReference: referenceOf(link, source.stream, registryHost) } }
}

/** Receives what others merely name: they may lie, and an image is what was received as one. */
async function received(
  { links, obtain }: LookOptions,
  name: StreamName,
  digest: Digest,
): Promise<StreamLink | RegistryError | undefined> {
  try {
    await obtain(name, digest)
  } catch (error) {
    // An upstream in trouble says nothing about the image: the caller may try again.
    if (error instanceof RegistryError && error.status < 500 && error.code !== 'TOOMANYREQUESTS') return error
    throw error
  }
  return links.get(name, digest)
}

/** The first place where the bytes can be had, as a reference. */
function referenceOf({ digest, locations }: StreamLink, { project, stream }: StreamName, registryHost: string): string {
  const upstream = locations.find((location) => location.kind === 'upstream')
  return upstream === undefined
    ? formatImageReference({ host: registryHost, repository: `${project}/${stream}`, digest })
    : formatImageReference({ host: upstream.host, repository: upstream.repository, digest })
}

function rewritten(
  dockerImageReference: string,
  source: StreamName,
  { own, registryHost }: { own: StreamName; registryHost: string },
): string {
  const parsed = parseImageReference(dockerImageReference)
  if (parsed?.host !== registryHost.toLowerCase()) return dockerImageReference
  if (parsed.repository !== `${source.project}/${source.stream}`) return dockerImageReference
  return formatImageReference({ ...parsed, repository: `${own.project}/${own.stream}` })
}

function unusable(why: string): { problem: Problem } {
  return { problem: { kind: 'unusable', why } }
}
