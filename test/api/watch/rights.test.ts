import { describe, expect, test } from 'vitest'
import { testProvider, tokenRequest } from '../../access/world.ts'
import { type Answered, apiWorld, inDemo, issuer, rbacApi, refusal } from '../world.ts'

const configMaps = `/api/v1/${inDemo}/configmaps`
const accounts = `/api/v1/${inDemo}/serviceaccounts`

/** A robot that watches the config maps of its project, and another that goes on doing so. */
async function watching(path = `${configMaps}?watch=1`) {
  const world = await apiWorld()
  const [token, other] = [await world.robot('leaver', 'view'), await world.robot('stayer', 'view')]
  const [next, stays] = [await world.watch(path, token), await world.watch(path, other)]
  const make = (name: string) => world.asAdmin('POST', configMaps, { metadata: { name } })
  await make('before')
  for (const each of [next, stays]) expect(await each()).toMatchObject({ object: { metadata: { name: 'before' } } })
  return { ...world, next, stays, make }
}

describe('a watch', () => {
  test.each([
    ['right is taken away', `${rbacApi}/${inDemo}/rolebindings/demo-leaver-view`],
    ['account goes', `${accounts}/leaver`],
  ])('whose %s is told nothing more', async (_name, path) => {
    const { asAdmin, make, next, stays } = await watching()
    expect((await asAdmin('DELETE', path)).status).toBe(200)
    await make('after')
    expect(await next()).toBeUndefined()
    expect(await stays()).toMatchObject({ object: { metadata: { name: 'after' } } })
  })

  test('of an account that was made anew, with the same rights, is told nothing more', async () => {
    const { asAdmin, make, next } = await watching()
    await asAdmin('DELETE', `${accounts}/leaver`)
    await asAdmin('POST', accounts, { metadata: { name: 'leaver' } })
    await make('after')
    expect(await next()).toBeUndefined()
  })

  test('of projects ends with its account too, although everybody may watch those that he sees', async () => {
    const world = await apiWorld()
    const token = await world.robot('leaver', 'view')
    const next = await world.watch('/api/v1/namespaces?watch=1', token)
    expect(await next()).toMatchObject({ object: { metadata: { name: 'demo' } } })
    await world.asAdmin('DELETE', `${accounts}/leaver`)
    await world.asAdmin('POST', accounts, { metadata: { name: 'leaver' } })
    const patch = { metadata: { labels: { a: 'b' } } }
    const headers = { 'content-type': 'application/merge-patch+json' }
    await world.send('PATCH', '/api/v1/namespaces/demo', { token: world.adminToken, body: patch, headers })
    expect(await next()).toBeUndefined()
  })

  test('of an identity that has ended by time is told nothing more', async () => {
    const { clock, make, next, asAdmin } = await watching()
    clock.advance(3600_000 - 1)
    await make('in-time')
    expect(await next()).toMatchObject({ object: { metadata: { name: 'in-time' } } })
    clock.advance(1)
    await make('after')
    expect(await next()).toBeUndefined()
    expect((await asAdmin('GET', configMaps)).status).toBe(200)
  })

  test.each(['its session', 'its provider'])('of a login that %s ends is told nothing more', async (what) => {
    const provider = testProvider()
    const world = await apiWorld(undefined, { providers: [provider] })
    await world.asAdmin('POST', `${rbacApi}/${inDemo}/rolebindings`, {
      metadata: { name: 'ann' },
      subjects: [{ kind: 'User', name: 'ann', apiGroup: 'rbac.authorization.k8s.io' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    })
    const login = { user: 'ann', secret: 'pw' }
    const { token, subject } = await world.tokenService.grant(tokenRequest({ login, service: issuer, offline: true }))
    const next = await world.watch(`${configMaps}?watch=1`, token.token)
    const make = (name: string) => world.asAdmin('POST', configMaps, { metadata: { name } })
    await make('before')
    expect(await next()).toMatchObject({ object: { metadata: { name: 'before' } } })
    if (what === 'its session') {
      expect((await world.asAdmin('DELETE', `/apis/weir.dev/v1/sessions/${subject.session}`)).status).toBe(200)
    } else {
      provider.users.delete('ann')
      provider.changed()
    }
    await make('after')
    expect(await next()).toBeUndefined()
  })

  test('goes on while rights of others change', async () => {
    const { asAdmin, make, stays, robot } = await watching()
    await asAdmin('DELETE', `${accounts}/leaver`)
    await robot('third', 'edit')
    await make('after')
    expect(await stays()).toMatchObject({ object: { metadata: { name: 'after' } } })
  })

  test('tells nothing of its beginning to whom lost his right before he read it', async () => {
    const world = await apiWorld()
    const token = await world.robot('leaver', 'view')
    await world.asAdmin('POST', configMaps, { metadata: { name: 'secret' } })
    const response = await world.open(`${configMaps}?watch=1`, { token })
    await world.asAdmin('DELETE', `${accounts}/leaver`)
    expect(await response.text()).toBe('')
  })
})

describe('a project that was made anew', () => {
  const inNew = 'namespaces/new'
  const of = (path: string) => path.replace(inDemo, inNew)

  async function madeAnew() {
    const world = await apiWorld()
    const { asAdmin, objects } = world
    const project = { metadata: { name: 'new' } }
    const first = await asAdmin('POST', '/api/v1/namespaces', project)
    await asAdmin('POST', of(configMaps), { metadata: { name: 'secret' }, data: { a: 'of another' } })
    await objects.delete('configmaps', 'new', 'secret')
    await objects.delete('rolebindings', 'new', 'admin')
    await objects.delete('namespaces', '', 'new')
    const again = await asAdmin('POST', '/api/v1/namespaces', project)
    const versionOf = ({ body }: Answered) => (body.metadata as { resourceVersion: string }).resourceVersion
    return { ...world, since: versionOf(first), born: versionOf(again) }
  }

  test.each([['configmaps'], ['events'], ['serviceaccounts']])('tells nobody what was before it: %s', async (kind) => {
    const { send, open, adminToken, robot, since, born, objects, authorizer } = await madeAnew()
    const token = await robot('owner', undefined, 'new')
    const bound = await objects.create('rolebindings', 'new', {
      metadata: { name: 'owner' },
      subjects: [{ kind: 'ServiceAccount', name: 'owner', namespace: 'new' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
    })
    await authorizer.reached(Number(bound.metadata.resourceVersion))
    const from = (version: string) => `/api/v1/${inNew}/${kind}?watch=1&resourceVersion=${version}`
    expect(await send('GET', from(since), { token })).toMatchObject(refusal(410, 'Expired'))
    // As it is from now on, the project is newer than all of it.
    const headers = { 'content-type': 'application/merge-patch+json' }
    const body = { metadata: { labels: { a: 'b' } } }
    expect((await send('PATCH', `/api/v1/${inNew}`, { token: adminToken, body, headers })).status).toBe(200)
    expect(await send('GET', from(since), { token })).toMatchObject(refusal(410, 'Expired'))
    expect((await open(from(born), { token })).status).toBe(200)
  })
})
