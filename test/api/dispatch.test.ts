import { describe, expect, test } from 'vitest'
import { type ApiWorld, apiWorld, imageApi, inDemo, names, rbacApi, refusal } from './world.ts'

const configMaps = `/api/v1/${inDemo}/configmaps`

/** An API with ten configmaps, five of them labelled `half=first`. */
async function collectionWorld(): Promise<ApiWorld & { left(): Promise<string[]> }> {
  const world = await apiWorld()
  for (let i = 0; i < 10; i += 1) {
    const labels = { half: i < 5 ? 'first' : 'second' }
    await world.asAdmin('POST', configMaps, { metadata: { name: `c${i}`, labels } })
  }
  return { ...world, left: async () => names(await world.asAdmin('GET', configMaps)) }
}

describe('deleting a collection', () => {
  test('deletes all that is in it, and nothing else', async () => {
    const { asAdmin, left } = await collectionWorld()
    await asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
    await asAdmin('POST', '/api/v1/namespaces/other/configmaps', { metadata: { name: 'c0' } })
    await asAdmin('POST', `${imageApi}/${inDemo}/imagestreams`, { metadata: { name: 'c0' } })
    expect(await asAdmin('DELETE', configMaps)).toMatchObject({
      status: 200,
      body: { kind: 'Status', apiVersion: 'v1', status: 'Success', details: { kind: 'configmaps' } },
    })
    expect(await left()).toEqual([])
    expect((await asAdmin('GET', '/api/v1/namespaces/other/configmaps/c0')).status).toBe(200)
    expect((await asAdmin('GET', `${imageApi}/${inDemo}/imagestreams/c0`)).status).toBe(200)
  })

  test('deletes only what its selectors select', async () => {
    const { asAdmin, left } = await collectionWorld()
    expect((await asAdmin('DELETE', `${configMaps}?labelSelector=half%3Dfirst`)).status).toBe(200)
    expect(await left()).toEqual(['c5', 'c6', 'c7', 'c8', 'c9'])
    expect((await asAdmin('DELETE', `${configMaps}?fieldSelector=metadata.name%3Dc7`)).status).toBe(200)
    expect(await left()).toEqual(['c5', 'c6', 'c8', 'c9'])
  })

  test.each(['labelSelector=%3D%3D', 'fieldSelector=metadata.nam%3Dx', 'fieldSelector=spec.x%3Dy'])(
    'deletes nothing for a selector that is not understood (%s)',
    async (query) => {
      const { asAdmin, left } = await collectionWorld()
      expect((await asAdmin('DELETE', `${configMaps}?${query}`)).status).toBe(400)
      expect(await left()).toHaveLength(10)
    },
  )

  test('deletes at most its limit', async () => {
    const { asAdmin, left } = await collectionWorld()
    expect((await asAdmin('DELETE', `${configMaps}?limit=3`)).status).toBe(200)
    expect(await left()).toHaveLength(7)
    expect((await asAdmin('DELETE', `${configMaps}?limit=3&continue=x`)).status).toBe(400)
    expect(await left()).toHaveLength(7)
  })

  test('goes through all pages', async () => {
    const { asAdmin, objects } = await apiWorld()
    const all = Array.from({ length: 520 }, (_, i) => `c${i}`)
    for (const name of all) await objects.create('configmaps', 'demo', { metadata: { name } })
    expect((await asAdmin('DELETE', configMaps)).status).toBe(200)
    expect(names(await asAdmin('GET', configMaps))).toEqual([])
  })

  test.each([
    ['in the query', `${configMaps}?dryRun=All`, undefined],
    ['in the options', configMaps, { kind: 'DeleteOptions', apiVersion: 'v1', dryRun: ['All'] }],
  ])('with dryRun %s deletes nothing', async (_name, path, options) => {
    const { asAdmin, left } = await collectionWorld()
    expect((await asAdmin('DELETE', path, options)).status).toBe(200)
    expect(await left()).toHaveLength(10)
  })

  test('needs the right to delete collections', async () => {
    const { asAdmin, send, robot, left } = await collectionWorld()
    const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'delete'] }]
    await asAdmin('POST', `${rbacApi}/${inDemo}/roles`, { metadata: { name: 'deleter' }, rules })
    await asAdmin('POST', `${rbacApi}/${inDemo}/rolebindings`, {
      metadata: { name: 'deleter' },
      subjects: [{ kind: 'ServiceAccount', name: 'd', namespace: 'demo' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'deleter' },
    })
    const token = await robot('d')
    expect(await send('DELETE', configMaps, { token })).toMatchObject(
      refusal(403, 'Forbidden', expect.stringContaining('cannot deletecollection resource "configmaps"')),
    )
    expect(await left()).toHaveLength(10)
    expect((await send('DELETE', `${configMaps}/c0`, { token })).status).toBe(200)
  })

  test('is no failure where something goes meanwhile, and leaves what is made anew', async () => {
    const world = await apiWorld(({ objects }) => ({
      objects: {
        ...objects,
        async list(resource, project, options) {
          const page = await objects.list(resource, project, options)
          if (resource === 'configmaps' && page.items.some(({ metadata }) => metadata.name === 'gone')) {
            await objects.delete(resource, 'demo', 'gone')
            await objects.delete(resource, 'demo', 'anew')
            await objects.create(resource, 'demo', { metadata: { name: 'anew' } })
          }
          return page
        },
      },
    }))
    for (const name of ['anew', 'gone', 'here']) await world.asAdmin('POST', configMaps, { metadata: { name } })
    expect((await world.asAdmin('DELETE', configMaps)).status).toBe(200)
    expect(names(await world.asAdmin('GET', configMaps))).toEqual(['anew'])
  })

  test('takes no preconditions, which are for one object', async () => {
    const { asAdmin, left } = await collectionWorld()
    for (const preconditions of [{ uid: 'x' }, { resourceVersion: '1' }]) {
      expect((await asAdmin('DELETE', configMaps, { preconditions })).status).toBe(400)
    }
    expect(await left()).toHaveLength(10)
  })

  test('is not served for projects, nor where one cannot be deleted', async () => {
    const { asAdmin } = await apiWorld()
    for (const path of ['/api/v1/namespaces', '/apis/project.openshift.io/v1/projects', `${imageApi}/images`]) {
      expect(await asAdmin('DELETE', path)).toMatchObject(refusal(405, 'MethodNotAllowed'))
    }
    expect((await asAdmin('GET', '/api/v1/namespaces/demo')).status).toBe(200)
  })
})

describe('options of a deletion', () => {
  test.each([
    { propagationPolicy: 'Background' },
    { propagationPolicy: 'Foreground', gracePeriodSeconds: 0 },
    { propagationPolicy: 'Orphan', orphanDependents: true },
    { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 30 },
    { kind: 'DeleteOptions', apiVersion: 'meta.k8s.io/v1', ignoreStoreReadErrorWithClusterBreakingPotential: false },
  ])('that concern what Weir does not have are accepted: %o', async (options) => {
    const { asAdmin, left } = await collectionWorld()
    expect((await asAdmin('DELETE', `${configMaps}/c0`, options)).status).toBe(200)
    expect((await asAdmin('DELETE', configMaps, options)).status).toBe(200)
    expect(await left()).toEqual([])
  })

  test('may stand in the query', async () => {
    const { asAdmin } = await collectionWorld()
    const query = 'propagationPolicy=Background&gracePeriodSeconds=0&orphanDependents=false'
    expect((await asAdmin('DELETE', `${configMaps}/c0?${query}`)).status).toBe(200)
  })
})

describe('writing', () => {
  test('by PUT to what is not there is answered 404', async () => {
    const { asAdmin } = await apiWorld()
    const body = { metadata: { name: 'none' }, data: {} }
    expect(await asAdmin('PUT', `${configMaps}/none`, body)).toMatchObject(
      refusal(404, 'NotFound', 'configmaps "none" not found'),
    )
  })

  test('by PUT changes nothing when nothing differs', async () => {
    const { asAdmin } = await collectionWorld()
    const before = await asAdmin('GET', `${configMaps}/c0`)
    expect(await asAdmin('PUT', `${configMaps}/c0`, before.body)).toMatchObject({ status: 200, body: before.body })
  })

  test('is answered in the form that is asked for', async () => {
    const { send, adminToken } = await apiWorld()
    const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' }
    const path = `${configMaps}/a`
    const made = await send('POST', configMaps, { token: adminToken, body: { metadata: { name: 'a' } }, headers })
    expect(made).toMatchObject({ status: 201, body: { kind: 'Table' } })
    const put = await send('PUT', path, { token: adminToken, body: { metadata: { name: 'a' } }, headers })
    expect(put).toMatchObject({ status: 200, body: { kind: 'Table' } })
    const patched = await send('PATCH', path, {
      token: adminToken,
      body: {},
      headers: { ...headers, 'content-type': 'application/merge-patch+json' },
    })
    expect(patched).toMatchObject({ status: 200, body: { kind: 'Table' } })
  })

  test('with a form that is not served writes nothing', async () => {
    const { send, adminToken, asAdmin } = await apiWorld()
    const headers = { accept: 'image/png' }
    const made = await send('POST', configMaps, { token: adminToken, body: { metadata: { name: 'a' } }, headers })
    expect(made.status).toBe(406)
    expect((await asAdmin('GET', `${configMaps}/a`)).status).toBe(404)
  })

  test('tells of unknown fields as fieldValidation says', async () => {
    const { asAdmin } = await apiWorld()
    const body = { metadata: { name: 'a' }, colour: 'x' }
    expect((await asAdmin('POST', `${configMaps}?fieldValidation=Strict`, body)).status).toBe(400)
    const warned = await asAdmin('POST', configMaps, body)
    expect(warned.status).toBe(201)
    expect(warned.headers.get('warning')).toContain('unknown field')
    const put = await asAdmin('PUT', `${configMaps}/a?fieldValidation=Warn`, body)
    expect(put.headers.get('warning')).toContain('unknown field')
  })
})

describe('patching the status of a stream', () => {
  test('hides items, and leaves the spec', async () => {
    const { asAdmin, send, adminToken } = await apiWorld()
    await asAdmin('POST', `${imageApi}/${inDemo}/imagestreams`, { metadata: { name: 'app' } })
    const answer = await send('PATCH', `${imageApi}/${inDemo}/imagestreams/app/status`, {
      token: adminToken,
      body: { spec: { lookupPolicy: { local: true } } },
      headers: { 'content-type': 'application/merge-patch+json' },
    })
    expect(answer.status).toBe(200)
    const { body } = await asAdmin('GET', `${imageApi}/${inDemo}/imagestreams/app`)
    expect(body.spec).toMatchObject({ lookupPolicy: { local: false } })
  })

  test('of what is not there creates nothing by an apply', async () => {
    const { send, adminToken } = await apiWorld()
    const answer = await send('PATCH', `${imageApi}/${inDemo}/imagestreams/app/status?fieldManager=x`, {
      token: adminToken,
      body: { apiVersion: 'image.openshift.io/v1', kind: 'ImageStream' },
      headers: { 'content-type': 'application/apply-patch+yaml' },
    })
    expect(answer).toMatchObject(refusal(404, 'NotFound'))
  })
})
