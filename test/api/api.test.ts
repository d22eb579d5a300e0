import { describe, expect, test } from 'vitest'
import { apiWorld, imageApi, inDemo, names, rbacApi, refusal, weirApi } from './world.ts'

describe('who asks', () => {
  test('is the bearer of the token', async () => {
    const { send, robot } = await apiWorld()
    const token = await robot('ci')
    const { status, body } = await send('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      token,
      body: {},
    })
    expect(status).toBe(201)
    expect(body).toMatchObject({
      kind: 'SelfSubjectReview',
      apiVersion: 'authentication.k8s.io/v1',
      status: {
        userInfo: {
          username: 'system:serviceaccount:demo:ci',
          uid: expect.any(String),
          groups: expect.arrayContaining(['system:serviceaccounts:demo', 'system:authenticated']),
        },
      },
    })
  })

  test('is anonymous without a token', async () => {
    const { send } = await apiWorld()
    const { body } = await send('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { body: {} })
    expect(body).toMatchObject({
      status: { userInfo: { username: 'system:anonymous', groups: ['system:unauthenticated'] } },
    })
  })

  test.each([['Bearer nonsense'], ['Bearer '], [''], ['Basic YWRtaW46YWRtaW4='], ['Bearer a b'], ['Negotiate x']])(
    'is refused with 401 for the header "%s"',
    async (authorization) => {
      const { send } = await apiWorld()
      const answer = await send('GET', `${imageApi}/${inDemo}/imagestreams`, { headers: { authorization } })
      expect(answer).toMatchObject(refusal(401, 'Unauthorized', expect.stringMatching(/^Unauthorized/)))
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer /)
    },
  )

  test('is refused with 401 for two Authorization headers, even when each is good', async () => {
    const { send, adminToken } = await apiWorld()
    const authorization = `Bearer ${adminToken}, Bearer ${adminToken}`
    expect(await send('GET', '/api/v1/namespaces', { headers: { authorization } })).toMatchObject(
      refusal(401, 'Unauthorized'),
    )
  })

  test('is refused with 401 for a registry token', async () => {
    const { send, tokens } = await apiWorld()
    const { token } = await tokens.issueRegistryToken({ name: 'weir:admin', groups: ['system:masters'] }, [])
    expect(await send('GET', '/api/v1/namespaces', { token })).toMatchObject(refusal(401, 'Unauthorized'))
  })

  test('is refused with 401 for an expired token', async () => {
    const { send, robot, clock } = await apiWorld()
    const token = await robot('ci', 'view')
    clock.advance(2 * 60 * 60 * 1000)
    expect(await send('GET', `${imageApi}/${inDemo}/imagestreams`, { token })).toMatchObject(
      refusal(401, 'Unauthorized'),
    )
  })

  test.each(['Impersonate-User', 'Impersonate-Group', 'Impersonate-Uid', 'Impersonate-Extra-scopes'])(
    'is refused when it wants to act as another by %s, and nothing is done with its own rights',
    async (header) => {
      const { send, asAdmin, adminToken, objects } = await apiWorld()
      const [configMaps, headers] = [`/api/v1/${inDemo}/configmaps`, { [header]: 'ann' }]
      await asAdmin('POST', configMaps, { metadata: { name: 'kept' } })
      const refused = refusal(403, 'Forbidden', expect.stringMatching(/"weir:admin" cannot act as another/))
      expect(await send('GET', configMaps, { token: adminToken, headers })).toMatchObject(refused)
      expect(await send('DELETE', `${configMaps}/kept`, { token: adminToken, headers })).toMatchObject(refused)
      expect(await objects.get('configmaps', 'demo', 'kept')).toBeDefined()
      expect(await send('GET', configMaps, { headers })).toMatchObject(refusal(403, 'Forbidden'))
      expect(await send('GET', configMaps, { token: 'nonsense', headers })).toMatchObject(refusal(401, 'Unauthorized'))
    },
  )
})

describe('a right that is missing', () => {
  test('is told in Kubernetes’ words', async () => {
    const { send, robot } = await apiWorld()
    const token = await robot('ci')
    expect(await send('GET', `${imageApi}/${inDemo}/imagestreams/app`, { token })).toMatchObject({
      status: 403,
      body: {
        kind: 'Status',
        status: 'Failure',
        reason: 'Forbidden',
        code: 403,
        message:
          'imagestreams.image.openshift.io "app" is forbidden: User "system:serviceaccount:demo:ci" cannot get resource "imagestreams" in API group "image.openshift.io" in the namespace "demo"',
        details: { name: 'app', group: 'image.openshift.io', kind: 'imagestreams' },
      },
    })
    expect(await send('POST', '/api/v1/namespaces', { token, body: { metadata: { name: 'x' } } })).toMatchObject(
      refusal(
        403,
        'Forbidden',
        'namespaces is forbidden: User "system:serviceaccount:demo:ci" cannot create resource "namespaces" in API group "" at the cluster scope',
      ),
    )
  })

  test('is told the same whether or not the object, or the project, exists', async () => {
    const { send, robot, writer } = await apiWorld()
    await writer.create({ project: 'demo', stream: 'here' })
    const token = await robot('ci')
    const ask = async (path: string, name: string) => {
      const { status, body } = await send('GET', path, { token })
      return { status, body: JSON.parse(JSON.stringify(body).replaceAll(name, 'NAME')) }
    }
    for (const resource of ['imagestreams', 'imagestreamtags']) {
      const here = await ask(`${imageApi}/${inDemo}/${resource}/here`, 'here')
      expect(await ask(`${imageApi}/${inDemo}/${resource}/gone`, 'gone')).toEqual(here)
    }
    const known = await ask(`${imageApi}/namespaces/demo/imagestreams/x`, '"demo"')
    expect(known.status).toBe(403)
    const demo = await send('GET', '/api/v1/namespaces/demo', { token })
    const none = await send('GET', '/api/v1/namespaces/none', { token })
    expect(JSON.stringify(none.body).replaceAll('none', 'demo')).toEqual(JSON.stringify(demo.body))
  })

  test('in another project is not had by a role in one', async () => {
    const { send, robot, asAdmin } = await apiWorld()
    await asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
    const token = await robot('ci', 'admin')
    expect((await send('GET', `${imageApi}/${inDemo}/imagestreams`, { token })).status).toBe(200)
    expect((await send('GET', `${imageApi}/namespaces/other/imagestreams`, { token })).status).toBe(403)
    expect((await send('GET', `${imageApi}/imagestreams`, { token })).status).toBe(403)
  })

  test('is asked for before the body is looked at', async () => {
    const { send, robot } = await apiWorld()
    const token = await robot('ci', 'view')
    const sent = { token, body: 'not json', headers: { 'content-type': 'text/plain' } }
    expect((await send('POST', `${imageApi}/${inDemo}/imagestreams`, sent)).status).toBe(403)
  })
})

describe('a path', () => {
  test.each([
    '/api/v2',
    '/api/v1/pods',
    '/api/v1/namespaces/demo/pods/x',
    '/apis/image.openshift.io/v2',
    '/apis/image.openshift.io/v1/imagestreams/app',
    '/apis/none',
    '/apis/rbac.authorization.k8s.io/v1/namespaces/demo/clusterroles',
    '/api/v1/namespaces/demo/serviceaccounts/ci/__proto__',
    '/api/v1/namespaces/demo/serviceaccounts/ci/constructor',
    '/openapi/v2',
    '/openapi/v3/apis/image.openshift.io/v2',
  ])('that is not served answers 404: %s', async (path) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('GET', path)).toMatchObject(
      refusal(404, 'NotFound', 'the server could not find the requested resource'),
    )
  })

  test.each(['a%2fb', '..%2f..%2fother', '%zz', '%00'])('with the segment %s answers 400', async (segment) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('GET', `${imageApi}/${inDemo}/imagestreams/${segment}`)).toMatchObject(
      refusal(400, 'BadRequest'),
    )
  })

  test.each([
    ['PATCH', `${imageApi}/images/sha256:0`],
    ['PUT', `${imageApi}/${inDemo}/imagestreamimages/app@0`],
    ['PUT', `${imageApi}/${inDemo}/imagestreams/app/layers`],
    ['POST', `${imageApi}/${inDemo}/imagestreams/app`],
    ['GET', `${imageApi}/${inDemo}/imagestreamimports`],
    ['GET', `${imageApi}/${inDemo}/imagestreamimages`],
    ['GET', '/api/v1/namespaces/demo/serviceaccounts/ci/token'],
    ['DELETE', '/apis/user.openshift.io/v1/users/~'],
    ['POST', '/apis'],
    ['DELETE', '/api/v1'],
  ])('answers 405 to %s %s', async (method, path) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin(method, path, method === 'POST' ? {} : undefined)).toMatchObject(
      refusal(405, 'MethodNotAllowed'),
    )
  })

  test('answers HEAD as GET, without the body', async () => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('HEAD', '/api/v1/namespaces/demo')).toMatchObject({ status: 200, body: {} })
    expect(await asAdmin('HEAD', '/api/v1/namespaces/gone')).toMatchObject({ status: 404, body: {} })
  })

  test('takes a name with its colon as it is or escaped', async () => {
    const { asAdmin } = await apiWorld()
    for (const name of ['app:prod', 'app%3Aprod']) {
      expect(await asAdmin('GET', `${imageApi}/${inDemo}/imagestreamtags/${name}`)).toMatchObject(
        refusal(404, 'NotFound', 'imagestreamtags.image.openshift.io "app:prod" not found'),
      )
    }
  })
})

describe('a body', () => {
  const path = `${imageApi}/${inDemo}/imagestreams`

  test.each([
    ['of another kind', { kind: 'Pod', metadata: { name: 'x' } }, /kind in the data \(Pod\)/],
    ['of another version', { apiVersion: 'v1', metadata: { name: 'x' } }, /API version in the data \(v1\)/],
    ['for another project', { metadata: { name: 'x', namespace: 'other' } }, /namespace of the provided object/],
    ['of wrong types', { metadata: { name: 5 } }, /metadata\.name/],
    ['that is a list', [], /not an object/],
  ])('%s answers 400', async (_, body, message) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', path, body)).toMatchObject(refusal(400, 'BadRequest', expect.stringMatching(message)))
  })

  test('that is missing answers 400', async () => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', path)).toMatchObject(refusal(400, 'BadRequest', 'the request has no body'))
  })

  test('in YAML is taken', async () => {
    const { send, adminToken } = await apiWorld()
    const body = 'kind: ImageStream\napiVersion: image.openshift.io/v1\nmetadata:\n  name: app\n'
    const sent = { token: adminToken, body, headers: { 'content-type': 'application/yaml' } }
    expect(await send('POST', path, sent)).toMatchObject({ status: 201, body: { metadata: { name: 'app' } } })
  })

  test('in another form answers 415, too large 413', async () => {
    const { send, adminToken } = await apiWorld()
    const headers = { 'content-type': 'text/csv' }
    expect(await send('POST', path, { token: adminToken, body: 'a,b', headers })).toMatchObject(
      refusal(415, 'UnsupportedMediaType', expect.stringContaining('text/csv')),
    )
    const large = { metadata: { name: 'x', annotations: { x: 'y'.repeat(5 * 1024 * 1024) } } }
    expect(await send('POST', path, { token: adminToken, body: large })).toMatchObject(
      refusal(413, 'RequestEntityTooLarge'),
    )
  })

  test('with __proto__ in it changes nothing but itself', async () => {
    const { asAdmin, send, adminToken } = await apiWorld()
    const body =
      '{"__proto__":{"dryRun":true},"metadata":{"name":"app","__proto__":{"namespace":"x"},"annotations":{"__proto__":"x"}}}'
    expect((await send('POST', path, { token: adminToken, body })).status).toBeLessThan(500)
    expect((await asAdmin('GET', path)).status).toBe(200)
    expect(Object.prototype).not.toHaveProperty('dryRun')
  })
})

describe('what is not served yet', () => {
  test.each([
    ['fieldSelector=spec.x%3Dy', 400, 'BadRequest', /spec\.x/],
    ['watch=true&sendInitialEvents=true', 422, 'Invalid', /sendInitialEvents/],
  ])('is refused by name: ?%s', async (query, code, reason, message) => {
    const { asAdmin } = await apiWorld()
    const answer = await asAdmin('GET', `${imageApi}/${inDemo}/imagestreams?${query}`)
    expect(answer).toMatchObject(refusal(code, reason, expect.stringMatching(message)))
  })

  test('a dry run is refused where it is not honoured, by query and by body', async () => {
    const { asAdmin } = await apiWorld()
    expect(
      await asAdmin('POST', `${weirApi}/${inDemo}/tagevents?dryRun=All`, { kind: 'Resume', stream: 'app', tag: 'x' }),
    ).toMatchObject(refusal(400, 'BadRequest', expect.stringContaining('dryRun')))
  })
})

describe('a project that is missing', () => {
  test('is told with how to create it', async () => {
    const { asAdmin } = await apiWorld()
    expect(
      await asAdmin('POST', '/api/v1/namespaces/none/serviceaccounts', { metadata: { name: 'ci' } }),
    ).toMatchObject(refusal(404, 'NotFound', expect.stringContaining('weir new-project none')))
  })

  test('has empty lists for those who may list everywhere', async () => {
    const { asAdmin } = await apiWorld()
    expect(names(await asAdmin('GET', `${imageApi}/namespaces/none/imagestreams`))).toEqual([])
  })
})

test('a mistake inside is a bare 500 that tells nothing, and is logged', async () => {
  const tokens = { issueServiceAccountToken: () => Promise.reject(new TypeError('s3cr3t')) }
  const { asAdmin, lines, objects } = await apiWorld(() => ({ tokens }))
  await objects.create('serviceaccounts', 'demo', { metadata: { name: 'ci' } })
  const { status, body } = await asAdmin('POST', '/api/v1/namespaces/demo/serviceaccounts/ci/token', {})
  expect(status).toBe(500)
  expect(body).toEqual({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'Internal error occurred',
    reason: 'InternalError',
    code: 500,
  })
  expect(lines.join()).toContain('a request of the API failed')
})

test('a store that is gone is 503', async () => {
  const { asAdmin, store } = await apiWorld()
  await store.close()
  expect(await asAdmin('GET', `${rbacApi}/${inDemo}/roles`)).toMatchObject(refusal(503, 'ServiceUnavailable'))
})

test('no answer is kept by caches', async () => {
  const { asAdmin } = await apiWorld()
  expect((await asAdmin('GET', '/api/v1/namespaces')).headers.get('cache-control')).toBe('no-store')
})
