import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { readAll } from '../../../src/content/reader.ts'
import { makeImage, makeIndex } from '../../support/images.ts'
import { type ApiWorld, apiWorld, imageApi, inDemo, invalidFields, names, refusal, weirApi } from '../world.ts'

const image = makeImage('prefetched')
const path = `${weirApi}/${inDemo}/prefetches`
const body = (spec: unknown) => ({ apiVersion: 'weir.dev/v1', kind: 'Prefetch', spec })
const prod = body({ stream: 'app', tag: 'prod' })
const isTagPath = `${imageApi}/${inDemo}/imagestreamtags`

/** `demo/app:prod` stands at an image, and what needs to be fetched is. */
async function world(): Promise<ApiWorld> {
  const api = await apiWorld()
  api.registry.put('lib/app', image, { tag: 'v1' })
  await api.importImage('app', 'prod', `${api.registry.host}/lib/app:v1`)
  return api
}

/** Fetches in the background until the test ends. */
function fetching(api: ApiWorld): void {
  const stopping = new AbortController()
  const ended = api.retention.run(stopping.signal)
  onTestFinished(async () => {
    stopping.abort()
    await ended
  })
}

describe('a prefetch', () => {
  test('is answered with how far it is, and is held when it is asked again', async () => {
    const api = await world()
    const first = await api.asAdmin('POST', path, prod)
    expect(first).toMatchObject({
      status: 201,
      body: {
        kind: 'Prefetch',
        apiVersion: 'weir.dev/v1',
        metadata: { namespace: 'demo' },
        spec: { stream: 'app', tag: 'prod' },
        status: { image: image.manifest.digest, state: 'fetching', parts: 3, heldParts: 2 },
      },
    })
    fetching(api)
    const again = async () => (await api.asAdmin('POST', path, prod)).body.status
    await vi.waitFor(async () => expect(await again()).toMatchObject({ state: 'held', parts: 3, heldParts: 3 }))
    const asked = api.registry.requests.length
    for (const { digest } of image.layers)
      (await api.pullThrough.blob({ project: 'demo', stream: 'app' }, digest)).reader.close()
    expect(api.registry.requests).toHaveLength(asked)
  })

  test('is allowed to who may pull the stream, and to nobody else', async () => {
    const api = await world()
    const puller = await api.robot('puller', 'system:image-puller')
    const stranger = await api.robot('stranger')
    expect((await api.send('POST', path, { token: puller, body: prod })).status).toBe(201)
    for (const spec of [
      { stream: 'app', tag: 'prod' },
      { stream: 'none', tag: 'prod' },
    ]) {
      const refused = await api.send('POST', path, { token: stranger, body: body(spec) })
      expect(refused).toMatchObject(refusal(403, 'Forbidden'))
    }
    expect((await api.send('POST', path, { body: prod })).status).toBe(403)
  })

  test('is for who has a name, also where anonymous may pull', async () => {
    const api = await world()
    const bound = await api.objects.create('rolebindings', 'demo', {
      metadata: { name: 'everybody' },
      subjects: [{ kind: 'Group', name: 'system:unauthenticated' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
    })
    await api.authorizer.reached(Number(bound.metadata.resourceVersion))
    const refused = await api.send('POST', path, { body: prod })
    expect(refused).toMatchObject(refusal(403, 'Forbidden'))
    expect(refused.body.message).toMatch(/^prefetches.weir.dev "app:prod" is forbidden: .*log in/)
    expect((await api.store.get('index/unheld/demo/app/prod'))?.value).not.toContain('"forced"')
    expect((await api.send('POST', path, { token: await api.robot('stranger'), body: prod })).status).toBe(201)
  })

  test('has a line in the audit log', async () => {
    const api = await world()
    await api.asAdmin('POST', path, prod)
    expect(api.audited.at(-1)).toMatchObject({ verb: 'create', object: { resource: 'prefetches', name: 'app:prod' } })
  })

  test.each([
    [{}, ['spec.stream', 'spec.tag']],
    [{ stream: 'App', tag: '!' }, ['spec.stream', 'spec.tag']],
    [{ stream: 'app', tag: '' }, ['spec.tag']],
  ])('of %o is refused by its fields', async (spec, fields) => {
    const api = await world()
    expect(await api.asAdmin('POST', path, body(spec))).toMatchObject(invalidFields(...fields))
  })

  test('of what is not there is 404', async () => {
    const api = await world()
    const tag = await api.asAdmin('POST', path, body({ stream: 'app', tag: 'none' }))
    expect(tag).toMatchObject(refusal(404, 'NotFound'))
    expect(await api.asAdmin('POST', path, body({ stream: 'none', tag: 'prod' }))).toMatchObject(
      refusal(404, 'NotFound'),
    )
  })

  test('can be found by discovery and explained', async () => {
    const api = await world()
    const { body: group } = await api.asAdmin('GET', weirApi)
    expect(group.resources).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: 'prefetches', kind: 'Prefetch', verbs: ['create'] })]),
    )
    const { text } = await api.asAdmin('GET', '/openapi/v3/apis/weir.dev/v1')
    expect(text).toContain('dev.weir.v1.PrefetchStatus')
  })
})

describe('the annotation weir.dev/content of a tag', () => {
  const annotationOf = (object: unknown) =>
    (object as { metadata: { annotations?: Record<string, string> } }).metadata.annotations?.['weir.dev/content']

  async function pinned(): Promise<ApiWorld> {
    const api = await world()
    const stream = { metadata: { annotations: { 'weir.dev/retain': 'pinned' } } }
    const headers = { 'content-type': 'application/merge-patch+json' }
    const token = api.adminToken
    await api.send('PATCH', `${imageApi}/${inDemo}/imagestreams/app`, { token, headers, body: stream })
    return api
  }

  test('tells how much is held, of one and in lists', async () => {
    const api = await pinned()
    const bytes = [image.manifest, image.config, ...image.layers].reduce((sum, piece) => sum + piece.bytes.length, 0)
    const missing = image.layers.reduce((sum, piece) => sum + piece.bytes.length, 0)
    const one = async () => annotationOf((await api.asAdmin('GET', `${isTagPath}/app:prod`)).body)
    const listed = async () => annotationOf(((await api.asAdmin('GET', isTagPath)).body.items as unknown[])[0])
    expect(await one()).toBe(`fetching: 2 of 3 parts, ${bytes - missing} B of ${bytes} B`)
    expect(await listed()).toBe('fetching')
    fetching(api)
    await vi.waitFor(async () => expect(await one()).toBe('held'))
    expect(await listed()).toBeUndefined()
    api.retention.lookAgain()
    await vi.waitFor(async () => expect(await listed()).toBe('held'))
  })

  test('tells why something is not held', async () => {
    const api = await pinned()
    for (const { digest } of image.layers) api.registry.remove(digest)
    fetching(api)
    await vi.waitFor(async () => {
      const { body } = await api.asAdmin('GET', `${isTagPath}/app:prod`)
      expect(annotationOf(body)).toMatch(
        new RegExp(`^failed: .*${image.layers[0]?.digest}.*; tried again after [-0-9]{10}T[0-9:]{5}Z$`),
      )
    })
    const list = await api.asAdmin('GET', isTagPath)
    expect(annotationOf((list.body.items as unknown[])[0])).toMatch(
      /^failed: .*; tried again after [-0-9]{10}T[0-9:]{5}Z$/,
    )
  })

  test('tells what of an index was left out because its registry does not have it', async () => {
    const api = await pinned()
    const index = makeIndex('sparse', ['amd64', 'arm64'])
    const [, arm64] = index.children
    api.registry.put('lib/app', index, { tag: 'v2' })
    if (arm64 === undefined) throw new Error('no child')
    api.registry.remove(arm64.manifest.digest)
    await api.importImage('app', 'prod', `${api.registry.host}/lib/app:v2`)
    fetching(api)
    await vi.waitFor(async () => {
      const { body } = await api.asAdmin('GET', `${isTagPath}/app:prod`)
      expect(annotationOf(body)).toBe(`held: all is held but what its registry does not have: ${arm64.manifest.digest}`)
    })
  })

  test('tells how much pulls brought where nothing else is kept, and lists do not look', async () => {
    const api = await world()
    const list = await api.asAdmin('GET', isTagPath)
    expect(names(list)).toEqual(['app:prod'])
    expect(list.text).not.toContain('weir.dev/content')
    const one = async () => annotationOf((await api.asAdmin('GET', `${isTagPath}/app:prod`)).body)
    const sizes = (pieces: { bytes: Uint8Array }[]) => pieces.reduce((sum, { bytes }) => sum + bytes.length, 0)
    const [config, all] = [
      sizes([image.manifest, image.config]),
      sizes([image.manifest, image.config, ...image.layers]),
    ]
    expect(await one()).toBe(`pulled: 2 of 3 parts held, ${config} B of ${all} B`)
    for (const { digest } of image.layers) {
      await readAll(await api.pullThrough.blob({ project: 'demo', stream: 'app' }, digest))
    }
    await vi.waitFor(async () => expect(await one()).toBe(`pulled: 3 of 3 parts held, ${all} B of ${all} B`))
  })

  test('can not be written, by whatever write', async () => {
    const api = await pinned()
    const tagPath = `${isTagPath}/app:prod`
    const lie = { 'weir.dev/content': 'held', own: 'yes' }
    const { body: live } = await api.asAdmin('GET', tagPath)
    const metadata = { ...(live.metadata as object), annotations: lie }
    const stored = async () =>
      (await api.reader.tag({ project: 'demo', stream: 'app' }, 'prod'))?.record.spec?.annotations
    expect((await api.asAdmin('PUT', tagPath, { ...live, metadata })).status).toBe(200)
    expect(await stored()).toEqual({ own: 'yes' })
    const headers = { 'content-type': 'application/merge-patch+json' }
    const token = api.adminToken
    await api.send('PATCH', tagPath, {
      token,
      headers,
      body: { metadata: { annotations: { 'weir.dev/content': null } } },
    })
    expect(await stored()).toEqual({ own: 'yes' })
    expect(annotationOf((await api.asAdmin('GET', tagPath)).body)).toMatch(/^fetching/)
  })
})

describe('annotations that change what is kept', () => {
  const wrong = { 'weir.dev/retain': 'all', 'weir.dev/move': 'later' }
  const field = (level: string, name: string) => `${level}[weir.dev/${name}]`
  const both = (level: string) => invalidFields(field(level, 'retain'), field(level, 'move'))
  const streams = `${imageApi}/${inDemo}/imagestreams`
  const merge = { 'content-type': 'application/merge-patch+json' }
  const apply = { 'content-type': 'application/apply-patch+yaml' }

  test('are refused on a project, however it is written', async () => {
    const api = await world()
    const token = api.adminToken
    const metadata = { name: 'new', annotations: wrong }
    const level = 'metadata.annotations'
    expect(await api.asAdmin('POST', '/api/v1/namespaces', { metadata })).toMatchObject(both(level))
    const projectPath = '/apis/project.openshift.io/v1/projects'
    expect(await api.asAdmin('POST', projectPath, { metadata })).toMatchObject(both(level))
    const requested = await api.asAdmin('POST', '/apis/project.openshift.io/v1/projectrequests', { metadata })
    expect(requested).toMatchObject(both(level))
    const demo = '/api/v1/namespaces/demo'
    const { body: live } = await api.asAdmin('GET', demo)
    const sent = { ...live, metadata: { ...(live.metadata as object), annotations: wrong } }
    expect(await api.asAdmin('PUT', demo, sent)).toMatchObject(both(level))
    const patch = { metadata: { annotations: wrong } }
    expect(await api.send('PATCH', demo, { token, headers: merge, body: patch })).toMatchObject(both(level))
    const applied = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'demo', annotations: wrong } }
    const query = '?fieldManager=me'
    expect(await api.send('PATCH', demo + query, { token, headers: apply, body: applied })).toMatchObject(both(level))
    expect((await api.asAdmin('GET', demo)).text).not.toContain('weir.dev/retain')
  })

  test('are refused on a stream and its tags, however it is written', async () => {
    const api = await world()
    const token = api.adminToken
    const tags = [{ name: 'dev', annotations: wrong, from: { kind: 'ImageStreamTag', name: 'prod' } }]
    const inTags = both('spec.tags[dev].annotations')
    const level = 'metadata.annotations'
    const object = (metadata: object, spec: object = {}) => ({ metadata, spec })
    expect(await api.asAdmin('POST', streams, object({ name: 'new', annotations: wrong }))).toMatchObject(both(level))
    expect(await api.asAdmin('POST', streams, object({ name: 'new' }, { tags }))).toMatchObject(inTags)
    const { body: live } = await api.asAdmin('GET', `${streams}/app`)
    const sent = { ...live, metadata: { ...(live.metadata as object), annotations: wrong } }
    expect(await api.asAdmin('PUT', `${streams}/app`, sent)).toMatchObject(both(level))
    const patches = [
      [{ metadata: { annotations: wrong } }, both(level)],
      [{ spec: { tags } }, inTags],
    ] as const
    for (const [body, refused] of patches) {
      expect(await api.send('PATCH', `${streams}/app`, { token, headers: merge, body })).toMatchObject(refused)
    }
    const applied = {
      apiVersion: 'image.openshift.io/v1',
      kind: 'ImageStream',
      metadata: { name: 'app', annotations: wrong },
    }
    const path = `${streams}/app?fieldManager=me&force=true`
    expect(await api.send('PATCH', path, { token, headers: apply, body: applied })).toMatchObject(both(level))
  })

  test('are refused on a tag by itself', async () => {
    const api = await world()
    const token = api.adminToken
    const level = 'metadata.annotations'
    const from = { kind: 'ImageStreamTag', name: 'prod' }
    const created = await api.asAdmin('POST', isTagPath, {
      metadata: { name: 'app:dev', annotations: wrong },
      tag: { name: 'dev', from },
    })
    expect(created).toMatchObject(both(level))
    const body = { metadata: { annotations: wrong } }
    expect(await api.send('PATCH', `${isTagPath}/app:prod`, { token, headers: merge, body })).toMatchObject(both(level))
    const tag = await api.asAdmin('PUT', `${imageApi}/${inDemo}/imagetags/app:prod`, {
      metadata: { name: 'app:prod' },
      spec: { name: 'prod', annotations: wrong, from },
    })
    expect(tag).toMatchObject(both('spec.annotations'))
  })

  test('that stand there already do not keep anything else from being changed', async () => {
    const api = await world()
    const token = api.adminToken
    await api.objects.update('namespaces', '', 'demo', (now) => ({
      ...now,
      metadata: { ...now.metadata, annotations: wrong },
    }))
    await api.writer.changeStream({ project: 'demo', stream: 'app' }, ({ stream }) => ({
      object: { ...stream, annotations: wrong },
    }))
    for (const path of ['/api/v1/namespaces/demo', `${streams}/app`]) {
      const body = { metadata: { annotations: { other: 'yes' } } }
      expect((await api.send('PATCH', path, { token, headers: merge, body })).status, path).toBe(200)
      const worse = { metadata: { annotations: { 'weir.dev/retain': 'nothing' } } }
      const refused = await api.send('PATCH', path, { token, headers: merge, body: worse })
      expect(refused, path).toMatchObject(invalidFields(field('metadata.annotations', 'retain')))
    }
  })
})
