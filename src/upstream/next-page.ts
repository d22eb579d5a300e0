import { nextLink } from './link-header.ts'
import type { WholeAnswer } from './transport.ts'

/**
 * Where a list goes on: the query of its next page, or what else it names, for messages; undefined after the last page. Only the
 * query of a link is taken: who asks with a login goes where the registry's name says and nowhere else.
 */
export function nextPage({ headers, url }: WholeAnswer): { query: string } | { elsewhere: string } | undefined {
  const link = nextLink(headers)
  if (link === undefined) return undefined
  const target = URL.canParse(link, url) ? new URL(link, url) : undefined
  if (target?.origin === url.origin && target.pathname === url.pathname && target.username === '')
    return { query: target.search }
  // Not the path: it may hold anything, the login that the registry was just sent among it.
  return { elsewhere: target === undefined ? 'what is no address' : `another address at ${target.host}` }
}
