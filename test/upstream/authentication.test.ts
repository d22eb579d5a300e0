import { describe, expect, test } from 'vitest'
import type { UpstreamRule } from '../../src/upstream/upstream.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { type FakeInterceptor, fakeAnswer, fakeError } from '../support/fake-upstream-answers.ts'
import type { FakeAuth } from '../support/fake-upstream-auth.ts'
import { answering, failing, withHeader } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import { at, failureOf, loginRule, startClient } from './start-client.ts'

const image = makeImage('authentication')
const digest = image.manifest.digest
const users = { robot: 'pa55word!' }

async function world(auth: FakeAuth, rules: (registry: FakeUpstream) => (UpstreamRule | string)[] = withLogin) {
  const registry = await startFakeUpstream({ auth })
  for (const name of ['lib/app', 'lib/other', 'private/app']) registry.put(name, image, { tag: 'v1' })
  return { registry, ...startClient(rules(registry)) }
}

const withLogin = ({ host }: FakeUpstream): UpstreamRule[] => [loginRule(host)]
const withoutLogin = ({ host }: FakeUpstream): string[] => [host]

/** The user names that came, in order, `-` for requests without a login; of `/v2/` none. */
function usersOf(registry: FakeUpstream): string[] {
  return registry.matching(/manifests|token/).map(({ headers }) => {
    const encoded = headers.authorization?.replace(/^Basic /, '')
    if (encoded === undefined) return '-'
    return encoded.startsWith('Bearer ') ? 'token' : (Buffer.from(encoded, 'base64').toString().split(':')[0] ?? '')
  })
}

describe('Basic', () => {
  test('a login is sent once the registry asks, and at once from then on', async () => {
    const { registry, client } = await world({ kind: 'basic', users })
    await client.resolve(at(registry.host), 'v1')
    await client.resolve(at(registry.host, 'lib/other'), 'v1')
    expect(usersOf(registry)).toEqual(['-', 'robot', 'robot'])
  })

  test('a refused login is DENIED and named by its id', async () => {
    const { registry, client } = await world({ kind: 'basic', users: { robot: 'another' } })
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({
      code: 'DENIED',
      upstream: { host: registry.host, reason: 'Unauthorized', status: 401 },
    })
    expect(error.message).toBe(
      `${registry.host} denied "lib/app", or it is not there: tried login upstreams[0] (401), then without a login (401); ` +
        'put a working login into a secret of type kubernetes.io/dockerconfigjson',
    )
  })

  test('without a login it is DENIED and said that none is configured', async () => {
    const { registry, client } = await world({ kind: 'basic', users }, withoutLogin)
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'Unauthorized', status: 401 } })
    expect(error.message).toContain('tried without a login (401); project demo has no login for it')
  })

  test('a 403 is Forbidden', async () => {
    const { registry, client } = await world({ kind: 'basic', users })
    registry.intercept((req, _res, next) => (req.headers.authorization ? fakeError(403, 'DENIED') : next()))
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'Forbidden', status: 403 } })
  })
})

describe('I9: a login', () => {
  test.each([
    ['another project', 'lib/app', 'other'],
    ['another repository', 'private/app', 'demo'],
    ['a repository that only begins alike', 'libx/app', 'demo'],
  ])('is not used for %s', async (_what, repository, project) => {
    for (const auth of [
      { kind: 'basic', users },
      { kind: 'bearer', users, anonymous: false },
    ] as const) {
      const { registry, client } = await world(auth)
      const error = await failureOf(client.manifest(at(registry.host, repository, project), 'v1'))
      expect(error.code).toBe('DENIED')
      expect(error.message).toContain('has no login for it')
      expect(usersOf(registry)).not.toContain('robot')
    }
  })

  test('is not used for another host', async () => {
    const other = await startFakeUpstream({ auth: { kind: 'basic', users } })
    other.put('lib/app', image, { tag: 'v1' })
    const { client } = await world({ kind: 'none' }, ({ host }) => [loginRule(host), other.host])
    const error = await failureOf(client.manifest(at(other.host), 'v1'))
    expect(error.code).toBe('DENIED')
    expect(usersOf(other)).not.toContain('robot')
  })

  test('gives no token to a project that may not use it', async () => {
    const { registry, client } = await world({ kind: 'bearer', users, anonymous: false })
    await client.manifest(at(registry.host), 'v1')
    const error = await failureOf(client.manifest(at(registry.host, 'lib/app', 'other'), 'v1'))
    expect(error.code).toBe('DENIED')
    expect(registry.tokenRequests.map(({ username }) => username)).toEqual(['robot', undefined])
  })
})

describe('Bearer', () => {
  test('a token is fetched for the very repository, to pull, with the login and the service', async () => {
    const { registry, client } = await world({ kind: 'bearer', users, service: 'a "service", quoted' })
    await client.resolve(at(registry.host), 'v1')
    expect(registry.tokenRequests).toMatchObject([
      { scopes: ['repository:lib/app:pull'], service: 'a "service", quoted', username: 'robot' },
    ])
  })

  test('a challenge for another scope does not widen what is asked for', async () => {
    const scope = 'repository:private/app:pull,push repository:lib/app:pull,push,delete'
    const { registry, client } = await world({ kind: 'bearer', users, scope })
    await client.resolve(at(registry.host), 'v1')
    expect(registry.tokenRequests.map(({ scopes }) => scopes)).toEqual([['repository:lib/app:pull']])
  })

  test('without a login an anonymous token is fetched', async () => {
    const { registry, client } = await world({ kind: 'bearer', users }, withoutLogin)
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest })
    expect(registry.matching(/token/)[0]?.headers.authorization).toBeUndefined()
  })

  test("parameters of the realm's own are kept", async () => {
    const registry = await startFakeUpstream()
    registry.setAuth({ kind: 'bearer', realm: `${registry.origin}/token?tenant=a%20b&scope=x#part` })
    registry.put('lib/app', image, { tag: 'v1' })
    const { client } = startClient([registry.host])
    await client.resolve(at(registry.host), 'v1')
    expect(registry.tokenRequests[0]?.query.get('tenant')).toBe('a b')
    expect(registry.tokenRequests[0]?.scopes).toEqual(['repository:lib/app:pull'])
  })

  test.each(['token', 'access_token'] as const)('the field %s alone is enough', async (field) => {
    const { registry, client } = await world({ kind: 'bearer', users, field })
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest })
  })

  test('is preferred to Basic where a registry offers both', async () => {
    const { registry, client } = await world({ kind: 'bearer', users })
    registry.intercept(async (_req, _res, next) => {
      const answer = await next()
      const bearer = answer.headers['www-authenticate']
      if (typeof bearer !== 'string') return answer
      return {
        ...answer,
        headers: { ...answer.headers, 'www-authenticate': ['Negotiate', `Basic realm=x, ${bearer}`] },
      }
    })
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest })
    expect(usersOf(registry)).toEqual(['-', 'robot', 'token'])
  })

  test('a registry that challenges at its root alone is understood', async () => {
    const { registry, client } = await world({ kind: 'bearer', users })
    registry.intercept(withHeader(/manifests/, 'www-authenticate', undefined))
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest })
  })

  test('a 403 without a challenge is not the end where there is a login', async () => {
    const { registry, client } = await world({ kind: 'bearer', users })
    registry.intercept((req, _res, next) => {
      return /manifests/.test(req.url ?? '') && !req.headers.authorization ? fakeError(403, 'DENIED') : next()
    })
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest })
  })

  test('a registry with no challenge anywhere is DENIED', async () => {
    const { registry, client } = await world({ kind: 'none' })
    registry.intercept(failing(/manifests/, 401))
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { status: 401 } })
    expect(usersOf(registry)).toEqual(['-'])
  })
})

describe('a refused token', () => {
  test('that was kept is replaced once by a fresh one', async () => {
    const { registry, client } = await world({ kind: 'bearer', users })
    await client.resolve(at(registry.host), 'v1')
    // The registry forgets its tokens.
    registry.setAuth({ kind: 'bearer', users })
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest })
    expect(usersOf(registry)).toEqual(['-', 'robot', 'token', 'token', 'robot', 'token'])
  })

  test.each([
    [
      'says that it expired',
      fakeError(403, 'DENIED: Your authorization token has expired. Reauthenticate and try again.'),
    ],
    ['says nothing', fakeAnswer(403)],
  ])('that was kept and is forbidden is replaced once as well, whether the registry %s', async (_what, forbidden) => {
    const { registry, client } = await world({ kind: 'bearer', users })
    await client.resolve(at(registry.host), 'v1')
    const kept = registry.requests.at(-1)?.headers.authorization
    registry.intercept((req, _res, next) => (req.headers.authorization === kept ? forbidden : next()))
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest })
    expect(usersOf(registry)).toEqual(['-', 'robot', 'token', 'token', 'robot', 'token'])
  })

  test('that was fresh ends it: a registry that always answers 401 is asked twice for each login', async () => {
    const { registry, client } = await world({ kind: 'bearer', users })
    const challenge = `Bearer realm="${registry.origin}/token",service="fake-registry"`
    registry.intercept(failing(/manifests/, 401, { headers: { 'www-authenticate': challenge } }))
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'Unauthorized', status: 401 } })
    // None, with the login's token, with an anonymous token.
    expect(registry.matching(/manifests/)).toHaveLength(3)
    expect(registry.tokenRequests).toHaveLength(2)
  })

  test('does not lead in circles where the registry names another realm each time', async () => {
    const { registry, client } = await world({ kind: 'bearer', users }, withoutLogin)
    let count = 0
    registry.intercept((req, _res, next) => {
      if (!/manifests/.test(req.url ?? '')) return next()
      count += 1
      const challenge = `Bearer realm="${registry.origin}/token?n=${count}",service="fake-registry"`
      return fakeError(401, 'UNAUTHORIZED', { 'www-authenticate': challenge })
    })
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error.code).toBe('DENIED')
    expect(registry.matching(/manifests/).length).toBeLessThanOrEqual(4)
  })

  test('is fetched anew where the registry has moved its realm', async () => {
    const { registry, client } = await world({ kind: 'bearer', users })
    await client.resolve(at(registry.host), 'v1')
    registry.setAuth({ kind: 'bearer', users, realm: `${registry.origin}/token?new=1`, service: 'new' })
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest })
    expect(registry.tokenRequests.at(-1)?.service).toBe('new')
    const before = registry.requests.length
    await client.resolve(at(registry.host), 'v1')
    expect(registry.requests.length - before).toBe(1)
  })

  test('does not make the registry get the login itself, though it asks for Basic then', async () => {
    const { registry, client } = await world({ kind: 'bearer', users })
    const basic: FakeInterceptor = (req, _res, next) =>
      req.headers.authorization?.startsWith('Bearer')
        ? fakeError(401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="harbor"' })
        : next()
    registry.intercept(basic)
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error.code).toBe('DENIED')
    expect(registry.matching(/manifests/).every(({ headers }) => !headers.authorization?.startsWith('Basic'))).toBe(
      true,
    )
  })
})

test.each([
  ['Basic to Bearer', { kind: 'basic', users }, { kind: 'bearer', users, anonymous: false }],
  ['Bearer to Basic', { kind: 'bearer', users, anonymous: false }, { kind: 'basic', users }],
] as const)('a registry that went from %s is understood again at the second request', async (_how, before, after) => {
  const { registry, client } = await world(before)
  await client.resolve(at(registry.host), 'v1')
  registry.setAuth(after)
  await client.resolve(at(registry.host), 'v1').catch(() => undefined)
  expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest })
})

describe('several logins', () => {
  const both = ({ host }: FakeUpstream): UpstreamRule[] => [loginRule(host, 'wrong'), loginRule(host)]

  test.each([
    { kind: 'basic', users },
    { kind: 'bearer', users, anonymous: false },
  ] as const)('are tried in order until one is accepted ($kind)', async (auth) => {
    const { registry, client } = await world(auth, both)
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest })
  })

  test('are followed by an attempt without any', async () => {
    const { registry, client } = await world({ kind: 'bearer', users: {} }, both)
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest })
    expect(registry.tokenRequests.map(({ username }) => username)).toEqual(['robot', 'robot', undefined])
  })

  test('that are all refused are all named, by their ids', async () => {
    const { registry, client, logs } = await world({ kind: 'basic', users: {} }, both)
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error.message).toContain('tried login upstreams[0] (401), then login upstreams[1] (401), then without')
    expect(logs.join('')).toContain('"login":"upstreams[1]"')
  })

  test('may come one after the other, and the second is not fetched when the first does', async () => {
    const registry = await startFakeUpstream({ auth: { kind: 'basic', users } })
    registry.put('lib/app', image, { tag: 'v1' })
    let asked = 0
    const { client } = startClient([registry.host], {
      async *credentialsFor() {
        asked += 1
        yield { id: 'first', username: 'robot', password: 'pa55word!' }
        asked += 1
      },
    })
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest })
    expect(asked).toBe(1)
  })
})

describe('the token endpoint', () => {
  test('that refuses the login is DENIED with its status', async () => {
    const { registry, client } = await world({ kind: 'bearer', users: { robot: 'another' }, anonymous: false })
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'Unauthorized', status: 401 } })
    expect(error.message).toContain('tried login upstreams[0] (401), then without')
  })

  test('that is down is Unreachable, not a refusal', async () => {
    const { registry, client } = await world({ kind: 'bearer', users })
    registry.intercept(failing(/token/, 503))
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Unreachable', status: 503 } })
    expect(registry.matching(/token/)).toHaveLength(3)
  })

  test('that wants to be left alone is TOOMANYREQUESTS with its time', async () => {
    const { registry, client } = await world({ kind: 'bearer', users })
    registry.intercept(failing(/token/, 429, { headers: { 'retry-after': '120' } }))
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'TOOMANYREQUESTS', retryAfterSeconds: 120 })
    expect(registry.matching(/token/)).toHaveLength(1)
  })

  test('is not followed when it redirects', async () => {
    const { registry, client } = await world({ kind: 'bearer', users })
    const thief = await startFakeUpstream()
    registry.intercept(answering(/token/, fakeAnswer(307, '', { location: `${thief.origin}/token` })))
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Invalid', status: 307 } })
    expect(thief.requests).toEqual([])
  })
})
