import { Argument, type Command } from 'commander'
import { type ImageStream, type ImageStreamTag, resources } from './api.ts'
import type { Client } from './client.ts'
import { digestColumns, type Format, formatOption, type Printing, printDocuments, printRows } from './output.ts'
import { requireProject } from './projects.ts'
import { formatStreamReference, parseProject } from './references.ts'
import { type StreamTag, stateOf, tagsOf } from './stream-tags.ts'
import { addVerb, type VerbContext } from './verbs.ts'

interface GetOptions {
  namespace?: string
  output?: Format
}

/** Adds `get`. */
export function addGetVerb(program: Command, context: VerbContext): void {
  addVerb(program, 'get', {
    does: 'Lists streams, or tags and where they stand, of a project or of all.',
    example: 'weir get tags -n demo',
  })
    .addArgument(new Argument('<what>', 'what to list').choices(['streams', 'tags']))
    .option('-n, --namespace <project>', 'the project (default: all, for those who may)')
    .addOption(formatOption())
    .action(async (what: 'streams' | 'tags', { namespace, output }: GetOptions) => {
      const project = namespace === undefined ? undefined : parseProject(namespace)
      const list = what === 'streams' ? listStreams : listTags
      await list(context, await context.connect(), project, output)
    })
}

async function listStreams(
  context: VerbContext,
  client: Client,
  project: string | undefined,
  format: Format | undefined,
): Promise<void> {
  const streams = await client.list<ImageStream>({ resource: resources.imageStreams, ...inProject(project) })
  if (streams.items.length === 0) await noteNone(context, client, 'streams', project)
  if (format === 'json' || format === 'yaml') printDocuments(context.stdout, format, streams)
  else printRows(context.stdout, format, streams.items, streamPrinting)
}

/** The API's list has only tags that stand somewhere; people are also shown those whose first import failed. */
async function listTags(
  context: VerbContext,
  client: Client,
  project: string | undefined,
  format: Format | undefined,
): Promise<void> {
  if (format === 'json' || format === 'yaml') {
    const tags = await client.list<ImageStreamTag>({ resource: resources.imageStreamTags, ...inProject(project) })
    if (tags.items.length === 0) await noteNone(context, client, 'tags', project)
    printDocuments(context.stdout, format, tags)
    return
  }
  const streams = await client.list<ImageStream>({ resource: resources.imageStreams, ...inProject(project) })
  const tags = streams.items.flatMap(tagsOf)
  if (tags.length === 0) await noteNone(context, client, 'tags', project)
  printRows(context.stdout, format, tags, tagPrinting)
}

function inProject(project: string | undefined): { project?: string } {
  return project === undefined ? {} : { project }
}

async function noteNone(
  context: VerbContext,
  client: Client,
  what: string,
  project: string | undefined,
): Promise<void> {
  if (project !== undefined) await requireProject(client, project)
  context.note(`no ${what} in ${project ?? 'any project'}`)
}

const streamPrinting: Printing<ImageStream> = {
  name: nameOf,
  columns: [
    { header: 'NAME', value: nameOf },
    { header: 'TAGS', value: (stream) => shortList(tagNames(stream)), narrow: true },
    { header: 'TAGS', value: (stream) => tagNames(stream).join(','), wide: true },
    { header: 'UPDATED', value: updated },
    {
      header: 'REPOSITORY',
      value: ({ status }) => status?.publicDockerImageRepository ?? status?.dockerImageRepository ?? '',
      wide: true,
    },
  ],
}

const tagPrinting: Printing<StreamTag> = {
  name: formatStreamReference,
  columns: [
    { header: 'NAME', value: formatStreamReference },
    ...digestColumns<StreamTag>('DIGEST', ({ image }) => image ?? '-'),
    { header: 'UPDATED', value: ({ movedAt }) => movedAt ?? '-' },
    { header: 'STATE', value: stateOf },
    { header: 'FROM', value: ({ from }) => from?.name ?? '-', wide: true },
  ],
}

function nameOf({ metadata }: ImageStream): string {
  return `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`
}

function tagNames(stream: ImageStream): string[] {
  return tagsOf(stream).map(({ tag }) => tag)
}

function shortList(tags: readonly string[]): string {
  const shown = tags.filter((_, i) => i === 0 || tags.slice(0, i + 1).join(',').length <= 40)
  const more = tags.length - shown.length
  return `${shown.join(',')}${more === 0 ? '' : ` + ${more} more`}`
}

/** When the newest of its tags moved. RFC 3339 of the server, in seconds and UTC, has the order of time. */
function updated(stream: ImageStream): string {
  return tagsOf(stream).reduce((newest, { movedAt = '' }) => (movedAt > newest ? movedAt : newest), '')
}
