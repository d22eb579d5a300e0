import { gzipSync } from 'node:zlib'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { createStreamImages } from '../../src/importer/stream-images.ts'
import { createImporter, type ImportedImage, type Importer } from '../../src/importer.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import type { ImageRecord } from '../../src/streams/records.ts'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { fakeAnswer, fakeError } from '../support/fake-upstream-answers.ts'
import { answering, endless, gzipped, truncated, withBytes } from '../support/fake-upstream-faults.ts'
import { type FlowsWorld, flowsWorld } from '../support/flows.ts'
import { makeImage, makeIndex, type Piece, piece, type TestImage } from '../support/images.ts'

const app = { project: 'demo', stream: 'app' }
const blobs = /^GET .*\/blobs\//
const image = makeImage('config')
const configuration = { architecture: 'amd64', os: 'linux', config: { Env: ['SEED=config'] } }

type World = FlowsWorld & { from: string; importer: Importer; logged: string[]; kept: string[] }

async function world(content: Parameters<FlowsWorld['registry']['put']>[1] = image): Promise<World> {
  const flows = await flowsWorld()
  flows.registry.put('lib/app', content, { tag: 'v1' })
  const logged: string[] = []
  const kept: string[] = []
  const importer = createImporter({
    ...flows,
    allowed: { refusalOf: () => undefined },
    keepManifest: (name, digest) => {
      kept.push(digest)
      return flows.pullThrough.manifest(name, digest, { head: false })
    },
    configTimeoutMs: 250,
    log: pino({ level: 'info' }, { write: (line: string) => void logged.push(line) }),
  })
  return { ...flows, importer, logged, kept, from: `${flows.registry.host}/lib/app:v1` }
}

async function imported(world: World, more: { importMode?: 'PreserveOriginal'; dryRun?: boolean } = {}) {
  const { importMode, dryRun = false } = more
  const images = [{ from: world.from, to: 'prod', importPolicy: importMode ? { importMode } : {} }]
  const result = await world.importer.import({ ...app, by: 'admin', images, dryRun })
  const [only] = result.images
  if (only === undefined || 'error' in only) throw only?.error ?? new TypeError('nothing was imported')
  return only as Exclude<ImportedImage, { error: unknown }>
}

async function known({ links }: World, { digest, mediaType }: Piece): Promise<ImageRecord | undefined> {
  return links.image(digest, mediaType)
}

async function pin({ reader }: World): Promise<string | undefined> {
  return (await reader.tag(app, 'prod'))?.record.items[0]?.image
}

/** An image whose config has these bytes. */
function withConfig(bytes: Buffer | string, mediaType = image.config.mediaType, size?: number): TestImage {
  const config = piece(mediaType, bytes)
  const document = JSON.parse(image.manifest.bytes.toString('utf8'))
  const told = { mediaType, digest: config.digest, size: size ?? config.bytes.length }
  const manifest = piece(mediaTypes.ociManifest, JSON.stringify({ ...document, config: told }))
  return { manifest, config, layers: image.layers }
}

describe('the config of an image', () => {
  test('is in its record once it is imported', async () => {
    const there = await world()
    expect((await imported(there)).image).toMatchObject({ configuration, config: { digest: image.config.digest } })
    expect(await known(there, image.manifest)).toMatchObject({ configuration })
  })

  test('of an image that is known asks nothing again, and writes nothing', async () => {
    const there = await world()
    await imported(there)
    const asked = there.registry.requests.length
    const { revision } = await there.store.range({ prefix: 'x', limit: 0 })
    expect((await imported(there)).image).toMatchObject({ configuration })
    expect(there.registry.requests.slice(asked).map(({ method, path }) => `${method} ${path}`)).toEqual([
      'HEAD /v2/lib/app/manifests/v1',
    ])
    expect((await there.store.range({ prefix: 'x', limit: 0 })).revision).toBe(revision)
  })

  test('is told in a dry run, of which nothing is kept', async () => {
    const there = await world()
    expect((await imported(there, { dryRun: true })).image).toMatchObject({ configuration })
    expect(await known(there, image.manifest)).toBeUndefined()
    expect(await there.reader.stream(app)).toBeUndefined()
    const location = { kind: 'upstream' as const, host: there.registry.host, repository: 'lib/app', project: 'demo' }
    const link = { digest: image.config.digest, mediaType: '', size: undefined, locations: [location] }
    expect(await there.content.manifest(link)).toBeUndefined()
  })

  test('that could not be had is asked for again by the next import of the same digest', async () => {
    const there = await world()
    const end = there.registry.intercept(answering(blobs, fakeError(503, 'UNAVAILABLE')))
    expect((await imported(there)).image.configuration).toBeUndefined()
    expect(await pin(there)).toBe(image.manifest.digest)
    end()
    expect((await imported(there)).image).toMatchObject({ configuration })
    expect(await known(there, image.manifest)).toMatchObject({ configuration })
    expect((await there.reader.ledger(app, 'prod')).map(({ revision }) => revision)).toEqual([1])
  })

  test('of an artifact is not asked for', async () => {
    const chart = withConfig('{"name":"chart"}', 'application/vnd.cncf.helm.config.v1+json')
    const there = await world(chart)
    expect((await imported(there)).image).not.toHaveProperty('configuration')
    expect(there.registry.matching(blobs)).toEqual([])
  })

  test('that is no JSON is known to say nothing, and not asked for again', async () => {
    const there = await world(withConfig('<html>'))
    expect((await imported(there)).image.configuration).toEqual({})
    await imported(there)
    expect(there.registry.matching(blobs)).toHaveLength(1)
  })

  test.each([
    ['nested beyond measure', '['.repeat(500_000)],
    ['with a key given twice', '{"os":"linux","os":"windows"}'],
    ['with nothing in it', ''],
  ])('that is %s says nothing, and the image is imported', async (_what, bytes) => {
    const there = await world(withConfig(bytes))
    expect((await imported(there)).image.configuration).toEqual({})
    expect(await pin(there)).toBeDefined()
  })

  test('with 10,000 labels is kept as far as there is room', async () => {
    const labels = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`label-${i}`, 'x'.repeat(40)]))
    const there = await world(withConfig(JSON.stringify({ os: 'linux', config: { Labels: labels } })))
    const { image } = await imported(there)
    expect(image.configuration?.os).toBe('linux')
    expect(JSON.stringify(image.configuration).length).toBeLessThan(256 * 1024)
  })

  test('fits the store beside the largest record of an image', async () => {
    const labels = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`label-${i}`, 'x'.repeat(40)]))
    const big = withConfig(JSON.stringify({ config: { Labels: labels } }))
    const document = JSON.parse(big.manifest.bytes.toString('utf8'))
    const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', size: 1 }
    const layers = Array.from({ length: 4900 }, (_, i) => ({ ...layer, digest: digestOf(`layer ${i}`) }))
    const manifest = piece(mediaTypes.ociManifest, JSON.stringify({ ...document, layers }))
    const there = await world({ ...big, manifest })
    const { image } = await imported(there)
    expect(JSON.stringify(image).length).toBeGreaterThan(900_000)
    expect(await known(there, manifest)).toMatchObject({
      configuration: { config: { Labels: { 'label-0': expect.any(String) } } },
    })
  })
})

describe('I7: a config that is a trap fails no import and is not kept', () => {
  const other = Buffer.from(image.config.bytes.toString('utf8').replace('linux', 'xunil'))
  const traps = [
    ['is not there', answering(blobs, fakeError(404, 'BLOB_UNKNOWN'))],
    ['is refused', answering(blobs, fakeError(403, 'DENIED'))],
    ['is another', withBytes(blobs, other)],
    ['is a web page', answering(blobs, fakeAnswer(200, '<html>'))],
    ['is longer than the manifest says', withBytes(blobs, Buffer.concat([image.config.bytes, Buffer.from(' ')]))],
    ['has no end', endless(blobs)],
    ['breaks off', truncated(blobs, 5)],
    ['comes in gzip', gzipped(blobs)],
    ['is gzip itself', withBytes(blobs, gzipSync(image.config.bytes))],
  ] as const

  test.each(traps)('%s', async (_what, misbehave) => {
    const there = await world()
    there.registry.intercept(misbehave)
    const { image: told } = await imported(there)
    expect(told.configuration).toBeUndefined()
    expect(await pin(there)).toBe(image.manifest.digest)
    expect((await there.reader.tag(app, 'prod'))?.record.condition).toBeUndefined()
    expect(await known(there, image.manifest)).not.toHaveProperty('configuration')
  })

  test('does not come: it is waited for no longer than for a config', async () => {
    const there = await world()
    const held = there.registry.hold(blobs)
    expect((await imported(there)).image.configuration).toBeUndefined()
    expect(await pin(there)).toBe(image.manifest.digest)
    held.release()
  })

  test('comes a byte at a time: likewise', async () => {
    const there = await world()
    there.registry.intercept((req, res, next) => {
      if (!blobs.test(`${req.method} ${req.url}`)) return next()
      res.writeHead(200, { 'content-length': String(image.config.bytes.length) })
      res.write(image.config.bytes.subarray(0, 1))
      return undefined
    })
    expect((await imported(there)).image.configuration).toBeUndefined()
    expect(await pin(there)).toBe(image.manifest.digest)
  })

  test('is large and stops half-way: likewise', async () => {
    const bytes = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', more: 'x'.repeat(300_000) }))
    const there = await world(withConfig(bytes))
    there.registry.intercept((req, res, next) => {
      if (!blobs.test(`${req.method} ${req.url}`)) return next()
      res.writeHead(200, { 'content-length': String(bytes.length) })
      res.write(bytes.subarray(0, 200_000))
      return undefined
    })
    expect((await imported(there)).image.configuration).toBeUndefined()
    expect(await pin(there)).toBeDefined()
  })

  test('is said to be huge: it is not asked for', async () => {
    const there = await world(withConfig('{}', image.config.mediaType, 5 * 1024 * 1024))
    expect((await imported(there)).image.configuration).toBeUndefined()
    expect(there.registry.matching(blobs)).toEqual([])
  })

  test('and is told in the log, without what the upstream sent', async () => {
    const there = await world()
    there.registry.intercept(withBytes(blobs, Buffer.from('secret'.padEnd(image.config.bytes.length))))
    await imported(there)
    expect(there.logged.join()).toContain('config of an image not read')
    expect(there.logged.join()).not.toContain('secret')
  })
})

describe('I5: an image that an index merely names', () => {
  const index = makeIndex('multi')
  const [child = makeImage('no child')] = index.children
  // Of such children no config is read.
  const platform = { os: 'unknown', architecture: 'unknown' }
  const document = JSON.parse(index.manifest.bytes.toString('utf8'))
  const manifests = document.manifests.map((each: object) => ({ ...each, platform }))
  const naming = piece(index.manifest.mediaType, JSON.stringify({ ...document, manifests }))

  async function strangers() {
    const stranger = await startFakeUpstream()
    stranger.put('copy/multi', naming, { tag: 'v1' })
    const flows = await flowsWorld({ rules: [{ host: stranger.host, insecure: true }] })
    flows.registry.put('lib/multi', index, { tag: 'v1' })
    const importer = createImporter({
      ...flows,
      allowed: { refusalOf: () => undefined },
      keepManifest: (name, digest) => flows.pullThrough.manifest(name, digest, { head: false }),
      log: pino({ level: 'silent' }),
    })
    const importAs = (stream: string, from: string) =>
      importer.import({ project: 'demo', stream, by: 'admin', images: [{ from, to: 'prod', importPolicy: {} }] })
    return { flows, stranger, importAs }
  }

  test('is not told by what another stream received of it', async () => {
    const { flows, stranger, importAs } = await strangers()
    await importAs('app', `${flows.registry.host}/lib/multi:v1`)
    await importAs('other', `${stranger.host}/copy/multi:v1`)
    const images = createStreamImages(flows)
    const { digest, mediaType } = child.manifest
    expect(await images.get(app, digest, mediaType)).toMatchObject({ config: { digest: child.config.digest } })
    expect(await images.get({ project: 'demo', stream: 'other' }, digest, mediaType)).toBeUndefined()
  })

  test('is asked for at its own place, whether or not another stream has it', async () => {
    const { flows, stranger, importAs } = await strangers()
    await importAs('other', `${stranger.host}/copy/multi:v1`)
    const asked = stranger.matching(/^GET .*\/manifests\/sha256/).length
    await importAs('app', `${flows.registry.host}/lib/multi:v1`)
    await importAs('third', `${stranger.host}/copy/multi:v1`)
    expect(asked).toBeGreaterThan(0)
    expect(stranger.matching(/^GET .*\/manifests\/sha256/)).toHaveLength(2 * asked)
  })
})

describe('I5: the config of an image', () => {
  test('is shown to no stream that has the manifest alone', async () => {
    const there = await world()
    await imported(there)
    const stranger = await startFakeUpstream()
    stranger.put('copy/app', image.manifest, { tag: 'v1' })
    const flows = await flowsWorld({ rules: [{ host: stranger.host, insecure: true }] })
    flows.registry.put('lib/app', image, { tag: 'v1' })
    await flows.importImage('app', 'prod', `${flows.registry.host}/lib/app:v1`)
    const result = await flows.importImage('other', 'prod', `${stranger.host}/copy/app:v1`)
    expect(result.images[0]).not.toHaveProperty('image.configuration')
    const images = createStreamImages(flows)
    const { digest, mediaType } = image.manifest
    const other = { project: 'demo', stream: 'other' }
    expect(await images.get(app, digest, mediaType)).toMatchObject({ configuration })
    expect(await images.get(other, digest, mediaType)).toMatchObject({ config: { digest: image.config.digest } })
    expect(await images.get(other, digest, mediaType)).not.toHaveProperty('configuration')
  })

  test('is shown to the stream that it was promoted to, with its locations', async () => {
    const there = await world()
    await imported(there)
    const other = await there.writer.create({ project: 'demo', stream: 'other' })
    const { digest, mediaType } = image.manifest
    await there.links.copy(app, other, digest)
    expect(await createStreamImages(there).get(other, digest, mediaType)).toMatchObject({ configuration })
  })

  test('is asked for at the place that the manifest came from alone', async () => {
    const flows = await flowsWorld()
    flows.registry.put('lib/app', image, { tag: 'v1' })
    flows.registry.put('copy/app', image, { tag: 'v1' })
    await flows.importImage('app', 'prod', `${flows.registry.host}/lib/app:v1`)
    const asked = flows.registry.requests.length
    await flows.importImage('app', 'next', `${flows.registry.host}/copy/app:v1`)
    const paths = flows.registry.requests.slice(asked).map(({ path }) => path)
    expect(paths).toContain(`/v2/copy/app/blobs/${image.config.digest}`)
    expect(paths.filter((path) => path.includes('/lib/'))).toEqual([])
  })

  test('follows from the manifest whatever other images of the stream say of the same digest', async () => {
    const there = await world()
    const liar = withConfig(image.config.bytes, image.config.mediaType, 7)
    there.registry.put('lib/liar', liar, { tag: 'v1' })
    const first = [{ from: `${there.registry.host}/lib/liar:v1`, to: 'liar', importPolicy: {} }]
    await there.importer.import({ ...app, by: 'admin', images: first })
    expect((await imported(there)).image).toMatchObject({ configuration })
  })
})

describe('the children of an index', () => {
  const index = makeIndex('config')

  test('have their configs in records of their own', async () => {
    const there = await world(index)
    await imported(there)
    for (const child of index.children) {
      expect(await known(there, child.manifest)).toMatchObject({
        configuration: { os: 'linux', architecture: expect.stringMatching(/amd64|arm64/) },
      })
    }
    const asked = there.registry.requests.length
    await imported(there)
    expect(there.registry.requests.slice(asked)).toHaveLength(1)
    expect(there.kept).toHaveLength(index.children.length)
  })

  test('are told with the bytes of no more than fit one manifest', async () => {
    const padded = index.children.map((child) => {
      const { mediaType, bytes } = child.manifest
      return { ...child, manifest: piece(mediaType, Buffer.concat([bytes, Buffer.alloc(3 * 1024 * 1024, ' ')])) }
    })
    const manifests = padded.map(({ manifest: { mediaType, digest, bytes } }) => ({
      mediaType,
      digest,
      size: bytes.length,
    }))
    const there = await world({
      manifest: piece(mediaTypes.ociIndex, JSON.stringify({ schemaVersion: 2, manifests })),
      children: padded,
    })
    const { children } = await imported(there, { importMode: 'PreserveOriginal' })
    expect(children?.map(({ bytes }) => bytes !== undefined)).toEqual([true, false])
  })

  test('are told with their bytes when the original is to be preserved, also when nothing moved', async () => {
    const there = await world(index)
    for (const _time of ['first', 'again']) {
      const { children } = await imported(there, { importMode: 'PreserveOriginal' })
      expect(children?.map(({ digest, bytes }) => [digest, bytes])).toEqual(
        index.children.map(({ manifest }) => [manifest.digest, manifest.bytes]),
      )
      expect(children?.map(({ image }) => image.configuration?.architecture)).toEqual(['amd64', 'arm64'])
    }
  })

  test('are told in a dry run, of which nothing is kept', async () => {
    const there = await world(index)
    const { children } = await imported(there, { importMode: 'PreserveOriginal', dryRun: true })
    expect(children?.map(({ image }) => image.configuration?.architecture)).toEqual(['amd64', 'arm64'])
    expect(await there.reader.stream(app)).toBeUndefined()
    for (const { manifest } of index.children) expect(await known(there, manifest)).toBeUndefined()
  })

  test('are not asked for in a dry run that does not tell them', async () => {
    const there = await world(index)
    expect(await imported(there, { dryRun: true })).not.toHaveProperty('children')
    expect(there.registry.matching(/^GET/).filter(({ path }) => path !== '/v2/')).toHaveLength(1)
  })

  test('that nobody has are left out, and the others are there', async () => {
    const there = await world(index)
    there.registry.remove(index.children[0]?.manifest.digest ?? digestOf(''))
    const { children } = await imported(there, { importMode: 'PreserveOriginal' })
    expect(children?.map(({ digest }) => digest)).toEqual([index.children[1]?.manifest.digest])
    expect(await pin(there)).toBe(index.manifest.digest)
  })

  test('that could not be had are asked for again by the next import', async () => {
    const there = await world(index)
    const end = there.registry.intercept(answering(blobs, fakeError(503, 'UNAVAILABLE')))
    await imported(there)
    end()
    await imported(there)
    for (const { manifest } of index.children) expect(await known(there, manifest)).toHaveProperty('configuration')
  })

  test('that attest to others are kept, and their configs not read', async () => {
    const attestation = makeImage('attestation')
    const unknown = { architecture: 'unknown', os: 'unknown' }
    const manifests = [
      { ...index.children[0], platform: {} },
      { manifest: attestation.manifest, platform: unknown },
    ].map(({ manifest, platform }) => ({
      mediaType: mediaTypes.ociManifest,
      digest: manifest?.digest,
      size: manifest?.bytes.length,
      platform,
    }))
    const manifest = piece(mediaTypes.ociIndex, JSON.stringify({ schemaVersion: 2, manifests }))
    const [child] = index.children
    const there = await world({ manifest, children: child ? [child, attestation] : [] })
    await imported(there)
    expect(await known(there, attestation.manifest)).toMatchObject({ config: { digest: attestation.config.digest } })
    expect(there.registry.matching(blobs).map(({ path }) => path)).toEqual([
      `/v2/lib/app/blobs/${child?.config.digest}`,
    ])
  })

  test('of which one is an index again are kept without a config', async () => {
    const inner = makeIndex('inner')
    const manifests = [
      { mediaType: mediaTypes.ociIndex, digest: inner.manifest.digest, size: inner.manifest.bytes.length },
    ]
    const outer = piece(mediaTypes.ociIndex, JSON.stringify({ schemaVersion: 2, manifests }))
    const there = await world(inner)
    there.registry.put('lib/app', outer, { tag: 'v1' })
    await imported(there)
    expect(await known(there, inner.manifest)).toMatchObject({ manifests: [{ architecture: 'amd64' }, {}] })
  })
})
