import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { RegistryError } from '../../src/oci/errors.ts'
import { credentialsFromRules, loginIdsFromRules } from '../../src/upstream/credentials.ts'
import { createLoginFile } from '../../src/upstream/login-file.ts'
import type { Login, LoginSource, UpstreamRule } from '../../src/upstream/upstream.ts'
import { testClock } from '../support/clock.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { type FakeInterceptor, fakeAnswer, fakeError } from '../support/fake-upstream-answers.ts'
import { makeImage } from '../support/images.ts'
import { at, failureOf, recordingLog, startClient } from './start-client.ts'

const image = makeImage('changing logins')
const { digest, bytes } = image.manifest
const [layer = image.config] = image.layers

async function registryWith(auth: Parameters<FakeUpstream['setAuth']>[0]): Promise<FakeUpstream> {
  const registry = await startFakeUpstream({ auth })
  registry.put('lib/app', image, { tag: 'v1' })
  return registry
}

function ruleFor(host: string, source: LoginSource): UpstreamRule {
  return { host, insecure: true, login: { source, projects: ['demo'], repositories: ['**'] } }
}

/** Gives one password after the other, the next whenever it is asked to renew. */
function sourceOf(...passwords: string[]): LoginSource & { renewals: number } {
  const loginAt = (index: number): Login => ({ username: 'AWS', password: passwords[index] ?? '' })
  const source = {
    renewals: 0,
    login: async () => loginAt(Math.min(source.renewals, passwords.length - 1)),
    renewed: async () => {
      source.renewals += 1
      return source.renewals < passwords.length ? loginAt(source.renewals) : undefined
    },
  }
  return source
}

/** The passwords that a registry was sent, in their order. */
function sentTo(registry: FakeUpstream): string[] {
  return registry.requests.flatMap(({ headers }) => {
    const basic = /^Basic (.+)$/.exec(headers.authorization ?? '')?.[1]
    return basic === undefined ? [] : [Buffer.from(basic, 'base64').toString().split(':')[1] ?? '']
  })
}

describe('a password in a file', () => {
  async function world(kind: 'basic' | 'bearer') {
    const registry = await registryWith({ kind, users: { robot: 'old-hush' }, anonymous: false } as never)
    const file = join(await temporaryDirectory(), 'password')
    await writeFile(file, 'old-hush\n')
    const clock = testClock()
    const { log } = recordingLog()
    const loginOf = (text: string): Login => ({ username: 'robot', password: text.trimEnd() })
    const source = createLoginFile({
      file,
      key: 'k',
      initial: loginOf('old-hush'),
      parse: loginOf,
      now: clock.now,
      log,
    })
    const started = startClient([ruleFor(registry.host, source)])
    return { registry, file, fileClock: clock, ...started }
  }

  test.each(['basic', 'bearer'] as const)('is read again when a registry of %s refuses it', async (kind) => {
    const { registry, file, client, logs } = await world(kind)
    await client.manifest(at(registry.host), 'v1')
    registry.setAuth({ kind, users: { robot: 'new-hush' }, anonymous: false } as never)
    await writeFile(file, 'new-hush\n')
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest })
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest })
    expect(sentTo(registry).filter((password) => password === 'old-hush').length).toBeLessThanOrEqual(3)
    expect(logs.join('')).not.toMatch(/hush/)
  })

  test.each(['basic', 'bearer'] as const)('that stays the same is not sent twice to %s', async (kind) => {
    const { registry, client } = await world(kind)
    registry.setAuth({ kind, users: {}, anonymous: false } as never)
    expect(await failureOf(client.manifest(at(registry.host), 'v1'))).toMatchObject({ code: 'DENIED' })
    expect(sentTo(registry)).toEqual(['old-hush'])
  })

  test('that changed proves itself anew, though tokens for the old one are still good', async () => {
    const { registry, file, fileClock, client } = await world('bearer')
    await client.manifest(at(registry.host), 'v1')
    await writeFile(file, 'guessed\n')
    fileClock.advance(5000)
    expect(await failureOf(client.manifest(at(registry.host), 'v1'))).toMatchObject({ code: 'DENIED' })
  })
})

const expiredText = 'Your authorization token has expired. Reauthenticate and try again.'
const expired = fakeError(403, expiredText)

/** As ECR does: Basic, and 403 for a login that was good. */
function ecr(good: string, refusal = expired): FakeInterceptor {
  return (req, _res, next) => {
    if (req.headers.authorization === undefined) return next()
    const password = Buffer.from(req.headers.authorization.slice(6), 'base64').toString().split(':')[1]
    return password === good ? next() : refusal
  }
}

describe("ECR's expired login", () => {
  async function world(source: LoginSource, interceptor: FakeInterceptor) {
    const registry = await registryWith({ kind: 'basic', users: { AWS: 'fresh' } })
    registry.intercept(interceptor)
    return { registry, ...startClient([ruleFor(registry.host, source)], { timeouts: { refusalMs: 60_000 } }) }
  }

  test('is renewed once, and the request sent again', async () => {
    const source = sourceOf('stale', 'fresh')
    const { registry, client } = await world(source, ecr('fresh'))
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest })
    expect(sentTo(registry)).toEqual(['stale', 'fresh'])
    expect(source.renewals).toBe(1)
  })

  test('is renewed where a HEAD, which says nothing, was refused', async () => {
    const source = sourceOf('stale', 'fresh')
    const { registry, client } = await world(source, ecr('fresh'))
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest })
    expect(source.renewals).toBe(1)
    const asked = registry.requests.filter(({ headers }) => headers.authorization !== undefined)
    const head = 'HEAD /v2/lib/app/manifests/v1'
    expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual([head, 'GET /v2/', head])
  })

  test('is renewed for a push', async () => {
    const source = sourceOf('stale', 'fresh')
    const { registry, client } = await world(source, ecr('fresh'))
    const pushed = await client.pushManifest(at(registry.host), 'v2', bytes, image.manifest.mediaType)
    expect(pushed).toEqual({})
    expect(registry.manifest('lib/app', 'v2')).toMatchObject({ digest })
    expect(source.renewals).toBe(1)
  })

  test('is renewed for a blob', async () => {
    const source = sourceOf('stale', 'fresh')
    const { registry, client } = await world(source, ecr('fresh'))
    const { body } = await client.blob(at(registry.host), layer.digest)
    body.close()
    expect(sentTo(registry)).toEqual(['stale', 'fresh'])
  })

  test('is not renewed a second time for the same request', async () => {
    const source = sourceOf('stale', 'staler', 'fresh')
    const { registry, client } = await world(source, ecr('fresh'))
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { status: 403, reason: 'CredentialsExpired' } })
    expect(sentTo(registry)).toEqual(['stale', 'staler'])
  })

  test.each([
    ['that says something else', fakeError(403, 'User is not authorized to perform ecr:BatchGetImage')],
    ['without words', fakeAnswer(403, '')],
    ['that says so beyond its first 16 KiB', fakeAnswer(403, `${' '.repeat(16 * 1024)}${expiredText}`)],
  ])('is not seen in a 403 %s', async (_what, refusal) => {
    const source = sourceOf('stale', 'fresh')
    const { registry, client } = await world(source, ecr('fresh', refusal))
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ upstream: { status: 403, reason: 'Forbidden' } })
    expect(source.renewals).toBe(0)
    expect(sentTo(registry)).toEqual(['stale'])
  })

  test.each(['manifest', 'blob'] as const)('is not waited for in the body of a %s that never ends', async (kind) => {
    const source = sourceOf('stale', 'fresh')
    const registry = await registryWith({ kind: 'basic', users: { AWS: 'fresh' } })
    registry.intercept((req, res, next) => {
      if (req.headers.authorization === undefined) return next()
      res.writeHead(403, { 'content-type': 'text/plain' })
      res.write('Your authorization')
      return undefined
    })
    const { client } = startClient([ruleFor(registry.host, source)], { timeouts: { refusalMs: 20 } })
    const asked =
      kind === 'manifest' ? client.manifest(at(registry.host), 'v1') : client.blob(at(registry.host), digest)
    expect(await failureOf(asked)).toMatchObject({ upstream: { status: 403 } })
    expect(source.renewals).toBe(0)
  })

  test('is not seen where somebody else answers, after a redirect', async () => {
    const storage = await startFakeUpstream()
    storage.intercept(() => expired)
    const source = sourceOf('stale', 'fresh')
    const registry = await registryWith({ kind: 'basic', users: { AWS: 'stale' } })
    registry.intercept((req, _res, next) =>
      req.headers.authorization === undefined
        ? next()
        : fakeAnswer(307, '', { location: `${storage.origin}${req.url}` }),
    )
    const { client } = startClient([ruleFor(registry.host, source), storage.host])
    expect(await failureOf(client.blob(at(registry.host), layer.digest))).toMatchObject({ upstream: { status: 403 } })
    expect(source.renewals).toBe(0)
  })

  test.each(['resolve', 'manifest'] as const)('of a login that nothing renews is told as that (%s)', async (ask) => {
    const registry = await registryWith({ kind: 'basic', users: {} })
    registry.intercept(ecr('fresh'))
    const credentialsFor = () => [
      { id: 'secrets/demo/ecr', title: 'secret "ecr"', username: 'AWS', password: 'stale' },
      { id: 'secrets/demo/other', title: 'secret "other"', registryToken: 'wrong' },
    ]
    const { client } = startClient([registry.host], { credentialsFor })
    const error = await failureOf(client[ask](at(registry.host), 'v1'))
    expect(error).toMatchObject({
      code: 'DENIED',
      upstream: { host: registry.host, status: 403, reason: 'CredentialsExpired' },
    })
    expect(error.message).toContain('tried secret "ecr" (403, it has expired or was revoked), then secret "other" (')
    expect(error.message).toContain('renew it where it is kept')
  })
})

describe('a source that fails', () => {
  const failing: LoginSource = {
    login: async () => {
      throw new RegistryError('UNAVAILABLE', { message: 'the helper is not there' })
    },
    renewed: async () => undefined,
  }
  const login = { username: 'robot', password: 'good', projects: ['demo'], repositories: ['**'] }

  test('does not stand in the way of other logins', async () => {
    const registry = await registryWith({ kind: 'basic', users: { robot: 'good' } })
    const { client } = startClient([ruleFor(registry.host, failing), { host: registry.host, insecure: true, login }])
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest })
  })

  test('is told, and nobody is asked without a login in its place', async () => {
    const registry = await registryWith({ kind: 'basic', users: { robot: 'good' } })
    const { client } = startClient([ruleFor(registry.host, failing)])
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', message: 'the helper is not there' })
  })

  test('has an id all the same, for which it is not asked', () => {
    const idsFor = loginIdsFromRules([ruleFor('a.example', failing), { host: 'a.example', insecure: true, login }])
    expect(idsFor('demo', 'a.example', 'lib/app')).toEqual(['upstreams[0]', 'upstreams[1]'])
    expect(idsFor('other', 'a.example', 'lib/app')).toEqual([])
  })

  test('I9: is not asked for who may not use its login', async () => {
    let asked = 0
    const counting: LoginSource = { ...failing, login: async () => ({ username: String(++asked), password: 'x' }) }
    const credentialsFor = credentialsFromRules([ruleFor('a.example', counting)])
    for (const [project, host] of [
      ['other', 'a.example'],
      ['demo', 'b.example'],
    ] as const) {
      for await (const credential of credentialsFor(project, host, 'lib/app')) expect(credential).toBeUndefined()
    }
    expect(asked).toBe(0)
  })
})
