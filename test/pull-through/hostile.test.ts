import { expect, test } from 'vitest'
import { readAll } from '../../src/content/reader.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import type { StreamName } from '../../src/oci/reference.ts'
import type { PullThrough } from '../../src/pull-through.ts'
import { changing, withBytes, withHeader } from '../support/fake-upstream-faults.ts'
import { makeImage, makeIndex, type Piece, piece, type TestImage, type TestIndex } from '../support/images.ts'
import { app, type PullWorld, pullWorld } from './world.ts'

const evil: StreamName = { project: 'evil', stream: 'app' }
const get = { head: false }
const head = { head: true }

/** `demo/app` holds an index all of whose content was pulled; `evil/app` holds an image of its own. */
async function twoProjects(): Promise<PullWorld & { index: TestIndex; secrets: Piece[]; manifests: Piece[] }> {
  const world = await pullWorld()
  const index = makeIndex('secret')
  await world.import(index)
  for (const child of index.children) {
    await world.pullThrough.manifest(app, child.manifest.digest, get)
    for (const { digest } of child.layers) await readAll(await world.pullThrough.blob(app, digest))
  }
  await world.import(makeImage('harmless'), { name: evil, repository: 'evil/app' })
  const manifests = [index.manifest, ...index.children.map((child) => child.manifest)]
  const secrets = index.children.flatMap((child) => [child.config, ...child.layers])
  return { ...world, index, manifests, secrets }
}

/** Everything that an answer tells: code, message, detail. */
async function answer(asked: Promise<unknown>): Promise<unknown> {
  try {
    await asked
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    const { code, message, detail, upstream, retryAfterSeconds } = error
    return { code, message, detail, upstream, retryAfterSeconds }
  }
  throw new Error('it was answered')
}

const requests: [string, (pullThrough: PullThrough, name: StreamName, digest: string) => Promise<unknown>][] = [
  ['GET of a blob', (pullThrough, name, digest) => pullThrough.blob(name, digest)],
  ['HEAD of a blob', (pullThrough, name, digest) => pullThrough.blobSize(name, digest)],
  ['a range of a blob', (pullThrough, name, digest) => pullThrough.blob(name, digest, { start: 0, end: 3 })],
  ['GET of a manifest', (pullThrough, name, digest) => pullThrough.manifest(name, digest, get)],
  ['HEAD of a manifest', (pullThrough, name, digest) => pullThrough.manifest(name, digest, head)],
]

test.each(requests)(
  'I5: %s of another project is answered as if it existed nowhere, and asks nobody',
  async (_, ask) => {
    const world = await twoProjects()
    const nowhere = digestOf('nowhere')
    for (const { digest } of [...world.secrets, ...world.manifests]) {
      for (const pullThrough of [world.pullThrough, world.restarted()]) {
        expect(pullThrough.warm('evil', 'app', digest)).toBeUndefined()
        const told = JSON.stringify(await answer(ask(pullThrough, evil, digest)))
        const unknown = JSON.stringify(await answer(ask(pullThrough, evil, nowhere)))
        expect(told.replaceAll(digest, nowhere)).toBe(unknown)
      }
    }
    expect(world.asked()).toEqual([])
  },
)

test('I5: a manifest that merely names the blobs of another project opens none of them', async () => {
  const world = await twoProjects()
  const described = world.secrets.map(({ digest, mediaType, bytes }) => ({ digest, mediaType, size: bytes.length }))
  const [config, ...layers] = described
  const naming = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers }
  await world.import(piece(mediaTypes.ociManifest, JSON.stringify(naming)), { name: evil, repository: 'evil/app' })
  await world.pullThrough.manifest(evil, 'prod', get)
  for (const { digest } of world.secrets) {
    expect(await world.links.get(evil, digest)).toBeDefined()
    for (const [, ask] of requests.slice(0, 3)) {
      expect(await answer(ask(world.pullThrough, evil, digest))).toMatchObject({ code: 'BLOB_UNKNOWN' })
    }
    expect(await readAll(await world.pullThrough.blob(app, digest))).toBeDefined()
  }
  // The configs are held since the import.
  const fetched = world.index.children.flatMap((child) => child.layers)
  expect(world.asked().filter((request) => !request.includes(' evil/app '))).toHaveLength(fetched.length)
})

test('I5: an index that merely names the manifests of another project opens none of them, though they are held', async () => {
  const world = await twoProjects()
  const described = world.manifests.map(({ digest, mediaType, bytes }) => ({ digest, mediaType, size: bytes.length }))
  const naming = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: described }
  await world.import(piece(mediaTypes.ociIndex, JSON.stringify(naming)), { name: evil, repository: 'evil/app' })
  for (const { digest } of world.manifests) {
    for (const pullThrough of [world.pullThrough, world.restarted()]) {
      expect(await answer(pullThrough.manifest(evil, digest, get))).toMatchObject({ code: 'MANIFEST_UNKNOWN' })
      expect(pullThrough.warm('evil', 'app', digest)).toBeUndefined()
    }
  }
  for (const { digest } of world.secrets) {
    expect(await answer(world.pullThrough.blob(evil, digest))).toMatchObject({ code: 'BLOB_UNKNOWN' })
  }
  for (const request of world.asked()) expect(request).toContain(' evil/app ')
})

test('I9: a fetch with the credentials of one project is not shared with another', async () => {
  const world = await pullWorld()
  const index = makeIndex('wanted')
  await world.import(index)
  await world.import(index, { name: evil })
  const child = index.children[0]?.manifest.digest ?? ''
  const held = world.registry.hold(new RegExp(`/manifests/${child}`))
  const pulls = [app, evil].map((name) => world.pullThrough.manifest(name, child, get))
  await held.arrived(2)
  held.release()
  await Promise.all(pulls)
  expect(world.asked()).toEqual([`GET lib/app ${child}`, `GET lib/app ${child}`])
})

test('I5: a fetch under way for one repository is not shared with a link to another', async () => {
  const world = await pullWorld()
  const index = makeIndex('wanted')
  const other = { project: 'demo', stream: 'other' }
  await world.import(index)
  await world.import(index.manifest, { name: other, repository: 'lib/naming' })
  const child = index.children[0]?.manifest.digest ?? ''
  const held = world.registry.hold(new RegExp(`/manifests/${child}`))
  const pulls = Promise.allSettled([app, other].map((name) => world.pullThrough.manifest(name, child, get)))
  await held.arrived(2)
  held.release()
  expect(await pulls).toMatchObject([
    { status: 'fulfilled', value: { digest: child } },
    { status: 'rejected', reason: { code: 'MANIFEST_UNKNOWN' } },
  ])
})

test('I5: the subject of a referrer is not opened by naming it', async () => {
  const world = await twoProjects()
  const image = makeImage('referrer')
  const subject = { digest: world.index.manifest.digest, mediaType: mediaTypes.ociIndex, size: 1 }
  const document = JSON.parse(image.manifest.bytes.toString())
  world.registry.put('evil/app', image)
  const referrer = piece(mediaTypes.ociManifest, JSON.stringify({ ...document, subject }))
  await world.import(referrer, { name: evil, repository: 'evil/app' })
  await world.pullThrough.manifest(evil, 'prod', get)
  expect(await answer(world.pullThrough.manifest(evil, subject.digest, get))).toMatchObject({
    code: 'MANIFEST_UNKNOWN',
  })
  expect(world.asked()).toEqual([])
})

test("I5: an upstream that lies in Docker-Content-Digest gets nobody another project's bytes", async () => {
  const world = await twoProjects()
  const secret = world.index.children[0]?.manifest ?? world.index.manifest
  const index = makeIndex('bait')
  await world.import(index, { name: evil, repository: 'evil/app' })
  const child = index.children[0]?.manifest ?? index.manifest
  world.registry.intercept(withHeader(/evil\/app/, 'docker-content-digest', secret.digest))
  const served = await world.pullThrough.manifest(evil, child.digest, get)
  expect(served).toMatchObject({ digest: child.digest, mediaType: child.mediaType })
  expect(served.bytes).toEqual(child.bytes)
  expect(world.pullThrough.warm('evil', 'app', secret.digest)).toBeUndefined()
  expect(await answer(world.pullThrough.manifest(evil, secret.digest, get))).toMatchObject({ code: 'MANIFEST_UNKNOWN' })
})

test('I4: wrong bytes for a child are refused, kept nowhere, and link nothing', async () => {
  const world = await pullWorld()
  const index = makeIndex('right')
  await world.import(index)
  const child = index.children[0]?.manifest ?? index.manifest
  const wrong = makeImage('wrong')
  const heal = world.registry.intercept(withBytes(new RegExp(child.digest), wrong.manifest.bytes))
  expect(await answer(world.pullThrough.manifest(app, child.digest, get))).toMatchObject({
    code: 'UNAVAILABLE',
    upstream: { reason: 'BadDigest' },
  })
  expect(world.pullThrough.warm('demo', 'app', child.digest)).toBeUndefined()
  expect(await world.links.get(app, wrong.config.digest)).toBeUndefined()
  heal()
  expect((await world.restarted().manifest(app, child.digest, get)).bytes).toEqual(child.bytes)
})

/** What a manifest of another tag says of a digest, before or after the stream gets the true image. */
const claims: [string, (image: TestImage) => Piece][] = [
  ['index that lies about its size', ({ manifest }) => indexOf({ ...descriptorOf(manifest), size: 7 })],
  [
    'index that calls it another kind of image',
    ({ manifest }) => indexOf({ ...descriptorOf(manifest), mediaType: mediaTypes.dockerManifest }),
  ],
  [
    'index that calls it an index',
    ({ manifest }) => indexOf({ ...descriptorOf(manifest), mediaType: mediaTypes.ociIndex }),
  ],
  [
    'index that calls it no manifest',
    ({ manifest }) => indexOf({ ...descriptorOf(manifest), mediaType: 'application/x' }),
  ],
  [
    'index that calls its layer a manifest',
    ({ layers: [layer] }) => indexOf({ ...descriptorOf(layer), mediaType: mediaTypes.ociManifest }),
  ],
  [
    'image that lies about the size of its layer',
    ({ config, layers: [layer] }) => imageOf(config, { ...descriptorOf(layer), size: 3 }),
  ],
]

test.each(claims.flatMap(([what, lie]) => [[what, 'before', lie] as const, [what, 'after', lie] as const]))(
  'I7: an %s, imported %s it, does not break an image of the same stream',
  async (_, when, lie) => {
    const world = await pullWorld()
    const image = makeImage('true')
    const lying = lie(image)
    if (when === 'before') await world.import(lying, { tag: 'dev' })
    await world.import(image)
    if (when === 'after') await world.import(lying, { tag: 'dev' })
    const { manifest, config, layers } = image
    const served = await world.restarted().manifest(app, 'prod', get)
    expect(served).toMatchObject({ bytes: manifest.bytes, mediaType: manifest.mediaType, size: manifest.bytes.length })
    for (const { digest, bytes } of [config, ...layers]) {
      expect(await readAll(await world.pullThrough.blob(app, digest))).toEqual(bytes)
    }
  },
)

test('I4: a child is given out as it is, not as its index says', async () => {
  const world = await pullWorld()
  const { manifest } = makeImage('described')
  world.registry.put('lib/app', manifest)
  await world.import(indexOf({ ...descriptorOf(manifest), size: 7, mediaType: mediaTypes.dockerManifest }))
  const served = await world.pullThrough.manifest(app, manifest.digest, get)
  expect(served).toMatchObject({ bytes: manifest.bytes, mediaType: manifest.mediaType, size: manifest.bytes.length })
})

test('a child that came with another Content-Type keeps the one it first came with', async () => {
  const world = await pullWorld()
  const { config, layers } = makeImage('typeless')
  const document = { schemaVersion: 2, config: descriptorOf(config), layers: layers.map(descriptorOf) }
  const child = piece(mediaTypes.ociManifest, JSON.stringify(document))
  world.registry.put('lib/app', child)
  await world.import(indexOf(descriptorOf(child)))
  const end = world.registry.intercept(withHeader(new RegExp(child.digest), 'content-type', mediaTypes.dockerManifest))
  const first = await world.pullThrough.manifest(app, child.digest, get)
  expect(first.mediaType).toBe(mediaTypes.dockerManifest)
  end()
  expect((await world.restarted().manifest(app, child.digest, get)).mediaType).toBe(mediaTypes.dockerManifest)
})

function descriptorOf(content: Piece | undefined): { mediaType: string; digest: string; size: number } {
  if (content === undefined) throw new TypeError('no content')
  return { digest: content.digest, mediaType: content.mediaType, size: content.bytes.length }
}

function indexOf(...manifests: object[]): Piece {
  return piece(mediaTypes.ociIndex, JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }))
}

function imageOf(config: Piece, ...layers: object[]): Piece {
  const document = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: descriptorOf(config), layers }
  return piece(mediaTypes.ociManifest, JSON.stringify(document))
}

test.each([
  ['ambiguous', { manifests: [] }],
  ['with a key in other letters', { Layers: [] }],
])('a child that is %s is refused and links nothing', async (_, more) => {
  const world = await pullWorld()
  const image = makeImage('odd')
  const document = { ...JSON.parse(image.manifest.bytes.toString()), ...more }
  const child = piece(mediaTypes.ociManifest, JSON.stringify(document))
  world.registry.put('lib/app', image)
  world.registry.put('lib/app', child)
  const described = { digest: child.digest, mediaType: child.mediaType, size: child.bytes.length }
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [described] }
  await world.import(piece(mediaTypes.ociIndex, JSON.stringify(index)))
  expect(await answer(world.pullThrough.manifest(app, child.digest, get))).toMatchObject({ code: 'MANIFEST_INVALID' })
  expect(await world.links.get(app, image.config.digest)).toBeUndefined()
})

test('I4: short, overlong and altered blobs never come whole', async () => {
  const world = await pullWorld()
  const bytes = Buffer.alloc(300_000, 'layer')
  const image = makeImage('large', { layers: [bytes] })
  await world.import(image)
  const digest = image.layers[0]?.digest ?? ''
  const chunked = (body: Buffer) =>
    changing(/blobs/, ({ status, headers: { 'content-length': _, ...headers } }) => {
      return { status, headers: { ...headers, 'transfer-encoding': 'chunked' }, body }
    })
  const altered = Buffer.from(bytes)
  altered[5] = 0
  for (const fault of [
    chunked(bytes.subarray(0, 299_999)),
    chunked(Buffer.concat([bytes, Buffer.from('more')])),
    chunked(altered),
    withBytes(/blobs/, altered),
    withBytes(/blobs/, bytes.subarray(0, 299_999)),
  ]) {
    const heal = world.registry.intercept(fault)
    let received = 0
    const pull = async () => {
      const { reader } = await world.pullThrough.blob(app, digest)
      for (let read = await reader.read(); read !== undefined; read = await reader.read()) received += read.length
    }
    await expect(pull()).rejects.toThrow()
    expect(received).toBeLessThan(bytes.length)
    heal()
  }
  expect((await readAll(await world.pullThrough.blob(app, digest))).equals(bytes)).toBe(true)
})

const traps: [string, Buffer][] = [
  ['no JSON', Buffer.from('layer')],
  ['null', Buffer.from('null')],
  ['deeper than anybody nests', Buffer.from('['.repeat(100_000))],
  ['more values than a manifest has', Buffer.from(`[${'[],'.repeat(300_000)}[]]`)],
  ['larger than a manifest', Buffer.from(JSON.stringify({ schemaVersion: 2, more: 'x'.repeat(5 * 1024 * 1024) }))],
]

test.each(traps)('a held layer that an index names as a manifest is none: it is %s', async (_what, bytes) => {
  const world = await pullWorld()
  const image = makeImage('trap', { layers: [bytes] })
  const [layer] = image.layers
  if (layer === undefined) throw new TypeError('the image has a layer')
  await world.import(image)
  const child = { mediaType: mediaTypes.ociManifest, digest: layer.digest, size: bytes.length }
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [child] }
  await world.import(piece(mediaTypes.ociIndex, JSON.stringify(index)), { tag: 'index' })
  const link = await world.links.get(app, layer.digest)
  if (link === undefined) throw new TypeError('the layer is linked')
  await world.content.fetch(link, { signal: AbortSignal.timeout(30_000) })
  expect(await answer(world.pullThrough.manifest(app, layer.digest, get))).not.toMatchObject({ code: 'UNKNOWN' })
  expect(await answer(world.pullThrough.blob(app, digestOf('nowhere')))).toMatchObject({ code: 'BLOB_UNKNOWN' })
})

test('I5: a stream made anew has nothing of the one before it', async () => {
  const world = await pullWorld()
  const index = makeIndex('before')
  await world.import(index)
  const child = index.children[0]?.manifest.digest ?? ''
  const config = index.children[0]?.config.digest ?? ''
  await world.pullThrough.manifest(app, 'prod', get)
  await world.pullThrough.manifest(app, child, get)
  await world.writer.delete(app)
  const made = await world.writer.create(app)
  await world.pins.reached(made.resourceVersion)
  expect(await world.pins.uid(app)).toBe(made.uid)
  world.asked()
  for (const pullThrough of [world.pullThrough, world.restarted()]) {
    for (const reference of ['prod', child, index.manifest.digest]) {
      expect(pullThrough.warm('demo', 'app', reference)).toBeUndefined()
      expect(await answer(pullThrough.manifest(app, reference, get))).toMatchObject({ code: 'MANIFEST_UNKNOWN' })
      expect(await answer(pullThrough.manifest(app, reference, head))).toMatchObject({ code: 'MANIFEST_UNKNOWN' })
    }
    expect(await answer(pullThrough.blob(app, config))).toMatchObject({ code: 'BLOB_UNKNOWN' })
    expect(await pullThrough.tags(app, {})).toEqual([])
  }
  expect(world.asked()).toEqual([])
})

test('I5: a deleted stream gives nothing out', async () => {
  const world = await pullWorld()
  const image = makeImage('deleted')
  await world.import(image)
  await world.pullThrough.manifest(app, 'prod', get)
  await world.writer.delete(app)
  await expect.poll(() => world.pullThrough.warm('demo', 'app', 'prod')).toBeUndefined()
  expect(await answer(world.pullThrough.manifest(app, image.manifest.digest, get))).toMatchObject({
    code: 'NAME_UNKNOWN',
  })
})
