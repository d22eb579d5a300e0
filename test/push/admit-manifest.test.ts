import { describe, expect, test } from 'vitest'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { makeImage, makeIndex, type Piece } from '../support/images.ts'
import { descriptorOf, indexOf, manifestOf, nameOf, type PushWorld, pushWorld, refusalOf } from './manifest-world.ts'

const v1 = makeImage('v1')
const multi = makeIndex('multi')
const app = nameOf('demo/app')

test('what the stream does not have is told, each digest', async () => {
  const world = await pushWorld()
  await world.pushBlob('demo/app', v1.config)
  const refusal = await refusalOf(world.put('demo/app:prod', v1.manifest))
  expect(refusal).toMatchObject({ code: 'MANIFEST_BLOB_UNKNOWN', digests: v1.layers.map(({ digest }) => digest) })
  expect(await world.pin('demo/app:prod')).toBeUndefined()
})

test('what many missing digests cost is one search', async () => {
  const world = await pushWorld()
  await world.pushBlob('demo/app', v1.config)
  const layers = Array.from({ length: 200 }, (_, i) => ({ ...descriptorOf(v1.config), digest: digestOf(`no ${i}`) }))
  let searches = 0
  const findBlob = async () => {
    searches += 1
    return undefined
  }
  const through = world.putManifestWith({ findBlob })
  const refusal = await refusalOf(world.put('demo/app:prod', manifestOf(v1.config, layers), { through }))
  expect(refusal).toMatchObject({ code: 'MANIFEST_BLOB_UNKNOWN', digests: layers.map(({ digest }) => digest) })
  expect(searches).toBe(1)
})

test('a search goes on as long as it finds something', async () => {
  const world = await pushWorld()
  const [layer] = v1.layers
  for (const piece of [v1.config, layer as Piece]) await world.pushBlob('demo/source', piece)
  await world.writer.create(app)
  const found: Digest[] = []
  const findBlob = async (_: unknown, digest: Digest) => {
    found.push(digest)
    const stream = await world.reader.stream(app)
    const link = await world.links.get(nameOf('demo/source'), digest)
    if (stream !== undefined && link !== undefined) {
      const { mediaType, size, locations } = link
      await world.links.add(stream, stream.uid, [{ digest, mediaType, size, locations }])
    }
    return world.links.get(app, digest)
  }
  await world.put('demo/app:prod', v1.manifest, { through: world.putManifestWith({ findBlob }) })
  expect(found).toEqual([v1.config, ...v1.layers].map(({ digest }) => digest))
})

test('a manifest that is refused for a size leaves what is known of the blob', async () => {
  const world = await pushWorld()
  const [layer] = v1.layers
  for (const piece of [v1.config, ...v1.layers]) await world.pushBlob('demo/app', piece)
  const lie = manifestOf(v1.config, [{ ...descriptorOf(layer as Piece), size: 7 }])
  expect(await refusalOf(world.put('demo/app:prod', lie))).toMatchObject({ code: 'SIZE_INVALID' })
  expect(await world.links.get(app, layer?.digest as Digest)).toMatchObject({ size: layer?.bytes.length })
})

describe('I5: a manifest that names what another project pushed', () => {
  const secret = makeImage('secret')

  test('opens no blob, when it calls it a layer that is had elsewhere', async () => {
    const world = await pushWorld()
    await world.push('demo/app:prod', secret)
    const [layer] = secret.layers
    const foreign = { ...descriptorOf(layer as Piece), urls: ['https://elsewhere.test/layer'] }
    const manifest = manifestOf(v1.config, [foreign])
    await world.pushBlob('demo/evil', v1.config)
    await world.put('demo/evil:prod', manifest)
    await world.pullThrough.manifest(nameOf('demo/evil'), 'prod', { head: false })
    await expect(world.pullThrough.blob(nameOf('demo/evil'), layer?.digest ?? '')).rejects.toMatchObject({
      code: 'BLOB_UNKNOWN',
    })
    expect(await world.links.get(nameOf('demo/evil'), layer?.digest as Digest)).toBeUndefined()
  })

  test('opens neither a manifest nor its blobs, when it is a child of an index', async () => {
    const world = await pushWorld()
    await world.push('demo/app:prod', secret)
    await world.put('demo/evil:prod', indexOf([secret.manifest]))
    await world.pullThrough.manifest(nameOf('demo/evil'), 'prod', { head: false })
    await expect(
      world.pullThrough.manifest(nameOf('demo/evil'), secret.manifest.digest, { head: false }),
    ).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
    for (const { digest } of [secret.config, ...secret.layers]) {
      await expect(world.pullThrough.blob(nameOf('demo/evil'), digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
    }
  })
})

describe('a blob that an index names as a manifest', () => {
  const secret = makeImage('secret of others')

  /** `demo/evil` has bytes as a blob that say to be a manifest, and an index that says so too. */
  async function disguised(bytes: Piece) {
    const world = await pushWorld()
    await world.push('demo/app:prod', secret)
    await world.pushBlob('demo/evil', { ...bytes, mediaType: 'application/octet-stream' })
    await world.put('demo/evil:prod', indexOf([bytes]))
    return { world, evil: nameOf('demo/evil') }
  }

  test('I5: opens nothing that it names, counts once, and stays a blob', async () => {
    const { subject } = { subject: descriptorOf(v1.manifest) }
    const sent = manifestOf(secret.config, secret.layers.map(descriptorOf), { subject })
    const { world, evil } = await disguised(sent)
    const used = await world.quotas.usage('demo')
    const served = await world.pullThrough.manifest(evil, sent.digest, { head: false })
    expect(served).toMatchObject({ bytes: sent.bytes, mediaType: sent.mediaType })
    for (const { digest } of [secret.config, ...secret.layers]) {
      expect(await world.links.get(evil, digest)).toBeUndefined()
      await expect(world.pullThrough.blob(evil, digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
    }
    expect(await world.quotas.usage('demo')).toEqual(used)
    expect((await world.pullThrough.blobSize(evil, sent.digest)).size).toBe(sent.bytes.length)
    // As who pushes it by a PUT could have it listed too.
    const { referrers } = await world.referrers.list(evil, v1.manifest.digest)
    expect(referrers.map(({ digest }) => digest)).toEqual([sent.digest])
    expect(await world.referrers.list(app, v1.manifest.digest)).toEqual({ referrers: [] })
  })

  test('is refused by a tag as long as it is not whole', async () => {
    const sent = manifestOf(secret.config, secret.layers.map(descriptorOf))
    const { world, evil } = await disguised(sent)
    await world.pullThrough.manifest(evil, sent.digest, { head: false })
    const refusal = await refusalOf(world.put('demo/evil:image', sent))
    expect(refusal.code).toBe('MANIFEST_BLOB_UNKNOWN')
    expect(await world.pin('demo/evil:image')).toBeUndefined()
  })

  test.each([
    ['is none', Buffer.from('{"schemaVersion":2}')],
    ['is two things', Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [], layers: [] }))],
    ['is no JSON', Buffer.from('\0\0\0')],
  ])('is not served as one when it %s', async (_, bytes) => {
    const { world, evil } = await disguised({ digest: digestOf(bytes), bytes, mediaType: v1.manifest.mediaType })
    await expect(world.pullThrough.manifest(evil, digestOf(bytes), { head: false })).rejects.toMatchObject({
      code: 'MANIFEST_INVALID',
    })
    expect((await world.links.get(evil, digestOf(bytes)))?.received).toBe(false)
  })
})

describe('what a manifest names', () => {
  test('may be what an import brought, and keeps its upstream', async () => {
    const world = await pushWorld()
    world.registry.put('lib/app', v1, { tag: 'v1' })
    await world.importImage('app', 'up', `${world.registry.host}/lib/app:v1`)
    const before = await world.links.get(app, v1.config.digest)
    const variant = manifestOf(v1.config, v1.layers.map(descriptorOf), { annotations: { built: 'here' } })
    await world.put('demo/app:prod', variant)
    expect((await world.links.get(app, v1.config.digest))?.locations).toEqual(before?.locations)
    expect((await world.links.get(app, variant.digest))?.locations).toEqual([{ kind: 'here' }])
  })

  test('may be what only an unread child of an imported index names', async () => {
    const world = await pushWorld()
    world.registry.put('lib/app', multi, { tag: 'v1' })
    await world.importImage('app', 'up', `${world.registry.host}/lib/app:v1`)
    const [child] = multi.children
    if (child === undefined) throw new TypeError('an index of none')
    const variant = manifestOf(child.config, child.layers.map(descriptorOf))
    expect((await refusalOf(world.put('demo/app:a', variant))).code).toBe('MANIFEST_BLOB_UNKNOWN')
    const through = world.putManifestWith({ findBlob: world.pullThrough.findBlob })
    await world.put('demo/app:b', variant, { through })
    expect(await world.pin('demo/app:b')).toBe(variant.digest)
  })

  test('may lack foreign layers, subjects, and children of an index', async () => {
    const world = await pushWorld()
    await world.pushBlob('demo/app', v1.config)
    const [layer] = v1.layers
    const absent = descriptorOf(layer as Piece)
    const byType = { ...absent, mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip' }
    const subject = descriptorOf(multi.manifest)
    const foreign = manifestOf(v1.config, [byType, { ...absent, urls: ['https://elsewhere.test/x'] }], { subject })
    expect(await world.put('demo/app:a', foreign)).toMatchObject({ subject: multi.manifest.digest })
    await world.put('demo/app:b', indexOf([v1.manifest, makeImage('never').manifest], { subject }))
    expect(await world.pin('demo/app:b')).toBeDefined()
    expect(await world.links.get(app, layer?.digest as Digest)).toBeUndefined()
  })

  test('may not be what another stream has', async () => {
    const world = await pushWorld()
    await world.push('demo/other:prod', v1)
    await world.pushBlob('demo/app', makeImage('x').config)
    const refusal = await refusalOf(world.put('demo/app:prod', v1.manifest))
    expect(refusal.digests).toEqual([v1.config, ...v1.layers].map(({ digest }) => digest))
  })

  test('is of the size that it is said to have', async () => {
    const world = await pushWorld()
    for (const blob of [v1.config, ...v1.layers]) await world.pushBlob('demo/app', blob)
    const layers = v1.layers.map((layer) => ({ ...descriptorOf(layer), size: layer.bytes.length + 1 }))
    const refusal = await refusalOf(world.put('demo/app:prod', manifestOf(v1.config, layers)))
    expect(refusal.code).toBe('SIZE_INVALID')
    expect(await world.pin('demo/app:prod')).toBeUndefined()
  })

  test('may not be what was here alone and is lost', async () => {
    const world = await pushWorld()
    for (const blob of [v1.config, ...v1.layers]) await world.pushBlob('demo/app', blob)
    await world.content.remove(v1.config.digest, { unusedSince: Number.MAX_SAFE_INTEGER })
    const refusal = await refusalOf(world.put('demo/app:prod', v1.manifest))
    expect(refusal).toMatchObject({ code: 'MANIFEST_BLOB_UNKNOWN', digests: [v1.config.digest] })
    expect(await world.links.get(app, v1.manifest.digest)).toBeUndefined()
  })

  test('of a child that lost a part of its own is told as well', async () => {
    const world = await pushWorld()
    await world.push(`demo/app@${v1.manifest.digest}`, v1)
    await world.content.remove(v1.config.digest, { unusedSince: Number.MAX_SAFE_INTEGER })
    const refusal = await refusalOf(world.put('demo/app:prod', indexOf([v1.manifest])))
    expect(refusal).toMatchObject({ code: 'MANIFEST_BLOB_UNKNOWN', digests: [v1.config.digest] })
    expect(await world.links.get(app, indexOf([v1.manifest]).digest)).toBeUndefined()
  })

  test('is renewed with all below it, so that nobody removes it for a day', async () => {
    const world = await pushWorld()
    await world.push(`demo/app@${v1.manifest.digest}`, v1)
    world.clock.advance(48 * 3600_000)
    await world.put('demo/app:prod', indexOf([v1.manifest]))
    const names = [v1.manifest, v1.config, ...v1.layers].map(({ digest }) => digest)
    for await (const { key, value } of await world.store.range({ prefix: 'link/demo/app/' })) {
      const digest = key.slice(key.lastIndexOf('/') + 1) as Digest
      if (names.includes(digest)) expect(JSON.parse(String(value)).renewedAt, key).toBeDefined()
    }
  })
})

describe('an index of many images that have layers in common', () => {
  /** So many images of the same layers, which the stream has; none has a layer of its own. */
  async function manyImages(count: number) {
    const world = await pushWorld()
    const blobs = [v1.config, ...v1.layers]
    for (const blob of blobs) await world.pushBlob('demo/app', blob)
    const images = Array.from({ length: count }, (_, i) =>
      manifestOf(v1.config, v1.layers.map(descriptorOf), { annotations: { number: `${i}` } }),
    )
    for (const image of images) await world.put(`demo/app@${image.digest}`, image)
    return { world, images, blobs }
  }

  async function linkRevisions(world: PushWorld, digests: readonly Digest[]): Promise<Map<string, number>> {
    const revisions = new Map<string, number>()
    for await (const { key, revision } of await world.store.range({ prefix: 'link/demo/app/' })) {
      const digest = key.slice(key.lastIndexOf('/') + 1) as Digest
      if (digests.includes(digest)) revisions.set(digest, revision)
    }
    return revisions
  }

  test('looks at each part once, and writes none that is young', async () => {
    const { world, images, blobs } = await manyImages(30)
    const digests = [...images, ...blobs].map(({ digest }) => digest)
    const before = await linkRevisions(world, digests)
    const touched: Digest[] = []
    let reads = 0
    const links = {
      ...world.links,
      get: (...asked: Parameters<typeof world.links.get>) => {
        reads += 1
        return world.links.get(...asked)
      },
    }
    const touch = (digest: Digest) => {
      touched.push(digest)
      return world.content.touch(digest)
    }
    const through = world.putManifestWith({ links, content: { ...world.content, touch } })
    const index = indexOf(images)
    await world.put('demo/app:prod', index, { through })
    // Once when it is named, and once when the index itself is there.
    for (const digest of digests)
      expect(touched.filter((each) => each === digest).length, digest).toBeLessThanOrEqual(2)
    expect(reads).toBeLessThan(5 * digests.length)
    expect(await linkRevisions(world, digests)).toEqual(before)
  })

  test('renews each that is old, in as many commits as its links need', async () => {
    const { world, images, blobs } = await manyImages(30)
    const digests = [...images, ...blobs].map(({ digest }) => digest)
    world.clock.advance(48 * 3600_000)
    await world.put('demo/app:prod', indexOf(images))
    const revisions = await linkRevisions(world, digests)
    expect(revisions.size).toBe(digests.length)
    expect(new Set(revisions.values()).size).toBe(1)
  })

  test('is refused when they have more parts than are looked at, and none of them is written', async () => {
    const { world, images, blobs } = await manyImages(5)
    world.clock.advance(48 * 3600_000)
    const digests = [...images, ...blobs].map(({ digest }) => digest)
    const before = await linkRevisions(world, digests)
    const through = (maxParts: number) => ({ through: world.putManifestWith({ maxParts }) })
    const refusal = await refusalOf(world.put('demo/app:prod', indexOf(images), through(digests.length - 1)))
    expect(refusal.code).toBe('TOO_LARGE')
    expect(refusal.message).toContain(`more than ${digests.length - 1} manifests and layers`)
    expect(await linkRevisions(world, digests)).toEqual(before)
    await world.put('demo/app:prod', indexOf(images), through(digests.length))
    expect(await world.pin('demo/app:prod')).toBe(indexOf(images).digest)
  })
})
