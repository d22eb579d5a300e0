import { describe, expect, test } from 'vitest'
import { type Answered, type ApiWorld, apiWorld, imageApi, inDemo, invalidFields, refusal } from './world.ts'

const configMaps = `/api/v1/${inDemo}/configmaps`
const types = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
}

type Type = keyof typeof types

/** An API with the configmap `settings`, and one function that patches as the admin. */
async function patchWorld() {
  const world = await apiWorld()
  const made = await world.asAdmin('POST', configMaps, {
    metadata: { name: 'settings', labels: { team: 'a' } },
    data: { color: 'red', size: '1' },
  })
  expect(made.status).toBe(201)
  return { ...world, patch: patcher(world), read: () => world.asAdmin('GET', `${configMaps}/settings`) }
}

function patcher({ send, adminToken }: ApiWorld) {
  return (type: Type | string, body: unknown, path = `${configMaps}/settings`): Promise<Answered> =>
    send('PATCH', path, {
      token: adminToken,
      body,
      headers: { 'content-type': type in types ? types[type as Type] : type, 'user-agent': 'kubectl/v1.33.0 (linux)' },
    })
}

const metadataOf = ({ body }: Answered) => body.metadata as Record<string, unknown>

describe('a patch', () => {
  test.each([
    ['json', [{ op: 'replace', path: '/data/color', value: 'blue' }]],
    ['merge', { data: { color: 'blue' } }],
    ['strategic', { data: { color: 'blue' } }],
  ] as const)('of the type %s changes the object and answers it', async (type, body) => {
    const { patch, read } = await patchWorld()
    const before = await read()
    const answer = await patch(type, body)
    expect(answer).toMatchObject({
      status: 200,
      body: { kind: 'ConfigMap', apiVersion: 'v1', data: { color: 'blue', size: '1' } },
    })
    expect(metadataOf(answer).labels).toEqual({ team: 'a' })
    expect(metadataOf(answer).resourceVersion).not.toBe(metadataOf(before).resourceVersion)
    expect((await read()).body).toEqual(answer.body)
  })

  test.each([
    ['json', [{ op: 'replace', path: '/data/color', value: 'red' }]],
    ['merge', { data: { color: 'red', none: null } }],
    ['strategic', {}],
  ] as const)('of the type %s that changes nothing writes nothing', async (type, body) => {
    const { patch, read } = await patchWorld()
    const before = await read()
    expect(await patch(type, body)).toMatchObject({ status: 200, body: before.body })
  })

  test('with dryRun writes nothing', async () => {
    const { patch, read } = await patchWorld()
    const before = await read()
    const answer = await patch('merge', { data: { color: 'blue' } }, `${configMaps}/settings?dryRun=All`)
    expect(answer).toMatchObject({ status: 200, body: { data: { color: 'blue' } } })
    expect((await read()).body).toEqual(before.body)
  })

  test('of what is not there is answered 404', async () => {
    const { patch } = await patchWorld()
    for (const type of ['json', 'merge', 'strategic']) {
      const answer = await patch(type, type === 'json' ? [] : {}, `${configMaps}/none`)
      expect(answer).toMatchObject(refusal(404, 'NotFound', 'configmaps "none" not found'))
    }
  })

  test('needs the right to patch, whatever other rights there are', async () => {
    const { send, robot } = await patchWorld()
    const headers = { 'content-type': types.merge }
    const answer = await send('PATCH', `${configMaps}/settings`, { token: await robot('r', 'view'), body: {}, headers })
    expect(answer).toMatchObject(
      refusal(403, 'Forbidden', expect.stringContaining('cannot patch resource "configmaps"')),
    )
  })

  test.each(['application/json', 'application/yaml', 'text/plain', 'application/apply-patch+cbor', ''])(
    'of the content type "%s" is answered 415 with those that are served',
    async (type) => {
      const { patch } = await patchWorld()
      const answer = await patch(type, {})
      expect(answer).toMatchObject(refusal(415, 'UnsupportedMediaType', expect.stringContaining(types.merge)))
    },
  )

  test('may say its content type with parameters', async () => {
    const { patch } = await patchWorld()
    expect((await patch('Application/Merge-Patch+JSON; charset=utf-8', { data: { a: 'b' } })).status).toBe(200)
  })

  test('of a collection is not served', async () => {
    const { patch } = await patchWorld()
    expect(await patch('merge', {}, configMaps)).toMatchObject(refusal(405, 'MethodNotAllowed'))
  })

  test('of a kind that cannot be updated is not served', async () => {
    const { patch } = await patchWorld()
    expect(await patch('merge', {}, '/apis/user.openshift.io/v1/users/~')).toMatchObject(
      refusal(405, 'MethodNotAllowed'),
    )
  })
})

describe('a patch that makes another object', () => {
  test.each([
    ['its name', { metadata: { name: 'other' } }, 400],
    ['its name away', { metadata: { name: null } }, 400],
    ['its namespace', { metadata: { namespace: 'other' } }, 400],
    ['its kind', { kind: 'Secret' }, 400],
    ['its version', { apiVersion: 'v2' }, 400],
    ['its uid', { metadata: { uid: 'another' } }, 409],
    ['its uid by what is no text', { metadata: { uid: { toString: 'another' } } }, 400],
    ['all of its metadata', { metadata: null }, 400],
    ['its metadata into text', { metadata: 'x' }, 400],
  ])('by %s is refused', async (_name, change, status) => {
    const { patch, read } = await patchWorld()
    const before = await read()
    const answer = await patch('merge', change)
    expect(answer.status).toBe(status)
    if (status === 409) expect(answer.body.message).toMatch(/^Precondition failed: UID in precondition: another/)
    expect((await read()).body).toEqual(before.body)
  })

  test('by being no object is refused', async () => {
    const { patch } = await patchWorld()
    for (const value of [null, 'x', 1, []]) {
      const answer = await patch('json', [{ op: 'replace', path: '', value }])
      expect(answer).toMatchObject(refusal(400, 'BadRequest'))
      expect(await patch('merge', JSON.stringify(value))).toMatchObject(refusal(400, 'BadRequest'))
      expect(await patch('strategic', JSON.stringify(value))).toMatchObject(refusal(400, 'BadRequest'))
    }
  })

  test('cannot set what the server sets', async () => {
    const { patch, read } = await patchWorld()
    const before = await read()
    const metadata = { creationTimestamp: '2001-01-01T00:00:00Z', managedFields: [{ manager: 'x' }], generation: 7 }
    const answer = await patch('merge', { metadata })
    expect(answer.status).toBe(200)
    expect((await read()).body).toEqual(before.body)
  })
})

describe('a patch that is wrong', () => {
  test('of JSON names the operation and is answered 422', async () => {
    const { patch } = await patchWorld()
    const failed = [{ op: 'test', path: '/data/color', value: 'green' }]
    expect(await patch('json', failed)).toMatchObject(invalidFields('patch[0].value'))
    expect(await patch('json', [{ op: 'remove', path: '/data/none' }])).toMatchObject(invalidFields('patch[0].path'))
  })

  test.each([
    ['json', '{'],
    ['json', '{}'],
    ['merge', '{'],
    ['merge', ''],
    ['strategic', '[]'],
    ['strategic', '{"$rename":1}'],
    ['apply', '{"apiVersion":"v1"'],
    ['apply', ''],
    ['apply', '[]'],
  ])('of the type %s with the body "%s" is answered 400', async (type, body) => {
    const { patch } = await patchWorld()
    const path = `${configMaps}/settings${type === 'apply' ? '?fieldManager=x' : ''}`
    expect(await patch(type, body, path)).toMatchObject(refusal(400, 'BadRequest'))
  })

  test('by its result is refused as an update would be', async () => {
    const { patch } = await patchWorld()
    expect((await patch('merge', { data: { color: 1 } })).status).toBe(400)
    expect((await patch('merge', { data: { '..': 'x' } })).status).toBe(422)
    expect((await patch('merge', { metadata: { labels: { 'a b': 'x' } } })).status).toBe(422)
  })

  test.each([
    ['json', (path: string) => JSON.stringify([{ op: 'add', path: `/${path}/polluted`, value: 'x' }])],
    ['json', (path: string) => JSON.stringify([{ op: 'add', path: `/data/${path}`, value: { polluted: 'x' } }])],
    ['merge', (path: string) => `{"${path}":{"polluted":"x"},"data":{"${path}":{"polluted":"x"}}}`],
    ['merge', (path: string) => `{"metadata":{"${path}":{"polluted":"x"},"labels":{"${path}":"x"}}}`],
    ['strategic', (path: string) => `{"${path}":{"polluted":"x"},"data":{"${path}":{"polluted":"x"}}}`],
    ['strategic', (path: string) => `{"metadata":{"$setElementOrder/${path}":[],"labels":{"${path}":"x"}}}`],
    [
      'apply',
      (path: string) => `{"apiVersion":"v1","kind":"ConfigMap","${path}":{"polluted":"x"},"data":{"${path}":"x"}}`,
    ],
    ['apply', (path: string) => `apiVersion: v1\nkind: ConfigMap\n${path}: {polluted: x}\ndata: {${path}: {a: x}}`],
  ])('of the type %s reaches no prototype', async (type, body) => {
    const { patch, lines } = await patchWorld()
    for (const name of ['__proto__', 'constructor', 'prototype']) {
      const path = `${configMaps}/settings${type === 'apply' ? '?fieldManager=x' : ''}`
      const answer = await patch(type, body(name), path)
      expect([200, 400, 422]).toContain(answer.status)
      expect(({} as Record<string, unknown>).polluted).toBeUndefined()
      expect(Object.keys(Object.prototype)).toEqual([])
    }
    expect(lines.filter((line) => line.includes('"level":50'))).toEqual([])
  })

  test.each([
    ['nested deeply', 'merge', `${'{"data":'.repeat(5_000)}1${'}'.repeat(5_000)}`, 400],
    ['of deep lists', 'merge', `{"data":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 400],
    ['of deep lists', 'strategic', `{"data":${'['.repeat(2_000)}${']'.repeat(2_000)}}`, 400],
    ['of deep lists', 'apply', `{"data":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 400],
    ['of 3 MB', 'merge', `{"data":{"x":"${'x'.repeat(3_000_000)}"}}`, 413],
    ['of 5 MB', 'merge', `{"data":{"x":"${'x'.repeat(5_000_000)}"}}`, 413],
    ['of 3 MB', 'apply', `{"apiVersion":"v1","kind":"ConfigMap","data":{"x":"${'x'.repeat(3_000_000)}"}}`, 413],
    ['of 100 kB of YAML', 'apply', `apiVersion: v1\nkind: ConfigMap\ndata:\n  x: "${'x'.repeat(100_000)}"\n`, 413],
    ['of many elements', 'json', `[${'{"op":"test","path":"/x"},'.repeat(100_000)}{}]`, 413],
    ['with lone surrogates', 'merge', '{"data":{"x":"\\ud800"}}', 400],
    ['with bytes that are no text', 'merge', '{"data":{"x":"\u0000"}}', 400],
    ['of numbers that are none', 'merge', '{"data":{"x":NaN}}', 400],
    ['of text for a map', 'merge', '{"data":"x"}', 400],
    ['of a list for a map', 'strategic', '{"data":["x"]}', 400],
  ])('%s, of the type %s, is refused', async (_name, type, body, status) => {
    const { patch, lines } = await patchWorld()
    const path = `${configMaps}/settings${type === 'apply' ? '?fieldManager=x' : ''}`
    expect((await patch(type, body, path)).status).toBe(status)
    expect(lines.filter((line) => line.includes('"level":50'))).toEqual([])
  })

  test('with null bytes in a value is kept as it is', async () => {
    const { patch, read } = await patchWorld()
    expect((await patch('merge', { data: { x: 'a\u0000b' } })).status).toBe(200)
    expect((await read()).body.data).toMatchObject({ x: 'a\u0000b' })
  })
})

describe('fields that a patch names and the kind does not have', () => {
  test.each([
    ['json', [{ op: 'add', path: '/colour', value: 'x' }]],
    ['merge', { colour: 'x' }],
    ['strategic', { colour: 'x' }],
    ['apply', { apiVersion: 'v1', kind: 'ConfigMap', colour: 'x' }],
  ] as const)('are refused, told or dropped, as fieldValidation says (%s)', async (type, body) => {
    const { patch, read } = await patchWorld()
    const path = (validation: string) => `${configMaps}/settings?fieldManager=x&fieldValidation=${validation}`
    expect(await patch(type, body, path('Strict'))).toMatchObject(
      refusal(400, 'BadRequest', expect.stringContaining('unknown field "colour"')),
    )
    const warned = await patch(type, body, path('Warn'))
    expect(warned.status).toBe(200)
    expect(warned.headers.get('warning')).toBe('299 - "unknown field \\"colour\\""')
    const ignored = await patch(type, body, path('Ignore'))
    expect(ignored.status).toBe(200)
    expect(ignored.headers.get('warning')).toBeNull()
    expect((await read()).body).not.toHaveProperty('colour')
    expect((await patch(type, body, path('Never'))).status).toBe(400)
  })

  test('and are given twice are told as well', async () => {
    const { patch } = await patchWorld()
    const answer = await patch('merge', '{"data":{"a":"1","a":"2"}}')
    expect(answer.headers.get('warning')).toContain('duplicate field')
    expect(answer.body.data).toMatchObject({ a: '2' })
  })
})

describe('a resourceVersion in a patch', () => {
  test.each(['json', 'merge', 'strategic'])('that is the newest is accepted (%s)', async (type) => {
    const { patch, read } = await patchWorld()
    const { resourceVersion } = metadataOf(await read())
    const change = { metadata: { resourceVersion }, data: { a: 'b' } }
    const operations = [
      { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion },
      { op: 'add', path: '/data/a', value: 'b' },
    ]
    expect((await patch(type, type === 'json' ? operations : change)).status).toBe(200)
  })

  test('that is old is answered 409 and nothing is written', async () => {
    const { patch, read } = await patchWorld()
    const { resourceVersion } = metadataOf(await read())
    await patch('merge', { data: { a: 'b' } })
    const answer = await patch('merge', { metadata: { resourceVersion }, data: { a: 'c' } })
    expect(answer).toMatchObject(refusal(409, 'Conflict'))
    expect((await read()).body.data).toMatchObject({ a: 'b' })
  })

  test('that is taken away is taken for none', async () => {
    const { patch } = await patchWorld()
    expect((await patch('merge', { metadata: { resourceVersion: null }, data: { a: 'b' } })).status).toBe(200)
    expect((await patch('merge', { metadata: { resourceVersion: 'x' }, data: { a: 'c' } })).status).toBe(409)
  })
})

describe('okd.md 8.3', () => {
  const streams = `${imageApi}/${inDemo}/imagestreams`

  async function streamWorld() {
    const world = await apiWorld()
    const from = { kind: 'DockerImage', name: `${world.registry.host}/library/app:1` }
    const tags = ['v1', 'v2', 'v3'].map((name) => ({ name, from, reference: true }))
    await world.asAdmin('POST', streams, { metadata: { name: 'app' }, spec: { tags } })
    const read = async () => (await world.asAdmin('GET', `${streams}/app`)).body
    return { from, patch: patcher(world), read }
  }

  test('19: a strategic patch of one tag by name leaves the others, and $patch: delete removes', async () => {
    const { from, patch, read } = await streamWorld()
    const tagsOf = (object: Record<string, unknown>) => (object.spec as { tags: Record<string, unknown>[] }).tags
    const before = tagsOf(await read())
    const annotations = { note: 'x' }
    expect((await patch('strategic', { spec: { tags: [{ name: 'v2', annotations }] } }, `${streams}/app`)).status).toBe(
      200,
    )
    expect(tagsOf(await read())).toEqual(before.map((tag) => (tag.name === 'v2' ? { ...tag, annotations } : tag)))
    const removal = { spec: { tags: [{ name: 'v2', $patch: 'delete' }], '$setElementOrder/tags': [{ name: 'v1' }] } }
    expect((await patch('strategic', removal, `${streams}/app`)).status).toBe(200)
    expect(tagsOf(await read())).toEqual(before.filter(({ name }) => name !== 'v2'))
    const both = {
      spec: {
        tags: [
          { name: 'v1', $patch: 'delete' },
          { name: 'v4', from, reference: true },
        ],
      },
    }
    expect((await patch('strategic', both, `${streams}/app`)).status).toBe(200)
    expect(tagsOf(await read()).map(({ name }) => name)).toEqual(expect.arrayContaining(['v3', 'v4']))
    expect(tagsOf(await read())).toHaveLength(2)
  })

  test('24: a patch of lookupPolicy adds one to the generation, and none to a tag’s', async () => {
    const { patch, read } = await streamWorld()
    const generations = (object: Record<string, unknown>) => ({
      stream: Number((object.metadata as Record<string, unknown>).generation),
      tags: (object.spec as { tags: { generation: unknown }[] }).tags.map(({ generation }) => generation),
    })
    const before = generations(await read())
    const change = { spec: { lookupPolicy: { local: true } } }
    expect(await patch('strategic', change, `${streams}/app?fieldManager=kubectl-set`)).toMatchObject({
      status: 200,
      body: { spec: { lookupPolicy: { local: true } } },
    })
    expect(generations(await read())).toEqual({ ...before, stream: before.stream + 1 })
    await patch('strategic', change, `${streams}/app?fieldManager=kubectl-set`)
    expect(generations(await read())).toEqual({ ...before, stream: before.stream + 1 })
  })
})

describe('patches at once', () => {
  test.each(['json', 'merge', 'strategic', 'apply'])('of one object all land (%s)', async (type) => {
    const { patch, read } = await patchWorld()
    const keys = Array.from({ length: 50 }, (_, i) => `k${i}`)
    const bodyOf = (key: string) => {
      if (type === 'json') return [{ op: 'add', path: `/data/${key}`, value: 'x' }]
      const data = { [key]: 'x' }
      return type === 'apply' ? { apiVersion: 'v1', kind: 'ConfigMap', data } : { data }
    }
    const answers = await Promise.all(
      keys.map((key) =>
        patch(type, bodyOf(key), `${configMaps}/settings${type === 'apply' ? `?fieldManager=${key}` : ''}`),
      ),
    )
    expect(answers.map(({ status }) => status)).toEqual(keys.map(() => 200))
    expect(Object.keys((await read()).body.data as object)).toEqual(expect.arrayContaining(keys))
  })

  test('that take the resourceVersion away all land', async () => {
    const { patch, read } = await patchWorld()
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`)
    await Promise.all(keys.map((key) => patch('merge', { metadata: { resourceVersion: null }, data: { [key]: 'x' } })))
    expect(Object.keys((await read()).body.data as object)).toEqual(expect.arrayContaining(keys))
  })

  test('of different tags of one stream all land', async () => {
    const world = await apiWorld()
    const patch = patcher(world)
    const streams = `${imageApi}/${inDemo}/imagestreams`
    await world.asAdmin('POST', streams, { metadata: { name: 'app' } })
    const tags = Array.from({ length: 50 }, (_, i) => `v${i}`)
    const from = { kind: 'DockerImage', name: `${world.registry.host}/library/app:1` }
    const answers = await Promise.all(
      tags.map((name) => patch('strategic', { spec: { tags: [{ name, from, reference: true }] } }, `${streams}/app`)),
    )
    expect(answers.map(({ status }) => status)).toEqual(tags.map(() => 200))
    const { body } = await world.asAdmin('GET', `${streams}/app`)
    expect((body.spec as { tags: { name: string }[] }).tags.map(({ name }) => name).toSorted()).toEqual(tags.toSorted())
  })

  test.each(['json', 'merge', 'strategic', 'apply'] as const)(
    'of a stream lands at its first attempt, whatever becomes of other tags between reading and writing (%s)',
    async (type) => {
      let updates = 0
      const world = await apiWorld(({ tagging }) => ({
        tagging: {
          ...tagging,
          async updateStream(request) {
            updates += 1
            const asking = { project: 'demo', stream: 'app', by: 'other', mayPull: () => true, seen: {}, field: 'tag' }
            const policies = { annotations: null, importPolicy: {}, referencePolicy: { type: 'Local' } } as const
            for (const tag of ['theirs', 'new']) {
              const wanted = { name: tag, from: source(100 + updates), reference: true, ...policies }
              await tagging.setTag({ ...asking, tag, wanted })
            }
            await tagging.setTag({ ...asking, tag: 'gone', wanted: null })
            return tagging.updateStream(request)
          },
        },
      }))
      const source = (n: number) => ({ kind: 'DockerImage', name: `${world.registry.host}/library/app:${n}` }) as const
      const streams = `${imageApi}/${inDemo}/imagestreams`
      const tags = ['gone', 'mine', 'old', 'theirs'].map((name) => ({ name, from: source(1), reference: true }))
      await world.asAdmin('POST', streams, { metadata: { name: 'app' }, spec: { tags } })
      const mine = { name: 'mine', from: source(2), reference: true }
      const bodies = {
        json: [
          { op: 'replace', path: '/spec/tags/1/from/name', value: source(2).name },
          { op: 'remove', path: '/spec/tags/2' },
        ],
        merge: { spec: { tags: tags.flatMap((tag) => (tag.name === 'mine' ? mine : tag.name === 'old' ? [] : tag)) } },
        strategic: { spec: { tags: [mine, { name: 'old', $patch: 'delete' }] } },
        apply: { apiVersion: 'image.openshift.io/v1', kind: 'ImageStream', spec: { tags: [mine] } },
      }
      const query = type === 'apply' ? '?fieldManager=me&force=true' : ''
      const answer = await patcher(world)(type, bodies[type], `${streams}/app${query}`)
      expect(answer.status).toBe(200)
      expect(updates).toBe(1)
      const now = (await world.asAdmin('GET', `${streams}/app`)).body.spec as { tags: (typeof tags)[number][] }
      expect(now.tags.map(({ name, from }) => [name, from.name])).toEqual([
        ['mine', source(2).name],
        ['new', source(101).name],
        ...(type === 'apply' ? [['old', source(1).name]] : []),
        ['theirs', source(101).name],
      ])
    },
  )

  test('end when somebody else changes the object each time', async () => {
    let writes = 0
    const world = await apiWorld(({ objects }) => ({
      objects: {
        ...objects,
        async get(resource, project, name) {
          const found = await objects.get(resource, project, name)
          if (resource !== 'configmaps' || found === undefined) return found
          writes += 1
          await objects.update(resource, project, name, (current) => ({ ...current, data: { n: String(writes) } }))
          return found
        },
      },
    }))
    await world.asAdmin('POST', configMaps, { metadata: { name: 'settings' }, data: {} })
    expect(await patcher(world)('merge', { data: { a: 'b' } })).toMatchObject(refusal(409, 'Conflict'))
    expect(writes).toBe(20)
  })
})
