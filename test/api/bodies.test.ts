import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { type ApiWorld, apiWorld, imageApi, rbacApi, refusal } from './world.ts'

const streams = `${imageApi}/namespaces/demo/imagestreams`
const configMaps = '/api/v1/namespaces/demo/configmaps'
const bindings = `${rbacApi}/namespaces/demo/rolebindings`
const protobufType = 'application/vnd.kubernetes.protobuf'

interface Vector {
  json: { kind: string; apiVersion: string }
  protobuf: string
}

const vectors: Vector[] = JSON.parse(readFileSync(new URL('./protobuf/vectors.json', import.meta.url), 'utf8'))

/** An object of `kind` as Go writes it. */
function vector(kind: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(vectors.find(({ json }) => json.kind === kind)?.protobuf ?? '', 'hex'))
}

function post({ send, adminToken }: ApiWorld, path: string, body: unknown, type = 'application/json') {
  return send('POST', path, { token: adminToken, body, headers: { 'content-type': type } })
}

const stream = (more: object = {}) => ({ metadata: { name: 'app' }, ...more })

describe('fieldValidation of a new object', () => {
  const doubled = '{"metadata":{"name":"app"},"spec":{"lookupPolicy":{"local":false},"lookupPolicy":{"local":true}}}'
  const unknown = stream({ spec: { foo: 1, tags: [{ name: 'a', bar: 1 }] } })

  test('Strict refuses fields that are unknown or doubled, and stores nothing', async () => {
    const world = await apiWorld()
    const path = `${streams}?fieldValidation=Strict`
    expect(await post(world, path, unknown)).toMatchObject(
      refusal(400, 'BadRequest', 'strict decoding error: unknown field "spec.foo", unknown field "spec.tags[0].bar"'),
    )
    expect(await post(world, path, doubled)).toMatchObject(
      refusal(400, 'BadRequest', 'strict decoding error: duplicate field "spec.lookupPolicy"'),
    )
    const yaml = 'metadata: {name: app}\nspec: {lookupPolicy: {local: true, local: false}}'
    expect(await post(world, path, yaml, 'application/yaml')).toMatchObject(
      refusal(400, 'BadRequest', 'strict decoding error: duplicate field "spec.lookupPolicy.local"'),
    )
    expect(await world.asAdmin('GET', `${streams}/app`)).toMatchObject({ status: 404 })
  })

  test.each(['', '?fieldValidation=Warn'])('%s warns of them, and stores the rest', async (query) => {
    const world = await apiWorld()
    const answer = await post(world, `${streams}${query}`, unknown)
    expect(answer.status).toBe(201)
    expect(answer.headers.get('warning')).toBe(
      '299 - "unknown field \\"spec.foo\\"", 299 - "unknown field \\"spec.tags[0].bar\\""',
    )
    const { body } = await world.asAdmin('GET', `${streams}/app`)
    expect(JSON.stringify(body)).not.toMatch(/"(?:foo|bar)"/)
  })

  test('Ignore says nothing, and another value is refused', async () => {
    const world = await apiWorld()
    const answer = await post(world, `${streams}?fieldValidation=Ignore`, unknown)
    expect(answer.status).toBe(201)
    expect(answer.headers.has('warning')).toBe(false)
    expect(await post(world, `${streams}?fieldValidation=strict`, stream())).toMatchObject(refusal(400, 'BadRequest'))
  })

  test('warns of a PUT too', async () => {
    const world = await apiWorld()
    const { body } = await post(world, configMaps, { metadata: { name: 'c' } })
    const answer = await world.asAdmin('PUT', `${configMaps}/c`, { ...body, foo: 1 })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('warning')).toContain('foo')
    expect((await world.asAdmin('GET', `${configMaps}/c`)).body).not.toHaveProperty('foo')
  })

  test('finds nothing in what oc and kubectl send', async () => {
    const world = await apiWorld()
    const sent = stream({
      kind: 'ImageStream',
      apiVersion: 'image.openshift.io/v1',
      metadata: { name: 'app', namespace: 'demo', creationTimestamp: null, labels: null },
      spec: { lookupPolicy: { local: false }, tags: null },
      status: { dockerImageRepository: '', tags: null },
    })
    const answer = await post(world, `${streams}?fieldValidation=Strict`, sent)
    expect(answer).toMatchObject({ status: 201 })
    const zeroed = {
      kind: 'ImageStreamTag',
      apiVersion: 'image.openshift.io/v1',
      metadata: { name: 'app:b', namespace: 'demo', creationTimestamp: null },
      tag: {
        name: '',
        annotations: null,
        from: { kind: 'ImageStreamTag', name: 'app:z' },
        reference: false,
        generation: 0,
        importPolicy: { importMode: 'Legacy' },
        referencePolicy: { type: 'Source' },
      },
      generation: 0,
      lookupPolicy: { local: false },
      image: {
        metadata: { creationTimestamp: null },
        dockerImageMetadata: null,
        dockerImageLayers: null,
        dockerImageMetadataVersion: '',
      },
    }
    const path = `${imageApi}/namespaces/demo/imagestreamtags/app:b?fieldValidation=Strict`
    expect((await world.asAdmin('PUT', path, zeroed)).status).toBeLessThan(300)
  })
})

describe('what is answered', () => {
  test('is known to its own schema, and can be sent back', async () => {
    const world = await apiWorld()
    const strict = '?fieldValidation=Strict'
    const spec = { tags: [{ name: 'a', from: { kind: 'ImageStreamTag', name: 'app:z' } }] }
    const sent: [string, object][] = [
      [streams, stream({ spec })],
      [configMaps, { metadata: { name: 'app' }, data: { a: 'b' } }],
      ['/api/v1/namespaces/demo/serviceaccounts', { metadata: { name: 'app' } }],
      [
        `${rbacApi}/namespaces/demo/roles`,
        { metadata: { name: 'app' }, rules: [{ verbs: ['get'], apiGroups: [''], resources: ['x'] }] },
      ],
      [
        bindings,
        {
          metadata: { name: 'app' },
          subjects: [{ kind: 'User', name: 'jane' }],
          roleRef: { kind: 'ClusterRole', name: 'view' },
        },
      ],
    ]
    for (const [path, object] of sent) {
      const created = await world.asAdmin('POST', `${path}${strict}`, object)
      expect(created, path).toMatchObject({ status: 201 })
      const { body } = await world.asAdmin('GET', `${path}/app`)
      expect(await world.asAdmin('PUT', `${path}/app${strict}`, body), path).toMatchObject({ status: 200 })
    }
    const { body: tag } = await world.asAdmin('GET', `${imageApi}/namespaces/demo/imagetags/app:a`)
    const path = `${imageApi}/namespaces/demo/imagetags/app:a${strict}`
    expect(await world.asAdmin('PUT', path, tag)).toMatchObject({ status: 200 })
  })
})

describe('a body in protobuf', () => {
  test('creates what it says', async () => {
    const world = await apiWorld()
    const answer = await post(world, bindings, vector('RoleBinding'), protobufType)
    expect(answer).toMatchObject({ status: 201, body: { kind: 'RoleBinding', metadata: { name: 'b' } } })
    expect(await world.asAdmin('GET', `${bindings}/b`)).toMatchObject({
      body: { subjects: [{ kind: 'ServiceAccount', name: 'ci', namespace: 'demo' }, { name: 'jane' }] },
    })
    expect(await post(world, configMaps, vector('ConfigMap'), protobufType)).toMatchObject({
      status: 201,
      body: { data: { motd: 'hello', empty: '' }, binaryData: { b: 'AP8Q' } },
    })
    const review = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
    expect(await post(world, review, vector('SelfSubjectAccessReview'), protobufType)).toMatchObject({
      status: 201,
      body: { status: { allowed: true } },
    })
  })

  test('of another kind than the path’s is refused', async () => {
    const world = await apiWorld()
    expect(await post(world, bindings, vector('Role'), protobufType)).toMatchObject(
      refusal(400, 'BadRequest', expect.stringContaining('RoleBinding')),
    )
    expect(await post(world, streams, vector('Namespace'), protobufType)).toMatchObject(refusal(400, 'BadRequest'))
  })

  test.each(['v1', 'image.openshift.io/v1', 'rbac.authorization.k8s.io/v1', 'meta.k8s.io/v1'])(
    'or JSON deletes with options of %s',
    async (apiVersion) => {
      const world = await apiWorld()
      await post(world, configMaps, { metadata: { name: 'c' } })
      const body = {
        kind: 'DeleteOptions',
        apiVersion,
        propagationPolicy: 'Background',
        preconditions: { uid: 'other' },
      }
      expect(await world.asAdmin('DELETE', `${configMaps}/c`, body)).toMatchObject({ status: 409 })
      const { preconditions: _, ...own } = body
      expect(await world.asAdmin('DELETE', `${configMaps}/c`, own)).toMatchObject({ status: 200 })
    },
  )

  test('with DeleteOptions is heeded', async () => {
    const world = await apiWorld()
    await post(world, configMaps, { metadata: { name: 'c' } })
    const remove = (body: Uint8Array) =>
      world.send('DELETE', `${configMaps}/c`, {
        token: world.adminToken,
        body,
        headers: { 'content-type': protobufType },
      })
    // Preconditions of another uid.
    expect(await remove(vector('DeleteOptions'))).toMatchObject({ status: 409 })
    const empty = vectors.findLast(({ json }) => json.kind === 'DeleteOptions')?.protobuf ?? ''
    expect(await remove(new Uint8Array(Buffer.from(empty, 'hex')))).toMatchObject({ status: 200 })
  })
})

describe('a bad body', () => {
  const deep = `{"metadata":{"name":"app"},"spec":${'{"a":'.repeat(200)}1${'}'.repeat(200)}}`
  const bad: [string, number, unknown, string?][] = [
    ['half an object', 400, '{"metadata":{"name":"app"'],
    ['a list', 400, '[]'],
    ['a number', 400, '1'],
    ['YAML that is none', 400, 'a: [1', 'application/yaml'],
    ['YAML with a tag for code', 400, 'metadata: !!js/function "x"', 'application/yaml'],
    ['half an object in protobuf', 400, vector('RoleBinding').slice(0, 60), protobufType],
    ['no protobuf', 400, '{}', protobufType],
    ['nesting in what is free', 400, deep],
    ['a name that is a number', 400, '{"metadata":{"name":1}}'],
    ['metadata that is a list', 400, '{"metadata":[]}'],
    ['a spec that is text', 400, '{"metadata":{"name":"app"},"spec":"x"}'],
    ['a label that is a number', 400, '{"metadata":{"name":"app","labels":{"a":1}}}'],
    ['a lone surrogate', 400, '{"metadata":{"name":"app","annotations":{"a":"\\ud800"}}}'],
    ['a NUL in the name', 422, '{"metadata":{"name":"a\\u0000b"}}'],
    ['another kind', 400, '{"kind":"Pod","metadata":{"name":"app"}}'],
    ['another project', 400, '{"metadata":{"name":"app","namespace":"other"}}'],
    ['text/plain', 415, '{}', 'text/plain'],
    ['a patch', 415, '{}', 'application/merge-patch+json'],
    ['a form', 415, 'a=b', 'application/x-www-form-urlencoded'],
    ['a media type that is none', 415, '{}', 'nonsense'],
    ['5 MB', 413, JSON.stringify({ metadata: { name: 'app', annotations: { a: 'x'.repeat(5e6) } } })],
    ['100 KB of YAML', 413, `a: ${'x'.repeat(1e5)}`, 'application/yaml'],
    ['2 MB of protobuf', 413, new Uint8Array(2e6), protobufType],
  ]
  test.each(bad)('of %s answers %i', async (_, status, body, type) => {
    const world = await apiWorld()
    const answer = await post(world, streams, body, type)
    expect(answer).toMatchObject({ status, body: { kind: 'Status', status: 'Failure', code: status } })
    expect(world.lines.join()).not.toContain('"level":50')
  })

  test('in gzip answers 415', async () => {
    const world = await apiWorld()
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
    const body = new Uint8Array(gzipSync(JSON.stringify(stream())))
    expect(await world.send('POST', streams, { token: world.adminToken, body, headers })).toMatchObject(
      refusal(415, 'UnsupportedMediaType', expect.stringContaining('gzip')),
    )
  })

  const large: [string, string, object][] = [
    ['an object of 3 MB', streams, { metadata: { name: 'app', annotations: { a: 'x'.repeat(3e6) } } }],
    ['a config map of 3 MB', configMaps, { metadata: { name: 'app' }, data: { a: 'x'.repeat(3e6) } }],
    ['10,000 subjects', bindings, bindingOf(Array(10_000).fill({ kind: 'User', name: 'x' }))],
    ['10,000 subjects of a wrong type', bindings, bindingOf(Array(10_000).fill(1))],
    ['a million tags that are numbers', streams, { metadata: { name: 'app' }, spec: { tags: Array(1e6).fill(1) } }],
    ['10,000 unknown fields', `${streams}?fieldValidation=Strict`, { ...stream(), ...numbered((i) => [`f${i}`, i]) }],
    [
      '10,000 tags without a name',
      streams,
      { metadata: { name: 'app' }, spec: { tags: Array(10_000).fill({ from: { kind: 'DockerImage', name: 'x' } }) } },
    ],
  ]
  test.each(large)('of %s is refused with a short Status', async (_, path, body) => {
    const world = await apiWorld()
    const answer = await post(world, path, body)
    expect([400, 413, 422]).toContain(answer.status)
    expect(answer.body).toMatchObject({ kind: 'Status', status: 'Failure' })
    expect(JSON.stringify(answer.body).length).toBeLessThan(100_000)
  })

  test('with keys of a prototype changes nothing but its own object', async () => {
    const world = await apiWorld()
    const body =
      '{"metadata":{"name":"app","__proto__":{"polluted":1},"annotations":{"constructor":"x"}},"__proto__":{"polluted":1},"spec":{"__proto__":{"polluted":1},"tags":[{"__proto__":{"polluted":1},"name":"__proto__","from":{"kind":"ImageStreamTag","name":"z"}}]}}'
    const answer = await post(world, streams, body)
    expect(answer).toMatchObject({ status: 201, body: { spec: { tags: [{ name: '__proto__' }] } } })
    expect(answer.headers.get('warning')).toContain('__proto__')
    expect(JSON.stringify(answer.body)).not.toContain('polluted')
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
    const map = '{"metadata":{"name":"app"},"data":{"__proto__":"x"}}'
    expect((await post(world, configMaps, map)).status).toBeLessThan(500)
  })

  test('with NUL and other control characters in text keeps them', async () => {
    const world = await apiWorld()
    const text = '\u0000\u0001\u001b[31m\u007f\u2028'
    await post(world, configMaps, { metadata: { name: 'app' }, data: { a: text } })
    expect((await world.asAdmin('GET', `${configMaps}/app`)).body).toMatchObject({ data: { a: text } })
  })
})

function numbered(entry: (i: number) => [string, unknown]): object {
  return Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => entry(i)))
}

function bindingOf(subjects: unknown[]): object {
  return { metadata: { name: 'b' }, subjects, roleRef: { kind: 'ClusterRole', name: 'view' } }
}
