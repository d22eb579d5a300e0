import { describe, expect, test } from 'vitest'
import { imageApi, inDemo, invalidFields, refusal, weirApi } from '../world.ts'
import {
  type ImagesWorld,
  imagesWorld,
  itags,
  streams,
  tags,
  v1,
  v2,
  versionOf,
  wire,
  withoutContent,
} from './images.ts'

const cause = 'kubernetes.io/change-cause'
const one = v1.manifest.digest
const two = v2.manifest.digest

/** A stream `base` with the images v1 and v2, and sources that are in it. */
async function writesWorld() {
  const world = await imagesWorld()
  await world.importTag('v1', 'base')
  world.registry.put('lib/app', v2, { tag: 'v1' })
  await world.importTag('v2', 'base')
  const from = (digest: string) => ({ kind: 'ImageStreamImage', name: `base@${digest}` })
  const put = (tag: object | null, metadata: object = {}, query = '') =>
    world.asAdmin('PUT', `${tags}/app:prod${query}`, { metadata: { name: 'app:prod', ...metadata }, tag })
  const read = async () => withoutContent(wire(await world.asAdmin('GET', `${tags}/app:prod`)))
  return { ...world, from, put, read }
}

const reasonsOf = async ({ reader }: Pick<ImagesWorld, 'reader'>) =>
  (await reader.ledger({ project: 'demo', stream: 'app' }, 'prod')).map((entry) => entry.cause.reason)

describe('a PUT of an image stream tag', () => {
  test('as oc tag sends it makes stream and tag, and moves the tag that is there', async () => {
    const { asAdmin, from, read } = await writesWorld()
    const asOc = (digest: string) => ({
      kind: 'ImageStreamTag',
      apiVersion: 'image.openshift.io/v1',
      metadata: { name: 'app:prod', namespace: 'demo', creationTimestamp: null },
      tag: {
        name: 'prod',
        annotations: null,
        from: from(digest),
        generation: null,
        importPolicy: { importMode: 'Legacy' },
        referencePolicy: { type: 'Source' },
      },
      generation: 0,
      lookupPolicy: { local: false },
      image: {
        metadata: { creationTimestamp: null },
        dockerImageMetadata: null,
        dockerImageLayers: null,
      },
    })
    const made = await asAdmin('PUT', `${tags}/app:prod`, asOc(one))
    expect(made).toMatchObject({
      status: 201,
      body: { image: { metadata: { name: one } }, tag: { importPolicy: { importMode: 'Legacy' } } },
    })
    const generation = Number(made.body.generation)
    const moved = await asAdmin('PUT', `${tags}/app:prod`, asOc(two))
    expect(moved).toMatchObject({
      status: 200,
      body: { image: { metadata: { name: two } }, generation: generation + 1 },
    })
    expect(await read()).toEqual(moved.body)
    expect((await asAdmin('GET', `${streams}/app`)).body).toMatchObject({
      metadata: { generation: generation + 1 },
      spec: { lookupPolicy: { local: false } },
      status: { tags: [{ items: [{ image: two }, { image: one }] }] },
    })
  })

  test('ignores the zeroed rest, also where the stream says otherwise', async () => {
    const { asAdmin, from, put } = await writesWorld()
    const spec = { lookupPolicy: { local: true } }
    await asAdmin('POST', streams, { metadata: { name: 'app', labels: { team: 'a' } }, spec })
    const answer = await put({ name: 'prod', from: from(one) })
    expect(answer).toMatchObject({
      status: 201,
      body: { metadata: { labels: { team: 'a' } }, lookupPolicy: { local: true } },
    })
    expect((await asAdmin('GET', `${streams}/app`)).body).toMatchObject({ metadata: { labels: { team: 'a' } }, spec })
  })

  test('without spec tag keeps the one that is there, and is 400 where there is none', async () => {
    const { asAdmin, from, put, read, patch } = await writesWorld()
    await put({ name: 'prod', from: from(one) })
    const { tag } = await read()
    expect(await put(null, { annotations: { note: 'x' } })).toMatchObject({
      status: 200,
      body: { tag: { ...(tag as object), annotations: { note: 'x' } } },
    })
    await patch('merge', `${itags}/app:prod`, { spec: null })
    expect(await put(null)).toMatchObject(
      refusal(400, 'BadRequest', 'imagestreamtag prod is not a spec tag in imagestream demo/app, cannot be updated'),
    )
    expect(await asAdmin('PUT', `${tags}/gone:prod`, { metadata: { name: 'gone:prod' }, tag: null })).toMatchObject(
      refusal(400, 'BadRequest'),
    )
    expect((await asAdmin('GET', `${streams}/gone`)).status).toBe(404)
  })

  test('annotates a tag that was only ever pushed: it neither moves nor waits for anything', async () => {
    const { from, put, read, patch, reader } = await writesWorld()
    await put({ name: 'prod', from: from(one) })
    await patch('merge', `${itags}/app:prod`, { spec: null })
    const pushed = await read()
    expect(pushed.tag).toBeNull()
    const annotations = { 'weir.dev/immutable': 'true', 'weir.dev/retain': 'pulled' }
    const query = '?dryRun=All'
    expect((await patch('merge', `${tags}/app:prod${query}`, { metadata: { annotations } })).status).toBe(200)
    expect((await read()).tag).toBeNull()
    const answer = await patch('merge', `${tags}/app:prod`, { metadata: { annotations } })
    expect(answer).toMatchObject({
      status: 200,
      body: { metadata: { annotations }, tag: { name: 'prod', annotations } },
    })
    expect(answer.body.tag).not.toHaveProperty('from')
    expect(await read()).toMatchObject({ generation: pushed.generation, image: { metadata: { name: one } } })
    expect(await read()).not.toHaveProperty('conditions')
    expect((await put({ name: 'prod', from: from(two) })).body.message).toContain('is immutable')
    const none = { 'weir.dev/immutable': null, 'weir.dev/retain': null }
    const bare = await patch('strategic', `${tags}/app:prod`, { metadata: { annotations: none } })
    expect(bare).toMatchObject({ status: 200, body: { tag: { annotations: null } } })
    expect(await reasonsOf({ reader })).toHaveLength(1)
  })

  test('refuses bad annotations of a tag that was only ever pushed, and those of one that is not there', async () => {
    const { from, put, read, patch } = await writesWorld()
    await put({ name: 'prod', from: from(one) })
    await patch('merge', `${itags}/app:prod`, { spec: null })
    const annotations = { 'weir.dev/immutable': 'yes' }
    const answer = await patch('merge', `${tags}/app:prod`, { metadata: { annotations } })
    expect(answer).toMatchObject({
      status: 422,
      body: { details: { causes: [{ field: 'metadata.annotations[weir.dev/immutable]' }] } },
    })
    expect((await read()).tag).toBeNull()
    // Nothing to say is nothing to write.
    const computed = { 'weir.dev/content': 'held', 'kubernetes.io/change-cause': 'why' }
    for (const said of [{}, computed]) {
      expect(await put(null, { annotations: said })).toMatchObject(refusal(400, 'BadRequest'))
    }
    expect((await patch('merge', `${tags}/app:gone`, { metadata: { annotations } })).status).toBe(404)
  })

  test('annotates a pushed tag that a rollback holds, and lets the hold be', async () => {
    const { asAdmin, from, put, read, patch } = await writesWorld()
    await put({ name: 'prod', from: from(one) })
    await put({ name: 'prod', from: from(two) })
    await patch('merge', `${itags}/app:prod`, { spec: null })
    const wish = { apiVersion: 'weir.dev/v1', kind: 'Rollback', stream: 'app', tag: 'prod', reason: 'bad build' }
    expect((await asAdmin('POST', `${weirApi}/${inDemo}/tagevents`, wish)).status).toBe(201)
    // It has no annotations of its own where a stream shows its tags: conditions tell of the hold.
    const held = {
      type: 'Held',
      status: 'True',
      lastTransitionTime: '2026-01-01T00:00:00Z',
      reason: 'Rollback',
      message: 'held at revision 3 by weir:admin (bad build)',
      generation: expect.any(Number),
    }
    expect(await read()).toMatchObject({ conditions: [held] })
    expect((await asAdmin('GET', `${streams}/app`)).body.status).toMatchObject({ tags: [{ conditions: [held] }] })
    const annotations = { 'weir.dev/retain': 'pulled' }
    const answer = await patch('merge', `${tags}/app:prod`, { metadata: { annotations } })
    expect(answer.status, answer.text).toBe(200)
    expect(await read()).toMatchObject({
      metadata: { annotations: { ...annotations, 'weir.dev/hold': expect.stringContaining('revision') } },
      image: { metadata: { name: one } },
    })
  })

  test('conflicts with a move of that tag after the version that was seen, and with no other', async () => {
    const { asAdmin, from, put, read } = await writesWorld()
    await put({ name: 'prod', from: from(one) })
    const seen = await read()
    await asAdmin('PUT', `${tags}/app:other`, {
      metadata: { name: 'app:other' },
      tag: { name: 'other', from: from(one) },
    })
    const { resourceVersion } = seen.metadata as { resourceVersion: string }
    expect((await put({ name: 'prod', from: from(two) }, { resourceVersion })).status).toBe(200)
    expect(await put({ name: 'prod', from: from(one) }, { resourceVersion })).toMatchObject(
      refusal(409, 'Conflict', expect.stringContaining('another caller has updated the resource version to')),
    )
    expect(await put({ name: 'prod', from: from(one) }, { resourceVersion: '999999' })).toMatchObject(
      refusal(409, 'Conflict'),
    )
    expect(await put({ name: 'prod', from: from(one) }, { resourceVersion: 'x' })).toMatchObject(
      refusal(400, 'BadRequest'),
    )
    expect(await put({ name: 'prod', from: from(one) }, { uid: 'another' })).toMatchObject(refusal(409, 'Conflict'))
    expect((await read()).image).toMatchObject({ metadata: { name: two } })
    for (const metadata of [{ resourceVersion }, { uid: 'another' }]) {
      const sent = { metadata: { name: 'gone:prod', ...metadata }, tag: { name: 'prod', from: from(one) } }
      expect(await asAdmin('PUT', `${tags}/gone:prod`, sent)).toMatchObject(refusal(404, 'NotFound'))
    }
    expect((await asAdmin('GET', `${streams}/gone`)).status).toBe(404)
  })

  test.each([
    ['another name inside', { name: 'dev' }, 'tag.name'],
    ['a schedule for what is no registry', { importPolicy: { scheduled: true } }, 'tag.importPolicy.scheduled'],
    ['an unknown policy', { referencePolicy: { type: 'Global' } }, 'tag.referencePolicy.type'],
    ['an unknown import mode', { importPolicy: { importMode: 'Whole' } }, 'tag.importPolicy.importMode'],
    ['a source without kind', { from: { name: 'base:v1' } }, 'tag.from.kind'],
    ['a source of another kind', { from: { kind: 'Pod', name: 'x' } }, 'tag.from.kind'],
    ['a source without name', { from: { kind: 'ImageStreamTag' } }, 'tag.from.name'],
    ['a stream that is not there', { from: { kind: 'ImageStreamTag', name: 'none:v1' } }, 'tag.from.name'],
    [
      'an image that is not there',
      { from: { kind: 'ImageStreamImage', name: `base@sha256:${'0'.repeat(64)}` } },
      'tag.from.name',
    ],
    ['a beginning of many', { from: { kind: 'ImageStreamImage', name: 'base@sha256:' } }, 'tag.from.name'],
  ])('with %s is refused, and makes nothing', async (_, change, field) => {
    const { asAdmin, from, put } = await writesWorld()
    expect(await put({ name: 'prod', from: from(one), ...change })).toMatchObject(invalidFields(field))
    expect((await asAdmin('GET', `${streams}/app`)).status).toBe(404)
  })

  test.each(['app:a!b', 'app:a b', 'app:-a', 'app:ä', `app:${'x'.repeat(129)}`, 'App:prod', 'a_:prod'])(
    'under the name %s is refused by its field',
    async (name) => {
      const { asAdmin, from } = await writesWorld()
      const sent = { metadata: { name }, tag: { from: from(one) } }
      for (const answer of [
        await asAdmin('PUT', `${tags}/${encodeURIComponent(name)}`, sent),
        await asAdmin('POST', tags, sent),
      ]) {
        expect(answer).toMatchObject({ status: 422, body: { reason: 'Invalid' } })
      }
    },
  )
})

describe('annotations of an image stream tag', () => {
  test('are kept wherever a client changes them', async () => {
    const { put, read, patch, from } = await writesWorld()
    const path = `${tags}/app:prod`
    const shown = async () => {
      const { metadata, tag } = (await read()) as {
        metadata: { annotations?: unknown }
        tag?: { annotations: unknown }
      }
      expect(metadata.annotations ?? null).toEqual(tag?.annotations)
      return tag?.annotations
    }
    const source = { name: 'prod', from: from(one) }
    for (let i = 0; i < 2; i += 1) {
      await put({ ...source, annotations: { a: '1' } })
      expect(await shown()).toEqual({ a: '1' })
    }
    await patch('strategic', path, { tag: { annotations: { b: '2' } } })
    expect(await shown()).toEqual({ a: '1', b: '2' })
    await patch('merge', path, { metadata: { annotations: { a: null } } })
    expect(await shown()).toEqual({ b: '2' })
    await patch('merge', path, { metadata: { annotations: { b: null } } })
    expect(await shown()).toBeNull()
    await put(source, { annotations: { c: '3' } })
    const object = await read()
    await put({ ...(object.tag as object), annotations: null } as object, object.metadata)
    expect(await shown()).toEqual({ c: '3' })
    await put(source)
    expect(await shown()).toBeNull()
  })

  test('must be the same in both places of a new tag', async () => {
    const { asAdmin, from } = await writesWorld()
    const make = (inner: object, outer: object) =>
      asAdmin('POST', `${tags}?dryRun=All`, {
        metadata: { name: 'app:prod', annotations: outer },
        tag: { from: from(one), annotations: inner },
      })
    expect(await make({ a: '1' }, { a: '2' })).toMatchObject(invalidFields('tag.annotations'))
    expect(await make({ a: '1', b: '2' }, { b: '2', a: '1', [cause]: 'why' })).toMatchObject({
      status: 201,
      body: { metadata: { annotations: { a: '1', b: '2' } } },
    })
  })

  test('that are state of the server can not be set', async () => {
    const { put, from, read, patch } = await writesWorld()
    await put({ name: 'prod', from: from(one), annotations: { 'weir.dev/hold': '{}', a: '1' } })
    expect((await read()).metadata).toMatchObject({ annotations: { a: '1' } })
    await patch('merge', `${tags}/app:prod`, { metadata: { annotations: { 'weir.dev/hold': '{}' } } })
    expect((await read()).metadata.annotations).toEqual({ a: '1' })
  })

  test('are 256 KiB at most', async () => {
    const { put, from } = await writesWorld()
    const big = await put({ name: 'prod', from: from(one) }, { annotations: { a: 'x'.repeat(257 * 1024) } })
    expect(big).toMatchObject(invalidFields('tag.annotations'))
  })
})

describe('the change-cause of a tag', () => {
  test('is the reason of one move, and not kept', async () => {
    const world = await writesWorld()
    const { put, from, read, patch, asAdmin } = world
    await put({ name: 'prod', from: from(one) }, { annotations: { [cause]: 'first', a: '1' } })
    expect((await read()).metadata.annotations).toEqual({ a: '1' })
    await patch('merge', `${tags}/app:prod`, {
      tag: { from: from(two) },
      metadata: { annotations: { [cause]: 'second' } },
    })
    await patch('merge', `${itags}/app:prod`, {
      spec: { from: from(one) },
      metadata: { annotations: { [cause]: 'third' } },
    })
    await patch('merge', `${itags}/app:prod`, { spec: { from: from(two) } })
    expect(await reasonsOf(world)).toEqual([undefined, 'third', 'second', 'first'])
    expect((await read()).metadata.annotations).toEqual({ a: '1' })
    expect(JSON.stringify((await asAdmin('GET', `${streams}/app`)).body)).not.toContain(cause)
  })

  test('is cut where it is too long for the ledger', async () => {
    const world = await writesWorld()
    await world.put({ name: 'prod', from: world.from(one) }, { annotations: { [cause]: 'x'.repeat(100_000) } })
    expect((await reasonsOf(world))[0]).toHaveLength(1024)
  })
})

describe('what a tag shows of its stream', () => {
  async function labelled() {
    const world = await writesWorld()
    const annotations = { note: 'n', [cause]: 'release 5', 'kubectl.kubernetes.io/last-applied-configuration': '{}' }
    await world.asAdmin('POST', streams, { metadata: { name: 'app', labels: { team: 'a' }, annotations } })
    await world.put({ name: 'prod', from: world.from(one) })
    return world
  }

  test('can not be changed through the tag, and says so', async () => {
    const { patch, asAdmin } = await labelled()
    for (const path of [`${tags}/app:prod`, `${itags}/app:prod`]) {
      for (const labels of [{ team: 'b' }, { other: 'x' }, { team: null }]) {
        expect(await patch('merge', path, { metadata: { labels } })).toMatchObject(invalidFields('metadata.labels'))
      }
      expect((await patch('merge', path, { metadata: { labels: { team: 'a' } } })).status).toBe(200)
    }
    const answer = await patch('merge', `${itags}/app:prod`, { metadata: { annotations: { mine: 'x' } } })
    expect(answer).toMatchObject(invalidFields('metadata.annotations'))
    expect(answer.body.message).toContain('spec.annotations')
    expect((await asAdmin('GET', `${streams}/app`)).body).toMatchObject({ metadata: { labels: { team: 'a' } } })
  })

  test('conflicts, and is no bad request, where the stream changed meanwhile', async () => {
    const { asAdmin, read, patch, put } = await labelled()
    const seen = await read()
    await patch('merge', `${streams}/app`, { metadata: { labels: { team: 'b' } } })
    expect(await asAdmin('PUT', `${tags}/app:prod`, seen)).toMatchObject(refusal(409, 'Conflict'))
    expect(await asAdmin('PUT', `${tags}/app:prod`, await read())).toMatchObject({ status: 200 })
    const { metadata } = await read()
    expect(
      await put({ name: 'prod' }, { labels: { team: 'x' }, resourceVersion: metadata.resourceVersion }),
    ).toMatchObject(invalidFields('metadata.labels'))
  })

  test('is without what says how the stream was written', async () => {
    const { asAdmin, patch } = await labelled()
    const tag = await asAdmin('GET', `${itags}/app:prod`)
    expect((tag.body.metadata as { annotations: unknown }).annotations).toEqual({ note: 'n' })
    const applied = { 'kubectl.kubernetes.io/last-applied-configuration': '{"spec":{}}' }
    expect((await patch('merge', `${itags}/app:prod`, { metadata: { annotations: applied } })).status).toBe(200)
    expect(versionOf(await asAdmin('GET', `${itags}/app:prod`))).toBe(versionOf(tag))
  })
})

describe('an image tag', () => {
  test('loses its wish by a PUT of null, and keeps history and pin', async () => {
    const { asAdmin, from, put } = await writesWorld()
    await put({ name: 'prod', from: from(one) })
    const before = wire(await asAdmin('GET', `${itags}/app:prod`))
    const after = await asAdmin('PUT', `${itags}/app:prod`, { ...before, spec: null })
    expect(after).toMatchObject({ status: 200, body: { spec: null, status: before.status, image: before.image } })
    expect((await asAdmin('GET', `${tags}/app:prod`)).body).toMatchObject({
      tag: null,
      image: { metadata: { name: one } },
    })
    for (const path of ['gone:prod', 'app:gone']) {
      const sent = { metadata: { name: path }, spec: null }
      expect(await asAdmin('PUT', `${itags}/${path}`, sent)).toMatchObject(refusal(404, 'NotFound'))
    }
  })

  test('without history that loses its wish is gone', async () => {
    const { asAdmin } = await writesWorld()
    await asAdmin('PUT', `${itags}/app:later`, { metadata: { name: 'app:later' }, spec: { name: 'later' } })
    expect((await asAdmin('GET', `${itags}/app:later`)).body).toMatchObject({ spec: { name: 'later' }, status: null })
    const emptied = await asAdmin('PUT', `${itags}/app:later`, { metadata: { name: 'app:later' }, spec: null })
    expect(emptied).toMatchObject({ status: 200, body: { spec: null, status: null, image: null } })
    expect((await asAdmin('GET', `${itags}/app:later`)).status).toBe(404)
  })

  test('needs a spec that names the tag', async () => {
    const { asAdmin, from } = await writesWorld()
    const make = (spec: unknown) => asAdmin('POST', itags, { metadata: { name: 'app:prod' }, spec })
    expect(await make(undefined)).toMatchObject(invalidFields('spec'))
    expect(await make(null)).toMatchObject(invalidFields('spec'))
    expect(await make({ from: from(one) })).toMatchObject(invalidFields('spec.name'))
    expect(await make({ name: 'dev', from: from(one) })).toMatchObject(invalidFields('spec.name'))
    expect((await asAdmin('GET', `${streams}/app`)).status).toBe(404)
    expect((await make({ name: 'prod', from: from(one) })).status).toBe(201)
  })

  test('is listed without an image, failed or a mere reference too', async () => {
    const { asAdmin, put, from, registry } = await writesWorld()
    await put({ name: 'prod', from: from(one) })
    const pointer = { kind: 'DockerImage', name: `${registry.host}/lib/app:v1` }
    await asAdmin('PUT', `${itags}/app:ref`, {
      metadata: { name: 'app:ref' },
      spec: { name: 'ref', from: pointer, reference: true },
    })
    const { body } = await asAdmin('GET', `${itags}?labelSelector=`)
    const items = (body.items as Record<string, unknown>[]).map(({ metadata, image }) => [
      (metadata as { name: string }).name,
      image,
    ])
    expect(items).toEqual([
      ['app:prod', null],
      ['app:ref', null],
      ['base:v1', null],
      ['base:v2', null],
    ])
    expect(await asAdmin('GET', `${itags}/app:ref`)).toMatchObject({
      status: 200,
      body: { image: null, status: { items: [{ image: '', dockerImageReference: pointer.name }] } },
    })
  })

  test.each(['a', 'a:b:c', ':b', 'a:'])('is not read, written or deleted by the name %s', async (name) => {
    const { asAdmin } = await writesWorld()
    const message = 'ImageTags must be retrieved with <name>:<tag>'
    const sent = { metadata: { name }, spec: { name: 'b' } }
    for (const answer of [
      await asAdmin('GET', `${itags}/${name}`),
      await asAdmin('PUT', `${itags}/${name}`, sent),
      await asAdmin('POST', itags, sent),
      await asAdmin('DELETE', `${itags}/${name}`),
    ]) {
      expect(answer).toMatchObject(refusal(400, 'BadRequest', message))
    }
  })

  test('is called by its own name when it is refused', async () => {
    const { asAdmin, put, from } = await writesWorld()
    await put({ name: 'prod', from: from(one) })
    const sent = { metadata: { name: 'app:prod' }, spec: { name: 'prod', from: { kind: 'Pod', name: 'x' } } }
    const answer = await asAdmin('PUT', `${itags}/app:prod`, sent)
    expect(answer).toMatchObject(invalidFields('spec.from.kind'))
    expect(answer.body.message).toContain('ImageTag')
    expect(answer.body.message).not.toContain('ImageStreamTag.')
  })
})

test('a held tag is moved by nobody who writes it, and can be annotated', async () => {
  const { asAdmin, put, from, patch, read } = await writesWorld()
  await put({ name: 'prod', from: from(one) })
  await put({ name: 'prod', from: from(two) })
  await asAdmin('POST', `${weirApi}/namespaces/demo/tagevents`, { kind: 'Rollback', stream: 'app', tag: 'prod' })
  for (const answer of [
    await put({ name: 'prod', from: from(one) }),
    await patch('merge', `${tags}/app:prod`, { tag: { from: from(one) } }),
    await patch('merge', `${itags}/app:prod`, { spec: { from: from(one) } }),
    await patch('strategic', `${streams}/app`, { spec: { tags: [{ name: 'prod', from: from(one) }] } }),
  ]) {
    expect(answer).toMatchObject({
      status: 422,
      body: { reason: 'Invalid', message: expect.stringContaining('weir resume demo/app:prod') },
    })
  }
  expect((await patch('merge', `${tags}/app:prod`, { metadata: { annotations: { note: 'x' } } })).status).toBe(200)
  expect((await read()).metadata).toMatchObject({ annotations: { note: 'x', 'weir.dev/hold': expect.any(String) } })
  expect((await asAdmin('DELETE', `${imageApi}/namespaces/demo/imagestreamtags/app:prod`)).status).toBe(200)
})

test('a tag whose stream is deleted meanwhile is not found', async () => {
  const { asAdmin, importTag } = await imagesWorld(({ writer }) => ({
    writer: {
      ...writer,
      async changeTag(...asked) {
        await writer.delete(asked[0])
        return writer.changeTag(...asked)
      },
    },
  }))
  for (const [path, resource] of [
    [tags, 'imagestreamtags'],
    [itags, 'imagetags'],
  ]) {
    await importTag('prod')
    expect(await asAdmin('DELETE', `${path}/app:prod`)).toMatchObject(
      refusal(404, 'NotFound', `${resource}.image.openshift.io "app:prod" not found`),
    )
  }
})
