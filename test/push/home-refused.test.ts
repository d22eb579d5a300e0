/** Whoever may annotate a project names its home: nothing is sent to where Weir's operator does not let it go. */
import { describe, expect, test } from 'vitest'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { redirecting, withHeader } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import { startWorld, type World } from '../support/world.ts'
import { annotate, askForHome, demo, errorOf, homeWorld, pushBlob, send } from './home-weir.ts'

const image = makeImage('refused')
const uploads = /^POST .*uploads/

/** Lets users name any registry. */
async function openWorld(): Promise<World> {
  const world = await startWorld({ config: { imports: { allowedRegistries: ['*'] } } })
  await world.cli('new-project', 'demo')
  return world
}

async function refusalOf(world: World, home: string): Promise<string> {
  const answer = await askForHome(world, home)
  expect(answer.status).toBe(422)
  return (JSON.parse(answer.body.toString()) as { message: string }).message
}

describe('a home is refused when it is written, though all registries are allowed,', () => {
  test('that is this Weir, by each of its names', async () => {
    const world = await openWorld()
    const { http, https } = world.weir
    const hosts = [http, https].flatMap(({ port, publicUrl }) => [
      `127.0.0.1:${port}`,
      `localhost:${port}`,
      new URL(publicUrl).host,
    ])
    for (const host of hosts) expect(await refusalOf(world, `${host}/demo`)).toContain('that is this Weir itself')
  })

  test.each(['169.254.169.254/latest', '10.0.0.5:5000/team', 'localhost:1/team', '0x7f000001:5000/team'])(
    'that is not public: %s',
    async (home) => {
      expect(await refusalOf(await openWorld(), home)).toContain('its address is not public; name it in upstreams')
    },
  )
})

describe('a push sends nothing', () => {
  test('to a registry that the config does not allow any more', async () => {
    const world = await homeWorld()
    const { host, requests } = world.upstream
    await world.restart({ upstreams: [] })
    requests.length = 0
    const refused = await send(world, 'POST', '/v2/demo/app/blobs/uploads/')
    expect(refused.status).toBe(403)
    expect(errorOf(refused)).toMatchObject({
      code: 'DENIED',
      message: expect.stringContaining(`"${host}" is forbidden`),
    })
    expect(requests).toEqual([])
  })

  test.each([
    ['a redirect', 403, (to: string) => redirecting(uploads, `${to}/v2/team/app/blobs/uploads/`)],
    // Whether it is there already stays unknown then.
    ['a redirected question', 201, (to: string) => redirecting(/^HEAD .*blobs/, `${to}/latest/meta-data`)],
    ['a question that is redirected each time', 403, (to: string) => redirecting(/^(HEAD|GET) .*blobs/, to)],
    ['a Location', 403, (to: string) => withHeader(uploads, 'location', `${to}/v2/team/app/blobs/uploads/1`)],
  ])('to a private address that %s of the home names', async (_what, status, fault) => {
    const inside = await startFakeUpstream()
    const world = await homeWorld({ kind: 'basic', users: { robot: 'pa55word!' } })
    const auths = { [world.upstream.host]: { username: 'robot', password: 'pa55word!' } }
    const secret = {
      metadata: { name: 'home' },
      type: 'kubernetes.io/dockerconfigjson',
      stringData: { '.dockerconfigjson': JSON.stringify({ auths }) },
    }
    expect((await world.api('POST', `${demo}/secrets`, secret)).status).toBe(201)
    expect((await pushBlob(world, image.config)).status).toBe(201)
    world.upstream.intercept(fault(inside.origin))
    const [layer = image.config] = image.layers
    const answered = await pushBlob(world, layer)
    expect(answered.status, answered.body.toString()).toBe(status)
    expect(inside.requests).toEqual([])
  })

  test('further when the annotation changes to another home', async () => {
    const world = await homeWorld()
    expect((await pushBlob(world, image.config)).status).toBe(201)
    await annotate(world, `${world.upstream.host}/other`)
    const [layer = image.config] = image.layers
    expect((await pushBlob(world, layer)).status).toBe(201)
    expect(world.upstream.blob('team/app', layer.digest)).toBeUndefined()
    expect(world.upstream.blob('other/app', layer.digest)?.bytes).toEqual(layer.bytes)
  })
})
