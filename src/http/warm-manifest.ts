import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import type { TokenService, Tokens } from '../access/access.ts'
import type { Audit } from '../audit.ts'
import type { PullThrough } from '../pull-through.ts'
import { streamObject } from './audited-request.ts'
import type { ClientOf } from './client-address.ts'
import type { ChooseRequestId } from './exchange.ts'
import { manifestHead } from './manifest-answer.ts'
import type { Metrics } from './metrics.ts'

export interface WarmManifestDeps {
  tokens: Pick<Tokens, 'peekRegistryToken'>
  tokenService: Pick<TokenService, 'mayAccess'>
  pullThrough: Pick<PullThrough, 'warm'>
  chooseRequestId: ChooseRequestId
  clientOf: ClientOf
  audit: Pick<Audit, 'write'>
  metrics: Pick<Metrics, 'requests'>
  log: Logger
}

/** Answers a request and says true, or leaves it untouched and says false. */
export type WarmManifest = (incoming: IncomingMessage, outgoing: ServerResponse) => boolean

interface ManifestTarget {
  project: string
  stream: string
  reference: string
}

/**
 * The warm pull: everything is in memory, and the answer leaves in the turn that the request came in. Whatever is not exactly
 * that is left to the router, which answers the same.
 */
export function createWarmManifest(deps: WarmManifestDeps): WarmManifest {
  const { tokens, tokenService, pullThrough, chooseRequestId, clientOf, audit, metrics, log } = deps
  const counts = {
    GET: { 200: metrics.requests('manifest', 'GET', 200), 304: metrics.requests('manifest', 'GET', 304) },
    HEAD: { 200: metrics.requests('manifest', 'HEAD', 200), 304: metrics.requests('manifest', 'HEAD', 304) },
  }
  const logs = log.isLevelEnabled('debug')
  return (incoming, outgoing) => {
    const { method, url = '' } = incoming
    if (method !== 'GET' && method !== 'HEAD') return false
    const target = splitTarget(url)
    if (target === undefined) return false
    const { authorization, ifNoneMatch, sentRequestId } = readHeaders(incoming.rawHeaders)
    if (authorization === undefined || !authorization.startsWith('Bearer ')) return false
    const token = tokens.peekRegistryToken(authorization.slice(7))
    if (token === undefined) return false
    const { project, stream, reference } = target
    const grant = tokenService.mayAccess(token, { project, stream, action: 'pull' })
    if (grant === undefined) return false
    const manifest = pullThrough.warm(project, stream, reference)
    if (manifest === undefined || (manifest.bytes === undefined && method === 'GET')) return false

    const requestId = chooseRequestId(sentRequestId)
    const { status, headers } = manifestHead(manifest, ifNoneMatch)
    const own = ['Docker-Distribution-API-Version', 'registry/2.0', 'X-Request-Id', requestId]
    outgoing.writeHead(status, headers.concat(own))
    // Node leaves the body of HEAD and 304 out.
    outgoing.end(manifest.bytes)
    counts[method][status].value += 1
    audit.write({
      subject: token.subject,
      client: clientOf(incoming),
      requestId,
      surface: 'registry',
      verb: 'pull',
      object: streamObject(target, reference),
      decision: 'allowed',
      grant,
      status,
    })
    if (logs) log.debug({ requestId, method, path: url, status, warm: true }, 'request')
    return true
  }
}

/** Splits `/v2/<project>/<stream>/manifests/<reference>`; what is odd in a part finds nothing later. */
function splitTarget(url: string): ManifestTarget | undefined {
  if (!url.startsWith('/v2/')) return undefined
  const projectEnd = url.indexOf('/', 4)
  const streamEnd = url.indexOf('/', projectEnd + 1)
  if (projectEnd < 0 || !url.startsWith('/manifests/', streamEnd)) return undefined
  return {
    project: url.slice(4, projectEnd),
    stream: url.slice(projectEnd + 1, streamEnd),
    reference: url.slice(streamEnd + 11),
  }
}

interface WarmHeaders {
  /** Undefined when there is none, or more than one. */
  authorization: string | undefined
  ifNoneMatch: string | undefined
  sentRequestId: string | undefined
}

function readHeaders(rawHeaders: readonly string[]): WarmHeaders {
  let authorizations = 0
  let authorization: string | undefined
  let ifNoneMatch: string | undefined
  let sentRequestId: string | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    if (name.length !== 12 && name.length !== 13) continue
    const value = rawHeaders[i + 1]
    switch (name.toLowerCase()) {
      case 'authorization':
        authorizations += 1
        authorization = value
        break
      case 'if-none-match':
        ifNoneMatch = ifNoneMatch === undefined ? value : `${ifNoneMatch},${value}`
        break
      case 'x-request-id':
        sentRequestId ??= value
        break
    }
  }
  return { authorization: authorizations === 1 ? authorization : undefined, ifNoneMatch, sentRequestId }
}
