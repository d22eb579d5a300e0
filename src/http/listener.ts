import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { getRequestListener, type HttpBindings } from '@hono/node-server'
import type { Hono } from 'hono'
import type { Logger } from 'pino'
import { RegistryError } from '../oci/errors.ts'
import type { ClientOf } from './client-address.ts'
import { awaitsContinue, type ChooseRequestId, type HttpEnv } from './exchange.ts'
import { type Metrics, routeOf } from './metrics.ts'
import { normaliseTarget } from './request-target.ts'
import type { RenderFailure } from './respond.ts'
import type { WarmManifest } from './warm-manifest.ts'

export interface ListenerDeps {
  app: Hono<HttpEnv>
  warmManifest: WarmManifest
  metrics: Metrics
  chooseRequestId: ChooseRequestId
  renderFailure: RenderFailure
  clientOf: ClientOf
  /** Where clients reach this listener. */
  publicUrl: string
  log: Logger
}

/** The way of every request: the warm path, the check of the target as it came, the router. */
export function createListener(deps: ListenerDeps): RequestListener {
  const { app, warmManifest, chooseRequestId, renderFailure, clientOf, publicUrl, log } = deps
  const fetch = (request: Request, { incoming, outgoing }: HttpBindings) => {
    const requestId = String(outgoing.getHeader('x-request-id'))
    return app.fetch(request, { incoming, outgoing, requestId, publicUrl, client: clientOf(incoming) })
  }
  // What reaches this handler is a request that no URL can be made of, its Host header mostly.
  const errorHandler = (error: unknown) => {
    log.debug({ err: error }, 'request refused')
    return new Response(null, { status: 400 })
  }
  // node-server types its environment for HTTP/2 as well, which is not served.
  const route = getRequestListener((request, env) => fetch(request, env as HttpBindings), { errorHandler })

  return (incoming, outgoing) => {
    if (warmManifest(incoming, outgoing)) return
    const sent = incoming.headers['x-request-id']
    const requestId = chooseRequestId(typeof sent === 'string' ? sent : undefined)
    outgoing.setHeader('X-Request-Id', requestId)
    const target = normaliseTarget(incoming.url ?? '')
    const path = (target ?? incoming.url ?? '').split('?', 1)[0] ?? ''
    const isV2 = path === '/v2' || path.startsWith('/v2/')
    if (isV2) outgoing.setHeader('Docker-Distribution-API-Version', 'registry/2.0')
    if (awaitsContinue(incoming)) answerExpectation(outgoing, isV2)
    account(deps, incoming, outgoing, path, requestId)
    if (target === undefined) {
      const message = 'the path has characters or segments that no path here has'
      const error = new RegistryError(isV2 ? 'NAME_INVALID' : 'BAD_REQUEST', { message })
      const { status, headers, body } = renderFailure(error, { path, requestId, publicUrl })
      outgoing.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' })
      outgoing.end(incoming.method === 'HEAD' ? undefined : body)
      return
    }
    incoming.url = target
    void route(incoming, outgoing)
  }
}

/**
 * Bodies for `/v2/` are asked for when their turn comes, all others at once. A client that was not asked sends no body, and Node
 * would wait for it: the connection ends with the answer.
 */
function answerExpectation(outgoing: ServerResponse, isV2: boolean): void {
  if (isV2) outgoing.shouldKeepAlive = false
  else outgoing.writeContinue()
}

/** Counts and logs the answer when it is out, or cut off. The query is not logged: it may carry what is nobody's business. */
function account(
  { metrics, log }: ListenerDeps,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  path: string,
  requestId: string,
): void {
  const startedAt = performance.now()
  outgoing.once('close', () => {
    const { method = '' } = incoming
    const status = outgoing.statusCode
    metrics.requests(routeOf(path), method, status).value += 1
    if (!log.isLevelEnabled('debug')) return
    const durationMs = Math.round(performance.now() - startedAt)
    log.debug({ requestId, method, path, status, durationMs, complete: outgoing.writableFinished }, 'request')
  })
}
