import { describe, expect, test } from 'vitest'
import { tagCheckSchema } from '../../../src/api/schemas/tag-checks.ts'
import { examineFields } from '../../../src/api/unknown-fields.ts'
import type { Schedule } from '../../../src/schedule.ts'
import { driveSchedule } from '../../schedule/world.ts'
import type { FlowsWorld } from '../../support/flows.ts'
import { makeImage } from '../../support/images.ts'
import { apiWorld, imageApi, inDemo, names, refusal, weirApi } from '../world.ts'

const streams = `${imageApi}/${inDemo}/imagestreams`
const checks = `${weirApi}/${inDemo}/tagchecks`
const key = 'index/scheduled/demo/app/*'
const intervalMs = 15 * 60_000

/** The API beside a running schedule; the registry has `lib/app` with the tags `1.0` and `1.1`. */
async function world() {
  let flows: FlowsWorld | undefined
  let schedule: Schedule | undefined
  const api = await apiWorld((real) => {
    flows = real
    return { schedule: { checks: (of) => schedule?.checks(of) ?? [] } }
  })
  if (flows === undefined) throw new Error('the API has no flows')
  const driven = await driveSchedule(flows, { intervalMs })
  schedule = driven.schedule
  for (const tag of ['1.0', '1.1']) api.registry.put('lib/app', makeImage(tag), { tag })
  const from = `${api.registry.host}/lib/app`
  const stream = (annotations: object, repository: string | undefined = from) => ({
    kind: 'ImageStream',
    apiVersion: 'image.openshift.io/v1',
    metadata: { name: 'app', namespace: 'demo', annotations },
    spec: repository === undefined ? {} : { dockerImageRepository: repository },
  })
  const patch = (body: object, query = '') =>
    api.send('PATCH', `${streams}/app${query}`, {
      token: api.adminToken,
      headers: { 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify(body),
    })
  return { ...api, from, stream, patch, pass: driven.pass }
}

const follow = { 'weir.dev/follow': 'true' }

describe('a stream that is to follow a repository', () => {
  test('does so from the write on that asks for it, shows that as a check, and ends with the write that ends it', async () => {
    const w = await world()
    expect((await w.asAdmin('POST', streams, w.stream({}))).status).toBe(201)
    await w.pass(intervalMs)
    expect((await w.asAdmin('GET', `${checks}`)).body.items).toEqual([])
    expect(w.registry.requests).toEqual([])

    expect((await w.patch({ metadata: { annotations: follow } })).headers.get('warning')).toBeNull()
    await w.pass(1)
    const { body } = await w.asAdmin('GET', `${streams}/app`)
    expect(body.spec).toMatchObject({
      dockerImageRepository: w.from,
      tags: [
        { name: '1.0', from: { kind: 'DockerImage', name: `${w.from}:1.0` }, importPolicy: { scheduled: true } },
        { name: '1.1' },
      ],
    })
    const check = await w.asAdmin('GET', `${checks}/app:*`)
    expect(check).toMatchObject({
      status: 200,
      body: {
        kind: 'TagCheck',
        metadata: { name: 'app:*', namespace: 'demo' },
        stream: 'app',
        tag: '*',
        from: w.from,
        interval: '15m',
        lastCheck: { result: 'New', tags: 2, newTags: 2, additionalTags: 0, failures: 0 },
      },
    })
    expect(check.body).not.toHaveProperty('candidate')
    expect(examineFields(tagCheckSchema, check.body)).toEqual({ unknown: [], wrong: [] })
    for (const query of ['', '?fieldSelector=stream%3Dapp'])
      expect(names(await w.asAdmin('GET', checks + query))).toEqual(['app:*', 'app:1.0', 'app:1.1'])
    expect(names(await w.asAdmin('GET', `${checks}?fieldSelector=tag%3D*`))).toEqual(['app:*'])

    await w.patch({ metadata: { annotations: { 'weir.dev/follow': null } } })
    w.registry.put('lib/app', makeImage('new'), { tag: '2.0' })
    await w.pass(2 * intervalMs)
    expect((await w.asAdmin('GET', `${checks}/app:*`)).status).toBe(404)
    expect(await w.store.get(key)).toBeUndefined()
    expect(await w.reader.tags({ project: 'demo', stream: 'app' })).toHaveLength(2)
  })

  test('is paged like the others', async () => {
    const w = await world()
    await w.asAdmin('POST', streams, w.stream(follow))
    await w.pass(1)
    for (const selector of ['', '&fieldSelector=stream%3Dapp']) {
      const found: string[] = []
      for (let next = ''; ; ) {
        const page = await w.asAdmin('GET', `${checks}?limit=1${selector}${next}`)
        found.push(...names(page))
        const token = (page.body.metadata as { continue?: string }).continue
        if (!token) break
        next = `&continue=${encodeURIComponent(token)}`
      }
      expect(found).toEqual(['app:*', 'app:1.0', 'app:1.1'])
    }
  })

  test('may be read by who may read tags, and by nobody else', async () => {
    const w = await world()
    await w.asAdmin('POST', streams, w.stream(follow))
    await w.pass(1)
    const [reader, stranger] = [await w.robot('reader', 'view'), await w.robot('stranger')]
    expect((await w.send('GET', `${checks}/app:*`, { token: reader })).status).toBe(200)
    expect((await w.send('GET', `${checks}/app:*`, { token: stranger })).status).toBe(403)
  })

  test('is not with a dry run', async () => {
    const w = await world()
    await w.asAdmin('POST', streams, w.stream({}))
    expect((await w.patch({ metadata: { annotations: follow } }, '?dryRun=All')).status).toBe(200)
    expect(
      (await w.asAdmin('POST', `${streams}?dryRun=All`, { ...w.stream(follow), metadata: { name: 'b' } })).status,
    ).toBe(201)
    await w.pass(intervalMs)
    expect(w.registry.requests).toEqual([])
    expect(await w.store.get(key)).toBeUndefined()
  })

  const at = (name: string) => `metadata.annotations[weir.dev/${name}]`
  test.each<[string, Record<string, string>, string, string | undefined]>([
    ['neither true nor false', { 'weir.dev/follow': 'yes' }, at('follow'), undefined],
    ['a policy that chooses one', { ...follow, 'weir.dev/track': 'newest' }, at('track'), undefined],
    ['a policy that is none', { ...follow, 'weir.dev/track': 'semver:?' }, at('track'), undefined],
    ['a pattern without end', { ...follow, 'weir.dev/track': 'regex:(a+)+' }, at('track'), undefined],
    ['no tags', { ...follow, 'weir.dev/max-tags': '0' }, at('max-tags'), undefined],
    ['too many tags', { ...follow, 'weir.dev/max-tags': '1001' }, at('max-tags'), undefined],
    ['a time that is too short', { ...follow, 'weir.dev/import-interval': '1s' }, at('import-interval'), undefined],
    ['no repository', follow, at('follow'), ''],
    ['a tag for a repository', follow, 'spec.dockerImageRepository', 'quay.io/org/app:v1'],
    ['a registry that is not allowed', follow, 'spec.dockerImageRepository', 'elsewhere.example.com/org/app'],
  ])('is refused with %s, by the field, and nothing of it is written', async (_, annotations, field, repository) => {
    const w = await world()
    const answer = await w.asAdmin('POST', streams, w.stream(annotations, repository))
    expect(answer).toMatchObject(refusal(422, 'Invalid'))
    expect(answer.body.details).toMatchObject({ causes: [{ field }] })
    await w.asAdmin('POST', streams, w.stream({}, ''))
    const patched = await w.patch(w.stream(annotations, repository ?? w.from))
    expect(patched).toMatchObject(refusal(422, 'Invalid'))
    expect(await w.store.get(key)).toBeUndefined()
  })

  test('of what was there before nothing is judged until it is to be followed', async () => {
    const w = await world()
    const before = { 'weir.dev/track': 'newest', 'weir.dev/max-tags': 'many' }
    const made = await w.asAdmin('POST', streams, w.stream(before))
    expect(made.status).toBe(201)
    expect(made.headers.get('warning')).toContain(
      'weir.dev/track does nothing on an image stream: it counts on a tag or an image stream that follows a repository',
    )
    expect((await w.patch({ metadata: { labels: { a: 'b' } } })).status).toBe(200)
    const { body } = await w.patch({ metadata: { annotations: follow } })
    expect(body.details).toMatchObject({ causes: [{ field: at('track') }, { field: at('max-tags') }] })
  })

  test('is refused where its registry is not allowed any more', async () => {
    const w = await world()
    await w.writer.create(
      { project: 'demo', stream: 'app' },
      { dockerImageRepository: 'elsewhere.example.com/org/app' },
    )
    expect((await w.patch({ metadata: { labels: { a: 'b' } } })).status).toBe(200)
    const { body } = await w.patch({ metadata: { annotations: follow } })
    expect(body.details).toMatchObject({ causes: [{ field: 'spec.dockerImageRepository' }] })
    expect(await w.store.get(key)).toBeUndefined()
  })

  test('that no longer may, or names nothing any more, can be changed otherwise', async () => {
    const w = await world()
    await w.asAdmin('POST', streams, w.stream(follow))
    expect((await w.patch({ spec: { dockerImageRepository: null } })).status).toBe(200)
    expect(await w.store.get(key)).toBeUndefined()
    expect((await w.patch({ metadata: { labels: { a: 'b' } } })).status).toBe(200)
    expect((await w.patch({ spec: { dockerImageRepository: w.from } })).status).toBe(200)
    expect(JSON.parse((await w.store.get(key))?.value ?? '{}')).toMatchObject({ from: w.from, all: { most: 1000 } })
  })
})
