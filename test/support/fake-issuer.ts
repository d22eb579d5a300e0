import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'
import { createFakeAuthority } from './fake-upstream-tls.ts'

/** What a path answers: a document, or anything else that a server can do. */
export type FakeAnswer = object | string | ((request: IncomingMessage, response: ServerResponse) => void)

export interface FakeKey {
  kid: string
  alg: string
  privateKey: CryptoKey
  /** Public. */
  jwk: JWK
}

/** A server that claims to be an OIDC issuer, and does what a test makes it do. */
export interface FakeIssuer {
  /** Its own address, and `iss` unless the test says otherwise. */
  issuer: string
  /** PEM. */
  ca: string
  /** By path; at first a good discovery document and key set. */
  answers: Map<string, FakeAnswer>
  /** Paths asked for, in order. */
  requests: string[]
  /** The key that signs unless another is named. */
  key: FakeKey
  /** Publishes these keys alone. */
  publish(...keys: object[]): void
  /** Signs with `iss`, `aud` `weir`, `sub` `someone`, and times around `now`; what is undefined is left out. */
  sign(claims?: JWTPayload, options?: { key?: FakeKey; header?: Record<string, unknown> }): Promise<string>
  stop(): Promise<void>
}

export const discoveryPath = '/.well-known/openid-configuration'
export const keysPath = '/keys'

export async function makeFakeKey(alg = 'ES256', kid: string = crypto.randomUUID()): Promise<FakeKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

export async function startFakeIssuer({ now = Date.now }: { now?: () => number } = {}): Promise<FakeIssuer> {
  const authority = await createFakeAuthority()
  const key = await makeFakeKey()
  const requests: string[] = []
  const answers = new Map<string, FakeAnswer>()
  const server = createServer(await authority.certificate(['localhost', '127.0.0.1']), (request, response) => {
    requests.push(request.url ?? '')
    const answer = answers.get(request.url ?? '')
    if (typeof answer === 'function') return answer(request, response)
    if (answer === undefined) return void response.writeHead(404).end()
    response.setHeader('content-type', 'application/json')
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `https://localhost:${(server.address() as AddressInfo).port}`
  const publish = (...keys: object[]) => void answers.set(keysPath, { keys })
  answers.set(discoveryPath, { issuer, jwks_uri: `${issuer}${keysPath}` })
  publish(key.jwk)

  return {
    issuer,
    ca: authority.ca,
    answers,
    requests,
    key,
    publish,
    async sign(claims = {}, { key: by = key, header = {} } = {}) {
      const at = Math.floor(now() / 1000)
      const all = { iss: issuer, aud: 'weir', sub: 'someone', iat: at, nbf: at, exp: at + 600, ...claims }
      const present = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
      return new SignJWT(present).setProtectedHeader({ alg: by.alg, kid: by.kid, ...header }).sign(by.privateKey)
    },
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
