import type { Command } from 'commander'
import { parseDigest } from '../oci/digest.ts'
import { apiVersion, type ImageStream, resources, type TagEvent } from './api.ts'
import { type Client, movePatienceMs } from './client.ts'
import { ApiError, CliError, misuse, unlessForbidden } from './failures.ts'
import { heldText } from './import-advice.ts'
import { failureOf } from './import-outcome.ts'
import { findDigest, listEvents, noHistory } from './ledger.ts'
import { type Format, formatOption, printable, printObject } from './output.ts'
import { formatStreamReference, parseTagReference, type TagName } from './references.ts'
import { tagOf } from './stream-tags.ts'
import { addVerb, type VerbContext } from './verbs.ts'

interface RollbackOptions {
  to?: string
  reason?: string
  output?: Format
}

/** What a tag is asked to do; it answers the event that is in force afterwards. */
interface Wish {
  kind: 'Rollback' | 'Resume'
  to?: number | string
  reason?: string
}

/** Adds `rollback` and `resume`. */
export function addRollbackVerbs(program: Command, context: VerbContext): void {
  addVerb(program, 'rollback <project/stream:tag>', {
    does: 'Puts a tag back to an earlier revision and holds it there.',
    example: 'weir rollback demo/app:prod --reason "bad build"',
  })
    .option(
      '--to <revision|digest>',
      'where to; a digest may be cut to its first 7 digits (default: the newest earlier revision with another digest)',
    )
    .option('--reason <text>', 'why, for the history and for those who find the tag held')
    .addOption(formatOption())
    .action(async (target: string, options: RollbackOptions) => rollback(context, parseTagReference(target), options))
  addVerb(program, 'resume <project/stream:tag>', {
    does: 'Ends the hold of a rollback, and looks at once where the upstream points.',
    example: 'weir resume demo/app:prod',
  })
    .option('--reason <text>', 'why, for the history: it is written down only if the tag moves')
    .addOption(formatOption())
    .action(async (target: string, options: RollbackOptions) => resume(context, parseTagReference(target), options))
}

async function rollback(context: VerbContext, name: TagName, { to, reason, output }: RollbackOptions): Promise<void> {
  const target = to === undefined ? undefined : parseTarget(to)
  const client = await context.connect()
  const restored = typeof target === 'object' ? await findDigest(client, name, target.prefix) : target
  const event = await moveTag(client, name, {
    kind: 'Rollback',
    ...(restored === undefined ? {} : { to: restored }),
    ...(reason === undefined ? {} : { reason }),
  })
  printObject(context.stdout, output, event, eventPrinting(event, describeRollback(name, event)))
}

/** A revision, a whole digest, or the beginning of one. Digits alone are a revision. */
function parseTarget(value: string): number | string | { prefix: string } {
  if (/^[1-9]\d{0,11}$/.test(value)) return Number(value)
  const digest = parseDigest(value)
  if (digest !== undefined) return digest
  if (/^(?:sha256:|sha512:)?[0-9a-f]{7,128}$/.test(value)) return { prefix: value }
  throw misuse(
    `--to: "${value}" is neither a revision nor a digest (at least its first 7 digits); \`weir history\` shows both`,
  )
}

async function resume(context: VerbContext, name: TagName, { reason, output }: RollbackOptions): Promise<void> {
  const client = await context.connect()
  const event = await moveTag(client, name, { kind: 'Resume', ...(reason === undefined ? {} : { reason }) })
  printObject(context.stdout, output, event, eventPrinting(event, describeResume(name, event)))
  await noteFailedCheck(context, client, name)
}

/** A check of the source that failed is a condition of the tag, not of the resume. */
async function noteFailedCheck(context: VerbContext, client: Client, name: TagName): Promise<void> {
  const { project, stream } = name
  const find = client.find<ImageStream>({ resource: resources.imageStreams, project, name: stream })
  const found = await unlessForbidden(find, 'unknown')
  if (found === 'unknown') {
    context.note(`note: you may not read stream ${project}/${stream}, and so not whether its source could be imported`)
    return
  }
  const { from, image, failure, awaits } = tagOf(found, name.tag) ?? {}
  if (awaits?.message !== undefined) context.note(`note: ${formatStreamReference(name)} ${awaits.message}`)
  if (failure === undefined) return
  const attempt = { ...name, from: from?.name ?? 'its source', before: image }
  const { reason = 'Unknown', message = '' } = failure
  const { message: why, hints } = failureOf(attempt, { kind: 'Status', reason, message })
  context.note(`note: ${why}`)
  for (const hint of hints) context.note(`  ${hint}`)
}

async function moveTag(client: Client, name: TagName, wish: Wish): Promise<TagEvent> {
  const { project, stream, tag } = name
  const resource = resources.tagEvents
  const body = { apiVersion: apiVersion(resource), ...wish, stream, tag }
  try {
    return await client.request<TagEvent>('POST', { resource, project }, { body, patienceMs: movePatienceMs })
  } catch (error) {
    if (mayMeanNoTag(error) && (await hasNoHistory(client, name))) throw await noHistory(client, name)
    const held = error instanceof ApiError && error.code === 422 ? heldText(name, error.status) : undefined
    throw held === undefined ? error : new CliError(held, { cause: error })
  }
}

function mayMeanNoTag(error: unknown): boolean {
  return error instanceof ApiError && (error.code === 404 || error.code === 422)
}

/** False also when it can not be read: then the server's own words are all there is to say. */
async function hasNoHistory(client: Client, name: TagName): Promise<boolean> {
  return listEvents(client, name, { limit: 1 }).then(
    ({ items }) => items.length === 0,
    () => false,
  )
}

function eventPrinting(event: TagEvent, text: string): { name: string; text: string } {
  return { name: event.metadata?.name ?? '', text: printable(text) }
}

function describeRollback(name: TagName, { previousImage, image, revision, cause }: TagEvent): string {
  const reference = formatStreamReference(name)
  const restored = cause?.restoredRevision === undefined ? '' : `, that of revision ${cause.restoredRevision}`
  return `${reference}  ${previousImage || 'none'} -> ${image}  revision ${revision}${restored}; held until \`weir resume ${reference}\``
}

/** A tag is held by a rollback alone: where one is still in force, nothing moved. */
function describeResume(name: TagName, { image, revision, cause }: TagEvent): string {
  const stands = cause?.kind === 'rollback' ? 'unchanged at revision' : 'revision'
  return `${formatStreamReference(name)}  ${image || 'none'}  ${stands} ${revision}; no longer held`
}
