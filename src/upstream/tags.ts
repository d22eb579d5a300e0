import { isTag } from '../oci/reference.ts'
import type { Exchange, Want } from './exchange.ts'
import { upstreamFailure } from './failure.ts'
import { decodings, jsonObject } from './json-body.ts'
import { nextLink } from './link-header.ts'
import type { WholeAnswer } from './transport.ts'
import type { UpstreamRepository } from './upstream.ts'

/** A list of tags to read. */
export interface WantedTags {
  from: UpstreamRepository
  /** Default 100,000. */
  maxTags?: number
  /** Longest time for all pages, in milliseconds. */
  timeoutMs: number
  signal?: AbortSignal | undefined
}

const defaultMaxTags = 100_000
/** Tags asked for at once; registries give fewer where they will not give so many. */
const pageTags = 1000
/** Most pages of one list: registries that give 100 tags at once still come to the most tags that are read. */
const maxPages = 1000

/** Lists the tags of a repository, each once, as its registry orders them. Names that are no tags are left out. */
export async function fetchTags(exchange: Exchange, wanted: WantedTags): Promise<string[]> {
  const { from, maxTags = defaultMaxTags, timeoutMs } = wanted
  const deadline = new AbortController()
  const timer = setTimeout(() => deadline.abort(), timeoutMs)
  const signal = wanted.signal === undefined ? deadline.signal : AbortSignal.any([wanted.signal, deadline.signal])
  try {
    return await readPages(exchange, from, maxTags, signal)
  } catch (error) {
    if (!deadline.signal.aborted || wanted.signal?.aborted === true) throw error
    const message = `${from.host} did not list the tags of ${from.repository} within ${timeoutMs / 1000} s`
    throw upstreamFailure(from.host, 'Unreachable', message)
  } finally {
    clearTimeout(timer)
  }
}

async function readPages(
  exchange: Exchange,
  from: UpstreamRepository,
  maxTags: number,
  signal: AbortSignal,
): Promise<string[]> {
  const tags = new Set<string>()
  let query: string | undefined = `?n=${pageTags}`
  for (let page = 0; query !== undefined; page++) {
    if (page >= maxPages) throw invalidList(from, `has more than ${maxPages} pages`)
    const want: Want = { from, kind: 'tags', reference: 'list', query, method: 'GET', signal }
    const answer = await exchange.whole({ ...want, headers: { accept: 'application/json' } })
    if (answer.status !== 200) throw exchange.unexpected(want, answer)
    const known = tags.size
    for (const name of namesOf(from, answer)) {
      if (typeof name === 'string' && isTag(name)) tags.add(name)
      if (tags.size >= maxTags) return [...tags]
    }
    // A page that tells nothing new is the last: a registry may name another after it for ever.
    query = tags.size === known ? undefined : nextQuery(want, answer)
  }
  return [...tags]
}

/** What a page lists. `null`, which Go writes for an empty list, counts as that. */
function namesOf(from: UpstreamRepository, { headers, bytes }: WholeAnswer): unknown[] {
  const document = decodings(headers, bytes)
    .map(jsonObject)
    .find((each) => each !== undefined)
  if (document?.tags === null) return []
  if (Array.isArray(document?.tags)) return document.tags
  throw invalidList(from, 'is no list of tags')
}

/**
 * The query of the next page. Only that of the link is taken: who asks with a login goes where the registry's name says and
 * nowhere else.
 */
function nextQuery(want: Want, { headers, url }: WholeAnswer): string | undefined {
  const link = nextLink(headers)
  if (link === undefined) return undefined
  const target = URL.canParse(link, url) ? new URL(link, url) : undefined
  if (target?.origin === url.origin && target.pathname === url.pathname && target.username === '') return target.search
  // Not the path: it may hold anything, the login that the registry was just sent among it.
  const elsewhere = target === undefined ? 'what is no address' : `another address at ${target.host}`
  throw invalidList(want.from, `goes on at ${elsewhere}: not followed`)
}

function invalidList({ host, repository }: UpstreamRepository, why: string): Error {
  return upstreamFailure(host, 'Invalid', `the list of the tags of ${host}/${repository} ${why}`)
}
