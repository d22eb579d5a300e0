import { importJWK, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { type Access, anonymous } from '../../src/access/access.ts'
import type { Store } from '../../src/store/store.ts'
import { type Forge, forger, forgeries } from './forger.ts'
import { accessGround, accessWorld, issuer, person, service } from './world.ts'

const pull: Access = { type: 'repository', name: 'demo/app', actions: ['pull'] }
const ann = person('ann', 'devs')
const invalid = expect.objectContaining({ code: 'UNAUTHORIZED', detail: { error: 'invalid_token' } })

describe('a registry token', () => {
  test('carries who and what, and is the same object each time', async () => {
    const { tokens, clock } = await accessWorld()
    const { token, issuedAt, expiresInSeconds } = await tokens.issueRegistryToken(ann, [pull])
    expect([issuedAt, expiresInSeconds]).toEqual([clock.now() / 1000, 900])
    expect(tokens.peekRegistryToken(token)).toBeUndefined()
    const [first, second] = await Promise.all([tokens.verifyRegistryToken(token), tokens.verifyRegistryToken(token)])
    expect(first).toEqual({ subject: ann, access: [pull], expiresAt: issuedAt + 900 })
    expect(second).toBe(first)
    expect(tokens.peekRegistryToken(token)).toBe(first)
    expect(await tokens.verifyRegistryToken(token)).toBe(first)
  })

  test('verifies with the published keys, as any JWT library would do it', async () => {
    const { tokens, clock } = await accessWorld()
    const { token } = await tokens.issueRegistryToken(ann, [pull])
    const [jwk] = (await tokens.jwks()).keys
    expect(jwk).toEqual({ kty: 'EC', crv: 'P-256', x: jwk?.x, y: jwk?.y, kid: jwk?.kid, alg: 'ES256', use: 'sig' })
    const options = { issuer, audience: service, currentDate: new Date(clock.now()) }
    const { payload, protectedHeader } = await jwtVerify(token, await importJWK(jwk ?? {}), options)
    expect(protectedHeader).toEqual({ typ: 'JWT', alg: 'ES256', kid: jwk?.kid })
    expect(payload).toMatchObject({ iss: issuer, aud: service, sub: 'ann', groups: ann.groups, access: [pull] })
    expect(payload.jti).toMatch(/^[0-9a-f-]{36}$/)
    expect([payload.nbf, payload.exp]).toEqual([payload.iat, (payload.iat ?? 0) + 900])
  })

  test('of anonymous has an empty sub', async () => {
    const { tokens } = await accessWorld()
    const { token } = await tokens.issueRegistryToken(anonymous, [])
    expect(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())).toMatchObject({ sub: '' })
    expect((await tokens.verifyRegistryToken(token)).subject).toBe(anonymous)
  })

  test('is refused once expired, also from memory', async () => {
    const { tokens, clock } = await accessWorld()
    const { token } = await tokens.issueRegistryToken(ann, [pull])
    await tokens.verifyRegistryToken(token)
    clock.advance(15 * 60 * 1000 + 61_000)
    expect(tokens.peekRegistryToken(token)).toBeUndefined()
    await expect(tokens.verifyRegistryToken(token)).rejects.toEqual(invalid)
  })

  test('lives as long as configured', async () => {
    const { tokens, clock } = await accessWorld({ tokenLifetimeMs: 60_000 })
    const { token, expiresInSeconds } = await tokens.issueRegistryToken(ann, [pull])
    expect(expiresInSeconds).toBe(60)
    clock.advance(59_000)
    await tokens.verifyRegistryToken(token)
    clock.advance(62_000)
    await expect(tokens.verifyRegistryToken(token)).rejects.toEqual(invalid)
  })

  test('falls out of memory with the key that signed it', async () => {
    const world = await accessWorld()
    const { token } = await world.tokens.issueRegistryToken(ann, [pull])
    await world.tokens.verifyRegistryToken(token)
    const [key] = (await world.tokens.jwks()).keys
    await world.remove(`key/${key?.kid}`)
    await expect.poll(async () => (await world.tokens.jwks()).keys).toEqual([])
    expect(world.tokens.peekRegistryToken(token)).toBeUndefined()
    await expect(world.tokens.verifyRegistryToken(token)).rejects.toEqual(invalid)
  })

  test('that would not fit a header is not made', async () => {
    const { tokens } = await accessWorld()
    const access = Array.from({ length: 50 }, (_, i) => ({
      ...pull,
      name: `${'p'.repeat(120)}/${'s'.repeat(120)}${i}`,
    }))
    await expect(tokens.issueRegistryToken(ann, access)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })
})

describe('a bearer of the registry is refused when', () => {
  const refused: [string, Forge][] = [
    ...forgeries,
    ['made for an audience in another case', ({ sign }) => sign({ aud: service.toUpperCase() })],
    ['without groups', ({ sign }) => sign({ groups: undefined })],
    ['without access', ({ sign }) => sign({ access: undefined })],
    ['access is of another shape', ({ sign }) => sign({ access: ['repository:demo/app:pull'] })],
    ['the end of its subject is a string', ({ sign, seconds }) => sign({ endsAt: `${seconds + 900}` })],
    ['the end of its subject has passed', ({ sign, seconds }) => sign({ endsAt: seconds })],
    ['its session is none', ({ sign }) => sign({ session: '00000000-0000-4000-8000-000000000000' })],
    ['its session is a path', ({ sign }) => sign({ session: '../meta/admin' })],
    ['its provider is not configured', ({ sign }) => sign({ provider: 'sso' })],
    ['its provider is a prototype', ({ sign }) => sign({ provider: '__proto__' })],
  ]

  test('nothing is wrong with it (it is accepted)', async () => {
    const world = await accessWorld()
    const { sign } = await forger(world)
    expect(await world.tokens.verifyRegistryToken(await sign({}))).toMatchObject({ subject: { name: 'ann' } })
    expect(await world.tokens.verifyRegistryToken(await sign({ aud: [service] }))).toBeDefined()
  })

  test.each(refused)('%s', async (_, forge) => {
    const world = await accessWorld()
    const token = await forge(await forger(world))
    await expect(world.tokens.verifyRegistryToken(token)).rejects.toEqual(invalid)
    expect(world.tokens.peekRegistryToken(token)).toBeUndefined()
  })

  test("it is a service account's token", async () => {
    const world = await accessWorld()
    const { token } = await world.tokens.issueServiceAccountToken(await world.account('demo', 'ci'))
    await expect(world.tokens.verifyRegistryToken(token)).rejects.toEqual(invalid)
  })

  test('another Weir with the same names signed it', async () => {
    const [world, other] = [await accessWorld(), await accessWorld()]
    const { token } = await other.tokens.issueRegistryToken(ann, [pull])
    await expect(world.tokens.verifyRegistryToken(token)).rejects.toEqual(invalid)
  })

  test('the refusal tells nothing of the token', async () => {
    const world = await accessWorld()
    const { sign, seconds } = await forger(world)
    const error: unknown = await world.tokens.verifyRegistryToken(await sign({ exp: seconds - 61 })).catch((e) => e)
    expect(error).toMatchObject({ message: 'the token is not valid: it has expired' })
    expect(error).not.toHaveProperty('cause')
  })
})

describe("a service account's token", () => {
  test('has the claims of Kubernetes and names its account', async () => {
    const world = await accessWorld()
    const account = await world.account('demo', 'ci')
    const { token, expiresInSeconds } = await world.tokens.issueServiceAccountToken(account)
    expect(expiresInSeconds).toBe(3600)
    expect(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())).toMatchObject({
      iss: issuer,
      aud: issuer,
      sub: 'system:serviceaccount:demo:ci',
      'kubernetes.io': { namespace: 'demo', serviceaccount: { name: 'ci', uid: account.uid } },
    })
    expect(await world.tokens.verifyServiceAccountToken(token)).toEqual({
      name: 'system:serviceaccount:demo:ci',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:demo', 'system:authenticated'],
      uid: account.uid,
      endsAt: world.clock.now() / 1000 + 3600,
    })
  })

  test('lives as long as asked, up to the bound, which the refusal names', async () => {
    const world = await accessWorld({ maxTokenLifetimeMs: 7200_000 })
    const account = await world.account('demo', 'ci')
    expect(await world.tokens.issueServiceAccountToken(account, 7200)).toMatchObject({ expiresInSeconds: 7200 })
    for (const seconds of [7201, 0, -1, 1.5, Number.NaN]) {
      const error: unknown = await world.tokens.issueServiceAccountToken(account, seconds).catch((e) => e)
      expect(error).toMatchObject({
        code: 'INVALID',
        message: expect.stringContaining('7200'),
        causes: [{ field: 'spec.expirationSeconds' }],
      })
    }
  })

  test('lives as long as the bound where that is less than an hour and nothing was asked', async () => {
    const world = await accessWorld({ maxTokenLifetimeMs: 600_000 })
    const account = await world.account('demo', 'ci')
    expect(await world.tokens.issueServiceAccountToken(account)).toMatchObject({ expiresInSeconds: 600 })
  })

  test('is good at once where memory does not know the account yet', async () => {
    const ground = await accessGround()
    const news = Promise.withResolvers<void>()
    const watch: Store['watch'] = async function* (prefix, options) {
      if (prefix !== 'key/') await news.promise
      yield* ground.store.watch(prefix, options)
    }
    const get: Store['get'] = async (key) => {
      const entry = await ground.store.get(key)
      news.resolve()
      return entry
    }
    const { tokens } = await ground.open({ store: { ...ground.store, watch, get } })
    const account = { project: 'demo', name: 'ci', uid: 'fresh' }
    const value = JSON.stringify({ metadata: { name: 'ci', uid: 'fresh' } })
    await ground.store.commit({ operations: [{ type: 'put', key: 'object/serviceaccounts/demo/ci', value }] })
    const { token } = await tokens.issueServiceAccountToken(account)
    expect(await tokens.verifyServiceAccountToken(token)).toMatchObject({ uid: 'fresh' })
  })

  test('is refused when its subject and its claims name different accounts', async () => {
    const world = await accessWorld()
    const { uid } = await world.account('demo', 'ci')
    const { sign } = await forger(world)
    const kubernetes = { namespace: 'demo', serviceaccount: { name: 'ci', uid } }
    const token = (sub: string) => sign({ sub, aud: issuer, 'kubernetes.io': kubernetes })
    expect(await world.tokens.verifyServiceAccountToken(await token('system:serviceaccount:demo:ci'))).toBeDefined()
    const other = await token('system:serviceaccount:demo:root')
    await expect(world.tokens.verifyServiceAccountToken(other)).rejects.toEqual(invalid)
  })

  test.each(['deleted', 'made anew with another uid'])('ends when its account is %s', async (how) => {
    const world = await accessWorld()
    const account = await world.account('demo', 'ci')
    const { token } = await world.tokens.issueServiceAccountToken(account)
    expect(await world.tokens.verifyServiceAccountToken(token)).toMatchObject(account.subject)
    await world.remove('object/serviceaccounts/demo/ci')
    if (how !== 'deleted') await world.account('demo', 'ci')
    await expect(world.tokens.verifyServiceAccountToken(token)).rejects.toEqual(invalid)
  })

  test.each(['deleted', 'made anew with another uid'])(
    'takes its registry tokens along when its account is %s',
    async (how) => {
      const world = await accessWorld()
      const { subject } = await world.account('demo', 'ci')
      const { token } = await world.tokens.issueRegistryToken(subject, [pull])
      expect((await world.tokens.verifyRegistryToken(token)).subject).toEqual(subject)
      await world.remove('object/serviceaccounts/demo/ci')
      if (how !== 'deleted') await world.account('demo', 'ci')
      expect(world.tokens.peekRegistryToken(token)).toBeUndefined()
      await expect(world.tokens.verifyRegistryToken(token)).rejects.toEqual(invalid)
    },
  )

  test.each(['is there', 'is not there'])(
    'a registry token without the uid of its account, which %s, is refused',
    async (how) => {
      const world = await accessWorld()
      if (how === 'is there') await world.account('demo', 'ci')
      const token = await (await forger(world)).sign({ sub: 'system:serviceaccount:demo:ci' })
      await expect(world.tokens.verifyRegistryToken(token)).rejects.toEqual(invalid)
    },
  )
})

test('the key set is there before the first token', async () => {
  const { tokens } = await accessWorld()
  expect((await tokens.jwks()).keys).toHaveLength(1)
})

test('the discovery document names the key set', async () => {
  const { tokens } = await accessWorld({ issuer: `${issuer}/` })
  expect(tokens.openidConfiguration()).toMatchObject({
    issuer: `${issuer}/`,
    jwks_uri: `${issuer}/openid/v1/jwks`,
    id_token_signing_alg_values_supported: ['ES256'],
  })
})

test('one audience for both kinds of token is a mistake', async () => {
  await expect(accessWorld({ service: issuer })).rejects.toThrow(TypeError)
})
