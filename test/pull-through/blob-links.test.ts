import { expect, test } from 'vitest'
import { readAll } from '../../src/content/reader.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { linkKey } from '../../src/streams/keys.ts'
import { failing, withBytes } from '../support/fake-upstream-faults.ts'
import { makeImage, makeIndex, piece, type TestImage } from '../support/images.ts'
import { app, pullWorld } from './world.ts'

const nowhere = digestOf('nowhere')

function configOf(child: TestImage | undefined): string {
  return child?.config.digest ?? ''
}

test('a blob asked for before its manifest is found by reading the children of the index', async () => {
  const world = await pullWorld()
  const index = makeIndex('unread')
  await world.import(index)
  for (const child of index.children.toReversed()) {
    const layer = child.layers[0]
    const blob = await world.pullThrough.blob(app, layer?.digest ?? '')
    expect(await readAll(blob)).toEqual(layer?.bytes)
    expect(await world.restarted().blobSize(app, configOf(child))).toMatchObject({ size: child.config.bytes.length })
  }
  const manifests = world
    .asked()
    .filter((request) => index.children.some(({ manifest }) => request.endsWith(manifest.digest)))
  expect(manifests.sort()).toEqual(index.children.map(({ manifest }) => `GET lib/app ${manifest.digest}`).sort())
})

test('a blob that no image of the stream names is unknown once all are read, and then nobody is asked any more', async () => {
  const world = await pullWorld()
  const index = makeIndex('unread')
  await world.import(index)
  await world.import(makeImage('plain'), { tag: 'plain' })
  await expect(world.pullThrough.blob(app, nowhere)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  expect(world.asked().sort()).toEqual(index.children.map(({ manifest }) => `GET lib/app ${manifest.digest}`).sort())
  await expect(world.pullThrough.blob(app, digestOf('elsewhere'))).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  await expect(world.restarted().blobSize(app, nowhere)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  expect(world.asked()).toEqual([])
})

test('a new index of a stream is read although everything before it was', async () => {
  const world = await pullWorld()
  await world.import(makeIndex('first'))
  await expect(world.pullThrough.blob(app, nowhere)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  const second = makeIndex('second')
  await world.import(second, { tag: 'next' })
  expect(await world.pullThrough.blobSize(app, configOf(second.children[1]))).toBeDefined()
})

test('the indexes that a tag stood at before are read too', async () => {
  const world = await pullWorld()
  const before = makeIndex('before')
  await world.import(before)
  await world.import(makeImage('after'))
  expect(await world.pullThrough.blobSize(app, configOf(before.children[0]))).toBeDefined()
})

test('an index within an index is read to its leaves', async () => {
  const world = await pullWorld()
  const inner = makeIndex('inner')
  world.registry.put('lib/app', inner)
  const { digest, mediaType, bytes } = inner.manifest
  const manifests = [{ digest, mediaType, size: bytes.length }]
  const outer = piece(
    mediaTypes.ociIndex,
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }),
  )
  await world.import(outer)
  const pullThrough = world.restarted({ maxReads: 1 })
  const leaf = configOf(inner.children[1])
  await expect(pullThrough.blobSize(app, leaf)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(await pullThrough.blobSize(app, leaf)).toMatchObject({ digest: leaf })
  await expect(world.pullThrough.blobSize(app, nowhere)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
})

test('an absent child of an index within an index is asked for again after a minute too', async () => {
  const world = await pullWorld()
  const inner = makeIndex('inner')
  const { digest, mediaType, bytes } = inner.manifest
  const manifests = [{ digest, mediaType, size: bytes.length }]
  const outer = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }
  world.registry.put('lib/app', inner.manifest)
  await world.import(piece(mediaTypes.ociIndex, JSON.stringify(outer)))
  const leaf = configOf(inner.children[1])
  await expect(world.pullThrough.blobSize(app, leaf)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  world.registry.put('lib/app', inner)
  world.clock.advance(61_000)
  expect(await world.pullThrough.blobSize(app, leaf)).toMatchObject({ digest: leaf })
})

test('lookups at the same time share what they read', async () => {
  const world = await pullWorld()
  const index = makeIndex('shared', ['amd64', 'arm64', 'riscv64'])
  await world.import(index)
  const held = world.registry.hold(/manifests/)
  const digests = [...index.children.map(configOf), configOf(index.children[0])]
  const lookups = digests.map((digest) => world.pullThrough.blobSize(app, digest))
  await held.arrived(3)
  held.release()
  await Promise.all(lookups)
  const manifests = world.asked().filter((request) => request.startsWith('GET'))
  expect(manifests).toHaveLength(3)
})

test('lookups of one blob share one answer, and the tags are walked again only after the stream changed', async () => {
  const world = await pullWorld()
  await world.import(makeIndex('shared'))
  let walks = 0
  const reader = {
    ...world.reader,
    tags: (...args: Parameters<typeof world.reader.tags>) => {
      walks += 1
      return world.reader.tags(...args)
    },
  }
  const pullThrough = world.restarted({ reader })
  const lookups = Array.from({ length: 10 }, () => pullThrough.blobSize(app, nowhere))
  for (const { status } of await Promise.allSettled(lookups)) expect(status).toBe('rejected')
  expect(walks).toBe(1)
  await expect(pullThrough.blobSize(app, digestOf('elsewhere'))).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  expect(walks).toBe(1)
  await world.import(makeImage('change'), { tag: 'other' })
  await expect(pullThrough.blobSize(app, nowhere)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  expect(walks).toBe(2)
})

test('what was read once is not looked up again when the stream changes', async () => {
  const world = await pullWorld()
  for (const tag of ['a', 'b', 'c', 'd']) await world.import(makeIndex(tag), { tag })
  let asked = 0
  const links = {
    ...world.links,
    get: (...args: Parameters<typeof world.links.get>) => {
      asked += 1
      return world.links.get(...args)
    },
  }
  const pullThrough = world.restarted({ links })
  const lookUp = async () => {
    asked = 0
    await expect(pullThrough.blobSize(app, nowhere)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
    return asked
  }
  expect(await lookUp()).toBeGreaterThan(8)
  await world.import(makeImage('change'), { tag: 'other' })
  expect(await lookUp()).toBe(2)
})

test('no more than so many manifests are read for one answer, and the next goes on from there', async () => {
  const world = await pullWorld()
  const architectures = Array.from({ length: 40 }, (_, i) => `arch${i}`)
  const index = makeIndex('wide', architectures)
  await world.import(index)
  const pullThrough = world.restarted({ maxReads: 16 })
  const last = configOf(index.children[39])
  for (const read of [16, 16]) {
    await expect(pullThrough.blobSize(app, last)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryAfterSeconds: 1 })
    expect(world.asked()).toHaveLength(read)
  }
  expect(await pullThrough.blobSize(app, last)).toBeDefined()
})

test.each([
  [500, 'UNAVAILABLE'],
  [429, 'TOOMANYREQUESTS'],
])('while a child can not be read because of %i, a blob is not said to be unknown', async (status, code) => {
  const world = await pullWorld()
  const index = makeIndex('flaky')
  await world.import(index)
  const heal = world.registry.intercept(failing(new RegExp(index.children[0]?.manifest.digest ?? ''), status))
  await expect(world.pullThrough.blob(app, nowhere)).rejects.toMatchObject({ code })
  expect(await world.pullThrough.blobSize(app, configOf(index.children[1]))).toBeDefined()
  heal()
  world.clock.advance(5_001)
  expect(await world.pullThrough.blobSize(app, configOf(index.children[0]))).toBeDefined()
})

test('children that fail are asked for once in five seconds, however many blobs are looked up', async () => {
  const world = await pullWorld()
  const index = makeIndex(
    'broken',
    Array.from({ length: 20 }, (_, i) => `arch${i}`),
  )
  await world.import(index)
  const heal = world.registry.intercept(failing(/manifests\/sha256/, 500))
  const lookUp = (i: number) => world.pullThrough.blobSize(app, digestOf(`random ${i}`))
  await expect(lookUp(0)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  const once = world.asked().length
  expect(once).toBeGreaterThanOrEqual(20)
  world.clock.advance(4_000)
  for (let i = 1; i < 20; i++) await expect(lookUp(i)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(world.asked()).toEqual([])
  world.clock.advance(1_001)
  await expect(Promise.all(Array.from({ length: 20 }, (_, i) => lookUp(i)))).rejects.toThrow()
  expect(world.asked().length).toBeLessThanOrEqual(once)
  heal()
  world.clock.advance(5_001)
  expect(await world.pullThrough.blobSize(app, configOf(index.children[19]))).toBeDefined()
})

test('children that fail do not keep those after them from being read', async () => {
  const world = await pullWorld()
  const index = makeIndex(
    'half',
    Array.from({ length: 10 }, (_, i) => `arch${i}`),
  )
  await world.import(index)
  for (const child of index.children.slice(0, 8)) {
    world.registry.intercept(failing(new RegExp(child.manifest.digest), 500))
  }
  const pullThrough = world.restarted({ maxReads: 8 })
  const last = configOf(index.children[9])
  await expect(pullThrough.blobSize(app, last)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(await pullThrough.blobSize(app, last)).toMatchObject({ digest: last })
})

test('a child with wrong bytes is not taken for one that names nothing', async () => {
  const world = await pullWorld()
  const index = makeIndex('altered')
  await world.import(index)
  world.registry.intercept(withBytes(new RegExp(index.children[0]?.manifest.digest ?? ''), Buffer.from('{}')))
  await expect(world.pullThrough.blob(app, nowhere)).rejects.toMatchObject({ upstream: { reason: 'BadDigest' } })
})

test('a child that the upstream does not have names nothing, and is asked for again only after a minute', async () => {
  const world = await pullWorld()
  const index = makeIndex('sparse')
  await world.import(index)
  const absent = index.children[0]
  world.registry.remove(absent?.manifest.digest ?? nowhere)
  const lookUp = () => world.pullThrough.blobSize(app, configOf(absent))
  await expect(lookUp()).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  expect(world.asked()).toContain(`GET lib/app ${absent?.manifest.digest}`)
  await world.import(makeImage('change'), { tag: 'other' })
  world.registry.put('lib/app', absent ?? index)
  world.clock.advance(59_000)
  await expect(lookUp()).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  expect(world.asked()).toEqual([])
  world.clock.advance(2_000)
  expect(await lookUp()).toBeDefined()
})

test('a child that is no manifest names nothing', async () => {
  const world = await pullWorld()
  const image = makeImage('beside')
  const odd = piece(mediaTypes.ociManifest, '{"schemaVersion":2}')
  const other = piece('application/vnd.example+json', '{}')
  for (const content of [image, odd, other]) world.registry.put('lib/app', content)
  const manifests = [odd, other, image.manifest].map(({ digest, mediaType, bytes }) => ({
    digest,
    mediaType,
    size: bytes.length,
  }))
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }
  await world.import(piece(mediaTypes.ociIndex, JSON.stringify(index)))
  expect(await world.pullThrough.blobSize(app, image.config.digest)).toBeDefined()
  await expect(world.pullThrough.blob(app, nowhere)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  expect(world.asked()).not.toContain(`GET lib/app ${other.digest}`)
  expect(await readAll(await world.pullThrough.blob(app, other.digest))).toEqual(other.bytes)
})

test('what was read just before its links were removed is read again', async () => {
  const world = await pullWorld()
  const index = makeIndex('raced')
  await world.import(index)
  const [child] = index.children
  const digest = child?.manifest.digest ?? nowhere
  const uid = (await world.pins.uid(app)) ?? ''
  let looks = 0
  const links: typeof world.links = {
    ...world.links,
    async get(name, asked) {
      const link = await world.links.get(name, asked)
      if (asked !== digest || link === undefined || ++looks !== 2) return link
      const keys = [digest, child?.config.digest ?? nowhere].map((each) => linkKey(app, each))
      await world.store.commit({ operations: keys.map((key) => ({ type: 'delete', key })) })
      pullThrough.forget(uid)
      // As an index does that comes again.
      const { mediaType, size, locations } = link
      await world.links.add(app, uid, [{ digest, mediaType, size, locations }])
      return link
    },
  }
  const pullThrough = world.restarted({ links })
  await expect(pullThrough.blobSize(app, configOf(child))).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  expect(await pullThrough.blobSize(app, configOf(child))).toMatchObject({ digest: configOf(child) })
})

test('a blob is found for who pushes a manifest that names it, as it is for who pulls it', async () => {
  const world = await pullWorld()
  const index = makeIndex('named again')
  await world.import(index)
  const layer = index.children[1]?.layers[0]?.digest ?? expect.fail()
  expect(await world.links.get(app, layer)).toBeUndefined()
  expect(await world.pullThrough.findBlob(app, layer)).toMatchObject({ digest: layer, isBlob: true })
  expect(await world.pullThrough.findBlob(app, digestOf('nothing'))).toBeUndefined()
  expect(await world.pullThrough.findBlob({ project: 'demo', stream: 'absent' }, layer)).toBeUndefined()
})
