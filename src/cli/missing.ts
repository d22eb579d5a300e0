/** What there is instead of a stream or a tag that is not there. */

import { type ImageStream, resources } from './api.ts'
import type { Client } from './client.ts'
import { CliError, unlessForbidden } from './failures.ts'
import { nearestNames } from './nearest.ts'
import { requireProject } from './projects.ts'
import { formatStreamReference, type StreamReference, type TagName } from './references.ts'
import { tagsOf } from './stream-tags.ts'

/** Most names that a hint lists. */
const shownNames = 12
/** Most streams of a project that are looked through for the one that may be meant. */
const maxStreams = 500

/** The stream of `name`. @throws CliError that says what there is instead */
export async function requireStream(client: Client, name: StreamReference): Promise<ImageStream> {
  const { project, stream } = name
  const found = await client.find<ImageStream>({ resource: resources.imageStreams, project, name: stream })
  if (found === undefined) throw await missingStream(client, name)
  return found
}

/** The failure of what needs a stream that is not there. @throws CliError when not even the project is */
export async function missingStream(client: Client, { project, stream }: StreamReference): Promise<CliError> {
  await requireProject(client, project)
  const listed = client.list<ImageStream>({ resource: resources.imageStreams, project }, { limit: maxStreams })
  const streams = await unlessForbidden(listed, undefined)
  const names = streams?.items.flatMap(({ metadata }) => metadata?.name ?? [])
  const reference = (name: string) => `${project}/${name}`
  return new CliError(`there is no stream ${project}/${stream}`, {
    hints: names === undefined ? [] : instead(stream, names, { of: `project ${project}`, what: 'stream', reference }),
  })
}

/** The failure of what needs a tag that is not there. @throws CliError when not even the project is */
export async function missingTag(client: Client, name: TagName): Promise<CliError> {
  const { project, stream, tag } = name
  const find = client.find<ImageStream>({ resource: resources.imageStreams, project, name: stream })
  const found = await unlessForbidden(find, 'unknown')
  if (found === undefined) return missingStream(client, name)
  const message = `${project}/${stream} has no tag "${tag}"`
  if (found === 'unknown') return new CliError(message)
  const names = tagsOf(found).map((each) => each.tag)
  const reference = (other: string) => formatStreamReference({ project, stream, tag: other })
  return new CliError(message, { hints: instead(tag, names, { of: `${project}/${stream}`, what: 'tag', reference }) })
}

function instead(
  wanted: string,
  names: readonly string[],
  { of, what, reference }: { of: string; what: string; reference(name: string): string },
): string[] {
  if (names.length === 0) return [`${of} has no ${what}s yet`]
  const near = nearestNames(wanted, names)
  const more = names.length - shownNames
  const list = `${names.slice(0, shownNames).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
  return [...(near.length > 0 ? [`did you mean ${near.map(reference).join(' or ')}?`] : []), `${of} has: ${list}`]
}
