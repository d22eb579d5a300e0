import type { LookupFunction } from 'node:net'
import type { Readable } from 'node:stream'
import type { Logger } from 'pino'
import { Agent, request as undiciRequest } from 'undici'
import { unlessAborted } from './abort.ts'
import { type Arriving, type SendRequest, send } from './arriving.ts'
import { readWhole } from './body.ts'
import { createConnector } from './connector.ts'
import { within } from './deadline.ts'
import { saysExpired } from './expired-login.ts'
import { connectionFailure, upstreamFailure } from './failure.ts'
import type { Hosts } from './hosts.ts'
import type { Proxies } from './proxies.ts'
import type { Attempt } from './retry.ts'

/** Times in milliseconds after which an upstream counts as unreachable. */
export interface TransportTimeouts {
  /** Until a connection stands, TLS included; default 10 s. */
  connectMs: number
  /** Until the headers of an answer are there; default 30 s. */
  headersMs: number
  /** For a whole manifest or token, all redirects included; default 60 s. */
  wholeMs: number
  /** For all pages of a list of tags; default 5 min. */
  tagsMs: number
  /** For all pages of a list of referrers; default 30 s. */
  referrersMs: number
  /** Between two pieces of a blob while somebody reads it; default 60 s. */
  blobIdleMs: number
  /** Between two pieces of what is pushed, and from the last one to the answer; default 5 min. */
  pushIdleMs: number
  /** For the body of a refusal, which may say why; default 5 s. */
  refusalMs: number
  /** For the question whether a host with an insecure rule speaks TLS; default 5 s. */
  probeMs: number
}

export const defaultTimeouts: TransportTimeouts = {
  connectMs: 10_000,
  headersMs: 30_000,
  wholeMs: 60_000,
  tagsMs: 300_000,
  referrersMs: 30_000,
  blobIdleMs: 60_000,
  pushIdleMs: 300_000,
  refusalMs: 5_000,
  probeMs: 5_000,
}

/** One GET or HEAD, a POST of a form that can be sent again, or a POST or PUT of what is pushed. */
export interface Ask {
  /** The registry as users name it, for errors. */
  host: string
  url: URL
  /** Who named the URL: what the rules open to it is open to this request. Default: the URL is the registry's own. */
  namedBy?: URL
  method: 'GET' | 'HEAD' | 'POST' | 'PUT'
  headers?: Record<string, string>
  /** The fields of a POST, which follows no redirect. */
  form?: Record<string, string>
  /** What is pushed; of a stream the headers tell the length. */
  content?: Buffer | Readable
  authorization?: string | undefined
  /** Default: follow. */
  redirects?: 'follow' | 'none'
  /**
   * Of a HEAD: its connection is used again, where a registry that sends a body all the same sends JSON, which the next answer's
   * parser refuses. A blob's bytes could be anybody's, an answer to somebody else's question among them. Default: it is closed.
   */
  isBodyHarmless?: boolean | undefined
  signal?: AbortSignal | undefined
}

/** The answer at the end of all redirects. */
export interface Answer extends Attempt {
  /** Who answered, after the last redirect. */
  url: URL
  /** Somebody other than who was asked answered: what it says of logins does not concern the registry's. */
  foreign: boolean
  /** Whether a refusal says that the login was good, and is no more; absent where nothing was said. */
  isLoginExpired?: boolean
}

export interface OpenAnswer extends Answer {
  body: Arriving
}

export interface WholeAnswer extends Answer {
  bytes: Buffer
}

/** Sends requests over guarded connections and follows redirects. Statuses are the caller's matter. */
export interface Transport {
  /** The body is the caller's to read or to discard. */
  open(ask: Ask): Promise<OpenAnswer>
  /** Reads bodies of status 200, and drops others. @throws RegistryError reason Invalid when it has more than `maxBytes` */
  whole(ask: Ask, maxBytes: number): Promise<WholeAnswer>
  /** Sends content; follows no redirect, and drops the answer's body. */
  push(ask: Ask): Promise<Answer>
  close(): Promise<void>
}

export interface TransportOptions {
  hosts: Hosts
  userAgent: string
  log: Logger
  timeouts: TransportTimeouts
  proxies?: Proxies | undefined
  lookup?: LookupFunction
}

/** Connections for manifests and tokens, and for blobs. */
interface Agents {
  small: Agent
  large: Agent
}

/** What came of one request. */
interface Sent<B> extends Attempt {
  body: B
  /** The body's pieces, one by one; to be let go of by `discard`. */
  next(): Promise<Buffer | undefined>
}

type SendOne<B> = (agents: Agents, request: SendRequest) => Promise<Sent<B>>

/** Most redirects from a request to its answer. */
const maxRedirects = 5
const redirectStatuses = new Set([301, 302, 303, 307, 308])

export function createTransport({ hosts, userAgent, log, timeouts, proxies, lookup }: TransportOptions): Transport {
  const { connectMs, headersMs, wholeMs, blobIdleMs, pushIdleMs, refusalMs } = timeouts
  const allAgents = new Map<Hosts, Agents>()

  /** A connection that some rules allow is not for who asks under others. */
  function agentsOf(rules: Hosts): Agents {
    const made = allAgents.get(rules)
    if (made !== undefined) return made
    const connector = { hosts: rules, connectTimeoutMs: connectMs, proxies, ...(lookup && { lookup }) }
    const agents = {
      small: new Agent({ connect: createConnector(connector), headersTimeout: headersMs, bodyTimeout: headersMs }),
      large: new Agent({
        connect: createConnector({ ...connector, bulk: true }),
        headersTimeout: headersMs,
        bodyTimeout: blobIdleMs,
      }),
    }
    allAgents.set(rules, agents)
    return agents
  }

  /** Sends one request; an abort reaches undici's request only once its connection stands. */
  async function hop<B>(ask: Ask, sendOne: (request: SendRequest) => Promise<Sent<B>>): Promise<Sent<B>> {
    const headers = {
      'user-agent': userAgent,
      'accept-encoding': 'identity',
      ...ask.headers,
      ...(ask.authorization === undefined ? {} : { authorization: ask.authorization }),
      ...(ask.form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
    }
    const { url, method, form, content = null, signal } = ask
    const body = form === undefined ? content : new URLSearchParams(form).toString()
    const reset = method === 'HEAD' && ask.isBodyHarmless === true ? false : undefined
    const request = { url, method, headers, body, signal, ...(reset === undefined ? {} : { reset }) }
    const sent = await unlessAborted(sendOne(request), signal)
    // Where a registry sends on to, path and query may hold what opens the content to anybody.
    log.debug({ host: ask.host, method, to: url.host, status: sent.status }, 'asked')
    return sent
  }

  async function follow<B>(ask: Ask, sendOne: SendOne<B>): Promise<Answer & { body: B }> {
    const rules = hosts.seenFrom(ask.namedBy ?? ask.url)
    const agents = agentsOf(rules)
    let { url, authorization } = ask
    for (let redirects = 0; ; redirects++) {
      // Where a registry sends on to may be anybody's storage.
      const isBodyHarmless = ask.isBodyHarmless === true && redirects === 0
      const sent = await hop({ ...ask, url, authorization, isBodyHarmless }, (request) =>
        sendOne(agents, request),
      ).catch((error: unknown) => {
        throw broken(ask, url, error)
      })
      const foreign = url.origin !== ask.url.origin
      const isTold = ask.method !== 'HEAD' && isBasicForbidden(sent, authorization)
      const isLoginExpired = isTold ? await saysExpired(sent.next, refusalMs) : undefined
      const answer = { ...sent, url, foreign, ...(isLoginExpired !== undefined && { isLoginExpired }) }
      if (ask.redirects === 'none' || ask.form !== undefined || !redirectStatuses.has(answer.status)) return answer
      answer.discard()
      if (redirects >= maxRedirects) {
        throw upstreamFailure(ask.host, 'Invalid', `${ask.host} redirects more than ${maxRedirects} times`)
      }
      const target = redirectTarget(ask.host, url, answer.headers.location, rules)
      if (target.origin !== url.origin) authorization = undefined
      url = target
    }
  }

  async function read(ask: Ask, maxBytes: number): Promise<WholeAnswer> {
    const { body, ...answer } = await follow(ask, (agents, request) => sendSmall(agents, request))
    if (answer.status !== 200) {
      answer.discard()
      return { ...answer, bytes: Buffer.alloc(0) }
    }
    const bytes = await readWhole(body, maxBytes).catch((error: unknown) => {
      throw broken(ask, answer.url, error)
    })
    if (bytes !== undefined) return { ...answer, bytes }
    throw upstreamFailure(ask.host, 'Invalid', `${answer.url.host} sent more than the ${maxBytes} bytes that are read`)
  }

  return {
    open: (ask) => follow(ask, sendLarge),
    async push(ask) {
      const idle = { headersTimeout: pushIdleMs, bodyTimeout: pushIdleMs }
      const sendPush: SendOne<Readable> = (agents, request) => sendSmall(agents, request, idle)
      const { body, ...answer } = await follow({ ...ask, redirects: 'none' }, sendPush)
      answer.discard()
      return answer
    },
    whole(ask, maxBytes) {
      const late = (): Error =>
        upstreamFailure(ask.host, 'Unreachable', `${ask.host} gave no whole answer within ${wholeMs / 1000} s`)
      return within(wholeMs, ask.signal, late, (signal) => read({ ...ask, signal }, maxBytes))
    },
    async close() {
      await Promise.all([...allAgents.values()].flatMap(({ small, large }) => [small.destroy(), large.destroy()]))
    },
  }
}

async function sendSmall(
  { small }: Agents,
  { url, ...request }: SendRequest,
  timeouts: { headersTimeout?: number; bodyTimeout?: number } = {},
): Promise<Sent<Readable>> {
  const { method, headers, body, signal, reset } = request
  const ended = { ...(signal && { signal }), ...(reset === undefined ? {} : { reset }) }
  const options = { dispatcher: small, method, headers, body, ...timeouts, ...ended }
  const { statusCode, ...answer } = await undiciRequest(url, options)
  let reading: AsyncIterator<Buffer> | undefined
  const next = async (): Promise<Buffer | undefined> => {
    reading ??= answer.body[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    const { value, done } = await reading.next()
    return done === true ? undefined : value
  }
  const discard = (): void => {
    // Reads a short rest, so that the connection can be used again, and else destroys it.
    if (reading === undefined) return void answer.body.dump({ limit: 16 * 1024 }).catch(() => undefined)
    answer.body.on('error', () => undefined).destroy()
  }
  return { status: statusCode, headers: answer.headers, body: answer.body, next, discard }
}

async function sendLarge({ large }: Agents, request: SendRequest): Promise<Sent<Arriving>> {
  const arrived = await send(large, request)
  return { ...arrived, next: () => arrived.body.read(), discard: () => arrived.body.discard() }
}

/** Only those who ask for Basic tell of an expired login so. */
function isBasicForbidden({ status }: Attempt, authorization: string | undefined): boolean {
  return status === 403 && authorization?.startsWith('Basic ') === true
}

/** Where a redirect leads. @throws RegistryError when that may not be followed */
function redirectTarget(host: string, from: URL, location: string | string[] | undefined, hosts: Hosts): URL {
  if (typeof location !== 'string' || !URL.canParse(location, from)) {
    throw upstreamFailure(host, 'Invalid', `${from.host} redirects without saying where to`)
  }
  const target = new URL(location, from)
  const refuse = (why: string): never => {
    throw upstreamFailure(host, 'NotAllowed', `${from.host} redirects to ${target.host}, ${why}: not followed`)
  }
  if (target.username !== '' || target.password !== '') refuse('with a login in the URL')
  const plain = target.protocol === 'http:' && hosts.policy(target).insecure
  if (target.protocol !== 'https:' && !plain) refuse('which is not an https URL')
  target.hash = ''
  return target
}

function broken(ask: Ask, url: URL, error: unknown): unknown {
  return ask.signal?.aborted === true ? ask.signal.reason : connectionFailure(ask.host, url, error)
}
