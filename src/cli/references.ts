import { isTag, parseStreamName, type StreamName } from '../oci/reference.ts'
import { misuse } from './failures.ts'

// RFC 1123, as the server wants it of a project.
const projectPattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** A stream and perhaps a tag, as a person wrote them. */
export interface StreamReference extends StreamName {
  tag?: string
}

/** A tag by its whole name. */
export interface TagName extends StreamName {
  tag: string
}

/**
 * Parses `project/stream[:tag]`.
 *
 * @throws CliError misuse, that says what is wrong with it
 */
export function parseStreamReference(value: string): StreamReference {
  if (value.includes('@')) throw misuse(`"${value}" names a digest; name a tag: project/stream:tag`)
  const colon = value.indexOf(':', value.lastIndexOf('/') + 1)
  const path = colon < 0 ? value : value.slice(0, colon)
  const tag = colon < 0 ? undefined : value.slice(colon + 1)
  const name = parseStreamName(path)
  if (name === undefined) {
    const parts = path.split('/').length
    if (/basic|bearer/.test(path)) throw misuse(`"${path}": no project or stream may hold the words basic and bearer`)
    throw misuse(
      parts === 2
        ? `"${path}" is not a project and a stream: names are lower case letters and digits, with . _ - between them`
        : `"${value}" has ${parts} part${parts === 1 ? '' : 's'}, and a stream is named by two: project/stream:tag`,
    )
  }
  parseProject(name.project)
  if (tag === undefined) return name
  if (!isTag(tag)) {
    throw misuse(`"${tag}" is not a tag: letters, digits, . _ - (not first), at most 128 characters`)
  }
  return { ...name, tag }
}

/** Parses `project/stream:tag`. @throws CliError misuse */
export function parseTagReference(value: string): TagName {
  const { project, stream, tag } = parseStreamReference(value)
  if (tag === undefined) throw misuse(`"${value}" names no tag; write ${project}/${stream}:TAG`)
  return { project, stream, tag }
}

/** Formats a reference as it is written on the command line. */
export function formatStreamReference({ project, stream, tag }: StreamReference): string {
  return tag === undefined ? `${project}/${stream}` : `${project}/${stream}:${tag}`
}

/** Checks the name of a project. @throws CliError misuse */
export function parseProject(value: string): string {
  if (projectPattern.test(value)) return value
  throw misuse(`"${value}" is not a project: at most 63 lower case letters and digits, with - between them`)
}
