import type { Command } from 'commander'
import { type ImageStreamTag, resources, type TagEvent } from './api.ts'
import type { Client } from './client.ts'
import { unlessForbidden } from './failures.ts'
import { describeHold, holdOf, isResumed } from './holds.ts'
import { formatCause, listEvents, noHistory } from './ledger.ts'
import {
  digestColumns,
  type Format,
  formatOption,
  type Printing,
  printable,
  printDocuments,
  printRows,
} from './output.ts'
import { formatStreamReference, parseTagReference, type TagName } from './references.ts'
import { addVerb, countOption, type VerbContext } from './verbs.ts'

interface HistoryOptions {
  limit?: number
  output?: Format
}

/** Adds `history`. */
export function addHistoryVerb(program: Command, context: VerbContext): void {
  addVerb(program, 'history <project/stream:tag>', {
    does: 'Shows every move of a tag and why it was made, newest first.',
    example: 'weir history demo/app:prod',
  })
    .option('--limit <count>', 'only the newest ones', countOption)
    .addOption(formatOption())
    .action(async (target: string, options: HistoryOptions) => {
      const name = parseTagReference(target)
      await showHistory(context, await context.connect(), name, options)
    })
}

async function showHistory(
  context: VerbContext,
  client: Client,
  name: TagName,
  { limit, output }: HistoryOptions,
): Promise<void> {
  const events = await listEvents(client, name, limit === undefined ? {} : { limit })
  if (output === 'json' || output === 'yaml') return printDocuments(context.stdout, output, events)
  if (output === 'name') return printRows(context.stdout, output, events.items, historyPrinting(undefined))
  if (events.items.length === 0) throw await noHistory(client, name)
  const standing = await findTag(client, name)
  printRows(context.stdout, output, events.items, historyPrinting(inForce(events.items, standing)))
  const hold = holdOf(standing?.metadata?.annotations)
  const [newest] = events.items
  if (hold !== undefined) {
    context.stdout.write(`${printable(describeHold(hold))}; weir resume ${formatStreamReference(name)} ends it\n`)
  } else if (inForce(events.items, standing) !== undefined && isResumed(newest?.cause, hold)) {
    context.stdout.write('no longer held: it was resumed\n')
  }
}

/** The tag as it stands; undefined when it stands nowhere, or the caller may read no more than its history. */
async function findTag(client: Client, { project, stream, tag }: TagName): Promise<ImageStreamTag | undefined> {
  const target = { resource: resources.imageStreamTags, project, name: `${stream}:${tag}` }
  return unlessForbidden(client.find<ImageStreamTag>(target), undefined)
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
      { header: 'CLIENT', value: ({ cause }) => cause?.client ?? '-', wide: true },
      { header: 'REASON', value: ({ cause }) => cause?.reason ?? '' },
    ],
  }
}
