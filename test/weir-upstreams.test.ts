/** What a whole Weir tells of the registries that it asked. */
import { describe, expect, test } from 'vitest'
import { makeImage, makeIndex, piecesOf } from './support/images.ts'
import { startWorld, type World } from './support/world.ts'

async function run(world: World, ...argv: string[]): Promise<void> {
  expect(await world.cli(...argv), argv.join(' ')).toMatchObject({ exitCode: 0 })
}

/** Requests by stream, as the API tells them. */
async function spent(world: World): Promise<Record<string, number>> {
  const { body } = await world.api('GET', `/apis/weir.dev/v1/upstreams/${world.upstream.host}`)
  const spenders = body.spent as { namespace: string; stream: string; requests: number }[]
  return Object.fromEntries(spenders.map(({ namespace, stream, requests }) => [`${namespace}/${stream}`, requests]))
}

const asked = (world: World) => world.upstream.matching(/\/(?:manifests|blobs|tags)\//).length

describe('requests spent by stream', () => {
  test('are those of imports by hand and of pulls, manifests and blobs', async () => {
    const world = await startWorld()
    const image = makeImage('one', { layers: [Buffer.from('first'), Buffer.from('second')] })
    world.upstream.put('lib/app', image, { tag: 'v1' })
    world.upstream.put('lib/many', makeIndex('many'), { tag: 'v1' })
    await run(world, 'new-project', 'demo')
    await run(world, 'grant', 'pull', 'anonymous', '-n', 'demo')
    await run(world, 'import-image', 'demo/app:prod', '--from', `${world.upstream.host}/lib/app:v1`)
    const imported = asked(world)
    expect(imported).toBeGreaterThan(1)
    expect(await spent(world)).toEqual({ 'demo/app': imported })
    const token = await world.pullToken('repository:demo/app:pull')
    for (const { digest } of piecesOf(image)) {
      if (digest === image.manifest.digest) continue
      for (const method of ['HEAD', 'GET']) {
        expect((await world.request(`/v2/demo/app/blobs/${digest}`, { method, token })).status).toBe(200)
      }
    }
    const pulled = asked(world)
    expect(pulled).toBeGreaterThan(imported)
    expect(await spent(world)).toEqual({ 'demo/app': pulled })
    await run(world, 'import-image', 'demo/many:prod', '--from', `${world.upstream.host}/lib/many:v1`)
    expect(await spent(world)).toEqual({ 'demo/app': pulled, 'demo/many': asked(world) - pulled })
  })
})
