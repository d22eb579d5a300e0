/** A current kubectl, and an old one, asking who may do what, and who somebody is. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { stringify } from 'yaml'
import type { Kubectl } from './support/kubectl.ts'
import { type KubectlWorld, startKubectlWorld, streamYaml } from './support/kubectl-world.ts'

let world: KubectlWorld
let kubectl: Kubectl
/** A service account that is bound to `view`, and to a role of one stream. */
let viewer: Kubectl
let viewerToken: string

beforeAll(async () => {
  world = await startKubectlWorld()
  kubectl = await world.inProject('demo')
  await world.inProject('other')
  await kubectl.send(streamYaml('app'), 'create')
  await kubectl('create', 'sa', 'viewer')
  viewerToken = (await kubectl('create', 'token', 'viewer')).trim()
  viewer = await world.as(viewerToken, 'demo')
  await kubectl('create', 'rolebinding', 'viewing', '--clusterrole=view', '--serviceaccount=demo:viewer')
  const layers = 'imagestreams.image.openshift.io/layers'
  await kubectl('create', 'role', 'push-app', '--verb=update', `--resource=${layers}`, '--resource-name=app')
  await kubectl('create', 'rolebinding', 'push-app', '--role=push-app', '--serviceaccount=demo:viewer')
  await vi.waitFor(async () => expect(await canI(viewer, 'get', 'is')).toBe('yes'), { timeout: 10_000 })
})

afterAll(() => world?.stop())

/** What `auth can-i` says on its first line; its exit code says the same. */
async function canI(as: Kubectl, ...args: string[]): Promise<string> {
  const { stdout, stderr, code } = await as.try(['auth', 'can-i', ...args])
  const [said = ''] = stdout.split('\n')
  expect(code, `${args.join(' ')}: ${stdout}${stderr}`).toBe(said === 'yes' ? 0 : 1)
  return said
}

describe('auth can-i', () => {
  test.each([
    [['get', 'imagestreams'], 'yes'],
    [['get', 'is'], 'yes'],
    [['list', 'imagestreamtags.image.openshift.io'], 'yes'],
    [['get', 'imagestreams/app'], 'yes'],
    [['get', 'imagestreams', '--subresource=layers'], 'yes'],
    [['get', 'imagestreams/app', '--subresource=layers'], 'yes'],
    [['update', 'imagestreams/app', '--subresource=layers'], 'yes'],
    [['update', 'imagestreams/other', '--subresource=layers'], 'no'],
    [['update', 'imagestreams', '--subresource=layers'], 'no'],
    [['create', 'imagestreams'], 'no'],
    [['delete', 'project/demo'], 'no'],
    [['get', 'secrets'], 'no'],
    [['get', 'imagestreams', '-n', 'other'], 'no'],
    [['get', 'imagestreams', '-n', 'nowhere'], 'no'],
    [['get', 'imagestreams', '-A'], 'no'],
    [['*', '*'], 'no'],
    [['escalate', 'roles'], 'no'],
    [['get', 'pods'], 'no'],
  ])('%j is answered %s', async (args, said) => {
    expect(await canI(viewer, ...args)).toBe(said)
    expect(await canI(kubectl, ...args), 'as the admin').toBe('yes')
  })

  test('says nothing where it is asked to be quiet, and why paths are another matter', async () => {
    expect(await viewer.try(['auth', 'can-i', 'get', 'is', '-q'])).toMatchObject({ code: 0, stdout: '' })
    expect(await viewer.try(['auth', 'can-i', 'create', 'is', '-q'])).toMatchObject({ code: 1, stdout: '' })
    expect(await canI(viewer, 'get', '/version')).toBe(
      'no - no rule is about paths: what is served beside resources is served to everyone',
    )
    expect(await canI(kubectl, 'get', '/metrics')).toBe('yes')
  })

  test('sends what it asks in protobuf', async () => {
    const { stderr } = await viewer.try(['auth', 'can-i', 'get', 'is', '-v=9'])
    expect(stderr).toMatch(/Content-Type["\]: [=]*application\/vnd\.kubernetes\.protobuf/)
  })

  test('is refused as somebody else, in words that say so', async () => {
    for (const args of [['get', 'is'], ['--list']]) {
      const told = await kubectl.fails('auth', 'can-i', ...args, '--as=ann')
      expect(told, args.join(' ')).toContain('Weir has no impersonation')
    }
    // kubectl has words of its own for this one.
    expect(await kubectl.fails('auth', 'whoami', '--as=ann')).toContain('you do not have permission to call it')
  })

  test('of an old kubectl is answered the same', async () => {
    const old = await world.as(viewerToken, 'demo', { release: '1.20' })
    expect(await canI(old, 'get', 'is')).toBe('yes')
    expect(await canI(old, 'update', 'is/app', '--subresource=layers')).toBe('yes')
    expect(await canI(old, 'create', 'is')).toMatch(/^no/)
    expect(await old('auth', 'can-i', '--list')).toMatch(
      /^imagestreams\.image\.openshift\.io\/layers .*\[app\] +\[update\]/m,
    )
  })
})

describe('auth can-i --list', () => {
  test('tells all that one may in a project, by resource', async () => {
    const list = await viewer('auth', 'can-i', '--list')
    expect(list).toMatch(/^Resources +Non-Resource URLs +Resource Names +Verbs$/m)
    expect(list).toMatch(/^imagestreams\.image\.openshift\.io +\[\] +\[\] +\[get list watch\]$/m)
    expect(list).toMatch(/^imagestreams\.image\.openshift\.io\/layers +\[\] +\[app\] +\[update\]$/m)
    expect(list).not.toContain('create')
    expect(await viewer('auth', 'can-i', '--list', '--no-headers')).not.toContain('Verbs')
    expect(await viewer('auth', 'can-i', '--list', '-n', 'other', '--no-headers')).toBe('')
    expect(await kubectl('auth', 'can-i', '--list', '--no-headers')).toMatch(/^\*\.\* +\[\] +\[\] +\[\*\]\n$/)
  })
})

describe('auth whoami', () => {
  test('tells who one is', async () => {
    expect(await kubectl('auth', 'whoami')).toMatch(/^Username +weir:admin$/m)
    const { status } = JSON.parse(await viewer('auth', 'whoami', '-o', 'json'))
    expect(status.userInfo).toMatchObject({
      username: 'system:serviceaccount:demo:viewer',
      uid: expect.stringMatching(/./),
      groups: ['system:serviceaccounts', 'system:serviceaccounts:demo', 'system:authenticated'],
    })
  })
})

describe('reviews in a file', () => {
  const review = (kind: string, spec: object, metadata: object = {}) => {
    const group = kind === 'TokenReview' ? 'authentication' : 'authorization'
    return stringify({ kind, apiVersion: `${group}.k8s.io/v1`, metadata, spec })
  }
  const pull = {
    resourceAttributes: {
      namespace: 'demo',
      verb: 'get',
      group: 'image.openshift.io',
      resource: 'imagestreams',
      subresource: 'layers',
    },
  }
  const user = 'system:serviceaccount:demo:viewer'

  async function answer(as: Kubectl, yaml: string) {
    return JSON.parse(await as.send(yaml, 'create', '-o', 'json')).status
  }

  test('are answered to the admin', async () => {
    expect(await answer(kubectl, review('SubjectAccessReview', { ...pull, user }))).toEqual({
      allowed: true,
      reason: 'RBAC: allowed by RoleBinding "viewing/demo" of ClusterRole "view" to ServiceAccount "viewer/demo"',
    })
    expect(await answer(kubectl, review('SubjectAccessReview', { ...pull, user: 'ann' }))).toEqual({ allowed: false })
    const local = review('LocalSubjectAccessReview', { ...pull, user }, { namespace: 'demo' })
    expect(await answer(kubectl, local)).toMatchObject({ allowed: true })
    expect(await answer(kubectl, review('TokenReview', { token: viewerToken }))).toMatchObject({
      authenticated: true,
      user: { username: user },
    })
    expect(await answer(kubectl, review('TokenReview', { token: 'nonsense' }))).toMatchObject({ authenticated: false })
  })

  test('are refused to who may not ask, and where something is wrong with them', async () => {
    const cannot = (resource: string) => `cannot create resource "${resource}"`
    const refuses = (yaml: string, as = viewer) => as.refuses(yaml, 'create')
    expect(await refuses(review('SubjectAccessReview', { ...pull, user }))).toContain(cannot('subjectaccessreviews'))
    const local = review('LocalSubjectAccessReview', { ...pull, user }, { namespace: 'demo' })
    expect(await refuses(local)).toContain(cannot('localsubjectaccessreviews'))
    const told = await refuses(review('TokenReview', { token: viewerToken }))
    expect(told).toContain(cannot('tokenreviews'))
    expect(told).not.toContain(viewerToken)
    expect(await refuses(review('SubjectAccessReview', pull), kubectl)).toContain('spec.user: Required value')
    expect(await refuses(review('SubjectAccessReview', { ...pull, user, form: 1 }), kubectl)).toContain(
      'unknown field "spec.form"',
    )
    const elsewhere = review('LocalSubjectAccessReview', { ...pull, user }, { namespace: 'other' })
    expect(await refuses(elsewhere, kubectl)).toContain('namespace')
  })
})

describe('what kubectl makes of rights', () => {
  test('in protobuf, is what it says', async () => {
    await kubectl('create', 'clusterrole', 'puller', '--verb=get', '--resource=imagestreams.image.openshift.io/layers')
    await kubectl('create', 'clusterrole', 'grown', '--aggregation-rule=team=a')
    await kubectl('create', 'clusterrolebinding', 'everywhere', '--clusterrole=puller', '--serviceaccount=demo:viewer')
    expect((await kubectl.json('get', 'clusterrole', 'puller')).rules).toEqual([
      { verbs: ['get'], apiGroups: ['image.openshift.io'], resources: ['imagestreams/layers'] },
    ])
    expect((await kubectl.json('get', 'clusterrole', 'grown')).aggregationRule).toEqual({
      clusterRoleSelectors: [{ matchLabels: { team: 'a' } }],
    })
    await vi.waitFor(
      async () => expect(await canI(viewer, 'get', 'is', '--subresource=layers', '-n', 'other')).toBe('yes'),
      { timeout: 10_000 },
    )
    await kubectl('delete', 'clusterrolebinding', 'everywhere')
    expect(await canI(viewer, 'get', 'is', '--subresource=layers', '-n', 'other')).toBe('no')
  })

  test('and of secrets too', async () => {
    await kubectl('create', 'secret', 'generic', 'plain', '--from-literal=a=b', '--from-literal=empty=')
    expect((await kubectl.json('get', 'secret', 'plain')).data).toEqual({ a: 'Yg==', empty: '' })
    const login = ['--docker-server=r.example.com', '--docker-username=u', '--docker-password=p']
    await kubectl('create', 'secret', 'docker-registry', 'login', ...login)
    const { type, data } = await kubectl.json('get', 'secret', 'login')
    expect(type).toBe('kubernetes.io/dockerconfigjson')
    const { auths } = JSON.parse(Buffer.from(data['.dockerconfigjson'], 'base64').toString('utf8'))
    expect(auths['r.example.com']).toMatchObject({ username: 'u', password: 'p' })
  })
})
