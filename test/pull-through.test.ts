import { expect, test } from 'vitest'
import { readAll } from '../src/content/reader.ts'
import { type Digest, digestOf } from '../src/oci/digest.ts'
import { mediaTypes } from '../src/oci/media-types.ts'
import { app, pullWorld } from './pull-through/world.ts'
import { failing } from './support/fake-upstream-faults.ts'
import { makeImage, makeIndex, piece } from './support/images.ts'

const get = { head: false }
const head = { head: true }

test('I4: a pull by tag gives the exact bytes, their media type and the pin', async () => {
  const world = await pullWorld()
  for (const docker of [false, true]) {
    const image = makeImage(`image ${docker}`, { docker })
    await world.import(image)
    const served = await world.pullThrough.manifest(app, 'prod', get)
    expect(served).toMatchObject({
      digest: image.manifest.digest,
      mediaType: image.manifest.mediaType,
      size: image.manifest.bytes.length,
      pin: { digest: image.manifest.digest, revision: docker ? 2 : 1 },
    })
    expect(served.bytes).toEqual(image.manifest.bytes)
  }
})

test('everything that an index names can be pulled by digest', async () => {
  const world = await pullWorld()
  const index = makeIndex('a')
  await world.import(index)
  expect((await world.pullThrough.manifest(app, 'prod', get)).bytes).toEqual(index.manifest.bytes)
  for (const child of index.children) {
    const served = await world.pullThrough.manifest(app, child.manifest.digest, get)
    expect(served).toMatchObject({ digest: child.manifest.digest, mediaType: child.manifest.mediaType, pin: undefined })
    expect(served.bytes).toEqual(child.manifest.bytes)
    for (const { digest, bytes } of [child.config, ...child.layers]) {
      expect(await world.pullThrough.blobSize(app, digest)).toEqual({ digest, size: bytes.length })
      const blob = await world.pullThrough.blob(app, digest)
      expect(blob).toMatchObject({ digest, size: bytes.length, offset: 0, length: bytes.length })
      expect(await readAll(blob)).toEqual(bytes)
    }
  }
})

test('an index within an index can be pulled to its leaves', async () => {
  const world = await pullWorld()
  const inner = makeIndex('inner', ['riscv64'])
  const outer = indexOf([{ ...inner.manifest, size: inner.manifest.bytes.length }])
  world.registry.put('lib/app', inner)
  await world.import(outer)
  const leaf = inner.children[0]?.manifest.digest ?? ''
  await expect(world.pullThrough.manifest(app, leaf, get)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
  await world.pullThrough.manifest(app, inner.manifest.digest, get)
  expect((await world.pullThrough.manifest(app, leaf, get)).digest).toBe(leaf)
})

test('I1: pulls ask the upstream for digests alone, also after its tag moved and after it went', async () => {
  const world = await pullWorld()
  const index = makeIndex('pinned')
  await world.import(index)
  const pull = async () => {
    const pullThrough = world.restarted()
    expect((await pullThrough.manifest(app, 'prod', head)).digest).toBe(index.manifest.digest)
    expect((await pullThrough.manifest(app, 'prod', get)).digest).toBe(index.manifest.digest)
    for (const child of index.children) {
      await pullThrough.manifest(app, child.manifest.digest, get)
      await readAll(await pullThrough.blob(app, child.config.digest))
    }
  }
  await pull()
  world.registry.put('lib/app', makeIndex('moved'), { tag: 'prod' })
  await pull()
  world.registry.untag('lib/app', 'prod')
  await pull()
  const asked = world.asked()
  expect(asked).toContain(`GET lib/app ${index.children[0]?.manifest.digest}`)
  for (const request of asked) expect(request).toMatch(/^(GET|HEAD) lib\/app sha256:[0-9a-f]{64}$/)
})

test('I8: with the upstream gone, manifests that were imported or pulled once are served, also after a restart', async () => {
  const world = await pullWorld()
  const index = makeIndex('kept')
  await world.import(index)
  const child = index.children[0]?.manifest.digest ?? ''
  await world.pullThrough.manifest(app, child, get)
  await world.registry.close()
  for (const pullThrough of [world.pullThrough, world.restarted()]) {
    expect((await pullThrough.manifest(app, 'prod', get)).bytes).toEqual(index.manifest.bytes)
    expect((await pullThrough.manifest(app, index.manifest.digest, get)).bytes).toEqual(index.manifest.bytes)
    expect((await pullThrough.manifest(app, child, get)).bytes).toEqual(index.children[0]?.manifest.bytes)
    expect(await pullThrough.manifest(app, 'prod', head)).toMatchObject({ size: index.manifest.bytes.length })
  }
})

test.each([401, 403, 404, 429, 500, 503])(
  'I8: an upstream that answers %i breaks no pull of what is held',
  async (status) => {
    const world = await pullWorld()
    const image = makeImage('held')
    await world.import(image)
    world.registry.intercept(failing(/./, status))
    const served = await world.restarted().manifest(app, 'prod', get)
    expect(served).toMatchObject({ digest: image.manifest.digest, pin: { condition: undefined } })
    expect(world.asked()).toEqual([])
  },
)

test('I7, I8: a failed import leaves the pin, and the pull tells of the failure', async () => {
  const world = await pullWorld()
  const image = makeImage('good')
  await world.import(image)
  world.registry.intercept(failing(/./, 404))
  await world.importImage('app', 'prod', `${world.registry.host}/lib/app:prod`)
  const tag = await world.reader.tag(app, 'prod')
  await world.pins.reached(tag?.storeRevision ?? 0)
  for (const pullThrough of [world.pullThrough, world.restarted()]) {
    const served = await pullThrough.manifest(app, 'prod', get)
    expect(served).toMatchObject({ digest: image.manifest.digest, pin: { condition: { reason: 'NotFound' } } })
  }
})

test('a warm pull is answered at once from memory, with the same object each time', async () => {
  const world = await pullWorld()
  const index = makeIndex('warm')
  const child = index.children[0]?.manifest.digest ?? ''
  await world.import(index)
  const { pullThrough } = world
  expect(pullThrough.warm('demo', 'app', 'prod')).toBeUndefined()
  expect(pullThrough.warm('demo', 'app', child)).toBeUndefined()
  await pullThrough.manifest(app, 'prod', get)
  await pullThrough.manifest(app, child, get)
  const warm = pullThrough.warm('demo', 'app', 'prod')
  expect(warm).toMatchObject({ digest: index.manifest.digest, pin: { digest: index.manifest.digest } })
  expect(warm?.bytes).toEqual(index.manifest.bytes)
  expect(pullThrough.warm('demo', 'app', 'prod')).toBe(warm)
  expect(pullThrough.warm('demo', 'app', child)).toMatchObject({ digest: child, pin: undefined })
  expect(pullThrough.warm('demo', 'app', index.manifest.digest)).toMatchObject({ pin: undefined })
})

test.each([
  ['demo', 'app', 'other'],
  ['demo', 'app', `sha256:${'0'.repeat(64)}`],
  ['demo', 'app', 'sha256:'],
  ['demo', 'app', ':'],
  ['demo', 'app', ''],
  ['demo', 'other', 'prod'],
  ['evil', 'app', 'prod'],
  ['', '', ''],
])('memory knows nothing of %s/%s %s', async (project, stream, reference) => {
  const world = await pullWorld()
  await world.import(makeImage('warm'))
  await world.pullThrough.manifest(app, 'prod', get)
  expect(world.pullThrough.warm(project, stream, reference)).toBeUndefined()
})

test('a warm pull follows the tag', async () => {
  const world = await pullWorld()
  await world.import(makeImage('first'))
  await world.pullThrough.manifest(app, 'prod', get)
  const second = makeImage('second')
  await world.import(second)
  await world.pins.reached((await world.reader.tag(app, 'prod'))?.storeRevision ?? 0)
  expect(world.pullThrough.warm('demo', 'app', 'prod')).toBeUndefined()
  expect((await world.pullThrough.manifest(app, 'prod', get)).digest).toBe(second.manifest.digest)
  expect(world.pullThrough.warm('demo', 'app', 'prod')?.pin?.revision).toBe(2)
})

test('two tags at one digest are each told their own pin', async () => {
  const world = await pullWorld()
  const image = makeImage('shared')
  await world.import(image, { tag: 'a' })
  await world.import(makeImage('before'), { tag: 'b' })
  await world.import(image, { tag: 'b' })
  for (const tag of ['a', 'b', 'a']) {
    const served = await world.pullThrough.manifest(app, tag, get)
    expect(served).toMatchObject({ digest: image.manifest.digest, pin: { revision: tag === 'a' ? 1 : 2 } })
    expect(world.pullThrough.warm('demo', 'app', tag)).toBe(served)
  }
})

test('memory is bounded by bytes: what does not fit is served from disk', async () => {
  const world = await pullWorld()
  const image = makeImage('large')
  await world.import(image)
  const pullThrough = world.restarted({ maxCachedBytes: 600 })
  expect((await pullThrough.manifest(app, 'prod', get)).bytes).toEqual(image.manifest.bytes)
  expect(pullThrough.warm('demo', 'app', 'prod')).toBeUndefined()
  expect((await pullThrough.manifest(app, 'prod', get)).bytes).toEqual(image.manifest.bytes)
})

test('HEAD of a manifest that was never fetched asks no upstream and gives no bytes', async () => {
  const world = await pullWorld()
  const index = makeIndex('a')
  await world.import(index)
  const child = index.children[0]?.manifest ?? index.manifest
  expect(await world.pullThrough.manifest(app, child.digest, head)).toEqual({
    digest: child.digest,
    mediaType: child.mediaType,
    size: child.bytes.length,
    bytes: undefined,
    pin: undefined,
  })
  expect(await world.pullThrough.manifest(app, 'prod', head)).toMatchObject({ bytes: undefined, pin: { revision: 1 } })
  expect(world.asked()).toEqual([])
})

test('I1: HEAD of a manifest whose size nobody told asks the upstream by digest, by HEAD if that tells', async () => {
  const { pullThrough, registry, links, asked, ...world } = await pullWorld()
  await world.import(makeImage('other'))
  const image = makeImage('unsized')
  registry.put('lib/app', image)
  const { digest, mediaType, bytes } = image.manifest
  const locations = [{ kind: 'upstream' as const, host: registry.host, repository: 'lib/app', project: 'demo' }]
  const uid = (await world.pins.uid(app)) ?? ''
  await links.add(app, uid, [{ digest, mediaType, size: undefined, locations }])
  expect(await pullThrough.manifest(app, digest, head)).toMatchObject({ size: bytes.length, bytes: undefined })
  expect(asked()).toEqual([`HEAD lib/app ${digest}`])
  registry.intercept((req, res, next) => {
    if (req.method !== 'HEAD') return next()
    res.writeHead(200, { 'content-type': mediaType, 'docker-content-digest': digest }).end()
    return undefined
  })
  expect(await pullThrough.manifest(app, digest, head)).toMatchObject({ size: bytes.length })
  expect(asked()).toEqual([`HEAD lib/app ${digest}`, `GET lib/app ${digest}`])
})

test('a HEAD is answered from what is held when the size was never told and the upstream is gone', async () => {
  const { pullThrough, registry, links, content, ...world } = await pullWorld()
  await world.import(makeImage('other'))
  const { digest, mediaType, bytes } = makeImage('unsized').manifest
  const location = { kind: 'upstream' as const, host: registry.host, repository: 'lib/app', project: 'demo' }
  await links.add(app, (await world.pins.uid(app)) ?? '', [
    { digest, mediaType, size: undefined, locations: [location] },
  ])
  await content.putManifest(digest, bytes, location)
  await registry.close()
  expect(await pullThrough.manifest(app, digest, head)).toMatchObject({ size: bytes.length })
})

test('a cold manifest is fetched once for all who want it, of any stream with that location', async () => {
  const world = await pullWorld()
  const index = makeIndex('wanted')
  const other = { project: 'demo', stream: 'other' }
  await world.import(index)
  await world.import(index, { name: other })
  const child = index.children[0]?.manifest.digest ?? ''
  const held = world.registry.hold(new RegExp(`/manifests/${child}`))
  const pulls = [app, other, app, other].map((name) => world.pullThrough.manifest(name, child, get))
  await held.arrived()
  held.release()
  for (const { digest } of await Promise.all(pulls)) expect(digest).toBe(child)
  expect(world.asked()).toEqual([`GET lib/app ${child}`])
})

test('pulls of one manifest at the same time link what it names once', async () => {
  const world = await pullWorld()
  await world.import(makeImage('linked'))
  let added = 0
  const links = {
    ...world.links,
    add: (...args: Parameters<typeof world.links.add>) => {
      added += 1
      return world.links.add(...args)
    },
  }
  const pullThrough = world.restarted({ links })
  await Promise.all(Array.from({ length: 10 }, () => pullThrough.manifest(app, 'prod', get)))
  expect(added).toBe(1)
})

test('a failed fetch is not remembered', async () => {
  const world = await pullWorld()
  const index = makeIndex('flaky')
  await world.import(index)
  const child = index.children[0]?.manifest.digest ?? ''
  const heal = world.registry.intercept(failing(/manifests/, 500))
  await expect(world.pullThrough.manifest(app, child, get)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  heal()
  expect((await world.pullThrough.manifest(app, child, get)).digest).toBe(child)
})

test('a manifest is not given out before what it names is linked', async () => {
  const world = await pullWorld()
  const index = makeIndex('unlinked')
  await world.import(index)
  const child = index.children[0]
  const broken = { ...world.links, add: () => Promise.reject(new Error('the disk is full')) }
  const pullThrough = world.restarted({ links: broken })
  const digest = child?.manifest.digest ?? ''
  await expect(pullThrough.manifest(app, digest, get)).rejects.toThrow('the disk is full')
  expect(pullThrough.warm('demo', 'app', digest)).toBeUndefined()
  await world.pullThrough.manifest(app, digest, get)
  expect(await world.links.get(app, child?.config.digest ?? digestOf(''))).toMatchObject({
    digest: child?.config.digest,
  })
})

test('what is held because of another stream is linked in this one before it is given out', async () => {
  const world = await pullWorld()
  const index = makeIndex('shared')
  const other = { project: 'demo', stream: 'other' }
  await world.import(index)
  await world.import(index, { name: other })
  const child = index.children[0]
  await world.pullThrough.manifest(other, child?.manifest.digest ?? '', get)
  world.asked()
  await world.pullThrough.manifest(app, child?.manifest.digest ?? '', get)
  expect(world.asked()).toEqual([])
  expect(await world.links.get(app, child?.config.digest ?? digestOf(''))).toBeDefined()
})

test('a manifest that can not be kept is served all the same', async () => {
  const world = await pullWorld()
  const index = makeIndex('unkept')
  await world.import(index)
  const full = { ...world.content, putManifest: () => Promise.reject(new Error('the disk is full')) }
  const child = index.children[0]?.manifest.digest ?? ''
  expect((await world.restarted({ content: full }).manifest(app, child, get)).digest).toBe(child)
})

test('the next location of a link is asked when one fails', async () => {
  const world = await pullWorld()
  const index = makeIndex('twice')
  await world.import(index)
  await world.import(index, { repository: 'mirror/app', tag: 'mirror' })
  world.registry.intercept(failing(/lib\/app/, 500))
  const child = index.children[0]
  const served = await world.pullThrough.manifest(app, child?.manifest.digest ?? '', get)
  expect(served.bytes).toEqual(child?.manifest.bytes)
  const blob = await world.pullThrough.blob(app, child?.config.digest ?? '')
  expect(await readAll(blob)).toEqual(child?.config.bytes)
})

test('a range of a blob comes as a part', async () => {
  const world = await pullWorld()
  const image = makeImage('ranged', { layers: [Buffer.from('0123456789')] })
  await world.import(image)
  const digest = image.layers[0]?.digest ?? ''
  const blob = await world.pullThrough.blob(app, digest, { start: 2, end: 4 })
  expect(blob).toMatchObject({ size: 10, offset: 2, length: 3 })
  expect((await readAll(blob)).toString()).toBe('234')
  await expect(world.pullThrough.blob(app, digest, { start: 10 })).rejects.toMatchObject({
    code: 'RANGE_INVALID',
    detail: { size: 10 },
  })
})

test('content with sha512 digests is pulled by those', async () => {
  const world = await pullWorld()
  const image = makeImage('long')
  const long = { ...image.manifest, digest: digestOf(image.manifest.bytes, 'sha512') }
  world.registry.put('lib/app', image)
  world.registry.put('lib/app', long)
  await world.import(indexOf([{ ...long, size: long.bytes.length }]))
  for (const pullThrough of [world.pullThrough, world.restarted()]) {
    expect(await pullThrough.manifest(app, long.digest, get)).toMatchObject({ digest: long.digest, bytes: long.bytes })
    await expect(pullThrough.manifest(app, image.manifest.digest, get)).rejects.toMatchObject({
      code: 'MANIFEST_UNKNOWN',
    })
    expect(await pullThrough.blobSize(app, image.config.digest)).toMatchObject({ digest: image.config.digest })
  }
})

test('a manifest is not had as a blob, nor a blob as a manifest', async () => {
  const world = await pullWorld()
  const index = makeIndex('kinds')
  await world.import(index)
  const child = index.children[0]
  for (const digest of [index.manifest.digest, child?.manifest.digest ?? '']) {
    await world.pullThrough.manifest(app, digest, get)
    await expect(world.pullThrough.blob(app, digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
    await expect(world.pullThrough.blobSize(app, digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  }
  expect(world.asked()).toEqual([`GET lib/app ${child?.manifest.digest}`])
  const config = child?.config.digest ?? ''
  await expect(world.pullThrough.manifest(app, config, get)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
  await expect(world.pullThrough.manifest(app, config, head)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
})

test.each([
  ['sha256:short', 'DIGEST_INVALID', 'DIGEST_INVALID'],
  [`SHA256:${'a'.repeat(64)}`, 'DIGEST_INVALID', 'DIGEST_INVALID'],
  [`sha256:../${'a'.repeat(61)}`, 'DIGEST_INVALID', 'DIGEST_INVALID'],
  ['.INVALID_MANIFEST_NAME', 'MANIFEST_UNKNOWN', 'DIGEST_INVALID'],
  ['a!b', 'MANIFEST_UNKNOWN', 'DIGEST_INVALID'],
  ['absent', 'MANIFEST_UNKNOWN', 'DIGEST_INVALID'],
  ['', 'MANIFEST_UNKNOWN', 'DIGEST_INVALID'],
])('the reference %j answers %s, as a blob %s', async (reference, asManifest, asBlob) => {
  const world = await pullWorld()
  await world.import(makeImage('a'))
  await expect(world.pullThrough.manifest(app, reference, get)).rejects.toMatchObject({ code: asManifest })
  await expect(world.pullThrough.blob(app, reference)).rejects.toMatchObject({ code: asBlob })
  expect(world.asked()).toEqual([])
})

test.each(['.hidden', 'a!b', 'a/b', '../prod', 'prod\u0000', 'x'.repeat(129)])(
  '%j is not looked up as a tag',
  async (reference) => {
    const world = await pullWorld()
    await world.import(makeImage('a'))
    const pins = { ...world.pins, pin: () => Promise.reject(new TypeError('looked up')) }
    const pulled = world.restarted({ pins }).manifest(app, reference, get)
    await expect(pulled).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
  },
)

test('what memory has is served without asking the store for its link', async () => {
  const world = await pullWorld()
  const image = makeImage('warm')
  await world.import(image)
  let asked = 0
  const links = {
    ...world.links,
    get: (...args: Parameters<typeof world.links.get>) => {
      asked += 1
      return world.links.get(...args)
    },
  }
  const pullThrough = world.restarted({ links })
  await pullThrough.manifest(app, 'prod', get)
  for (const options of [get, head]) {
    expect((await pullThrough.manifest(app, 'prod', options)).bytes).toEqual(image.manifest.bytes)
    expect((await pullThrough.manifest(app, image.manifest.digest, options)).bytes).toEqual(image.manifest.bytes)
  }
  expect(asked).toBe(1)
})

test('a stream that does not exist is unknown by name', async () => {
  const { pullThrough } = await pullWorld()
  const digest = `sha256:${'a'.repeat(64)}`
  await expect(pullThrough.manifest(app, 'prod', get)).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
  await expect(pullThrough.manifest(app, digest, get)).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
  await expect(pullThrough.tags(app, {})).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
  await expect(pullThrough.blob(app, digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
})

test('tags are named in byte order, page by page, and only those that stand somewhere', async () => {
  const world = await pullWorld()
  const image = makeImage('tagged')
  for (const tag of ['v1', 'B', 'v1.1', 'a', 'v1-x']) await world.import(image, { tag })
  for (const tag of ['failed', 'a0', 'zz']) await world.importImage('app', tag, `${world.registry.host}/lib/app:absent`)
  expect(await world.pullThrough.tags(app, {})).toEqual(['B', 'a', 'v1', 'v1-x', 'v1.1'])
  expect(await world.pullThrough.tags(app, { limit: 2 })).toEqual(['B', 'a'])
  expect(await world.pullThrough.tags(app, { limit: 2, after: 'a' })).toEqual(['v1', 'v1-x'])
  expect(await world.pullThrough.tags(app, { after: 'b' })).toEqual(['v1', 'v1-x', 'v1.1'])
  expect(await world.pullThrough.tags(app, { after: 'v1.1' })).toEqual([])
  expect(await world.pullThrough.tags(app, { limit: 0 })).toEqual([])
})

test('a page is full however many tags before it stand nowhere', async () => {
  const world = await pullWorld()
  await world.import(makeImage('tagged'), { tag: 'z' })
  const real = await world.reader.tag(app, 'z')
  if (real === undefined) throw new Error('the tag is there')
  const nowhere = Array.from({ length: 250 }, (_, i) => ({
    ...real,
    name: `a${i}`,
    record: { ...real.record, items: [] },
  }))
  const all = [...nowhere, real].sort((a, b) => (a.name < b.name ? -1 : 1))
  const reader = {
    ...world.reader,
    tags: async (_: unknown, { after = '', limit = all.length }: { after?: string; limit?: number } = {}) =>
      all.filter(({ name }) => name > after).slice(0, limit),
  }
  expect(await world.restarted({ reader }).tags(app, { limit: 1 })).toEqual(['z'])
})

function indexOf(manifests: { digest: Digest; mediaType: string; size: number }[]) {
  const described = manifests.map(({ digest, mediaType, size }) => ({ digest, mediaType, size }))
  const document = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: described }
  return piece(mediaTypes.ociIndex, JSON.stringify(document))
}
