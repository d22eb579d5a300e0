import { describe, expect, test } from 'vitest'
import { apiWorld, inDemo, invalidFields, names, refusal } from '../world.ts'

const accounts = `/api/v1/${inDemo}/serviceaccounts`

describe('service accounts', () => {
  test('are created, read, listed and deleted in Kubernetes’ shape', async () => {
    const { asAdmin } = await apiWorld()
    const body = { kind: 'ServiceAccount', apiVersion: 'v1', metadata: { name: 'ci', labels: { team: 'a' } } }
    const created = await asAdmin('POST', accounts, body)
    expect(created).toMatchObject({
      status: 201,
      body: {
        kind: 'ServiceAccount',
        apiVersion: 'v1',
        metadata: {
          name: 'ci',
          namespace: 'demo',
          uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
          resourceVersion: expect.stringMatching(/^\d+$/),
          creationTimestamp: '2026-01-01T00:00:00Z',
          labels: { team: 'a' },
        },
      },
    })
    expect(await asAdmin('GET', `${accounts}/ci`)).toEqual({ ...created, status: 200, headers: expect.anything() })
    const list = await asAdmin('GET', accounts)
    expect(list.body).toMatchObject({
      kind: 'ServiceAccountList',
      apiVersion: 'v1',
      items: [{ metadata: { name: 'ci' } }],
    })
    expect(await asAdmin('DELETE', `${accounts}/ci`)).toMatchObject({
      status: 200,
      body: {
        kind: 'Status',
        status: 'Success',
        details: { name: 'ci', kind: 'serviceaccounts', uid: expect.any(String) },
      },
    })
    expect(await asAdmin('GET', `${accounts}/ci`)).toMatchObject(
      refusal(404, 'NotFound', 'serviceaccounts "ci" not found'),
    )
  })

  test('of a taken name are refused', async () => {
    const { asAdmin } = await apiWorld()
    await asAdmin('POST', accounts, { metadata: { name: 'ci' } })
    expect(await asAdmin('POST', accounts, { metadata: { name: 'ci' } })).toMatchObject(
      refusal(409, 'AlreadyExists', 'serviceaccounts "ci" already exists'),
    )
  })

  test.each(['CI', 'a_b', '-a', 'a/b', 'a:b', 'x'.repeat(254), ''])('are not named %j', async (name) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', accounts, { metadata: { name } })).toMatchObject(invalidFields('metadata.name'))
  })

  test.each([
    ['a prefix that no name can have', { generateName: 'CI-' }, ['metadata.generateName']],
    ['a prefix that is too long', { generateName: 'x'.repeat(253) }, ['metadata.generateName']],
    ['a bad label', { name: 'ci', labels: { 'a b': 'x' } }, ['metadata.labels']],
    ['a bad label value', { name: 'ci', labels: { a: 'x y' } }, ['metadata.labels']],
    ['a bad annotation key', { name: 'ci', annotations: { 'a/b/c': '' } }, ['metadata.annotations']],
    ['annotations too long', { name: 'ci', annotations: { a: 'x'.repeat(300_000) } }, ['metadata.annotations']],
  ])('with %s are refused', async (_, metadata, fields) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', accounts, { metadata })).toMatchObject(invalidFields(...fields))
  })

  test('are not created with a resourceVersion', async () => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', accounts, { metadata: { name: 'ci', resourceVersion: '1' } })).toMatchObject(
      refusal(400, 'BadRequest', expect.stringContaining('resourceVersion')),
    )
  })

  test('are listed in pages', async () => {
    const { asAdmin } = await apiWorld()
    for (const name of ['a', 'b', 'c']) await asAdmin('POST', accounts, { metadata: { name } })
    const first = await asAdmin('GET', `${accounts}?limit=2`)
    expect(names(first)).toEqual(['a', 'b'])
    const { continue: token } = first.body.metadata as { continue: string }
    const second = await asAdmin('GET', `${accounts}?limit=2&continue=${token}`)
    expect(names(second)).toEqual(['c'])
    expect(second.body.metadata).not.toHaveProperty('continue')
    expect(await asAdmin('GET', `${accounts}?continue=nonsense`)).toMatchObject(refusal(400, 'BadRequest'))
  })

  test('are selected by name, and a right limited to that name is enough', async () => {
    const { asAdmin, send, robot, objects, authorizer } = await apiWorld()
    for (const name of ['a', 'b']) await asAdmin('POST', accounts, { metadata: { name } })
    const token = await robot('reader')
    const rules = [{ apiGroups: [''], resources: ['serviceaccounts'], resourceNames: ['a'], verbs: ['get', 'list'] }]
    await objects.create('roles', 'demo', { metadata: { name: 'only-a' }, rules })
    const bound = await objects.create('rolebindings', 'demo', {
      metadata: { name: 'only-a' },
      subjects: [{ kind: 'ServiceAccount', name: 'reader', namespace: 'demo' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'only-a' },
    })
    await authorizer.reached(Number(bound.metadata.resourceVersion))
    expect(names(await send('GET', `${accounts}?fieldSelector=metadata.name%3Da`, { token }))).toEqual(['a'])
    expect((await send('GET', `${accounts}?fieldSelector=metadata.name%3Db`, { token })).status).toBe(403)
    expect((await send('GET', accounts, { token })).status).toBe(403)
    expect(names(await asAdmin('GET', `${accounts}?fieldSelector=metadata.name%3Dgone`))).toEqual([])
    expect(names(await asAdmin('GET', `${accounts}?fieldSelector=metadata.namespace%3Dother`))).toEqual([])
  })

  test('are listed over all projects for those who may', async () => {
    const { asAdmin } = await apiWorld()
    await asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
    await asAdmin('POST', accounts, { metadata: { name: 'a' } })
    await asAdmin('POST', '/api/v1/namespaces/other/serviceaccounts', { metadata: { name: 'a' } })
    const all = await asAdmin('GET', '/api/v1/serviceaccounts')
    expect(all.body.items).toMatchObject([{ metadata: { namespace: 'demo' } }, { metadata: { namespace: 'other' } }])
    const some = await asAdmin('GET', '/api/v1/serviceaccounts?fieldSelector=metadata.namespace%3Dother')
    expect(some.body.items).toMatchObject([{ metadata: { namespace: 'other' } }])
  })

  test.each([
    ['uid', { uid: 'another' }],
    ['resourceVersion', { resourceVersion: '1' }],
  ])('are not deleted when the %s asked for differs', async (_, preconditions) => {
    const { asAdmin, objects } = await apiWorld()
    await asAdmin('POST', accounts, { metadata: { name: 'ci' } })
    const options = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions }
    expect(await asAdmin('DELETE', `${accounts}/ci`, options)).toMatchObject(refusal(409, 'Conflict'))
    expect(await asAdmin('DELETE', `${accounts}/ci?dryRun=All`, options)).toMatchObject(refusal(409, 'Conflict'))
    expect(await objects.get('serviceaccounts', 'demo', 'ci')).toBeDefined()
  })

  test('stay as they are after a dry run', async () => {
    const { asAdmin, objects } = await apiWorld()
    expect((await asAdmin('POST', `${accounts}?dryRun=All`, { metadata: { name: 'ci' } })).status).toBe(201)
    expect(await objects.get('serviceaccounts', 'demo', 'ci')).toBeUndefined()
    await asAdmin('POST', accounts, { metadata: { name: 'ci' } })
    expect((await asAdmin('POST', `${accounts}?dryRun=All`, { metadata: { name: 'ci' } })).status).toBe(409)
    expect((await asAdmin('DELETE', `${accounts}/ci?dryRun=All`)).status).toBe(200)
    expect((await asAdmin('DELETE', `${accounts}/ci`, { dryRun: ['All'] })).status).toBe(200)
    expect(await objects.get('serviceaccounts', 'demo', 'ci')).toBeDefined()
  })
})

describe('a service account’s token', () => {
  const request = (spec?: object) => ({
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    ...(spec && { spec }),
  })

  test('lives an hour, and its bearer is the account', async () => {
    const { asAdmin, send } = await apiWorld()
    await asAdmin('POST', accounts, { metadata: { name: 'ci' } })
    const { status, body } = await asAdmin('POST', `${accounts}/ci/token`, request())
    expect(status).toBe(201)
    expect(body).toMatchObject({
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { name: 'ci', namespace: 'demo' },
      spec: { expirationSeconds: 3600 },
      status: { expirationTimestamp: '2026-01-01T01:00:00Z' },
    })
    const { token } = body.status as { token: string }
    const me = await send('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { token, body: {} })
    expect(me.body).toMatchObject({ status: { userInfo: { username: 'system:serviceaccount:demo:ci' } } })
  })

  test('lives as long as asked', async () => {
    const { asAdmin } = await apiWorld()
    await asAdmin('POST', accounts, { metadata: { name: 'ci' } })
    const { body } = await asAdmin('POST', `${accounts}/ci/token`, request({ expirationSeconds: 600 }))
    expect(body).toMatchObject({ status: { expirationTimestamp: '2026-01-01T00:10:00Z' } })
  })

  test.each([
    [{ expirationSeconds: 0 }, 'spec.expirationSeconds'],
    [{ expirationSeconds: -5 }, 'spec.expirationSeconds'],
    [{ expirationSeconds: 366 * 24 * 3600 }, 'spec.expirationSeconds'],
    [{ audiences: ['https://other.example'] }, 'spec.audiences'],
    [{ boundObjectRef: { kind: 'Pod', name: 'x' } }, 'spec.boundObjectRef'],
  ])('is refused for %j', async (spec, field) => {
    const { asAdmin } = await apiWorld()
    await asAdmin('POST', accounts, { metadata: { name: 'ci' } })
    expect(await asAdmin('POST', `${accounts}/ci/token`, request(spec))).toMatchObject(invalidFields(field))
  })

  test('is refused for a fraction of a second, another kind, and another name', async () => {
    const { asAdmin } = await apiWorld()
    await asAdmin('POST', accounts, { metadata: { name: 'ci' } })
    for (const body of [
      request({ expirationSeconds: 1.5 }),
      { kind: 'ServiceAccount' },
      { metadata: { name: 'root' } },
    ]) {
      expect(await asAdmin('POST', `${accounts}/ci/token`, body)).toMatchObject(refusal(400, 'BadRequest'))
    }
  })

  test('of an account that is not there is refused', async () => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', `${accounts}/ci/token`, request())).toMatchObject(
      refusal(404, 'NotFound', 'serviceaccounts "ci" not found'),
    )
  })

  test('needs the right on the subresource, in the account’s project', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    await asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
    await asAdmin('POST', '/api/v1/namespaces/other/serviceaccounts', { metadata: { name: 'ci' } })
    const viewer = await robot('viewer', 'view')
    const editor = await robot('editor', 'edit')
    expect(await send('POST', `${accounts}/editor/token`, { token: viewer, body: {} })).toMatchObject(
      refusal(403, 'Forbidden', expect.stringContaining('cannot create resource "serviceaccounts/token"')),
    )
    expect((await send('POST', `${accounts}/viewer/token`, { token: editor, body: {} })).status).toBe(201)
    const foreign = await send('POST', '/api/v1/namespaces/other/serviceaccounts/ci/token', { token: editor, body: {} })
    expect(foreign.status).toBe(403)
  })

  test('ends with the account, at once, and a new account of the name does not revive it', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    const token = await robot('ci', 'view')
    expect((await send('GET', accounts, { token })).status).toBe(200)
    await asAdmin('DELETE', `${accounts}/ci`)
    expect(await send('GET', accounts, { token })).toMatchObject(refusal(401, 'Unauthorized'))
    await asAdmin('POST', accounts, { metadata: { name: 'ci' } })
    expect(await send('GET', accounts, { token })).toMatchObject(refusal(401, 'Unauthorized'))
  })

  test('are changed, and keep what is of pods', async () => {
    const { asAdmin } = await apiWorld()
    const pods = { secrets: [{ name: 's' }], imagePullSecrets: [{ name: 'p' }], automountServiceAccountToken: false }
    const { body: made } = await asAdmin('POST', accounts, { metadata: { name: 'ci' }, ...pods, unknown: 1 })
    expect(made).toMatchObject(pods)
    expect(made).not.toHaveProperty('unknown')
    const labelled = { ...made, metadata: { ...(made.metadata as object), labels: { a: 'b' } }, secrets: null }
    const changed = await asAdmin('PUT', `${accounts}/ci`, labelled)
    expect(changed).toMatchObject({
      status: 200,
      body: { metadata: { labels: { a: 'b' } }, imagePullSecrets: [{ name: 'p' }] },
    })
    expect(changed.body).not.toHaveProperty('secrets')
    expect(await asAdmin('PUT', `${accounts}/ci`, labelled)).toMatchObject(refusal(409, 'Conflict'))
    const same = await asAdmin('PUT', `${accounts}/ci`, changed.body)
    expect(same.body).toEqual(changed.body)
    expect(await asAdmin('PUT', `${accounts}/other`, { metadata: { name: 'other' } })).toMatchObject(
      refusal(404, 'NotFound', 'serviceaccounts "other" not found'),
    )
  })

  test('that change in nothing but the order of fields are not written', async () => {
    const { asAdmin } = await apiWorld()
    const { body } = await asAdmin('POST', accounts, {
      metadata: { annotations: { x: 'y' }, labels: { a: 'b' }, name: 'ci' },
      secrets: [{ name: 's', namespace: 'n' }],
    })
    const { metadata, secrets, ...rest } = body as { metadata: Record<string, unknown>; secrets: unknown }
    const backwards = Object.fromEntries(Object.entries(metadata).reverse())
    const again = await asAdmin('PUT', `${accounts}/ci`, { secrets, ...rest, metadata: backwards })
    expect(again.body).toEqual(body)
  })

  test('without a name get one that begins as they want', async () => {
    const { asAdmin } = await apiWorld()
    const made = await Promise.all([1, 2].map(() => asAdmin('POST', accounts, { metadata: { generateName: 'ci-' } })))
    const [first, second] = made.map(({ body }) => body.metadata as { name: string; generateName: string })
    expect(first?.name).toMatch(/^ci-[b-df-hj-np-tv-z2-9]{5}$/)
    expect(second?.name).not.toBe(first?.name)
    expect(first?.generateName).toBe('ci-')
    const long = await asAdmin('POST', accounts, { metadata: { generateName: 'x'.repeat(200) } })
    expect((long.body.metadata as { name: string }).name).toHaveLength(63)
    const named = await asAdmin('POST', accounts, { metadata: { generateName: 'ci-', name: 'own' } })
    expect(named.body).toMatchObject({ metadata: { name: 'own' } })
  })

  test.each(['secrets', 'imagePullSecrets'])('of 10,000 %s are refused', async (field) => {
    const { asAdmin } = await apiWorld()
    const list = Array.from({ length: 10_000 }, (_, i) => ({ name: `s${i}` }))
    expect(await asAdmin('POST', accounts, { metadata: { name: 'ci' }, [field]: list })).toMatchObject(
      invalidFields(field),
    )
  })

  test.each([
    ['secrets that are no list', { secrets: 'x' }],
    ['a name that is no text', { metadata: { name: 1 } }],
    ['labels that are no map', { metadata: { name: 'ci', labels: [] } }],
    ['metadata that is a list', { metadata: [] }],
  ])('with %s are a bad request', async (_, body) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', accounts, { metadata: { name: 'ci' }, ...body })).toMatchObject(
      refusal(400, 'BadRequest'),
    )
  })
})
