import { describe, expect, test } from 'vitest'
import { apiWorld, imageApi, inDemo, invalidFields, names, rbacApi, refusal } from '../world.ts'

const bindings = `${rbacApi}/${inDemo}/rolebindings`
const apiGroup = 'rbac.authorization.k8s.io'
const clusterRole = (name: string) => ({ apiGroup, kind: 'ClusterRole', name })
const ci = { kind: 'ServiceAccount', name: 'ci', namespace: 'demo' }
const binding = (role: string, subjects: unknown[] = [ci], name = 'b') => ({
  metadata: { name },
  subjects,
  roleRef: clusterRole(role),
})

describe('role bindings', () => {
  test('are created, changed, read, listed and deleted', async () => {
    const { asAdmin } = await apiWorld()
    const created = await asAdmin('POST', bindings, binding('system:image-puller'))
    expect(created).toMatchObject({
      status: 201,
      body: {
        kind: 'RoleBinding',
        apiVersion: `${apiGroup}/v1`,
        metadata: { name: 'b', namespace: 'demo' },
        subjects: [ci],
        roleRef: clusterRole('system:image-puller'),
      },
    })
    const more = [ci, { kind: 'Group', apiGroup, name: 'system:unauthenticated' }]
    const metadata = created.body.metadata
    const changed = await asAdmin('PUT', `${bindings}/b`, { ...binding('system:image-puller', more), metadata })
    expect(changed).toMatchObject({ status: 200, body: { subjects: more } })
    expect(names(await asAdmin('GET', bindings))).toEqual(['b'])
    expect((await asAdmin('GET', `${bindings}/b`)).body).toEqual(changed.body)
    expect((await asAdmin('DELETE', `${bindings}/b`)).status).toBe(200)
    expect(names(await asAdmin('GET', bindings))).toEqual([])
  })

  test('of more than 1,000 subjects are refused, however many', async () => {
    const { asAdmin } = await apiWorld()
    const anyone = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ kind: 'User', apiGroup, name: `u${i}` }))
    expect((await asAdmin('POST', bindings, binding('view', anyone(1000)))).status).toBe(201)
    const refused = await asAdmin('POST', bindings, binding('view', anyone(1001), 'more'))
    expect(refused).toMatchObject(invalidFields('subjects'))
    expect(refused.body.message).toContain('at most 1000')
    expect(await asAdmin('POST', bindings, binding('view', Array(1_300_000).fill({}), 'most'))).toMatchObject(
      invalidFields('subjects'),
    )
  })

  test('take effect before the answer, and end before the answer', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    const token = await robot('ci')
    const streams = `${imageApi}/${inDemo}/imagestreams`
    for (let round = 0; round < 5; round += 1) {
      await asAdmin('POST', bindings, binding('view'))
      expect((await send('GET', streams, { token })).status).toBe(200)
      await asAdmin('PUT', `${bindings}/b`, binding('view', []))
      expect((await send('GET', streams, { token })).status).toBe(403)
      await asAdmin('PUT', `${bindings}/b`, binding('view'))
      expect((await send('GET', streams, { token })).status).toBe(200)
      await asAdmin('DELETE', `${bindings}/b`)
      expect((await send('GET', streams, { token })).status).toBe(403)
    }
  })

  test('fill in the group of users and groups', async () => {
    const { asAdmin } = await apiWorld()
    const { body } = await asAdmin('POST', bindings, {
      metadata: { name: 'b' },
      subjects: [{ kind: 'User', name: 'ann' }],
      roleRef: { kind: 'ClusterRole', name: 'view' },
    })
    expect(body).toMatchObject({ subjects: [{ kind: 'User', apiGroup, name: 'ann' }], roleRef: clusterRole('view') })
  })

  test('never change their role', async () => {
    const { asAdmin } = await apiWorld()
    await asAdmin('POST', bindings, binding('view'))
    expect(await asAdmin('PUT', `${bindings}/b`, binding('edit'))).toMatchObject(invalidFields('roleRef'))
    expect(await asAdmin('PUT', `${bindings}/b?dryRun=All`, binding('edit'))).toMatchObject(invalidFields('roleRef'))
    expect((await asAdmin('GET', `${bindings}/b`)).body).toMatchObject({ roleRef: { name: 'view' } })
  })

  test.each([
    [{ kind: 'Robot', name: 'x' }, 'subjects[0].kind'],
    [{ kind: 'User', name: '' }, 'subjects[0].name'],
    [{ kind: 'User', apiGroup: 'other', name: 'x' }, 'subjects[0].apiGroup'],
    [{ kind: 'User', name: 'x', namespace: 'demo' }, 'subjects[0].namespace'],
    [{ kind: 'ServiceAccount', name: 'ci' }, 'subjects[0].namespace'],
    [{ kind: 'ServiceAccount', name: 'ci', namespace: 'A' }, 'subjects[0].namespace'],
    [{ kind: 'ServiceAccount', name: 'a:b', namespace: 'demo' }, 'subjects[0].name'],
    [{ kind: 'ServiceAccount', apiGroup, name: 'ci', namespace: 'demo' }, 'subjects[0].apiGroup'],
  ])('to %j are refused', async (subject, field) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', bindings, binding('view', [subject]))).toMatchObject(invalidFields(field))
  })

  test.each([
    [{ kind: 'Rolle', name: 'view' }, 'roleRef.kind'],
    [{ kind: 'ClusterRole', name: '' }, 'roleRef.name'],
    [{ apiGroup: 'other', kind: 'ClusterRole', name: 'view' }, 'roleRef.apiGroup'],
  ])('of %j are refused', async (roleRef, field) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', bindings, { metadata: { name: 'b' }, roleRef })).toMatchObject(invalidFields(field))
  })

  test('without roleRef are refused', async () => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', bindings, { metadata: { name: 'b' } })).toMatchObject(
      refusal(400, 'BadRequest', expect.stringContaining('roleRef')),
    )
  })

  test('of a role that is not there are refused, with the roles there are', async () => {
    const { send, robot } = await apiWorld()
    const token = await robot('boss', 'admin')
    const refused = await send('POST', bindings, { token, body: binding('pul') })
    expect(refused).toMatchObject(
      refusal(404, 'NotFound', expect.stringMatching(/clusterroles.* "pul" not found.*system:image-puller/)),
    )
    expect(refused.body.message).not.toContain('aggregate-to')
    const roleRef = { apiGroup, kind: 'Role', name: 'view' }
    expect(await send('POST', bindings, { token, body: { ...binding('view'), roleRef } })).toMatchObject(
      refusal(404, 'NotFound', expect.stringMatching(/^roles\.rbac/)),
    )
  })

  test('of a role that is not there yet are taken from who may bind any, and count once it is', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    const token = await robot('ci')
    const roleRef = { apiGroup, kind: 'Role', name: 'reader' }
    expect((await asAdmin('POST', bindings, { ...binding('view'), roleRef })).status).toBe(201)
    const streams = `${imageApi}/${inDemo}/imagestreams`
    expect((await send('GET', streams, { token })).status).toBe(403)
    const rules = [{ apiGroups: ['image.openshift.io'], resources: ['imagestreams'], verbs: ['list'] }]
    await asAdmin('POST', `${rbacApi}/${inDemo}/roles`, { metadata: { name: 'reader' }, rules })
    expect((await send('GET', streams, { token })).status).toBe(200)
  })
})

describe('a caller who would give more than he has', () => {
  test('is refused, naming the right that he lacks', async () => {
    const { send, robot, objects } = await apiWorld()
    const token = await robot('boss', 'registry-admin')
    expect(await send('POST', bindings, { token, body: binding('cluster-admin') })).toMatchObject(
      refusal(
        403,
        'Forbidden',
        expect.stringMatching(
          /rolebindings.* "b" is forbidden: user "system:serviceaccount:demo:boss".*Verbs:\["\*"\]/,
        ),
      ),
    )
    expect((await objects.list('rolebindings', 'demo')).items).toHaveLength(1)
    expect((await send('POST', bindings, { token, body: binding('registry-viewer') })).status).toBe(201)
  })

  test('is refused by way of new subjects of a binding that another made', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    const token = await robot('boss', 'registry-admin')
    await asAdmin('POST', bindings, binding('cluster-admin', []))
    expect((await send('PUT', `${bindings}/b`, { token, body: binding('cluster-admin', [ci]) })).status).toBe(403)
    expect((await send('PUT', `${bindings}/b`, { token, body: binding('registry-viewer', [ci]) })).status).toBe(422)
  })

  test('may give what he was allowed to bind', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    const token = await robot('binder')
    const rules = [
      { apiGroups: [apiGroup], resources: ['rolebindings'], verbs: ['create'] },
      { apiGroups: [apiGroup], resources: ['clusterroles'], resourceNames: ['view'], verbs: ['bind'] },
    ]
    await asAdmin('POST', `${rbacApi}/${inDemo}/roles`, { metadata: { name: 'binder' }, rules })
    await asAdmin('POST', bindings, {
      metadata: { name: 'binder' },
      subjects: [{ kind: 'ServiceAccount', name: 'binder', namespace: 'demo' }],
      roleRef: { apiGroup, kind: 'Role', name: 'binder' },
    })
    expect((await send('POST', bindings, { token, body: binding('view') })).status).toBe(201)
    expect((await send('POST', bindings, { token, body: binding('edit', [ci], 'c') })).status).toBe(403)
  })

  test('may send again what is there, and change who owns its fields, but not its labels', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    const token = await robot('boss', 'admin')
    await asAdmin('POST', bindings, binding('cluster-admin'))
    const { body } = await asAdmin('GET', `${bindings}/b`)
    expect((await send('PUT', `${bindings}/b`, { token, body })).status).toBe(200)
    const apply = (object: object) =>
      send('PATCH', `${bindings}/b?fieldManager=gitops`, {
        token,
        body: { apiVersion: `${apiGroup}/v1`, kind: 'RoleBinding', ...object },
        headers: { 'content-type': 'application/apply-patch+yaml' },
      })
    expect((await apply(binding('cluster-admin'))).status).toBe(200)
    const labelled = { ...binding('cluster-admin'), metadata: { name: 'b', labels: { a: 'b' } } }
    expect((await apply(labelled)).status).toBe(403)
    expect((await send('PUT', `${bindings}/b`, { token, body: labelled })).status).toBe(403)
    expect((await send('DELETE', `${bindings}/b`, { token })).status).toBe(200)
  })

  test('who may not write bindings at all is refused before anything is looked at', async () => {
    const { send, robot } = await apiWorld()
    const token = await robot('editor', 'edit')
    expect(await send('POST', bindings, { token, body: binding('view') })).toMatchObject(
      refusal(403, 'Forbidden', expect.stringContaining('cannot create resource "rolebindings"')),
    )
  })
})
