import { describe, expect, test } from 'vitest'
import { mastersGroup } from '../../src/access/access.ts'
import { accessGround, accessWorld, bearer, tokenRequest } from './world.ts'

describe('ensureAdmin()', () => {
  test('makes a token once, and the store holds its hash alone', async () => {
    const { admin, authenticator, store } = await accessWorld()
    const token = (await admin.ensureAdmin({ kubeconfigExists: false })) ?? ''
    expect(token).toMatch(/^weir_admin_[\w-]{43}$/)
    expect((await store.get('meta/admin'))?.value).not.toContain(token.slice('weir_admin_'.length))
    expect(await authenticator.authenticate(bearer(token))).toMatchObject({
      name: 'weir:admin',
      groups: [mastersGroup, 'system:authenticated'],
    })
    expect(await admin.ensureAdmin({ kubeconfigExists: true })).toBeUndefined()
    expect(await authenticator.authenticate(bearer(token))).toBeDefined()
  })

  test('makes one where a kubeconfig is there of a store that is not', async () => {
    const { admin } = await accessWorld()
    expect(await admin.ensureAdmin({ kubeconfigExists: true })).toBeDefined()
  })

  test('makes a new one when the kubeconfig is gone, and the old one ends, with what was granted to it', async () => {
    const world = await accessWorld()
    const old = (await world.admin.ensureAdmin({ kubeconfigExists: false })) ?? ''
    const login = { user: 'admin', secret: old }
    const { token } = await world.tokenService.grant(tokenRequest({ login }))
    await world.tokens.verifyRegistryToken(token.token)
    const { version } = world.authorizer
    const fresh = (await world.admin.ensureAdmin({ kubeconfigExists: false })) ?? ''
    expect(world.authorizer.version).toBeGreaterThan(version)
    expect(await world.authenticator.authenticate(bearer(old))).toBeUndefined()
    expect(await world.authenticator.authenticate(bearer(fresh))).toMatchObject({ name: 'weir:admin' })
    expect(world.tokens.peekRegistryToken(token.token)).toBeUndefined()
    await expect(world.tokens.verifyRegistryToken(token.token)).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
  })

  test('the token is good after a restart', async () => {
    const ground = await accessGround()
    const first = await ground.open()
    const token = (await first.admin.ensureAdmin({ kubeconfigExists: false })) ?? ''
    const second = await ground.open()
    expect(await second.authenticator.authenticate(bearer(token))).toMatchObject({ name: 'weir:admin' })
  })
})

describe('authenticate(bearer())', () => {
  test("takes a service account's token", async () => {
    const { tokens, authenticator, account } = await accessWorld()
    const ci = await account('demo', 'ci')
    const { token } = await tokens.issueServiceAccountToken(ci)
    expect(await authenticator.authenticate(bearer(token))).toMatchObject(ci.subject)
  })

  test('refuses it once its account is gone', async () => {
    const { tokens, authenticator, account, remove } = await accessWorld()
    const { token } = await tokens.issueServiceAccountToken(await account('demo', 'ci'))
    await remove('object/serviceaccounts/demo/ci')
    await expect(authenticator.authenticate(bearer(token))).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
      claimant: { name: 'system:serviceaccount:demo:ci' },
    })
  })

  test('refuses it once it has expired', async () => {
    const { tokens, authenticator, account, clock } = await accessWorld()
    const { token } = await tokens.issueServiceAccountToken(await account('demo', 'ci'), 600)
    clock.advance(661_000)
    expect(await authenticator.authenticate(bearer(token))).toBeUndefined()
  })

  test('a registry token is nobody on the API', async () => {
    const { tokens, authenticator, account } = await accessWorld()
    const { subject } = await account('demo', 'ci')
    const { token } = await tokens.issueRegistryToken(subject, [])
    await tokens.verifyRegistryToken(token)
    expect(await authenticator.authenticate(bearer(token))).toBeUndefined()
  })

  test.each([
    ['nothing', () => ''],
    ['a word', () => 'secret'],
    ['the start of the token', (token: string) => token.slice(0, -1)],
    ['the token and more', (token: string) => `${token}x`],
    ['the token in another case', (token: string) => token.toUpperCase()],
    ['the hash in the store', (_: string, hash: string) => hash],
    ['something endless', () => 'x'.repeat(1_000_000)],
  ])('%s is nobody', async (_, change) => {
    const { admin, authenticator, store } = await accessWorld()
    const token = (await admin.ensureAdmin({ kubeconfigExists: false })) ?? ''
    const { hash } = JSON.parse((await store.get('meta/admin'))?.value ?? '{}')
    expect(await authenticator.authenticate(bearer(change(token, hash)))).toBeUndefined()
  })

  test('before an admin was made, the empty hash is not his', async () => {
    const { authenticator, put } = await accessWorld()
    expect(await authenticator.authenticate(bearer('x'))).toBeUndefined()
    await put('meta/admin', { uid: 'u', hash: '', createdAt: '' })
    expect(await authenticator.authenticate(bearer('x'))).toBeUndefined()
    await put('meta/admin', 'broken')
    expect(await authenticator.authenticate(bearer('x'))).toBeUndefined()
  })
})
