import { describe, expect, test } from 'vitest'
import { digest, event, wanted } from '../../streams/world.ts'
import { anywhereWriter } from '../../support/anywhere-writer.ts'
import { type ApiWorld, apiWorld, imageApi, inDemo, rbacApi, refusal, weirApi } from '../world.ts'
import { type Client, clientOf, type Event, told } from './world.ts'

const app = { project: 'demo', stream: 'app' }
const streams = `${imageApi}/${inDemo}/imagestreams`

describe('image streams', () => {
  test('each revision is told as it was, whole', async () => {
    const { api, move } = await streamWorld()
    const client = await watch(api, streams)
    const { resourceVersion: made } = await createStream(api)
    const first = await move('v1', 'a')
    const second = await move('v2', 'b')
    const third = await move('v1', 'b')
    await api.asAdmin('DELETE', `${streams}/app`)
    const events = await client.take(5)
    expect(events.slice(0, 4).map(told)).toEqual([
      `ADDED app@${made}`,
      `MODIFIED app@${first}`,
      `MODIFIED app@${second}`,
      `MODIFIED app@${third}`,
    ])
    expect(events.map(pins)).toEqual([
      {},
      { v1: 'a' },
      { v1: 'a', v2: 'b' },
      { v1: 'b', v2: 'b' },
      { v1: 'b', v2: 'b' },
    ])
    expect(events[4]?.type).toBe('DELETED')
    expect(Number(events[4]?.object.metadata.resourceVersion)).toBeGreaterThan(third)
  })

  test('what a watch tells is what GET answers at that revision', async () => {
    const { api, move } = await streamWorld()
    await createStream(api)
    const client = await watch(api, streams)
    await client.take(1)
    await move('v1', 'a')
    const [{ object } = { object: undefined }] = await client.take(1)
    expect(object).toEqual((await api.asAdmin('GET', `${streams}/app`)).body)
  })

  test('a watch goes on from where a list was, through a deletion and a stream made anew', async () => {
    const { api, move } = await streamWorld()
    await createStream(api)
    await move('v1', 'a')
    const list = await api.asAdmin('GET', streams)
    const { resourceVersion } = list.body.metadata as { resourceVersion: string }
    await api.asAdmin('DELETE', `${streams}/app`)
    await createStream(api)
    await move('v2', 'b')
    const client = await watch(api, `${streams}?resourceVersion=${resourceVersion}`)
    const events = await client.take(3)
    expect(events.map(({ type }) => type)).toEqual(['DELETED', 'ADDED', 'MODIFIED'])
    expect(events.map(pins)).toEqual([{ v1: 'a' }, {}, { v2: 'b' }])
    const uids = events.map(({ object }) => object.metadata.uid)
    expect(uids[1]).not.toBe(uids[0])
    expect(uids[2]).toBe(uids[1])
  })

  test('labels select, one project shows, all projects too', async () => {
    const { api, move } = await streamWorld()
    await api.objects.create('namespaces', '', { metadata: { name: 'web' } })
    const selected = await watch(api, `${streams}?labelSelector=team%3Dx`)
    const web = await watch(api, `${imageApi}/namespaces/web/imagestreams`)
    const all = await watch(api, `${imageApi}/imagestreams`)
    await createStream(api)
    const labelled = await api.asAdmin('POST', streams, streamObject('db', { team: 'x' }))
    await move('v1', 'a')
    const inWeb = await api.asAdmin('POST', `${imageApi}/namespaces/web/imagestreams`, streamObject('app'))
    expect([labelled.status, inWeb.status]).toEqual([201, 201])
    expect((await selected.take(1)).map(place)).toEqual(['ADDED demo/db'])
    expect((await web.take(1)).map(place)).toEqual(['ADDED web/app'])
    expect((await all.take(4)).map(place)).toEqual([
      'ADDED demo/app',
      'ADDED demo/db',
      'MODIFIED demo/app',
      'ADDED web/app',
    ])
  })

  test('tables have the columns that lists have', async () => {
    const { api, move } = await streamWorld()
    await createStream(api)
    const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' }
    const client = clientOf(await api.open(`${streams}?watch=true`, { headers }))
    const list = await api.send('GET', streams, { token: api.adminToken, headers })
    await move('v1', 'a')
    const [first, second] = await client.take(2)
    expect(first?.object.columnDefinitions).toEqual(list.body.columnDefinitions)
    expect(first?.object.rows).toEqual(list.body.rows)
    expect(second?.object).toMatchObject({ kind: 'Table', columnDefinitions: null, rows: [{}] })
  })
})

describe('tags', () => {
  test.each(['imagestreamtags', 'imagetags'])(
    '%s: only those that changed are told, as lists show them',
    async (kind) => {
      const { api, move } = await streamWorld()
      await createStream(api)
      await move('v1', 'a')
      await move('v2', 'a')
      const path = `${imageApi}/${inDemo}/${kind}`
      const client = await watch(api, path)
      expect((await client.take(2)).map(place)).toEqual(['ADDED demo/app:v1', 'ADDED demo/app:v2'])
      const moved = await move('v2', 'b')
      const [change] = await client.take(1)
      expect(change && told(change)).toBe(`MODIFIED app:v2@${moved}`)
      const list = await api.asAdmin('GET', path)
      expect(change?.object).toMatchObject((list.body.items as object[])[1] ?? {})
      const created = await move('v3', 'c')
      expect((await api.asAdmin('DELETE', `${path}/app:v1`)).status).toBe(200)
      await api.asAdmin('DELETE', `${streams}/app`)
      const rest = await client.take(4)
      expect(rest[0] && told(rest[0])).toBe(`ADDED app:v3@${created}`)
      expect(rest.map(place).toSorted()).toEqual([
        'ADDED demo/app:v3',
        'DELETED demo/app:v1',
        'DELETED demo/app:v2',
        'DELETED demo/app:v3',
      ])
    },
  )

  test('a tag without an image is no image stream tag, and is one when it gets its image', async () => {
    const { api, move } = await streamWorld()
    await createStream(api)
    const tags = await watch(api, `${imageApi}/${inDemo}/imagestreamtags`)
    const wishes = await watch(api, `${imageApi}/${inDemo}/imagetags`)
    await api.writer.changeTag(app, 'v1', () => ({ spec: wanted('v1') }))
    await move('v1', 'a')
    expect((await tags.take(1)).map(place)).toEqual(['ADDED demo/app:v1'])
    expect((await wishes.take(2)).map(place)).toEqual(['ADDED demo/app:v1', 'MODIFIED demo/app:v1'])
  })
})

describe('tag events', () => {
  const events = `${weirApi}/${inDemo}/tagevents`
  const ofProd = `${events}?fieldSelector=stream%3Dapp%2Ctag%3Dprod`

  test('each entry of the ledger is ADDED once, also that of a deletion', async () => {
    const { api, move } = await streamWorld()
    await createStream(api)
    await move('prod', 'a')
    const client = await watch(api, ofProd)
    const moved = await move('prod', 'b')
    await move('other', 'c')
    await api.asAdmin('DELETE', `${imageApi}/${inDemo}/imagestreamtags/app:prod`)
    await api.asAdmin('DELETE', `${streams}/app`)
    await createStream(api)
    await move('prod', 'c')
    const told = await client.take(4)
    expect(told.map(({ type }) => type)).toEqual(Array(4).fill('ADDED'))
    expect(told.map(({ object }) => [object.revision, (object.cause as { kind: string }).kind])).toEqual([
      [1, 'push'],
      [2, 'push'],
      [3, 'delete'],
      [4, 'push'],
    ])
    expect(told[1]?.object).toMatchObject({
      kind: 'TagEvent',
      metadata: { name: 'app.prod.2', namespace: 'demo', resourceVersion: String(moved) },
      image: digest('b'),
      previousImage: digest('a'),
    })
  })

  test('a watch from the past tells what was appended since', async () => {
    const { api, move } = await streamWorld()
    await createStream(api)
    const since = await move('prod', 'a')
    await move('prod', 'b')
    await move('prod', 'c')
    const client = await watch(api, `${ofProd}&resourceVersion=${since}`)
    expect((await client.take(2)).map(({ object }) => object.revision)).toEqual([2, 3])
  })

  test('are for those who may read the tag', async () => {
    const { api, move } = await streamWorld()
    await createStream(api)
    const since = await move('prod', 'a')
    const [viewer, stranger] = [await api.robot('viewer', 'registry-viewer'), await api.robot('stranger')]
    for (const query of ['', `&resourceVersion=${since}`]) {
      const answer = await api.send('GET', `${ofProd}&watch=1${query}`, { token: stranger })
      expect(answer).toMatchObject(refusal(403, 'Forbidden'))
      const client = await watch(api, `${ofProd}${query}`, viewer)
      await move('prod', query === '' ? 'b' : 'c')
      expect((await client.take(1))[0]?.type).toBe('ADDED')
      await client.leave()
    }
  })
})

describe('rights', () => {
  test('without the right to watch there is a 403, with it a watch that ends with the right', async () => {
    const { api, move } = await streamWorld()
    await createStream(api)
    const stranger = await api.robot('stranger')
    expect(await api.send('GET', `${streams}?watch=1`, { token: stranger })).toMatchObject(refusal(403, 'Forbidden'))
    const viewer = await api.robot('viewer', 'registry-viewer')
    const elsewhere = await api.send('GET', `${imageApi}/imagestreams?watch=1`, { token: viewer })
    expect(elsewhere).toMatchObject(refusal(403, 'Forbidden'))
    const client = await watch(api, streams, viewer)
    await client.take(1)
    await api.asAdmin('DELETE', `${rbacApi}/${inDemo}/rolebindings/demo-viewer-registry-viewer`)
    expect(await api.send('GET', `${streams}?watch=1`, { token: viewer })).toMatchObject(refusal(403, 'Forbidden'))
    await move('v1', 'a')
    expect(await client.next()).toBeUndefined()
  })

  test('projects are told to those who may see them', async () => {
    const { api } = await streamWorld()
    const viewer = await api.robot('viewer', 'view')
    const client = await watch(api, '/apis/project.openshift.io/v1/projects', viewer)
    const all = await watch(api, '/apis/project.openshift.io/v1/projects')
    expect((await client.take(1)).map(({ object }) => object.metadata.name)).toEqual(['demo'])
    await api.asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'hidden' } })
    await api.asAdmin('PUT', '/api/v1/namespaces/demo', { metadata: { name: 'demo', labels: { a: '1' } } })
    const [next] = await client.take(1)
    expect(next?.object.metadata.name).toBe('demo')
    expect((await all.take(2)).map(({ object }) => object.metadata.name).toSorted()).toEqual(['demo', 'hidden'])
  })
})

describe('what is no watch', () => {
  test.each([
    ['a kind that has none', `${imageApi}/${inDemo}/imagestreamimages?watch=1`],
    ['reviews', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews?watch=1'],
  ])('%s is a 405 or 404', async (_name, path) => {
    const { api } = await streamWorld()
    const { status } = await api.asAdmin('GET', path)
    expect([404, 405]).toContain(status)
  })

  test('HEAD is refused, for there is nothing but a body', async () => {
    const { api } = await streamWorld()
    expect((await api.asAdmin('HEAD', `${streams}?watch=1`)).status).toBe(405)
    expect((await api.asAdmin('HEAD', streams)).status).toBe(200)
  })

  test('watch=false is a list', async () => {
    const { api } = await streamWorld()
    expect((await api.asAdmin('GET', `${streams}?watch=false`)).body).toMatchObject({ kind: 'ImageStreamList' })
  })

  test.each([
    ['resourceVersion=abc', 400],
    ['resourceVersion=-1', 400],
    ['resourceVersion=1e9', 400],
    [`resourceVersion=${'9'.repeat(2000)}`, 400],
    ['resourceVersion=999999999', 504],
    ['timeoutSeconds=soon', 400],
    [`labelSelector=${'a'.repeat(20_000)}`, 400],
    ['labelSelector=a%3D%3D%3D', 400],
    ['fieldSelector=status.tags%3Dx', 400],
    ['sendInitialEvents=true', 422],
    ['resourceVersionMatch=Exact', 422],
  ])('%j is refused with a Status', async (query, status) => {
    const { api } = await streamWorld()
    expect(await api.asAdmin('GET', `${streams}?watch=1&${query}`)).toMatchObject({ status, body: { kind: 'Status' } })
  })
})

async function streamWorld() {
  const api = await apiWorld()
  const writer = anywhereWriter({ store: api.store, now: api.clock.now })
  const move = async (tag: string, image: string): Promise<number> =>
    (await writer.changeTag(app, tag, () => ({ event: event(image) })))?.revision ?? 0
  return { api, move }
}

async function watch(api: ApiWorld, path: string, token?: string): Promise<Client> {
  const response = await api.open(`${path}${path.includes('?') ? '&' : '?'}watch=true`, token ? { token } : {})
  if (response.status !== 200) throw new Error(await response.text())
  return clientOf(response)
}

function streamObject(name: string, labels?: Record<string, string>) {
  return { kind: 'ImageStream', apiVersion: 'image.openshift.io/v1', metadata: { name, ...(labels && { labels }) } }
}

async function createStream(api: ApiWorld): Promise<{ resourceVersion: string }> {
  const { status, body } = await api.asAdmin('POST', streams, streamObject('app'))
  expect(status).toBe(201)
  return body.metadata as { resourceVersion: string }
}

/** The last character of the digest that each tag stands at. */
function pins({ object }: Event): Record<string, string> {
  const { tags = [] } = object.status as { tags?: { tag: string; items: { image: string }[] | null }[] }
  return Object.fromEntries(tags.map(({ tag, items }) => [tag, items?.[0]?.image.at(-1) ?? '']))
}

function place({ type, object: { metadata } }: Event): string {
  return `${type} ${metadata.namespace}/${metadata.name}`
}
