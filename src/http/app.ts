/** Everything Weir serves, in one router. */
import { Hono } from 'hono'
import type { Logger } from 'pino'
import type { Authorizer, Client, Provider, TokenService, Tokens } from '../access/access.ts'
import type { Audit } from '../audit.ts'
import type { Deletions } from '../deletions.ts'
import type { Notifications } from '../notifications.ts'
import type { PullThrough } from '../pull-through.ts'
import type { Push } from '../push.ts'
import type { Referrers } from '../referrers.ts'
import type { StreamReader } from '../streams/streams.ts'
import { createAuthorize } from './authorize.ts'
import type { BlobBodies } from './blob-bodies.ts'
import type { HttpContext, HttpEnv } from './exchange.ts'
import { addHealthRoutes, type HealthCheck } from './health.ts'
import { addHookRoutes } from './hooks.ts'
import { addLoginRoute } from './login.ts'
import { addMetricsRoute, type Metrics } from './metrics.ts'
import { json, type RenderFailure, toResponse } from './respond.ts'
import { addTokenRoutes } from './token.ts'
import { addV2Routes } from './v2.ts'

/** What the API reads of the exchange. */
export interface ApiEnv {
  Bindings: { requestId?: string; client?: Client }
}

export interface AppDeps {
  pullThrough: PullThrough
  reader: Pick<StreamReader, 'streams'>
  authorizer: Pick<Authorizer, 'can'>
  tokens: Pick<Tokens, 'verifyRegistryToken' | 'jwks' | 'openidConfiguration'>
  tokenService: TokenService
  /** The ways to log in that `/login` tells of. */
  providers: readonly Pick<Provider, 'name' | 'device'>[]
  /** `/api`, `/apis`, `/version`, `/openapi`. */
  api: Hono<ApiEnv>
  checks: readonly HealthCheck[]
  /** Default: as many bodies of blobs at the same time as its own defaults say. */
  blobBodies?: BlobBodies
  push: Push
  referrers: Pick<Referrers, 'list'>
  deletions: Deletions
  notifications: Pick<Notifications, 'receive'>
  audit: Pick<Audit, 'write'>
  metrics: Metrics
  renderFailure: RenderFailure
  log: Logger
}

/**
 * What is told at `/`, in the form that Kubernetes tells it. `oc login` looks whether something answers there.
 *
 * @see https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#RootPaths
 */
const rootPaths = [
  '/.well-known/openid-configuration',
  '/api',
  '/apis',
  '/healthz',
  '/livez',
  '/login',
  '/metrics',
  '/openapi/v3',
  '/openid/v1/jwks',
  '/readyz',
  '/token',
  '/v2/',
  '/version',
]

/** Keys change when they rotate, with an overlap that is much longer. */
const discoveryHeaders = { 'cache-control': 'public, max-age=3600' }

export function createApp(deps: AppDeps): Hono<HttpEnv> {
  const { tokens, renderFailure, api } = deps
  const app = new Hono<HttpEnv>()
  app.get('/', () => toResponse(json(200, { paths: rootPaths })))
  addHealthRoutes(app, deps)
  addMetricsRoute(app, deps)
  addTokenRoutes(app, deps)
  addLoginRoute(app, deps)
  addHookRoutes(app, deps)
  addV2Routes(app, { ...deps, authorize: createAuthorize(deps) })
  app.get('/.well-known/openid-configuration', () =>
    toResponse(json(200, tokens.openidConfiguration(), discoveryHeaders)),
  )
  app.get('/openid/v1/jwks', async () =>
    toResponse(json(200, await tokens.jwks(), { ...discoveryHeaders, 'content-type': 'application/jwk-set+json' })),
  )
  app.route('/', api)
  app.notFound(notFound)
  app.onError((error, c) => {
    const { requestId, publicUrl } = c.env
    return toResponse(renderFailure(error, { path: c.req.path, requestId, publicUrl }))
  })
  return app
}

function notFound(c: HttpContext): Response {
  const errors = [{ code: 'NAME_UNKNOWN', message: 'there is nothing at this path', detail: { path: c.req.path } }]
  return toResponse(json(404, { errors }))
}
