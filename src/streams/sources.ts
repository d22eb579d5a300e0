import { parseDigest } from '../oci/digest.ts'
import { isOwnName, isTag, type StreamName } from '../oci/reference.ts'
import type { TagReference, TagSource } from './records.ts'

/** A source within Weir, read: a tag of a stream, or an image of it by its digest or the first digits of one. */
export type StreamSource =
  | { kind: 'ImageStreamTag'; stream: StreamName; tag: string }
  | { kind: 'ImageStreamImage'; stream: StreamName; id: string }

const digestStart = /^(?:sha256:)?[0-9a-f]{1,64}$|^sha512:[0-9a-f]{1,128}$/

/**
 * Reads `<tag>`, `<stream>:<tag>`, `<id>` or `<stream>@<id>` of a tag of the stream `own`; an absent namespace is that of
 * `own`, an absent stream its name, an id without algorithm sha256. Undefined for a DockerImage, and for what can name
 * nothing.
 */
export function parseStreamSource({ kind, name, namespace }: TagSource, own: StreamName): StreamSource | undefined {
  if (kind !== 'ImageStreamTag' && kind !== 'ImageStreamImage') return undefined
  const at = name.indexOf(kind === 'ImageStreamTag' ? ':' : '@')
  const project = namespace || own.project
  const stream = { project, stream: at < 0 ? own.stream : name.slice(0, at) }
  const rest = name.slice(at + 1)
  if (!isOwnName(stream.project) || !isOwnName(stream.stream)) return undefined
  if (kind === 'ImageStreamTag') return isTag(rest) ? { kind, stream, tag: rest } : undefined
  return digestStart.test(rest) ? { kind, stream, id: rest.includes(':') ? rest : `sha256:${rest}` } : undefined
}

/** The tag of the same stream that a tag reference follows; undefined for every other source. */
export function followedTag(spec: Pick<TagReference, 'from'> | undefined, own: StreamName): string | undefined {
  if (spec?.from === undefined) return undefined
  const source = parseStreamSource(spec.from, own)
  return source?.kind === 'ImageStreamTag' && isSameStream(source.stream, own) ? source.tag : undefined
}

/** Whether an id of a {@link StreamSource} is a whole digest, not the start of one. */
export function isWholeDigest(id: string): boolean {
  return parseDigest(id) !== undefined
}

/** How messages and causes call a source: `demo/app:prod`, `demo/app@sha256:...`. */
export function sourceText(source: StreamSource): string {
  const { project, stream } = source.stream
  return source.kind === 'ImageStreamTag' ? `${project}/${stream}:${source.tag}` : `${project}/${stream}@${source.id}`
}

/** Whether two names are of one stream. */
export function isSameStream(a: StreamName, b: StreamName): boolean {
  return a.project === b.project && a.stream === b.stream
}
