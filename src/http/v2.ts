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
import { createAuditedPull } from './audited-pull.ts'
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
  /** Absent: nothing can be pushed. */
  push?: Push
  /** Absent: clients are told to look at fallback tags. */
  referrers?: Pick<Referrers, 'list'>
  /** Absent: nothing can be deleted. */
  deletions?: Deletions
  log: Logger
}

const catalogRules = {
  defaultLimit: 100,
  maxLimit: 1000,
  isEntry: (last: string) => parseStreamName(last) !== undefined,
}

/** Adds the routes of `/v2/` to `app`. */
export function addV2Routes(app: Hono<HttpEnv>, deps: V2Deps): void {
  const { authorize, push, referrers, deletions } = deps
  const audited = createAuditedPull(deps)

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
  // A name may end in the words of a path: the longer paths come first.
  if (push !== undefined) {
    addUploadRoutes(app, { ...within, push })
    addManifestRoutes(app, { ...within, push })
  }
  const allow =
    push === undefined ? { session: '', uploads: '' } : { session: 'GET, HEAD, PATCH, PUT, DELETE', uploads: 'POST' }
  app.all('/v2/:name{.+}/blobs/uploads/:id', () => unsupported(allow.session))
  for (const path of ['/v2/:name{.+}/blobs/uploads', '/v2/:name{.+}/blobs/uploads/']) {
    app.all(path, () => unsupported(allow.uploads))
  }
  addPullRoutes(app, within)
  if (referrers !== undefined) addReferrerRoutes(app, { ...within, referrers })
  if (deletions !== undefined) addDeleteRoutes(app, { ...within, deletions })

  const deletes = deletions === undefined ? '' : ', DELETE'
  app.all('/v2/:name{.+}/manifests/:reference', () =>
    unsupported(`GET, HEAD${push === undefined ? '' : ', PUT'}${deletes}`),
  )
  app.all('/v2/:name{.+}/blobs/:digest', () => unsupported(`GET, HEAD${deletes}`))
  const read = ['/v2', '/v2/', '/v2/_catalog', '/v2/:name{.+}/tags/list']
  if (referrers !== undefined) read.push('/v2/:name{.+}/referrers/:digest')
  for (const path of read) app.all(path, () => unsupported('GET, HEAD'))
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
  const message = allow === '' ? 'nothing can be pushed here' : `this path has ${allow}`
  return toResponse(json(405, { errors: [{ code: 'UNSUPPORTED', message, detail: null }] }, { allow }))
}
