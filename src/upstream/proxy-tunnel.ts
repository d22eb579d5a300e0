import { type ClientRequest, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Socket } from 'node:net'
import { basicAuthorization } from './credentials.ts'

/**
 * Has a proxy connect to `target`, host and port, which it looks up itself (RFC 9110 9.3.6).
 *
 * @throws Error naming the proxy, without its login, and what it answered
 */
export function openTunnel(proxy: URL, target: string, timeoutMs: number): Promise<Socket> {
  const opened = Promise.withResolvers<Socket>()
  const fail = (why: string, code?: unknown): void => {
    const error = new Error(`the proxy ${proxy.host} ${why}`)
    opened.reject(typeof code === 'string' ? Object.assign(error, { code }) : error)
  }
  const late: NodeJS.ErrnoException = new Error('late')
  const request = (proxy.protocol === 'https:' ? requestHttps : requestHttp)({
    // Brackets are a URL's.
    host: proxy.hostname.replace(/^\[|\]$/g, ''),
    port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
    method: 'CONNECT',
    path: target,
    agent: false,
    headers: { host: target, ...authorizationOf(proxy) },
  })
  const timer = setTimeout(() => request.destroy(late), timeoutMs)
  const settle = (): void => clearTimeout(timer)
  opened.promise.then(settle, settle)
  request.on('connect', ({ statusCode = 0 }, socket: Socket, head: Buffer) => {
    if (statusCode < 200 || statusCode >= 300) {
      socket.destroy()
      const advice = statusCode === 407 ? ': set its login in HTTPS_PROXY, as in http://user:password@host:port' : ''
      return fail(`answered ${statusCode} when asked for ${target}${advice}`)
    }
    if (head.length > 0) socket.unshift(head)
    // Until somebody is handed it; who reads or writes then hears of it too.
    socket.on('error', () => undefined)
    opened.resolve(socket)
  })
  refuseOthers(request, fail)
  request.on('error', (error: NodeJS.ErrnoException) => {
    fail(
      error === late ? `made no connection to ${target} in time` : `could not be reached: ${error.message}`,
      error.code,
    )
  })
  request.end()
  return opened.promise
}

/** A proxy that takes CONNECT for another request has no connection to give. */
function refuseOthers(request: ClientRequest, fail: (why: string) => void): void {
  request.on('response', (response) => {
    response.destroy()
    fail(`answered ${response.statusCode} without a connection`)
  })
}

function authorizationOf({ username, password }: URL): { 'proxy-authorization'?: string } {
  if (username === '' && password === '') return {}
  const login = { username: decodeURIComponent(username), password: decodeURIComponent(password) }
  return { 'proxy-authorization': basicAuthorization(login) }
}
