import type { IncomingMessage } from 'node:http'
import type { Client } from '../access/access.ts'

/** Says who is at the other end of a request. */
export type ClientOf = (incoming: Pick<IncomingMessage, 'socket' | 'headers'>) => Client

const maxUserAgentLength = 256

export function createClientOf(): ClientOf {
  return ({ socket, headers }) => ({
    address: socket.remoteAddress ?? '',
    userAgent: (headers['user-agent'] ?? '').slice(0, maxUserAgentLength),
  })
}
