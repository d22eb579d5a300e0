import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createOpenApi } from '../../../src/api/openapi/openapi.ts'
import type { Resource } from '../../../src/api/resource.ts'
import { apiWorld, imageApi, refusal } from '../world.ts'

interface Gvk {
  group: string
  version: string
  kind: string
}

interface Operation {
  operationId: string
  parameters: { name: string }[]
  requestBody?: { content: object }
  responses: object
  'x-kubernetes-group-version-kind': Gvk
}

interface Schema {
  description?: string
  properties?: Record<string, Schema>
  'x-kubernetes-group-version-kind'?: Gvk[]
}

interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}

interface ApiResource extends Partial<Gvk> {
  name: string
  kind: string
  namespaced: boolean
  verbs: string[]
  /** Of its document. */
  path: string
}

/** What the API tells of itself: its documents by path, and what discovery lists. */
interface Told {
  documents: Map<string, Document>
  image: Document
  resources: ApiResource[]
}

interface Index {
  paths: Record<string, { serverRelativeURL: string }>
}

let told: Promise<Told> | undefined

function tell(): Promise<Told> {
  told ??= readAll()
  return told
}

async function readAll(): Promise<Told> {
  const { send } = await apiWorld()
  const read = async <T>(path: string): Promise<T> => (await send('GET', path)).body as T
  const documents = new Map<string, Document>()
  const resources: ApiResource[] = []
  const { paths } = await read<Index>('/openapi/v3')
  for (const [path, { serverRelativeURL }] of Object.entries(paths)) {
    documents.set(path, await read<Document>(serverRelativeURL))
    const list = await read<{ resources: ApiResource[] }>(`/${path}`)
    resources.push(...list.resources.map((resource) => ({ ...resource, path })))
  }
  const image = documents.get('apis/image.openshift.io/v1')
  if (image === undefined) throw new Error('there is no document of the image group')
  return { documents, image, resources }
}

/** Every value in a document with its path. */
function* walk(value: unknown, path = ''): Generator<[string, Record<string, unknown>]> {
  if (typeof value !== 'object' || value === null) return
  yield [path, { ...value }]
  for (const [key, inner] of Object.entries(value)) yield* walk(inner, `${path}/${key}`)
}

describe('the documents of the whole API', () => {
  test('are there for every group and version', async () => {
    const { documents } = await tell()
    expect([...documents.keys()]).toEqual(
      expect.arrayContaining(['api/v1', 'apis/image.openshift.io/v1', 'apis/weir.dev/v1']),
    )
  })

  test('point only to components that are there', async () => {
    const { documents } = await tell()
    for (const document of documents.values()) {
      for (const [path, { $ref }] of walk(document)) {
        if (typeof $ref !== 'string') continue
        const name = $ref.replace('#/components/schemas/', '')
        expect(Object.hasOwn(document.components.schemas, name), `${path}: ${$ref}`).toBe(true)
      }
    }
  })

  test('describe every field, and every component', async () => {
    const { documents } = await tell()
    for (const { components } of documents.values()) {
      for (const [name, schema] of Object.entries(components.schemas)) {
        expect(schema.description, name).toBeTypeOf('string')
        for (const [field, each] of Object.entries(schema.properties ?? {})) {
          expect(each.description, `${name}.${field}`).toBeTypeOf('string')
        }
      }
    }
  })

  test('have no operation twice', async () => {
    const { documents } = await tell()
    const ids = [...documents.values()].flatMap((document) =>
      [...walk(document.paths)].flatMap(([, { operationId }]) => (operationId === undefined ? [] : [operationId])),
    )
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('tell of every verb that discovery tells of', async () => {
    const { documents, resources } = await tell()
    const methods: Record<string, [string, boolean]> = {
      list: ['get', false],
      create: ['post', false],
      deletecollection: ['delete', false],
      get: ['get', true],
      update: ['put', true],
      patch: ['patch', true],
      delete: ['delete', true],
    }
    for (const { name, namespaced, verbs, path } of resources) {
      const [resource, subresource] = name.split('/')
      const collection = `/${path}${namespaced ? '/namespaces/{namespace}' : ''}/${resource}`
      for (const verb of (verbs as string[]).filter((each) => each !== 'watch')) {
        const [method, isObject] = methods[verb] ?? []
        const at = subresource ? `${collection}/{name}/${subresource}` : isObject ? `${collection}/{name}` : collection
        expect(documents.get(path)?.paths[at]?.[method ?? ''], `${verb} ${name}`).toMatchObject({
          'x-kubernetes-group-version-kind': { kind: expect.any(String) },
        })
      }
    }
  })

  test('tell kubectl of every kind that the server looks for unknown fields', async () => {
    const { documents, resources } = await tell()
    for (const { kind, group, version, name, verbs, path } of resources) {
      if (name.includes('/') || !verbs.includes('create')) continue
      const [, own = '', ownVersion = ''] = path === 'api/v1' ? ['', '', 'v1'] : path.split('/')
      const type = { group: group ?? own, version: version ?? ownVersion, kind }
      const operations = Object.values(documents.get(path)?.paths ?? {}).flatMap(({ patch }) => (patch ? [patch] : []))
      const own_ = operations.filter((each) => equals(each['x-kubernetes-group-version-kind'], type))
      expect(own_.length, kind).toBeGreaterThan(0)
      for (const { parameters } of own_) {
        expect(parameters.map(({ name }) => name)).toContain('fieldValidation')
      }
    }
  })

  test('say of a kind that can only be created that its PATCH is not served', async () => {
    const { image } = await tell()
    const path = '/namespaces/{namespace}/imagestreamimports/{name}'
    const patch = image.paths[`${imageApi}${path}`]?.patch
    expect(patch).not.toHaveProperty('requestBody')
    expect(Object.keys(patch?.responses ?? {})).toEqual(['405'])
    const { asAdmin } = await apiWorld()
    const sent = await asAdmin('PATCH', `${imageApi}/namespaces/demo/imagestreamimports/app`, {})
    expect(sent.status).toBe(405)
  })

  test('name each kind in exactly one component', async () => {
    const { documents } = await tell()
    for (const [path, { components }] of documents) {
      const types = Object.values(components.schemas).flatMap((each) => each['x-kubernetes-group-version-kind'] ?? [])
      const shown = types.map((type) => JSON.stringify(type))
      expect(new Set(shown).size, path).toBe(shown.length)
    }
  })

  test('give patches the keys of image streams’ lists', async () => {
    const { image } = await tell()
    const { schemas } = image.components
    expect(schemas['com.github.openshift.api.image.v1.ImageStreamSpec']?.properties?.tags).toMatchObject({
      type: 'array',
      items: { $ref: '#/components/schemas/com.github.openshift.api.image.v1.TagReference' },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      'x-kubernetes-patch-merge-key': 'name',
      'x-kubernetes-patch-strategy': 'merge',
    })
    expect(schemas['com.github.openshift.api.image.v1.ImageStreamStatus']?.properties?.tags).toMatchObject({
      'x-kubernetes-patch-merge-key': 'tag',
    })
    const patch = image.paths[`${imageApi}/namespaces/{namespace}/imagestreams/{name}`]?.patch
    expect(Object.keys(patch?.requestBody?.content ?? {})).toContain('application/strategic-merge-patch+json')
    expect(patch?.parameters.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['dryRun', 'fieldManager', 'fieldValidation', 'force']),
    )
  })

  test('say nothing of the bounds of JavaScript’s integers', async () => {
    const { documents } = await tell()
    expect(JSON.stringify([...documents.values()])).not.toContain('9007199254740991')
  })
})

function equals(a: Gvk, b: Gvk): boolean {
  return a.group === b.group && a.version === b.version && a.kind === b.kind
}

describe('a document', () => {
  const row: Resource = {
    group: 'a.example',
    version: 'v1',
    resource: 'things',
    singular: 'thing',
    kind: 'Thing',
    namespaced: true,
    handlers: { get: async () => undefined, list: async () => ({ items: [] }), create: async () => ({ metadata: {} }) },
  }
  const yearLater = 'Fri, 01 Jan 1971 00:00:00 GMT'
  const serve = (table: Resource[] = [row]) => createOpenApi(table, () => 0)
  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    serve()(new Request(`http://localhost${path}`, { headers, method }))
  const address = async (): Promise<string> => {
    const { paths } = (await get('/openapi/v3').json()) as Index
    return paths['apis/a.example/v1']?.serverRelativeURL ?? ''
  }

  test('is kept for ever at the address that names its content', async () => {
    const answer = get(await address())
    expect(answer.status).toBe(200)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'cache-control': 'public, immutable',
      expires: yearLater,
      vary: 'accept',
      'content-type': 'application/json',
    })
    const hash = new URL(await address(), 'http://localhost').searchParams.get('hash')
    expect(answer.headers.get('etag')).toBe(`"${hash}"`)
  })

  test('is asked for again where the address does not', () => {
    expect(get('/openapi/v3/apis/a.example/v1').headers.get('cache-control')).toBe('no-cache')
    expect(get('/openapi/v3').headers.get('cache-control')).toBe('no-cache')
    expect(get('/openapi/v3?hash=1').status).toBe(200)
  })

  test('of another hash leads to the right one', async () => {
    for (const hash of ['1', '"\r\nx: y', '%0d%0a']) {
      const answer = get(`/openapi/v3/apis/a.example/v1?hash=${encodeURIComponent(hash)}`)
      expect(answer.status).toBe(301)
      expect(answer.headers.get('location')).toBe(await address())
    }
  })

  test('is not sent to who has it', async () => {
    const etag = get('/openapi/v3').headers.get('etag') ?? ''
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const answer = get('/openapi/v3', { 'if-none-match': known })
      expect(answer.status).toBe(304)
      expect(await answer.text()).toBe('')
    }
    expect(get('/openapi/v3', { 'if-none-match': '"x"' }).status).toBe(200)
  })

  test('has another hash when the table is another', async () => {
    const other = serve([{ ...row, kind: 'Other' }])(new Request('http://localhost/openapi/v3'))
    expect(other.headers.get('etag')).not.toBe(get('/openapi/v3').headers.get('etag'))
  })

  test.each([
    'application/com.github.proto-openapi.spec.v3@v1.0+protobuf, application/json',
    'application/com.github.proto-openapi.spec.v3@v1.0+protobuf;q=1,*/*;q=0.1',
    'application/json, */*',
    '*/*',
    '',
  ])('is JSON for who accepts %j', (accept) => {
    expect(get('/openapi/v3', { accept }).headers.get('content-type')).toBe('application/json')
  })

  test.each(['application/com.github.proto-openapi.spec.v3@v1.0+protobuf', 'text/html'])(
    'is refused to who accepts only %j',
    (accept) => {
      expect(() => get('/openapi/v3', { accept })).toThrow(expect.objectContaining({ code: 'NOT_ACCEPTABLE' }))
    },
  )

  test.each(['POST', 'PUT', 'DELETE', 'PATCH'])('is refused to %s', (method) => {
    expect(() => get('/openapi/v3', {}, method)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }))
  })

  test('answers HEAD', () => {
    expect(get('/openapi/v3', {}, 'HEAD').status).toBe(200)
  })

  test.each([
    '/openapi',
    '/openapi/v2',
    '/openapi/v4',
    '/openapi/v3x',
    '/openapi/v3/apis',
    '/openapi/v3/apis/none/v1',
    '/openapi/v3/__proto__',
    '/openapi/v3/constructor',
    '/openapi/v3/apis/a.example/v1/things',
  ])('is not at %s', (path) => {
    expect(() => get(path)).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }))
  })

  test('of version 2 is empty, and only for kubectl, who looks into it', async () => {
    const accept = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'
    const answer = get('/openapi/v2', { accept })
    expect(Buffer.from(await answer.arrayBuffer()).toString('hex')).toBe('0a03322e30')
    // Go refuses a media type with an `@` in it.
    expect(answer.headers.get('content-type')).not.toContain('@')
  })

  test('is made when somebody asks, once', () => {
    let reads = 0
    const schema = z.object({ spec: z.string() }).meta({ id: 'test.Thing' })
    const counted = new Proxy(row, {
      get: (target, key) => {
        if (key === 'schema') reads += 1
        return key === 'schema' ? schema : Reflect.get(target, key)
      },
    })
    const answer = serve([counted])
    expect(reads).toBe(0)
    answer(new Request('http://localhost/openapi/v3'))
    const after = reads
    answer(new Request('http://localhost/openapi/v3/apis/a.example/v1'))
    expect(after).toBeGreaterThan(0)
    expect(reads).toBe(after)
  })

  test('names a kind without a schema by its group, and takes it for anything', async () => {
    const { components } = (await get('/openapi/v3/apis/a.example/v1').json()) as Document
    expect(components.schemas['example.a.v1.Thing']).toMatchObject({
      type: 'object',
      properties: { kind: {}, apiVersion: {}, metadata: {} },
      'x-kubernetes-group-version-kind': [{ group: 'a.example', version: 'v1', kind: 'Thing' }],
    })
  })
})

test('the documents are no secret, and failures are a Status', async () => {
  const { send } = await apiWorld()
  expect((await send('GET', '/openapi/v3')).status).toBe(200)
  expect(await send('GET', '/openapi/v2')).toMatchObject(refusal(404, 'NotFound'))
  expect(await send('POST', '/openapi/v3', { body: {} })).toMatchObject(refusal(405, 'MethodNotAllowed'))
})
