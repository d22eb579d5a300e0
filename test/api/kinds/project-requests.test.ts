import { describe, expect, test } from 'vitest'
import { apiWorld, imageApi, invalidFields, refusal } from '../world.ts'

const requests = '/apis/project.openshift.io/v1/projectrequests'

describe('project requests', () => {
  test('make a project as oc new-project asks for it', async () => {
    const { asAdmin, objects } = await apiWorld()
    expect(await asAdmin('GET', requests)).toMatchObject({
      status: 200,
      body: { kind: 'Status', apiVersion: 'v1', status: 'Success' },
    })
    const body = { kind: 'ProjectRequest', apiVersion: 'project.openshift.io/v1', metadata: { name: 'team' } }
    const made = await asAdmin('POST', requests, { ...body, displayName: 'The Team', description: 'What we do' })
    expect(made).toMatchObject({
      status: 201,
      body: {
        kind: 'Project',
        apiVersion: 'project.openshift.io/v1',
        metadata: {
          name: 'team',
          uid: expect.any(String),
          annotations: {
            'openshift.io/display-name': 'The Team',
            'openshift.io/description': 'What we do',
            'openshift.io/requester': 'weir:admin',
          },
        },
        status: { phase: 'Active' },
      },
    })
    expect((await asAdmin('GET', '/apis/project.openshift.io/v1/projects/team')).body).toEqual(made.body)
    expect(await objects.get('rolebindings', 'team', 'admin')).toBeDefined()
  })

  test('of a taken or a bad name are refused', async () => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', requests, { metadata: { name: 'demo' } })).toMatchObject(
      refusal(409, 'AlreadyExists', 'namespaces "demo" already exists'),
    )
    expect(await asAdmin('POST', requests, { metadata: { name: 'A' } })).toMatchObject(invalidFields('metadata.name'))
    expect(await asAdmin('POST', requests, { metadata: { name: 'a' }, displayName: 1 })).toMatchObject(
      refusal(400, 'BadRequest'),
    )
    expect(
      await asAdmin('POST', requests, { metadata: { name: 'a' }, description: 'x'.repeat(300_000) }),
    ).toMatchObject(invalidFields('metadata.annotations'))
  })

  test('are for those with the right to create them, which no role in a project gives', async () => {
    const { send, robot, store, authorizer } = await apiWorld()
    const boss = await robot('boss', 'admin')
    const body = { metadata: { name: 'mine' } }
    for (const sent of [{ token: boss }, {}]) {
      const refused = refusal(403, 'Forbidden', expect.stringContaining('cannot create resource "projectrequests"'))
      expect(await send('GET', requests, sent)).toMatchObject(refused)
      expect(await send('POST', requests, { ...sent, body })).toMatchObject(refused)
    }
    const rules = [{ apiGroups: ['project.openshift.io'], resources: ['projectrequests'], verbs: ['create'] }]
    const put = (key: string, value: unknown) => ({ type: 'put' as const, key, value: JSON.stringify(value) })
    const written = await store.commit({
      operations: [
        put('object/clusterroles//maker', { metadata: { name: 'maker' }, rules }),
        put('object/clusterrolebindings//maker', {
          metadata: { name: 'maker' },
          subjects: [{ kind: 'ServiceAccount', name: 'boss', namespace: 'demo' }],
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'maker' },
        }),
      ],
    })
    await authorizer.reached(written.status === 'committed' ? written.revision : 0)
    expect((await send('GET', requests, { token: boss })).status).toBe(200)
    expect((await send('POST', requests, { token: boss, body })).status).toBe(201)
    expect((await send('GET', `${imageApi}/namespaces/mine/imagestreams`, { token: boss })).status).toBe(200)
  })
})
