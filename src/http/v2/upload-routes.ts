/** Blobs in: uploads, in one piece or many, and mounts. */
import type { Hono } from 'hono'
import type { Authorizer } from '../../access/access.ts'
import { type Digest, digestAlgorithm, digestOf, parseDigest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { parseStreamName, type StreamName } from '../../oci/reference.ts'
import type { Push, Pusher, Upload } from '../../push.ts'
import type { Authorize } from '../authorize.ts'
import type { HttpContext, HttpEnv } from '../exchange.ts'
import { single } from '../paging.ts'
import { uploadHeaders } from '../respond.ts'
import { readDigest } from './parameters.ts'
import { pusherOf } from './pusher.ts'
import { type InRepository, pathOf, queryOf, type Repository } from './repository.ts'
import { requestBody, saidLength, saidRange } from './request-body.ts'

export interface UploadRoutesDeps {
  repository: Repository
  authorize: Pick<Authorize, 'mount'>
  authorizer: Pick<Authorizer, 'can'>
  push: Push
}

/** What begins an upload, as its client wrote it. */
interface Beginning {
  mount?: Digest
  from?: StreamName
  /** The upload is to be this, in one request. */
  digest?: Digest
  expectedBytes?: number
}

const upload = '/v2/:name{.+}/blobs/uploads/:id'

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs */
export function addUploadRoutes(app: Hono<HttpEnv>, deps: UploadRoutesDeps): void {
  const { repository, push, authorizer } = deps

  /** A request about an upload; of pieces of it there is a line only when they are refused. */
  const inUpload = (c: HttpContext<typeof upload>, work: (found: Found) => Promise<Response>) => {
    const { name: written, id } = c.req.param()
    const asked = { verb: 'push', always: isForbidden, actions: actionsFor(c.req.method) } as const
    return repository(c, written, asked, ({ name, token: { subject } }) =>
      work({ name, id, by: pusherOf(authorizer, { subject, client: c.env.client, name }) }),
    )
  }

  for (const path of ['/v2/:name{.+}/blobs/uploads', '/v2/:name{.+}/blobs/uploads/'] as const) {
    app.post(path, (c) => {
      const query = queryOf(c)
      const reference = parseDigest(query.get('mount') ?? query.get('digest') ?? '')
      const from = query.has('mount') ? parseStreamName(query.get('from') ?? '') : undefined
      const known = { ...(reference !== undefined && { reference }), ...(from !== undefined && { from }) }
      const asked = { verb: 'push', always: isNoSession, ...known } as const
      return repository(c, c.req.param('name'), { ...asked, actions: ['push'] }, (found) => begin(c, found, deps))
    })
  }

  app.get(upload, (c) =>
    inUpload(c, async ({ name, id, by }) => {
      const found = await push.status(name, id, by)
      return empty(204, uploadHeaders(locationOf(name, found), found.offset))
    }),
  )

  app.patch(upload, (c) =>
    inUpload(c, async ({ name, id, by }) => {
      const range = saidRange(c.env)
      const appended = await push.append(name, id, by, requestBody(c.env), range)
      return accepted(name, appended)
    }),
  )

  app.put(upload, (c) => {
    const { name: written, id } = c.req.param()
    const reference = parseDigest(queryOf(c).get('digest') ?? '')
    const asked = { verb: 'push', always: true, ...(reference !== undefined && { reference }) }
    return repository(c, written, { ...asked, actions: ['push'] }, async ({ name, token: { subject } }) => {
      const digest = readDigest(queryOf(c))
      if (digest === undefined) throw new RegistryError('DIGEST_INVALID', { message: 'digest: say what the upload is' })
      const range = saidRange(c.env)
      const by = pusherOf(authorizer, { subject, client: c.env.client, name })
      const hasLast = range !== undefined || saidLength(c.env) !== 0
      const last = hasLast ? { body: requestBody(c.env), ...(range !== undefined && { range }) } : undefined
      await push.finish(name, id, by, digest, last)
      return created(name, digest)
    })
  })

  app.delete(upload, (c) =>
    inUpload(c, async ({ name, id, by }) => {
      await push.cancel(name, id, by)
      return empty(204)
    }),
  )
}

interface Found {
  name: StreamName
  id: string
  by: Pusher
}

async function begin(c: HttpContext, { name, token }: InRepository, deps: UploadRoutesDeps): Promise<Response> {
  const { push, authorize, authorizer } = deps
  const { digest, ...asked } = readBeginning(queryOf(c), saidLength(c.env))
  if (asked.from !== undefined) authorize.mount(token, name, asked.from)
  const by = pusherOf(authorizer, { subject: token.subject, client: c.env.client, name })
  const begun = await push.begin(name, by, asked)
  if ('mounted' in begun) return created(name, begun.mounted)
  if (digest === undefined) return accepted(name, begun.upload)
  const { id } = begun.upload
  try {
    const range = saidRange(c.env)
    await push.finish(name, id, by, digest, { body: requestBody(c.env), ...(range !== undefined && { range }) })
  } catch (error) {
    // Nobody knows its name.
    await push.cancel(name, id, by).catch(() => undefined)
    throw error
  }
  return created(name, digest)
}

/**
 * What can not be mounted because it is not even a digest, or a name here, is sent. A digest with no bytes is a promise of older
 * clients to send them later, unless it is that of no bytes.
 *
 * @throws RegistryError DIGEST_INVALID; BAD_REQUEST for a parameter given twice
 */
function readBeginning(query: URLSearchParams, length: number | undefined): Beginning {
  checkAlgorithm(single(query, 'digest-algorithm'))
  const mount = parseDigest(single(query, 'mount') ?? '')
  const from = single(query, 'from') || undefined
  const digest = readDigest(query)
  const isSent = digest !== undefined && (length !== 0 || digest === digestOf('', digestAlgorithm(digest)))
  const sent = isSent ? { digest, ...(length !== undefined && { expectedBytes: length }) } : {}
  if (mount === undefined || from === undefined) return { ...sent, ...(mount !== undefined && { mount }) }
  const source = parseStreamName(from)
  return source === undefined ? sent : { ...sent, mount, from: source }
}

/** Any is fine that a digest can be of: an upload is not told apart by it. */
function checkAlgorithm(written: string | undefined): void {
  if (written === undefined || written === 'sha256' || written === 'sha512') return
  throw new RegistryError('DIGEST_INVALID', { message: 'digest-algorithm: sha256 and sha512 are supported' })
}

/** Who may pull may see how far an upload of his is: clients ask with either token. */
function actionsFor(method: string): readonly ['push'] | readonly ['push', 'pull'] {
  return method === 'GET' || method === 'HEAD' ? ['push', 'pull'] : ['push']
}

function isForbidden(status: number): boolean {
  return status === 403
}

function isNoSession(status: number): boolean {
  return status !== 202
}

function accepted(name: StreamName, begun: Upload): Response {
  return empty(202, uploadHeaders(locationOf(name, begun), begun.offset))
}

function created(name: StreamName, digest: Digest): Response {
  return empty(201, { location: `${pathOf(name)}/blobs/${digest}`, 'docker-content-digest': digest })
}

function locationOf(name: StreamName, { id }: Upload): string {
  return `${pathOf(name)}/blobs/uploads/${id}`
}

/** Older clients want a length of every answer, though it be nothing. */
function empty(status: 201 | 202 | 204, headers: Record<string, string> = {}): Response {
  return new Response(null, { status, headers: { ...headers, ...(status !== 204 && { 'content-length': '0' }) } })
}
