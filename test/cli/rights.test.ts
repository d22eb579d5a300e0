import { describe, expect, test } from 'vitest'
import { type FakeApi, failure, startFakeApi } from './fake-api.ts'
import { type CliResult, run } from './run.ts'

const selfReview = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
const rulesReview = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews'
const inDemo = '/apis/authorization.openshift.io/v1/namespaces/demo/localresourceaccessreviews'
const everywhere = '/apis/authorization.openshift.io/v1/resourceaccessreviews'
const subjectReview = '/apis/authorization.k8s.io/v1/namespaces/demo/localsubjectaccessreviews'

async function weir(api: FakeApi, ...argv: string[]): Promise<CliResult> {
  return run([...argv, '--server', api.url, '--token', 't'])
}

/** A server that has streams, namespaces and secrets, and allows everything. */
async function rightsApi(): Promise<FakeApi> {
  const api = await startFakeApi()
  const kind = (resource: string, singular: string, more: object = {}) => ({
    resource,
    singularResource: singular,
    responseKind: { kind: singular },
    scope: 'Namespaced',
    ...more,
  })
  api.answer('GET', '/api', {
    body: {
      items: [
        {
          metadata: {},
          versions: [{ resources: [kind('secrets', 'secret'), kind('namespaces', 'namespace', { scope: 'Cluster' })] }],
        },
      ],
    },
  })
  const streams = kind('imagestreams', 'imagestream', { shortNames: ['is'], subresources: [{ subresource: 'layers' }] })
  const images = kind('images', 'image', { scope: 'Cluster' })
  api.answer('GET', '/apis', {
    body: { items: [{ metadata: { name: 'image.openshift.io' }, versions: [{ resources: [streams, images] }] }] },
  })
  api.answer('POST', selfReview, {
    body: { status: { allowed: true, reason: 'RBAC: allowed by RoleBinding "a/demo"' } },
  })
  return api
}

const layers = { group: 'image.openshift.io', resource: 'imagestreams', subresource: 'layers' }

describe('a right is read as people write it', () => {
  const spec = (attributes: object) => ({ spec: { resourceAttributes: attributes } })
  const plain = { subresource: '', name: '', namespace: '' }

  test.each([
    [['pull', 'demo/app'], { verb: 'get', ...layers, name: 'app', namespace: 'demo' }],
    [['push', 'app', '-n', 'demo'], { verb: 'update', ...layers, name: 'app', namespace: 'demo' }],
    [['pull', '-n', 'demo'], { verb: 'get', ...layers, name: '', namespace: 'demo' }],
    [['pull'], { verb: 'get', ...layers, name: '', namespace: '' }],
    [
      ['list', 'imagestreams', '-n', 'demo'],
      { ...plain, verb: 'list', group: layers.group, resource: 'imagestreams', namespace: 'demo' },
    ],
    [
      ['get', 'is/app', '-n', 'demo'],
      { ...plain, verb: 'get', group: layers.group, resource: 'imagestreams', name: 'app', namespace: 'demo' },
    ],
    [
      ['get', 'ImageStream.image.openshift.io/app', '--subresource', 'layers', '-n', 'demo'],
      { verb: 'get', ...layers, name: 'app', namespace: 'demo' },
    ],
    [['create', 'secrets'], { ...plain, verb: 'create', group: '', resource: 'secrets' }],
    [
      ['get', 'namespaces/demo'],
      { ...plain, verb: 'get', group: '', resource: 'namespaces', name: 'demo', namespace: 'demo' },
    ],
    [['*', '*', '-n', 'demo'], { ...plain, verb: '*', group: '*', resource: '*', namespace: 'demo' }],
  ])('%j', async (argv, attributes) => {
    const api = await rightsApi()
    expect(await weir(api, 'can-i', ...argv)).toEqual({ code: 0, stdout: 'yes\n', stderr: '' })
    expect(api.sent('POST', selfReview)).toEqual([
      { kind: 'SelfSubjectAccessReview', apiVersion: 'authorization.k8s.io/v1', ...spec(attributes) },
    ])
  })

  test('what is of no project has none', async () => {
    const api = await rightsApi()
    const result = await weir(api, 'can-i', 'list', 'images', '-n', 'demo')
    expect(result).toMatchObject({ code: 0, stderr: 'note: images are of no project: -n does not count\n' })
    expect(api.sent('POST', selfReview)).toMatchObject([spec({ namespace: '' })])
  })

  test('a name that may be meant for a subresource is told', async () => {
    const api = await rightsApi()
    expect((await weir(api, 'can-i', 'get', 'imagestreams/layers', '-n', 'demo')).stderr).toContain(
      '--subresource layers',
    )
  })

  test('a resource that is not there is told, with what is near', async () => {
    const api = await rightsApi()
    const result = await weir(api, 'can-i', 'get', 'imagestrems', '-n', 'demo')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('did you mean imagestreams?')
    expect(api.sent('POST', selfReview)).toEqual([])
  })

  test.each([
    [['can-i']],
    [['can-i', 'get']],
    [['can-i', 'GET', 'secrets']],
    [['can-i', 'get', 'secrets/']],
    [['can-i', 'get', 'demo/app/x']],
    [['can-i', 'pull', 'app']],
    [['can-i', 'pull', 'demo/app:prod']],
    [['can-i', 'pull', 'demo/app', '-n', 'other']],
    [['can-i', 'pull', 'demo/app', '--subresource', 'layers']],
    [['can-i', '--list']],
    [['can-i', 'get', 'secrets', '--list', '-n', 'demo']],
    [['who-can']],
    [['who-can', 'pull', 'a/b/c']],
  ])('%j is misuse', async (argv) => {
    const api = await rightsApi()
    expect(await weir(api, ...argv)).toMatchObject({ code: 2, stdout: '' })
    expect(api.requests).toEqual([])
  })
})

describe('can-i', () => {
  test('no is exit code 1, and no error', async () => {
    const api = await rightsApi()
    api.answer('POST', selfReview, { body: { kind: 'SelfSubjectAccessReview', status: { allowed: false } } })
    expect(await weir(api, 'can-i', 'pull', 'demo/app')).toEqual({ code: 1, stdout: 'no\n', stderr: '' })
    expect(await weir(api, 'can-i', 'pull', 'demo/app', '-v')).toMatchObject({ stdout: 'no: no binding allows it\n' })
    const json = await weir(api, 'can-i', 'pull', 'demo/app', '-o', 'json')
    expect(json.code).toBe(1)
    expect(JSON.parse(json.stdout)).toMatchObject({ status: { allowed: false } })
  })

  test('an answer without an answer is no', async () => {
    const api = await rightsApi()
    api.answer('POST', selfReview, { body: {} })
    expect(await weir(api, 'can-i', 'pull', 'demo/app')).toMatchObject({ code: 1, stdout: 'no\n' })
  })

  test('-v and -o wide tell by what', async () => {
    const api = await rightsApi()
    for (const flag of [['-v'], ['-o', 'wide']]) {
      expect((await weir(api, 'can-i', 'pull', 'demo/app', ...flag)).stdout).toBe(
        'yes: RBAC: allowed by RoleBinding "a/demo"\n',
      )
    }
  })

  test('a refusal to answer is a failure with an error', async () => {
    const api = await rightsApi()
    api.answer('POST', selfReview, failure(401, 'Unauthorized', 'Unauthorized'))
    const result = await weir(api, 'can-i', 'pull', 'demo/app')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('error: Unauthorized')
  })

  test('of a stream by another verb is told how to write it', async () => {
    const { code, stderr } = await weir(await rightsApi(), 'can-i', 'delete', 'demo/app')
    expect(code).toBe(1)
    expect(stderr).toContain('of the images of a stream: delete imagestreams/app --subresource layers -n demo')
    expect(stderr).toContain('of a stream: delete imagestreams/app -n demo')
    const other = await weir(await rightsApi(), 'can-i', 'get', 'demo/app')
    expect(other.stderr).toContain('of a stream: get imagestreams/app -n demo')
    expect(other.stderr).not.toContain('layers')
  })

  test('of a verb that the API does not know is answered with a note', async () => {
    const result = await weir(await rightsApi(), 'can-i', 'gett', 'secrets', '-n', 'demo')
    expect(result).toMatchObject({ code: 0, stdout: 'yes\n' })
    expect(result.stderr).toContain('note: the API knows no gett: get, list, watch')
    expect(await weir(await rightsApi(), 'can-i', '*', 'secrets')).toMatchObject({ code: 0, stderr: '' })
  })

  test('--list shows every resource once, with what all rules say of it', async () => {
    const api = await rightsApi()
    const resourceRules = [
      { verbs: ['get', 'list'], apiGroups: ['', 'image.openshift.io'], resources: ['imagestreams'] },
      { verbs: ['get'], apiGroups: ['image.openshift.io'], resources: ['imagestreams/layers'], resourceNames: ['app'] },
      { verbs: ['get', 'list'], apiGroups: [''], resources: ['secrets', 'configmaps'] },
      { verbs: ['get'], apiGroups: ['', 'project.openshift.io'], resources: ['namespaces', 'projects'] },
      { verbs: ['get', 'watch'], apiGroups: ['image.openshift.io'], resources: ['imagestreams'] },
    ]
    api.answer('POST', rulesReview, {
      body: { status: { resourceRules, incomplete: true, evaluationError: 'too many rules' } },
    })
    const result = await weir(api, 'can-i', '--list', '-n', 'demo')
    expect(result.stderr).toBe('note: the list is not whole: too many rules\n')
    expect(result.stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['RESOURCE', 'NAMES', 'VERBS'],
      ['configmaps', '*', 'get,list'],
      ['imagestreams.image.openshift.io', '*', 'get,list,watch'],
      ['imagestreams/layers.image.openshift.io', 'app', 'get'],
      ['namespaces', '*', 'get'],
      ['projects.project.openshift.io', '*', 'get'],
      ['secrets', '*', 'get,list'],
      [''],
    ])
    expect(api.sent('POST', rulesReview)).toMatchObject([{ spec: { namespace: 'demo' } }])
  })
})

describe('who-can', () => {
  const answer = {
    kind: 'ResourceAccessReviewResponse',
    users: ['github:octo', 'jane', 'system:serviceaccount:demo:ci'],
    groups: ['devs', 'system:unauthenticated'],
  }

  test('lists subjects as grant and revoke take them', async () => {
    const api = await rightsApi()
    api.answer('POST', inDemo, { body: answer })
    expect(await weir(api, 'who-can', 'pull', 'demo/app')).toEqual({
      code: 0,
      stdout: 'SUBJECT\nuser:github:octo\njane\nserviceaccount:demo/ci\ngroup:devs\nanonymous\n',
      stderr: '',
    })
    expect(api.sent('POST', inDemo)).toEqual([
      {
        kind: 'LocalResourceAccessReview',
        apiVersion: 'authorization.openshift.io/v1',
        namespace: 'demo',
        verb: 'get',
        resourceAPIGroup: 'image.openshift.io',
        resource: 'imagestreams/layers',
        resourceName: 'app',
      },
    ])
    expect((await weir(api, 'who-can', 'pull', 'demo/app', '-o', 'name')).stdout).toMatch(/^user:github:octo\njane\n/)
    expect(JSON.parse((await weir(api, 'who-can', 'pull', 'demo/app', '-o', 'json')).stdout)).toEqual(answer)
  })

  test('wide tells by which binding, as far as the caller may know', async () => {
    const api = await rightsApi()
    api.answer('POST', inDemo, { body: { users: ['jane'], groups: ['devs'] } })
    const reason =
      'RBAC: allowed by RoleBinding "pull.user.jane/demo" of ClusterRole "system:image-puller" to User "jane"'
    api.answer('POST', subjectReview, ({ body }) => {
      const { spec } = body as { spec: { user?: string } }
      return spec.user === 'jane' ? { body: { status: { allowed: true, reason } } } : failure(403, 'Forbidden', 'no')
    })
    const lines = (await weir(api, 'who-can', 'pull', 'demo/app', '-o', 'wide')).stdout.split('\n')
    expect(lines.map((line) => line.split(/ {2,}/))).toEqual([
      ['SUBJECT', 'BY'],
      ['jane', 'RoleBinding "pull.user.jane/demo" of ClusterRole "system:image-puller" to User "jane"'],
      ['group:devs', '-'],
      [''],
    ])
    expect(api.sent('POST', subjectReview)).toContainEqual({
      kind: 'LocalSubjectAccessReview',
      apiVersion: 'authorization.k8s.io/v1',
      metadata: { namespace: 'demo' },
      spec: { resourceAttributes: { namespace: 'demo', verb: 'get', ...layers, name: 'app' }, groups: ['devs'] },
    })
  })

  test('without a project asks about all of them', async () => {
    const api = await rightsApi()
    api.answer('POST', everywhere, { body: { users: null, groups: [], evalutionError: 'there are more' } })
    expect(await weir(api, 'who-can', 'delete', 'images')).toEqual({
      code: 0,
      stdout: 'SUBJECT\n',
      stderr: 'note: the list is not whole: there are more\nnobody\n',
    })
    expect(api.sent('POST', everywhere)).toMatchObject([{ kind: 'ResourceAccessReview', namespace: '' }])
  })

  test('who may not ask is told which role has the right', async () => {
    const api = await rightsApi()
    api.answer('POST', inDemo, failure(403, 'Forbidden', 'forbidden'))
    const result = await weir(api, 'who-can', 'pull', 'demo/app')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('weir grant admin SUBJECT -n demo')
  })
})
