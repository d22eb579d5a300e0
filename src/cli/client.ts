import { type ApiList, type ApiObject, type Status, type Target, targetPath } from './api.ts'
import { ApiError, CliError, isNotFound } from './failures.ts'
import type { Server } from './server.ts'
import { type Answer, createTransport, type Message } from './transport.ts'
import { unreachable } from './unreachable.ts'

export interface RequestOptions {
  body?: object
  /** Of `body`; default JSON. */
  contentType?: string
  query?: Readonly<Record<string, string>>
  /** How long this request may take when the command line does not say; default 60 s. */
  patienceMs?: number
}

/** Talks to one server as one caller. Answers are trusted to have the API's shapes once they are JSON objects. */
export interface Client {
  readonly server: Server
  /** How long a request may take by the command line (`--request-timeout`). */
  readonly timeoutMs: number | undefined
  /** @throws ApiError for a `Status` that is a failure, CliError when there is no such answer */
  request<T extends object>(method: string, target: Target, options?: RequestOptions): Promise<T>
  /** GET; undefined when there is no such object. */
  find<T extends ApiObject>(target: Target): Promise<T | undefined>
  /** GET of a collection, page after page, until it ends or `limit` items are there. */
  list<T extends ApiObject>(
    target: Target,
    options?: { query?: Record<string, string>; limit?: number },
  ): Promise<ApiList<T>>
  /** A request about no object: `/login`, `/token`, `/apis`. `value` is undefined where the answer is no JSON object. */
  fetch(method: string, path: string, message?: Message): Promise<{ code: number; value: object | undefined }>
  /** Lets go of the connections. */
  close(): void
}

const defaultPatienceMs = 60_000
/**
 * For requests that move tags: upstreams may be slow and many, and a tag that moves only when its content is held is waited for
 * up to 10 minutes.
 */
export const movePatienceMs = 900_000
const pageSize = 500

/** `timeoutMs` (`--request-timeout`) goes before every request's own patience. */
export function createClient({ server, timeoutMs }: { server: Server; timeoutMs?: number }): Client {
  const transport = createTransport(server, (failed) => unreachable(server, failed))
  const client: Client = {
    server,
    timeoutMs,
    async request<T extends object>(method: string, target: Target, options: RequestOptions = {}) {
      const limitMs = timeoutMs ?? options.patienceMs ?? defaultPatienceMs
      const query = options.query === undefined ? '' : `?${new URLSearchParams(options.query)}`
      const { body, contentType: type = 'application/json' } = options
      const content = body === undefined ? {} : { content: { type, text: JSON.stringify(body) } }
      const answer = await transport.send(method, `${targetPath(target)}${query}`, content, limitMs)
      return readAnswer(server, method, target, answer) as T
    },
    async fetch(method, path, message = {}) {
      const answer = await transport.send(method, path, message, timeoutMs ?? defaultPatienceMs)
      if (isRedirect(answer)) throw redirected(server, answer)
      return { code: answer.code, value: parseObject(answer.text) }
    },
    async find<T extends ApiObject>(target: Target) {
      try {
        return await client.request<T>('GET', target)
      } catch (error) {
        if (isNotFound(error)) return undefined
        throw error
      }
    },
    async list<T extends ApiObject>(target: Target, { query = {}, limit = Number.POSITIVE_INFINITY } = {}) {
      const items: T[] = []
      let page: ApiList<T> | undefined
      let next: string | undefined
      do {
        const size = String(Math.min(pageSize, limit - items.length))
        const position: Record<string, string> = next === undefined ? {} : { continue: next }
        page = await client.request<ApiList<T>>('GET', target, { query: { ...query, limit: size, ...position } })
        items.push(...(page.items ?? []))
        next = page.metadata?.continue || undefined
      } while (next !== undefined && items.length < limit)
      return { ...page, items: items.slice(0, limit) }
    },
    close: () => transport.close(),
  }
  return client
}

function readAnswer(server: Server, method: string, target: Target, answer: Answer): object {
  const value = parseObject(answer.text)
  if (answer.code >= 200 && answer.code < 300 && value !== undefined) return value
  if (answer.code >= 400 && value !== undefined && isStatus(value)) {
    throw new ApiError(method, target, answer.code, value, answer.requestId)
  }
  if (isRedirect(answer)) throw redirected(server, answer)
  const kind = value === undefined ? answer.contentType.split(';')[0] : 'other JSON'
  throw new CliError(
    `${placeOf(server)} is not Weir's API: it answered ${method} ${targetPath(target)} with ${answer.code} and ${kind}`,
    {
      hints: [
        "check the address: the API is at the server's https:// address, https://localhost:5443 unless configured otherwise",
      ],
    },
  )
}

function isRedirect({ code }: Answer): boolean {
  return code >= 300 && code < 400
}

function redirected(server: Server, { location }: Answer): CliError {
  return new CliError(`${placeOf(server)} sends its callers elsewhere${location ? `: ${location}` : ''}`, {
    hints: ['weir follows no redirects, since they could carry its token away: name the right server with --server'],
  })
}

function placeOf({ url, from }: Server): string {
  return `${url} (from ${from})`
}

function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isStatus(value: object): value is Status {
  return 'kind' in value && value.kind === 'Status'
}
