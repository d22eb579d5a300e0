import { isTag } from '../oci/reference.ts'
import { within } from './deadline.ts'
import type { Exchange, Want } from './exchange.ts'
import { upstreamFailure } from './failure.ts'
import { decodings, jsonObject } from './json-body.ts'
import { nextPage } from './next-page.ts'
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

/** Takes the tags of a page, and says whether more are wanted. */
export type TakeTags = (tags: readonly string[]) => boolean | Promise<boolean>

const defaultMaxTags = 100_000
/** Tags asked for at once; registries give fewer where they will not give so many. */
const pageTags = 1000
/** Most pages of one list: registries that give 100 tags at once still come to the most tags that are read. */
const maxPages = 1000

/** Lists the tags of a repository, each once, as its registry orders them, `maxTags` at most. Names that are no tags are left out. */
export async function fetchTags(exchange: Exchange, wanted: WantedTags): Promise<string[]> {
  const { maxTags = defaultMaxTags } = wanted
  const tags = new Set<string>()
  await inTime(wanted, (signal) =>
    readPages(exchange, wanted.from, signal, (page) => {
      const known = tags.size
      for (const tag of page) {
        tags.add(tag)
        if (tags.size >= maxTags) return false
      }
      // A page that tells nothing new is the last: a registry may name another after it for ever.
      return tags.size > known
    }),
  )
  return [...tags]
}

/**
 * Tells the tags of a repository page by page, and keeps none; the same tag may be told again.
 *
 * @throws RegistryError UNAVAILABLE (reason Invalid) also when there are more than `maxTags`: some of them alone would mislead
 */
export async function fetchTagPages(exchange: Exchange, wanted: WantedTags, take: TakeTags): Promise<void> {
  const { from, maxTags = defaultMaxTags } = wanted
  let told = 0
  let before = ''
  await inTime(wanted, (signal) =>
    readPages(exchange, from, signal, (page) => {
      // The same page again is the last, and so is one without tags: a registry may name another after it for ever.
      const names = page.join('/')
      if (names === before) return false
      before = names
      told += page.length
      if (told > maxTags) throw invalidList(from, `has more than ${maxTags} tags`)
      return take(page)
    }),
  )
}

async function inTime(wanted: WantedTags, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const { from, timeoutMs } = wanted
  const late = () => {
    const message = `${from.host} did not list the tags of ${from.repository} within ${timeoutMs / 1000} s`
    return upstreamFailure(from.host, 'Unreachable', message)
  }
  return within(timeoutMs, wanted.signal, late, work)
}

async function readPages(
  exchange: Exchange,
  from: UpstreamRepository,
  signal: AbortSignal,
  take: TakeTags,
): Promise<void> {
  let query: string | undefined = `?n=${pageTags}`
  for (let page = 0; query !== undefined; page++) {
    if (page >= maxPages) throw invalidList(from, `has more than ${maxPages} pages`)
    const want: Want = { from, kind: 'tags', reference: 'list', query, method: 'GET', signal }
    const answer = await exchange.whole({ ...want, headers: { accept: 'application/json' } })
    if (answer.status !== 200) throw exchange.unexpected(want, answer)
    const tags = namesOf(from, answer).filter((name): name is string => typeof name === 'string' && isTag(name))
    if (!(await take(tags))) return
    query = nextQuery(from, answer)
  }
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

function nextQuery(from: UpstreamRepository, answer: WholeAnswer): string | undefined {
  const next = nextPage(answer)
  if (next !== undefined && 'elsewhere' in next) throw invalidList(from, `goes on at ${next.elsewhere}: not followed`)
  return next?.query
}

function invalidList({ host, repository }: UpstreamRepository, why: string): Error {
  return upstreamFailure(host, 'Invalid', `the list of the tags of ${host}/${repository} ${why}`)
}
