import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { invalidFields, refusal } from '../../world.ts'
import { kubernetes, pull, type ReviewsWorld, reviewsWorld } from './world.ts'

const self = `${kubernetes}/selfsubjectaccessreviews`
const subject = `${kubernetes}/subjectaccessreviews`
const local = (project: string) => `${kubernetes}/namespaces/${project}/localsubjectaccessreviews`

const images = { group: 'image.openshift.io', resource: 'imagestreams' }

/** A service account that may ask about everybody. */
async function delegate({ robot, bind }: ReviewsWorld): Promise<string> {
  const token = await robot('delegate')
  const account = { kind: 'ServiceAccount', name: 'delegate', namespace: 'demo' } as const
  await bind({ name: 'delegate', role: 'system:auth-delegator', subject: account, project: '' })
  return token
}

describe('a review of oneself', () => {
  test.each([
    [{ verb: 'get', ...images, namespace: 'demo' }, true],
    [{ verb: 'get', ...images, subresource: 'layers', namespace: 'demo' }, true],
    [{ verb: 'update', ...images, subresource: 'layers', namespace: 'demo' }, false],
    [{ verb: 'get', ...images, namespace: 'other' }, false],
    [{ verb: 'get', ...images }, false],
    [{ verb: '*', group: '*', resource: '*' }, false],
    [{ verb: 'get', ...images, namespace: 'demo', fieldSelector: { rawSelector: 'metadata.name=x' } }, true],
    [{}, false],
  ])('tells a viewer who asks about %j: %s', async (attributes, allowed) => {
    const { ask, robot } = await reviewsWorld()
    const token = await robot('viewer', 'view')
    const { fieldSelector, ...told } = { fieldSelector: undefined, ...attributes }
    const kind = { kind: 'SelfSubjectAccessReview', apiVersion: 'authorization.k8s.io/v1' }
    expect(await ask(self, { ...kind, spec: { resourceAttributes: attributes } }, { token })).toMatchObject({
      status: 201,
      body: { ...kind, spec: { resourceAttributes: told }, status: { allowed } },
    })
  })

  test('says what allows it, in the words of Kubernetes', async () => {
    const { ask, robot, bind } = await reviewsWorld()
    const token = await robot('viewer', 'view')
    const body = { spec: { resourceAttributes: pull } }
    const reason = async (as?: { token: string | undefined }) => (await ask(self, body, as)).body.status
    expect(await reason({ token })).toEqual({
      allowed: true,
      reason:
        'RBAC: allowed by RoleBinding "demo-viewer-view/demo" of ClusterRole "view" to ServiceAccount "viewer/demo"',
    })
    expect(await reason()).toEqual({ allowed: true, reason: 'allowed by Group "system:masters"' })
    expect(await reason({ token: undefined })).toEqual({ allowed: false })
    const everybody = { kind: 'Group', name: 'system:unauthenticated' } as const
    await bind({ name: 'public', subject: everybody, project: '' })
    expect(await reason({ token: undefined })).toEqual({
      allowed: true,
      reason:
        'RBAC: allowed by ClusterRoleBinding "public" of ClusterRole "system:image-puller" to Group "system:unauthenticated"',
    })
  })

  test('knows no rules about paths', async () => {
    const { ask, robot } = await reviewsWorld()
    const token = await robot('viewer', 'view')
    const body = { spec: { nonResourceAttributes: { path: '/metrics', verb: 'get' } } }
    expect(await ask(self, body, { token })).toMatchObject({
      status: 201,
      body: { ...body, status: { allowed: false, reason: expect.stringContaining('served to everyone') } },
    })
    expect(await ask(self, body)).toMatchObject({ body: { status: { allowed: true } } })
  })

  const at = 'spec.resourceAttributes'
  test.each([
    [at, {}],
    [at, { spec: {} }],
    [at, { spec: null }],
    ['spec.nonResourceAttributes', { spec: { resourceAttributes: {}, nonResourceAttributes: {} } }],
    [`${at}.verb`, { spec: { resourceAttributes: { ...pull, verb: 'x'.repeat(254) } } }],
    [`${at}.resource`, { spec: { resourceAttributes: { ...pull, resource: 'x'.repeat(254) } } }],
    [`${at}.group`, { spec: { resourceAttributes: { ...pull, group: 'x'.repeat(50_000) } } }],
  ])('is refused for what is wrong with %s', async (field, body) => {
    const { ask } = await reviewsWorld()
    expect(await ask(self, body)).toMatchObject(invalidFields(field))
  })

  test('says what the authorizer says, whatever is asked', async () => {
    const { ask, robot, authorizer, authenticator } = await reviewsWorld()
    const token = await robot('editor', 'edit')
    const client = { address: '', userAgent: '' }
    const editor = await authenticator.authenticate({ user: '', secret: token, client })
    if (editor === undefined) throw new Error('the robot is nobody')
    const one = (...values: string[]) => fc.oneof(fc.constantFrom(...values), fc.string())
    const asked = fc.record({
      namespace: one('demo', 'other', ''),
      verb: one('get', 'create', '*', 'update'),
      group: one('image.openshift.io', '', '*', 'rbac.authorization.k8s.io'),
      resource: one('imagestreams', 'imagestreams/layers', 'rolebindings', '*', '__proto__'),
      subresource: one('', 'layers', 'status'),
      name: one('', 'app', 'constructor'),
    })
    await fc.assert(
      fc.asyncProperty(asked, async (resourceAttributes) => {
        const { namespace, verb, group, resource, subresource, name } = resourceAttributes
        const whole = subresource === '' ? resource : `${resource}/${subresource}`
        const allowed = authorizer.can(editor, verb, group, whole, name, namespace)
        const { status, body } = await ask(self, { spec: { resourceAttributes } }, { token })
        expect({ status, allowed: (body.status as { allowed: boolean }).allowed }).toEqual({ status: 201, allowed })
      }),
      { numRuns: 200 },
    )
  })
})

describe('a review of somebody', () => {
  const about = (who: object, resourceAttributes: object = pull) => ({ spec: { resourceAttributes, ...who } })

  test('is answered for the user and the groups that are named, and no others', async () => {
    const world = await reviewsWorld()
    const { ask, bind } = world
    const token = await delegate(world)
    await bind({ name: 'ann', subject: { kind: 'User', name: 'ann' } })
    await bind({ name: 'devs', subject: { kind: 'Group', name: 'devs' } })
    await bind({ name: 'all', subject: { kind: 'Group', name: 'system:authenticated' }, role: 'view' })
    const allowed = async (who: object, attributes?: object) => {
      const { status, body } = await ask(subject, about(who, attributes), { token })
      expect(status).toBe(201)
      return body.status
    }
    const by = (binding: string, role = 'system:image-puller') =>
      `RBAC: allowed by RoleBinding "${binding}/demo" of ClusterRole "${role}" to `
    expect(await allowed({ user: 'ann' })).toEqual({ allowed: true, reason: `${by('ann')}User "ann"` })
    expect(await allowed({ user: 'ben' })).toEqual({ allowed: false })
    expect(await allowed({ user: 'ben', groups: ['devs'] })).toEqual({
      allowed: true,
      reason: `${by('devs')}Group "devs"`,
    })
    expect(await allowed({ groups: ['devs'] })).toMatchObject({ allowed: true })
    expect(await allowed({ user: 'devs' })).toEqual({ allowed: false })
    expect(await allowed({ groups: ['ann'] })).toEqual({ allowed: false })
    // Who is said to be nothing more is not even logged in.
    expect(await allowed({ user: 'ben', groups: ['system:authenticated'] })).toEqual({
      allowed: true,
      reason: `${by('all', 'view')}Group "system:authenticated"`,
    })
    expect(await allowed({ user: 'ann' }, { ...pull, namespace: 'other' })).toEqual({ allowed: false })
    expect(await allowed({ user: 'x', groups: ['system:masters'] })).toMatchObject({ allowed: true })
  })

  test('is answered of what anybody may, of anybody', async () => {
    const { ask, bind } = await reviewsWorld()
    await bind({ name: 'public', subject: { kind: 'User', name: 'system:anonymous' } })
    expect(await ask(subject, about({ user: 'whoever' }))).toMatchObject({
      body: { status: { allowed: true, reason: expect.stringContaining('User "system:anonymous"') } },
    })
  })

  test('tells back what was asked, and nothing that is none of its fields', async () => {
    const { ask } = await reviewsWorld()
    const body = `{"spec":{"user":"ann","uid":"7","extra":{"__proto__":["x"],"constructor":[]},"groups":["__proto__"],"isAdmin":true,
      "resourceAttributes":{"verb":"get","resource":"__proto__","__proto__":{"namespace":"demo"}}},"status":{"allowed":true}}`
    const answer = await ask(subject, body)
    expect(answer).toMatchObject({ status: 201, body: { status: { allowed: false } } })
    expect(answer.body.spec).toEqual({
      user: 'ann',
      uid: '7',
      groups: ['__proto__'],
      resourceAttributes: { namespace: '', verb: 'get', group: '', resource: '__proto__', subresource: '', name: '' },
    })
    expect(answer.headers.get('warning')).toContain('spec.isAdmin')
    expect(await ask(`${subject}?fieldValidation=Strict`, body)).toMatchObject(
      refusal(400, 'BadRequest', expect.stringContaining('unknown field "spec.isAdmin"')),
    )
  })

  test.each([
    ['of nobody', {}, 'spec.user'],
    ['of nobody in no group', { user: '', groups: [] }, 'spec.user'],
    ['of somebody in 1,001 groups', { user: 'ann', groups: Array(1001).fill('g') }, 'spec.groups'],
  ])('%s is refused by the field', async (_, who, field) => {
    const { ask } = await reviewsWorld()
    expect(await ask(subject, about(who))).toMatchObject(invalidFields(field))
    expect(await ask(local('demo'), about(who))).toMatchObject(invalidFields(field))
  })

  test.each([
    ['a number for the user', { user: 1 }, 'spec.user'],
    ['a word for the groups', { user: 'ann', groups: 'devs' }, 'spec.groups'],
    ['a number in the groups', { user: 'ann', groups: [1] }, 'spec.groups[0]'],
    ['a word in extra', { user: 'ann', extra: { scopes: 'all' } }, 'spec.extra'],
  ])('with %s has a wrong shape', async (_, who, field) => {
    const { ask } = await reviewsWorld()
    expect(await ask(subject, about(who))).toMatchObject(
      refusal(400, 'BadRequest', expect.stringContaining(`wrong shape: ${field}`)),
    )
  })

  test('in as many groups as a body can hold is refused in no time that others would miss', async () => {
    const { ask } = await reviewsWorld()
    const groups = Array.from({ length: 300_000 }, (_, i) => `g${i}`)
    expect(await ask(subject, about({ user: 'ann', groups }))).toMatchObject(invalidFields('spec.groups'))
  })
})

describe('who may ask about others', () => {
  const about = (namespace: string) => ({
    spec: { user: 'ann', resourceAttributes: { ...pull, namespace } },
  })

  test('anywhere: who has the right on the cluster, and not who has it in a project', async () => {
    const world = await reviewsWorld()
    const { ask, robot, bind } = world
    const admin = await robot('boss', 'admin')
    await bind({ name: 'delegating', role: 'system:auth-delegator', subject: { kind: 'User', name: 'ann' } })
    for (const token of [admin, undefined]) {
      const answer = await ask(subject, about('demo'), { token })
      expect(answer).toMatchObject(
        refusal(403, 'Forbidden', expect.stringContaining('cannot create resource "subjectaccessreviews"')),
      )
    }
    expect(await ask(subject, about('demo'), { token: await delegate(world) })).toMatchObject({ status: 201 })
  })

  test('in a project: who has the right there, and about that project alone', async () => {
    const { ask, robot, bind } = await reviewsWorld()
    await bind({ name: 'ann', subject: { kind: 'User', name: 'ann' } })
    const token = await robot('boss', 'admin')
    expect(await ask(local('demo'), about('demo'), { token })).toMatchObject({
      status: 201,
      body: {
        kind: 'LocalSubjectAccessReview',
        metadata: { namespace: 'demo' },
        status: { allowed: true, reason: expect.stringContaining('RoleBinding "ann/demo"') },
      },
    })
    for (const namespace of ['other', '', '__proto__']) {
      expect(await ask(local('demo'), about(namespace), { token })).toMatchObject(
        invalidFields('spec.resourceAttributes.namespace'),
      )
    }
    const path = { spec: { user: 'ann', nonResourceAttributes: { path: '/x', verb: 'get' } } }
    expect(await ask(local('demo'), path, { token })).toMatchObject(invalidFields('spec.nonResourceAttributes'))
    const elsewhere = { metadata: { namespace: 'other' }, ...about('other') }
    expect(await ask(local('demo'), elsewhere, { token })).toMatchObject(refusal(400, 'BadRequest'))
  })

  test('and nobody is told by that which projects there are', async () => {
    const { ask, robot, asAdmin } = await reviewsWorld()
    await asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
    const tokens = [await robot('boss', 'admin'), await robot('viewer', 'view'), undefined]
    for (const token of tokens) {
      const [there, nowhere] = await Promise.all(
        ['other', 'nowhere'].map(async (project) => (await ask(local(project), about(project), { token })).text),
      )
      expect(there?.replaceAll('other', 'nowhere')).toBe(nowhere)
      expect(there).toContain('cannot create resource')
    }
    expect(await ask(local('demo'), about('demo'), { token: tokens[1] })).toMatchObject(refusal(403, 'Forbidden'))
    expect(await ask(local('nowhere'), about('nowhere'))).toMatchObject(refusal(404, 'NotFound'))
  })

  test('is asked before what is wrong with the question', async () => {
    const { ask, robot } = await reviewsWorld()
    const token = await robot('viewer', 'view')
    expect(await ask(subject, { spec: {} }, { token })).toMatchObject(refusal(403, 'Forbidden'))
    expect(await ask(local('demo'), 'no JSON', { token })).toMatchObject(refusal(403, 'Forbidden'))
  })

  test('writes nothing, and can be a dry run', async () => {
    const { ask, store } = await reviewsWorld()
    const revision = async () => (await store.range({ prefix: '' })).revision
    const before = await revision()
    for (const path of [subject, local('demo'), `${subject}?dryRun=All`]) {
      expect(await ask(path, about('demo'))).toMatchObject({ status: 201 })
    }
    expect(await revision()).toBe(before)
  })
})
