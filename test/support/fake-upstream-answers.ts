/** What a fake upstream is asked and answers, and how a test stands between the two. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'

/** A request as it came in; `path` with its query. */
export interface FakeRequest {
  method: string
  path: string
  headers: IncomingHttpHeaders
}

/** An answer before it is sent. With `cutAfter` the socket is destroyed after that many bytes of the body. */
export interface FakeAnswer {
  status: number
  headers: Record<string, string | string[]>
  body: Buffer
  cutAfter?: number
}

/**
 * Stands between a request and its answer: returns what is sent, perhaps what `next` gave, changed. Returns undefined
 * when it has answered through `res` itself, or destroyed it.
 */
export type FakeInterceptor = (
  req: IncomingMessage,
  res: ServerResponse,
  next: () => Promise<FakeAnswer>,
) => Promise<FakeAnswer | undefined> | FakeAnswer | undefined

/** Which requests are meant: a pattern over `METHOD path`, such as `/^GET .*\/blobs\//`, or a test of the request. */
export type FakeMatch = RegExp | ((request: FakeRequest) => boolean)

/** An answer of plain text. */
export function fakeAnswer(status: number, body = '', headers: Record<string, string> = {}): FakeAnswer {
  return { status, headers: { 'content-type': 'text/plain', ...headers }, body: Buffer.from(body) }
}

/** Whether a request is meant by `match`. */
export function matches(match: FakeMatch, request: FakeRequest): boolean {
  return match instanceof RegExp ? match.test(`${request.method} ${request.path}`) : match(request)
}

/** The recorded form of a request. */
export function requestOf(req: IncomingMessage): FakeRequest {
  return { method: req.method ?? '', path: req.url ?? '', headers: req.headers }
}

/** An answer in the OCI error form. */
export function fakeError(status: number, code: string, headers: Record<string, string> = {}): FakeAnswer {
  const body = JSON.stringify({ errors: [{ code, message: code.toLowerCase() }] })
  return fakeAnswer(status, body, { 'content-type': 'application/json', ...headers })
}
