import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Provider } from '../../src/access/access.ts'
import { createProviders, type ProvidersOptions } from '../../src/access/providers.ts'
import { createDocuments } from '../../src/upstream/documents.ts'
import { testClock } from '../support/clock.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { startFakeIssuer } from '../support/fake-issuer.ts'
import { issuerRules, listeningLog } from './issuer-world.ts'
import { accessWorld, client, issuer as ownIssuer, tokenRequest, user } from './world.ts'

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
/** Looks like a token, and is also the password of the user `odd`. */
const oddJwt = `${part({ alg: 'ES256' })}.e30.x`
const oddOpaque = 'weir_refresh_pass'

/** Weir with an issuer, and a file of users. */
async function world() {
  const clock = testClock()
  const idp = await startFakeIssuer({ now: clock.now })
  const documents = createDocuments({ userAgent: 'weir/test' })
  const end = new AbortController()
  onTestFinished(async () => {
    end.abort()
    await documents.close()
    await idp.stop()
  })
  const htpasswdFile = join(await temporaryDirectory(), 'htpasswd')
  const users = (passwords: Record<string, string>) =>
    writeFile(
      htpasswdFile,
      Object.entries(passwords)
        .map(([name, password]) => `${name}:${hashSync(password, 4)}\n`)
        .join(''),
    )
  await users({ jane: 'secret', odd: oddJwt, odder: oddOpaque })
  const { log } = listeningLog()
  const rules = issuerRules({ issuer: idp.issuer, certificateAuthority: idp.ca, clientId: 'cli' })
  const given = { fetchDocument: documents.fetch, now: clock.now, signal: end.signal, log, sessionLifetimeMs: 60_000 }
  const providers = await createProviders({ ...given, issuers: [rules], htpasswdFile })
  const access = await accessWorld({ providers, now: clock.now })
  const ask = (name: string, secret: string) => access.authenticator.authenticate({ user: name, secret, client })
  return { ...access, clock, idp, htpasswdFile, users, providers, ask }
}

describe('createProviders()', () => {
  const options = (): ProvidersOptions => ({
    issuers: [],
    sessionLifetimeMs: 1000,
    fetchDocument: async () => expect.unreachable(),
    now: Date.now,
    signal: AbortSignal.abort(),
    log: listeningLog().log,
  })

  test('makes none where none is configured', async () => {
    expect(await createProviders(options())).toEqual([])
  })

  test('asks no issuer, so that a dead one does not stop the start', async () => {
    const issuers = [
      issuerRules({
        issuer: 'https://a.test',
        name: 'a',
        sessionLifetimeMs: 5,
        clientId: 'cli',
        scopes: ['openid', 'x'],
      }),
      issuerRules({ issuer: 'https://b.test', name: 'b' }),
    ]
    expect(await createProviders({ ...options(), issuers })).toMatchObject([
      {
        name: 'a',
        sessionLifetimeMs: 5,
        device: { issuer: 'https://a.test', clientId: 'cli', scopes: ['openid', 'x'] },
      },
      { name: 'b', sessionLifetimeMs: 0 },
    ])
    const [, b] = await createProviders({ ...options(), issuers })
    expect(b).not.toHaveProperty('device')
  })

  test('says what is wrong with the file of users', async () => {
    const htpasswdFile = join(await temporaryDirectory(), 'htpasswd')
    await writeFile(htpasswdFile, 'jane:secret')
    await expect(createProviders({ ...options(), htpasswdFile })).rejects.toThrow(
      'line 1: the hash of jane is not bcrypt',
    )
    await writeFile(htpasswdFile, `jane:${hashSync('x', 4)}`)
    expect(await createProviders({ ...options(), htpasswdFile })).toMatchObject([
      { name: 'htpasswd', sessionLifetimeMs: 1000 },
    ])
  })
})

describe('a secret', () => {
  test('is taken for what it is, whatever the user name', async () => {
    const { ask, admin, idp, tokens, account } = await world()
    const ci = await account('demo', 'ci')
    const adminToken = (await admin.ensureAdmin({ kubeconfigExists: false })) ?? ''
    const accountToken = (await tokens.issueServiceAccountToken(ci)).token
    for (const name of ['', 'jane', 'nobody', 'oauth2accesstoken']) {
      expect(await ask(name, adminToken)).toMatchObject({ name: 'weir:admin' })
      expect(await ask(name, accountToken)).toMatchObject({ name: 'system:serviceaccount:demo:ci' })
      expect(await ask(name, await idp.sign())).toMatchObject({ name: 'idp:someone', provider: 'idp' })
    }
    expect(await ask('jane', 'secret')).toMatchObject({ name: 'jane', provider: 'htpasswd' })
    expect(await ask('', 'secret')).toBeUndefined()
    expect(await ask('jane', '')).toBeUndefined()
  })

  test.each([
    ['a JWT of nobody', 'odd', oddJwt],
    ['a refresh token', 'odder', oddOpaque],
  ])('that is %s is never tried as a password, though it be the right one', async (_, name, secret) => {
    const { ask, providers } = await world()
    const file = providers.find((provider: Provider) => provider.name === 'htpasswd')
    expect(await file?.authenticate({ user: name, secret, client })).toMatchObject({ name })
    expect(await ask(name, secret)).toBeUndefined()
  })

  test("with Weir's own issuer and a strange key is nobody's, and no issuer is asked", async () => {
    const { ask, idp } = await world()
    expect(await ask('jane', await idp.sign({ iss: ownIssuer, aud: ownIssuer, jti: 'x' }))).toBeUndefined()
    expect(idp.requests).toEqual([])
  })

  test.each([
    ['an account', { 'kubernetes.io': { namespace: 'demo', serviceaccount: { name: 'ci', uid: 'x' } } }],
    ['a login', { weir: { groups: ['system:masters'], uid: 'x' } }],
  ])("with the claims of %s of Weir's, made by an issuer, is a stranger's", async (_, claims) => {
    const { ask, idp } = await world()
    expect(await ask('', await idp.sign({ sub: 'system:serviceaccount:demo:ci', ...claims }))).toMatchObject({
      name: 'idp:system:serviceaccount:demo:ci',
      groups: ['system:authenticated'],
    })
  })

  test('that is a token is never kept out by wrong passwords from the same address', async () => {
    const { ask, idp, tokens, account } = await world()
    for (let index = 0; index < 60; index++) {
      await expect(ask(`user${index}`, 'guess')).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
    }
    await expect(ask('jane', 'secret')).rejects.toMatchObject({ code: 'TOOMANYREQUESTS' })
    const { token } = await tokens.issueServiceAccountToken(await account('demo', 'ci'))
    expect(await ask('jane', token)).toMatchObject({ name: 'system:serviceaccount:demo:ci' })
    for (let index = 0; index < 100; index++) {
      await expect(ask('', await idp.sign({ aud: 'x' }))).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
    }
    expect(await ask('', await idp.sign())).toMatchObject({ name: 'idp:someone' })
  })
})

describe('a registry token, while it still lives,', () => {
  const scopes = ['repository:demo/app:pull']
  const needed = { project: 'demo', stream: 'app', action: 'pull' } as const

  async function granted(login: { user: string; secret: string }, name: string) {
    const all = await world()
    await all.bind('demo', 'system:image-puller', user(name))
    const signed = login.secret === '' ? { ...login, secret: await all.idp.sign() } : login
    const { token } = await all.tokenService.grant(tokenRequest({ login: signed, scopes }))
    const may = async () => {
      const verified = await all.tokens.verifyRegistryToken(token.token).catch(() => undefined)
      return verified !== undefined && all.tokenService.mayAccess(verified, needed) !== undefined
    }
    expect(await may()).toBe(true)
    const held = await all.tokens.verifyRegistryToken(token.token)
    return { ...all, may, mayWithoutAsking: () => all.tokenService.mayAccess(held, needed) !== undefined }
  }

  test('ends when the user is taken out of the file', async () => {
    const { users, clock, ask, may, mayWithoutAsking } = await granted({ user: 'jane', secret: 'secret' }, 'jane')
    await users({ john: 'x' })
    clock.advance(1000)
    await ask('john', 'x')
    expect([await may(), mayWithoutAsking()]).toEqual([false, false])
  })

  test('ends when the password is changed', async () => {
    const { users, clock, ask, may, mayWithoutAsking } = await granted({ user: 'jane', secret: 'secret' }, 'jane')
    await users({ jane: 'new' })
    clock.advance(1000)
    await ask('jane', 'new')
    expect([await may(), mayWithoutAsking()]).toEqual([false, false])
  })

  test('ends when the file is changed and nobody logs in', async () => {
    const { users, may, mayWithoutAsking } = await granted({ user: 'jane', secret: 'secret' }, 'jane')
    await users({ john: 'x' })
    await expect.poll(() => mayWithoutAsking(), { timeout: 10_000 }).toBe(false)
    expect(await may()).toBe(false)
  })

  test('goes on when another user comes into the file', async () => {
    const { htpasswdFile, clock, ask, may } = await granted({ user: 'jane', secret: 'secret' }, 'jane')
    await appendFile(htpasswdFile, `john:${hashSync('x', 4)}\n`)
    clock.advance(1000)
    await ask('john', 'x')
    expect(await may()).toBe(true)
  })

  test('ends when the identity does, to the second', async () => {
    const { clock, may, mayWithoutAsking } = await granted({ user: '', secret: '' }, 'idp:someone')
    clock.advance(599_000)
    expect([await may(), mayWithoutAsking()]).toEqual([true, true])
    clock.advance(1000)
    expect([await may(), mayWithoutAsking()]).toEqual([false, false])
  })
})
