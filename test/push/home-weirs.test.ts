/** Several Weirs, and one with a small disk, share nothing but the home registry of their projects. */
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { digestHex } from '../../src/oci/digest.ts'
import { failing } from '../support/fake-upstream-faults.ts'
import { makeImage, type Piece, piecesOf, type TestImage } from '../support/images.ts'
import { startWorld, type World } from '../support/world.ts'
import { annotate, errorOf, homeWorld, push, pushBlob, pushManifest, send } from './home-weir.ts'

const uploadsAtHome = /^POST .*\/blobs\/uploads\//
const pullsAtHome = /^GET .*\/blobs\//

async function expectPulled(world: World, image: TestImage, tag = 'v1'): Promise<void> {
  expect((await world.pull(`demo/app:${tag}`, world.adminToken)).body).toEqual(image.manifest.bytes)
  for (const { digest, bytes } of [image.config, ...image.layers]) {
    const { status, body } = await send(world, 'GET', `/v2/demo/app/blobs/${digest}`)
    expect(status, body.toString()).toBe(200)
    expect(body.equals(bytes)).toBe(true)
  }
}

async function run(world: World, ...argv: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await world.cli(...argv)
  expect(exitCode, stderr).toBe(0)
  return stdout
}

describe('two Weirs with a home', () => {
  const image = makeImage('two weirs')

  async function twoWeirs() {
    const one = await homeWorld()
    const { host } = one.upstream
    const other = await startWorld({ config: { upstreams: [{ host, insecure: true }], content: { retain: 'pulled' } } })
    await other.cli('new-project', 'demo')
    await annotate(other, `${host}/team`)
    return { one, other, home: one.upstream }
  }

  test('the other imports what was pushed to one of them, and moves when it is told to', async () => {
    const { one, other, home } = await twoWeirs()
    await push(one, image)
    await run(other, 'import-image', 'demo/app:v1', '--from', `${home.host}/team/app:v1`)
    await expectPulled(other, image)
    const next = makeImage('two weirs, next')
    await push(one, next)
    await expectPulled(other, image)
    await run(other, 'import-image', 'demo/app:v1')
    await expectPulled(other, next)
    // What no tag of the home stands at any more is there by its digest.
    await run(other, 'import-image', 'demo/app:kept', '--from', `${home.host}/team/app@${image.manifest.digest}`)
    await expectPulled(other, image, 'kept')
  })

  test('a tag that follows the home is pushed to at either, and is the same at both', async () => {
    const { one, other, home } = await twoWeirs()
    const from = ['import-image', 'demo/app:v1', '--from', `${home.host}/team/app:v1`]
    await push(one, image)
    await run(other, ...from)
    const next = makeImage('two weirs, from the other')
    await push(other, next)
    await run(one, ...from)
    await expectPulled(one, next)
    // What stands there already is no move.
    const before = await run(other, 'history', 'demo/app:v1')
    await run(other, 'import-image', 'demo/app:v1')
    expect(await run(other, 'history', 'demo/app:v1')).toBe(before)
  })

  test('the other says nothing of what it was not told, and takes it without sending it home again', async () => {
    const { one, other, home } = await twoWeirs()
    await push(one, image)
    for (const { digest } of [image.config, ...image.layers]) {
      expect((await send(other, 'HEAD', `/v2/demo/app/blobs/${digest}`)).status).toBe(404)
    }
    const refused = await pushManifest(other, image.manifest)
    expect(refused.status).toBe(400)
    expect(errorOf(refused)).toMatchObject({ code: 'MANIFEST_BLOB_UNKNOWN' })
    home.requests.length = 0
    await push(other, image)
    expect(home.matching(uploadsAtHome)).toEqual([])
    expect(home.matching(/^PUT/)).toEqual([])
    await expectPulled(other, image)
  })
})

describe('a small disk', () => {
  const images = [1, 2, 3, 4].map((n) =>
    makeImage(`small disk ${n}`, { layers: [Buffer.from(randomBytes(125_000).toString('hex'))] }),
  )
  const [first = images[0] as TestImage] = images

  /** Of a disk for four such layers at most, whose time passes when it is told to. */
  async function smallDisk() {
    const clock = { passedMs: 0 }
    const config = { content: { retain: 'pulled', maxBytes: '1MiB' } }
    const world = await homeWorld({ kind: 'none' }, { config, now: () => Date.now() + clock.passedMs })
    const restart = () => world.restart({ ...config, upstreams: [{ host: world.upstream.host, insecure: true }] })
    return { world, clock, restart }
  }

  async function held(world: World, piece: Piece): Promise<boolean> {
    const files = await readdir(join(world.dataDirectory, 'content', 'blobs', 'sha256'))
    return files.includes(digestHex(piece.digest))
  }

  async function heldLayers(world: World): Promise<boolean[]> {
    return Promise.all(images.map(({ layers: [layer = first.config] }) => held(world, layer)))
  }

  /** Pushes one image after another, as time goes by, until there is no room for all. */
  async function pushAll(world: World, clock: { passedMs: number }): Promise<void> {
    for (const [i, image] of images.entries()) {
      clock.passedMs += 12 * 60_000
      await push(world, image, `v${i + 1}`)
    }
    await run(world, 'prune')
  }

  test('is relieved of what the home has, which is pulled from there, also after a restart', async () => {
    const { world, clock, restart } = await smallDisk()
    const { upstream: home } = world
    await pushAll(world, clock)
    expect(await heldLayers(world)).toEqual([false, true, true, true])
    await restart()
    home.requests.length = 0
    for (const [i, image] of images.entries()) await expectPulled(world, image, `v${i + 1}`)
    expect(home.matching(pullsAtHome)).not.toEqual([])
  })

  test('whose home is away serves what is held, names the home for the rest, and has all again later', async () => {
    const { world, clock, restart } = await smallDisk()
    const { upstream: home } = world
    await pushAll(world, clock)
    expect(await heldLayers(world)).toEqual([false, true, true, true])
    await restart()
    const back = home.intercept(failing(/^/, 503))
    const gone = await send(world, 'GET', `/v2/demo/app/blobs/${first.layers[0]?.digest}`)
    expect(gone.status).toBe(503)
    expect(errorOf(gone)).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining(home.host) })
    expect((await world.pull('demo/app:v1', world.adminToken)).body).toEqual(first.manifest.bytes)
    for (const [i, image] of images.slice(1).entries()) await expectPulled(world, image, `v${i + 2}`)
    back()
    await expectPulled(world, first)
  })

  test('keeps what was pushed before there was a home', async () => {
    const { world, clock } = await smallDisk()
    await annotate(world, null)
    for (const [i, image] of images.slice(0, 3).entries()) await push(world, image, `v${i + 1}`)
    await annotate(world, `${world.upstream.host}/team`)
    clock.passedMs += 30 * 60_000
    await push(world, images[3] as TestImage, 'v4')
    expect(await run(world, 'prune')).toMatch(/^kept +pushed +\d+/m)
    expect(piecesOf(first).every(({ digest }) => world.upstream.blob('team/app', digest) === undefined)).toBe(true)
    expect(await heldLayers(world)).toEqual([true, true, true, true])
  })

  test('keeps what its home did not take, for the client that tries again', async () => {
    const { world, clock } = await smallDisk()
    const [layer = first.config] = first.layers
    const back = world.upstream.intercept(failing(/^PUT .*uploads/, 503))
    const begun = await send(world, 'POST', '/v2/demo/app/blobs/uploads/')
    const end = (body = '') => send(world, 'PUT', `${begun.headers.location}?digest=${layer.digest}`, body)
    expect((await end(layer.bytes.toString())).status).toBe(503)
    back()
    await pushBlob(world, first.config)
    for (const image of images.slice(1)) {
      clock.passedMs += 12 * 60_000
      await push(world, image, 'v1')
    }
    await run(world, 'prune')
    expect(await held(world, layer)).toBe(true)
    expect((await end()).status).toBe(201)
    expect((await pushManifest(world, first.manifest)).status).toBe(201)
    await expectPulled(world, first)
  })
})
