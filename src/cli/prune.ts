import { type Command, InvalidArgumentError } from 'commander'
import { apiVersion, resources } from './api.ts'
import type { ContentPrune, FreedContent } from './content-api.ts'
import { parseDurationMs } from './duration.ts'
import { type Column, type Format, formatOption, formatTable, printable, printObject } from './output.ts'
import { formatBytes } from './sizes.ts'
import { addVerb, type VerbContext } from './verbs.ts'

interface PruneOptions {
  dryRun?: boolean
  keepYoungerThan?: string
  output?: Format
}

/** What is freed or kept for one reason. */
interface Line {
  fate: string
  reason: string
  count: number
  bytes: number
}

type Swept = NonNullable<ContentPrune['status']>['swept']

/** A pass over everything that leads to content. */
const prunePatienceMs = 3_600_000
/** What was used since then is being used. */
const leastKeptMs = 600_000

/** Adds `prune`. */
export function addPruneVerb(program: Command, context: VerbContext): void {
  addVerb(program, 'prune', {
    does: 'Frees the bytes that nothing needs, and tells what is kept and why.',
    example: 'weir prune --dry-run',
    more: ['weir prune --keep-younger-than 7d', 'weir prune --dry-run -o wide'],
    words: `The server does this by itself (content.pruneInterval). It takes the right to create contentprunes, which cluster-admin has.
Freed is what is unlinked (no stream has it any more), beyond history-keep (only revisions need it that keep no bytes), or
evicted (there is no room, and an upstream has it). Kept is what is pinned (a tag that retains it needs it), pulled (a tag needs
it that retains only what is pulled), in a history that keeps it, pushed or gone upstream (nobody else has it), had from too many
places to ask them all, being used, or too young: also what streams got within the last 24h, whatever
--keep-younger-than says, while there is room. -o wide lists the digests of what is freed.`,
  })
    .option('--dry-run', 'only tell what would be freed')
    .option(
      '--keep-younger-than <duration>',
      'keep what was used since then (default: 24h; at least 10m)',
      durationText,
    )
    .addOption(formatOption())
    .action(async (options: PruneOptions) => prune(context, options))
}

/** A duration as it was written. Less than the server keeps anyway would promise what it does not do. */
function durationText(text: string): string {
  const ms = parseDurationMs(text)
  if (ms !== undefined && ms >= leastKeptMs) return text
  throw new InvalidArgumentError('Write a duration of at least 10m, such as 90m, 24h or 7d.')
}

async function prune(context: VerbContext, { dryRun = false, keepYoungerThan, output }: PruneOptions): Promise<void> {
  const client = await context.connect()
  const resource = resources.contentPrunes
  const spec = { dryRun, ...(keepYoungerThan === undefined ? {} : { keepYoungerThan }) }
  const body = { kind: 'ContentPrune', apiVersion: apiVersion(resource), spec }
  const done = await client.request<ContentPrune>('POST', { resource }, { body, patienceMs: prunePatienceMs })
  const freed = done.status?.freed ?? []
  if (output === 'name') {
    context.stdout.write(freed.map(({ digest }) => `${printable(digest)}\n`).join(''))
  } else if (output === 'json' || output === 'yaml') {
    printObject(context.stdout, output, done, { name: '', text: '' })
  } else {
    context.stdout.write(formatPrune(done, { dryRun, wide: output === 'wide' }))
  }
  const count = done.status?.freedCount ?? freed.length
  const isListed = output !== undefined && count > freed.length
  if (isListed) context.note(`note: the largest ${freed.length} of ${count} are listed`)
}

function formatPrune({ status = {} }: ContentPrune, { dryRun, wide }: { dryRun: boolean; wide: boolean }): string {
  const lines = [...freedLines(status, dryRun ? 'would be freed' : 'freed'), ...keptLines(status)]
  return [
    dryRun ? 'dry run: nothing was removed\n' : '',
    lines.length === 0 ? '' : formatTable(lineColumns, lines, wide),
    wide && status.freed?.length ? `\n${formatTable(freedColumns, status.freed, wide)}\n` : '',
    `${totals(status, dryRun)}\n`,
    sweptText(status.swept),
  ].join('')
}

/** By reason. Those that are not listed are the smallest, and their reasons are not told. */
function freedLines({ freed, freedBytes, freedCount }: NonNullable<ContentPrune['status']>, fate: string): Line[] {
  const listed = freed ?? []
  const byReason = [...Map.groupBy(listed, ({ reason }) => reason)].map(([reason, all]) => ({
    fate,
    reason,
    count: all.length,
    bytes: sumOf(all),
  }))
  const more = (freedCount ?? listed.length) - listed.length
  const bytes = (freedBytes ?? 0) - sumOf(listed)
  return more > 0 ? [...byReason, { fate, reason: 'any of these', count: more, bytes }] : byReason
}

function keptLines({ kept }: NonNullable<ContentPrune['status']>): Line[] {
  return (kept ?? []).map((each) => ({ fate: 'kept', ...each }))
}

const lineColumns: readonly Column<Line>[] = [
  { header: 'CONTENT', value: ({ fate }) => fate },
  { header: 'REASON', value: ({ reason }) => reason },
  { header: 'COUNT', value: ({ count }) => String(count) },
  { header: 'SIZE', value: ({ bytes }) => formatBytes(bytes) },
]

const freedColumns: readonly Column<FreedContent>[] = [
  { header: 'DIGEST', value: ({ digest }) => digest },
  { header: 'SIZE', value: ({ bytes }) => formatBytes(bytes) },
  { header: 'REASON', value: ({ reason }) => reason },
]

function totals(
  { freedBytes = 0, freedCount = 0, removedLinks = 0 }: NonNullable<ContentPrune['status']>,
  dryRun: boolean,
): string {
  const [free, remove] = dryRun ? ['would free', 'remove'] : ['freed', 'removed']
  if (freedCount === 0 && removedLinks === 0) return `${free} nothing`
  const links = removedLinks === 0 ? '' : `, and ${remove} ${removedLinks} link${removedLinks === 1 ? '' : 's'}`
  return `${free} ${formatBytes(freedBytes)} in ${freedCount} file${freedCount === 1 ? '' : 's'}${links}`
}

/** What crashes had left; empty where they left nothing. */
function sweptText({ unfinished = 0, orphanFiles = 0, orphanRecords = 0, bytes = 0 }: Swept = {}): string {
  const left = unfinished + orphanFiles + orphanRecords
  if (left === 0) return ''
  const parts = [`${unfinished} unfinished downloads`, `${orphanFiles} files without records`]
  return `cleared away what crashes had left: ${parts.join(', ')}, ${orphanRecords} records without files, ${formatBytes(bytes)}\n`
}

function sumOf(all: readonly { bytes: number }[]): number {
  return all.reduce((sum, { bytes }) => sum + bytes, 0)
}
