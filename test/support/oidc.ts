import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, importJWK, type JWK, type JWTPayload, SignJWT } from 'jose'
import { type Configuration, Provider } from 'oidc-provider'
import { createFakeAuthority, type FakeAuthority } from './fake-upstream-tls.ts'

/** The algorithms that a key of the issuer may be for. */
export type SigningAlgorithm = 'RS256' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA'

/** A real OIDC provider on a free port of localhost, over HTTPS. */
export interface TestIssuer {
  /** `iss` of its tokens. */
  issuer: string
  /** PEM of the authority of its certificate. */
  ca: string
  /** A public client that may use the device flow; `aud` of its identity tokens. */
  clientId: string
  /** A client with a secret, for machines. */
  machine: { clientId: string; clientSecret: string }
  /** Adds a person, or changes her claims: `email`, `email_verified`, `groups`, `preferred_username`, ... */
  account(sub: string, claims: Record<string, unknown>): void
  /** A person's identity token, by the whole device flow. */
  login(sub: string, scopes?: readonly string[]): Promise<string>
  /** What a person does in the browser with the code that a device shows her. */
  approve(userCode: string, sub: string): Promise<void>
  /** What she does when it was not she who asked. */
  refuse(userCode: string): Promise<void>
  /** An access token of the machine, by its client credentials: a JWT whose `aud` is the resource, an absolute URL. */
  machineToken(resource: string): Promise<string>
  /** Signs any claims with the present key; `iss`, `iat` and `exp` (10 minutes) are added where they are absent. */
  sign(claims: JWTPayload, header?: Record<string, unknown>): Promise<string>
  /** A new key signs from now on. Tokens of the one before go on, unless it is `withdrawn` from the key set. */
  rotate(options?: { algorithm?: SigningAlgorithm; withdrawn?: boolean }): Promise<void>
  /** While it is not, connections break off without an answer. */
  setReachable(reachable: boolean): void
  /** Paths asked for, in order, those that broke off too. */
  requests: string[]
  stop(): Promise<void>
}

export interface TestIssuerOptions {
  /** Default: an own one. */
  authority?: FakeAuthority
  /** Of the token itself; default 10 minutes. */
  idTokenSeconds?: number
  /** Milliseconds since the epoch, for what {@link TestIssuer.sign} adds; default the system's clock. */
  now?: () => number
}

interface SigningKey {
  jwk: JWK
  algorithm: SigningAlgorithm
}

const clientId = 'weir'
const machine = { clientId: 'build-machine', clientSecret: 'machine-secret-machine-secret-1' }
const deviceCode = 'urn:ietf:params:oauth:grant-type:device_code'

/** Starts a provider. Scopes beside `openid`: `email`, `groups`, `profile`; their claims are in the identity token. */
export async function startOidc(options: TestIssuerOptions = {}): Promise<TestIssuer> {
  const { authority = await createFakeAuthority(), idTokenSeconds = 600, now = Date.now } = options
  const people = new Map<string, Record<string, unknown>>()
  const requests: string[] = []
  let keys = [await makeKey('RS256')]
  let reachable = true

  const server = createServer(await authority.certificate(['localhost', '127.0.0.1']), (request, response) => {
    requests.push((request.url ?? '').split('?')[0] ?? '')
    if (reachable) void provider.callback()(request, response)
    else request.socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `https://localhost:${(server.address() as AddressInfo).port}`
  const makeProvider = () => new Provider(issuer, configuration({ keys, people, idTokenSeconds }))
  let provider = makeProvider()

  const post = (path: string, form: Record<string, string>) => postForm(`${issuer}${path}`, form, authority.ca)
  const approve = async (userCode: string, sub: string) => {
    const code = await provider.DeviceCode.findByUserCode(userCode.replace(/\W/g, '').toUpperCase())
    if (code === undefined) throw new Error(`no device shows the code ${userCode}`)
    const scope = String(code.params?.scope ?? 'openid')
    const grant = new provider.Grant({ clientId, accountId: sub })
    grant.addOIDCScope(scope)
    const grantId = await grant.save()
    Object.assign(code, { accountId: sub, grantId, scope, authTime: Math.floor(Date.now() / 1000) })
    await code.save()
  }

  return {
    issuer,
    ca: authority.ca,
    clientId,
    machine,
    requests,
    account: (sub, claims) => void people.set(sub, claims),
    approve,
    async refuse(userCode) {
      const code = await provider.DeviceCode.findByUserCode(userCode.replace(/\W/g, '').toUpperCase())
      if (code === undefined) throw new Error(`no device shows the code ${userCode}`)
      Object.assign(code, { error: 'access_denied', errorDescription: 'End-User aborted interaction' })
      await code.save()
    },
    async login(sub, scopes = ['openid', 'email', 'groups', 'profile']) {
      const device = await post('/device/auth', { client_id: clientId, scope: scopes.join(' ') })
      await approve(String(device.user_code), sub)
      const form = { grant_type: deviceCode, device_code: String(device.device_code), client_id: clientId }
      return String((await post('/token', form)).id_token)
    },
    async machineToken(resource) {
      const { clientId: id, clientSecret: secret } = machine
      const form = { grant_type: 'client_credentials', client_id: id, client_secret: secret, resource }
      return String((await post('/token', form)).access_token)
    },
    async sign(claims, header = {}) {
      const [key] = keys
      if (key === undefined) throw new Error('there is no key')
      const at = Math.floor(now() / 1000)
      return new SignJWT({ iss: issuer, iat: at, exp: at + 600, ...claims })
        .setProtectedHeader({ alg: key.algorithm, typ: 'JWT', kid: String(key.jwk.kid), ...header })
        .sign(await importJWK(key.jwk, key.algorithm))
    },
    async rotate({ algorithm = 'RS256', withdrawn = false } = {}) {
      keys = [await makeKey(algorithm), ...(withdrawn ? [] : keys)]
      provider = makeProvider()
    },
    setReachable(to) {
      reachable = to
      if (!to) server.closeAllConnections()
    },
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function configuration(world: {
  keys: readonly SigningKey[]
  people: Map<string, Record<string, unknown>>
  idTokenSeconds: number
}): Configuration {
  const algorithm = world.keys[0]?.algorithm ?? 'RS256'
  return {
    clients: [
      {
        client_id: clientId,
        token_endpoint_auth_method: 'none',
        grant_types: [deviceCode],
        response_types: [],
        redirect_uris: [],
        id_token_signed_response_alg: algorithm,
      },
      {
        client_id: machine.clientId,
        client_secret: machine.clientSecret,
        token_endpoint_auth_method: 'client_secret_post',
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
      },
    ],
    jwks: { keys: world.keys.map(({ jwk }) => jwk) } as NonNullable<Configuration['jwks']>,
    cookies: { keys: ['a key of a test'] },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'] },
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
      profile: ['name', 'preferred_username'],
    },
    conformIdTokenClaims: false,
    ttl: { IdToken: world.idTokenSeconds, AccessToken: 600, ClientCredentials: 600, DeviceCode: 600, Grant: 3600 },
    findAccount: (_, sub) => {
      const claims = world.people.get(sub)
      return claims === undefined ? undefined : { accountId: sub, claims: () => ({ sub, ...claims }) }
    },
    features: {
      devInteractions: { enabled: false },
      deviceFlow: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => [],
        getResourceServerInfo: (_, resource) => ({
          scope: '',
          audience: resource,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: algorithm } },
        }),
      },
    },
  }
}

async function makeKey(algorithm: SigningAlgorithm): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true })
  const kid = `${algorithm.toLowerCase()}-${crypto.randomUUID()}`
  return { jwk: { ...(await exportJWK(privateKey)), kid, alg: algorithm, use: 'sig' }, algorithm }
}

async function postForm(url: string, form: Record<string, string>, ca: string): Promise<Record<string, unknown>> {
  const { Agent, request } = await import('undici')
  const agent = new Agent({ connect: { ca } })
  try {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const body = new URLSearchParams(form).toString()
    const answer = await request(url, { dispatcher: agent, method: 'POST', headers, body })
    const text = await answer.body.text()
    if (answer.statusCode !== 200) throw new Error(`${url} answered ${answer.statusCode}: ${text}`)
    return JSON.parse(text) as Record<string, unknown>
  } finally {
    await agent.close()
  }
}
