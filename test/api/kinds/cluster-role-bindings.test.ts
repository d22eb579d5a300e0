import { describe, expect, test } from 'vitest'
import { apiWorld, imageApi, invalidFields, names, rbacApi, refusal } from '../world.ts'

const bindings = `${rbacApi}/clusterrolebindings`
const apiGroup = 'rbac.authorization.k8s.io'
const ci = { kind: 'ServiceAccount', name: 'ci', namespace: 'demo' }
const binding = (role: string, subjects: unknown[] = [ci], name = 'b') => ({
  metadata: { name },
  subjects,
  roleRef: { apiGroup, kind: 'ClusterRole', name: role },
})

describe('cluster role bindings', () => {
  test('are created, changed, read, listed and deleted, and hold in every project at once', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    const token = await robot('ci')
    await asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
    const mayRead = async () => {
      const lists = ['namespaces/demo/', 'namespaces/other/', ''].map((place) =>
        send('GET', `${imageApi}/${place}imagestreams`, { token }),
      )
      return (await Promise.all(lists)).map(({ status }) => status)
    }
    expect(await mayRead()).toEqual([403, 403, 403])
    const created = await asAdmin('POST', bindings, binding('view'))
    expect(created).toMatchObject({ status: 201, body: { kind: 'ClusterRoleBinding', apiVersion: `${apiGroup}/v1` } })
    expect(created.body.metadata).not.toHaveProperty('namespace')
    expect(await mayRead()).toEqual([200, 200, 200])
    expect(names(await asAdmin('GET', bindings))).toEqual(['b'])
    expect((await asAdmin('GET', `${bindings}/b`)).body).toEqual(created.body)
    await asAdmin('PUT', `${bindings}/b`, binding('view', []))
    expect(await mayRead()).toEqual([403, 403, 403])
    await asAdmin('PUT', `${bindings}/b`, binding('view'))
    expect((await asAdmin('DELETE', `${bindings}/b`)).status).toBe(200)
    expect(await mayRead()).toEqual([403, 403, 403])
    expect((await asAdmin('GET', `${bindings}/b`)).status).toBe(404)
  })

  test('are watched', async () => {
    const { asAdmin, watch, adminToken } = await apiWorld()
    const next = await watch(`${bindings}?watch=1`, adminToken)
    await asAdmin('POST', bindings, binding('view'))
    expect(await next()).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'b' } } })
    await asAdmin('DELETE', `${bindings}/b`)
    expect(await next()).toMatchObject({ type: 'DELETED', object: { kind: 'ClusterRoleBinding' } })
  })

  test('never change their role, and bind no Role of a project', async () => {
    const { asAdmin } = await apiWorld()
    await asAdmin('POST', bindings, binding('view'))
    expect(await asAdmin('PUT', `${bindings}/b`, binding('edit'))).toMatchObject(invalidFields('roleRef'))
    const roleRef = { apiGroup, kind: 'Role', name: 'view' }
    expect(await asAdmin('POST', bindings, { ...binding('view', [], 'c'), roleRef })).toMatchObject(
      invalidFields('roleRef.kind'),
    )
  })

  test('name users, groups and service accounts as role bindings do', async () => {
    const { asAdmin } = await apiWorld()
    const { body } = await asAdmin('POST', bindings, binding('view', [{ kind: 'Group', name: 'devs' }]))
    expect(body.subjects).toEqual([{ kind: 'Group', apiGroup, name: 'devs' }])
    expect(
      await asAdmin('POST', bindings, binding('view', [{ kind: 'ServiceAccount', name: 'ci' }], 'c')),
    ).toMatchObject(invalidFields('subjects[0].namespace'))
  })
})

describe('the admin of a project', () => {
  test('neither writes nor reads them', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    const token = await robot('boss', 'admin')
    await asAdmin('POST', bindings, binding('view'))
    for (const [method, path, body] of [
      ['POST', bindings, binding('view', [ci], 'c')],
      ['PUT', `${bindings}/b`, binding('view')],
      ['GET', bindings, undefined],
      ['DELETE', `${bindings}/b`, undefined],
    ] as const) {
      const sent = { token, ...(body && { body }) }
      expect(await send(method, path, sent), method).toMatchObject(refusal(403, 'Forbidden'))
    }
  })
})

describe('a caller who may write cluster role bindings', () => {
  /** A robot that may write them, and is admin of `demo`. */
  async function writer(more: object[] = []) {
    const world = await apiWorld()
    const token = await world.robot('boss', 'admin')
    const rules = [{ apiGroups: [apiGroup], resources: ['clusterrolebindings'], verbs: ['*'] }, ...more]
    await world.asAdmin('POST', `${rbacApi}/clusterroles`, { metadata: { name: 'writer' }, rules })
    const boss = { kind: 'ServiceAccount', name: 'boss', namespace: 'demo' }
    await world.asAdmin('POST', bindings, binding('writer', [boss], 'writers'))
    return { ...world, token }
  }

  test('gives what he holds in the whole cluster, not what he holds in a project', async () => {
    const { send, token } = await writer()
    expect(await send('POST', bindings, { token, body: binding('view') })).toMatchObject(
      refusal(
        403,
        'Forbidden',
        expect.stringContaining('clusterrolebindings.rbac.authorization.k8s.io "b" is forbidden'),
      ),
    )
    expect((await send('POST', bindings, { token, body: binding('writer') })).status).toBe(201)
  })

  test('gives what he may bind', async () => {
    const bind = { apiGroups: [apiGroup], resources: ['clusterroles'], resourceNames: ['view'], verbs: ['bind'] }
    const { send, token } = await writer([bind])
    expect((await send('POST', bindings, { token, body: binding('view') })).status).toBe(201)
    expect((await send('POST', bindings, { token, body: binding('edit', [ci], 'c') })).status).toBe(403)
  })

  test('is told when there is no such role', async () => {
    const { send, token } = await writer()
    expect(await send('POST', bindings, { token, body: binding('nope') })).toMatchObject(
      refusal(404, 'NotFound', expect.stringContaining('"nope" not found')),
    )
  })
})
