import { describe, expect, test } from 'vitest'
import type { TokenRequest } from '../../src/access/access.ts'
import type { AccessOptions } from '../../src/access/create-access.ts'
import { createLogins } from '../../src/access/logins.ts'
import { createSessions } from '../../src/access/sessions.ts'
import { accessGround, accessWorld, bearer, group, issuer, service, testProvider, tokenRequest } from './world.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const ann = { user: 'ann', secret: 'pw' }
const all = 'repository:demo/app:pull,push'
const refused = expect.objectContaining({ code: 'UNAUTHORIZED' })

async function world(options: Partial<AccessOptions> = {}, sessionLifetimeMs = 30 * day) {
  const provider = testProvider('htpasswd', sessionLifetimeMs)
  const access = await accessWorld({ providers: [provider], ...options })
  await access.bind('demo', 'system:image-puller', group('devs'))
  const seconds = () => access.clock.now() / 1000
  const ask = (request: Partial<TokenRequest>) =>
    access.tokenService.grant(tokenRequest({ login: ann, scopes: [all], ...request }))
  const refresh = (refreshToken = '', request: Partial<TokenRequest> = {}) =>
    ask({ login: { refreshToken }, ...request })
  return { ...access, provider, ask, refresh, seconds }
}

describe('a login', () => {
  test.each([undefined, '', service])(
    'for the service %j gets a token for images, with what it may of the scopes',
    async (asked) => {
      const { ask, tokens } = await world()
      const { token, access, subject } = await ask({ service: asked })
      expect(access).toEqual([{ type: 'repository', name: 'demo/app', actions: ['pull'] }])
      expect(await tokens.verifyRegistryToken(token.token)).toMatchObject({ subject, access })
      await expect(tokens.verifyLoginToken(token.token)).rejects.toEqual(refused)
    },
  )

  test('for the issuer as service gets a token for the API, which has no scopes', async () => {
    const { ask, tokens, authenticator, seconds } = await world()
    const { token, access } = await ask({ service: issuer })
    expect([access, token.expiresInSeconds]).toEqual([[], 12 * 3600])
    const subject = { name: 'ann', groups: ['devs', 'system:authenticated'], uid: 'uid-pw', provider: 'htpasswd' }
    expect(await authenticator.authenticate(bearer(token.token))).toEqual({ ...subject, endsAt: seconds() + 12 * 3600 })
    await expect(tokens.verifyRegistryToken(token.token)).rejects.toEqual(refused)
    await expect(tokens.verifyServiceAccountToken(token.token)).rejects.toEqual(refused)
  })

  test.each(['other.test', `${issuer}/`, issuer.toUpperCase(), `${service}/`, 'https://weir.test:5000'])(
    'for the service %s is BAD_REQUEST',
    async (asked) => {
      const { ask } = await world()
      await expect(ask({ service: asked })).rejects.toMatchObject({
        code: 'BAD_REQUEST',
        message: expect.stringContaining(service),
      })
    },
  )

  test('of nobody gets no token for the API', async () => {
    const { ask } = await world()
    for (const login of [undefined, { user: '', secret: '' }]) {
      await expect(ask({ login, service: issuer })).rejects.toEqual(refused)
    }
  })

  test('gets a refresh token when it asks for one, and none when not', async () => {
    const { ask } = await world()
    expect(await ask({})).not.toHaveProperty('refreshToken')
    const granted = await ask({ offline: true, clientId: 'docker' })
    expect(granted.refreshToken).toMatch(/^weir_refresh_/)
    expect(granted.subject.session).toBeDefined()
  })

  test('of a provider without sessions gets none', async () => {
    const { ask, sessions } = await world({}, 0)
    const granted = await ask({ offline: true })
    expect(granted).not.toHaveProperty('refreshToken')
    expect([granted.subject.session, await sessions.list()]).toEqual([undefined, []])
  })

  test('of a robot or the admin gets none: its own token lives long, and ends with its account', async () => {
    const { ask, tokens, account, admin } = await world()
    const robot = (await tokens.issueServiceAccountToken(await account('demo', 'ci'))).token
    const master = (await admin.ensureAdmin({ kubeconfigExists: false })) ?? ''
    for (const secret of [robot, master]) {
      expect(await ask({ login: { user: 'x', secret }, offline: true })).not.toHaveProperty('refreshToken')
    }
  })

  test('that is wrong is refused and begins nothing, and is never anonymous', async () => {
    const { ask, sessions, bind } = await world()
    await bind('demo', 'system:image-puller', group('system:unauthenticated'))
    for (const login of [
      { user: 'ann', secret: 'wrong' },
      { user: 'bob', secret: 'pw' },
      { user: 'ann', secret: '' },
    ]) {
      await expect(ask({ login, offline: true })).rejects.toEqual(refused)
    }
    expect(await sessions.list()).toEqual([])
  })

  test('goes on without a refresh token where there are too many sessions', async () => {
    const { authenticator, store, clock, signal, log } = await world()
    const full = createSessions({ store, isKnown: () => true, maxSessions: 0, now: clock.now, signal, log })
    await full.ready
    const providers = [{ name: 'htpasswd', sessionLifetimeMs: day }]
    const current = { confirm: async () => true }
    const logIn = createLogins({ authenticator, sessions: full, providers, current, issuer })
    const loggedIn = await logIn(tokenRequest({ login: ann, offline: true }))
    expect([loggedIn.subject.name, loggedIn.refreshToken]).toEqual(['ann', undefined])
  })
})

describe('an identity that ends by time', () => {
  test('gives tokens that end with it, though clients are told a minute', async () => {
    const { ask, tokens, provider, clock, seconds } = await world()
    for (const asked of [service, issuer]) {
      provider.endsAt = seconds() + 10
      const { token } = await ask({ service: asked })
      expect(token.expiresInSeconds).toBe(60)
      const verify = () =>
        asked === service ? tokens.verifyRegistryToken(token.token) : tokens.verifyLoginToken(token.token)
      clock.advance(9_999)
      expect(await verify()).toBeDefined()
      clock.advance(1)
      await expect(verify()).rejects.toMatchObject({
        code: 'UNAUTHORIZED',
        message: expect.stringContaining('expired'),
      })
    }
    provider.endsAt = seconds() + 300
    expect((await ask({})).token.expiresInSeconds).toBe(300)
    expect((await ask({ service: issuer })).token.expiresInSeconds).toBe(300)
    provider.endsAt = seconds() + 365 * 86_400
    expect((await ask({})).token.expiresInSeconds).toBe(900)
  })

  test('ends a kept token on the warm path too, and what was decided for it', async () => {
    const { ask, tokens, tokenService, provider, clock, seconds } = await world()
    provider.endsAt = seconds() + 10
    const { token } = await ask({})
    const verified = await tokens.verifyRegistryToken(token.token)
    const pull = { project: 'demo', stream: 'app', action: 'pull' } as const
    expect(tokenService.mayAccess(verified, pull)).toBeDefined()
    clock.advance(9_999)
    expect(tokens.peekRegistryToken(token.token)).toBe(verified)
    expect(tokenService.mayAccess(verified, pull)).toBeDefined()
    clock.advance(1)
    expect(tokens.peekRegistryToken(token.token)).toBeUndefined()
    expect(tokenService.mayAccess(verified, pull)).toBeUndefined()
    expect(tokenService.mayListCatalog(verified)).toBe(false)
  })

  test('goes on by its session, for as long as that lasts', async () => {
    const { ask, refresh, provider, clock, seconds } = await world()
    provider.endsAt = seconds() + 10
    const { refreshToken, subject, token } = await ask({ offline: true })
    expect([subject.endsAt, token.expiresInSeconds]).toEqual([seconds() + 30 * 86_400, 900])
    clock.advance(29 * day)
    expect((await refresh(refreshToken)).token.expiresInSeconds).toBe(900)
    clock.advance(day)
    await expect(refresh(refreshToken)).rejects.toEqual(refused)
  })

  test('is refused at its end, although its provider takes it a little longer', async () => {
    const { ask, provider, seconds } = await world()
    provider.endsAt = seconds()
    await expect(ask({})).rejects.toMatchObject({ code: 'UNAUTHORIZED', message: expect.stringContaining('expired') })
  })
})

describe('a refresh token', () => {
  test('gets tokens for images and for the API, whichever client sends it', async () => {
    const { ask, refresh, tokens } = await world()
    const { refreshToken, subject } = await ask({ offline: true, clientId: 'docker', service: issuer })
    const pull = await refresh(refreshToken, { clientId: 'containerd-client' })
    expect(pull.access).toEqual([{ type: 'repository', name: 'demo/app', actions: ['pull'] }])
    expect((await tokens.verifyRegistryToken(pull.token.token)).subject).toEqual(subject)
    const api = await refresh(refreshToken, { service: issuer })
    expect(await tokens.verifyLoginToken(api.token.token)).toMatchObject({ name: 'ann', session: subject.session })
  })

  test('is followed by another only where the client can keep it: docker goes on with the one it has', async () => {
    const { ask, refresh, clock } = await world()
    const { refreshToken } = await ask({ offline: true })
    for (let i = 0; i < 3; i++) {
      clock.advance(hour)
      expect(await refresh(refreshToken)).not.toHaveProperty('refreshToken')
    }
    const next = (await refresh(refreshToken, { offline: true })).refreshToken
    expect(next).not.toBe(refreshToken)
    clock.advance(minute)
    expect(await refresh(next)).toBeDefined()
    await expect(refresh(refreshToken)).rejects.toEqual(refused)
    await expect(refresh(next)).rejects.toEqual(refused)
  })

  test('takes the rights as they are at each use', async () => {
    const { ask, refresh, bind, remove } = await world()
    const { refreshToken } = await ask({ offline: true })
    const key = await bind('demo', 'system:image-pusher', group('devs'))
    const actions = async () => (await refresh(refreshToken)).access.flatMap((each) => each.actions)
    expect(await actions()).toEqual(['pull', 'push'])
    await remove(key)
    expect(await actions()).toEqual(['pull'])
  })

  test('is neither password nor bearer', async () => {
    const { ask, authenticator, tokens } = await world()
    const { refreshToken = '' } = await ask({ offline: true })
    for (const login of [
      { user: 'ann', secret: refreshToken },
      { user: '<token>', secret: refreshToken },
    ]) {
      await expect(ask({ login })).rejects.toEqual(refused)
    }
    expect(await authenticator.authenticate(bearer(refreshToken))).toBeUndefined()
    await expect(tokens.verifyRegistryToken(refreshToken)).rejects.toEqual(refused)
    await expect(tokens.verifyLoginToken(refreshToken)).rejects.toEqual(refused)
  })

  test('no other token is one', async () => {
    const { ask, refresh, tokens, account, admin } = await world()
    const secrets = [
      (await ask({})).token.token,
      (await ask({ service: issuer })).token.token,
      (await tokens.issueServiceAccountToken(await account('demo', 'ci'))).token,
      (await admin.ensureAdmin({ kubeconfigExists: false })) ?? '',
      'pw',
      '',
    ]
    for (const secret of secrets) await expect(refresh(secret)).rejects.toEqual(refused)
  })

  test('ends with the password of its user, and is good again for nobody who is called the same', async () => {
    const { ask, refresh, provider } = await world()
    const { refreshToken } = await ask({ offline: true })
    provider.users.set('ann', 'changed')
    provider.changed()
    await expect(refresh(refreshToken)).rejects.toEqual(refused)
    provider.users.delete('ann')
    await expect(refresh(refreshToken)).rejects.toEqual(refused)
  })
})

describe('a token for the API', () => {
  test('is a password at /token, and what is made of it ends with it', async () => {
    const { ask, tokens, clock, seconds } = await world()
    const { token } = await ask({ service: issuer })
    clock.advance(12 * hour - 10_000)
    const login = { user: 'ann', secret: token.token }
    const [pull, again] = [await ask({ login }), await ask({ login, service: issuer })]
    expect([pull.subject.endsAt, again.subject.endsAt]).toEqual([seconds() + 10, seconds() + 10])
    clock.advance(10_000)
    await expect(tokens.verifyRegistryToken(pull.token.token)).rejects.toEqual(refused)
    await expect(tokens.verifyLoginToken(again.token.token)).rejects.toEqual(refused)
    await expect(ask({ login })).rejects.toEqual(refused)
  })

  test('that came by no session begins none: twelve hours do not become thirty days', async () => {
    const { ask, sessions, clock } = await world()
    const { token } = await ask({ service: issuer })
    const login = { user: 'ann', secret: token.token }
    for (const service of [undefined, issuer]) {
      expect(await ask({ login, offline: true, service })).not.toHaveProperty('refreshToken')
    }
    expect(await sessions.list()).toEqual([])
    clock.advance(12 * hour)
    await expect(ask({ login, offline: true })).rejects.toEqual(refused)
  })

  test.each(['a robot', 'the admin'])('of %s ends with its own, and can not be renewed without end', async (who) => {
    const { ask, tokens, account, admin, clock, seconds } = await world()
    const secret =
      who === 'a robot'
        ? (await tokens.issueServiceAccountToken(await account('demo', 'ci'), 600)).token
        : ((await admin.ensureAdmin({ kubeconfigExists: false })) ?? '')
    const lifeSeconds = who === 'a robot' ? 600 : 12 * 3600
    const first = (await ask({ login: { user: 'x', secret }, service: issuer })).token
    expect(first.expiresInSeconds).toBe(lifeSeconds)
    clock.advance(lifeSeconds * 1000 - 1000)
    const second = await ask({ login: { user: 'x', secret: first.token }, service: issuer })
    expect(second.subject.endsAt).toBe(seconds() + 1)
    clock.advance(1000)
    await expect(tokens.verifyLoginToken(second.token.token)).rejects.toEqual(refused)
  })

  test('of the admin ends with the token that he logged in with', async () => {
    const { ask, tokens, admin } = await world()
    const secret = (await admin.ensureAdmin({ kubeconfigExists: false })) ?? ''
    const { token } = await ask({ login: { user: 'x', secret }, service: issuer })
    expect(await tokens.verifyLoginToken(token.token)).toMatchObject({ name: 'weir:admin' })
    await admin.ensureAdmin({ kubeconfigExists: false })
    await expect(tokens.verifyLoginToken(token.token)).rejects.toEqual(refused)
  })

  test('begins a session that ends with its own, and that one begins no other', async () => {
    const { ask, sessions, clock, seconds } = await world()
    const first = await ask({ service: issuer, offline: true })
    clock.advance(hour)
    const docker = await ask({ login: { user: 'ann', secret: first.token.token }, offline: true, service: issuer })
    expect(docker.subject).toMatchObject({ name: 'ann', endsAt: seconds() + 30 * 86_400 - 3600 })
    expect(docker.subject.session).not.toBe(first.subject.session)
    const third = await ask({ login: { user: 'ann', secret: docker.token.token }, offline: true })
    expect(third).not.toHaveProperty('refreshToken')
    await sessions.revoke(first.subject.session ?? '')
    for (const { token } of [first, docker]) {
      await expect(ask({ login: { user: 'ann', secret: token.token } })).rejects.toEqual(refused)
    }
  })

  test('of a login with too many groups is BAD_REQUEST and says so', async () => {
    const { tokens } = await world()
    const groups = Array.from({ length: 400 }, (_, i) => `sso:group-of-some-length-${i}`)
    const subject = { name: 'ann', groups, provider: 'htpasswd', uid: 'uid-pw' }
    for (const issue of [tokens.issueLoginToken, (of: typeof subject) => tokens.issueRegistryToken(of, [])]) {
      await expect(issue(subject)).rejects.toMatchObject({
        code: 'BAD_REQUEST',
        message: expect.stringContaining('400 groups'),
      })
    }
  })

  test('of a usual login is short: 30 groups and a session are less than 2 KiB, a pull token less than 4', async () => {
    const { tokens, ask } = await world()
    const { session = '' } = (await ask({ offline: true })).subject
    const groups = Array.from({ length: 30 }, (_, i) => `sso:team-${i}`)
    const subject = { name: 'sso:ann@example.com', groups, provider: 'sso', session, endsAt: 2 ** 31, uid: session }
    expect((await tokens.issueLoginToken(subject)).token.length).toBeLessThan(2048)
    const access = Array.from({ length: 10 }, (_, i) => ({
      type: 'repository',
      name: `some-project/some-stream-${i}`,
      actions: ['pull', 'push'],
    }))
    expect((await tokens.issueRegistryToken(subject, access)).token.length).toBeLessThan(4096)
  })
})

test('everything goes on after a restart, until the provider is taken out of the config', async () => {
  const ground = await accessGround()
  const provider = testProvider()
  const first = await ground.open({ providers: [provider] })
  const asked = tokenRequest({ login: ann, offline: true })
  const { token, refreshToken = '' } = await first.tokenService.grant(asked)
  const api = await first.tokenService.grant({ ...asked, service: issuer })
  const refreshing = tokenRequest({ login: { refreshToken } })
  const second = await ground.open({ providers: [testProvider()] })
  expect(await second.tokens.verifyRegistryToken(token.token)).toBeDefined()
  expect(await second.tokens.verifyLoginToken(api.token.token)).toBeDefined()
  expect(await second.tokenService.grant(refreshing)).toBeDefined()
  for (const providers of [[], [testProvider('sso')]]) {
    const third = await ground.open({ providers })
    await expect(third.tokens.verifyRegistryToken(token.token)).rejects.toEqual(refused)
    await expect(third.tokens.verifyLoginToken(api.token.token)).rejects.toEqual(refused)
    await expect(third.tokenService.grant(refreshing)).rejects.toEqual(refused)
  }
  const fourth = await ground.open({ providers: [provider] })
  expect(await fourth.tokenService.grant(refreshing)).toBeDefined()
})
