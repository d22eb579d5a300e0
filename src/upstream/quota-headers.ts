import type { IncomingHttpHeaders } from 'node:http'

/** What a registry says of its own limit: requests in a window, and how many of them are left. */
export interface ToldQuota {
  limit: number
  /** Never negative, and never more than `limit`. */
  remaining: number
  /** Undefined when it is not told. */
  windowMs?: number
  /** How long until there are more; undefined when it is not told. */
  resetMs?: number
}

/** Longest window that is believed: a day, as for `Retry-After`. */
const maxMs = 24 * 3600 * 1000
/** Longer headers are none of these. */
const maxLength = 1024

/**
 * Reads what an answer tells of a limit: `ratelimit-limit: 100;w=21600` with `ratelimit-remaining: 76;w=21600` as Docker Hub has
 * them, the same with `ratelimit-reset` (draft-ietf-httpapi-ratelimit-headers-06), `ratelimit: limit=100, remaining=76, reset=50`
 * (draft 07), and `ratelimit: "a";r=76;t=50` with `ratelimit-policy: "a";q=100;w=21600` (draft 08 and later). Of several limits
 * the one of which the least part is left. Undefined where none is told, or not to be understood.
 *
 * @see https://docs.docker.com/docker-hub/usage/pulls/
 */
export function toldQuota(headers: IncomingHttpHeaders): ToldQuota | undefined {
  const quota = asParts(headers) ?? asFields(headers) ?? asPolicies(headers)
  if (quota === undefined || quota.limit <= 0) return undefined
  return { ...quota, remaining: Math.min(quota.remaining, quota.limit) }
}

function asParts(headers: IncomingHttpHeaders): ToldQuota | undefined {
  const [limits, [left]] = [itemsOf(headers, 'ratelimit-limit'), itemsOf(headers, 'ratelimit-remaining')]
  const remaining = countOf(left?.value)
  if (remaining === undefined) return undefined
  // Of draft 06 the first is the limit that is nearest, and the policies that follow tell its window.
  const limit = countOf(limits[0]?.value)
  if (limit === undefined) return undefined
  const [policy] = limits.filter(({ value, parameters }) => countOf(value) === limit && parameters.has('w'))
  const windowMs = millisecondsOf(policy?.parameters.get('w') ?? left?.parameters.get('w'))
  const resetMs = millisecondsOf(itemsOf(headers, 'ratelimit-reset')[0]?.value)
  return quotaOf(limit, remaining, windowMs, resetMs)
}

function asFields(headers: IncomingHttpHeaders): ToldQuota | undefined {
  const fields = new Map(
    itemsOf(headers, 'ratelimit').map(({ value }) => {
      const at = value.indexOf('=')
      return [value.slice(0, Math.max(at, 0)).trim(), value.slice(at + 1).trim()]
    }),
  )
  const [limit, remaining] = [countOf(fields.get('limit')), countOf(fields.get('remaining'))]
  if (limit === undefined || remaining === undefined) return undefined
  const policies = itemsOf(headers, 'ratelimit-policy')
  const policy = policies.find(({ value }) => countOf(value) === limit)
  return quotaOf(limit, remaining, millisecondsOf(policy?.parameters.get('w')), millisecondsOf(fields.get('reset')))
}

function asPolicies(headers: IncomingHttpHeaders): ToldQuota | undefined {
  const policies = itemsOf(headers, 'ratelimit-policy')
  let least: ToldQuota | undefined
  for (const { value, parameters } of itemsOf(headers, 'ratelimit')) {
    const policy = policies.find((each) => each.value === value)?.parameters
    const [limit, remaining] = [countOf(policy?.get('q')), countOf(parameters.get('r'))]
    if (limit === undefined || remaining === undefined) continue
    const times = [millisecondsOf(policy?.get('w')), millisecondsOf(parameters.get('t'))] as const
    const quota = quotaOf(limit, remaining, ...times)
    if (least === undefined || remaining * least.limit < least.remaining * limit) least = quota
  }
  return least
}

interface Item {
  value: string
  parameters: ReadonlyMap<string, string>
}

/** A list of values with parameters, as all these headers are (RFC 9651); names of values may be quoted. */
function itemsOf(headers: IncomingHttpHeaders, name: string): Item[] {
  // What was sent in several lines is one list (RFC 9110 5.3).
  const header = [headers[name] ?? []].flat().join(', ')
  if (header === '' || header.length > maxLength) return []
  return header.split(',').map((item) => {
    const [value = '', ...rest] = item.split(';').map((part) => part.trim())
    const parameters = new Map(
      rest.map((part) => {
        const at = part.indexOf('=')
        return at < 0 ? [part.toLowerCase(), ''] : [part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim()]
      }),
    )
    return { value: value.toLowerCase(), parameters }
  })
}

/** A whole number; what is below 0, as Docker Hub was seen to say of what is left, counts as 0. */
function countOf(text: string | undefined): number | undefined {
  const match = /^(-?)(\d{1,15})$/.exec(text ?? '')
  if (match === null) return undefined
  return match[1] === '-' ? 0 : Number(match[2])
}

function millisecondsOf(seconds: string | undefined): number | undefined {
  const count = countOf(seconds)
  return count === undefined || count === 0 ? undefined : Math.min(count * 1000, maxMs)
}

function quotaOf(limit: number, remaining: number, windowMs?: number, resetMs?: number): ToldQuota {
  return {
    limit,
    remaining,
    ...(windowMs === undefined ? {} : { windowMs }),
    ...(resetMs === undefined ? {} : { resetMs }),
  }
}
