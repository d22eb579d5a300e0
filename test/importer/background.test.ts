import { describe, expect, test, vi } from 'vitest'
import { makeImage } from '../support/images.ts'
import { startWorld, type World } from '../support/world.ts'

const image = makeImage('background')
const streams = '/apis/image.openshift.io/v1/namespaces/demo/imagestreams'

async function world(): Promise<World> {
  const there = await startWorld()
  there.upstream.put('lib/app', image, { tag: 'v1' })
  await there.api('POST', '/apis/project.openshift.io/v1/projects', {
    apiVersion: 'project.openshift.io/v1',
    kind: 'Project',
    metadata: { name: 'demo' },
  })
  return there
}

async function create(there: World, from: string): Promise<number> {
  const tags = [{ name: 'prod', from: { kind: 'DockerImage', name: from } }]
  const kind = { apiVersion: 'image.openshift.io/v1', kind: 'ImageStream' }
  return (await there.api('POST', streams, { ...kind, metadata: { name: 'app' }, spec: { tags } })).status
}

async function statusOf(there: World): Promise<unknown> {
  const { body } = await there.api('GET', `${streams}/app`)
  return (body.status as { tags?: unknown[] }).tags?.[0]
}

describe('a stream whose spec names an image at a registry', () => {
  test('has it a moment later, though nobody asked for an import', async () => {
    const there = await world()
    expect(await create(there, `${there.upstream.host}/lib/app:v1`)).toBe(201)
    await vi.waitFor(
      async () =>
        expect(await statusOf(there)).toMatchObject({ tag: 'prod', items: [{ image: image.manifest.digest }] }),
      { timeout: 10_000, interval: 20 },
    )
    const login = there.adminToken
    expect((await there.pull('demo/app:prod', login)).status).toBe(200)
  })

  test('has it after a restart in the middle, with no failure of the import that was broken off', async () => {
    const there = await world()
    const held = there.upstream.hold(/manifests/)
    await create(there, `${there.upstream.host}/lib/app:v1`)
    await held.arrived()
    await there.restart()
    held.release()
    await vi.waitFor(
      async () =>
        expect(await statusOf(there)).toMatchObject({ tag: 'prod', items: [{ image: image.manifest.digest }] }),
      { timeout: 10_000, interval: 20 },
    )
    expect(await statusOf(there)).not.toHaveProperty('conditions')
  })

  test('that is not there says so', async () => {
    const there = await world()
    await create(there, `${there.upstream.host}/lib/app:gone`)
    await vi.waitFor(
      async () =>
        expect(await statusOf(there)).toMatchObject({ conditions: [{ reason: 'NotFound', status: 'False' }] }),
      { timeout: 10_000, interval: 20 },
    )
  })
})
