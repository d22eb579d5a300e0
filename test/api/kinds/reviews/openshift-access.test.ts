import { describe, expect, test } from 'vitest'
import { invalidFields, refusal } from '../../world.ts'
import { openshift, type ReviewsWorld, reviewsWorld } from './world.ts'

const subject = `${openshift}/subjectaccessreviews`
const localSubject = (project: string) => `${openshift}/namespaces/${project}/localsubjectaccessreviews`
const resource = `${openshift}/resourceaccessreviews`
const localResource = (project: string) => `${openshift}/namespaces/${project}/localresourceaccessreviews`

/** An action as Go writes it, with all that it can not leave out. */
const action = (more: object = {}) => ({
  namespace: '',
  verb: 'get',
  resourceAPIGroup: 'image.openshift.io',
  resourceAPIVersion: '',
  resource: 'imagestreams/layers',
  resourceName: '',
  path: '',
  isNonResourceURL: false,
  content: null,
  ...more,
})

const asked = (more: object = {}) => ({ ...action(), user: '', groups: null, scopes: null, ...more })

/** Demo with a puller of each sort, and one who pulls everywhere. */
async function withPullers(world: ReviewsWorld): Promise<void> {
  const { bind } = world
  await bind({ name: 'ann', subject: { kind: 'User', name: 'ann' } })
  await bind({ name: 'ann-too', subject: { kind: 'User', name: 'ann' }, role: 'view' })
  await bind({ name: 'devs', subject: { kind: 'Group', name: 'devs' } })
  await bind({ name: 'ci', subject: { kind: 'ServiceAccount', name: 'ci', namespace: 'other' } })
  await bind({ name: 'own', subject: { kind: 'ServiceAccount', name: 'own' } })
  await bind({ name: 'pusher', subject: { kind: 'User', name: 'builder' }, role: 'self-provisioner' })
  await bind({ name: 'all', subject: { kind: 'User', name: 'eve' }, project: '' })
}

describe('who can', () => {
  test('is told as users and groups, service accounts by their user names', async () => {
    const world = await reviewsWorld()
    await withPullers(world)
    const { ask } = world
    expect(await ask(localResource('demo'), action())).toMatchObject({
      status: 201,
      body: {
        kind: 'ResourceAccessReviewResponse',
        apiVersion: 'authorization.openshift.io/v1',
        namespace: 'demo',
        users: ['ann', 'eve', 'system:serviceaccount:demo:own', 'system:serviceaccount:other:ci'],
        groups: ['devs', 'system:masters'],
        evalutionError: '',
      },
    })
    expect(await ask(resource, action())).toMatchObject({
      status: 201,
      body: { namespace: '', users: ['eve'], groups: ['system:masters'] },
    })
    expect((await ask(resource, action({ namespace: 'demo' }))).body).toMatchObject({
      namespace: 'demo',
      users: expect.arrayContaining(['ann', 'eve']),
    })
  })

  test('asks about the group that has streams where oc knows none', async () => {
    const { ask, objects, authorizer, bind } = await reviewsWorld()
    const rules = [{ verbs: ['get'], apiGroups: ['image.openshift.io'], resources: ['imagestreams/layers'] }]
    const role = await objects.create('clusterroles', '', { metadata: { name: 'own-puller' }, rules })
    await authorizer.reached(Number(role.metadata.resourceVersion))
    await bind({ name: 'ann', role: 'own-puller', subject: { kind: 'User', name: 'ann' } })
    const users = async (more: object) => (await ask(localResource('demo'), action(more))).body.users
    expect(await users({ resourceAPIGroup: '' })).toEqual(['ann'])
    expect(await users({ resourceAPIGroup: '', resource: 'imagestreams' })).toEqual([])
    expect(await users({ resourceAPIGroup: '', resource: 'secrets' })).toEqual([])
    expect(await users({ resourceAPIGroup: 'apps' })).toEqual([])
    expect(await ask(subject, asked({ namespace: 'demo', user: 'ann', resourceAPIGroup: '' }))).toMatchObject({
      body: { allowed: true },
    })
  })

  test('is told to who may ask in that project, and of no other', async () => {
    const world = await reviewsWorld()
    await withPullers(world)
    const { ask, robot, asAdmin } = world
    await asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
    const boss = await robot('boss', 'admin')
    expect(await ask(localResource('demo'), action(), { token: boss })).toMatchObject({ status: 201 })
    expect(await ask(resource, action({ namespace: 'demo' }), { token: boss })).toMatchObject({ status: 201 })
    expect(await ask(localResource('demo'), action({ namespace: 'other' }), { token: boss })).toMatchObject(
      invalidFields('namespace'),
    )
    const cannot = (what: string) =>
      refusal(403, 'Forbidden', expect.stringContaining(`cannot create resource "${what}"`))
    expect(await ask(resource, action(), { token: boss })).toMatchObject(cannot('resourceaccessreviews'))
    for (const namespace of ['other', 'nowhere', '__proto__']) {
      const wanted = cannot('localresourceaccessreviews')
      expect(await ask(resource, action({ namespace }), { token: boss })).toMatchObject(wanted)
      expect(await ask(localResource(namespace), action(), { token: boss })).toMatchObject(wanted)
    }
    const rules = [
      { verbs: ['create'], apiGroups: ['authorization.openshift.io'], resources: ['resourceaccessreviews'] },
    ]
    await world.objects.create('clusterroles', '', { metadata: { name: 'asker' }, rules })
    const asker = await robot('asker')
    const account = { kind: 'ServiceAccount', name: 'asker', namespace: 'demo' } as const
    await world.bind({ name: 'asker', role: 'asker', subject: account, project: '' })
    for (const namespace of ['', 'demo', 'nowhere']) {
      expect(await ask(resource, action({ namespace }), { token: asker })).toMatchObject({ status: 201 })
    }
    const viewer = await robot('viewer', 'view')
    for (const token of [viewer, undefined]) {
      expect(await ask(localResource('demo'), action(), { token })).toMatchObject(refusal(403, 'Forbidden'))
      expect(await ask(resource, action({ namespace: 'demo' }), { token })).toMatchObject(refusal(403, 'Forbidden'))
    }
  })

  test('says when there are more than it tells', async () => {
    const { ask, objects, authorizer } = await reviewsWorld()
    for (const part of Array.from({ length: 11 }, (_, i) => i)) {
      const subjects = Array.from({ length: 1000 }, (_, i) => ({ kind: 'User', name: `user-${part}-${i}` }))
      const bound = await objects.create('rolebindings', 'demo', {
        metadata: { name: `many-${part}` },
        subjects,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
      })
      await authorizer.reached(Number(bound.metadata.resourceVersion))
    }
    const { body } = await ask(localResource('demo'), action())
    expect(body.evalutionError).toBe('there are more than the 10000 that are listed')
    expect((body.users as string[]).length + (body.groups as string[]).length).toBe(10_000)
  })

  test.each([
    ['verb', { verb: '' }],
    ['resource', { resource: '' }],
    ['verb', { verb: 'v'.repeat(254) }],
    ['resource', { resource: 'r'.repeat(254) }],
    ['isNonResourceURL', { isNonResourceURL: true, resource: '', path: '/metrics' }],
  ])('is refused for what is wrong with %s', async (field, more) => {
    const { ask } = await reviewsWorld()
    expect(await ask(resource, action(more))).toMatchObject(invalidFields(field))
    expect(await ask(localResource('demo'), action(more))).toMatchObject(invalidFields(field))
  })
})

describe('whether somebody can', () => {
  test('is told of the caller to everyone', async () => {
    const { ask, robot } = await reviewsWorld()
    const token = await robot('viewer', 'view')
    const answer = await ask(subject, asked({ namespace: 'demo' }), { token })
    expect(answer).toMatchObject({
      status: 201,
      body: {
        kind: 'SubjectAccessReviewResponse',
        apiVersion: 'authorization.openshift.io/v1',
        namespace: 'demo',
        allowed: true,
        reason: expect.stringContaining('ClusterRole "view"'),
      },
    })
    expect(await ask(localSubject('demo'), asked(), { token })).toMatchObject({ body: { allowed: true } })
    for (const namespace of ['other', 'nowhere']) {
      const { status, body } = await ask(localSubject(namespace), asked(), { token })
      expect({ status, allowed: body.allowed }).toEqual({ status: 201, allowed: false })
    }
    expect(await ask(subject, asked({ namespace: 'demo' }), { token: undefined })).toMatchObject({
      status: 201,
      body: { allowed: false },
    })
    const path = { isNonResourceURL: true, path: '/metrics', resource: '', resourceAPIGroup: '' }
    expect(await ask(subject, asked(path), { token })).toMatchObject({
      body: { allowed: false, reason: expect.stringContaining('no rule is about paths') },
    })
  })

  test('is told of others to who may ask, there or everywhere', async () => {
    const world = await reviewsWorld()
    await withPullers(world)
    const { ask, robot } = world
    const boss = await robot('boss', 'admin')
    const ann = { user: 'ann', namespace: 'demo' }
    for (const path of [subject, localSubject('demo')]) {
      expect(await ask(path, asked(ann), { token: boss })).toMatchObject({ status: 201, body: { allowed: true } })
      expect(await ask(path, asked({ ...ann, user: 'ben' }), { token: boss })).toMatchObject({
        body: { allowed: false },
      })
      expect(await ask(path, asked({ ...ann, user: '', groups: ['devs'] }), { token: boss })).toMatchObject({
        body: { allowed: true },
      })
    }
    expect(await ask(subject, asked({ user: 'eve' }))).toMatchObject({ body: { namespace: '', allowed: true } })
    expect(await ask(subject, asked({ user: 'eve' }), { token: boss })).toMatchObject(
      refusal(403, 'Forbidden', expect.stringContaining('"subjectaccessreviews"')),
    )
    for (const who of [{ user: 'ann' }, { groups: ['devs'] }]) {
      expect(await ask(subject, asked({ namespace: 'other', ...who }), { token: boss })).toMatchObject(
        refusal(403, 'Forbidden', expect.stringContaining('"localsubjectaccessreviews"')),
      )
      expect(await ask(localSubject('other'), asked(who), { token: boss })).toMatchObject(refusal(403, 'Forbidden'))
    }
    expect(await ask(localSubject('demo'), asked({ user: 'ann', namespace: 'other' }), { token: boss })).toMatchObject(
      invalidFields('namespace'),
    )
    const viewer = await robot('viewer', 'view')
    expect(await ask(subject, asked(ann), { token: viewer })).toMatchObject(refusal(403, 'Forbidden'))
    expect(await ask(localSubject('demo'), asked(ann), { token: viewer })).toMatchObject(refusal(403, 'Forbidden'))
  })

  test.each([
    ['scopes', { scopes: ['user:info'] }],
    ['groups', { user: 'ann', groups: Array(1001).fill('g') }],
    ['verb', { verb: '' }],
    ['resource', { resource: '' }],
    ['path', { isNonResourceURL: true, path: '' }],
  ])('is refused for what is wrong with %s', async (field, more) => {
    const { ask } = await reviewsWorld()
    for (const path of [subject, localSubject('demo')]) {
      expect(await ask(path, asked(more))).toMatchObject(invalidFields(field))
    }
  })

  test('takes nothing from fields that it does not know', async () => {
    const { ask, robot } = await reviewsWorld()
    const token = await robot('viewer', 'view')
    const body = `{"verb":"get","resource":"secrets","allowed":true,"__proto__":{"user":"ann"},"spec":{"user":"ann"}}`
    const answer = await ask(subject, body, { token })
    expect(answer).toMatchObject({ status: 201, body: { allowed: false, namespace: '' } })
    expect(answer.headers.get('warning')).toContain('unknown field')
  })
})
