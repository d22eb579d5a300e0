import { describe, expect, test } from 'vitest'
import { makeImage } from '../../support/images.ts'
import { type Answered, type ApiWorld, apiWorld, imageApi, inDemo } from '../world.ts'

const streams = `${imageApi}/${inDemo}/imagestreams`
const tags = `${imageApi}/${inDemo}/imagestreamtags`
const imports = `${imageApi}/${inDemo}/imagestreamimports`
const key = 'index/scheduled/demo/app/prod'

interface World extends ApiWorld {
  from: string
  patch(type: string, path: string, body: unknown): Promise<Answered>
  /** What the schedule is told of `demo/app:prod`. */
  index(): Promise<unknown>
}

async function world(): Promise<World> {
  const api = await apiWorld()
  api.registry.put('lib/app', makeImage('one'), { tag: 'v1' })
  const patch: World['patch'] = (type, path, body) =>
    api.send('PATCH', path, {
      token: api.adminToken,
      headers: { 'content-type': `application/${type}` },
      body: JSON.stringify(body),
    })
  const index = async () => {
    const entry = await api.store.get(key)
    return entry && JSON.parse(entry.value)
  }
  return { ...api, from: `${api.registry.host}/lib/app:v1`, patch, index }
}

const docker = (name: string) => ({ kind: 'DockerImage', name })
const scheduled = { scheduled: true }

describe('a tag is in the index of the schedule', () => {
  test.each<[string, (w: World) => Promise<Answered>]>([
    [
      'oc import-image --scheduled',
      (w) =>
        w.asAdmin('POST', imports, {
          kind: 'ImageStreamImport',
          apiVersion: 'image.openshift.io/v1',
          metadata: { name: 'app', namespace: 'demo', creationTimestamp: null },
          spec: {
            import: true,
            images: [
              {
                from: docker(w.from),
                to: { name: 'prod' },
                importPolicy: { insecure: true, scheduled: true, importMode: 'Legacy' },
                referencePolicy: { type: 'Source' },
              },
            ],
          },
          status: {},
        }),
    ],
    [
      'oc tag --scheduled',
      (w) =>
        w.asAdmin('PUT', `${tags}/app:prod`, {
          kind: 'ImageStreamTag',
          apiVersion: 'image.openshift.io/v1',
          metadata: { name: 'app:prod', namespace: 'demo', creationTimestamp: null },
          tag: {
            name: '',
            annotations: null,
            from: docker(w.from),
            generation: 0,
            importPolicy: { scheduled: true, importMode: 'Legacy' },
            referencePolicy: { type: 'Source' },
          },
          generation: 0,
          lookupPolicy: { local: false },
          image: { metadata: { creationTimestamp: null } },
        }),
    ],
    [
      'kubectl create of an ImageStream',
      (w) =>
        w.asAdmin('POST', streams, {
          kind: 'ImageStream',
          apiVersion: 'image.openshift.io/v1',
          metadata: { name: 'app' },
          spec: { tags: [{ name: 'prod', from: docker(w.from), importPolicy: scheduled }] },
        }),
    ],
    [
      'kubectl apply --server-side of an ImageStream',
      (w) =>
        w.patch('apply-patch+yaml', `${streams}/app?fieldManager=kubectl`, {
          kind: 'ImageStream',
          apiVersion: 'image.openshift.io/v1',
          metadata: { name: 'app' },
          spec: { tags: [{ name: 'prod', from: docker(w.from), importPolicy: scheduled }] },
        }),
    ],
    [
      'kubectl apply of an ImageStream that is there',
      async (w) => {
        await w.asAdmin('POST', streams, { metadata: { name: 'app' }, spec: { tags: [] } })
        const tag = { name: 'prod', from: docker(w.from), importPolicy: scheduled }
        return w.patch('strategic-merge-patch+json', `${streams}/app`, { spec: { tags: [tag] } })
      },
    ],
  ])('after %s', async (_, write) => {
    const w = await world()
    const { status, text } = await write(w)
    expect([200, 201], text).toContain(status)
    expect(await w.index()).toEqual({ uid: expect.any(String), from: w.from })
  })

  test('with the interval that its annotation says, and no longer when that goes', async () => {
    const w = await world()
    const from = docker(w.from)
    const tag = { name: 'prod', from, importPolicy: scheduled, annotations: { 'weir.dev/import-interval': '1h' } }
    await w.asAdmin('POST', streams, { metadata: { name: 'app' }, spec: { tags: [tag] } })
    expect(await w.index()).toMatchObject({ intervalMs: 3_600_000 })
    const annotations = { 'weir.dev/import-interval': null }
    await w.patch('merge-patch+json', `${imageApi}/${inDemo}/imagetags/app:prod`, { spec: { annotations } })
    expect(await w.index()).not.toHaveProperty('intervalMs')
  })
})

describe('a tag is not', () => {
  test.each<[string, (from: string) => object]>([
    ['that is not scheduled', (from) => ({ from: docker(from) })],
    ['that is a mere reference', (from) => ({ from: docker(from), reference: true, importPolicy: scheduled })],
    ['that follows a tag', () => ({ from: { kind: 'ImageStreamTag', name: 'dev' }, importPolicy: scheduled })],
  ])('%s', async (_, spec) => {
    const w = await world()
    await w.asAdmin('POST', streams, { metadata: { name: 'app' }, spec: { tags: [{ name: 'prod', ...spec(w.from) }] } })
    expect(await w.index()).toBeUndefined()
  })

  test('whose import was told to be scheduled and failed, where it follows something else', async () => {
    const w = await world()
    await w.importImage('app', 'prod', w.from)
    const images = [{ from: docker(`${w.registry.host}/lib/none:v1`), to: { name: 'prod' }, importPolicy: scheduled }]
    const { status } = await w.asAdmin('POST', imports, { metadata: { name: 'app' }, spec: { import: true, images } })
    expect(status).toBe(201)
    expect(await w.index()).toBeUndefined()
  })

  test.each<[string, (w: World) => Promise<unknown>]>([
    ['is told to be so no more', (w) => w.patch('merge-patch+json', `${streams}/app`, { spec: { tags: [] } })],
    ['is deleted', (w) => w.asAdmin('DELETE', `${tags}/app:prod`)],
  ])('after it %s', async (_, end) => {
    const w = await world()
    await w.asAdmin('POST', streams, {
      metadata: { name: 'app' },
      spec: { tags: [{ name: 'prod', from: docker(w.from), importPolicy: scheduled }] },
    })
    expect(await w.index()).toBeDefined()
    await end(w)
    expect(await w.index()).toBeUndefined()
  })

  test.each([
    ['weir.dev/import-interval', '10s', 'from 1m to 30d'],
    ['weir.dev/import-interval', '31d', 'from 1m to 30d'],
    ['weir.dev/min-age', 'old', 'up to 365d'],
  ])('where %s is %j: that is refused with its field', async (name, value, hint) => {
    const w = await world()
    const tag = { name: 'prod', from: docker(w.from), importPolicy: scheduled, annotations: { [name]: value } }
    const answered = await w.asAdmin('POST', streams, { metadata: { name: 'app' }, spec: { tags: [tag] } })
    expect(answered).toMatchObject({ status: 422, body: { message: expect.stringContaining(hint) } })
    expect(answered.text).toContain(`annotations[${name}]`)
    expect(await w.index()).toBeUndefined()
  })
})
