import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import type { CliError } from './failures.ts'

/** The other end, and how to trust it and be known to it. */
export interface Peer {
  /** Origin, perhaps with a path, without a slash at its end. */
  url: string
  /** Sent as a Bearer with every request. */
  token?: { value: string }
  /** PEM; absent: what the system trusts. */
  certificateAuthority?: string | string[]
  insecureSkipTlsVerify: boolean
  tlsServerName?: string
}

/** What is sent; without `content` there is no body. */
export interface Message {
  /** Default `application/json`. */
  accept?: string
  content?: { type: string; text: string }
}

/** What came back, whole. */
export interface Answer {
  code: number
  contentType: string
  requestId: string | undefined
  location: string | undefined
  text: string
}

/** Why there is no whole answer; `tooLongMs` when there was none in this time. */
export interface Failed {
  cause: unknown
  tooLongMs?: number
}

/** Carries requests to one peer. Redirects are answers, and not followed. */
export interface Transport {
  /** @throws CliError as `explain` has it */
  send(method: string, path: string, message: Message, limitMs: number): Promise<Answer>
  /** Lets go of the connections. */
  close(): void
}

/** `explain` makes words of a failure; `maxBytes` is the most that an answer may have, default 1 GiB. */
export function createTransport(
  peer: Peer,
  explain: (failed: Failed) => Promise<CliError>,
  { maxBytes = 2 ** 30 }: { maxBytes?: number } = {},
): Transport {
  const isSecure = peer.url.startsWith('https:')
  const agent = isSecure ? new HttpsAgent({ keepAlive: true, ...trustOf(peer) }) : new HttpAgent({ keepAlive: true })
  const open = isSecure ? requestHttps : requestHttp
  return {
    async send(method, path, { accept = 'application/json', content }, limitMs) {
      const signal = AbortSignal.timeout(limitMs)
      const headers: Record<string, string | number> = { accept, 'user-agent': 'weir' }
      if (peer.token !== undefined) headers.authorization = `Bearer ${peer.token.value}`
      if (content !== undefined) {
        headers['content-type'] = content.type
        headers['content-length'] = Buffer.byteLength(content.text)
      }
      try {
        const response = await new Promise<IncomingMessage>((resolve, reject) => {
          const request = open(`${peer.url}${path}`, { method, agent, headers, signal }, resolve)
          request.on('error', reject).end(content?.text)
        })
        return await readResponse(response, maxBytes)
      } catch (cause) {
        throw await explain(signal.aborted ? { cause, tooLongMs: limitMs } : { cause })
      }
    },
    close: () => agent.destroy(),
  }
}

function trustOf({ certificateAuthority, insecureSkipTlsVerify, tlsServerName }: Peer) {
  return {
    rejectUnauthorized: !insecureSkipTlsVerify,
    ...(certificateAuthority === undefined ? {} : { ca: certificateAuthority }),
    ...(tlsServerName === undefined ? {} : { servername: tlsServerName }),
  }
}

async function readResponse(response: IncomingMessage, maxBytes: number): Promise<Answer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response) {
    size += (chunk as Buffer).length
    if (size > maxBytes) throw new Error(`the answer has more than ${maxBytes} bytes`)
    chunks.push(chunk as Buffer)
  }
  const requestId = response.headers['x-request-id']
  return {
    code: response.statusCode ?? 0,
    contentType: response.headers['content-type'] ?? 'no content type',
    requestId: Array.isArray(requestId) ? requestId[0] : requestId,
    location: response.headers.location,
    text: Buffer.concat(chunks).toString('utf8'),
  }
}
