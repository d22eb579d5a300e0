import { describe, expect, test } from 'vitest'
import { reportGone, reportSeen } from '../../../src/streams/upstream-gone.ts'
import { event } from '../../streams/world.ts'
import { anywhereWriter } from '../../support/anywhere-writer.ts'
import { makeImage } from '../../support/images.ts'
import { type Answered, type ApiWorld, apiWorld, imageApi, inDemo } from '../world.ts'

const app = { project: 'demo', stream: 'app' }
const image = makeImage('gone')
const { digest } = image.manifest

interface GoneWorld extends ApiWorld {
  get(path: string): Promise<Answered>
  /** How the condition is shown. */
  gone: object
}

/** `demo/app:prod`, whose image its upstream was heard to have lost. */
async function world(): Promise<GoneWorld> {
  const api = await apiWorld()
  const { host } = api.registry
  api.registry.put('lib/app', image, { tag: 'v1' })
  await api.importImage('app', 'prod', `${host}/lib/app:v1`)
  api.clock.advance(60_000)
  await reportGone(api.writer, app, 'prod', digest, host)
  const gone = {
    type: 'UpstreamGone',
    status: 'True',
    reason: 'NotFound',
    message: `${host} no longer has all of this image (${digest}); Weir serves what it holds of it`,
    lastTransitionTime: new Date(api.clock.now()).toISOString().replace(/\.\d+Z$/, 'Z'),
    generation: 2,
  }
  return { ...api, gone, get: (path) => api.asAdmin('GET', `${imageApi}/${inDemo}/${path}`) }
}

interface Conditions {
  conditions?: readonly Record<string, unknown>[]
}

function statusOf({ body }: Pick<Answered, 'body'>): Conditions | undefined {
  return (body as { status?: { tags?: Conditions[] } }).status?.tags?.[0]
}

describe('an image that no upstream has any more', () => {
  test('is a condition of the tag wherever the tag is shown', async () => {
    const { get, gone } = await world()
    expect(statusOf(await get('imagestreams/app'))?.conditions).toEqual([gone])
    expect((await get('imagestreamtags/app:prod')).body).toMatchObject({ conditions: [gone] })
    expect((await get('imagetags/app:prod')).body).toMatchObject({ status: { conditions: [gone] } })
    const { items } = (await get('imagestreamtags')).body as { items: unknown[] }
    expect(items).toMatchObject([{ conditions: [gone] }])
  })

  test('stands beside the import that failed, which comes first', async () => {
    const api = await world()
    const condition = { reason: 'NotFound', message: 'no such tag' }
    await api.writer.changeTag(app, 'prod', () => ({ reimport: true, condition }))
    const { conditions } = (await api.get('imagestreamtags/app:prod')).body as Conditions
    expect(conditions).toMatchObject([{ type: 'ImportSuccess', status: 'False', message: 'no such tag' }, api.gone])
  })

  test('makes no wish look met, and is no failed import', async () => {
    const api = await world()
    await api.writer.changeTag(app, 'prod', () => ({ reimport: true }))
    const { body } = await api.get('imagetags/app:prod')
    expect((body.spec as { generation: number }).generation).toBe(3)
    const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
    const path = `${imageApi}/${inDemo}/imagetags`
    const table = await api.send('GET', path, { token: api.adminToken, headers })
    expect(JSON.stringify(table.body)).toContain('Importing')
    expect(JSON.stringify(table.body)).not.toContain('ImportFailed')
  })

  test('is no condition any more when it is seen again, or the tag moves on', async () => {
    const changes = [{ upstreamGone: null }, { event: event('b', 'import') }]
    for (const change of changes) {
      const api = await world()
      const writer = anywhereWriter({ store: api.store, now: api.clock.now })
      await writer.changeTag(app, 'prod', () => change)
      expect(statusOf(await api.get('imagestreams/app'))).not.toHaveProperty('conditions')
    }
  })

  test('is told to those who watch, as they see it come and go', async () => {
    const api = await world()
    const { metadata } = (await api.get('imagestreams/app')).body as { metadata: { resourceVersion: string } }
    const path = `${imageApi}/${inDemo}/imagestreams?watch=1&resourceVersion=${metadata.resourceVersion}`
    const next = await api.watch(path, api.adminToken)
    const told = async () => {
      const { type, object } = (await next()) ?? {}
      return [type, statusOf({ body: object ?? {} })?.conditions]
    }
    await reportSeen(api.writer, app, 'prod', digest)
    await reportGone(api.writer, app, 'prod', digest, api.registry.host)
    expect(await told()).toEqual(['MODIFIED', undefined])
    expect(await told()).toEqual(['MODIFIED', [api.gone]])
  })

  test('is written by nobody through the API', async () => {
    const api = await world()
    const path = `${imageApi}/${inDemo}/imagestreams/app`
    const { body } = await api.asAdmin('GET', path)
    const [tag] = (body.status as { tags: object[] }).tags
    const others = [{ ...api.gone, message: 'lies', lastTransitionTime: '2020-01-01T00:00:00Z' }]
    for (const conditions of [[], others]) {
      const status = { ...(body.status as object), tags: [{ ...tag, conditions }] }
      for (const to of [path, `${path}/status`]) {
        expect((await api.asAdmin('PUT', to, { ...body, status })).status).toBe(200)
        expect(statusOf(await api.get('imagestreams/app'))?.conditions).toEqual([api.gone])
      }
    }
  })
})
