import { randomBytes, randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import type { Link, UpstreamLocation } from '../../src/content/content.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { createHome, type Home, type HomeOptions } from '../../src/push/home.ts'
import { homeAnnotation } from '../../src/streams/home-annotation.ts'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { failing, withHeader } from '../support/fake-upstream-faults.ts'
import { type FlowsWorld, flowsWorld } from '../support/flows.ts'
import { makeImage, makeIndex, type Piece, piece, type TestImage } from '../support/images.ts'
import { indexOf } from './manifest-world.ts'

const app = { project: 'demo', stream: 'app' }
const image = makeImage('home')
const index = makeIndex('home')
const [layer = image.config] = image.layers
const blobPuts = /^PUT .*\/blobs\/uploads\//
const manifestPuts = /^PUT .*\/manifests\//

interface HomeWorld extends FlowsWorld {
  home: Home
  createHome(more?: Partial<HomeOptions>): ReturnType<typeof createHome>
  annotate(home: string | undefined): Promise<void>
  /** Uploads bytes, and with `isPushed` pushes them on and links them as a push does. */
  upload(piece: Piece, isPushed?: boolean): Promise<void>
  link(piece: Piece, locations: Link['locations'], more?: { children?: Digest[] }): Promise<void>
  uploadImage(image: TestImage, isPushed?: boolean): Promise<void>
}

const here = [{ kind: 'here' }] as const

async function homeWorld(options: Parameters<typeof flowsWorld>[0] = {}): Promise<HomeWorld> {
  const flows = await flowsWorld(options)
  const { store, content, upstream, links, allowed, objects, writer, registry, pullThrough } = flows
  const obtain: HomeOptions['obtain'] = (name, digest) => pullThrough.manifest(name, digest, { head: false })
  const make: HomeWorld['createHome'] = (more = {}) =>
    createHome({ store, content, upstream, links, allowed, obtain, log: pino({ level: 'silent' }), ...more })
  const annotate = async (home: string | undefined): Promise<void> => {
    await objects.update('namespaces', '', 'demo', (project) => {
      const { [homeAnnotation]: _, ...annotations } = project.metadata.annotations ?? {}
      if (home !== undefined) annotations[homeAnnotation] = home
      return { ...project, metadata: { ...project.metadata, annotations } }
    })
  }
  await annotate(`${registry.host}/team`)
  const { uid } = await writer.create(app)
  const home = await make().of(app)
  if (home === undefined) throw new Error('no home')
  const world: HomeWorld = {
    ...flows,
    home,
    createHome: make,
    annotate,
    async upload(what, isPushed = true) {
      const id = randomUUID()
      await content.uploads.append(id, one(what.bytes), {})
      await content.uploads.finish(id, what.digest)
      if (isPushed) await home.pushBlob(what.digest, what.bytes.length)
      await world.link(what, isPushed ? [home.location] : here)
    },
    async link({ digest, mediaType, bytes }, locations, { children } = {}) {
      await links.add(app, uid, [{ digest, mediaType, size: bytes.length, locations, ...(children && { children }) }])
    },
    async uploadImage({ config, layers }, isPushed = true) {
      for (const each of [config, ...layers]) await world.upload(each, isPushed)
    },
  }
  return world
}

async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

function push({ home }: HomeWorld, { digest, bytes, mediaType }: Piece, tags: readonly string[] = []): Promise<void> {
  return home.pushManifest(digest, bytes, mediaType, tags)
}

function linkOf({ digest, mediaType, bytes }: Piece, locations: Link['locations']): Link {
  return { digest, mediaType, size: bytes.length, locations }
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'it succeeded',
    (error: unknown) => (error as { code?: unknown }).code ?? error,
  )
}

describe('of()', () => {
  test('is nothing where the project has no home, or is not there', async () => {
    const world = await homeWorld()
    const homes = world.createHome()
    expect(await homes.of({ project: 'none', stream: 'app' })).toBeUndefined()
    await world.annotate(undefined)
    expect(await homes.of(app)).toBeUndefined()
  })

  test('is a repository of the stream’s own, with the logins of the project as it is now', async () => {
    const { home, registry, objects } = await homeWorld()
    const project = await objects.get('namespaces', '', 'demo')
    expect(home.location).toEqual({
      kind: 'upstream',
      host: registry.host,
      repository: 'team/app',
      project: 'demo',
      projectUid: project?.metadata.uid,
    })
  })

  test.each(['evil.example/team', 'team', 'https://evil.example/team'])(
    'refuses to push rather than to keep here what belongs to %s',
    async (written) => {
      const world = await homeWorld()
      await world.annotate(written)
      const refused = world.createHome().of(app)
      expect(await codeOf(refused)).toBe('DENIED')
      await expect(refused).rejects.toThrow('weir.dev/home')
    },
  )
})

describe('pushBlob()', () => {
  test('has the bytes at home when it ends, and they may be given out and fetched again through home', async () => {
    const world = await homeWorld()
    const { content, registry, home } = world
    await world.upload(layer)
    expect(registry.blob('team/app', layer.digest)?.bytes).toEqual(layer.bytes)
    const link = linkOf(layer, [home.location])
    expect(await content.held(link)).toBe(layer.bytes.length)
    await content.remove(layer.digest, { unusedSince: Number.MAX_SAFE_INTEGER })
    expect(await content.held(link)).toBeUndefined()
    const opened = await content.open(link)
    expect(await opened.reader.read()).toEqual(layer.bytes)
    opened.reader.close()
  })

  test('I5: gives nobody else what it proved', async () => {
    const { content, home, ...world } = await homeWorld()
    await world.upload(layer)
    for (const other of [
      { ...home.location, repository: 'team/other' },
      { ...home.location, project: 'other' },
      { ...home.location, projectUid: 'later' },
    ]) {
      expect(await content.held(linkOf(layer, [other]))).toBeUndefined()
    }
  })

  test('is one for all who want the same at the same time', async () => {
    const world = await homeWorld()
    await world.upload(layer, false)
    const held = world.registry.hold(blobPuts)
    const another = await world.createHome().of(app)
    const pushes = Array.from({ length: 10 }, () => world.home.pushBlob(layer.digest, layer.bytes.length))
    await held.arrived()
    held.release()
    await Promise.all(pushes)
    expect(world.registry.matching(blobPuts)).toHaveLength(1)
    expect(world.registry.matching(/^HEAD/)).toHaveLength(1)
    await another?.pushBlob(layer.digest, layer.bytes.length)
    expect(world.registry.matching(blobPuts)).toHaveLength(1)
  })

  test('begins so many at a time, and turns away those after a thousand', async () => {
    const world = await homeWorld()
    const pieces = Array.from({ length: 1010 }, (_, i) => piece('x', String(i)))
    const held = world.registry.hold(/^HEAD/)
    const outcomes = pieces.map(({ digest }) => codeOf(world.home.pushBlob(digest, 1)))
    await held.arrived(8)
    expect(await Promise.all(outcomes.slice(1008))).toEqual(['TOOMANYREQUESTS', 'TOOMANYREQUESTS'])
    expect(world.registry.matching(/^HEAD/)).toHaveLength(8)
    world.registry.intercept(failing(/^HEAD/, 429, { headers: { 'retry-after': '60' } }))
    held.release()
    await Promise.all(outcomes)
  })

  test.each([
    ['troubled', 503, 'UNAVAILABLE'],
    ['limited', 429, 'TOOMANYREQUESTS'],
    ['refusing', 403, 'DENIED'],
  ])('of a %s home proves nothing, keeps the bytes, and does less the next time', async (_how, status, code) => {
    const world = await homeWorld()
    const { content, home, registry } = world
    const big = piece('x', randomBytes(300_000))
    const remove = registry.intercept(failing(/uploads/, status))
    await world.upload(big, false)
    expect(await codeOf(home.pushBlob(big.digest, big.bytes.length))).toBe(code)
    expect(await content.held(linkOf(big, [home.location]))).toBeUndefined()
    expect(await content.held(linkOf(big, here))).toBe(big.bytes.length)
    remove()
    await home.pushBlob(big.digest, big.bytes.length)
    expect(await content.held(linkOf(big, [home.location]))).toBe(big.bytes.length)
  })

  test('proves nothing of what a home took for something else', async () => {
    const world = await homeWorld()
    world.registry.intercept(withHeader(blobPuts, 'docker-content-digest', digestOf('else')))
    await world.upload(layer, false)
    expect(await codeOf(world.home.pushBlob(layer.digest, layer.bytes.length))).toBe('UNAVAILABLE')
    expect(await world.content.held(linkOf(layer, [world.home.location]))).toBeUndefined()
  })

  test('reads what was not uploaded through the locations that it was handed, and through no others', async () => {
    const world = await homeWorld()
    const { registry, home, content } = world
    registry.put('lib/app', image, { tag: 'v1' })
    const location: UpstreamLocation = { kind: 'upstream', host: registry.host, repository: 'lib/app', project: 'demo' }
    const none = { ...location, repository: 'lib/none' }
    await world.upload(image.config, false)
    expect(await codeOf(home.pushBlob(layer.digest, layer.bytes.length, [none]))).toBe('BLOB_UNKNOWN')
    expect(await codeOf(home.pushBlob(image.config.digest, image.config.bytes.length, [none]))).toBe('BLOB_UNKNOWN')
    await home.pushBlob(layer.digest, layer.bytes.length, [location])
    expect(registry.blob('team/app', layer.digest)?.bytes).toEqual(layer.bytes)
    const { reader } = await content.open(linkOf(layer, [home.location]))
    expect(await reader.read()).toEqual(layer.bytes)
    reader.close()
  })

  test('sends nothing of what has another size than it is said to have', async () => {
    const world = await homeWorld()
    await world.upload(layer, false)
    expect(await codeOf(world.home.pushBlob(layer.digest, layer.bytes.length + 1))).toBe('SIZE_INVALID')
    expect(world.registry.blob('team/app', layer.digest)).toBeUndefined()
  })
})

describe('pushManifest()', () => {
  test('puts by each tag, or by digest, and costs a HEAD for each where it is there', async () => {
    const world = await homeWorld()
    const { registry } = world
    await world.uploadImage(image)
    registry.requests.length = 0
    await push(world, image.manifest)
    await push(world, image.manifest, ['v1', 'v2'])
    expect(registry.manifest('team/app', 'v1')).toEqual(image.manifest)
    expect(registry.manifest('team/app', 'v2')).toEqual(image.manifest)
    expect(registry.requests.map(({ method }) => method)).toEqual(['HEAD', 'PUT', 'HEAD', 'PUT', 'HEAD', 'PUT'])
    registry.requests.length = 0
    await push(world, image.manifest, ['v1', 'v2'])
    expect(registry.requests.map(({ method }) => method)).toEqual(['HEAD', 'HEAD'])
  })

  test('brings what was pushed before the project had this home, before the manifest', async () => {
    const world = await homeWorld()
    await world.uploadImage(image, false)
    await push(world, image.manifest, ['v1'])
    for (const { digest, bytes } of [image.config, layer]) {
      expect(world.registry.blob('team/app', digest)?.bytes).toEqual(bytes)
    }
    expect(world.registry.manifest('team/app', 'v1')).toEqual(image.manifest)
  })

  test('brings what comes from an upstream', async () => {
    const world = await homeWorld()
    const { registry, links } = world
    registry.put('lib/app', index, { tag: 'v1' })
    await world.importImage('app', 'imported', `${registry.host}/lib/app:v1`)
    await push(world, index.manifest, ['v1'])
    expect(registry.manifest('team/app', 'v1')).toEqual(index.manifest)
    for (const { manifest, config } of index.children) {
      expect(registry.manifest('team/app', manifest.digest)).toEqual(manifest)
      expect(registry.blob('team/app', config.digest)?.bytes).toEqual(config.bytes)
    }
    // What was there before stays where it is.
    const link = await links.get(app, index.manifest.digest)
    expect(link?.locations).toMatchObject([{ repository: 'lib/app' }])
  })

  test('leaves out what the stream does not have of an index', async () => {
    const world = await homeWorld()
    world.registry.intercept((req, _res, next) => {
      // A registry that takes sparse indexes.
      if (req.method === 'PUT' && req.url?.includes('/manifests/')) world.registry.put('team/app', index.manifest)
      return next()
    })
    await codeOf(push(world, index.manifest))
    expect(world.registry.matching(blobPuts)).toEqual([])
    expect(world.registry.matching(manifestPuts).length).toBeGreaterThan(0)
  })

  test('asks once more for everything where the registry lost what links say it has', async () => {
    const world = await homeWorld()
    const { registry } = world
    await world.uploadImage(image)
    registry.remove(layer.digest)
    await push(world, image.manifest, ['v1'])
    expect(registry.blob('team/app', layer.digest)?.bytes).toEqual(layer.bytes)
    expect(registry.manifest('team/app', 'v1')).toEqual(image.manifest)
  })

  test('ends with the registry’s answer where that does not help', async () => {
    const world = await homeWorld()
    await world.uploadImage(image)
    world.registry.intercept(failing(manifestPuts, 400))
    expect(await codeOf(push(world, image.manifest, ['v1']))).toBe('DENIED')
    expect(world.registry.matching(manifestPuts)).toHaveLength(2)
  })

  test('names what nobody has any more', async () => {
    const world = await homeWorld()
    await world.uploadImage(image, false)
    await world.content.remove(layer.digest, { unusedSince: Number.MAX_SAFE_INTEGER })
    await expect(push(world, image.manifest, ['v1'])).rejects.toMatchObject({
      code: 'MANIFEST_BLOB_UNKNOWN',
      detail: [{ digest: layer.digest }],
    })
    expect(world.registry.manifest('team/app', 'v1')).toBeUndefined()
  })

  test('leaves what was pushed to an earlier home there, and brings it to the new one when it is needed', async () => {
    const world = await homeWorld()
    const { registry, links } = world
    await world.uploadImage(image)
    await world.annotate(`${registry.host}/moved`)
    const moved = await world.createHome().of(app)
    const { digest, bytes, mediaType } = image.manifest
    await moved?.pushManifest(digest, bytes, mediaType, ['v1'])
    expect(registry.manifest('moved/app', 'v1')).toEqual(image.manifest)
    expect((await links.get(app, layer.digest))?.locations).toEqual([world.home.location])
    expect(registry.blob('team/app', layer.digest)).toBeDefined()
  })

  test('is one for all who want the same at the same time', async () => {
    const world = await homeWorld()
    await world.uploadImage(image)
    const held = world.registry.hold(manifestPuts)
    const pushes = Array.from({ length: 5 }, () => push(world, image.manifest, ['v1']))
    await held.arrived()
    held.release()
    await Promise.all(pushes)
    expect(world.registry.matching(manifestPuts)).toHaveLength(1)
  })

  test('goes so deep and no deeper into indexes of indexes', async () => {
    const world = await homeWorld()
    let inner = image.manifest
    await world.uploadImage(image)
    const nested: Piece[] = [inner]
    for (let i = 0; i < 6; i++) {
      inner = indexOf([inner])
      nested.push(inner)
    }
    for (const each of nested) {
      await world.content.putManifest(each.digest, each.bytes, here[0])
      await world.link(each, here)
    }
    await push(world, nested[4] as Piece, ['deep'])
    expect(world.registry.manifest('team/app', 'deep')?.digest).toBe(nested[4]?.digest)
    expect(await codeOf(push(world, nested[6] as Piece, ['deeper']))).toBe('MANIFEST_INVALID')
  })

  test('tells the failures of the home as its own, and those of where the bytes come from as theirs', async () => {
    const other = await startFakeUpstream()
    const world = await homeWorld({ rules: [{ host: other.host, insecure: true }] })
    const { registry, home } = world
    other.put('lib/app', image)
    const through = [{ ...home.location, host: other.host, repository: 'lib/app' }]
    const removeFault = other.intercept(failing(/blobs/, 500))
    const ofSource = await home.pushBlob(layer.digest, layer.bytes.length, through).catch((error: unknown) => error)
    expect(ofSource).toMatchObject({ upstream: { host: other.host } })
    expect(ofSource).not.toHaveProperty('upstream.home')
    removeFault()
    registry.intercept(failing(/uploads/, 500))
    const ofHome = home.pushBlob(layer.digest, layer.bytes.length, through)
    await expect(ofHome).rejects.toMatchObject({ upstream: { host: registry.host, status: 500, home: 'demo' } })
    await other.close()
  })

  test('fails with a home that can not be reached, and again at once the next time', async () => {
    const other = await startFakeUpstream()
    const world = await homeWorld({ rules: [{ host: other.host, insecure: true }] })
    await world.annotate(`${other.host}/team`)
    await other.close()
    const away = await world.createHome().of(app)
    await world.upload(layer, false)
    expect(await codeOf(away?.pushBlob(layer.digest, layer.bytes.length) ?? Promise.resolve())).toBe('UNAVAILABLE')
    expect(await world.content.held(linkOf(layer, here))).toBe(layer.bytes.length)
  })

  test('ends with a home that leads back to this Weir, which nobody could tell before', async () => {
    const world = await homeWorld({ client: { timeouts: { pushIdleMs: 200 } } })
    const { registry, home } = world
    await world.upload(layer, false)
    // As a Weir answers that has itself as its home: when its own push has ended.
    registry.intercept(async (req, _res, next) => {
      if (req.method === 'PUT') await home.pushBlob(layer.digest, layer.bytes.length).catch(() => undefined)
      return next()
    })
    expect(await codeOf(home.pushBlob(layer.digest, layer.bytes.length))).toBe('UNAVAILABLE')
    expect(registry.matching(blobPuts)).toHaveLength(1)
    expect(await world.content.held(linkOf(layer, here))).toBe(layer.bytes.length)
  })
})
