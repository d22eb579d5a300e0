import type { Command } from 'commander'
import { parseDigest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import { apiVersion, type ImageStreamTag, resources, type TagEvent } from './api.ts'
import type { Client } from './client.ts'
import { CliError, isForbidden, misuse } from './failures.ts'
import { digestColumns, type Format, formatOption, type Printing, printable, printList, printObject } from './output.ts'
import { formatStreamReference, parseTagReference } from './references.ts'
import { addVerb, countOption, type VerbContext } from './verbs.ts'

type TagName = StreamName & { tag: string }

/** Read-only annotation of a tag that a rollback holds. */
export const holdAnnotation = 'weir.dev/hold'

/** A rollback first makes sure that the content can be had; a resume asks the upstream. */
const movePatienceMs = 600_000

/** Adds `history`, `rollback` and `resume`. */
export function addHistoryVerbs(program: Command, context: VerbContext): void {
  addVerb(program, 'history <project/stream:tag>', {
    does: 'Shows every move of a tag and why it was made, newest first.',
    example: 'weir history demo/app:prod',
  })
    .option('--limit <count>', 'only the newest ones', countOption)
    .addOption(formatOption())
    .action(async (target: string, options: { limit?: number; output?: Format }) => {
      const name = parseTagReference(target)
      await showHistory(context, await context.connect(), name, options)
    })
  addVerb(program, 'rollback <project/stream:tag>', {
    does: 'Puts a tag back to an earlier revision and holds it there.',
    example: 'weir rollback demo/app:prod --reason "bad build"',
  })
    .option('--to <revision|digest>', 'where to (default: the newest earlier revision with another digest)')
    .option('--reason <text>', 'why, for the history')
    .addOption(formatOption())
    .action(async (target: string, options: { to?: string; reason?: string; output?: Format }) => {
      const name = parseTagReference(target)
      const { to, reason, output } = options
      const wish = {
        ...(to === undefined ? {} : { to: parseRollbackTarget(to) }),
        ...(reason === undefined ? {} : { reason }),
      }
      const event = await moveTag(await context.connect(), name, { kind: 'Rollback', ...wish })
      printObject(context.stdout, output, event, eventPrinting(event, describeRollback(name, event)))
    })
  addVerb(program, 'resume <project/stream:tag>', {
    does: 'Ends the hold of a rollback, and looks at once where the upstream points.',
    example: 'weir resume demo/app:prod',
  })
    .option('--reason <text>', 'why, for the history')
    .addOption(formatOption())
    .action(async (target: string, options: { reason?: string; output?: Format }) => {
      const name = parseTagReference(target)
      const { reason, output } = options
      const wish = reason === undefined ? {} : { reason }
      const event = await moveTag(await context.connect(), name, { kind: 'Resume', ...wish })
      printObject(context.stdout, output, event, eventPrinting(event, describeResume(name, event)))
    })
}

async function showHistory(
  context: VerbContext,
  client: Client,
  name: TagName,
  { limit, output }: { limit?: number; output?: Format },
): Promise<void> {
  const { project, stream, tag } = name
  const query = { fieldSelector: `stream=${stream},tag=${tag}` }
  const options = limit === undefined ? { query } : { query, limit }
  const events = await client.list<TagEvent>({ resource: resources.tagEvents, project }, options)
  if (output === 'json' || output === 'yaml' || output === 'name') {
    return printList(context.stdout, output, events, historyPrinting(undefined))
  }
  const standing = await findTag(client, name)
  if (events.items.length === 0) {
    throw new CliError(`${formatStreamReference(name)} has no history: it never stood anywhere`, {
      hints: ['the spelling is project/stream:tag; `weir get tags` shows those there are'],
    })
  }
  printList(context.stdout, output, events, historyPrinting(inForce(events.items, standing)))
  const hold = standing?.metadata?.annotations?.[holdAnnotation]
  if (hold !== undefined)
    context.stdout.write(`${describeHold(hold)}; weir resume ${formatStreamReference(name)} ends it\n`)
}

function describeHold(annotation: string): string {
  const { at, by, reason } = parseHold(annotation)
  const since = at === undefined ? '' : ` since ${at}`
  return printable(`held${since}${by === undefined ? '' : ` by ${by}`}${reason === undefined ? '' : ` (${reason})`}`)
}

function parseHold(annotation: string): { at?: string; by?: string; reason?: string } {
  try {
    const hold: unknown = JSON.parse(annotation)
    return typeof hold === 'object' && hold !== null ? hold : {}
  } catch {
    return {}
  }
}

/** The tag as it stands; undefined when it stands nowhere, or the caller may read no more than its history. */
async function findTag(client: Client, { project, stream, tag }: TagName): Promise<ImageStreamTag | undefined> {
  try {
    return await client.find<ImageStreamTag>({ resource: resources.imageStreamTags, project, name: `${stream}:${tag}` })
  } catch (error) {
    if (isForbidden(error)) return undefined
    throw error
  }
}

/** The newest revision is in force while the tag stands at its digest; after a deletion none is. */
function inForce([newest]: readonly TagEvent[], standing: ImageStreamTag | undefined): number | undefined {
  const image = standing?.image?.metadata?.name
  return image !== undefined && newest?.image === image ? newest.revision : undefined
}

function historyPrinting(current: number | undefined): Printing<TagEvent> {
  const mark = (revision: number | undefined) => (revision !== undefined && revision === current ? '*' : '')
  return {
    name: ({ metadata }) => metadata?.name ?? '',
    columns: [
      { header: 'REVISION', value: ({ revision }) => `${revision ?? ''}${mark(revision)}` },
      { header: 'WHEN', value: ({ metadata }) => metadata?.creationTimestamp ?? '' },
      ...digestColumns<TagEvent>('DIGEST', ({ image }) => image || '-'),
      { header: 'CAUSE', value: ({ cause }) => formatCause(cause) },
      { header: 'BY', value: ({ cause }) => cause?.by ?? '' },
      { header: 'FROM', value: ({ cause }) => cause?.from?.name || '-' },
      { header: 'REASON', value: ({ cause }) => cause?.reason ?? '' },
    ],
  }
}

function formatCause(cause: TagEvent['cause']): string {
  const restored = cause?.restoredRevision === undefined ? '' : ` to ${cause.restoredRevision}`
  return `${cause?.kind ?? ''}${restored}`
}

function parseRollbackTarget(value: string): number | string {
  if (/^[1-9]\d{0,11}$/.test(value)) return Number(value)
  const digest = parseDigest(value)
  if (digest !== undefined) return digest
  throw misuse(`--to: "${value}" is neither a revision nor a whole digest; \`weir history -o wide\` shows both`)
}

/** What a tag is asked to do; it answers the event that is in force afterwards. */
interface Wish {
  kind: 'Rollback' | 'Resume'
  to?: number | string
  reason?: string
}

async function moveTag(client: Client, { project, stream, tag }: TagName, wish: Wish): Promise<TagEvent> {
  const resource = resources.tagEvents
  const body = { apiVersion: apiVersion(resource), ...wish, stream, tag }
  return client.request<TagEvent>('POST', { resource, project }, { body, patienceMs: movePatienceMs })
}

function eventPrinting(event: TagEvent, text: string): { name: string; text: string } {
  return { name: event.metadata?.name ?? '', text: printable(text) }
}

function describeRollback(name: TagName, { previousImage, image, revision, cause }: TagEvent): string {
  const reference = formatStreamReference(name)
  const restored = cause?.restoredRevision === undefined ? '' : `, that of revision ${cause.restoredRevision}`
  return `${reference}  ${previousImage || 'none'} -> ${image}  revision ${revision}${restored}; held until \`weir resume ${reference}\``
}

function describeResume(name: TagName, { image, revision }: TagEvent): string {
  return `${formatStreamReference(name)}  ${image || 'none'}  revision ${revision}; no longer held`
}
