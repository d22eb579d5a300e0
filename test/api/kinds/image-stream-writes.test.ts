import { describe, expect, test } from 'vitest'
import { inDemo, invalidFields, refusal, registryHost } from '../world.ts'
import { type ImagesWorld, imagesWorld, importOf, imports, itags, streams, tags, v1, v2, wire } from './images.ts'

const cause = 'kubernetes.io/change-cause'

/** A stream `app` with the tags `dev` and `prod` at v1. */
async function appWorld() {
  const world = await imagesWorld()
  await world.importTag('dev')
  await world.importTag('prod')
  const read = async () => wire(await world.asAdmin('GET', `${streams}/app`))
  const put = (object: object, query = '') => world.asAdmin('PUT', `${streams}/app${query}`, object)
  return { ...world, read, put }
}

function statusTags(status: unknown): { tag: string; items: { image: string }[] | null }[] {
  return (status as { tags?: { tag: string; items: { image: string }[] | null }[] }).tags ?? []
}

describe('a PUT of a stream', () => {
  test('needs a resourceVersion', async () => {
    const { read, put } = await appWorld()
    const object = await read()
    delete object.metadata.resourceVersion
    expect(await put(object)).toMatchObject(invalidFields('metadata.resourceVersion'))
  })

  test('of what was read changes nothing', async () => {
    const { read, put, revision } = await appWorld()
    const object = await read()
    const before = await revision()
    expect(await put(object)).toMatchObject({ status: 200, body: object })
    expect(await revision()).toBe(before)
  })

  test('ignores what it says of status, uid, generations and times', async () => {
    const { read, put } = await appWorld()
    const object = await read()
    const sent = structuredClone(object)
    sent.status = { dockerImageRepository: 'evil.test/x', tags: [{ tag: 'dev', items: [] }] }
    sent.metadata = { ...sent.metadata, generation: 99, creationTimestamp: '2001-01-01T00:00:00Z' }
    for (const tag of sent.spec.tags ?? []) tag.generation = 77
    expect(await put(sent)).toMatchObject({ status: 200, body: object })
  })

  test('takes spec tags away that are left out, and leaves where they stand', async () => {
    const { read, put, asAdmin } = await appWorld()
    const object = await read()
    const { body } = await put({ ...object, spec: { ...object.spec, tags: object.spec.tags?.slice(0, 1) } })
    expect(body).toMatchObject({ spec: { tags: [{ name: 'dev' }] }, status: object.status as object })
    expect(await asAdmin('GET', `${tags}/app:prod`)).toMatchObject({ status: 200, body: { tag: null } })
  })

  test('of a name twice means the last', async () => {
    const { read, put } = await appWorld()
    const object = await read()
    const [dev, prod] = object.spec.tags ?? []
    const twice = [{ ...dev, annotations: { n: '1' } }, prod, { ...dev, annotations: { n: '2' } }]
    const { body } = await put({ ...object, spec: { ...object.spec, tags: twice } })
    expect(body).toMatchObject({ spec: { tags: [{ name: 'dev', annotations: { n: '2' } }, { name: 'prod' }] } })
  })

  test('conflicts with what changed of that which it changes, and with nothing else', async () => {
    const { read, put, importTag, registry } = await appWorld()
    const object = await read()
    registry.put('lib/app', v2, { tag: 'v1' })
    await importTag('dev')
    const [dev, prod] = object.spec.tags ?? []
    const noted = (tag: object | undefined) => ({ ...tag, annotations: { note: 'x' } })
    expect(await put({ ...object, spec: { ...object.spec, tags: [noted(dev), prod] } })).toMatchObject(
      refusal(409, 'Conflict', expect.stringContaining('tag "dev"')),
    )
    const answer = await put({ ...object, spec: { ...object.spec, tags: [dev, noted(prod)] } })
    expect(answer).toMatchObject({ status: 200, body: { spec: { tags: [{ annotations: null }, noted(prod)] } } })
    expect(statusTags(answer.body.status)[0]?.items?.[0]?.image).toBe(v2.manifest.digest)
  })

  test.each([
    ['of the future', '999999', 409],
    ['that is none', 'yesterday', 400],
    ['that is huge', '9'.repeat(400), 400],
    ['that is negative', '-1', 400],
  ])('with a resourceVersion %s is refused', async (_, resourceVersion, status) => {
    const { read, put, revision } = await appWorld()
    const object = await read()
    const before = await revision()
    const metadata = { ...object.metadata, resourceVersion, labels: { a: 'b' } }
    expect(await put({ ...object, metadata })).toMatchObject({ status, body: { kind: 'Status' } })
    expect(await revision()).toBe(before)
  })

  test('of a stream that is not there, or of another name, is refused', async () => {
    const { read, put, asAdmin } = await appWorld()
    const object = await read()
    expect(
      await asAdmin('PUT', `${streams}/gone`, { ...object, metadata: { ...object.metadata, name: 'gone' } }),
    ).toMatchObject(
      refusal(404, 'NotFound', expect.stringContaining('imagestreams.image.openshift.io "gone" not found')),
    )
    expect(await put({ ...object, metadata: { ...object.metadata, name: 'other' } })).toMatchObject(
      refusal(400, 'BadRequest'),
    )
    expect(await put({ ...object, metadata: { ...object.metadata, uid: 'another' } })).toMatchObject(
      refusal(409, 'Conflict'),
    )
  })
})

describe('a stream', () => {
  test('has the fields that are always there, and none that is empty besides', async () => {
    const { asAdmin, registry } = await imagesWorld()
    const from = { kind: 'DockerImage', name: `${registry.host}/lib/app:v1` }
    await asAdmin('POST', streams, {
      metadata: { name: 'app' },
      spec: { tags: [{ name: 'ref', from, reference: true }, { name: 'pushed' }] },
    })
    await asAdmin('POST', imports, importOf(`${registry.host}/lib/none:v1`, 'failed'))
    const { body } = await asAdmin('GET', `${streams}/app`)
    const policies = { importPolicy: {}, referencePolicy: { type: 'Local' } }
    expect(body.spec).toEqual({
      lookupPolicy: { local: false },
      tags: [
        {
          name: 'failed',
          annotations: null,
          from: { kind: 'DockerImage', name: `${registry.host}/lib/none:v1` },
          generation: 2,
          ...policies,
        },
        { name: 'pushed', annotations: null, generation: 1, ...policies },
        { name: 'ref', annotations: null, from, reference: true, generation: 1, ...policies },
      ],
    })
    expect(body.status).toEqual({
      dockerImageRepository: `${registryHost}/demo/app`,
      publicDockerImageRepository: `${registryHost}/demo/app`,
      tags: [
        {
          tag: 'failed',
          items: null,
          conditions: [expect.objectContaining({ type: 'ImportSuccess', status: 'False' })],
        },
        {
          tag: 'ref',
          items: [{ created: '2026-01-01T00:00:00Z', dockerImageReference: from.name, image: '', generation: 1 }],
        },
      ],
    })
    const pushed = await asAdmin('GET', `${itags}/app:pushed`)
    expect(pushed.body).toMatchObject({ spec: { name: 'pushed' }, status: null, image: null })
  })

  test('of the largest sort is not too long for its name with its project', async () => {
    const { asAdmin } = await imagesWorld()
    for (const [length, status] of [
      [250, 201],
      [251, 422],
    ] as const) {
      expect((await asAdmin('POST', streams, { metadata: { name: 'a'.repeat(length) } })).status).toBe(status)
    }
  })

  test('may not be made with a resourceVersion', async () => {
    const { asAdmin } = await imagesWorld()
    expect(await asAdmin('POST', streams, { metadata: { name: 'app', resourceVersion: '1' } })).toMatchObject(
      refusal(400, 'BadRequest'),
    )
  })
})

describe('the change-cause of a stream', () => {
  const reasonOf = async ({ reader }: ImagesWorld, tag = 'next') => {
    const [entry] = await reader.ledger({ project: 'demo', stream: 'app' }, tag)
    return entry?.cause.reason
  }
  const at = (image: string) => ({ kind: 'ImageStreamImage', name: `app@${image}` })
  async function causeWorld() {
    const world = await appWorld()
    world.registry.put('lib/app', v2, { tag: 'v1' })
    await world.importTag('new')
    const patch = (body: object) => world.patch('strategic', `${streams}/app`, body)
    return { ...world, change: patch }
  }

  test('is the reason of the write that brings it, and stays its annotation as kubectl expects', async () => {
    const world = await causeWorld()
    const { body } = await world.change({
      metadata: { annotations: { [cause]: 'release 5' } },
      spec: { tags: [{ name: 'next', from: at(v1.manifest.digest) }] },
    })
    expect(body).toMatchObject({ metadata: { annotations: { [cause]: 'release 5' } } })
    expect(await reasonOf(world)).toBe('release 5')
  })

  test('is not the reason of what others do later', async () => {
    const world = await causeWorld()
    await world.change({ metadata: { annotations: { [cause]: 'release 5' } } })
    await world.change({ spec: { tags: [{ name: 'next', from: at(v1.manifest.digest) }] } })
    expect(await reasonOf(world)).toBeUndefined()
    const object = await world.read()
    const moved = object.spec.tags?.map((tag) => (tag.name === 'next' ? { ...tag, from: at(v2.manifest.digest) } : tag))
    await world.put({ ...object, spec: { ...object.spec, tags: moved } })
    expect(await reasonOf(world)).toBeUndefined()
    await world.put({
      ...(await world.read()),
      metadata: { ...(await world.read()).metadata, annotations: { [cause]: 'release 6' } },
    })
    await world.patch('merge', `${itags}/app:next`, { spec: { from: at(v1.manifest.digest) } })
    expect(await reasonOf(world)).toBeUndefined()
  })

  test('of a stream that is made is the reason of its tags', async () => {
    const world = await causeWorld()
    await world.asAdmin('POST', streams, {
      metadata: { name: 'other', annotations: { [cause]: 'first' } },
      spec: { tags: [{ name: 'next', from: { kind: 'ImageStreamTag', name: 'app:prod' } }] },
    })
    const [entry] = await world.reader.ledger({ project: 'demo', stream: 'other' }, 'next')
    expect(entry?.cause.reason).toBe('first')
  })
})

describe('sources within a stream', () => {
  const tag = (name: string, from: string) => ({ name, from: { kind: 'ImageStreamTag', name: from } })
  test.each([
    ['itself', [tag('a', 'a')]],
    ['itself by its whole name', [tag('a', 'app:a')]],
    ['one another', [tag('a', 'b'), tag('b', 'a')]],
    ['one another around', [tag('a', 'b'), tag('b', 'c'), tag('c', 'app:d'), tag('d', 'a')]],
  ])('may not be of %s', async (_, list) => {
    const { asAdmin, revision } = await imagesWorld()
    const before = await revision()
    const answer = await asAdmin('POST', streams, { metadata: { name: 'app' }, spec: { tags: list } })
    expect(answer).toMatchObject({ status: 422, body: { kind: 'Status', reason: 'Invalid' } })
    const { causes } = answer.body.details as { causes: { field: string }[] }
    for (const { field } of causes) expect(field).toMatch(/^spec\.tags\[[a-d]\]\.from\.name$/)
    expect(await revision()).toBe(before)
  })

  test('may be followed by 24 tags and no more, all of which move with it', async () => {
    const { asAdmin, importTag, registry, patch } = await imagesWorld()
    await importTag('main')
    const follower = (i: number) => tag(`f${String(i).padStart(2, '0')}`, 'main')
    const many = (count: number) => ({ spec: { tags: Array.from({ length: count }, (_, i) => follower(i)) } })
    const answer = await patch('strategic', `${streams}/app`, many(25))
    expect(answer).toMatchObject({ status: 422, body: { kind: 'Status', reason: 'Invalid' } })
    expect(statusTags((await asAdmin('GET', `${streams}/app`)).body.status)).toHaveLength(1)
    expect((await patch('strategic', `${streams}/app`, many(24))).status).toBe(200)
    registry.put('lib/app', v2, { tag: 'v1' })
    await importTag('main')
    const shown = statusTags((await asAdmin('GET', `${streams}/app`)).body.status)
    expect(shown.map(({ items }) => items?.[0]?.image)).toEqual(Array(25).fill(v2.manifest.digest))
    expect(
      (await asAdmin('PUT', `${tags}/app:one-more`, { metadata: { name: 'app:one-more' }, tag: tag('', 'main') }))
        .status,
    ).toBe(422)
    expect((await asAdmin('GET', `${itags}/app:one-more`)).status).toBe(404)
  })
})

test('streams are in the category "all" and short, as oc expects', async () => {
  const { asAdmin } = await imagesWorld()
  const { body } = await asAdmin('GET', '/apis/image.openshift.io/v1')
  expect(body.resources).toContainEqual(
    expect.objectContaining({ name: 'imagestreams', shortNames: ['is'], categories: ['all'], namespaced: true }),
  )
  expect((await asAdmin('GET', `/api/v1/${inDemo}/imagestreams`)).status).toBe(404)
})
