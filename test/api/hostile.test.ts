/** What clients should not send, over the API with its real parts: each is answered with a clear Status, and nothing is half done. */
import { describe, expect, test } from 'vitest'
import {
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
  type Wire,
  wire,
} from './kinds/images.ts'
import { type Answered, imageApi, inDemo, names } from './world.ts'

async function hostileWorld() {
  const world = await imagesWorld()
  await world.importTag('prod', 'base')
  const source = { kind: 'ImageStreamImage', name: `base@${v1.manifest.digest}` }
  /** A refusal: a short Status of the client's making, with nothing written and nothing that the log calls a mistake. */
  const refused = async (
    work: () => Promise<Answered>,
    statuses = [400, 404, 405, 409, 413, 415, 422],
  ): Promise<Answered> => {
    const before = await world.revision()
    const answer = await work()
    expect(statuses).toContain(answer.status)
    expect(answer.body).toMatchObject({
      kind: 'Status',
      status: 'Failure',
      code: answer.status,
      message: expect.stringMatching(/./),
    })
    expect(answer.text.length).toBeLessThan(30_000)
    expect(await world.revision()).toBe(before)
    return answer
  }
  const stream = async (name = 'app') => wire(await world.asAdmin('GET', `${streams}/${name}`))
  return { ...world, source, refused, stream }
}

const tagNames = (object: Wire) => (object.spec.tags ?? []).map(({ name }) => name as string)

describe('tag names that objects have as properties', () => {
  const awkward = [
    '__proto__',
    'constructor',
    'hasOwnProperty',
    'toString',
    'prototype',
    '_',
    '0',
    '00',
    'length',
    'then',
    'A',
    'a..b',
    'x'.repeat(128),
  ]

  test('are tags like others: made, read, listed, patched, applied, followed, moved and deleted', async () => {
    const { asAdmin, source, patch, stream, registry, from, pins } = await hostileWorld()
    for (const tag of awkward) {
      const made = await asAdmin('PUT', `${tags}/app:${tag}`, {
        metadata: { name: `app:${tag}` },
        tag: { name: tag, from: source },
      })
      expect([tag, made.status]).toEqual([tag, 201])
    }
    const sorted = awkward.toSorted()
    const object = await stream()
    expect(tagNames(object)).toEqual(sorted)
    expect((object.status as { tags: { tag: string }[] }).tags.map(({ tag }) => tag)).toEqual(sorted)
    expect(names(await asAdmin('GET', tags))).toEqual([...sorted.map((tag) => `app:${tag}`), 'base:prod'])
    for (const tag of awkward) {
      const noted = { spec: { tags: [{ name: tag, annotations: { note: tag } }] } }
      expect((await patch('strategic', `${streams}/app`, noted)).status).toBe(200)
      expect((await asAdmin('GET', `${tags}/app:${tag}`)).body).toMatchObject({
        tag: { name: tag, annotations: { note: tag } },
        image: { metadata: { name: v1.manifest.digest } },
      })
      expect((await pins.pin({ project: 'demo', stream: 'app' }, tag))?.digest).toBe(v1.manifest.digest)
    }
    expect(await asAdmin('PUT', `${streams}/app`, await stream())).toMatchObject({ status: 200 })
    registry.put('lib/app', v2, { tag: 'v1' })
    for (const tag of awkward.slice(0, 3)) {
      await asAdmin('PUT', `${tags}/app:f`, {
        metadata: { name: 'app:f' },
        tag: { from: { kind: 'ImageStreamTag', name: tag } },
      })
      expect((await asAdmin('POST', imports, importOf(from, tag))).body.status).toMatchObject({
        images: [{ tag, status: { status: 'Success' } }],
      })
      expect((await asAdmin('GET', `${tags}/app:f`)).body).toMatchObject({
        image: { metadata: { name: v2.manifest.digest } },
      })
      const removal = { spec: { tags: [{ name: tag, $patch: 'delete' }] } }
      expect(tagNames(wire(await patch('strategic', `${streams}/app`, removal)))).not.toContain(tag)
    }
    for (const tag of awkward)
      expect([tag, (await asAdmin('DELETE', `${itags}/app:${tag}`)).status]).toEqual([tag, 200])
    expect((await stream()).status).not.toHaveProperty('tags.1')
    expect(Reflect.get({}, 'note')).toBeUndefined()
  })

  test('are server-side applied like others', async () => {
    const { patch, source, stream } = await hostileWorld()
    const config = (list: string[]) => ({
      apiVersion: 'image.openshift.io/v1',
      kind: 'ImageStream',
      metadata: { name: 'app' },
      spec: { tags: list.map((name) => ({ name, from: source })) },
    })
    const path = `${streams}/app?fieldManager=me`
    expect((await patch('apply', path, config(awkward))).status).toBe(201)
    expect(tagNames(await stream())).toEqual(awkward.toSorted())
    expect((await patch('apply', path, config(['__proto__']))).status).toBe(200)
    expect(tagNames(await stream())).toEqual(['__proto__'])
    expect((await patch('apply', path, config([]))).status).toBe(200)
    expect(tagNames(await stream())).toEqual([])
  })
})

describe('tag names that are none', () => {
  const bad = [
    'a!b',
    '!',
    'a b',
    ' ',
    '.a',
    '-a',
    'a:b',
    'a@b',
    'a/b',
    '../../x',
    'a\u0000b',
    'a\nb',
    'ä',
    '🙂',
    '\ud800',
    'x'.repeat(129),
    'x'.repeat(100_000),
    '%2e',
    'a,b',
    '*',
    '{}',
    '',
  ]

  test.each(bad.map((name) => [name.length > 40 ? `${name.slice(0, 10)}... (${name.length})` : name, name]))(
    'are refused in every body: %j',
    async (_, name) => {
      const { asAdmin, patch, source, refused, from } = await hostileWorld()
      await asAdmin('POST', streams, { metadata: { name: 'app' } })
      const spec = { tags: [{ name, from: source }] }
      await refused(() => asAdmin('POST', streams, { metadata: { name: 'new' }, spec }))
      await refused(async () =>
        asAdmin('PUT', `${streams}/app`, { ...(await wire(await asAdmin('GET', `${streams}/app`))), spec }),
      )
      for (const type of ['strategic', 'merge'] as const) await refused(() => patch(type, `${streams}/app`, { spec }))
      await refused(() => patch('json', `${streams}/app`, [{ op: 'add', path: '/spec/tags', value: spec.tags }]))
      for (const path of [tags, itags]) {
        await refused(() =>
          asAdmin('POST', path, {
            metadata: { name: `app:${name}` },
            tag: { from: source },
            spec: { name, from: source },
          }),
        )
      }
      // Without a name an import is of the tag that it comes from.
      if (name !== '') await refused(() => asAdmin('POST', imports, importOf(from, name)))
      const image = { metadata: { name: v1.manifest.digest }, dockerImageReference: `${from}@${v1.manifest.digest}` }
      await refused(() => asAdmin('POST', mappings, { metadata: { name: 'base' }, image, tag: name }))
    },
  )

  test('and paths that are none are answered, whatever is in them', async () => {
    const { refused, asAdmin, patch, source } = await hostileWorld()
    const segments = [
      'app%2Fx:prod',
      'app:prod%2F',
      '..%2F..%2Fnamespaces',
      '%2e%2e',
      '%2e%2e%2fapp:prod',
      'app%3A..',
      'app:%00',
      'app:%0a',
      'app:%',
      'app:%zz',
      'app:%ff',
      '%c0%ae',
      'app:%25',
      'base:prod%20',
      'app:a%21b',
      'base:..',
      '::',
      'app:prod:x',
      `${'a'.repeat(2_000)}:b`,
      '%f0%9f%99%82:x',
    ]
    for (const segment of segments) {
      for (const path of [tags, itags, isimages, streams]) {
        const sent = { metadata: {}, tag: { from: source }, spec: { name: 'x' } }
        await refused(() => asAdmin('GET', `${path}/${segment}`))
        await refused(() => asAdmin('DELETE', `${path}/${segment}`))
        await refused(() => asAdmin('PUT', `${path}/${segment}`, sent))
        await refused(() => patch('merge', `${path}/${segment}`, sent))
      }
    }
    for (const path of [
      'namespaces/demo%2fx/imagestreams',
      'namespaces/__proto__/imagestreams/app',
      'namespaces//imagestreams',
      'namespaces/demo/constructor',
      'namespaces/demo/imagestreams/app/constructor',
      'namespaces/demo/imagestreams/base/__proto__',
      `${inDemo}/imagestreams/base/status/x`,
    ]) {
      await refused(() => asAdmin('GET', `${imageApi}/${path}`))
    }
    expect((await asAdmin('GET', `${imageApi}/namespaces/none/imagestreams`)).body.items).toEqual([])
  })
})

describe('large bodies', () => {
  const many = (count: number, make: (i: number) => unknown) => Array.from({ length: count }, (_, i) => make(i))

  test('of 10,000 elements are taken or refused as a whole', async () => {
    const { refused, asAdmin, source, registry } = await hostileWorld()
    const image = (i: number) => ({
      from: { kind: 'DockerImage', name: `${registry.host}/lib/app:v1` },
      to: { name: `t${i}` },
    })
    registry.requests.splice(0)
    const answer = await refused(() =>
      asAdmin('POST', imports, { metadata: { name: 'app' }, spec: { import: true, images: many(10_000, image) } }),
    )
    expect(answer.body.message).toContain('at most 100')
    expect(registry.requests).toEqual([])
    const bad = many(10_000, (i) => ({ name: `t${i}!`, from: source }))
    await refused(() => asAdmin('POST', streams, { metadata: { name: 'app' }, spec: { tags: bad } }))
    const over = many(10_001, (i) => ({ name: `t${i}`, from: source }))
    await refused(() => asAdmin('POST', streams, { metadata: { name: 'app' }, spec: { tags: over } }))
    const strangers = many(10_000, (i) => ({ name: `t${i}`, from: { kind: 'ImageStreamTag', name: `none${i}:x` } }))
    await refused(() => asAdmin('POST', streams, { metadata: { name: 'app' }, spec: { tags: strangers } }))
    const twice = await asAdmin('POST', streams, {
      metadata: { name: 'app' },
      spec: { tags: many(10_000, (i) => ({ name: 'same', annotations: { n: String(i) } })) },
    })
    expect(twice).toMatchObject({
      status: 201,
      body: { spec: { tags: [{ name: 'same', annotations: { n: '9999' } }] } },
    })
  })

  test('of 3 MB are refused where an object is none so large', async () => {
    const { refused, asAdmin, patch, source } = await hostileWorld()
    await asAdmin('POST', streams, { metadata: { name: 'app' } })
    const text = 'x'.repeat(3_000_000)
    const annotations = { a: text }
    await refused(() => asAdmin('POST', streams, { metadata: { name: 'new', annotations } }))
    await refused(() => patch('merge', `${streams}/app`, { metadata: { annotations } }))
    await refused(() => patch('strategic', `${streams}/app`, { spec: { tags: [{ name: 'a', annotations }] } }))
    await refused(() =>
      asAdmin('PUT', `${tags}/app:prod`, { metadata: { name: 'app:prod', annotations }, tag: { from: source } }),
    )
    await refused(() => asAdmin('POST', streams, { metadata: { name: 'new' }, spec: { dockerImageRepository: text } }))
    await refused(() => asAdmin('POST', imports, importOf(text, 'prod')))
    await refused(() => asAdmin('POST', imports, importOf('quay.io/a/b:c', 'prod', text)))
    await refused(() =>
      asAdmin('PUT', `${tags}/app:prod`, { metadata: {}, tag: { from: { kind: 'DockerImage', name: text } } }),
    )
    await refused(() => asAdmin('PUT', `${tags}/app:prod`, { metadata: {}, tag: { from: { kind: text, name: 'x' } } }))
    await refused(() =>
      asAdmin('PUT', `${tags}/app:prod`, {
        metadata: {},
        tag: { from: { kind: 'ImageStreamTag', name: 'x', namespace: text } },
      }),
    )
    await refused(() =>
      asAdmin('POST', mappings, { metadata: { name: 'base' }, image: { metadata: { name: text } }, tag: 'x' }),
    )
    // What is ignored may be large.
    const ignored = { metadata: { name: 'app:prod' }, tag: { from: source }, image: { dockerImageManifest: text } }
    expect((await asAdmin('PUT', `${tags}/app:prod`, ignored)).status).toBe(201)
  })

  test('that nest deeply are refused', async () => {
    const { refused, send, adminToken } = await hostileWorld()
    for (const [open, close] of [
      ['{"a":', '}'],
      ['[', ']'],
    ] as const) {
      for (const depth of [200, 100_000]) {
        const deep = `${open.repeat(depth)}1${close.repeat(depth)}`
        for (const body of [
          `{"metadata":{"name":"app"},"spec":${deep}}`,
          `{"metadata":{"name":"app","annotations":${deep}}}`,
          `{"metadata":{"name":"app"},"x":${deep}}`,
        ]) {
          await refused(() => send('POST', streams, { token: adminToken, body }))
          const headers = { 'content-type': 'application/merge-patch+json' }
          await refused(() => send('PATCH', `${streams}/base`, { token: adminToken, body, headers }))
        }
      }
    }
  })
})

describe('keys of prototypes', () => {
  test.each(['__proto__', 'constructor', 'prototype', 'toString'])('do nothing but what they say: %s', async (key) => {
    const { send, adminToken, asAdmin, patch } = await hostileWorld()
    const put = (body: string, type = 'application/json', method = 'POST', path = streams) =>
      send(method, path, { token: adminToken, body, headers: { 'content-type': type } })
    const polluting = `{"${key}":{"polluted":"yes","name":"evil","local":true,"resourceVersion":"1"}}`
    const bodies = [
      `{"metadata":{"name":"s1","labels":{"${key}":"x"}}}`,
      `{"metadata":{"name":"s2","annotations":{"${key}":"x"}}}`,
      `{"metadata":{"name":"s3"},"spec":{"tags":[{"name":"t","annotations":{"${key}":"x"},"from":${polluting}}]}}`,
      `{"metadata":{"name":"s4"},"spec":${polluting}}`,
      `{"metadata":${polluting}}`,
      polluting,
    ]
    for (const body of bodies) {
      const answers = [await put(body)]
      for (const type of ['merge-patch+json', 'strategic-merge-patch+json']) {
        answers.push(await put(body.replace(/"name":"s\d",?/, ''), `application/${type}`, 'PATCH', `${streams}/base`))
      }
      for (const { status, text } of answers) {
        expect(status).toBeLessThan(500)
        expect(text).not.toContain('polluted')
      }
    }
    for (const path of [
      `/${key}/polluted`,
      `/spec/${key}/polluted`,
      `/metadata/${key}/polluted`,
      `/spec/tags/0/${key}/polluted`,
      `/metadata/labels/${key}`,
    ]) {
      expect((await patch('json', `${streams}/base`, [{ op: 'add', path, value: 'yes' }])).status).toBeLessThan(500)
    }
    for (const query of [
      `labelSelector=${key}`,
      `labelSelector=${key}%3Dx`,
      `fieldSelector=${key}%3Dx`,
      `fieldSelector=metadata.${key}%3Dx`,
    ]) {
      expect((await asAdmin('GET', `${streams}?${query}`)).status).toBeLessThan(500)
    }
    for (const name of ['polluted', 'local', 'resourceVersion']) expect(Reflect.get({}, name)).toBeUndefined()
    expect((await asAdmin('GET', `${streams}/base`)).body).toMatchObject({ spec: { lookupPolicy: { local: false } } })
  })
})

describe('versions and options that are none', () => {
  test.each(['-1', 'abc', '1.5', '1e3', '0x10', ' 1', '１', '9'.repeat(25), '999999999', '__proto__', 'null'])(
    'a resourceVersion of %j does nothing to any kind',
    async (resourceVersion) => {
      const { refused, asAdmin, patch, source, from } = await hostileWorld()
      const metadata = { resourceVersion }
      const tag = { name: 'prod', from: source }
      await refused(() =>
        asAdmin('PUT', `${streams}/base`, { metadata: { ...metadata, name: 'base', labels: { a: 'b' } }, spec: {} }),
      )
      await refused(() => asAdmin('PUT', `${streams}/base/status`, { metadata, status: {} }))
      await refused(() => asAdmin('PUT', `${tags}/base:prod`, { metadata, tag: { ...tag, annotations: { a: 'b' } } }))
      await refused(() => asAdmin('PUT', `${itags}/base:prod`, { metadata, spec: { ...tag, annotations: { a: 'b' } } }))
      await refused(() =>
        asAdmin('POST', imports, importOf(from, 'prod', 'base', { metadata: { ...metadata, name: 'base' } })),
      )
      for (const path of [`${streams}/base`, `${tags}/base:prod`, `${itags}/base:prod`]) {
        await refused(() => asAdmin('DELETE', path, { preconditions: metadata }))
        await refused(() =>
          patch('merge', path, {
            metadata: { ...metadata, annotations: { a: 'b' } },
            spec: { annotations: { a: 'b' } },
          }),
        )
        await refused(() =>
          patch('strategic', path, {
            metadata: { ...metadata, annotations: { a: 'b' } },
            spec: { annotations: { a: 'b' } },
          }),
        )
      }
    },
  )

  test.each([
    'resourceVersion=999999999',
    'resourceVersion=x',
    'limit=x',
    'limit=-1',
    'continue=%00',
    'continue=e30',
    'timeoutSeconds=x',
    'resourceVersionMatch=Some&resourceVersion=1',
    'labelSelector=%21%21',
    'labelSelector=a%20in%20(',
    'fieldSelector=spec.tags%3Dx',
    'watch=1&resourceVersion=999999999',
    'watch=1&resourceVersion=x',
    'sendInitialEvents=x',
    'dryRun=Some',
  ])('a list with %s is answered', async (query) => {
    const { asAdmin, open } = await hostileWorld()
    for (const path of [streams, tags, itags, `${imageApi}/images`]) {
      if (query.startsWith('watch')) {
        const response = await open(`${path}?${query}`)
        expect(response.status === 200 || response.status === 504 || response.status < 500).toBe(true)
        await response.body?.cancel()
        continue
      }
      const { status, body } = await asAdmin('GET', `${path}?${query}`)
      expect(status === 504 ? body.reason : status < 500).toBe(status === 504 ? 'Timeout' : true)
    }
  })
})

describe('many at once', () => {
  test.each(['strategic', 'apply'] as const)(
    '50 clients set a tag of one stream each by %s patch: all land',
    async (type) => {
      const { patch, source, stream, asAdmin } = await hostileWorld()
      await asAdmin('POST', streams, { metadata: { name: 'app' } })
      const wanted = Array.from({ length: 50 }, (_, i) => `t${100 + i}`)
      const config = { apiVersion: 'image.openshift.io/v1', kind: 'ImageStream' }
      const answers = await Promise.all(
        wanted.map((name) =>
          patch(type, `${streams}/app?fieldManager=${name}`, { ...config, spec: { tags: [{ name, from: source }] } }),
        ),
      )
      expect(answers.map(({ status }) => status)).toEqual(wanted.map(() => 200))
      const object = await stream()
      expect(tagNames(object)).toEqual(wanted)
      const shown = (object.status as { tags: { items: { image: string }[] }[] }).tags
      expect(shown.map(({ items }) => items.map(({ image }) => image))).toEqual(wanted.map(() => [v1.manifest.digest]))
    },
  )

  test('50 clients set a tag of one stream each by oc tag, which makes the stream: all land', async () => {
    const { asAdmin, source, stream } = await hostileWorld()
    const wanted = Array.from({ length: 50 }, (_, i) => `t${100 + i}`)
    const answers = await Promise.all(
      wanted.map((tag) =>
        asAdmin('PUT', `${tags}/app:${tag}`, { metadata: { name: `app:${tag}` }, tag: { name: tag, from: source } }),
      ),
    )
    expect(answers.map(({ status }) => status)).toEqual(wanted.map(() => 201))
    expect(tagNames(await stream())).toEqual(wanted)
  })

  test('50 clients replace the stream they read, again after a 409: all land', async () => {
    const { asAdmin, source, stream } = await hostileWorld()
    await asAdmin('POST', streams, { metadata: { name: 'app' } })
    const wanted = Array.from({ length: 50 }, (_, i) => `t${100 + i}`)
    const add = async (name: string): Promise<number> => {
      for (let attempt = 1; ; attempt += 1) {
        const object = await stream()
        const sent = {
          ...object,
          spec: { ...object.spec, tags: [...(object.spec.tags ?? []), { name, from: source }] },
        }
        const { status } = await asAdmin('PUT', `${streams}/app`, sent)
        expect([200, 409]).toContain(status)
        if (status === 200) return attempt
      }
    }
    await Promise.all(wanted.map(add))
    expect(tagNames(await stream()).filter((name) => wanted.includes(name))).toEqual(wanted)
  })

  test('writers of one tag by every way leave it at one of their images, its ledger and its pin of one mind', async () => {
    const { asAdmin, patch, registry, importTag, reader, pins } = await hostileWorld()
    registry.put('lib/app', v2, { tag: 'v1' })
    await importTag('prod', 'base')
    const source = (i: number) => ({
      kind: 'ImageStreamImage',
      name: `base@${(i % 2 === 0 ? v1 : v2).manifest.digest}`,
    })
    await asAdmin('PUT', `${tags}/app:prod`, { metadata: { name: 'app:prod' }, tag: { from: source(0) } })
    const ways = [
      (i: number) => asAdmin('PUT', `${tags}/app:prod`, { metadata: { name: 'app:prod' }, tag: { from: source(i) } }),
      (i: number) => patch('merge', `${itags}/app:prod`, { spec: { from: source(i) } }),
      (i: number) => patch('strategic', `${streams}/app`, { spec: { tags: [{ name: 'prod', from: source(i) }] } }),
      () => importTag('prod'),
      () => asAdmin('DELETE', `${tags}/app:prod`),
      (i: number) => asAdmin('POST', tags, { metadata: { name: 'app:prod' }, tag: { from: source(i) } }),
    ]
    const answers = await Promise.all(Array.from({ length: 36 }, (_, i) => ways[i % ways.length]?.(i)))
    for (const answer of answers) expect(answer?.status).toBeLessThan(500)
    const app = { project: 'demo', stream: 'app' }
    const [head] = await reader.ledger(app, 'prod')
    expect((await pins.pin(app, 'prod'))?.digest ?? '').toBe(head?.image)
    const revisions = (await reader.ledger(app, 'prod')).map(({ revision }) => revision)
    expect(revisions).toEqual(revisions.map((_, i) => revisions.length - i))
  })
})

describe('a stream of 5,000 tags', () => {
  test('is made by one PUT, read, listed in pages, watched, and changed in one tag', { timeout: 120_000 }, async () => {
    const { asAdmin, patch, stream, source, watch, adminToken, pins } = await hostileWorld()
    const all = Array.from({ length: 5_000 }, (_, i) => `t${10_000 + i}`)
    await asAdmin('POST', streams, { metadata: { name: 'app' } })
    const object = await stream()
    const wanted = all.map((name) => ({ name, from: source }))
    const put = await asAdmin('PUT', `${streams}/app`, {
      ...object,
      spec: { ...object.spec, tags: wanted.toReversed() },
    })
    expect(put.status).toBe(200)
    const made = await stream()
    expect(tagNames(made)).toEqual(all)
    expect(put.body).toEqual(made)
    const generations = new Set((made.spec.tags ?? []).map(({ generation }) => generation))
    expect([...generations]).toEqual([made.metadata.generation])
    const next = await watch(`${streams}?watch=1&resourceVersion=${made.metadata.resourceVersion}`, adminToken)
    const nextTag = await watch(`${tags}?watch=1&resourceVersion=${made.metadata.resourceVersion}`, adminToken)

    const [tag = ''] = all.slice(2_500)
    const note = { spec: { tags: [{ name: tag, annotations: { note: 'x' } }] } }
    const patched = wire(await patch('strategic', `${streams}/app`, note))
    const expected = made.spec.tags?.map((each) => (each.name === tag ? { ...each, annotations: { note: 'x' } } : each))
    expect(patched.spec.tags).toEqual(expected)
    expect(patched.status).toEqual(made.status)
    expect((await next())?.object).toEqual(patched)
    expect(await nextTag()).toMatchObject({
      type: 'MODIFIED',
      object: { metadata: { name: `app:${tag}`, annotations: { note: 'x' } } },
    })
    expect((await pins.pin({ project: 'demo', stream: 'app' }, tag))?.digest).toBe(v1.manifest.digest)

    const found: string[] = []
    for (let query = 'limit=700'; query !== ''; ) {
      const page = await asAdmin('GET', `${tags}?${query}`)
      expect(names(page).length).toBeLessThanOrEqual(700)
      found.push(...names(page))
      const { continue: token } = page.body.metadata as { continue?: string }
      query = token === undefined ? '' : `limit=700&continue=${token}`
    }
    expect(found).toEqual([...all.map((name) => `app:${name}`), 'base:prod'])
    const replaced = { ...patched, spec: { ...patched.spec, tags: patched.spec.tags?.slice(0, 10) } }
    expect(tagNames(wire(await asAdmin('PUT', `${streams}/app`, replaced)))).toEqual(all.slice(0, 10))
    expect(((await stream()).status as { tags: unknown[] }).tags).toHaveLength(5_000)
    expect((await asAdmin('DELETE', `${streams}/app`)).status).toBe(200)
    expect(names(await asAdmin('GET', tags))).toEqual(['base:prod'])
  })
})
