import type { StreamName } from '../oci/reference.ts'
import type { ImageStreamImport, ImportedImage, Status } from './api.ts'
import type { Client } from './client.ts'
import { causesOf } from './explain.ts'
import { CliError } from './failures.ts'
import { heldText, incompleteReason, incompleteStep, nextSteps } from './import-advice.ts'
import type { Wanted } from './import-plan.ts'
import { newestEvent } from './ledger.ts'
import { formatStreamReference, type TagName } from './references.ts'
import { tagOf } from './stream-tags.ts'
import { type Tracking, trackingOf } from './tracking.ts'

/** An import of one tag. */
export interface Attempt extends TagName {
  from: string
  /** The digest that the tag stood at. */
  before: string | undefined
  /** Where a policy chose what was imported. */
  tracking?: Tracking | undefined
}

/** Where an import led, or why it failed. */
interface Result {
  before: string | undefined
  after?: string
  /** Absent when the tag did not move, or the caller may not read its history. */
  revision?: number
  failure?: Status
}

/** What became of a tag. */
export interface Outcome extends Attempt, Result {
  /** What the tag followed before, and what it follows now. */
  followed: string | undefined
  follows: string
}

/** What became of `wanted` by an import, of which the server says `status`. */
export async function outcomesOf(
  client: Client,
  { project, stream }: StreamName,
  wanted: readonly Wanted[],
  { status }: ImageStreamImport,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const [i, { tag, from, before, current }] of wanted.entries()) {
    const attempt = { project, stream, tag, from, before }
    const result = await resultOf(client, attempt, status?.images?.[i])
    const followed = current?.from?.name
    const stored = tagOf(status?.import ?? undefined, tag)
    const tracking = stored && trackingOf(stored)
    const follows = stored?.from?.name ?? (result.failure === undefined ? from : (followed ?? from))
    outcomes.push({ ...attempt, ...result, followed, follows, tracking })
  }
  return outcomes
}

async function resultOf(client: Client, attempt: Attempt, imported: ImportedImage | undefined): Promise<Result> {
  const { before } = attempt
  const after = imported?.image?.metadata?.name
  if (imported?.status?.status === 'Failure') return { before, failure: imported.status }
  if (after === undefined) {
    return { before, failure: { kind: 'Status', reason: 'Unknown', message: 'the server says nothing about it' } }
  }
  if (after === before) return { before, after }
  const event = await newestEvent(client, attempt, after)
  const revision = event?.revision
  return { before: event?.previousImage ?? before, after, ...(revision === undefined ? {} : { revision }) }
}

/** Formats an outcome that is no failure: from where to where, and the revision. */
export function formatOutcome(outcome: TagName & Result): string {
  const { before, after, revision } = outcome
  const name = formatStreamReference(outcome)
  if (after === before) return `${name}  ${after}  unchanged`
  return `${name}  ${before || 'none'} -> ${after}${revision === undefined ? '' : `  revision ${revision}`}`
}

/** What the tag follows from now on, when that is something else than before. */
export function formatFollowing({ followed, follows, ...name }: Outcome): string | undefined {
  if (followed === undefined || followed === follows) return undefined
  return `${formatStreamReference(name)} now follows ${follows} instead of ${followed}`
}

/** Why a tag was not imported, where it stays and what to do about it. */
export function failureOf(attempt: Attempt & { follows?: string }, status: Status): CliError {
  const { from, before, follows = from } = attempt
  const name = formatStreamReference(attempt)
  const stands = before === undefined ? [] : [`${name} stays at ${before}`]
  const still = follows === from ? [] : [`${name} still follows ${follows}`]
  const policy = heldText(attempt, status)
  if (policy !== undefined) return new CliError(policy, { hints: [...stands, ...still] })
  const advice =
    status.reason === incompleteReason
      ? [incompleteStep(attempt)]
      : nextSteps(status.reason, attempt, status.details?.retryAfterSeconds)
  return new CliError(`${name} was not imported from ${from}: ${status.reason ?? 'Unknown'}: ${status.message ?? ''}`, {
    hints: [...causesOf({ status }), ...stands, ...still, ...advice],
  })
}
