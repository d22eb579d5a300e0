/** The OCI distribution API: who may, one domain call, the answer. */
import type { Hono } from 'hono'
import type { Logger } from 'pino'
import type { Authorizer } from '../access/access.ts'
import type { AuditEvent } from '../audit/event.ts'
import type { Audit } from '../audit.ts'
import type { Deletions } from '../deletions.ts'
import { parseStreamName } from '../oci/reference.ts'
import type { PullThrough } from '../pull-through.ts'
import type { Push } from '../push.ts'
import type { Referrers } from '../referrers.ts'
import type { StreamReader } from '../streams/streams.ts'
import { createAuditedRequest } from './audited-request.ts'
import type { Authorize } from './authorize.ts'
import type { BlobBodies } from './blob-bodies.ts'
import { type CatalogDeps, visibleStreams } from './catalog.ts'
import type { HttpContext, HttpEnv } from './exchange.ts'
import { nextPage, readPage } from './paging.ts'
import { json, toResponse } from './respond.ts'
import { addDeleteRoutes } from './v2/delete-routes.ts'
import { addManifestRoutes } from './v2/manifest-routes.ts'
import { addPullRoutes } from './v2/pull-routes.ts'
import { addReferrerRoutes } from './v2/referrer-routes.ts'
import { createRepository, queryOf } from './v2/repository.ts'
import { addUploadRoutes } from './v2/upload-routes.ts'

export interface V2Deps extends CatalogDeps {
  authorize: Authorize
  pullThrough: PullThrough
  reader: Pick<StreamReader, 'streams'>
  authorizer: Pick<Authorizer, 'can'>
  audit: Pick<Audit, 'write'>
  blobBodies?: BlobBodies
  push: Push
  referrers: Pick<Referrers, 'list'>
  deletions: Deletions
  log: Logger
}

const catalogRules = {
  defaultLimit: 100,
  maxLimit: 1000,
  isEntry: (last: string) => parseStreamName(last) !== undefined,
}

/** What each path has, for those who ask for something else. */
const uploadPaths = [
  ['/v2/:name{.+}/blobs/uploads', 'POST'],
  ['/v2/:name{.+}/blobs/uploads/', 'POST'],
  ['/v2/:name{.+}/blobs/uploads/:id', 'GET, HEAD, PATCH, PUT, DELETE'],
] as const
const paths = [
  ['/v2', 'GET, HEAD'],
  ['/v2/', 'GET, HEAD'],
  ['/v2/_catalog', 'GET, HEAD'],
  ['/v2/:name{.+}/manifests/:reference', 'GET, HEAD, PUT, DELETE'],
  ['/v2/:name{.+}/blobs/:digest', 'GET, HEAD, DELETE'],
  ['/v2/:name{.+}/tags/list', 'GET, HEAD'],
  ['/v2/:name{.+}/referrers/:digest', 'GET, HEAD'],
] as const

/** Adds the routes of `/v2/` to `app`. */
export function addV2Routes(app: Hono<HttpEnv>, deps: V2Deps): void {
  const { authorize } = deps
  const audited = createAuditedRequest(deps)

  app.on('GET', ['/v2', '/v2/'], (c) =>
    audited(c.env, { verb: 'ping', object: registryObject(''), always: false }, async () => {
      await authorize.any(c.req.header('authorization'))
      return toResponse(json(200, {}))
    }),
  )

  app.get('/v2/_catalog', (c) =>
    audited(c.env, { verb: 'list', object: registryObject('catalog'), always: false }, async (learn) => {
      const token = await authorize.catalog(c.req.header('authorization'), (subject) => learn({ subject }))
      const { limit = 0, last } = readPage(queryOf(c), catalogRules)
      const found = await visibleStreams(deps, token.subject, last, limit + 1)
      const repositories = found.slice(0, limit)
      const next = found.length > limit ? nextPage('/v2/_catalog', limit, repositories) : {}
      return toResponse(json(200, { repositories }, next))
    }),
  )

  const within = { ...deps, repository: createRepository(deps) }
  addUploadRoutes(app, within)
  // What is no upload's could be a blob's called uploads.
  for (const [path, allow] of uploadPaths) app.all(path, () => unsupported(allow))
  addManifestRoutes(app, within)
  addPullRoutes(app, within)
  addReferrerRoutes(app, within)
  addDeleteRoutes(app, within)
  for (const [path, allow] of paths) app.all(path, () => unsupported(allow))
  app.all('/v2/*', (c) => notFound(c))
}

/** What is no stream's. */
function registryObject(resource: string): AuditEvent['object'] {
  return { group: '', resource, project: '', name: '' }
}

function notFound(c: HttpContext): Response {
  const error = { code: 'NAME_UNKNOWN', message: 'there is nothing at this path', detail: { path: c.req.path } }
  return toResponse(json(404, { errors: [error] }))
}

function unsupported(allow: string): Response {
  const message = `this path has ${allow} alone`
  return toResponse(json(405, { errors: [{ code: 'UNSUPPORTED', message, detail: null }] }, { allow }))
}
