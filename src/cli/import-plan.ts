import type { ImageStream, TagReference } from './api.ts'
import type { CheckWish } from './check-options.ts'
import { CliError } from './failures.ts'
import { formatStreamReference, type StreamReference, type TagName } from './references.ts'
import { sourceText, tagOf } from './stream-tags.ts'

/** What an import is to change of a tag's wishes, beside looking where its upstream points. */
export interface ImportWish extends CheckWish {
  from?: string
  /** Every tag of the stream that follows a registry's image; with `from` tags of that repository. */
  all?: boolean
  insecure?: boolean
}

/** A tag to import, and what the stream wants of it now. */
export interface Wanted {
  tag: string
  from: string
  current: TagReference | undefined
  /** The digest that the tag stands at. */
  before: string | undefined
}

/**
 * The tags that `reference` and `wish` mean; the tag defaults to `latest`. `chosen` are those of the repository `wish.from` that
 * are to be tags of the stream.
 *
 * @throws CliError when there is nothing to import from
 */
export function wantedTags(
  reference: StreamReference,
  wish: ImportWish,
  stream: ImageStream | undefined,
  chosen?: readonly string[],
): Wanted[] {
  const specs = stream?.spec?.tags ?? []
  const want = (tag: string, current: TagReference | undefined, from: string): Wanted => {
    return { tag, current, from, before: tagOf(stream, tag)?.image }
  }
  if (chosen !== undefined) {
    return chosen.map((tag) =>
      want(
        tag,
        specs.find((spec) => spec.name === tag),
        `${wish.from}:${tag}`,
      ),
    )
  }
  if (wish.all !== true) {
    const tag = reference.tag ?? 'latest'
    const current = specs.find((spec) => spec.name === tag)
    return [want(tag, current, wish.from ?? followed({ ...reference, tag }, stream, current))]
  }
  const wanted = specs.flatMap((current) => {
    const { name: tag, from, reference: isPointer } = current
    return from?.kind === 'DockerImage' && isPointer !== true ? [want(tag, current, from.name)] : []
  })
  if (wanted.length > 0) return wanted
  const name = formatStreamReference(reference)
  const message = stream === undefined ? `there is no stream ${name}` : `no tag of ${name} follows a registry's image`
  throw new CliError(message, { hints: [howToFollow(`${name}:TAG`)] })
}

function followed(reference: TagName, stream: ImageStream | undefined, current: TagReference | undefined): string {
  if (current?.from?.kind === 'DockerImage') return current.from.name
  const name = formatStreamReference(reference)
  throw new CliError(whyNothingIsFollowed(reference, stream), { hints: [howToFollow(name)] })
}

function whyNothingIsFollowed({ project, stream: streamName, tag }: TagName, stream: ImageStream | undefined): string {
  const name = `${project}/${streamName}`
  if (stream === undefined) return `there is no stream ${name}`
  const found = tagOf(stream, tag)
  const source = found === undefined ? undefined : sourceText({ ...found, project, stream: streamName })
  if (source !== undefined) return `${name}:${tag} comes from ${source}, not from a registry`
  return found !== undefined ? `${name}:${tag} follows no image` : `${name} has no tag "${tag}"`
}

function howToFollow(name: string): string {
  return `say what to follow: weir import-image ${name} --from REGISTRY/REPOSITORY:TAG`
}

/** One element of an ImageStreamImport's `spec.images`; what the tag wants already stays wanted. */
export function importSpec({ tag, from, current }: Wanted, wish: ImportWish): object {
  const { insecure, scheduled, importMode = 'PreserveOriginal' } = current?.importPolicy ?? {}
  return {
    from: { kind: 'DockerImage', name: from },
    to: { name: tag },
    importPolicy: {
      insecure: wish.insecure === true || insecure === true,
      scheduled: wish.scheduled ?? scheduled === true,
      importMode,
    },
    ...(current?.referencePolicy === undefined ? {} : { referencePolicy: current.referencePolicy }),
  }
}
