/** The behavioural vectors of okd.md 8.3, as DESIGN reads them, over the API. */
import { describe, expect, test } from 'vitest'
import { readAll } from '../../src/content/reader.ts'
import { makeImage, makeIndex } from '../support/images.ts'
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
  versionOf,
  wire,
} from './kinds/images.ts'
import { type Answered, imageApi, invalidFields, rbacApi, refusal, registryHost } from './world.ts'

const [d1, d2] = [v1.manifest.digest, v2.manifest.digest]
const app = { project: 'demo', stream: 'app' }

interface Item {
  created: string
  dockerImageReference: string
  image: string
  generation: number
}

interface StatusTag {
  tag: string
  items: Item[] | null
  conditions?: { reason: string; generation: number; lastTransitionTime: string }[]
}

async function vectorsWorld() {
  const world = await imagesWorld()
  const { asAdmin, registry } = world
  const stream = async () => wire(await asAdmin('GET', `${streams}/app`))
  const statusOf = async (tag = 'prod') => {
    const { tags: all = [] } = (await stream()).status as { tags?: StatusTag[] }
    return all.find((each) => each.tag === tag)
  }
  const items = async (tag?: string) => (await statusOf(tag))?.items ?? []
  /** The upstream moves, then `prod` is imported. */
  const importFrom = async (image: typeof v1, tag = 'prod') => {
    world.clock.advance(1_000)
    registry.put('lib/app', image, { tag: 'v1' })
    return world.importTag(tag)
  }
  /** As `oc tag`: a PUT without resourceVersion. */
  const setTag = (name: string, from: object, more: object = {}, metadata: object = {}) =>
    asAdmin('PUT', `${tags}/${name}`, {
      kind: 'ImageStreamTag',
      apiVersion: 'image.openshift.io/v1',
      metadata: { name, namespace: 'demo', ...metadata },
      tag: { name: name.split(':')[1], from, ...more },
    })
  const headOf = async (name: string) =>
    ((await asAdmin('GET', `${tags}/${name}`)).body.image as { metadata: { name: string } } | undefined)?.metadata.name
  const pulled = async (reference: string, name = app) =>
    (await world.pullThrough.manifest(name, reference, { head: false })).digest
  return { ...world, stream, statusOf, items, importFrom, setTag, headOf, pulled }
}

const docker = (name: string) => ({ kind: 'DockerImage', name })
const causesOf = ({ body }: Answered) =>
  (body.details as { causes: { field: string; reason: string; message: string }[] }).causes
const generationOf = ({ metadata }: { metadata: Record<string, unknown> }) => metadata.generation as number

describe('okd.md 8.3', () => {
  test('1: v1, v2 and v1 again are three items of growing generation, the newest first', async () => {
    const { importFrom, items } = await vectorsWorld()
    for (const image of [v1, v2, v1]) await importFrom(image)
    const found = await items()
    expect(found.map(({ image }) => image)).toEqual([d1, d2, d1])
    const generations = found.map(({ generation }) => generation)
    expect(generations).toEqual(generations.toSorted((a, b) => b - a))
    expect(new Set(generations).size).toBe(3)
    expect(found.map(({ created }) => created)).toEqual(
      found
        .map(({ created }) => created)
        .toSorted()
        .toReversed(),
    )
  })

  test('2: the same digest again writes nothing', async () => {
    const { importFrom, revision, stream } = await vectorsWorld()
    await importFrom(v1)
    const [before, object] = [await revision(), await stream()]
    const answer = await importFrom(v1)
    expect(answer.body.status).toMatchObject({ images: [{ status: { status: 'Success' } }] })
    expect(await revision()).toBe(before)
    expect(await stream()).toEqual(object)
  })

  test('3: after generation 0 the same digest raises the head’s generation, and nothing else of it', async () => {
    const { importFrom, items, patch, stream } = await vectorsWorld()
    await importFrom(v1)
    const [before] = await items()
    const asked = await patch('strategic', `${streams}/app`, { spec: { tags: [{ name: 'prod', generation: 0 }] } })
    const generation = generationOf(wire(asked))
    expect(wire(asked).spec.tags).toMatchObject([{ generation }])
    expect(generation).toBeGreaterThan(before?.generation ?? 0)
    await importFrom(v1)
    const after = await items()
    expect(after).toEqual([{ ...before, generation: expect.any(Number) }])
    expect(after[0]?.generation).toBe((await stream()).spec.tags?.[0]?.generation)
    expect(after[0]?.generation).toBeGreaterThanOrEqual(generation)
  })

  test('4: the same digest from elsewhere replaces the reference of the head', async () => {
    const { importFrom, items, registry, asAdmin } = await vectorsWorld()
    await importFrom(v1)
    const before = await items()
    registry.put('mirror/app', v1, { tag: 'v1' })
    await asAdmin('POST', imports, importOf(`${registry.host}/mirror/app:v1`, 'prod'))
    expect(await items()).toEqual([
      { ...before[0], dockerImageReference: `${registry.host}/mirror/app@${d1}`, generation: expect.any(Number) },
    ])
  })

  test('5: a failure is a condition, the pin stays, the same again writes nothing, a success clears it', async () => {
    const { importFrom, importTag, statusOf, registry, stream, revision, pulled, clock } = await vectorsWorld()
    await importFrom(v1)
    const before = await statusOf()
    registry.untag('lib/app', 'v1')
    const failed = await importTag('prod')
    expect(failed).toMatchObject({ status: 201, body: { status: { images: [{ status: { reason: 'NotFound' } }] } } })
    const after = await statusOf()
    expect(after?.items).toEqual(before?.items)
    expect(after?.conditions).toMatchObject([{ reason: 'NotFound', generation: generationOf(await stream()) }])
    expect(await pulled('prod')).toBe(d1)
    clock.advance(60_000)
    const seen = await revision()
    await importTag('prod')
    expect(await revision()).toBe(seen)
    await importFrom(v2)
    expect(await statusOf()).not.toHaveProperty('conditions')
    expect(await pulled('prod')).toBe(d2)
  })

  test('6: a reference has one item without an image, is no istag, and changes in place', async () => {
    const { setTag, items, asAdmin, registry } = await vectorsWorld()
    for (const name of [`${registry.host}/lib/app:v1`, `${registry.host}/lib/app:v2`]) {
      await setTag('app:ref', docker(name), { reference: true })
      expect(await items('ref')).toMatchObject([{ image: '', dockerImageReference: name }])
    }
    expect((await asAdmin('GET', `${tags}/app:ref`)).status).toBe(404)
    expect(await asAdmin('GET', `${itags}/app:ref`)).toMatchObject({ status: 200, body: { image: null } })
    expect(registry.requests).toEqual([])
  })

  test('7: a promotion stands still when its source moves, an alias in the stream follows, also a push', async () => {
    const { importFrom, setTag, headOf, asAdmin } = await vectorsWorld()
    await importFrom(v1)
    await setTag('copy:y', { kind: 'ImageStreamImage', name: `app@${d1}` })
    await setTag('live:y', { kind: 'ImageStreamTag', name: 'app:prod' })
    await setTag('app:alias', { kind: 'ImageStreamTag', name: 'app:prod' })
    await importFrom(v2)
    expect([await headOf('copy:y'), await headOf('live:y'), await headOf('app:alias')]).toEqual([d1, d1, d2])
    const image = { metadata: { name: d1 }, dockerImageReference: `${registryHost}/demo/app@${d1}` }
    await asAdmin('POST', mappings, { metadata: { name: 'app' }, image, tag: 'prod' })
    expect([await headOf('app:prod'), await headOf('app:alias')]).toEqual([d1, d1])
  })

  test('8: oc tag -d takes spec and status, a PUT without the tag takes the spec alone', async () => {
    const { importFrom, asAdmin, stream, statusOf, headOf, reader } = await vectorsWorld()
    await importFrom(v1)
    await importFrom(v1, 'other')
    const object = await stream()
    await asAdmin('PUT', `${streams}/app`, { ...object, spec: { ...object.spec, tags: [] } })
    expect((await stream()).spec).not.toHaveProperty('tags')
    expect((await statusOf())?.items).toHaveLength(1)
    expect(await headOf('app:prod')).toBe(d1)
    expect((await asAdmin('DELETE', `${tags}/app:prod`)).status).toBe(200)
    expect(await statusOf()).toBeUndefined()
    expect((await asAdmin('GET', `${itags}/app:prod`)).status).toBe(404)
    // Weir's ledger keeps what OKD forgets.
    expect(await reader.ledger(app, 'prod')).toHaveLength(2)
  })

  test('9: an istag PUT with a stale version is 409, without one it lands, with one for a missing stream 404', async () => {
    const { importFrom, setTag, asAdmin } = await vectorsWorld()
    await importFrom(v1)
    const resourceVersion = versionOf(await asAdmin('GET', `${tags}/app:prod`))
    await importFrom(v2)
    const source = { kind: 'ImageStreamImage', name: `app@${d1}` }
    expect(await setTag('app:prod', source, {}, { resourceVersion })).toMatchObject(refusal(409, 'Conflict'))
    expect(await setTag('gone:prod', source, {}, { resourceVersion })).toMatchObject(refusal(404, 'NotFound'))
    expect(await setTag('app:prod', source)).toMatchObject({ status: 200, body: { image: { metadata: { name: d1 } } } })
    // Read per tag, as DESIGN has it: the stream's version moved on, this tag's did not.
    const seen = versionOf(await asAdmin('GET', `${tags}/app:prod`))
    await importFrom(v2, 'other')
    expect((await setTag('app:prod', source, { annotations: { a: 'b' } }, { resourceVersion: seen })).status).toBe(200)
  })

  test.each([
    ['istag', tags, (name: string, from: object) => ({ metadata: { name }, tag: { from } })],
    ['itag', itags, (name: string, from: object) => ({ metadata: { name }, spec: { name: 'prod', from } })],
  ])('10: an %s that is made twice is 409 AlreadyExists', async (_, path, make) => {
    const { importFrom, asAdmin } = await vectorsWorld()
    await importFrom(v1, 'base')
    const body = make('app:prod', { kind: 'ImageStreamTag', name: 'base' })
    expect((await asAdmin('POST', path, body)).status).toBe(201)
    expect(await asAdmin('POST', path, body)).toMatchObject(refusal(409, 'AlreadyExists'))
  })

  test.each(['ImageStreamTag', 'ImageStreamImage'])('11: a schedule on an %s is 422', async (kind) => {
    const { importFrom, setTag, asAdmin } = await vectorsWorld()
    await importFrom(v1)
    const from = { kind, name: kind === 'ImageStreamTag' ? 'app:prod' : `app@${d1}` }
    const importPolicy = { scheduled: true }
    const answer = await setTag('app:next', from, { importPolicy })
    expect(answer).toMatchObject(invalidFields('tag.importPolicy.scheduled'))
    expect(causesOf(answer)[0]?.message).toContain('only tags pointing to Docker repositories may be scheduled')
    const whole = { metadata: { name: 'other' }, spec: { tags: [{ name: 'next', from, importPolicy }] } }
    expect(await asAdmin('POST', streams, whole)).toMatchObject({ status: 422 })
  })

  test.each(['bad_Name', 'Foo', 'a'.repeat(251), '.', '..', 'a/b', 'a%b', '', 'a__b_', 'bearer'])(
    '12: a stream can not be named %j',
    async (name) => {
      const { asAdmin, setTag, from, stream } = await vectorsWorld()
      expect(await asAdmin('POST', streams, { metadata: { name } })).toMatchObject(invalidFields('metadata.name'))
      expect(await asAdmin('POST', imports, importOf(from, 'prod', name))).toMatchObject(invalidFields('metadata.name'))
      if (!/[/%.]/.test(name) && name !== '') {
        expect(await setTag(`${name}:prod`, docker(from))).toMatchObject(invalidFields('metadata.name'))
      }
      expect((await stream()).kind).toBe('Status')
    },
  )

  test('13: a digest that the stream has not is unknown to pulls, a child of its index is not', async () => {
    const { importFrom, importTag, registry, asAdmin, pulled } = await vectorsWorld()
    await importFrom(v1)
    registry.put('lib/app', v2, { tag: 'v1' })
    await importTag('prod', 'other')
    await expect(pulled(d2)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN', status: 404 })
    const index = makeIndex('multi')
    registry.put('lib/multi', index, { tag: 'v1' })
    await asAdmin('POST', imports, importOf(`${registry.host}/lib/multi:v1`, 'multi'))
    const child = index.children[1]?.manifest.digest ?? ''
    expect(await pulled(child)).toBe(child)
    expect(await asAdmin('GET', `${isimages}/app@${child}`)).toMatchObject({ status: 200 })
  })

  test('14: a blob of another stream is unknown to pulls, also when its bytes are here', async () => {
    const { importFrom, importTag, registry, pullThrough } = await vectorsWorld()
    await importFrom(v1)
    registry.put('lib/app', v2, { tag: 'v1' })
    await importTag('prod', 'other')
    const blob = v2.layers[0]?.digest ?? ''
    // Read to its end, so that it is kept.
    await readAll(await pullThrough.blob({ project: 'demo', stream: 'other' }, blob))
    await expect(pullThrough.blob(app, blob)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN', status: 404 })
  })

  test('15: a source in a project where the caller may not pull is 422 with a Forbidden cause', async () => {
    const { importFrom, asAdmin, send, robot, objects } = await vectorsWorld()
    await importFrom(v1)
    await asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
    const token = await robot('dev', undefined, 'other')
    await asAdmin('POST', `${rbacApi}/namespaces/other/rolebindings`, {
      metadata: { name: 'dev' },
      subjects: [{ kind: 'ServiceAccount', name: 'dev', namespace: 'other' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
    })
    const path = `${imageApi}/namespaces/other/imagestreamtags/copy:prod`
    const copy = (name: string, kind = 'ImageStreamTag') =>
      send('PUT', path, {
        token,
        body: { metadata: { name: 'copy:prod' }, tag: { from: { kind, name, namespace: 'demo' } } },
      })
    const sources: [string, string][] = [
      ['app:prod', 'ImageStreamTag'],
      ['app:gone', 'ImageStreamTag'],
      ['gone:prod', 'ImageStreamTag'],
      [`app@${d1}`, 'ImageStreamImage'],
      [`app@sha256:${'0'.repeat(64)}`, 'ImageStreamImage'],
    ]
    const answers: Answered[] = []
    for (const source of sources) answers.push(await copy(...source))
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 422, body: { reason: 'Invalid' } })
      expect(causesOf(answer)).toMatchObject([{ field: 'tag.from.name', reason: 'FieldValueForbidden' }])
    }
    // What is there and what is not is told alike.
    const told = answers.map(({ text }, i) =>
      text.replaceAll(sources[i]?.[0] ?? '', 'X').replaceAll('stream "gone"', 'stream "app"'),
    )
    expect(told.map((text) => text.replaceAll('demo/gone', 'demo/app'))).toEqual(told.map(() => told[0]))
    expect((await asAdmin('GET', `${imageApi}/namespaces/other/imagestreams`)).body.items).toEqual([])
    expect(await objects.get('rolebindings', 'other', 'dev')).toBeDefined()
  })

  test('16: whoever is not logged in sees what is open to him, and a login takes nothing of it away', async () => {
    const { importFrom, asAdmin, send, robot } = await vectorsWorld()
    await importFrom(v1)
    const token = await robot('stranger')
    const layers = `${streams}/app/layers`
    expect([(await send('GET', layers)).status, (await send('GET', layers, { token })).status]).toEqual([403, 403])
    await asAdmin('POST', `${rbacApi}/namespaces/demo/rolebindings`, {
      metadata: { name: 'open' },
      subjects: [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'system:unauthenticated' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
    })
    expect([(await send('GET', layers)).status, (await send('GET', layers, { token })).status]).toEqual([200, 200])
    expect((await send('GET', `${tags}/app:prod`)).status).toBe(403)
  })

  test('17: an import from a stale version is 409 with nothing moved, and one that only looks writes nothing', async () => {
    const { importFrom, asAdmin, registry, revision, headOf, stream } = await vectorsWorld()
    await importFrom(v1, 'a')
    await importFrom(v1, 'b')
    const resourceVersion = versionOf(await asAdmin('GET', `${streams}/app`))
    await importFrom(v2, 'b')
    const from = docker(`${registry.host}/lib/app:v1`)
    const send = (spec: object, query = '') =>
      asAdmin('POST', `${imports}${query}`, { metadata: { name: 'app', resourceVersion }, spec })
    const both = { images: ['a', 'b'].map((name) => ({ from, to: { name } })) }
    const repository = { repository: { from: docker(`${registry.host}/lib/app`) } }
    registry.put('lib/app', makeImage('v3'), { tag: 'v1' })
    registry.put('lib/app', v1, { tag: 'b' })
    const before = await revision()
    registry.requests.splice(0)
    for (const spec of [both, { images: both.images.toReversed() }, { ...both, ...repository }]) {
      expect(await send({ import: true, ...spec })).toMatchObject(
        refusal(409, 'Conflict', expect.stringContaining('"b"')),
      )
      expect(await send({ import: false, ...spec })).toMatchObject(refusal(409, 'Conflict'))
    }
    expect(registry.requests).toEqual([])
    expect(await send({ import: true, ...repository })).toMatchObject(refusal(409, 'Conflict'))
    expect(await revision()).toBe(before)
    expect([await headOf('app:a'), await headOf('app:b')]).toEqual([d1, d2])
    const look = await asAdmin('POST', imports, { metadata: { name: 'app' }, spec: { import: false, ...both } })
    expect(look).toMatchObject({ status: 201, body: { status: { images: [{ tag: 'a' }, { tag: 'b' }] } } })
    expect(look.body.status).not.toHaveProperty('import')
    expect(await revision()).toBe(before)
    // Read per tag: `a` was not changed after that version.
    expect((await send({ import: true, images: both.images.slice(0, 1) })).status).toBe(201)
    expect((await stream()).kind).toBe('ImageStream')
  })

  test('18: a repository of 60 tags imports 50 in OKD’s order and names the other ten', async () => {
    const { asAdmin, registry, stream } = await vectorsWorld()
    const minor = Array.from({ length: 12 }, (_, i) => `5.${i}`)
    const full = Array.from({ length: 20 }, (_, i) => `5.1.${i}`)
    const others = Array.from({ length: 27 }, (_, i) => `nightly-${String(i).padStart(2, '0')}`)
    const listed = [...others, ...full, ...minor, 'latest']
    for (const tag of listed) registry.put('lib/many', v1, { tag })
    const from = docker(`${registry.host}/lib/many`)
    const answer = await asAdmin('POST', imports, {
      metadata: { name: 'app' },
      spec: { import: true, repository: { from } },
    })
    const { repository } = answer.body.status as {
      repository: { status: object; images: { tag: string }[]; additionalTags: string[] }
    }
    const order = ['latest', ...minor.toReversed(), ...full.toReversed(), ...others]
    expect(repository.status).toMatchObject({ status: 'Success' })
    expect(repository.images.map(({ tag }) => tag)).toEqual(order.slice(0, 50))
    expect(repository.additionalTags).toEqual(order.slice(50))
    expect(repository.additionalTags).toHaveLength(10)
    expect((await stream()).spec.tags).toHaveLength(50)
  })

  test('19: a strategic patch of one tag leaves the others, and $patch: delete removes', async () => {
    const { importFrom, patch, stream } = await vectorsWorld()
    for (const tag of ['a', 'b', 'c']) await importFrom(v1, tag)
    const before = (await stream()).spec.tags ?? []
    const oc = (list: object[], order: string[]) => ({
      spec: { '$setElementOrder/tags': order.map((name) => ({ name })), tags: list },
    })
    await patch('strategic', `${streams}/app`, oc([{ name: 'b', annotations: { n: '1' } }], ['a', 'b', 'c']))
    expect((await stream()).spec.tags).toEqual(
      before.map((tag) => (tag.name === 'b' ? { ...tag, annotations: { n: '1' } } : tag)),
    )
    await patch('strategic', `${streams}/app`, oc([{ $patch: 'delete', name: 'b' }], ['a', 'c']))
    expect((await stream()).spec.tags).toEqual(before.filter(({ name }) => name !== 'b'))
  })

  test('20: a registry that is not allowed may stay where it was, and is refused where it is new', async () => {
    const { writer, stream, asAdmin, patch, setTag } = await vectorsWorld()
    await writer.create(app)
    const evil = docker('evil.example/lib/app:v1')
    const spec = {
      name: 'old',
      annotations: null,
      from: evil,
      importPolicy: {},
      referencePolicy: { type: 'Local' },
    } as const
    await writer.changeTag(app, 'old', () => ({ spec: spec as never }))
    const object = await stream()
    const noted = { ...object, metadata: { ...object.metadata, labels: { a: 'b' } } }
    expect((await asAdmin('PUT', `${streams}/app`, noted)).status).toBe(200)
    const keep = { spec: { tags: [{ name: 'old', annotations: { n: '1' } }] } }
    expect((await patch('strategic', `${streams}/app`, keep)).status).toBe(200)
    for (const answer of [
      await patch('strategic', `${streams}/app`, { spec: { tags: [{ name: 'new', from: evil }] } }),
      await setTag('app:new', evil),
      await patch('merge', `${streams}/app`, { spec: { dockerImageRepository: 'evil.example/lib/app' } }),
    ]) {
      expect(answer).toMatchObject({ status: 422, body: { reason: 'Invalid' } })
      expect(causesOf(answer)).toMatchObject([
        { reason: 'FieldValueForbidden', message: expect.stringContaining('evil.example') },
      ])
    }
    const imported = await asAdmin('POST', imports, importOf('evil.example/lib/app:v1', 'new'))
    expect(imported.body.status).toMatchObject({ images: [{ status: { code: 403 } }] })
  })

  test('22: an image is found by a beginning of its digest, 404 when there is none, 409 when there are several', async () => {
    const { importFrom, asAdmin, registry } = await vectorsWorld()
    await importFrom(v1)
    const read = async (id: string) => (await asAdmin('GET', `${isimages}/app@${id}`)).status
    expect(await read(d1.slice(7, 15))).toBe(200)
    const firsts = new Set([d1[7]])
    for (let i = 0; firsts.size === i + 1; i += 1) {
      const image = makeImage(`more ${i}`)
      registry.put('lib/app', image, { tag: 'v1' })
      await asAdmin('POST', imports, importOf(`${registry.host}/lib/app:v1`, `t${i}`))
      const first = image.manifest.digest[7] ?? ''
      if (firsts.has(first)) {
        expect(await read(first)).toBe(409)
        break
      }
      firsts.add(first)
    }
    const free = [...'0123456789abcdef'].find((digit) => !firsts.has(digit)) ?? ''
    expect(await read(free)).toBe(404)
  })

  test('23: what is hidden of a tag is never where it stands', async () => {
    const { importFrom, stream, asAdmin, headOf, pulled } = await vectorsWorld()
    for (const image of [v1, v2]) await importFrom(image)
    const object = await stream()
    const hidden = (items: unknown[]) => ({
      ...object,
      status: { ...(object.status as object), tags: [{ tag: 'prod', items }] },
    })
    const items = (object.status as { tags: StatusTag[] }).tags[0]?.items ?? []
    expect((await asAdmin('PUT', `${streams}/app/status`, hidden([]))).status).toBe(422)
    expect((await asAdmin('PUT', `${streams}/app/status`, hidden(items.slice(1)))).status).toBe(422)
    expect((await asAdmin('PUT', `${streams}/app/status`, hidden(items.slice(0, 1)))).status).toBe(200)
    expect([await headOf('app:prod'), await pulled('prod'), await pulled(d1)]).toEqual([d2, d2, d1])
  })

  test('24: oc set image-lookup adds one to the stream’s generation, and changes no tag’s', async () => {
    const { importFrom, send, adminToken, stream } = await vectorsWorld()
    for (const tag of ['a', 'b']) await importFrom(v1, tag)
    const before = await stream()
    const answer = await send('PATCH', `${streams}/app?fieldManager=kubectl-set`, {
      token: adminToken,
      body: { spec: { lookupPolicy: { local: true } } },
      headers: { 'content-type': 'application/strategic-merge-patch+json' },
    })
    expect(answer.status).toBe(200)
    const after = await stream()
    expect(generationOf(after)).toBe(generationOf(before) + 1)
    expect(after.spec).toEqual({ ...before.spec, lookupPolicy: { local: true } })
    expect(after.status).toEqual(before.status)
  })
})
