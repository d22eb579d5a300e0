import { expect, test } from 'vitest'
import { apiWorld } from './world.ts'

interface Listed {
  name: string
  verbs: string[]
}

test('discovery is served to everyone, in the plain form whatever is asked for', async () => {
  const { send } = await apiWorld()
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json'
  const api = await send('GET', '/api?timeout=32s', { headers: { accept } })
  expect(api).toMatchObject({ status: 200, body: { kind: 'APIVersions', versions: ['v1'] } })
  expect(api.headers.get('content-type')).toBe('application/json')
  const { body } = await send('GET', '/apis?timeout=32s', { headers: { accept } })
  expect(body).toMatchObject({ kind: 'APIGroupList', apiVersion: 'v1' })
  const image = { groupVersion: 'image.openshift.io/v1', version: 'v1' }
  expect(body.groups).toContainEqual({ name: 'image.openshift.io', versions: [image], preferredVersion: image })
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
  expect(body.resources).toEqual([
    {
      name: 'imagestreamimports',
      singularName: 'imagestreamimport',
      namespaced: true,
      kind: 'ImageStreamImport',
      verbs: ['create'],
    },
    {
      name: 'imagestreams',
      singularName: 'imagestream',
      namespaced: true,
      kind: 'ImageStream',
      verbs: ['create', 'delete', 'get', 'list'],
      shortNames: ['is'],
      categories: ['all'],
    },
    {
      name: 'imagestreamtags',
      singularName: 'imagestreamtag',
      namespaced: true,
      kind: 'ImageStreamTag',
      verbs: ['delete', 'get', 'list'],
      shortNames: ['istag'],
    },
  ])
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
