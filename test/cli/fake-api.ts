import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import type { TestCertificate } from './certificates.ts'

/** A request as it arrived; `body` is parsed JSON, or the fields of a form. */
export interface RecordedRequest {
  method: string
  path: string
  query: Record<string, string>
  headers: IncomingMessage['headers']
  body: unknown
}

export interface Reply {
  status?: number
  headers?: Record<string, string>
  /** An object is sent as JSON, a string as it is, as HTML unless the headers say otherwise. */
  body: object | string
  /** The connection breaks off instead. */
  breaks?: boolean
}

export type Responder = Reply | ((request: RecordedRequest) => Reply | Promise<Reply>)

/** An API server that answers what a test says; anything else is a Kubernetes 404. */
export interface FakeApi {
  url: string
  requests: RecordedRequest[]
  /** Requests as `METHOD path`. */
  asked(): string[]
  answer(method: string, path: string, responder: Responder): void
  /** Answers what no `answer` is there for. */
  otherwise(responder: Responder): void
  /** The bodies sent to `METHOD path`, in order. */
  sent(method: string, path: string): unknown[]
  stop(): Promise<void>
}

/** Starts a server of plain HTTP, or of HTTPS when it gets a certificate. */
export async function startFakeApi(certificate?: TestCertificate): Promise<FakeApi> {
  const requests: RecordedRequest[] = []
  const routes = new Map<string, Responder>()
  let otherwise: Responder = ({ path }) => failure(404, 'NotFound', `${path} not found`)
  const listener: RequestListener = (message, response) => {
    void handle(message, response, requests, (key) => routes.get(key) ?? otherwise)
  }
  const server =
    certificate === undefined
      ? createServer(listener)
      : createSecureServer({ key: certificate.key, cert: certificate.certificate }, listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = async () => {
    if (!server.listening) return
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
  onTestFinished(stop)
  const { port } = server.address() as AddressInfo
  const key = (method: string, path: string) => `${method} ${path}`
  return {
    url: `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    requests,
    asked: () => requests.map(({ method, path }) => key(method, path)),
    answer: (method, path, responder) => void routes.set(key(method, path), responder),
    otherwise: (responder) => {
      otherwise = responder
    },
    sent: (method, path) =>
      requests.filter((each) => each.method === method && each.path === path).map((each) => each.body),
    stop,
  }
}

/** A failed `metav1.Status`. */
export function failure(
  code: number,
  reason: string,
  message: string,
  details?: { name?: string; kind?: string; causes?: object[]; retryAfterSeconds?: number },
): Reply {
  const base = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' }
  return { status: code, body: { ...base, message, reason, code, ...(details === undefined ? {} : { details }) } }
}

function isForm({ headers }: IncomingMessage): boolean {
  return headers['content-type'] === 'application/x-www-form-urlencoded'
}

async function handle(
  message: IncomingMessage,
  response: ServerResponse,
  requests: RecordedRequest[],
  responderOf: (key: string) => Responder,
): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  const url = new URL(message.url ?? '/', 'http://api')
  const text = Buffer.concat(chunks).toString('utf8')
  const request: RecordedRequest = {
    method: message.method ?? '',
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    headers: message.headers,
    body: text === '' ? undefined : isForm(message) ? Object.fromEntries(new URLSearchParams(text)) : JSON.parse(text),
  }
  requests.push(request)
  const responder = responderOf(`${request.method} ${request.path}`)
  const reply = typeof responder === 'function' ? await responder(request) : responder
  if (reply.breaks === true) {
    message.socket.destroy()
    return
  }
  const isText = typeof reply.body === 'string'
  response.writeHead(reply.status ?? 200, {
    'content-type': isText ? 'text/html; charset=utf-8' : 'application/json',
    ...reply.headers,
  })
  response.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body))
}
