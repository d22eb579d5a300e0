import { describe, expect, test } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { makeImage } from '../../support/images.ts'
import { type ApiWorld, apiWorld, inDemo, invalidFields, names, refusal } from '../world.ts'

const quotas = `/api/v1/${inDemo}/resourcequotas`
const tags = 'count/imagestreamtags.image.openshift.io'
const quota = { metadata: { name: 'q' }, spec: { hard: { 'requests.storage': '10Gi', [tags]: '2', pods: '4' } } }
const tagsUrl = `/apis/image.openshift.io/v1/${inDemo}/imagestreamtags`

const fromRegistry = (host: string) => ({ from: { kind: 'DockerImage', name: `${host}/lib/app` }, reference: true })
const tagOf = (name: string, { registry }: ApiWorld) => ({
  metadata: { name },
  tag: { name: name.split(':')[1], ...fromRegistry(registry.host) },
})

describe('resource quotas', () => {
  test('show what is used of what counts, as it is when they are read', async () => {
    const w = await apiWorld()
    const made = await w.asAdmin('POST', quotas, quota)
    const status = {
      hard: { 'requests.storage': '10Gi', [tags]: '2' },
      used: { 'requests.storage': '0', [tags]: '0' },
    }
    expect(made).toMatchObject({ status: 201, body: { kind: 'ResourceQuota', apiVersion: 'v1', ...quota, status } })
    const stream = await w.writer.create({ project: 'demo', stream: 'app' })
    const link = { digest: digestOf('a'), mediaType: 'x/y', size: 3 * 1024, locations: [{ kind: 'here' } as const] }
    await w.links.add(stream, stream.uid, [link])
    const used = { 'requests.storage': '3Ki', [tags]: '0' }
    expect((await w.asAdmin('GET', `${quotas}/q`)).body).toMatchObject({ status: { ...status, used } })
    expect((await w.asAdmin('GET', quotas)).body).toMatchObject({
      kind: 'ResourceQuotaList',
      items: [{ status: { ...status, used } }],
    })
    const changed = { ...quota, spec: { hard: { [tags]: 3 } }, status: { used: { [tags]: '99' } } }
    expect((await w.asAdmin('PUT', `${quotas}/q`, changed)).body).toMatchObject({
      spec: { hard: { [tags]: '3' } },
      status: { hard: { [tags]: '3' }, used: { [tags]: '0' } },
    })
    expect((await w.asAdmin('DELETE', `${quotas}/q`)).status).toBe(200)
    expect(await w.asAdmin('GET', `${quotas}/q`)).toMatchObject(
      refusal(404, 'NotFound', 'resourcequotas "q" not found'),
    )
  })

  test('are told of by a watch with their status', async () => {
    const w = await apiWorld()
    const next = await w.watch(`${quotas}?watch=true&resourceVersion=0`, w.adminToken)
    await w.asAdmin('POST', quotas, quota)
    expect(await next()).toMatchObject({
      type: 'ADDED',
      object: { metadata: { name: 'q' }, status: { used: { [tags]: '0' } } },
    })
  })

  test('are shown as kubectl shows them', async () => {
    const w = await apiWorld()
    await w.asAdmin('POST', quotas, quota)
    const response = await w.send('GET', quotas, {
      token: w.adminToken,
      headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
    })
    expect(response.body).toMatchObject({
      columnDefinitions: [{ name: 'Name' }, { name: 'Request' }, { name: 'Limit' }, { name: 'Age' }],
      rows: [{ cells: ['q', `${tags}: 0/2, requests.storage: 0/10Gi`, '', expect.any(String)] }],
    })
  })

  test('keep tags out that the API would make, and say why', async () => {
    const w = await apiWorld()
    await w.asAdmin('POST', quotas, quota)
    for (const name of ['app:one', 'app:two'])
      expect((await w.asAdmin('POST', tagsUrl, tagOf(name, w))).status).toBe(201)
    const exceeded = expect.stringMatching(/^exceeded quota: q, requested: .*=1, used: .*=2, limited: .*=2$/)
    const full = { status: 403, body: { kind: 'Status', reason: 'Forbidden', message: exceeded } }
    expect(await w.asAdmin('POST', tagsUrl, tagOf('app:three', w))).toMatchObject(full)
    expect(await w.asAdmin('PUT', `${tagsUrl}/app:three`, tagOf('app:three', w))).toMatchObject(full)
    const stream = {
      metadata: { name: 'more' },
      spec: { tags: [{ name: 'x', ...fromRegistry(w.registry.host) }] },
    }
    const streams = `/apis/image.openshift.io/v1/${inDemo}/imagestreams`
    expect(await w.asAdmin('POST', streams, stream)).toMatchObject(full)
    expect((await w.asAdmin('GET', `${streams}/more`)).status).toBe(404)
    expect((await w.asAdmin('DELETE', `${tagsUrl}/app:one`)).status).toBe(200)
    expect((await w.asAdmin('POST', tagsUrl, tagOf('app:three', w))).status).toBe(201)
  })

  test('stop an import by hand that would bring more tags', async () => {
    const w = await apiWorld()
    await w.asAdmin('POST', quotas, { ...quota, spec: { hard: { [tags]: '0' } } })
    w.registry.put('lib/app', makeImage('v1'), { tag: 'v1' })
    const answer = await w.asAdmin('POST', `/apis/image.openshift.io/v1/${inDemo}/imagestreamimports`, {
      metadata: { name: 'app' },
      spec: {
        import: true,
        images: [{ from: { kind: 'DockerImage', name: `${w.registry.host}/lib/app:v1` }, to: { name: 'v1' } }],
      },
    })
    expect(JSON.stringify(answer.body)).toContain('exceeded quota: q')
    expect(await w.reader.tags({ project: 'demo', stream: 'app' })).toEqual([])
  })

  test('are read by who may read a project, and written by the cluster’s admin alone', async () => {
    const w = await apiWorld()
    await w.asAdmin('POST', quotas, quota)
    for (const role of ['admin', 'edit', 'view']) {
      const token = await w.robot(role, role)
      expect((await w.send('GET', `${quotas}/q`, { token })).status).toBe(200)
      for (const [method, path] of [
        ['POST', quotas],
        ['PUT', `${quotas}/q`],
        ['DELETE', `${quotas}/q`],
        ['DELETE', quotas],
      ] as const) {
        expect((await w.send(method, path, { token, body: quota })).status).toBe(403)
      }
    }
    const puller = await w.robot('puller', 'system:image-puller')
    expect((await w.send('GET', quotas, { token: puller })).status).toBe(403)
    expect(names(await w.asAdmin('GET', quotas))).toEqual(['q'])
  })

  test.each([
    ['a quantity that is none', { hard: { 'requests.storage': '10 gigs' } }, 'spec.hard[requests.storage]'],
    ['a negative quantity', { hard: { [tags]: '-1' } }, `spec.hard[${tags}]`],
    ['too large a quantity', { hard: { 'requests.storage': '9Ei' } }, 'spec.hard[requests.storage]'],
    ['a resource that can have no such name', { hard: { 'a/b/c': '1' } }, 'spec.hard[a/b/c]'],
    ['scopes', { scopes: ['BestEffort'] }, 'spec.scopes'],
    ['a selector of scopes', { scopeSelector: { matchExpressions: [] } }, 'spec.scopeSelector'],
    [
      'too many resources',
      { hard: Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`r${i}`, '1'])) },
      'spec.hard',
    ],
  ])('with %s are refused', async (_, spec, field) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', quotas, { metadata: { name: 'q' }, spec })).toMatchObject(invalidFields(field))
  })

  test.each([[{}], [{ spec: null }], [{ spec: {} }], [{ spec: { hard: null } }], [{ spec: { hard: {} } }]])(
    'that limit nothing (%j) may be',
    async (fields) => {
      const w = await apiWorld()
      expect(await w.asAdmin('POST', quotas, { metadata: { name: 'q' }, ...fields })).toMatchObject({
        status: 201,
        body: { status: { hard: {}, used: {} } },
      })
      expect((await w.asAdmin('POST', tagsUrl, tagOf('app:one', w))).status).toBe(201)
    },
  )

  test.each([[{ hard: { pods: {} } }], [{ hard: [] }], [{ hard: 'x' }], ['x'], [[]]])(
    'of another shape (%j) are refused',
    async (spec) => {
      const { asAdmin } = await apiWorld()
      const { status } = await asAdmin('POST', quotas, { metadata: { name: 'q' }, spec })
      expect(status).toBeGreaterThanOrEqual(400)
      expect(status).toBeLessThan(500)
    },
  )
})
