/** What came of requests to registries, for monitoring: by registry, of a bounded number of them. */

export type RequestResult = 'ok' | 'not_found' | 'denied' | 'throttled' | 'error' | 'unreachable'

export interface RequestCount {
  /** As users name it; `other` of those that are too many to be told apart. */
  host: string
  isBackground: boolean
  result: RequestResult
  /** Since the start. */
  count: number
}

export interface RequestCounts {
  /** `status` is what was answered, 0 when nothing was. */
  add(host: string, isBackground: boolean, status: number): void
  list(): readonly RequestCount[]
}

/** Of registries that nobody named: users may import from any that are allowed. */
const maxOthers = 100
const other = 'other'

/** `named` are told apart, however many others are asked. */
export function createRequestCounts(named: Iterable<string>): RequestCounts {
  const hosts = new Set(named)
  const most = hosts.size + maxOthers
  const counts = new Map<string, RequestCount>()

  function labelOf(host: string): string {
    if (!hosts.has(host) && hosts.size < most) hosts.add(host)
    return hosts.has(host) ? host : other
  }

  return {
    add(asked, isBackground, status) {
      const host = labelOf(asked)
      const result = resultOf(status)
      const key = `${host} ${isBackground} ${result}`
      const known = counts.get(key)
      if (known === undefined) counts.set(key, { host, isBackground, result, count: 1 })
      else known.count += 1
    },
    list: () => [...counts.values()],
  }
}

function resultOf(status: number): RequestResult {
  if (status === 0) return 'unreachable'
  if (status < 400) return 'ok'
  if (status === 401 || status === 403) return 'denied'
  if (status === 404) return 'not_found'
  return status === 429 ? 'throttled' : 'error'
}
