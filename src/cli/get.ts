import { Argument, type Command } from 'commander'
import { isOwnName } from '../oci/reference.ts'
import { agoInWords } from './ages.ts'
import type { ImageStream } from './api.ts'
import type { Client } from './client.ts'
import { misuse } from './failures.ts'
import { getGrants } from './get-grants.ts'
import { getImages } from './get-images.ts'
import { noteNone, readStreams, type Scope } from './get-scope.ts'
import { getTags } from './get-tags.ts'
import { type Format, formatOption, type Printing, printDocuments, printRows } from './output.ts'
import { parseProject, parseStreamReference } from './references.ts'
import { tagsOf } from './stream-tags.ts'
import { addVerb, type VerbContext } from './verbs.ts'

const kinds = ['streams', 'tags', 'images', 'grants'] as const

interface GetOptions {
  namespace?: string
  output?: Format
}

/** Adds `get`. */
export function addGetVerb(program: Command, context: VerbContext): void {
  addVerb(program, 'get', {
    does: 'Lists streams, tags, images or grants, of a project or of all.',
    example: 'weir get tags -n demo',
    more: ['weir get tags demo/app -o wide', 'weir get streams', 'weir get images -n demo', 'weir get grants -n demo'],
    words: `Tags are listed with where they stand, images with the tags that stand at them. Images of a project are those that tags
of it stand or stood at. The API's list of tags (-o json, yaml) has those that stand at an image; the table has all. Grants are
who has which role; of a project those of all projects too, for those who may read them.`,
  })
    .addArgument(new Argument('<what>', 'what to list').choices(kinds))
    .argument('[project/stream]', 'of this stream alone')
    .option('-n, --namespace <project>', 'the project (default: all, for those who may)')
    .addOption(formatOption())
    .action(async (what: (typeof kinds)[number], target: string | undefined, { namespace, output }: GetOptions) => {
      const scope = parseScope(what, target, namespace)
      const get = { streams: getStreams, tags: getTags, images: getImages, grants: getGrants }[what]
      await get(context, await context.connect(), scope, output)
    })
}

function parseScope(what: string, target: string | undefined, namespace: string | undefined): Scope {
  if (target === undefined) return namespace === undefined ? {} : { project: parseProject(namespace) }
  if (isOwnName(target)) throw misuse(`${what} of a project: -n ${target}; of a stream: PROJECT/${target}`)
  const { project, stream, tag } = parseStreamReference(target)
  if (tag !== undefined) throw misuse(`get lists: name the stream alone, or see weir describe ${target}`)
  if (namespace !== undefined && namespace !== project) {
    throw misuse(`${target} is of project ${project}, and -n says ${namespace}: leave out -n`)
  }
  return { project, stream }
}

async function getStreams(
  context: VerbContext,
  client: Client,
  scope: Scope,
  format: Format | undefined,
): Promise<void> {
  const streams = await readStreams(client, scope)
  if (streams.items.length === 0) await noteNone(context, client, 'streams', scope)
  if (format === 'json' || format === 'yaml') printDocuments(context.stdout, format, streams)
  else printRows(context.stdout, format, streams.items, streamPrinting(context.clock.now()))
}

function streamPrinting(nowMs: number): Printing<ImageStream> {
  return {
    name: nameOf,
    columns: [
      { header: 'NAME', value: nameOf },
      { header: 'TAGS', value: (stream) => shortList(tagNames(stream)), narrow: true },
      { header: 'TAGS', value: (stream) => tagNames(stream).join(','), wide: true },
      { header: 'UPDATED', value: (stream) => agoInWords(updated(stream), nowMs), narrow: true },
      { header: 'UPDATED', value: updated, wide: true },
      {
        header: 'REPOSITORY',
        value: ({ status }) => status?.publicDockerImageRepository ?? status?.dockerImageRepository ?? '',
        wide: true,
      },
    ],
  }
}

function nameOf({ metadata }: ImageStream): string {
  return `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`
}

function tagNames(stream: ImageStream): string[] {
  return tagsOf(stream).map(({ tag }) => tag)
}

function shortList(tags: readonly string[]): string {
  let width = -1
  const end = tags.findIndex((tag, i) => {
    width += tag.length + 1
    return i > 0 && width > 40
  })
  const shown = end < 0 ? tags : tags.slice(0, end)
  const more = tags.length - shown.length
  return `${shown.join(',')}${more === 0 ? '' : ` + ${more} more`}`
}

/** When the newest of its tags moved. RFC 3339 of the server, in seconds and UTC, has the order of time. */
function updated(stream: ImageStream): string {
  return tagsOf(stream).reduce((newest, { movedAt = '' }) => (movedAt > newest ? movedAt : newest), '')
}
