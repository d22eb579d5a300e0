/** An in-process upstream registry, honest unless a test tells it to misbehave. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import type { Defer } from './directory.ts'
import {
  type FakeAnswer,
  type FakeInterceptor,
  type FakeMatch,
  type FakeRequest,
  fakeAnswer,
  fakeError,
  matches,
  requestOf,
} from './fake-upstream-answers.ts'
import { createFakeAuth, type FakeAuth, type FakeTokenRequest } from './fake-upstream-auth.ts'
import { createFakePushes, type FakePushes } from './fake-upstream-pushes.ts'
import { createFakeRepositories, type FakeRepositories } from './fake-upstream-repositories.ts'
import type { Piece, TestImage, TestIndex } from './images.ts'

/** Answers that wait. `arrived(n)` settles when n requests are held; `release` lets them and all later ones go. */
export interface FakeHold {
  arrived(count?: number): Promise<void>
  release(): void
}

export interface FakeUpstreamOptions {
  auth?: FakeAuth
  /** Serves HTTPS instead of HTTP; PEM. */
  tls?: { key: string; cert: string }
  /** A fixed port, to come back where an upstream was closed; default any. */
  port?: number
  /** Default: it goes with the test. */
  defer?: Defer
}

export interface FakeUpstream {
  /** `127.0.0.1:port`, as written in image references. */
  host: string
  /** `http://127.0.0.1:port` or `https://127.0.0.1:port`. */
  origin: string
  /** Puts an image, an index with its children, or a single piece (a manifest when its type says so, else a blob). */
  put(repository: string, content: TestImage | TestIndex | Piece, options?: { tag?: string }): void
  /** Moves `tag` to a digest that was put before. */
  tag(repository: string, tag: string, digest: Digest): void
  untag(repository: string, tag: string): void
  /** Forgets a manifest or blob in every repository; tags that stand at it answer 404. */
  remove(digest: Digest): void
  /** What was put or pushed there. */
  manifest(repository: string, reference: string): Piece | undefined
  blob(repository: string, digest: string): Piece | undefined
  /** All requests in the order they arrived, the token endpoint's included. */
  requests: FakeRequest[]
  /** What the token endpoint was asked. */
  tokenRequests: FakeTokenRequest[]
  /** The requests that match. */
  matching(match: FakeMatch): FakeRequest[]
  /** How many requests are being answered now, and were at most at one time. */
  active: number
  mostActive: number
  setAuth(auth: FakeAuth): void
  /** Adds an interceptor, outermost last; returns what removes it. */
  intercept(interceptor: FakeInterceptor): () => void
  /** Holds the answers to matching requests (default all). */
  hold(match?: FakeMatch): FakeHold
  close(): Promise<void>
}

/** Starts an upstream on 127.0.0.1 that is closed when the test finishes. */
export async function startFakeUpstream(options: FakeUpstreamOptions = {}): Promise<FakeUpstream> {
  const { defer = onTestFinished } = options
  const repositories = createFakeRepositories()
  const pushes = createFakePushes(repositories)
  const interceptors: FakeInterceptor[] = []
  const listener = (req: IncomingMessage, res: ServerResponse): void => void answer(req, res)
  const server = options.tls ? createTlsServer(options.tls, listener) : createServer(listener)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const origin = `${options.tls ? 'https' : 'http'}://${host}`
  let auth = createFakeAuth(options.auth ?? { kind: 'none' }, origin)

  const upstream: FakeUpstream = {
    host,
    origin,
    put: repositories.put,
    tag: repositories.tag,
    untag: repositories.untag,
    remove: repositories.remove,
    manifest: repositories.manifest,
    blob: repositories.blob,
    requests: [],
    tokenRequests: [],
    matching: (match) => upstream.requests.filter((request) => matches(match, request)),
    active: 0,
    mostActive: 0,
    setAuth: (next) => {
      auth = createFakeAuth(next, origin)
    },
    intercept: (interceptor) => {
      interceptors.push(interceptor)
      return () => void interceptors.splice(interceptors.indexOf(interceptor), 1)
    },
    hold: (match) => hold(upstream, match ?? /^/),
    close: async () => {
      if (!server.listening) return
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    upstream.requests.push({ method: req.method ?? '', path: req.url ?? '', headers: { ...req.headers } })
    upstream.active += 1
    upstream.mostActive = Math.max(upstream.mostActive, upstream.active)
    res.once('close', () => {
      upstream.active -= 1
    })
    // What is sent is taken in by whoever takes it, once it flows.
    if (req.method !== 'POST' && req.method !== 'PUT') req.resume()
    else res.once('finish', () => req.resume())
    const innermost = async (): Promise<FakeAnswer> =>
      auth(req, upstream.tokenRequests) ?? serve(repositories, pushes, req)
    const chain = interceptors.reduce<() => Promise<FakeAnswer | undefined>>(
      (next, interceptor) => async () =>
        interceptor(req, res, async () => (await next()) ?? fakeAnswer(500, 'an inner interceptor answered itself')),
      innermost,
    )
    const given = await chain()
    if (given !== undefined && !res.headersSent && !res.destroyed) send(req, res, given)
  }

  defer(() => upstream.close())
  return upstream
}

function send(req: IncomingMessage, res: ServerResponse, { status, headers, body, cutAfter }: FakeAnswer): void {
  res.writeHead(status, { 'content-length': String(body.length), ...headers })
  if (req.method === 'HEAD' || status === 304) return void res.end()
  if (cutAfter === undefined) return void res.end(body)
  res.write(body.subarray(0, cutAfter), () => res.destroy())
}

function hold(upstream: FakeUpstream, match: FakeMatch): FakeHold {
  const held = Promise.withResolvers<void>()
  const waiters: { count: number; resolve: () => void }[] = []
  let count = 0
  upstream.intercept(async (req, _res, next) => {
    if (matches(match, requestOf(req))) {
      count += 1
      for (const waiter of waiters) if (count >= waiter.count) waiter.resolve()
      await held.promise
    }
    return next()
  })
  return {
    arrived: (wanted = 1) =>
      new Promise((resolve) => {
        if (count >= wanted) resolve()
        else waiters.push({ count: wanted, resolve })
      }),
    release: held.resolve,
  }
}

function serve(
  repositories: FakeRepositories,
  pushes: FakePushes,
  req: IncomingMessage,
): FakeAnswer | Promise<FakeAnswer> {
  const path = (req.url ?? '').split('?')[0] ?? ''
  if (path === '/v2/') return fakeAnswer(200, '{}', { 'content-type': 'application/json' })
  if (req.method === 'POST' || req.method === 'PUT') return pushes(req)
  const listed = /^\/v2\/(.+)\/tags\/list$/.exec(path)?.[1]
  if (listed !== undefined && req.method === 'GET') return tagsPage(listed, repositories.tags(listed), req.url ?? '')
  const match = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path)
  if (!match || (req.method !== 'GET' && req.method !== 'HEAD')) return fakeError(404, 'NOT_FOUND')
  const [, repository = '', kind, reference = ''] = match
  if (kind === 'manifests') {
    const found = repositories.manifest(repository, reference)
    return found === undefined ? fakeError(404, 'MANIFEST_UNKNOWN') : whole(found)
  }
  const found = repositories.blob(repository, reference)
  if (found === undefined) return fakeError(404, 'BLOB_UNKNOWN')
  return ranged({ ...found, mediaType: 'application/octet-stream' }, req.headers.range)
}

/** A page of at most `n` tags after `last`, and the way to the next (OCI distribution spec, "Listing Tags"). */
function tagsPage(name: string, tags: string[] | undefined, path: string): FakeAnswer {
  if (tags === undefined) return fakeError(404, 'NAME_UNKNOWN')
  const query = new URL(path, 'http://any').searchParams
  const last = query.get('last')
  const rest = last === null ? tags : tags.filter((tag) => tag > last)
  const page = rest.slice(0, Number(query.get('n') ?? rest.length))
  const next = new URLSearchParams({ n: String(page.length), last: page.at(-1) ?? '' })
  const link = page.length < rest.length ? { link: `</v2/${name}/tags/list?${next}>; rel="next"` } : {}
  return fakeAnswer(200, JSON.stringify({ name, tags: page }), { 'content-type': 'application/json', ...link })
}

function whole({ digest, mediaType, bytes }: Piece): FakeAnswer {
  return { status: 200, headers: { 'content-type': mediaType, 'docker-content-digest': digest }, body: bytes }
}

function ranged(found: Piece, range: string | undefined): FakeAnswer {
  const all = whole(found)
  all.headers['accept-ranges'] = 'bytes'
  const match = /^bytes=(\d+)-(\d*)$/.exec(range ?? '')
  if (!match) return all
  const size = found.bytes.length
  const start = Number(match[1])
  const end = Math.min(match[2] === '' ? size - 1 : Number(match[2]), size - 1)
  if (start > end) return fakeAnswer(416, '', { 'content-range': `bytes */${size}` })
  return {
    status: 206,
    headers: { ...all.headers, 'content-range': `bytes ${start}-${end}/${size}` },
    body: found.bytes.subarray(start, end + 1),
  }
}
