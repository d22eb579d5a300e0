/** Pulling: manifests, blobs, lists of tags. */
import type { Hono } from 'hono'
import type { Logger } from 'pino'
import { isTag } from '../../oci/reference.ts'
import type { PullThrough } from '../../pull-through.ts'
import type { BlobBodies } from '../blob-bodies.ts'
import { createServeBlob } from '../blobs.ts'
import type { HttpEnv } from '../exchange.ts'
import { manifestHead } from '../manifest-answer.ts'
import { nextPage, readPage } from '../paging.ts'
import { json, toResponse } from '../respond.ts'
import { pathOf, queryOf, type Repository } from './repository.ts'

export interface PullRoutesDeps {
  repository: Repository
  pullThrough: PullThrough
  blobBodies?: BlobBodies
  log: Logger
}

const tagRules = { maxLimit: 1000, isEntry: isTag }

export function addPullRoutes(app: Hono<HttpEnv>, deps: PullRoutesDeps): void {
  const { repository, pullThrough } = deps
  const serveBlob = createServeBlob(deps)

  app.get('/v2/:name{.+}/manifests/:reference', (c) => {
    const { name: written, reference } = c.req.param()
    return repository(c, written, { actions: ['pull'], verb: 'pull', reference, always: true }, async ({ name }) => {
      const head = c.req.method === 'HEAD'
      const manifest = await pullThrough.manifest(name, reference, { head })
      const { status, headers } = manifestHead(manifest, c.req.header('if-none-match'))
      return new Response(head || status === 304 ? null : toBody(manifest.bytes), { status, headers: pairs(headers) })
    })
  })

  app.get('/v2/:name{.+}/blobs/:digest', (c) => {
    const { name: written, digest } = c.req.param()
    const asked = { verb: 'pull', reference: digest, always: false }
    return repository(c, written, { actions: ['pull'], ...asked }, ({ name }) => serveBlob(c, name, digest))
  })

  app.get('/v2/:name{.+}/tags/list', (c) => {
    const asked = { verb: 'list', always: false }
    return repository(c, c.req.param('name'), { actions: ['pull'], ...asked }, async ({ name }) => {
      const { limit, last } = readPage(queryOf(c), tagRules)
      const after = last === undefined ? {} : { after: last }
      const found = await pullThrough.tags(name, limit === undefined ? after : { ...after, limit: limit + 1 })
      const tags = found.slice(0, limit)
      const next = limit !== undefined && found.length > limit ? nextPage(`${pathOf(name)}/tags/list`, limit, tags) : {}
      return toResponse(json(200, { name: `${name.project}/${name.stream}`, tags }, next))
    })
  })
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
