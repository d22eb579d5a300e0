import type { IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import type { Credential } from '../../src/upstream/upstream.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { type FakeInterceptor, fakeAnswer, fakeError } from '../support/fake-upstream-answers.ts'
import { answering, redirecting } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import { at, failureOf, startClient } from './start-client.ts'

const image = makeImage('login kinds')
const { digest } = image.manifest

const identity: Credential = { id: 'secrets/demo/acr', identityToken: 'refresh-hush', username: '0000' }
const bearer: Credential = { id: 'secrets/demo/own', registryToken: 'own-hush' }
const password: Credential = { id: 'secrets/demo/plain', username: 'robot', password: 'plain-hush' }

/** A client of one registry with these credentials; `others` are hosts that it may reach as well. */
async function world(
  credentials: readonly Credential[],
  auth: Parameters<FakeUpstream['setAuth']>[0],
  others: readonly string[] = [],
) {
  const registry = await startFakeUpstream({ auth })
  for (const name of ['lib/app', 'lib/other']) registry.put(name, image, { tag: 'v1' })
  const started = startClient([registry.host, ...others], { credentialsFor: () => credentials })
  return { registry, ...started }
}

const noAnonymous = {
  kind: 'bearer',
  anonymous: false,
  users: { robot: 'plain-hush', '0000': 'refresh-hush' },
} as const

/** A token endpoint that exchanges `good`, and remembers what it was sent. */
function exchanging(forms: URLSearchParams[], good: string): FakeInterceptor {
  return async (req, _res, next) => {
    if (req.method !== 'POST') return next()
    const form = new URLSearchParams(await bodyOf(req))
    forms.push(form)
    if (form.get('refresh_token') !== good) return fakeError(401, 'UNAUTHORIZED')
    return fakeAnswer(200, JSON.stringify({ access_token: `exchanged-${forms.length}`, expires_in: 300 }))
  }
}

/** Lets in who comes with an exchanged token. */
const accepting: FakeInterceptor = (req, _res, next) => {
  if (!/^Bearer exchanged-/.test(req.headers.authorization ?? '')) return next()
  return fakeAnswer(200, image.manifest.bytes.toString(), { 'content-type': image.manifest.mediaType })
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of req) pieces.push(piece as Buffer)
  return Buffer.concat(pieces).toString()
}

describe('an identity token', () => {
  test('is posted to the token endpoint for the very repository, and its token kept', async () => {
    const { registry, client } = await world([identity], noAnonymous)
    const forms: URLSearchParams[] = []
    registry.intercept(exchanging(forms, 'refresh-hush'))
    registry.intercept(accepting)
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest })
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest })
    expect(forms.map((form) => Object.fromEntries(form))).toEqual([
      {
        grant_type: 'refresh_token',
        service: 'fake-registry',
        scope: 'repository:lib/app:pull',
        client_id: 'weir',
        refresh_token: 'refresh-hush',
      },
    ])
    const [posted] = registry.matching(/^POST/)
    expect(posted?.path).toBe('/token')
    expect(posted?.headers).toMatchObject({ 'content-type': 'application/x-www-form-urlencoded' })
    expect(posted?.headers.authorization).toBeUndefined()
  })

  test.each([400, 401, 404, 405])(
    'is sent as a password to an endpoint that answers a POST with %s',
    async (status) => {
      const { registry, client } = await world([identity], noAnonymous)
      registry.intercept((req, _res, next) => (req.method === 'POST' ? fakeError(status, 'UNSUPPORTED') : next()))
      expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest })
      expect(registry.tokenRequests.map(({ username }) => username)).toEqual(['0000'])
    },
  )

  test('that is refused is tried as a password where its user is known, and then the next login is', async () => {
    const nobody: Credential = { ...identity, username: '' }
    const wrong: Credential = { ...identity, identityToken: 'wrong-hush' }
    const { registry, client, logs } = await world([nobody, wrong, password], noAnonymous)
    registry.intercept(exchanging([], 'another'))
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest })
    expect(registry.tokenRequests.map(({ username }) => username)).toEqual(['0000', 'robot'])
    expect(logs.join('')).not.toMatch(/hush/)
  })

  test.each([400, 401])('that its endpoint refuses with %i is told to have ended', async (status) => {
    const { registry, client, logs } = await world([{ ...identity, username: '' }], noAnonymous)
    registry.intercept((req, _res, next) =>
      req.method === 'POST' ? fakeAnswer(status, '{"error":"invalid_grant"}') : next(),
    )
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { status, reason: 'CredentialsExpired' } })
    expect(error.message).toContain(`login secrets/demo/acr (${status}, it has expired or was revoked)`)
    expect([error.message, ...logs].join('')).not.toMatch(/hush/)
  })

  test('is not sent to a registry that asks for Basic', async () => {
    const { registry, client } = await world([identity], { kind: 'basic', users: { '0000': 'refresh-hush' } })
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error.message).toContain('tried login secrets/demo/acr (401), then without a login (401)')
    expect(JSON.stringify(registry.requests)).not.toMatch(/authorization/i)
  })

  test('I9: is not posted on to where the token endpoint redirects', async () => {
    const thief = await startFakeUpstream()
    const { registry, client } = await world([identity], noAnonymous)
    registry.intercept(redirecting(/^POST/, `${thief.origin}/token`, 307))
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ upstream: { reason: 'Invalid', status: 307 } })
    expect(thief.requests).toEqual([])
  })

  test.each([
    ['another host', (thief: string) => `${thief}/token`],
    ['a URL with a login', (thief: string) => thief.replace('//', '//a:b@')],
  ])('I9: is not posted to %s that a registry names as its realm', async (_what, realm) => {
    const thief = await startFakeUpstream()
    const origin = thief.origin.replace('127.0.0.1', 'localhost')
    const { registry, client } = await world([identity], noAnonymous, [new URL(origin).host])
    registry.setAuth({ kind: 'bearer', realm: realm(origin) })
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ upstream: { reason: 'NotAllowed' } })
    expect(thief.requests).toEqual([])
  })

  test('that is changed proves itself anew', async () => {
    const credentials: Credential[] = [identity]
    const { registry, client } = await world(credentials, noAnonymous)
    registry.intercept(exchanging([], 'refresh-hush'))
    registry.intercept(accepting)
    await client.manifest(at(registry.host), 'v1')
    credentials[0] = { ...identity, identityToken: 'guessed' }
    expect(await failureOf(client.manifest(at(registry.host), 'v1'))).toMatchObject({ code: 'DENIED' })
  })
})

describe('a registry token', () => {
  test.each(['basic', 'bearer'] as const)('is sent as it is where the registry asks for %s', async (kind) => {
    const { registry, client } = await world([bearer], { kind, users: {} })
    registry.intercept((req, _res, next) =>
      req.headers.authorization === 'Bearer own-hush'
        ? fakeAnswer(200, image.manifest.bytes.toString(), { 'content-type': image.manifest.mediaType })
        : next(),
    )
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest })
    expect(registry.matching(/token/)).toEqual([])
  })

  test('I9: goes to no token endpoint, and not along with a redirect', async () => {
    const storage = await startFakeUpstream()
    const [layer] = image.layers
    const { registry, client } = await world([bearer], noAnonymous, [storage.host])
    registry.intercept((req, _res, next) => {
      if (req.headers.authorization !== 'Bearer own-hush') return next()
      return fakeAnswer(307, '', { location: `${storage.origin}${req.url}` })
    })
    storage.intercept(answering(/blobs/, fakeAnswer(200, 'x')))
    const { body } = await client.blob(at(registry.host), layer?.digest ?? digest)
    body.close()
    expect(storage.requests.map(({ headers }) => headers.authorization)).toEqual([undefined])
    expect(registry.matching(/token/)).toEqual([])
  })

  test('that is refused is named and not told', async () => {
    const { registry, client, logs } = await world([bearer], noAnonymous)
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error.message).toContain('tried login secrets/demo/own (401), then without a login (401)')
    expect(`${error.message}${logs.join('')}`).not.toMatch(/hush/)
  })
})

describe('a login that a registry refused before it took another', () => {
  const wrong: Credential = { id: 'secrets/demo/a', username: 'robot', password: 'old-hush' }
  const usersOf = (registry: FakeUpstream) => registry.tokenRequests.map(({ username = '-' }) => username)

  test('is not sent again with every request', async () => {
    const credentials = [wrong, password]
    const { registry, client } = await world(credentials, { ...noAnonymous, lifetimeSeconds: 1 })
    for (let count = 0; count < 3; count += 1) await client.manifest(at(registry.host), 'v1')
    const sent = registry.matching(/token/).map(({ headers }) => headers.authorization?.slice(6) ?? '')
    const passwords = sent.map((basic) => Buffer.from(basic, 'base64').toString().split(':')[1])
    expect(passwords).toEqual(['old-hush', 'plain-hush', 'plain-hush', 'plain-hush'])
  })

  test('is tried again where what was taken is taken no more', async () => {
    const credentials = [wrong, password]
    const { registry, client } = await world(credentials, noAnonymous)
    await client.manifest(at(registry.host), 'v1')
    registry.setAuth({ ...noAnonymous, users: { robot: 'old-hush' } })
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest })
  })

  test('is first again for another repository, after an hour, and when it was changed', async () => {
    const credentials = [wrong, password]
    const { registry, client, clock } = await world(credentials, { kind: 'basic', users: noAnonymous.users })
    const refused = async (repository: string): Promise<number> => {
      const before = registry.requests.length
      await client.manifest(at(registry.host, repository), 'v1')
      return registry.requests
        .slice(before)
        .filter(({ headers }) => atob(headers.authorization?.slice(6) ?? '').startsWith('robot:o')).length
    }
    expect(await refused('lib/app')).toBe(1)
    expect(await refused('lib/app')).toBe(0)
    expect(await refused('lib/other')).toBe(1)
    clock.advance(3601 * 1000)
    expect(await refused('lib/app')).toBe(1)
    expect(await refused('lib/app')).toBe(0)
    credentials[0] = { ...wrong, password: 'other-hush' }
    expect(await refused('lib/app')).toBe(1)
  })

  test('comes after nobody, where nobody was let in', async () => {
    const { registry, client } = await world([wrong], { ...noAnonymous, anonymous: true, lifetimeSeconds: 1 })
    await client.manifest(at(registry.host), 'v1')
    await client.manifest(at(registry.host), 'v1')
    expect(usersOf(registry)).toEqual(['robot', '-', '-'])
    registry.setAuth({ ...noAnonymous, users: { robot: 'old-hush' } })
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest })
  })

  test('is sent once each time where all are refused', async () => {
    const { registry, client } = await world([wrong], noAnonymous)
    for (let count = 0; count < 2; count += 1) await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(usersOf(registry)).toEqual(['robot', '-', 'robot', '-'])
  })
})
