import { describe, expect, test } from 'vitest'
import { apiWorld } from './world.ts'

interface Listed {
  name: string
  verbs: string[]
}

const plainAccept = 'application/json'
const v2beta1 = 'application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList'
const v2 = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'

interface Aggregated {
  kind: string
  apiVersion: string
  items: {
    metadata: { name?: string }
    versions: { version: string; freshness: string; resources: AggregatedResource[] }[]
  }[]
}

interface AggregatedResource {
  resource: string
  responseKind: { group: string; version: string; kind: string }
  scope: string
  singularResource: string
  verbs: string[]
  shortNames?: string[]
  categories?: string[]
  subresources?: {
    subresource: string
    responseKind: { group: string; version: string; kind: string }
    verbs: string[]
  }[]
}

test('discovery is served to everyone, plain for those who ask for no more', async () => {
  const { send } = await apiWorld()
  for (const accept of [
    plainAccept,
    '*/*',
    'application/vnd.kubernetes.protobuf',
    `${plainAccept},${v2}`,
    'text/html',
  ]) {
    const api = await send('GET', '/api?timeout=32s', { headers: { accept } })
    expect(api).toMatchObject({ status: 200, body: { kind: 'APIVersions', versions: ['v1'] } })
    expect(api.headers.get('content-type')).toBe('application/json')
    const { body } = await send('GET', '/apis?timeout=32s', { headers: { accept } })
    expect(body).toMatchObject({ kind: 'APIGroupList', apiVersion: 'v1' })
    const image = { groupVersion: 'image.openshift.io/v1', version: 'v1' }
    expect(body.groups).toContainEqual({ name: 'image.openshift.io', versions: [image], preferredVersion: image })
  }
})

describe('aggregated discovery', () => {
  test.each([
    ['kubectl 1.26 to 1.29 and oc 4.13', `${v2beta1},application/json`, v2beta1, 'v2beta1'],
    ['kubectl since 1.30', `${v2},${v2beta1},application/json`, v2, 'v2'],
    ['a client that prefers the old one', `${v2beta1},${v2}`, v2beta1, 'v2beta1'],
    ['a client of the future', `${v2.replace('v=v2', 'v=v3')},${v2},application/json`, v2, 'v2'],
    [
      'a client that orders parameters otherwise',
      'application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io',
      v2,
      'v2',
    ],
  ])('answers %s in its form, with its content type', async (_client, accept, contentType, version) => {
    const { send } = await apiWorld()
    for (const path of ['/api', '/apis']) {
      const { status, headers, body } = await send('GET', `${path}?timeout=32s`, { headers: { accept } })
      expect([status, headers.get('content-type')]).toEqual([200, contentType])
      expect(headers.get('vary')).toBe('Accept')
      expect(body).toMatchObject({ kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${version}` })
    }
  })

  test('answers a client of the future alone plainly', async () => {
    const { send } = await apiWorld()
    const { headers, body } = await send('GET', '/apis', { headers: { accept: v2.replace('v=v2', 'v=v3') } })
    expect([headers.get('content-type'), body.kind]).toEqual(['application/json', 'APIGroupList'])
  })

  test('tells the same resources as the plain forms, each with its kind', async () => {
    const { send } = await apiWorld()
    const ask = async (path: string) =>
      (await send('GET', path, { headers: { accept: v2 } })).body as unknown as Aggregated
    const groups = [...(await ask('/api')).items, ...(await ask('/apis')).items]
    expect(groups.map(({ metadata }) => metadata.name)).toEqual([
      undefined,
      ...groups
        .slice(1)
        .map(({ metadata }) => metadata.name)
        .sort(),
    ])
    const { body: plainGroups } = await send('GET', '/apis')
    expect(groups.slice(1).map(({ metadata }) => metadata.name)).toEqual(
      (plainGroups.groups as { name: string }[]).map(({ name }) => name),
    )
    for (const { metadata, versions } of groups) {
      for (const { version, resources, freshness } of versions) {
        expect(freshness).toBe('Current')
        const root = metadata.name === undefined ? `/api/${version}` : `/apis/${metadata.name}/${version}`
        const { body } = await send('GET', root)
        const told = resources.flatMap(
          ({ resource, singularResource, scope, responseKind, subresources = [], ...rest }) => [
            {
              name: resource,
              singularName: singularResource,
              namespaced: scope === 'Namespaced',
              kind: responseKind.kind,
              ...rest,
            },
            ...subresources.map((sub) => ({
              name: `${resource}/${sub.subresource}`,
              singularName: '',
              namespaced: scope === 'Namespaced',
              kind: sub.responseKind.kind,
              verbs: sub.verbs,
            })),
          ],
        )
        const plain = (body.resources as Record<string, unknown>[]).map(
          ({ group: _group, version: _version, ...each }) => each,
        )
        expect(told.sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual(plain)
        for (const { responseKind } of resources)
          expect(responseKind).toMatchObject({ group: metadata.name ?? '', version })
      }
    }
  })

  test('tells the group of a subresource’s objects', async () => {
    const { send } = await apiWorld()
    const { items } = (await send('GET', '/api', { headers: { accept: v2 } })).body as unknown as Aggregated
    const accounts = items[0]?.versions[0]?.resources.find(({ resource }) => resource === 'serviceaccounts')
    expect(accounts).toMatchObject({
      responseKind: { group: '', version: 'v1', kind: 'ServiceAccount' },
      scope: 'Namespaced',
      shortNames: ['sa'],
    })
    expect(accounts?.subresources).toEqual([
      {
        subresource: 'token',
        responseKind: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
        verbs: ['create'],
      },
    ])
  })

  test('is not sent again to who has it', async () => {
    const { send } = await apiWorld()
    const first = await send('GET', '/apis', { headers: { accept: v2 } })
    const etag = first.headers.get('etag') ?? ''
    expect(etag).toMatch(/^"[0-9a-f]{64}"$/)
    const again = await send('GET', '/apis', { headers: { accept: v2, 'if-none-match': etag } })
    expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', etag])
    const older = await send('GET', '/apis', { headers: { accept: v2beta1, 'if-none-match': etag } })
    expect(older.status).toBe(200)
  })

  test('is read alone', async () => {
    const { asAdmin } = await apiWorld()
    for (const method of ['POST', 'DELETE', 'PUT']) {
      for (const path of ['/api', '/apis', '/apis/weir.dev/v1']) expect((await asAdmin(method, path)).status).toBe(405)
    }
    expect((await asAdmin('POST', '/apis/weir.example/v1')).status).toBe(404)
  })
})

test('a group is described, an unknown one is 404', async () => {
  const { send } = await apiWorld()
  expect(await send('GET', '/apis/weir.dev')).toMatchObject({
    status: 200,
    body: { kind: 'APIGroup', apiVersion: 'v1', name: 'weir.dev' },
  })
  expect((await send('GET', '/apis/weir.example')).status).toBe(404)
})

test('the image group lists its resources as OKD does', async () => {
  const { send } = await apiWorld()
  const { body } = await send('GET', '/apis/image.openshift.io/v1')
  expect(body).toMatchObject({ kind: 'APIResourceList', apiVersion: 'v1', groupVersion: 'image.openshift.io/v1' })
  const shown = (body.resources as (Listed & { kind: string; namespaced: boolean; shortNames?: string[] })[]).map(
    ({ name, kind, namespaced, shortNames = [], verbs }) => [
      [name, ...shortNames].join(' '),
      kind,
      namespaced,
      verbs.join(' '),
    ],
  )
  const every = 'create delete deletecollection get list patch update watch'
  expect(shown).toEqual([
    ['images', 'Image', false, 'get list watch'],
    ['imagestreamimages isimage', 'ImageStreamImage', true, 'get'],
    ['imagestreamimports', 'ImageStreamImport', true, 'create'],
    ['imagestreammappings', 'ImageStreamMapping', true, 'create'],
    ['imagestreams is', 'ImageStream', true, every],
    ['imagestreams/layers', 'ImageStreamLayers', true, 'get'],
    ['imagestreams/secrets', 'SecretList', true, 'get'],
    ['imagestreams/status', 'ImageStream', true, 'get patch update'],
    ['imagestreamtags istag', 'ImageStreamTag', true, every],
    ['imagetags itag', 'ImageTag', true, every],
  ])
  expect(body.resources).toContainEqual(expect.objectContaining({ name: 'imagestreams', categories: ['all'] }))
})

test('a subresource is listed with the group of its objects', async () => {
  const { send } = await apiWorld()
  const { body } = await send('GET', '/api/v1')
  expect(body.resources).toContainEqual({
    name: 'serviceaccounts/token',
    singularName: '',
    namespaced: true,
    kind: 'TokenRequest',
    group: 'authentication.k8s.io',
    version: 'v1',
    verbs: ['create'],
  })
})

test('every resource of every group answers as its verbs say', async () => {
  const { send, asAdmin } = await apiWorld()
  const { body } = await send('GET', '/apis')
  const groups = (body.groups as { name: string; versions: { groupVersion: string }[] }[]).flatMap(({ versions }) =>
    versions.map(({ groupVersion }) => `/apis/${groupVersion}`),
  )
  for (const root of ['/api/v1', ...groups]) {
    const resources = (await send('GET', root)).body.resources as (Listed & { namespaced: boolean })[]
    for (const { name, verbs, namespaced } of resources.filter((each) => !each.name.includes('/'))) {
      const answer = await asAdmin('GET', `${root}/${namespaced ? 'namespaces/demo/' : ''}${name}`)
      expect([name, answer.status === 405]).toEqual([name, !verbs.includes('list')])
    }
  }
})

test('/version tells Weir’s version in the form that clients read', async () => {
  const { send } = await apiWorld()
  expect(await send('GET', '/version')).toMatchObject({
    status: 200,
    body: { major: '1', minor: '2', gitVersion: 'v1.2.3' },
  })
})
