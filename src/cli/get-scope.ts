import { type ApiList, apiVersion, type ImageStream, resources } from './api.ts'
import type { Client } from './client.ts'
import { requireStream } from './missing.ts'
import { requireProject } from './projects.ts'
import type { VerbContext } from './verbs.ts'

/** What is listed: all that the caller may see, a project's, or a stream's. */
export interface Scope {
  project?: string
  stream?: string
}

/** The streams of a scope. @throws CliError when the one that is named is not there */
export async function readStreams(client: Client, { project, stream }: Scope): Promise<ApiList<ImageStream>> {
  const resource = resources.imageStreams
  if (project !== undefined && stream !== undefined) {
    const found = await requireStream(client, { project, stream })
    return { kind: 'ImageStreamList', apiVersion: apiVersion(resource), items: [found] }
  }
  return client.list<ImageStream>({ resource, ...inProject({ project }) })
}

/** The project of a request; none for all. */
export function inProject({ project }: { project?: string | undefined }): { project?: string } {
  return project === undefined ? {} : { project }
}

/** Tells that there is nothing. @throws CliError when not even the project is there */
export async function noteNone(
  context: VerbContext,
  client: Client,
  what: string,
  { project, stream }: Scope,
): Promise<void> {
  if (project !== undefined) await requireProject(client, project)
  const place = stream === undefined ? (project ?? 'any project') : `${project}/${stream}`
  context.note(`no ${what} in ${place}`)
}
