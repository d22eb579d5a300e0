import { describe, expect, test } from 'vitest'
import { invalidFields, refusal } from '../../world.ts'
import { kubernetes, openshift, type ReviewsWorld, reviewsWorld } from './world.ts'

const self = `${kubernetes}/selfsubjectrulesreviews`
const openshiftSelf = (project: string) => `${openshift}/namespaces/${project}/selfsubjectrulesreviews`
const openshiftSubject = (project: string) => `${openshift}/namespaces/${project}/subjectrulesreviews`

const groups = ['', 'image.openshift.io']
const puller = { verbs: ['get'], apiGroups: groups, resources: ['imagestreams/layers'] }
const everything = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] }

/** Makes a role of demo and gives it to everybody. */
async function giveRole({ objects, bind, authorizer }: ReviewsWorld, name: string, rules: readonly object[]) {
  await objects.create('clusterroles', '', { metadata: { name }, rules })
  await bind({ name, role: name, subject: { kind: 'Group', name: 'system:unauthenticated' } })
  return authorizer
}

describe('a review of one’s rules', () => {
  test('lists those of the project and of the whole cluster, each once', async () => {
    const { ask, robot, bind } = await reviewsWorld()
    const token = await robot('ci', 'system:image-puller')
    const account = { kind: 'ServiceAccount', name: 'ci', namespace: 'demo' } as const
    await bind({ name: 'again', subject: account })
    await bind({ name: 'delegate', role: 'system:auth-delegator', subject: account, project: '' })
    const rules = async (namespace: string) => {
      const { status, body } = await ask(self, { spec: { namespace } }, { token })
      expect(status).toBe(201)
      expect(body).toMatchObject({ kind: 'SelfSubjectRulesReview', spec: { namespace } })
      return body.status
    }
    const delegate = ['tokenreviews', 'subjectaccessreviews'].map((resource) => ({
      verbs: ['create'],
      apiGroups: [resource === 'tokenreviews' ? 'authentication.k8s.io' : 'authorization.k8s.io'],
      resources: [resource],
    }))
    expect(await rules('demo')).toEqual({
      resourceRules: [puller, ...delegate],
      nonResourceRules: [],
      incomplete: false,
    })
    expect(await rules('other')).toEqual({ resourceRules: delegate, nonResourceRules: [], incomplete: false })
    expect(await rules('__proto__')).toMatchObject({ resourceRules: delegate })
  })

  test('is answered to the admin and to nobody, of everything and of nothing', async () => {
    const { ask } = await reviewsWorld()
    const body = { spec: { namespace: 'demo' } }
    expect(await ask(self, body)).toMatchObject({ body: { status: { resourceRules: [everything] } } })
    expect(await ask(self, body, { token: undefined })).toMatchObject({
      status: 201,
      body: { status: { resourceRules: [], nonResourceRules: [], incomplete: false } },
    })
  })

  test('shows names, and leaves out rules about paths', async () => {
    const world = await reviewsWorld()
    const named = { ...puller, resourceNames: ['app'] }
    await giveRole(world, 'odd', [
      named,
      { verbs: ['get'], nonResourceURLs: ['/healthz'], apiGroups: [], resources: [] },
    ])
    const { body } = await world.ask(self, { spec: { namespace: 'demo' } }, { token: undefined })
    expect(body.status).toMatchObject({ resourceRules: [named], nonResourceRules: [] })
  })

  test('ends before it is too long, and says so', async () => {
    const world = await reviewsWorld()
    for (const role of ['a', 'b', 'c']) {
      const resourceNames = Array.from({ length: 2000 }, (_, i) => `${role}${i}`.padEnd(200, 'x'))
      await giveRole(world, role, [{ ...puller, resourceNames }])
    }
    const { body, text } = await world.ask(self, { spec: { namespace: 'demo' } }, { token: undefined })
    expect(text.length).toBeLessThan(1_100_000)
    expect(body.status).toMatchObject({
      incomplete: true,
      evaluationError: 'there are 3 rules, and the answer has the first 2 alone',
    })
    expect((body.status as { resourceRules: object[] }).resourceRules).toHaveLength(2)
  })

  test.each([[{}], [{ spec: null }], [{ spec: { namespace: '' } }], [{ spec: { namespace: null } }]])(
    'without a project, as %j, is refused as in Kubernetes',
    async (body) => {
      const { ask } = await reviewsWorld()
      expect(await ask(self, body)).toMatchObject(
        refusal(400, 'BadRequest', expect.stringContaining('no namespace on request')),
      )
    },
  )

  test('of a project with an endless name is refused', async () => {
    const { ask } = await reviewsWorld()
    expect(await ask(self, { spec: { namespace: 'p'.repeat(254) } })).toMatchObject(invalidFields('spec.namespace'))
  })
})

describe('a review of rules as oc asks for it', () => {
  test('lists one’s own in the project of the path', async () => {
    const { ask, robot } = await reviewsWorld()
    const token = await robot('ci', 'system:image-puller')
    const body = {
      kind: 'SelfSubjectRulesReview',
      apiVersion: 'authorization.openshift.io/v1',
      spec: { scopes: null },
      status: { rules: null },
    }
    expect(await ask(openshiftSelf('demo'), body, { token })).toMatchObject({
      status: 201,
      body: { kind: body.kind, apiVersion: body.apiVersion, status: { rules: [puller] } },
    })
    for (const project of ['other', 'nowhere']) {
      expect(await ask(openshiftSelf(project), body, { token })).toMatchObject({
        status: 201,
        body: { status: { rules: [] } },
      })
    }
  })

  test('lists those of others to who may ask in that project', async () => {
    const { ask, robot, bind } = await reviewsWorld()
    const token = await robot('boss', 'admin')
    await bind({ name: 'ann', subject: { kind: 'User', name: 'ann' } })
    const about = (who: object) => ({ spec: { groups: null, scopes: null, ...who }, status: { rules: null } })
    expect(await ask(openshiftSubject('demo'), about({ user: 'ann' }), { token })).toMatchObject({
      status: 201,
      body: { kind: 'SubjectRulesReview', spec: { user: 'ann' }, status: { rules: [puller] } },
    })
    expect(await ask(openshiftSubject('demo'), about({ user: '', groups: ['devs'] }), { token })).toMatchObject({
      body: { status: { rules: [] } },
    })
    expect(await ask(openshiftSubject('demo'), about({ user: '' }), { token })).toMatchObject(
      invalidFields('spec.user'),
    )
    const most = { user: 'ann', groups: Array(1001).fill('g') }
    expect(await ask(openshiftSubject('demo'), about(most), { token })).toMatchObject(invalidFields('spec.groups'))
    expect(await ask(openshiftSubject('other'), about({ user: 'ann' }), { token })).toMatchObject(
      refusal(403, 'Forbidden', expect.stringContaining('cannot create resource "subjectrulesreviews"')),
    )
    const viewer = await robot('viewer', 'view')
    expect(await ask(openshiftSubject('demo'), about({ user: 'ann' }), { token: viewer })).toMatchObject(
      refusal(403, 'Forbidden'),
    )
  })

  test('is refused for scopes, which would make the answer promise too much', async () => {
    const { ask } = await reviewsWorld()
    for (const path of [openshiftSelf('demo'), openshiftSubject('demo')]) {
      const body = { spec: { user: 'ann', scopes: ['user:info'] } }
      expect(await ask(`${path}?fieldValidation=Ignore`, body)).toMatchObject(invalidFields('spec.scopes'))
    }
  })
})
