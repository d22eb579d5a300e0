import { type ImageStreamTag, resources } from './api.ts'
import type { Client } from './client.ts'
import { explain } from './explain.ts'
import { ApiError, CliError, unlessForbidden } from './failures.ts'
import { incompleteReason, incompleteStep } from './import-advice.ts'
import { failureOf, formatOutcome } from './import-outcome.ts'
import { newestEvent } from './ledger.ts'
import { formatStreamReference, type TagName } from './references.ts'
import { isFollowingAcross, type StreamTag, sourceText, tagOfImageTag, trackedTag } from './stream-tags.ts'
import { awaitImport, type Imported } from './tag-await.ts'
import { noteFollowers } from './tag-followers.ts'
import { refusalOf } from './tag-refusal.ts'
import { type Resolved, resolveAlias, resolveFollowed, resolveSource } from './tag-resolve.ts'
import type { Source } from './tag-source.ts'
import { readTag, type TagWish, tagTarget, writeTag } from './tag-write.ts'
import type { VerbContext } from './verbs.ts'

export interface TagOptions extends TagWish {
  alias?: boolean
}

/** A tag that is where it was wanted. */
export interface Promotion extends TagName {
  text: string
  /** The digest that it moved to; absent when it stayed. */
  movedTo?: string
  object: ImageStreamTag
}

/** A tag whose source was written down. */
interface Written {
  to: TagName
  before: StreamTag | undefined
  object: ImageStreamTag
}

/**
 * Puts each of `targets` where `source` is. Every one is told when it is done: what moved stays moved, whatever becomes of the
 * next. What has to be imported is written down for all before the first is waited for.
 */
export async function setTags(
  context: VerbContext,
  client: Client,
  source: Source,
  targets: readonly TagName[],
  options: TagOptions,
  tell: (promotion: Promotion) => void,
): Promise<{ done: Promotion[]; failures: CliError[] }> {
  const [first] = targets
  if (first === undefined) return { done: [], failures: [] }
  const resolved = await explained(client, { source, to: first }, async () => {
    if (source.kind === 'tag' && options.alias === true) return resolveAlias(client, source)
    if (source.kind === 'tag' && options.follow === true) return resolveFollowed(source)
    return resolveSource(client, source, first)
  })
  const done: Promotion[] = []
  const failures: CliError[] = []
  const each = async <T>(to: TagName, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await explained(client, { source, to }, work)
    } catch (error) {
      if (!(error instanceof CliError)) throw error
      failures.push(error)
      return undefined
    }
  }
  const finish = async (written: Written): Promise<void> => {
    const promotion = await each(written.to, () => finishOne(context, client, written, resolved, options))
    if (promotion === undefined) return
    done.push(promotion)
    tell(promotion)
    if (promotion.movedTo !== undefined) await noteFollowers(context, client, written.to, promotion.movedTo)
  }
  const isImported = resolved.from.kind === 'DockerImage' && options.reference !== true
  const importing: Written[] = []
  for (const to of targets) {
    const written = await each(to, async () => {
      const before = await readTag(client, to)
      return { to, before, object: await writeTag(client, to, before, resolved, options) }
    })
    if (written === undefined) continue
    noteSource(context, written, resolved)
    if (isImported) importing.push(written)
    else await finish(written)
  }
  for (const written of importing) await finish(written)
  return { done, failures }
}

/** Runs `work`; a refusal of the server becomes words. @throws CliError */
async function explained<T>(
  client: Client,
  attempt: { source: Source; to: TagName },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    const refusal = await refusalOf(error, client, attempt)
    throw refusal instanceof ApiError ? await explain(refusal, client) : refusal
  }
}

async function finishOne(
  context: VerbContext,
  client: Client,
  written: Written,
  resolved: Resolved,
  options: TagOptions,
): Promise<Promotion> {
  const { to, before } = written
  const isImported = resolved.from.kind === 'DockerImage' && options.reference !== true
  const after = isImported ? await imported(context, client, written, resolved.from.name) : standing(written)
  const object = isImported ? ((await findObject(client, to)) ?? written.object) : written.object
  if (after === undefined) requireMoved(written)
  const suffix = suffixOf(resolved, options, after)
  if (after === undefined) return { ...to, object, text: `${formatStreamReference(to)}  ${suffix}` }
  if (after === before?.image)
    return { ...to, object, text: joined(formatOutcome({ ...to, before: after, after }), suffix) }
  const event = await newestEvent(client, to, after)
  const revision = event?.revision === undefined ? {} : { revision: event.revision }
  const line = formatOutcome({ ...to, before: event?.previousImage ?? before?.image, after, ...revision })
  return { ...to, object, text: joined(line, suffix), movedTo: after }
}

/** @throws CliError for a tag that moves only when its content is held, which it is not yet */
function requireMoved({ to, before, object }: Written): void {
  const waits = object.conditions?.find(({ reason, status }) => reason === incompleteReason && status === 'False')
  if (waits === undefined) return
  const called = formatStreamReference(to)
  throw new CliError(`${called} has not moved yet: ${waits.message ?? ''}`, {
    hints: [
      ...(before?.image === undefined ? [] : [`${called} stays at ${before.image}`]),
      incompleteStep(to),
      `how far it is: weir describe ${called}`,
    ],
  })
}

function joined(line: string, suffix: string): string {
  return suffix === '' ? line : `${line}; ${suffix}`
}

/** The digest that a tag stands at after a write that moved it; one of an earlier generation is not what was wanted. */
function standing({ object }: Written): string | undefined {
  const moved = object.generation === object.tag?.generation
  return moved ? object.image?.metadata?.name || undefined : undefined
}

function suffixOf({ called }: Resolved, { alias, follow, reference }: TagOptions, after: string | undefined): string {
  if (follow === true) {
    return after === undefined ? `set up to follow ${called}, which stands nowhere yet` : `set up to follow ${called}`
  }
  if (alias === true) {
    return after === undefined ? `set up to track ${called}, which stands nowhere yet` : `set up to track ${called}`
  }
  if (reference === true) return `set up as a reference to ${called}`
  return after === undefined ? `set up to take ${called}, which stands nowhere yet` : ''
}

/** The digest that was imported. @throws CliError when none was */
async function imported(
  context: VerbContext,
  client: Client,
  { to, before, object }: Written,
  from: string,
): Promise<string> {
  const called = formatStreamReference(to)
  const generation = object.tag?.generation ?? 0
  const outcome = await awaitImport(client, context.clock, to, { from, generation }).catch((error: unknown) => {
    context.note(`note: ${called} is set to import ${from}, which goes on in the server: weir describe ${called}`)
    throw error
  })
  if (outcome.kind === 'stands') return outcome.image
  throw notImported(to, from, before, outcome)
}

function notImported(
  to: TagName,
  from: string,
  before: StreamTag | undefined,
  outcome: Exclude<Imported, { kind: 'stands' }>,
): CliError {
  const called = formatStreamReference(to)
  const stays = before?.image === undefined ? [] : [`${called} stays at ${before.image}`]
  switch (outcome.kind) {
    case 'failed': {
      const { reason = 'Unknown', message = '' } = outcome.failure
      const attempt = { ...to, from, before: before?.image }
      const failure = failureOf(attempt, { kind: 'Status', reason, message })
      const again = `it stays set to import ${from}: weir import-image ${called} tries again`
      const undo = before === undefined ? [`weir tag -d ${called} takes it away`] : []
      return new CliError(failure.message, { hints: [...failure.hints, again, ...undo] })
    }
    case 'deleted':
      return new CliError(`${called} was deleted while ${from} was imported`)
    case 'held':
      return new CliError(`${called} was rolled back, and is held, while ${from} was imported`, {
        hints: [`weir history ${called} shows by whom and why; weir resume ${called} lets it move`],
      })
    case 'replaced':
      return new CliError(
        `somebody else let ${called} come from ${outcome.by ?? 'nothing'} while ${from} was imported`,
        { hints: [`weir describe ${called} shows where it stands`] },
      )
    case 'pending':
      return new CliError(`${called} was not imported from ${from} within ${Math.round(outcome.afterMs / 1000)} s`, {
        hints: [...stays, `the import goes on in the server: weir describe ${called} shows what comes of it`],
      })
  }
}

async function findObject(client: Client, to: TagName): Promise<ImageStreamTag | undefined> {
  return unlessForbidden(client.find<ImageStreamTag>(tagTarget(resources.imageStreamTags, to)), undefined)
}

/** Tells when a tag comes from something else than before: what it followed no longer moves it. */
function noteSource({ note }: VerbContext, { to, before }: Written, { from, called }: Resolved): void {
  if (before === undefined || !isFollowing(before)) return
  const after = tagOfImageTag(to, { spec: { name: to.tag, from } })
  const [old, now] = [sourceText(before), sourceText(after)]
  if (old === now) return
  const name = formatStreamReference(to)
  const isPinned = from.kind === 'ImageStreamImage'
  note(isPinned ? `note: ${name} no longer follows ${old}` : `note: ${name} now follows ${called} instead of ${old}`)
}

/** Whether a tag moves with its source; an image that was taken once, and a mere reference, move nothing. */
function isFollowing(tag: StreamTag): boolean {
  if (tag.wanted?.reference === true) return false
  return tag.from?.kind === 'DockerImage' || trackedTag(tag) !== undefined || isFollowingAcross(tag)
}
