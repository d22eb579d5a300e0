import { parseImageReference, type StreamName } from '../oci/reference.ts'
import { type ImportedImage, resources, type Status, type TagEvent } from './api.ts'
import type { Client } from './client.ts'
import { causesOf } from './explain.ts'
import { CliError, isForbidden, isNotFound } from './failures.ts'
import type { Wanted } from './import-plan.ts'
import { formatStreamReference } from './references.ts'

/** What became of a tag. */
export interface Outcome extends StreamName {
  tag: string
  from: string
  /** The digest that the tag stood at. */
  before: string | undefined
  after?: string
  /** Absent when the tag did not move, or the caller may not read its history. */
  revision?: number
  failure?: Status
}

/** What became of `wanted`, of which the server says `imported`. */
export async function outcomeOf(
  client: Client,
  { project, stream }: StreamName,
  { tag, from, before }: Wanted,
  imported: ImportedImage | undefined,
): Promise<Outcome> {
  const outcome: Outcome = { project, stream, tag, from, before }
  const after = imported?.image?.metadata?.name
  if (imported?.status?.status === 'Failure' || after === undefined) {
    const missing: Status = { kind: 'Status', reason: 'Unknown', message: 'the server says nothing about it' }
    return { ...outcome, failure: imported?.status?.status === 'Failure' ? imported.status : missing }
  }
  if (after === before) return { ...outcome, after }
  const event = await newestEvent(client, outcome, after)
  const revision = event?.revision
  return { ...outcome, before: event?.previousImage ?? before, after, ...(revision === undefined ? {} : { revision }) }
}

/** The revision that moved the tag to `image`: the newest one that did; undefined for those who may not read the history. */
async function newestEvent(
  client: Client,
  { project, stream, tag }: StreamName & { tag: string },
  image: string,
): Promise<TagEvent | undefined> {
  const query = { fieldSelector: `stream=${stream},tag=${tag}` }
  try {
    const events = await client.list<TagEvent>({ resource: resources.tagEvents, project }, { query, limit: 10 })
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

/** Why a tag was not imported, and what to do about it. */
export function failureOf(outcome: Outcome, status: Status): CliError {
  const name = formatStreamReference(outcome)
  const stands = outcome.before === undefined ? [] : [`${name} stays at ${outcome.before}`]
  return new CliError(
    `${name} was not imported from ${outcome.from}: ${status.reason ?? 'Unknown'}: ${status.message ?? ''}`,
    {
      hints: [...causesOf({ status }), ...stands, ...nextSteps(status, outcome)],
    },
  )
}

function nextSteps(status: Status, { project, from }: Outcome): string[] {
  const reference = parseImageReference(from)
  const host = reference?.host ?? 'the registry'
  switch (status.reason) {
    case 'NotFound':
      return [`check that ${from} is there, and spelled so`]
    case 'Unauthorized':
    case 'Forbidden':
      return [
        `check the spelling (registries hide what is not there), or give the server a login for ${host} in its weir.yaml:`,
        `upstreams: [{ host: "${host}", username: ..., passwordFile: ..., projects: ["${project}"], repositories: ["${reference?.repository ?? '**'}"] }]`,
      ]
    case 'TooManyRequests':
      return [`${host} asks to wait: try again in ${status.details?.retryAfterSeconds ?? 'some'} seconds`]
    case 'Unreachable':
      return [`check that ${host} runs and that the server can reach it`]
    case 'Tls':
      return [
        `if ${host} speaks plain HTTP or has a certificate of its own, allow it in the server's weir.yaml: upstreams: [{ host: "${host}", insecure: true }]`,
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
