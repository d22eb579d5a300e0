import { parseDigest } from '../oci/digest.ts'
import { parseImageReference } from '../oci/reference.ts'
import { misuse } from './failures.ts'
import { formatStreamReference, parseStreamReference, parseTagReference, type TagName } from './references.ts'

/** What `weir tag` takes an image from. */
export type Source =
  | { kind: 'docker'; name: string }
  | ({ kind: 'tag' } & TagName)
  /** `id` is a digest, or the first digits of one. */
  | { kind: 'image'; project: string; stream: string; id: string }

/** The values of `--source`: oc's, and their short forms. */
export const sourceKinds = ['docker', 'istag', 'imagestreamtag', 'isimage', 'imagestreamimage'] as const
export type SourceKind = (typeof sourceKinds)[number]

/** How sources are told apart, for the help. */
export const sourceWords = `SOURCE is a tag of a stream (demo/app:latest), an image of a stream (demo/app@sha256:..., the first 7 digits will
do), or an image of a registry (quay.io/org/app:v1). It is a registry's when what is before the first slash has a
"." or ":" in it or is "localhost"; --source decides otherwise.`

const digestStart = /^(?:sha256:|sha512:)?[0-9a-f]{7,128}$/

/**
 * Parses SOURCE.
 *
 * @throws CliError misuse, that says what is wrong with it
 */
export function parseSource(value: string, kind: SourceKind | undefined): Source {
  switch (kind) {
    case 'docker':
      return parseDocker(value)
    case 'istag':
    case 'imagestreamtag':
      return { kind: 'tag', ...parseTagReference(value) }
    case 'isimage':
    case 'imagestreamimage':
      return parseImage(value)
    case undefined:
      return guess(value)
  }
}

/** Formats a source as it is written on the command line. */
export function formatSource(source: Source): string {
  if (source.kind === 'docker') return source.name
  return source.kind === 'tag' ? formatStreamReference(source) : `${source.project}/${source.stream}@${source.id}`
}

function guess(value: string): Source {
  const [first = '', ...rest] = value.split('/')
  if (rest.length > 0 && (/[.:]/.test(first) || first.toLowerCase() === 'localhost')) return parseDocker(value)
  if (rest.length === 1) return value.includes('@') ? parseImage(value) : { kind: 'tag', ...parseTagReference(value) }
  const reference = parseImageReference(value)
  throw misuse(
    `"${value}" is neither a stream's (project/stream:tag, project/stream@sha256:...) nor a registry's image (quay.io/org/app:v1)`,
    ...(reference === undefined ? [] : [`if it is an image of Docker Hub, write docker.io/... or add --source docker`]),
  )
}

function parseDocker(value: string): Source {
  if (parseImageReference(value) !== undefined) return { kind: 'docker', name: value }
  throw misuse(
    `"${value}" is not an image reference, such as quay.io/org/app:v1 or localhost:5100/lib/app@sha256:...`,
    'a stream whose project looks like a registry is meant with --source istag or --source isimage',
  )
}

function parseImage(value: string): Source {
  const at = value.indexOf('@')
  if (at < 0) throw misuse(`"${value}" names no image of a stream; write project/stream@sha256:...`)
  const { project, stream, tag } = parseStreamReference(value.slice(0, at))
  if (tag !== undefined) throw misuse(`"${value}" names a tag and a digest: leave one of them out`)
  const id = value.slice(at + 1)
  if (parseDigest(id) === undefined && !digestStart.test(id)) {
    throw misuse(`"${id}" is not a digest, or at least the first 7 digits of one`)
  }
  return { kind: 'image', project, stream, id }
}
