import type { IncomingMessage } from 'node:http'
import { formatBearerChallenge } from '../../src/oci/challenge.ts'
import { type FakeAnswer, fakeError } from './fake-upstream-answers.ts'

/** How a fake upstream asks who comes. `users` are passwords by user name. */
export type FakeAuth =
  | { kind: 'none' }
  | { kind: 'basic'; users: Record<string, string> }
  | {
      kind: 'bearer'
      users?: Record<string, string>
      /** Whether tokens are given to those without a login; default true. */
      anonymous?: boolean
      /** Default `<origin>/token`. */
      realm?: string
      service?: string
      /** The challenge's scope; default `repository:<name>:pull`, and `pull,push` where something is sent. */
      scope?: string
      /** `expires_in` of the answer, left out when null, and the token's real life; default 300. */
      lifetimeSeconds?: number | null
      /** The field that carries the token; default both. */
      field?: 'token' | 'access_token'
    }

/** A request to the token endpoint. `username` is absent when nobody logged in. */
export interface FakeTokenRequest {
  scopes: string[]
  service: string | null
  query: URLSearchParams
  username?: string
}

/** Answers for requests that may not pass and for the token endpoint; undefined lets a request pass. */
export type FakeGate = (req: IncomingMessage, asked: FakeTokenRequest[]) => FakeAnswer | undefined

export function createFakeAuth(auth: FakeAuth, origin: string): FakeGate {
  if (auth.kind === 'none') return () => undefined
  if (auth.kind === 'basic') return basicGate(auth.users)
  return bearerGate(auth, origin)
}

function basicGate(users: Record<string, string>): FakeGate {
  return (req) => {
    const username = loginOf(req)
    return username !== undefined && isLogin(req, users)
      ? undefined
      : fakeError(401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="fake registry"' })
  }
}

function bearerGate(auth: Extract<FakeAuth, { kind: 'bearer' }>, origin: string): FakeGate {
  const { users = {}, anonymous = true, realm = `${origin}/token`, service = 'fake-registry' } = auth
  const tokens = new Map<string, string[]>()

  function grant(req: IncomingMessage, url: URL, asked: FakeTokenRequest[]): FakeAnswer {
    const scopes = url.searchParams.getAll('scope')
    const username = loginOf(req)
    asked.push({
      scopes,
      service: url.searchParams.get('service'),
      query: url.searchParams,
      ...(username === undefined ? {} : { username }),
    })
    if (username === undefined ? !anonymous : !isLogin(req, users)) return fakeError(401, 'UNAUTHORIZED')
    const token = `token-${asked.length}-${crypto.randomUUID()}`
    tokens.set(token, scopes)
    const { lifetimeSeconds = 300, field } = auth
    const body = {
      ...(field === 'access_token' ? {} : { token }),
      ...(field === 'token' ? {} : { access_token: token }),
      ...(lifetimeSeconds === null ? {} : { expires_in: lifetimeSeconds }),
    }
    return { status: 200, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(body)) }
  }

  return (req, asked) => {
    const url = new URL(req.url ?? '/', origin)
    if (url.pathname === '/token') return grant(req, url, asked)
    const name = /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(url.pathname)?.[1]
    const isRead = req.method === 'GET' || req.method === 'HEAD'
    const needed = name === undefined ? undefined : `repository:${name}:${isRead ? 'pull' : 'pull,push'}`
    const more = `repository:${name}:pull,push`
    const scopes = tokens.get(/^Bearer (.+)$/.exec(req.headers.authorization ?? '')?.[1] ?? '')
    if (scopes !== undefined && (needed === undefined || scopes.includes(needed) || scopes.includes(more)))
      return undefined
    const scope = auth.scope ?? needed
    const challenge = formatBearerChallenge({ realm, service, ...(scope === undefined ? {} : { scope }) })
    return fakeError(401, 'UNAUTHORIZED', { 'www-authenticate': challenge })
  }
}

function basicOf(req: IncomingMessage): { username: string; password: string } | undefined {
  const encoded = /^Basic (.+)$/i.exec(req.headers.authorization ?? '')?.[1]
  if (encoded === undefined) return undefined
  const decoded = Buffer.from(encoded, 'base64').toString()
  const colon = decoded.indexOf(':')
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) }
}

function loginOf(req: IncomingMessage): string | undefined {
  return basicOf(req)?.username
}

function isLogin(req: IncomingMessage, users: Record<string, string>): boolean {
  const login = basicOf(req)
  return login !== undefined && users[login.username] === login.password
}
