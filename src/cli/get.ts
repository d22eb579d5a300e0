import { Argument, type Command } from 'commander'
import { type ApiList, type ImageStream, type ImageStreamTag, type NamedTagEventList, resources } from './api.ts'
import { holdAnnotation } from './history.ts'
import { digestColumns, type Format, formatOption, type Printing, printList } from './output.ts'
import { parseProject } from './references.ts'
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
    .action(async (what: 'streams' | 'tags', options: GetOptions) => {
      const project = options.namespace === undefined ? undefined : parseProject(options.namespace)
      const client = await context.connect()
      const place = project === undefined ? {} : { project }
      if (what === 'streams') {
        const streams = await client.list<ImageStream>({ resource: resources.imageStreams, ...place })
        printList(context.stdout, options.output, streams, streamPrinting)
        noteIfNone(context, streams, 'streams', project)
      } else {
        const tags = await client.list<ImageStreamTag>({ resource: resources.imageStreamTags, ...place })
        printList(context.stdout, options.output, tags, tagPrinting)
        noteIfNone(context, tags, 'tags', project)
      }
    })
}

function noteIfNone(context: VerbContext, { items }: ApiList, what: string, project: string | undefined): void {
  if (items.length === 0) context.note(`no ${what} in ${project ?? 'any project'}`)
}

const streamPrinting: Printing<ImageStream> = {
  name: nameOf,
  columns: [
    { header: 'NAME', value: nameOf },
    { header: 'TAGS', value: (stream) => shortList(tagsOf(stream)), narrow: true },
    { header: 'TAGS', value: (stream) => tagsOf(stream).join(','), wide: true },
    { header: 'UPDATED', value: (stream) => updated(stream) },
    {
      header: 'REPOSITORY',
      value: ({ status }) => status?.publicDockerImageRepository ?? status?.dockerImageRepository ?? '',
      wide: true,
    },
  ],
}

const tagPrinting: Printing<ImageStreamTag> = {
  name: nameOf,
  columns: [
    { header: 'NAME', value: nameOf },
    ...digestColumns<ImageStreamTag>('DIGEST', ({ image }) => image?.metadata?.name ?? '-'),
    { header: 'UPDATED', value: ({ metadata }) => metadata?.creationTimestamp ?? '' },
    { header: 'STATE', value: stateOf },
    { header: 'FROM', value: ({ tag }) => tag?.from?.name ?? '-', wide: true },
  ],
}

function nameOf({ metadata }: ImageStream): string {
  return `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`
}

/** Newest first, as `oc get` orders them. */
function newestFirst(stream: ImageStream): NamedTagEventList[] {
  return (stream.status?.tags ?? []).toSorted((a, b) => compare(movedAt(b), movedAt(a)) || compare(a.tag, b.tag))
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function movedAt({ items }: NamedTagEventList): string {
  return items?.[0]?.created ?? ''
}

function tagsOf(stream: ImageStream): string[] {
  return newestFirst(stream).map(({ tag }) => tag)
}

function shortList(tags: readonly string[]): string {
  const shown = tags.filter((_, i) => i === 0 || tags.slice(0, i + 1).join(',').length <= 40)
  const more = tags.length - shown.length
  return `${shown.join(',')}${more === 0 ? '' : ` + ${more} more`}`
}

function updated(stream: ImageStream): string {
  const [newest] = newestFirst(stream)
  return newest === undefined ? '' : movedAt(newest)
}

function stateOf({ metadata, conditions }: ImageStreamTag): string {
  if (metadata?.annotations?.[holdAnnotation] !== undefined) return 'held'
  const failed = conditions?.find(({ type, status }) => type === 'ImportSuccess' && status === 'False')
  return failed === undefined ? '' : `import failed: ${failed.reason ?? ''}`
}
