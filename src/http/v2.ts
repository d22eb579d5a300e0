/** The OCI distribution API: who may, one domain call, the answer. */
import type { Hono } from 'hono'
import type { Logger } from 'pino'
import type { Authorizer, Subject } from '../access/access.ts'
import type { AuditEvent } from '../audit/event.ts'
import type { Audit } from '../audit.ts'
import { RegistryError } from '../oci/errors.ts'
import { isTag, parseStreamName, type StreamName } from '../oci/reference.ts'
import type { PullThrough } from '../pull-through.ts'
import type { StreamReader } from '../streams/streams.ts'
import { createAuditedPull, type Learned, pulledObject } from './audited-pull.ts'
import type { Authorize } from './authorize.ts'
import type { BlobBodies } from './blob-bodies.ts'
import { createServeBlob } from './blobs.ts'
import { type CatalogDeps, visibleStreams } from './catalog.ts'
import type { HttpContext, HttpEnv } from './exchange.ts'
import { manifestHead } from './manifest-answer.ts'
import { nextLink, readPage } from './paging.ts'
import { json, toResponse } from './respond.ts'

export interface V2Deps extends CatalogDeps {
  authorize: Authorize
  pullThrough: PullThrough
  reader: Pick<StreamReader, 'streams'>
  authorizer: Pick<Authorizer, 'can'>
  audit: Pick<Audit, 'write'>
  blobBodies?: BlobBodies
  log: Logger
}

const tagRules = { maxLimit: 1000, isEntry: isTag }
const catalogRules = {
  defaultLimit: 100,
  maxLimit: 1000,
  isEntry: (last: string) => parseStreamName(last) !== undefined,
}

/** Adds the routes of `/v2/` to `app`. */
export function addV2Routes(app: Hono<HttpEnv>, deps: V2Deps): void {
  const { authorize, pullThrough } = deps
  const serveBlob = createServeBlob(deps)
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
      return list({ repositories }, found.length > limit ? nextPage('/v2/_catalog', limit, repositories) : undefined)
    }),
  )

  app.get('/v2/:name{.+}/manifests/:reference', async (c) => {
    const name = readName(c.req.param('name'))
    const reference = c.req.param('reference')
    const asked = { verb: 'pull', object: pulledObject(name, reference), always: true }
    return audited(c.env, asked, async (learn) => {
      await requirePull(c, name, learn)
      const head = c.req.method === 'HEAD'
      const manifest = await pullThrough.manifest(name, reference, { head })
      const { status, headers } = manifestHead(manifest, c.req.header('if-none-match'))
      return new Response(head || status === 304 ? null : toBody(manifest.bytes), { status, headers: pairs(headers) })
    })
  })

  app.get('/v2/:name{.+}/blobs/:digest', async (c) => {
    const name = readName(c.req.param('name'))
    const digest = c.req.param('digest')
    const asked = { verb: 'pull', object: pulledObject(name, digest), always: false }
    return audited(c.env, asked, async (learn) => {
      await requirePull(c, name, learn)
      return serveBlob(c, name, digest)
    })
  })

  app.get('/v2/:name{.+}/tags/list', async (c) => {
    const name = readName(c.req.param('name'))
    return audited(c.env, { verb: 'list', object: pulledObject(name), always: false }, async (learn) => {
      await requirePull(c, name, learn)
      const { limit, last } = readPage(queryOf(c), tagRules)
      const after = last === undefined ? {} : { after: last }
      const found = await pullThrough.tags(name, limit === undefined ? after : { ...after, limit: limit + 1 })
      const tags = found.slice(0, limit)
      const path = `/v2/${name.project}/${name.stream}/tags/list`
      const next = limit !== undefined && found.length > limit ? nextPage(path, limit, tags) : undefined
      return list({ name: `${name.project}/${name.stream}`, tags }, next)
    })
  })

  for (const path of ['/v2', '/v2/', '/v2/_catalog', '/v2/:name{.+}/tags/list']) app.all(path, unsupported)
  for (const path of ['/v2/:name{.+}/blobs/uploads', '/v2/:name{.+}/blobs/uploads/:id{.*}']) app.all(path, noUploads)
  for (const path of ['/v2/:name{.+}/manifests/:reference', '/v2/:name{.+}/blobs/:digest']) app.all(path, unsupported)
  app.all('/v2/*', (c) => notFound(c))

  async function requirePull(c: HttpContext, name: StreamName, learn: (learned: Learned) => void): Promise<void> {
    const identified = (subject: Subject) => learn({ subject })
    learn({ grant: await authorize.stream(c.req.header('authorization'), name, 'pull', identified) })
  }
}

/** What is no stream's. */
function registryObject(resource: string): AuditEvent['object'] {
  return { group: '', resource, project: '', name: '' }
}

function readName(name: string): StreamName {
  const parsed = parseStreamName(name)
  if (parsed !== undefined) return parsed
  const depth = name.split('/').length
  const message =
    depth === 2
      ? 'invalid repository name: project and stream are of lower-case letters, digits and single separators, without the words basic and bearer'
      : `invalid repository name: it has ${depth} component${depth === 1 ? '' : 's'}, and a name here is project/stream`
  throw new RegistryError('NAME_INVALID', { message, detail: { name } })
}

function notFound(c: HttpContext): Response {
  const error = { code: 'NAME_UNKNOWN', message: 'there is nothing at this path', detail: { path: c.req.path } }
  return toResponse(json(404, { errors: [error] }))
}

function unsupported(c: HttpContext): Response {
  const { method } = c.req
  if (method === 'PUT') return noUploads(c)
  return methodNotAllowed(
    'GET, HEAD',
    method === 'DELETE'
      ? 'nothing can be deleted here: delete the image stream tag through the API'
      : 'only GET and HEAD are supported here',
  )
}

function noUploads(c: HttpContext): Response {
  const message = 'pushing to Weir is not supported: push to the upstream registry and import the image'
  return methodNotAllowed(c.req.path.includes('/blobs/uploads') ? '' : 'GET, HEAD', message)
}

function methodNotAllowed(allow: string, message: string): Response {
  return toResponse(json(405, { errors: [{ code: 'UNSUPPORTED', message, detail: null }] }, { allow }))
}

function list(body: unknown, link: string | undefined): Response {
  return toResponse(json(200, body, link === undefined ? {} : { link }))
}

function nextPage(path: string, limit: number, entries: readonly string[]): string | undefined {
  const last = entries.at(-1)
  return last === undefined ? undefined : nextLink(path, limit, last)
}

function queryOf(c: HttpContext): URLSearchParams {
  return new URL(c.req.url).searchParams
}

function toBody(bytes: Buffer | undefined): Uint8Array<ArrayBuffer> {
  if (bytes === undefined) throw new TypeError('a manifest for GET came without its bytes')
  return new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length)
}

function pairs(flat: readonly string[]): [string, string][] {
  const entries: [string, string][] = []
  for (let i = 0; i < flat.length; i += 2) entries.push([flat[i] ?? '', flat[i + 1] ?? ''])
  return entries
}
