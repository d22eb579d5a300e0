import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type ImagesWorld, imagesWorld, itags, streams, tags, v1, v2 } from './images.ts'

const whenHeld = { 'weir.dev/move': 'when-held' }

/** A stream `app` whose tags move only when their content is held, and the tag `new` that waits for v1. */
async function world(): Promise<ImagesWorld> {
  const api = await imagesWorld()
  await api.asAdmin('POST', streams, { metadata: { name: 'app', annotations: whenHeld } })
  await api.importImage('app', 'new', api.from)
  return api
}

interface Conditions {
  conditions?: readonly Record<string, unknown>[]
}

function ofStream(body: unknown): Conditions | undefined {
  return (body as { status: { tags?: Conditions[] } }).status.tags?.[0]
}

const bytes = [v1.manifest, v1.config, ...v1.layers].reduce((sum, { bytes }) => sum + bytes.length, 0)
const missing = v1.layers.reduce((sum, { bytes }) => sum + bytes.length, 0)

describe('a tag that waits for its content', () => {
  test('says where it moves wherever it is shown, also when it stands nowhere yet', async () => {
    const api = await world()
    const waits = {
      type: 'AwaitsContent',
      status: 'True',
      reason: 'ContentIncomplete',
      lastTransitionTime: '2026-01-01T00:00:00Z',
      generation: 0,
      message: expect.stringContaining(`moves to ${v1.manifest.digest} when all that it needs of it is held`),
    }
    expect((await api.asAdmin('GET', `${tags}/app:new`)).status).toBe(404)
    expect(ofStream((await api.asAdmin('GET', `${streams}/app`)).body)?.conditions).toEqual([waits])
    const list = (await api.asAdmin('GET', streams)).body.items as unknown[]
    expect(ofStream(list[0])?.conditions).toEqual([waits])
    expect((await api.asAdmin('GET', `${itags}/app:new`)).body).toMatchObject({ status: { conditions: [waits] } })
  })

  test('says how far that is where one is shown, and why it does not go on', async () => {
    const api = await world()
    const stream = async () => {
      const { body } = await api.asAdmin('GET', `${streams}/app`)
      return ofStream(body)?.conditions?.at(-1)?.message
    }
    const itag = async () => {
      const { conditions } = (await api.asAdmin('GET', `${itags}/app:new`)).body.status as Conditions
      return conditions?.at(-1)?.message
    }
    expect(await itag()).toMatch(new RegExp(`; fetching: 2 of 3 parts, ${bytes - missing} B of ${bytes} B$`))
    expect(await stream()).toMatch(/; fetching$/)
    for (const { digest } of v1.layers) api.registry.remove(digest)
    const stopping = new AbortController()
    const ended = api.retention.run(stopping.signal)
    onTestFinished(async () => {
      stopping.abort()
      await ended
    })
    await vi.waitFor(async () => expect(await stream()).toMatch(new RegExp(`; failed: .*${v1.layers[0]?.digest}`)))
    expect(await itag()).toMatch(/; failed: .*; tried again after /)
  })

  test('that stands somewhere tells it as well, and nothing once it has moved', async () => {
    const api = await world()
    const wait = new AbortController().signal
    await api.importImage('app', 'new', api.from, { wait })
    const conditions = async () => ofStream((await api.asAdmin('GET', `${streams}/app`)).body)?.conditions
    expect(await conditions()).toBeUndefined()
    api.registry.put('lib/app', v2, { tag: 'v1' })
    await api.importImage('app', 'new', api.from)
    const { body } = await api.asAdmin('GET', `${tags}/app:new`)
    expect(body).toMatchObject({ image: { metadata: { name: v1.manifest.digest } } })
    expect(await conditions()).toMatchObject([{ type: 'AwaitsContent', generation: body.generation }])
    expect((body as Conditions).conditions).toMatchObject([{ message: expect.stringContaining(v2.manifest.digest) }])
  })

  test('is told in tables', async () => {
    const api = await world()
    const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
    const table = await api.send('GET', itags, { token: api.adminToken, headers })
    expect(JSON.stringify(table.body)).toContain('"AwaitsContent"')
  })
})
