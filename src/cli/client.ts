import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { type ApiList, type ApiObject, type Status, type Target, targetPath } from './api.ts'
import { ApiError, CliError, isNotFound } from './failures.ts'
import type { Server } from './server.ts'

export interface RequestOptions {
  body?: object
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
  /** Lets go of the connections. */
  close(): void
}

interface Answer {
  code: number
  contentType: string
  requestId: string | undefined
  location: string | undefined
  text: string
}

const defaultPatienceMs = 60_000
const pageSize = 500

/** `timeoutMs` (`--request-timeout`) goes before every request's own patience. */
export function createClient({ server, timeoutMs }: { server: Server; timeoutMs?: number }): Client {
  const send = createSend(server)
  const client: Client = {
    server,
    timeoutMs,
    async request<T extends object>(method: string, target: Target, options: RequestOptions = {}) {
      const limitMs = timeoutMs ?? options.patienceMs ?? defaultPatienceMs
      const query = options.query === undefined ? '' : `?${new URLSearchParams(options.query)}`
      const answer = await send.request(method, `${targetPath(target)}${query}`, options.body, limitMs)
      return readAnswer(server, method, target, answer) as T
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
    close: () => send.close(),
  }
  return client
}

function createSend(server: Server) {
  const isSecure = server.url.startsWith('https:')
  const agent = isSecure
    ? new HttpsAgent({
        keepAlive: true,
        rejectUnauthorized: !server.insecureSkipTlsVerify,
        ...(server.certificateAuthority === undefined ? {} : { ca: server.certificateAuthority }),
        ...(server.tlsServerName === undefined ? {} : { servername: server.tlsServerName }),
      })
    : new HttpAgent({ keepAlive: true })
  const open = isSecure ? requestHttps : requestHttp

  async function request(method: string, path: string, body: object | undefined, limitMs: number): Promise<Answer> {
    const content = body === undefined ? undefined : JSON.stringify(body)
    const signal = AbortSignal.timeout(limitMs)
    const headers: Record<string, string | number> = { accept: 'application/json', 'user-agent': 'weir' }
    if (server.token !== undefined) headers.authorization = `Bearer ${server.token.value}`
    if (content !== undefined) {
      headers['content-type'] = 'application/json'
      headers['content-length'] = Buffer.byteLength(content)
    }
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        open(`${server.url}${path}`, { method, agent, headers, signal }, resolve).on('error', reject).end(content)
      })
      return await readResponse(response)
    } catch (error) {
      if (signal.aborted) throw tooSlow(server, limitMs, error)
      throw unreachable(server, error)
    }
  }
  return { request, close: () => agent.destroy() }
}

async function readResponse(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const requestId = response.headers['x-request-id']
  return {
    code: response.statusCode ?? 0,
    contentType: response.headers['content-type'] ?? 'no content type',
    requestId: Array.isArray(requestId) ? requestId[0] : requestId,
    location: response.headers.location,
    text: Buffer.concat(chunks).toString('utf8'),
  }
}

function readAnswer(server: Server, method: string, target: Target, answer: Answer): object {
  const value = parseObject(answer.text)
  if (answer.code >= 200 && answer.code < 300 && value !== undefined) return value
  if (answer.code >= 400 && value !== undefined && isStatus(value)) {
    throw new ApiError(method, target, answer.code, value, answer.requestId)
  }
  const place = `${server.url} (from ${server.from})`
  if (answer.code >= 300 && answer.code < 400) {
    throw new CliError(`${place} sends its callers elsewhere${answer.location ? `: ${answer.location}` : ''}`, {
      hints: ['weir follows no redirects, since they could carry its token away: name the right server with --server'],
    })
  }
  const kind = value === undefined ? answer.contentType.split(';')[0] : 'other JSON'
  throw new CliError(
    `${place} is not Weir's API: it answered ${method} ${targetPath(target)} with ${answer.code} and ${kind}`,
    {
      hints: [
        "check the address: the API is at the server's https:// address, https://localhost:5443 unless configured otherwise",
      ],
    },
  )
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

function tooSlow(server: Server, limitMs: number, cause: unknown): CliError {
  return new CliError(`${server.url} (from ${server.from}) gave no whole answer within ${limitMs / 1000} s`, {
    hints: ['it may still do what was asked: look before asking again; wait longer with --request-timeout 10m'],
    cause,
  })
}

const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
])

const unanswered = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'])

function unreachable(server: Server, cause: unknown): CliError {
  const { code = '', message } = innermost(cause)
  const place = `${server.url} (from ${server.from})`
  if (untrusted.has(code)) {
    return new CliError(`${place} shows a certificate that is not trusted here (${code})`, {
      hints: [
        "name its authority with --certificate-authority FILE; Weir's own is data/tls/ca.crt, and in data/admin.kubeconfig",
        'a kubeconfig of an earlier data directory trusts the earlier authority: take the new one',
      ],
      cause,
    })
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code.startsWith('CERT_')) {
    return new CliError(`${place} shows a certificate that does not hold: ${message}`, { cause })
  }
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG' || code === 'EPROTO') {
    return new CliError(`${place} does not speak HTTPS`, {
      hints: ['port 5443 is HTTPS and port 5000 HTTP unless configured otherwise'],
      cause,
    })
  }
  if (code.startsWith('HPE_')) return new CliError(`${place} does not speak HTTP`, { cause })
  if (code === 'ERR_INVALID_ARG_VALUE' || code === 'ERR_OSSL_PEM_NO_START_LINE' || code.startsWith('ERR_OSSL_')) {
    return new CliError(`the certificate authority given for ${place} is not a certificate: ${message}`, { cause })
  }
  if (!unanswered.has(code)) {
    return new CliError(`${place} broke the connection: ${code === '' ? message : code}`, {
      hints: [
        'it may still do what was asked: look before asking again; its log says why',
        ...(server.url.startsWith('http:') ? ['or it speaks HTTPS: then write https://'] : []),
      ],
      cause,
    })
  }
  return new CliError(`nothing answers at ${place}: ${code}`, {
    hints: ['start it with `npm start` where it is installed, or name another server with --server or --kubeconfig'],
    cause,
  })
}

// A host with several addresses fails with an AggregateError that has a code and no message.
function innermost(error: unknown): { code?: string; message: string } {
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0])
  if (error instanceof Error) {
    const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
    return { message: error.message, ...(code === undefined ? {} : { code }) }
  }
  return { message: String(error) }
}
