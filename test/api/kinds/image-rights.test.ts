/** Who may do what with the image kinds (okd.md 4.1 and 4.2). */
import { describe, expect, test } from 'vitest'
import { type Answered, imageApi, inDemo, names, rbacApi, weirApi } from '../world.ts'
import {
  type ImagesWorld,
  images,
  imagesWorld,
  importOf,
  imports,
  isimages,
  itags,
  mappings,
  streams,
  tags,
  v1,
  v2,
  wire,
} from './images.ts'

const events = `${weirApi}/${inDemo}/tagevents`
const dry = '?dryRun=All'

interface Asking {
  method: string
  path: string
  body?: unknown
  type?: string
}

const patch = (path: string): Asking => ({
  method: 'PATCH',
  path: `${path}${dry}`,
  body: {},
  type: 'application/merge-patch+json',
})
const get = (path: string): Asking => ({ method: 'GET', path })
const remove = (path: string): Asking => ({ method: 'DELETE', path: `${path}${dry}` })

/** Every verb of every row and subresource; whatever would write does so as a dry run. */
async function requestsOf({ asAdmin, from }: ImagesWorld): Promise<Record<string, Asking>> {
  const read = async (path: string) => wire(await asAdmin('GET', path))
  const put = async (path: string): Promise<Asking> => ({
    method: 'PUT',
    path: `${path}${dry}`,
    body: await read(path),
  })
  const source = { kind: 'ImageStreamTag', name: 'app:prod' }
  const post = (path: string, body: unknown): Asking => ({ method: 'POST', path: `${path}${dry}`, body })
  const reference = `weir.test:5000/demo/app@${v1.manifest.digest}`
  const mapping = {
    metadata: { name: 'app' },
    image: { metadata: { name: v1.manifest.digest }, dockerImageReference: reference },
    tag: 'x',
  }
  const collections = { is: streams, istag: tags, itag: itags }
  const requests: Record<string, Asking> = {}
  for (const [short, path] of Object.entries(collections)) {
    const one = `${path}/${short === 'is' ? 'app' : 'app:prod'}`
    Object.assign(requests, {
      [`list ${short}`]: get(path),
      [`watch ${short}`]: get(`${path}?watch=1`),
      [`get ${short}`]: get(one),
      [`update ${short}`]: await put(one),
      [`patch ${short}`]: patch(one),
      [`delete ${short}`]: remove(one),
      [`deletecollection ${short}`]: remove(path),
    })
  }
  return {
    ...requests,
    'create is': post(streams, { metadata: { name: 'new' } }),
    'create istag': post(tags, { metadata: { name: 'app:new' }, tag: { from: source } }),
    'create itag': post(itags, { metadata: { name: 'app:new' }, spec: { name: 'new', from: source } }),
    'get is/status': get(`${streams}/app/status`),
    'update is/status': await put(`${streams}/app/status`),
    'patch is/status': patch(`${streams}/app/status`),
    'get is/layers': get(`${streams}/app/layers`),
    'get isimage': get(`${isimages}/app@${v1.manifest.digest}`),
    'create isimport': post(imports, importOf(from, 'new')),
    'create ismapping': post(mappings, mapping),
    'list images': get(images),
    'get images': get(`${images}/${v1.manifest.digest}`),
    'list tagevents': get(`${events}?fieldSelector=stream%3Dapp%2Ctag%3Dprod`),
    'watch tagevents': get(`${events}?watch=1&fieldSelector=stream%3Dapp%2Ctag%3Dprod`),
    'list is everywhere': get(`${imageApi}/imagestreams`),
    'list istag everywhere': get(`${imageApi}/imagestreamtags`),
    'list itag everywhere': get(`${imageApi}/imagetags`),
  }
}

const kinds = ['is', 'istag', 'itag']
const each = (...verbs: string[]) => verbs.flatMap((verb) => kinds.map((kind) => `${verb} ${kind}`))
const reads = [...each('get', 'list', 'watch'), 'get isimage', 'list tagevents', 'watch tagevents']
const writes = [
  ...each('create', 'update', 'patch', 'delete', 'deletecollection'),
  'create isimport',
  'create ismapping',
]
const allowed: Record<string, string[]> = {
  view: [...reads, 'get is/layers', 'get is/status'],
  edit: [...reads, ...writes, 'get is/layers', 'get is/status'],
  admin: [...reads, ...writes, 'get is/layers', 'get is/status'],
  'registry-viewer': [...reads, 'get is/layers'],
  'registry-editor': [...reads, ...writes, 'get is/layers'],
  'registry-admin': [...reads, ...writes, 'get is/layers'],
  'system:image-puller': ['get is/layers'],
  'system:image-pusher': ['get is/layers'],
  'system:image-builder': ['get is/layers', 'create is'],
  'system:image-pruner': ['get is', 'list is', 'watch is', 'update is/status'],
  nobody: [],
  'admin of another project': [],
  anonymous: [],
}

async function ask(
  { send, open }: ImagesWorld,
  { method, path, body, type }: Asking,
  token: string | undefined,
): Promise<number> {
  if (path.includes('watch=1') && token !== undefined) {
    const response = await open(path, { token })
    await response.body?.cancel()
    return response.status
  }
  const headers = type === undefined ? {} : { 'content-type': type }
  const sent = { headers, ...(token === undefined ? {} : { token }), ...(body === undefined ? {} : { body }) }
  return (await send(method, path, sent)).status
}

async function rightsWorld() {
  const world = await imagesWorld()
  await world.importTag('prod')
  return world
}

describe('the rights of', () => {
  test.each(Object.keys(allowed))('%s are what OKD gives, and no more', async (role) => {
    const world = await rightsWorld()
    const { robot, asAdmin } = world
    const requests = await requestsOf(world)
    const binds = !['nobody', 'admin of another project', 'anonymous'].includes(role)
    const token = role === 'anonymous' ? undefined : await robot('ci', binds ? role : undefined)
    if (role === 'admin of another project') {
      await asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
      await asAdmin('POST', `${rbacApi}/namespaces/other/rolebindings`, {
        metadata: { name: 'ci' },
        subjects: [{ kind: 'ServiceAccount', name: 'ci', namespace: 'demo' }],
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
      })
    }
    const before = await world.revision()
    const found: string[] = []
    for (const [name, request] of Object.entries(requests)) {
      const status = await ask(world, request, token)
      expect([name, status]).toEqual([name, expect.toSatisfy((each) => each === 403 || each < 300)])
      if (status !== 403) found.push(name)
    }
    expect(found.toSorted()).toEqual(allowed[role]?.toSorted())
    expect(await world.revision()).toBe(before)
  })
})

describe('a right limited to names', () => {
  async function limited(rules: object[]) {
    const world = await rightsWorld()
    const { asAdmin, robot, importTag } = world
    await importTag('dev')
    await importTag('prod', 'other')
    await asAdmin('POST', `${rbacApi}/${inDemo}/roles`, { metadata: { name: 'one' }, rules })
    const token = await robot('ci')
    const bound = await asAdmin('POST', `${rbacApi}/${inDemo}/rolebindings`, {
      metadata: { name: 'one' },
      subjects: [{ kind: 'ServiceAccount', name: 'ci', namespace: 'demo' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'one' },
    })
    expect(bound.status).toBe(201)
    return { ...world, token, ask: (request: Asking) => ask(world, request, token) }
  }
  const verbs = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection']

  test('holds for that stream and its subresources, and for no other', async () => {
    const resources = ['imagestreams', 'imagestreams/layers', 'imagestreams/status']
    const { ask, send, token } = await limited([
      { verbs, apiGroups: ['image.openshift.io'], resources, resourceNames: ['app'] },
    ])
    for (const path of ['', '/layers', '/status']) {
      expect([path, await ask(get(`${streams}/app${path}`))]).toEqual([path, 200])
      for (const name of ['other', 'gone']) expect(await ask(get(`${streams}/${name}${path}`))).toBe(403)
    }
    expect([await ask(patch(`${streams}/app`)), await ask(patch(`${streams}/other`))]).toEqual([200, 403])
    expect([await ask(remove(`${streams}/app`)), await ask(remove(`${streams}/gone`))]).toEqual([200, 403])
    expect(await ask(get(streams))).toBe(403)
    const one = await send('GET', `${streams}?fieldSelector=metadata.name%3Dapp`, { token })
    expect(names(one)).toEqual(['app'])
    expect((await send('GET', `${streams}?fieldSelector=metadata.name%3Dother`, { token })).status).toBe(403)
    expect(await ask({ method: 'POST', path: `${streams}${dry}`, body: { metadata: { name: 'app' } } })).toBe(403)
    expect(await ask(get(`${tags}/app:prod`))).toBe(403)
  })

  test('holds for that tag, in whichever group the rule is written', async () => {
    for (const apiGroups of [['image.openshift.io'], ['*']]) {
      const resources = ['imagestreamtags']
      const { ask } = await limited([{ verbs, apiGroups, resources, resourceNames: ['app:prod'] }])
      expect([await ask(get(`${tags}/app:prod`)), await ask(get(`${tags}/app:dev`))]).toEqual([200, 403])
      expect([await ask(get(`${tags}/app%3Aprod`)), await ask(get(`${itags}/app:prod`))]).toEqual([200, 403])
      const put = (name: string): Asking => ({
        method: 'PUT',
        path: `${tags}/${name}${dry}`,
        body: { metadata: { name }, tag: { from: { kind: 'ImageStreamTag', name: 'app:dev' } } },
      })
      expect([await ask(put('app:prod')), await ask(put('app:dev')), await ask(put('other:prod'))]).toEqual([
        200, 403, 403,
      ])
      expect(
        await ask({ method: 'POST', path: `${tags}${dry}`, body: { metadata: { name: 'app:prod' }, tag: {} } }),
      ).toBe(403)
    }
  })

  test('to pull one stream is enough to promote from it, and from no other', async () => {
    const { send, token, asAdmin } = await limited([
      { verbs: ['get'], apiGroups: ['image.openshift.io'], resources: ['imagestreams/layers'], resourceNames: ['app'] },
      {
        verbs: ['update'],
        apiGroups: ['image.openshift.io'],
        resources: ['imagestreamtags'],
        resourceNames: ['copy:prod'],
      },
    ])
    const promote = (name: string) =>
      send('PUT', `${tags}/copy:prod`, {
        token,
        body: { metadata: { name: 'copy:prod' }, tag: { from: { kind: 'ImageStreamTag', name } } },
      })
    expect((await promote('other:prod')).status).toBe(422)
    expect((await asAdmin('GET', `${streams}/copy`)).status).toBe(404)
    expect((await promote('app:prod')).status).toBe(201)
  })
})

describe('who may not', () => {
  test('is not told what there is', async () => {
    const world = await rightsWorld()
    const { robot, send, asAdmin, registry, importTag } = world
    registry.put('lib/app', v2, { tag: 'v1' })
    await importTag('dev')
    await asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
    const token = await robot('stranger', 'view', 'other')
    await asAdmin('DELETE', `${rbacApi}/${inDemo}/rolebindings/other-stranger-view`)
    const pairs: [string, string][] = [
      [`${streams}/app`, `${streams}/gone`],
      [`${streams}/app/layers`, `${streams}/gone/layers`],
      [`${streams}/app/status`, `${streams}/gone/status`],
      [`${tags}/app:prod`, `${tags}/gone:prod`],
      [`${tags}/app:prod`, `${tags}/app:none`],
      [`${itags}/app:prod`, `${itags}/gone:prod`],
      [`${isimages}/app@${v1.manifest.digest}`, `${isimages}/gone@${v1.manifest.digest}`],
      [`${images}/${v1.manifest.digest}`, `${images}/sha256:${'0'.repeat(64)}`],
      [`${streams}/app`, `${imageApi}/namespaces/nowhere/imagestreams/app`],
      [`${tags}/app`, `${tags}/gone`],
    ]
    for (const [there, gone] of pairs) {
      for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) {
        const headers = method === 'PATCH' ? { 'content-type': 'application/merge-patch+json' } : {}
        const sent = { headers, ...(method === 'GET' ? {} : { body: {} }) }
        for (const who of [{ token }, {}]) {
          const [a, b] = [await send(method, there, { ...sent, ...who }), await send(method, gone, { ...sent, ...who })]
          expect([403, 405]).toContain(a.status)
          expect(withoutNames(a, there)).toEqual(withoutNames(b, gone))
        }
      }
    }
  })

  test('push with a right to pull, nor make what he may only change', async () => {
    const world = await rightsWorld()
    const { robot, asAdmin } = world
    await asAdmin('POST', `${rbacApi}/${inDemo}/roles`, {
      metadata: { name: 'patcher' },
      rules: [{ verbs: ['get', 'patch'], apiGroups: ['image.openshift.io'], resources: ['imagestreams'] }],
    })
    await asAdmin('POST', `${rbacApi}/${inDemo}/rolebindings`, {
      metadata: { name: 'patcher' },
      subjects: [{ kind: 'ServiceAccount', name: 'ci', namespace: 'demo' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'patcher' },
    })
    const token = await robot('ci')
    const config = { apiVersion: 'image.openshift.io/v1', kind: 'ImageStream', metadata: { name: 'new' } }
    const type = 'application/apply-patch+yaml'
    const apply = (name: string): Asking => ({
      method: 'PATCH',
      path: `${streams}/${name}?fieldManager=me`,
      body: { ...config, metadata: { name } },
      type,
    })
    expect([await ask(world, apply('app'), token), await ask(world, apply('new'), token)]).toEqual([200, 403])
    expect((await asAdmin('GET', `${streams}/new`)).status).toBe(404)
  })
})

/** An answer in which nothing is left of what its own path says. */
function withoutNames({ status, text }: Answered, path: string): unknown {
  const [, , , , , project = '', , inProject] = path.split('/')
  const name = inProject ?? path.split('/').at(-1) ?? ''
  return { status, text: text.replaceAll(name, 'NAME').replaceAll(`namespace \\"${project}\\"`, 'IT') }
}
