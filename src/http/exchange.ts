import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context } from 'hono'
import type { Client } from '../access/access.ts'

/** What every handler is given beside the request. */
export interface Exchange {
  incoming: IncomingMessage
  outgoing: ServerResponse
  /** Of the client when it sent a sane one, else Weir's own; also the answer's `X-Request-Id`. */
  requestId: string
  /** Scheme, host and port of the listener as clients reach it; realms come from here, never from the Host header. */
  publicUrl: string
  client: Client
}

export interface HttpEnv {
  Bindings: Exchange
}

export type HttpContext<Path extends string = string> = Context<HttpEnv, Path>

/** Whether a client sends its body only when it is told `100 Continue`; Node has refused every other expectation. */
export function awaitsContinue({ headers, httpVersion }: IncomingMessage): boolean {
  return headers.expect !== undefined && httpVersion === '1.1'
}

/** Chooses a request's id; an id of the client is kept when it can do no harm in a header or a log. */
export type ChooseRequestId = (sent: string | undefined) => string

const sane = /^[A-Za-z0-9._:-]{1,64}$/

/** `prefix` tells the ids of one process from those of another. */
export function createRequestIds(prefix: string): ChooseRequestId {
  let count = 0
  return (sent) => {
    if (sent !== undefined && sane.test(sent)) return sent
    count += 1
    return `${prefix}-${count.toString(36)}`
  }
}
