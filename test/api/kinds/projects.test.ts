import { describe, expect, test } from 'vitest'
import { apiWorld, imageApi, invalidFields, names, rbacApi, refusal } from '../world.ts'

const namespaces = '/api/v1/namespaces'
const projects = '/apis/project.openshift.io/v1/projects'

describe('projects', () => {
  test('are created and read as namespaces and as projects', async () => {
    const { asAdmin } = await apiWorld()
    const created = await asAdmin('POST', namespaces, { metadata: { name: 'team-1', annotations: { a: 'b' } } })
    expect(created).toMatchObject({
      status: 201,
      body: {
        kind: 'Namespace',
        apiVersion: 'v1',
        metadata: {
          name: 'team-1',
          uid: expect.any(String),
          annotations: { a: 'b', 'openshift.io/requester': 'weir:admin' },
        },
        spec: { finalizers: ['kubernetes'] },
        status: { phase: 'Active' },
      },
    })
    expect(created.body.metadata).not.toHaveProperty('namespace')
    expect((await asAdmin('GET', `${namespaces}/team-1`)).body).toEqual(created.body)
    expect((await asAdmin('GET', `${projects}/team-1`)).body).toEqual({
      ...created.body,
      kind: 'Project',
      apiVersion: 'project.openshift.io/v1',
    })
    expect(names(await asAdmin('GET', namespaces))).toEqual(['demo', 'team-1'])
    expect(names(await asAdmin('GET', projects))).toEqual(['demo', 'team-1'])
  })

  test.each(['Team', 'a_b', '-a', 'a-', 'a.b', 'a/b', 'x'.repeat(64), ''])('are not named %j', async (name) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', namespaces, { metadata: { name } })).toMatchObject(invalidFields('metadata.name'))
  })

  test('are not created twice, and the second caller gets no binding', async () => {
    const { asAdmin, objects } = await apiWorld()
    await asAdmin('POST', namespaces, { metadata: { name: 'demo' } })
    expect(await asAdmin('POST', namespaces, { metadata: { name: 'demo' } })).toMatchObject(
      refusal(409, 'AlreadyExists', 'namespaces "demo" already exists'),
    )
    expect((await objects.list('rolebindings', 'demo')).items).toEqual([])
  })

  test('need a right for the whole cluster, which no role in a project gives', async () => {
    const { send, robot } = await apiWorld()
    const token = await robot('boss', 'admin')
    expect(await send('POST', namespaces, { token, body: { metadata: { name: 'mine' } } })).toMatchObject(
      refusal(403, 'Forbidden', expect.stringContaining('at the cluster scope')),
    )
  })

  test('make their creator admin in them, and nowhere else', async () => {
    const { send, robot, store, authorizer, asAdmin } = await apiWorld()
    const token = await robot('maker')
    const rules = [{ apiGroups: [''], resources: ['namespaces'], verbs: ['create'] }]
    const put = (key: string, value: unknown) => ({ type: 'put' as const, key, value: JSON.stringify(value) })
    const written = await store.commit({
      operations: [
        put('object/clusterroles//maker', { metadata: { name: 'maker' }, rules }),
        put('object/clusterrolebindings//maker', {
          metadata: { name: 'maker' },
          subjects: [{ kind: 'ServiceAccount', name: 'maker', namespace: 'demo' }],
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'maker' },
        }),
      ],
    })
    await authorizer.reached(written.status === 'committed' ? written.revision : 0)
    expect((await send('POST', namespaces, { token, body: { metadata: { name: 'mine' } } })).status).toBe(201)
    expect((await send('GET', `${imageApi}/namespaces/mine/imagestreams`, { token })).status).toBe(200)
    expect((await send('GET', `${imageApi}/namespaces/demo/imagestreams`, { token })).status).toBe(403)
    expect((await asAdmin('GET', `${rbacApi}/namespaces/mine/rolebindings/admin`)).body).toMatchObject({
      subjects: [{ kind: 'ServiceAccount', name: 'maker', namespace: 'demo' }],
      roleRef: { kind: 'ClusterRole', name: 'admin' },
    })
    expect(names(await send('GET', namespaces, { token }))).toEqual(['mine'])
  })

  test('are listed as far as the caller may see them', async () => {
    const { send, robot, asAdmin } = await apiWorld()
    await asAdmin('POST', namespaces, { metadata: { name: 'other' } })
    const token = await robot('viewer', 'view')
    const none = await robot('nobody')
    for (const path of [namespaces, projects]) {
      expect(names(await send('GET', path, { token }))).toEqual(['demo'])
      expect(names(await send('GET', path, { token: none }))).toEqual([])
      expect(names(await send('GET', path))).toEqual([])
      expect(names(await send('GET', `${path}?fieldSelector=metadata.name%3Dother`, { token }))).toEqual([])
      expect((await send('GET', `${path}/other`, { token })).status).toBe(403)
      expect((await send('GET', `${path}/demo`, { token })).status).toBe(200)
      expect((await send('GET', `${path}/demo`, { token: none })).status).toBe(403)
    }
  })

  test('I5: in pages tell nothing of those that the caller may not see', async () => {
    const { send, robot, objects, asAdmin } = await apiWorld()
    for (const name of ['aaa', 'hidden', 'zzz']) await objects.create('namespaces', '', { metadata: { name } })
    const token = await robot('viewer', 'view')
    for (const path of [namespaces, projects]) {
      const anonymous = await send('GET', `${path}?limit=1`)
      expect(names(anonymous)).toEqual([])
      expect(anonymous.body.metadata).not.toHaveProperty('continue')
      const own = await send('GET', `${path}?limit=1`, { token })
      expect(names(own)).toEqual(['demo'])
      expect(own.body.metadata).not.toHaveProperty('continue')
      const first = await asAdmin('GET', `${path}?limit=2`)
      expect(names(first)).toEqual(['aaa', 'demo'])
      const { continue: next } = first.body.metadata as { continue: string }
      const second = await asAdmin('GET', `${path}?limit=2&continue=${next}`)
      expect(names(second)).toEqual(['hidden', 'zzz'])
      expect(second.body.metadata).not.toHaveProperty('continue')
    }
  })

  test('are found behind many that the caller may not see, and the pages go on from the last visible one', async () => {
    const { send, robot, objects, authorizer } = await apiWorld()
    for (let i = 0; i < 210; i += 1) await objects.create('namespaces', '', { metadata: { name: `c${1000 + i}` } })
    await objects.create('namespaces', '', { metadata: { name: 'zzz' } })
    const token = await robot('viewer', 'view')
    const bound = await objects.create('rolebindings', 'zzz', {
      metadata: { name: 'viewer' },
      subjects: [{ kind: 'ServiceAccount', name: 'viewer', namespace: 'demo' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    })
    await authorizer.reached(Number(bound.metadata.resourceVersion))
    const first = await send('GET', `${namespaces}?limit=1`, { token })
    expect(names(first)).toEqual(['demo'])
    const { continue: next } = first.body.metadata as { continue: string }
    expect(Buffer.from(next, 'base64url').toString()).toContain('/demo"')
    const second = await send('GET', `${namespaces}?limit=1&continue=${next}`, { token })
    expect(names(second)).toEqual(['zzz'])
    expect(second.body.metadata).not.toHaveProperty('continue')
  })

  test('that are not there are 404 for those who may look anywhere', async () => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('GET', `${namespaces}/gone`)).toMatchObject(
      refusal(404, 'NotFound', 'namespaces "gone" not found'),
    )
    expect(await asAdmin('GET', `${projects}/gone`)).toMatchObject(
      refusal(404, 'NotFound', 'projects.project.openshift.io "gone" not found'),
    )
  })
})
