import { parseImageReference, type StreamName } from '../oci/reference.ts'
import type { ImageStreamImport, ImportedImage, Status, TagEvent } from './api.ts'
import type { Client } from './client.ts'
import { causesOf } from './explain.ts'
import { CliError, isForbidden, isNotFound } from './failures.ts'
import type { Wanted } from './import-plan.ts'
import { listEvents } from './ledger.ts'
import { formatStreamReference, type TagName } from './references.ts'
import { tagOf } from './stream-tags.ts'

/** An import of one tag. */
export interface Attempt extends TagName {
  from: string
  /** The digest that the tag stood at. */
  before: string | undefined
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
    const stored = tagOf(status?.import ?? undefined, tag)?.from?.name
    const follows = stored ?? (result.failure === undefined ? from : (followed ?? from))
    outcomes.push({ ...attempt, ...result, followed, follows })
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

/** The revision that moved the tag to `image`: the newest one that did; undefined for those who may not read the history. */
async function newestEvent(client: Client, name: TagName, image: string): Promise<TagEvent | undefined> {
  try {
    const events = await listEvents(client, name, { limit: 10 })
    return events.items.find((event) => event.image === image)
  } catch (error) {
    if (isForbidden(error) || isNotFound(error)) return undefined
    throw error
  }
}

/** Formats an outcome that is no failure: from where to where, and the revision. */
export function formatOutcome(outcome: Outcome): string {
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
  const policy = policyOf(attempt, status)
  if (policy !== undefined) return new CliError(policy, { hints: [...stands, ...still] })
  return new CliError(`${name} was not imported from ${from}: ${status.reason ?? 'Unknown'}: ${status.message ?? ''}`, {
    hints: [...causesOf({ status }), ...stands, ...still, ...nextSteps(status, attempt)],
  })
}

/** Why the tag itself may not move, a hold for one: the API tells it as a forbidden value of the field `tag`. */
function policyOf(name: TagName, { details }: Status): string | undefined {
  const cause = details?.causes?.find(({ field, reason }) => field === 'tag' && reason === 'FieldValueForbidden')
  const text = cause?.message?.replace(/^Forbidden: /, '')
  return text?.replace(`tag "${name.tag}" `, `${formatStreamReference(name)} `)
}

function nextSteps(status: Status, { project, from }: Attempt): string[] {
  const reference = parseImageReference(from)
  const host = reference?.host ?? 'the registry'
  switch (status.reason) {
    case 'NotFound':
      return [`check that ${from} is there, and spelled so`]
    case 'Unauthorized':
    case 'Forbidden':
      return [
        'check the spelling: registries hide what is not there',
        `check the login of ${host} under upstreams in the server's configuration, or give it one, in the rule that it may have already:`,
        `username, passwordFile, projects (to cover "${project}") and repositories (to cover "${reference?.repository ?? '**'}")`,
      ]
    case 'TooManyRequests':
      return [`${host} asks to wait: try again in ${status.details?.retryAfterSeconds ?? 'some'} seconds`]
    case 'Unreachable':
      return [`check that ${host} runs and that the server can reach it`]
    case 'Tls':
      return [
        `if ${host} speaks plain HTTP or has a certificate of its own, allow it in the server's configuration: insecure: true beside that host, under upstreams`,
      ]
    case 'NotAllowed':
      return [
        `allow ${host} in the server's weir.yaml: under imports.allowedRegistries, or as a host under upstreams where it has a private address`,
      ]
    case 'BadDigest':
      return [`${host}, or something between, sends other content than it announces; nothing of it was kept`]
    default:
      return []
  }
}
