import { describe, expect, test } from 'vitest'
import { apiWorld, imageApi, inDemo, invalidFields, names, refusal, registryHost } from '../world.ts'
import { imagesWorld, streams, tags } from './images.ts'

describe('image streams', () => {
  test('are listed in pages of at most 500, whatever the limit', async () => {
    const { asAdmin, writer } = await apiWorld()
    const empty = { labels: {}, annotations: {}, lookupPolicy: { local: false } }
    for (let i = 0; i < 501; i += 1) await writer.create({ project: 'demo', stream: `s${1000 + i}` }, empty)
    const path = `${imageApi}/${inDemo}/imagestreams`
    const first = await asAdmin('GET', `${path}?limit=10000`)
    expect(names(first)).toHaveLength(500)
    const { continue: next } = first.body.metadata as { continue: string }
    expect(names(await asAdmin('GET', `${path}?continue=${next}`))).toEqual(['s1500'])
  })

  test('with more labels than an object may hold are refused', async () => {
    const { asAdmin } = await apiWorld()
    const labels = Object.fromEntries(Array.from({ length: 40_000 }, (_, i) => [`label-${i}`, 'value']))
    expect(
      await asAdmin('POST', `${imageApi}/${inDemo}/imagestreams`, { metadata: { name: 'app', labels } }),
    ).toMatchObject(refusal(413, 'RequestEntityTooLarge'))
  })

  test('are created empty, with labels, annotations and lookup policy', async () => {
    const { asAdmin } = await imagesWorld()
    const created = await asAdmin('POST', streams, {
      kind: 'ImageStream',
      apiVersion: 'image.openshift.io/v1',
      metadata: { name: 'app', labels: { a: 'b' }, annotations: { 'openshift.io/display-name': 'App' } },
      spec: { lookupPolicy: { local: true } },
    })
    expect(created).toMatchObject({ status: 201 })
    expect(created.body).toEqual({
      kind: 'ImageStream',
      apiVersion: 'image.openshift.io/v1',
      metadata: {
        name: 'app',
        namespace: 'demo',
        uid: expect.any(String),
        resourceVersion: expect.stringMatching(/^\d+$/),
        generation: 1,
        creationTimestamp: '2026-01-01T00:00:00Z',
        labels: { a: 'b' },
        annotations: { 'openshift.io/display-name': 'App' },
      },
      spec: { lookupPolicy: { local: true } },
      status: {
        dockerImageRepository: `${registryHost}/demo/app`,
        publicDockerImageRepository: `${registryHost}/demo/app`,
      },
    })
    expect((await asAdmin('GET', `${streams}/app`)).body).toEqual(created.body)
    expect(await asAdmin('POST', streams, { metadata: { name: 'app' } })).toMatchObject(refusal(409, 'AlreadyExists'))
  })

  test.each(['App', 'a b', 'a/b', '-a', ''])('are not named %j', async (name) => {
    const { asAdmin } = await imagesWorld()
    expect(await asAdmin('POST', streams, { metadata: { name } })).toMatchObject(invalidFields('metadata.name'))
  })

  test.each([
    [{ tags: [{ name: 'a!b' }] }, 'spec.tags[a!b].name'],
    [{ dockerImageRepository: 'quay.io/a/b:v1' }, 'spec.dockerImageRepository'],
  ])('with the spec %j are refused, not made without it', async (spec, field) => {
    const { asAdmin } = await imagesWorld()
    expect(await asAdmin('POST', streams, { metadata: { name: 'app' }, spec })).toMatchObject(invalidFields(field))
  })

  test('show their tags sorted by name', async () => {
    const { asAdmin, importTag } = await imagesWorld()
    for (const tag of ['b', 'a', 'Z']) await importTag(tag)
    const { body } = await asAdmin('GET', `${streams}/app`)
    const { spec, status } = body as { spec: { tags: { name: string }[] }; status: { tags: { tag: string }[] } }
    expect(spec.tags.map(({ name }) => name)).toEqual(['Z', 'a', 'b'])
    expect(status.tags.map(({ tag }) => tag)).toEqual(['Z', 'a', 'b'])
  })

  test('are listed by project, over all projects, and in pages', async () => {
    const { asAdmin, writer } = await imagesWorld()
    await asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
    for (const stream of ['a', 'b', 'c']) await writer.create({ project: 'demo', stream })
    await writer.create({ project: 'other', stream: 'a' })
    const list = await asAdmin('GET', streams)
    expect(list.body).toMatchObject({
      kind: 'ImageStreamList',
      apiVersion: 'image.openshift.io/v1',
      metadata: { resourceVersion: expect.stringMatching(/^\d+$/) },
    })
    expect(names(list)).toEqual(['a', 'b', 'c'])
    const all: string[] = []
    let query = 'limit=3'
    for (let page = 0; page < 3 && query !== ''; page += 1) {
      const answer = await asAdmin('GET', `${imageApi}/imagestreams?${query}`)
      all.push(...names(answer))
      const { continue: token } = answer.body.metadata as { continue?: string }
      query = token === undefined ? '' : `limit=3&continue=${token}`
    }
    expect(all).toEqual(['a', 'b', 'c', 'a'])
    expect(await asAdmin('GET', `${streams}?continue=eyJhIjoxfQ`)).toMatchObject(refusal(400, 'BadRequest'))
  })

  test('are selected by name', async () => {
    const { asAdmin, writer } = await imagesWorld()
    for (const stream of ['a', 'b']) await writer.create({ project: 'demo', stream })
    expect(names(await asAdmin('GET', `${streams}?fieldSelector=metadata.name%3Db`))).toEqual(['b'])
    expect(names(await asAdmin('GET', `${imageApi}/imagestreams?fieldSelector=metadata.name%3Db`))).toEqual(['b'])
    expect(names(await asAdmin('GET', `${streams}?fieldSelector=metadata.name%3Dc`))).toEqual([])
  })

  test('are deleted with their tags, known to pulls before the answer', async () => {
    const { asAdmin, importTag, pins } = await imagesWorld()
    await importTag('prod')
    expect(await pins.pin({ project: 'demo', stream: 'app' }, 'prod')).toBeDefined()
    expect(await asAdmin('DELETE', `${streams}/app`)).toMatchObject({
      status: 200,
      body: {
        kind: 'Status',
        status: 'Success',
        details: { name: 'app', group: 'image.openshift.io', kind: 'imagestreams' },
      },
    })
    expect(pins.peek('demo', 'app', 'prod') ?? undefined).toBeUndefined()
    expect((await asAdmin('GET', `${tags}/app:prod`)).status).toBe(404)
    expect(await asAdmin('DELETE', `${streams}/app`)).toMatchObject(refusal(404, 'NotFound'))
  })

  test('are not deleted from a stale version, one of the future, of another uid, or in a dry run', async () => {
    const { asAdmin, importTag } = await imagesWorld()
    await importTag('prod')
    const { body } = await asAdmin('GET', `${streams}/app`)
    const { resourceVersion } = body.metadata as { resourceVersion: string }
    await importTag('next')
    for (const preconditions of [{ resourceVersion }, { resourceVersion: '999999999' }, { uid: 'another' }]) {
      for (const query of ['', '?dryRun=All']) {
        expect(await asAdmin('DELETE', `${streams}/app${query}`, { preconditions })).toMatchObject(
          refusal(409, 'Conflict'),
        )
      }
    }
    expect((await asAdmin('DELETE', `${streams}/app?dryRun=All`)).status).toBe(200)
    expect((await asAdmin('GET', `${streams}/app`)).status).toBe(200)
  })

  test('of a dry run are not made', async () => {
    const { asAdmin } = await imagesWorld()
    expect((await asAdmin('POST', `${streams}?dryRun=All`, { metadata: { name: 'app' } })).status).toBe(201)
    expect((await asAdmin('GET', `${streams}/app`)).status).toBe(404)
  })
})
