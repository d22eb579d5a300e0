import { describe, expect, test } from 'vitest'
import type { NeededAccess, RegistryToken } from '../../src/access/access.ts'
import { formatScopes } from '../../src/oci/scope.ts'
import { type AccessWorld, accessWorld, group, robot, service, tokenRequest } from './world.ts'

const all = 'repository:demo/app:pull,push,delete'

/** Logs in as the service account `demo/ci` and asks for scopes. */
async function robotWorld(expiresInSeconds?: number) {
  const world = await accessWorld()
  const account = await world.account('demo', 'ci')
  const { token: secret } = await world.tokens.issueServiceAccountToken(account, expiresInSeconds)
  const login = { user: 'whoever', secret }
  const ask = (...scopes: string[]) => world.tokenService.grant(tokenRequest({ login, service, scopes }))
  const granted = async (...scopes: string[]) => formatScopes((await ask(...scopes)).access)
  const use = async (...scopes: string[]) => world.tokens.verifyRegistryToken((await ask(...scopes)).token.token)
  return { ...world, ...account, ci: robot('demo', 'ci'), ask, granted, use }
}

const anonymously = (world: AccessWorld, ...scopes: string[]) =>
  world.tokenService.grant(tokenRequest({ login: undefined, service, scopes }))
const pullApp: NeededAccess = { project: 'demo', stream: 'app', action: 'pull' }

describe('grant()', () => {
  test.each([
    ['system:image-puller', 'repository:demo/app:pull'],
    ['system:image-pusher', 'repository:demo/app:pull,push'],
    ['edit', all],
    ['view', 'repository:demo/app:pull'],
  ])('%s is granted %s of everything asked', async (role, expected) => {
    const { bind, ci, granted } = await robotWorld()
    expect(await granted(all)).toBe('')
    await bind('demo', role, ci)
    expect(await granted(all)).toBe(expected)
    expect(await granted('repository:demo/app:*')).toBe(expected)
  })

  test('grants no more than was asked', async () => {
    const { bind, ci, granted } = await robotWorld()
    await bind('demo', 'admin', ci)
    expect(await granted('repository:demo/app:push')).toBe('repository:demo/app:push')
    expect(await granted()).toBe('')
  })

  test('grants one of two repositories, and says nothing of the other', async () => {
    const { bind, ci, granted } = await robotWorld()
    await bind('demo', 'view', ci)
    const scopes = ['repository:demo/app:pull repository:other/app:pull', 'repository:demo2/app:pull']
    expect(await granted(...scopes)).toBe('repository:demo/app:pull')
  })

  test.each([
    'demo',
    'demo/app/x',
    'Demo/app',
    'demo/App',
    '/app',
    'demo/',
    'demo//app',
    'host:5000/demo/app',
    '../app',
  ])('drops the name %s, which is not project/stream', async (name) => {
    const { bind, ci, granted } = await robotWorld()
    await bind('', 'cluster-admin', ci)
    expect(await granted(`repository:${name}:pull`, 'repository:demo/app:pull')).toBe('repository:demo/app:pull')
  })

  test('a role that names one stream gives that stream alone', async () => {
    const { put, role, ci, granted } = await robotWorld()
    const layers = { verbs: ['get'], apiGroups: ['image.openshift.io'], resources: ['imagestreams/layers'] }
    await role('demo', 'one', [{ ...layers, resourceNames: ['app'] }])
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'one' }
    await put('object/rolebindings/demo/one', { roleRef, subjects: [ci] })
    expect(await granted(all, 'repository:demo/app2:pull', 'repository:demo/ap:pull')).toBe('repository:demo/app:pull')
  })

  test('without a login, or with an empty one, asks as anonymous', async () => {
    const world = await accessWorld()
    expect((await anonymously(world, all)).access).toEqual([])
    await world.bind('demo', 'system:image-puller', group('system:unauthenticated'))
    const granted = await anonymously(world, all)
    expect(formatScopes(granted.access)).toBe('repository:demo/app:pull')
    const token = await world.tokens.verifyRegistryToken(granted.token.token)
    expect(token.subject.name).toBe('system:anonymous')
    expect(world.tokenService.mayAccess(token, pullApp)).toBeDefined()
    const empty = { user: '', secret: '' }
    expect((await world.tokenService.grant(tokenRequest({ login: empty, service, scopes: [] }))).subject.name).toBe(
      'system:anonymous',
    )
  })

  test.each([
    ['wrong', { user: 'ci', secret: 'wrong' }],
    ['empty beside a user name', { user: 'ci', secret: '' }],
    ['wrong without a user name', { user: '', secret: 'wrong' }],
  ])('a password that is %s is UNAUTHORIZED and never anonymous', async (_, login) => {
    const world = await accessWorld()
    await world.bind('demo', 'system:image-puller', group('system:unauthenticated'))
    const asked = world.tokenService.grant(tokenRequest({ login, service, scopes: ['repository:demo/app:pull'] }))
    await expect(asked).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
  })

  test('a registry token is no password', async () => {
    const world = await robotWorld()
    const { token } = await world.ask()
    const asked = world.tokenService.grant(
      tokenRequest({ login: { user: 'ci', secret: token.token }, service, scopes: [] }),
    )
    await expect(asked).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
  })

  test("another's service is BAD_REQUEST and names ours; none at all is ours", async () => {
    const { tokenService } = await accessWorld()
    const asked = tokenService.grant(tokenRequest({ login: undefined, service: 'other.test', scopes: [] }))
    await expect(asked).rejects.toMatchObject({ code: 'BAD_REQUEST', message: expect.stringContaining(service) })
    expect(
      (await tokenService.grant(tokenRequest({ login: undefined, service: undefined, scopes: [] }))).access,
    ).toEqual([])
  })

  test('the catalog is for any identity, and not for anonymous', async () => {
    const world = await robotWorld()
    expect(await world.granted('registry:catalog:*')).toBe('registry:catalog:*')
    expect(world.tokenService.mayListCatalog(await world.use('registry:catalog:*'))).toBe(true)
    expect(world.tokenService.mayListCatalog(await world.use())).toBe(false)
    expect((await anonymously(world, 'registry:catalog:*')).access).toEqual([])
    const forged: RegistryToken = {
      subject: { name: 'system:anonymous', groups: [] },
      access: [{ type: 'registry', name: 'catalog', actions: ['*'] }],
      expiresAt: 0,
    }
    expect(world.tokenService.mayListCatalog(forged)).toBe(false)
  })
})

describe('mayAccess()', () => {
  test('allows what the token has and the records give', async () => {
    const { bind, ci, use, tokenService } = await robotWorld()
    await bind('demo', 'edit', ci)
    const token = await use(all)
    for (const action of ['pull', 'push', 'delete'] as const) {
      expect(tokenService.mayAccess(token, { ...pullApp, action })).toBeDefined()
      expect(tokenService.mayAccess(token, { ...pullApp, action })).toBeDefined()
    }
  })

  test.each<[string, Partial<NeededAccess>]>([
    ['another stream of the project', { stream: 'other' }],
    ['a stream whose name begins alike', { stream: 'app2' }],
    ['a stream whose name is the beginning', { stream: 'ap' }],
    ['the stream in another case', { stream: 'App' }],
    ['the project in another case', { project: 'Demo' }],
    ['the stream of another project', { project: 'demo2' }],
    ['another action', { action: 'push' }],
  ])('a token for one stream is insufficient for %s, whatever its holder may', async (_, change) => {
    const { bind, ci, use, tokenService } = await robotWorld()
    await bind('', 'cluster-admin', ci)
    const token = await use('repository:demo/app:pull')
    expect(tokenService.mayAccess(token, pullApp)).toBeDefined()
    expect(tokenService.mayAccess(token, { ...pullApp, ...change })).toBeUndefined()
    expect(tokenService.mayAccess(token, pullApp)).toBeDefined()
  })

  test('a binding that is removed ends the right of a token that lives, and one made anew gives it back', async () => {
    const { bind, remove, ci, use, tokenService, store, authorizer } = await robotWorld()
    const key = await bind('demo', 'edit', ci)
    const token = await use('repository:demo/app:pull,push')
    expect(tokenService.mayAccess(token, pullApp)).toBeDefined()
    const removed = await store.commit({ operations: [{ type: 'delete', key }] })
    await authorizer.reached(removed.status === 'committed' ? removed.revision : 0)
    expect(tokenService.mayAccess(token, pullApp)).toBeUndefined()
    await bind('demo', 'system:image-puller', ci, 'again')
    expect(tokenService.mayAccess(token, pullApp)).toBeDefined()
    expect(tokenService.mayAccess(token, { ...pullApp, action: 'push' })).toBeUndefined()
    await remove('object/rolebindings/demo/again')
    expect(tokenService.mayAccess(token, pullApp)).toBeUndefined()
  })

  test('what was decided for a token ends with its subject, to the second, though nothing is written', async () => {
    const { bind, ci, use, tokenService, clock } = await robotWorld(300)
    await bind('demo', 'edit', ci)
    const token = await use('repository:demo/app:pull')
    expect(tokenService.mayAccess(token, pullApp)).toBeDefined()
    clock.advance(299_000)
    expect(tokenService.mayAccess(token, pullApp)).toBeDefined()
    clock.advance(1_000)
    expect(tokenService.mayAccess(token, pullApp)).toBeUndefined()
  })

  test('a binding made later gives a token nothing that it does not carry', async () => {
    const { bind, ci, use, tokenService } = await robotWorld()
    const token = await use('repository:demo/app:pull')
    await bind('demo', 'admin', ci)
    expect(tokenService.mayAccess(token, pullApp)).toBeUndefined()
  })

  test('a deleted account ends what was decided for its token, also where everybody may pull', async () => {
    const { bind, remove, account, use, tokenService } = await robotWorld()
    await bind('demo', 'system:image-puller', group('system:unauthenticated'))
    const token = await use('repository:demo/app:pull', 'registry:catalog:*')
    expect(tokenService.mayAccess(token, pullApp)).toBeDefined()
    await remove('object/serviceaccounts/demo/ci')
    expect(tokenService.mayAccess(token, pullApp)).toBeUndefined()
    expect(tokenService.mayListCatalog(token)).toBe(false)
    await account('demo', 'ci')
    expect(tokenService.mayAccess(token, pullApp)).toBeUndefined()
  })
})
