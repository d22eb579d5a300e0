import { RegistryError } from '../oci/errors.ts'

/** What a list is asked for. */
export interface Page {
  /** Most entries; undefined means all. */
  limit: number | undefined
  /** Entries come after this one, which need not exist. */
  last: string | undefined
}

export interface PageRules {
  /** Where no `n` is sent; undefined means all. */
  defaultLimit?: number
  /** A larger `n` gives this many and a link to go on. */
  maxLimit: number
  /** Whether `last` can be an entry at all. */
  isEntry(last: string): boolean
}

/**
 * Reads `n` and `last`.
 *
 * @throws RegistryError BAD_REQUEST for a parameter given twice, an `n` that is no count, a `last` that can be no entry
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
 */
export function readPage(query: URLSearchParams, rules: PageRules): Page {
  const n = single(query, 'n')
  const last = single(query, 'last')
  if (n !== undefined && !/^[0-9]{1,9}$/.test(n)) throw bad(`n: write a count, such as n=100`)
  if (last !== undefined && !rules.isEntry(last)) throw bad(`last: can be no entry of this list`)
  return { limit: n === undefined ? rules.defaultLimit : Math.min(Number(n), rules.maxLimit), last }
}

/** The `link` header to the page after `last`; `more` are other parameters. */
export function nextLink(
  path: string,
  limit: number | undefined,
  last: string,
  more: Readonly<Record<string, string>> = {},
): string {
  const n = limit === undefined ? {} : { n: String(limit) }
  return `<${path}?${new URLSearchParams({ ...more, ...n, last })}>; rel="next"`
}

/** The header that tells of more behind a page; none behind an empty one. */
export function nextPage(path: string, limit: number, entries: readonly string[]): { link?: string } {
  const last = entries.at(-1)
  return last === undefined ? {} : { link: nextLink(path, limit, last) }
}

/** A parameter that may be given once. @throws RegistryError BAD_REQUEST */
export function single(query: URLSearchParams, name: string): string | undefined {
  const values = query.getAll(name)
  if (values.length > 1) throw bad(`${name}: is given ${values.length} times; give it once`)
  return values[0]
}

function bad(message: string): RegistryError {
  return new RegistryError('BAD_REQUEST', { message })
}
