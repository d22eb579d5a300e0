import { describe, expect, test } from 'vitest'
import { RegistryError } from '../../src/oci/errors.ts'
import { apiWorld, imageApi, inDemo, rbacApi, weirApi } from './world.ts'

const configMaps = `/api/v1/${inDemo}/configmaps`
const secrets = `/api/v1/${inDemo}/secrets`
const map = (name: string) => ({ metadata: { name }, data: { note: 'only-in-the-body' } })

describe('changes', () => {
  test('have a line each, with who, what, by which binding and the status', async () => {
    const { send, robot, audited } = await apiWorld()
    const token = await robot('ci', 'edit')
    await send('POST', configMaps, { token, body: map('a') })
    await send('PUT', `${configMaps}/a`, { token, body: map('a') })
    await send('PATCH', `${configMaps}/a`, {
      token,
      body: { data: { x: 'y' } },
      headers: { 'content-type': 'application/merge-patch+json' },
    })
    await send('DELETE', `${configMaps}/a`, { token })
    await send('DELETE', configMaps, { token })
    const line = {
      subject: { name: 'system:serviceaccount:demo:ci', groups: expect.arrayContaining(['system:serviceaccounts']) },
      client: { address: '', userAgent: '' },
      requestId: '',
      surface: 'api',
      object: { group: '', resource: 'configmaps', project: 'demo', name: 'a' },
      decision: 'allowed',
      grant: {
        kind: 'RoleBinding',
        name: 'demo-ci-edit',
        project: 'demo',
        role: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
      },
    }
    expect(audited).toMatchObject([
      { ...line, verb: 'create', status: 201 },
      { ...line, verb: 'update', status: 200 },
      { ...line, verb: 'patch', status: 200 },
      { ...line, verb: 'delete', status: 200 },
      { ...line, verb: 'deletecollection', status: 200, object: { ...line.object, name: '' } },
    ])
    expect(JSON.stringify(audited)).not.toContain('only-in-the-body')
  })

  test('by the admin are allowed by his group', async () => {
    const { asAdmin, audited } = await apiWorld()
    await asAdmin('POST', configMaps, map('a'))
    expect(audited).toMatchObject([
      { subject: { name: 'weir:admin' }, grant: { kind: 'Group', name: 'system:masters' } },
    ])
  })

  test('that fail are allowed and have the reason', async () => {
    const { asAdmin, audited } = await apiWorld()
    await asAdmin('POST', configMaps, map('a'))
    await asAdmin('POST', configMaps, map('a'))
    await asAdmin('DELETE', `${configMaps}/gone`)
    await asAdmin('PUT', `${configMaps}/a`, 'no object')
    expect(audited.slice(1)).toMatchObject([
      { verb: 'create', object: { name: 'a' }, decision: 'allowed', status: 409, reason: 'ALREADY_EXISTS' },
      { verb: 'delete', object: { name: 'gone' }, decision: 'allowed', status: 404, reason: 'NOT_FOUND' },
      { verb: 'update', object: { name: 'a' }, decision: 'allowed', status: 400, reason: 'BAD_REQUEST' },
    ])
  })

  test('that an upstream refuses are allowed: it is Weir that was denied', async () => {
    const denied = new RegistryError('DENIED', { upstream: { host: 'quay.io', reason: 'Unauthorized', status: 401 } })
    const refuse = async () => {
      throw denied
    }
    const { asAdmin, audited } = await apiWorld(({ tagEvents }) => ({ tagEvents: { ...tagEvents, rollback: refuse } }))
    const body = { kind: 'Rollback', stream: 'app', tag: 'prod' }
    expect(await asAdmin('POST', `${weirApi}/${inDemo}/tagevents`, body)).toMatchObject({ status: 403 })
    expect(audited).toMatchObject([{ decision: 'allowed', grant: { name: 'system:masters' }, reason: 'DENIED' }])
  })

  test('of subresources name them, and the token that is made is in no line', async () => {
    const { asAdmin, robot, audited } = await apiWorld()
    await robot('ci')
    const { body } = await asAdmin('POST', `/api/v1/${inDemo}/serviceaccounts/ci/token`, {})
    const { token } = body.status as { token: string }
    expect(audited).toMatchObject([
      { verb: 'create', object: { resource: 'serviceaccounts/token', project: 'demo', name: 'ci' }, status: 201 },
    ])
    expect(JSON.stringify(audited)).not.toContain(token)
  })

  test('of the binding by which they are allowed name it though it is gone afterwards', async () => {
    const { send, robot, audited } = await apiWorld()
    const token = await robot('boss', 'admin')
    const path = `${rbacApi}/${inDemo}/rolebindings/demo-boss-admin`
    expect((await send('DELETE', path, { token })).status).toBe(200)
    expect(audited).toMatchObject([{ verb: 'delete', decision: 'allowed', grant: { name: 'demo-boss-admin' } }])
  })

  test('that need two rights are by the binding that let them in, and denied by none', async () => {
    const { send, asAdmin, robot, audited, authorizer } = await apiWorld()
    const token = await robot('boss')
    const give = async (name: string, verbs: string[], resources: string[]) => {
      const rules = [{ verbs, apiGroups: ['rbac.authorization.k8s.io'], resources }]
      await asAdmin('POST', `${rbacApi}/${inDemo}/roles`, { metadata: { name }, rules })
      const { body } = await asAdmin('POST', `${rbacApi}/${inDemo}/rolebindings`, {
        metadata: { name },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
        subjects: [{ kind: 'ServiceAccount', name: 'boss', namespace: 'demo' }],
      })
      await authorizer.reached(Number((body.metadata as { resourceVersion: string }).resourceVersion))
    }
    const bindView = () =>
      send('POST', `${rbacApi}/${inDemo}/rolebindings`, {
        token,
        body: {
          metadata: { name: 'views' },
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
          subjects: [{ kind: 'User', name: 'ana', apiGroup: 'rbac.authorization.k8s.io' }],
        },
      })
    await give('may-create', ['create'], ['rolebindings'])
    audited.length = 0
    expect((await bindView()).status).toBe(403)
    await give('may-bind', ['bind'], ['clusterroles'])
    expect((await bindView()).status).toBe(201)
    expect(audited[0]).toMatchObject({ verb: 'create', decision: 'denied', object: { resource: 'rolebindings' } })
    expect(audited[0]).not.toHaveProperty('grant')
    expect(audited.at(-1)).toMatchObject({ decision: 'allowed', grant: { name: 'may-create' } })
  })

  test('without effect have no line', async () => {
    const { asAdmin, audited } = await apiWorld()
    expect((await asAdmin('POST', `${configMaps}?dryRun=All`, map('a'))).status).toBe(201)
    await asAdmin('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
      spec: { resourceAttributes: { verb: 'get', resource: 'pods' } },
    })
    await asAdmin('POST', '/apis/nowhere.example/v1/things', {})
    expect(audited).toEqual([])
    await asAdmin('POST', configMaps, map('a'))
    audited.length = 0
    const trial = { kind: 'DeleteOptions', apiVersion: 'v1', dryRun: ['All'] }
    expect((await asAdmin('DELETE', `${configMaps}/a`, trial)).status).toBe(200)
    expect((await asAdmin('DELETE', configMaps, trial)).status).toBe(200)
    expect((await asAdmin('GET', `${configMaps}/a`)).status).toBe(200)
    expect(audited).toEqual([])
  })
})

describe('refusals', () => {
  test('have a line each, without a binding', async () => {
    const { send, robot, audited } = await apiWorld()
    const token = await robot('ci')
    await send('POST', configMaps, { token, body: map('a') })
    await send('GET', `${configMaps}/a`, { token })
    await send('POST', `${configMaps}?dryRun=All`, { token, body: map('a') })
    await send('POST', `${weirApi}/${inDemo}/tagevents`, {
      token,
      body: { kind: 'Rollback', stream: 'app', tag: 'prod' },
    })
    await send('GET', `${imageApi}/${inDemo}/imagestreams`)
    expect(audited).toMatchObject([
      {
        verb: 'create',
        object: { resource: 'configmaps', name: '' },
        decision: 'denied',
        status: 403,
        reason: 'FORBIDDEN',
      },
      { verb: 'get', object: { resource: 'configmaps', name: 'a' }, decision: 'denied', status: 403 },
      { verb: 'create', object: { resource: 'configmaps' }, decision: 'denied', status: 403 },
      { verb: 'create', object: { resource: 'tagevents', name: 'app:prod' }, decision: 'denied', status: 403 },
      { verb: 'list', subject: { name: 'system:anonymous' }, object: { resource: 'imagestreams' }, decision: 'denied' },
    ])
    expect(audited.some((line) => line.grant !== undefined)).toBe(false)
  })

  test('of a token that is none are to nobody known, and the token is in no line', async () => {
    const { send, audited } = await apiWorld()
    await send('DELETE', `${configMaps}/a`, { token: 'stolen-and-expired' })
    await send('PROPFIND', `${configMaps}/a`, { token: 'stolen-and-expired' })
    expect(audited).toMatchObject([
      { subject: { name: '', groups: [] }, verb: 'delete', object: { name: 'a' }, decision: 'denied', status: 401 },
      { verb: 'propfind', decision: 'denied', status: 401 },
    ])
    expect(JSON.stringify(audited)).not.toContain('stolen')
  })

  test.each(['TOOMANYREQUESTS', 'UNAVAILABLE'] as const)(
    'of who could not be identified (%s) have a line',
    async (code) => {
      const { send, audited } = await apiWorld(({ authenticator }) => ({
        authenticator: { ...authenticator, authenticate: () => Promise.reject(new RegistryError(code)) },
      }))
      await send('GET', configMaps, { token: 'any' })
      expect(audited).toMatchObject([{ subject: { name: '' }, verb: 'list', decision: 'denied', reason: code }])
    },
  )

  test('are the same whether the object is there or not', async () => {
    const { send, asAdmin, robot, audited } = await apiWorld()
    const token = await robot('ci')
    await asAdmin('POST', configMaps, map('there'))
    audited.length = 0
    await send('GET', `${configMaps}/there`, { token })
    await send('GET', `${configMaps}/not`, { token })
    const [there, not] = audited.map((line) => JSON.stringify(line))
    expect(not).toBe(there?.replace('"there"', '"not"'))
  })
})

describe('reads', () => {
  const secret = { metadata: { name: 's' }, stringData: { key: 'only-in-the-secret' } }

  test('of secrets have a line, without what they hold; others have none', async () => {
    const { asAdmin, audited } = await apiWorld()
    await asAdmin('POST', secrets, secret)
    audited.length = 0
    await asAdmin('GET', configMaps)
    await asAdmin('GET', `${secrets}/s`)
    await asAdmin('GET', secrets)
    await asAdmin('GET', `${secrets}/gone`)
    expect(audited).toMatchObject([
      { verb: 'get', object: { resource: 'secrets', project: 'demo', name: 's' }, status: 200 },
      { verb: 'list', object: { resource: 'secrets', project: 'demo', name: '' }, status: 200 },
      { verb: 'get', object: { name: 'gone' }, status: 404, reason: 'NOT_FOUND' },
    ])
    expect(JSON.stringify(audited)).not.toMatch(/only-in-the-secret|b25seS1pbi10aGUtc2VjcmV0/)
  })

  test('have lines when that is asked for, without their queries', async () => {
    const { asAdmin, audited } = await apiWorld(() => ({ auditsReads: true }))
    await asAdmin('GET', `${configMaps}?labelSelector=secret-label`)
    expect(audited).toMatchObject([
      { verb: 'list', object: { resource: 'configmaps' }, decision: 'allowed', status: 200 },
    ])
    expect(JSON.stringify(audited)).not.toContain('secret-label')
  })
})
