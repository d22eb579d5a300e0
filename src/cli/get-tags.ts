import { agoInWords } from './ages.ts'
import { type ImageStreamTag, resources } from './api.ts'
import type { Client } from './client.ts'
import { mapFew } from './concurrent.ts'
import { inProject, noteNone, readStreams, type Scope } from './get-scope.ts'
import { candidateOf } from './holds.ts'
import { newestEvent } from './ledger.ts'
import { digestColumns, type Format, type Printing, printDocuments, printRows, shortDigests } from './output.ts'
import { formatStreamReference } from './references.ts'
import { isScheduled, type StreamTag, sourceText, stateOf, tagsOf } from './stream-tags.ts'
import { readChecks, type TagCheck } from './tag-checks.ts'
import { trackingOf } from './tracking.ts'
import type { VerbContext } from './verbs.ts'

/** Most tags whose revision is asked for: each is a request. */
const maxRevisions = 200
const atOnce = 8

/** Lists tags. The API's list has only tags that stand somewhere; people are also shown those whose first import failed. */
export async function getTags(
  context: VerbContext,
  client: Client,
  scope: Scope,
  format: Format | undefined,
): Promise<void> {
  if (format === 'json' || format === 'yaml') return printObjects(context, client, scope, format)
  const streams = await readStreams(client, scope)
  const tags = streams.items.flatMap(tagsOf)
  if (tags.length === 0) await noteNone(context, client, 'tags', scope)
  const revisions = format === 'wide' ? await readRevisions(context, client, tags) : new Map<StreamTag, number>()
  const checks = format === 'wide' && tags.some(isScheduled) ? await readChecks(client, scope) : new Map()
  printRows(context.stdout, format, tags, tagPrinting(revisions, checks, context.clock.now()))
}

async function printObjects(
  context: VerbContext,
  client: Client,
  scope: Scope,
  format: 'json' | 'yaml',
): Promise<void> {
  const list = await client.list<ImageStreamTag>({ resource: resources.imageStreamTags, ...inProject(scope) })
  const isWanted = ({ metadata }: ImageStreamTag) => metadata?.name?.startsWith(`${scope.stream}:`) === true
  const tags = scope.stream === undefined ? list : { ...list, items: list.items.filter(isWanted) }
  if (tags.items.length === 0) {
    if (scope.stream !== undefined) await readStreams(client, scope)
    await noteNone(context, client, 'tags', scope)
  }
  printDocuments(context.stdout, format, tags)
}

async function readRevisions(
  context: VerbContext,
  client: Client,
  tags: readonly StreamTag[],
): Promise<Map<StreamTag, number>> {
  const standing = tags.filter(({ image }) => image !== undefined)
  if (standing.length > maxRevisions) context.note(`note: revisions are shown of the first ${maxRevisions} tags`)
  const read = await mapFew(standing.slice(0, maxRevisions), atOnce, async (tag) => {
    const event = await newestEvent(client, tag, tag.image ?? '')
    return event?.revision === undefined ? [] : ([[tag, event.revision]] as const)
  })
  return new Map(read.flat())
}

function tagPrinting(
  revisions: ReadonlyMap<StreamTag, number>,
  checks: ReadonlyMap<string, TagCheck>,
  nowMs: number,
): Printing<StreamTag> {
  const checkOf = (tag: StreamTag) => checks.get(formatStreamReference(tag))
  return {
    name: formatStreamReference,
    columns: [
      { header: 'NAME', value: formatStreamReference },
      ...digestColumns<StreamTag>('DIGEST', ({ image }) => image ?? '-'),
      { header: 'REVISION', value: (tag) => `${revisions.get(tag) ?? '-'}`, wide: true },
      { header: 'FROM', value: (tag) => shortDigests(fromText(tag)), narrow: true },
      { header: 'FROM', value: fromText, wide: true },
      { header: 'UPDATED', value: ({ movedAt }) => agoInWords(movedAt, nowMs) || '-', narrow: true },
      { header: 'UPDATED', value: ({ movedAt }) => movedAt ?? '-', wide: true },
      { header: 'LAST CHECK', value: (tag) => checkOf(tag)?.lastCheck?.time ?? '-', wide: true },
      { header: 'NEXT CHECK', value: (tag) => checkOf(tag)?.nextCheck ?? '-', wide: true },
      { header: 'STATE', value: stateText },
    ],
  }
}

function fromText(tag: StreamTag): string {
  const tracking = trackingOf(tag)
  return tracking === undefined ? (sourceText(tag) ?? '-') : `${tracking.repository} (${tracking.policy})`
}

/** Of one that is held it is known that it moves nowhere. */
function stateText(tag: StreamTag): string {
  const hasCandidate = tag.hold === undefined && candidateOf(tag.wanted?.annotations) !== undefined
  return [stateOf(tag), hasCandidate ? 'has a candidate' : ''].filter((text) => text !== '').join(', ')
}
