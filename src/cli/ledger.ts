/** A tag's ledger, as the verbs read it. */

import { type ApiList, resources, type TagEvent } from './api.ts'
import type { Client } from './client.ts'
import { CliError, isForbidden, isNotFound } from './failures.ts'
import { requireProject } from './projects.ts'
import { formatStreamReference, type TagName } from './references.ts'

/** As many as the API's status shows of a tag. */
const shownEvents = 10
/** Most characters of what a client says of itself that are looked at. */
const maxClientLength = 1000

/** The events of a tag, newest first; all of them unless `limit` says how many. */
export async function listEvents(
  client: Client,
  { project, stream, tag }: TagName,
  { limit }: { limit?: number } = {},
): Promise<ApiList<TagEvent>> {
  const query = { fieldSelector: `stream=${stream},tag=${tag}` }
  const options = limit === undefined ? { query } : { query, limit }
  return client.list<TagEvent>({ resource: resources.tagEvents, project }, options)
}

/** The newest events of a tag; undefined for those who may not read its history. */
export async function newestEvents(client: Client, name: TagName): Promise<readonly TagEvent[] | undefined> {
  try {
    const events = await listEvents(client, name, { limit: shownEvents })
    return events.items
  } catch (error) {
    if (isForbidden(error) || isNotFound(error)) return undefined
    throw error
  }
}

/** The revision that moved the tag to `image`: the newest one that did; undefined for those who may not read the history. */
export async function newestEvent(client: Client, name: TagName, image: string): Promise<TagEvent | undefined> {
  const events = await newestEvents(client, name)
  return events?.find((event) => event.image === image)
}

/** How a tag moved, in two words: `import`, `rollback to 1`. */
export function formatCause(cause: TagEvent['cause']): string {
  const restored = cause?.restoredRevision === undefined ? '' : ` to ${cause.restoredRevision}`
  return `${cause?.kind ?? ''}${restored}`
}

/** The product that a client says to be first, as `docker/28.3.3`: what follows is of less weight, or in parentheses. */
export function formatClient(userAgent: string): string {
  // From the inside out, as they may be nested.
  let plain = userAgent.slice(0, maxClientLength)
  for (let i = 0; i < 10 && /\([^()]*\)/.test(plain); i++) plain = plain.replace(/\([^()]*\)/g, '')
  const [product] = plain.split(/\s+/).filter((token) => token !== '')
  const shown = product ?? userAgent
  return shown.length > 60 ? `${shown.slice(0, 60)}...` : shown
}

/** The failure of what needs a history and finds none. @throws CliError when not even the project is there */
export async function noHistory(client: Client, name: TagName): Promise<CliError> {
  await requireProject(client, name.project)
  return new CliError(
    `${formatStreamReference(name)} has no history: there is no such tag, or it never stood anywhere`,
    {
      hints: ['the spelling is project/stream:tag; `weir get tags` shows those there are'],
    },
  )
}

/**
 * The one digest in a tag's ledger that begins with `prefix`, hexadecimal digits with or without their algorithm.
 *
 * @throws CliError when there is none, or several
 */
export async function findDigest(client: Client, name: TagName, prefix: string): Promise<string> {
  const { items } = await listEvents(client, name)
  if (items.length === 0) throw await noHistory(client, name)
  const digests = new Set(items.flatMap(({ image }) => (image ? [image] : [])))
  const matches = [...digests].filter((digest) => digest.startsWith(prefix) || hexOf(digest).startsWith(prefix))
  const [match, ...others] = matches
  const reference = formatStreamReference(name)
  if (match === undefined) {
    throw new CliError(`no revision of ${reference} has a digest that begins with ${prefix}`, {
      hints: [`\`weir history ${reference}\` shows those there are`],
    })
  }
  if (others.length === 0) return match
  throw new CliError(
    `${matches.length} digests in the history of ${reference} begin with ${prefix}: write more of it`,
    {
      hints: matches.slice(0, 5),
    },
  )
}

function hexOf(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1)
}
