import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { maxManifestBytes, mediaTypes } from '../../src/oci/media-types.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { fakeAnswer } from '../support/fake-upstream-answers.ts'
import {
  answering,
  changing,
  endless,
  gzipped,
  truncated,
  withBytes,
  withHeader,
} from '../support/fake-upstream-faults.ts'
import { makeImage, makeIndex, piece, type TestImage, type TestIndex } from '../support/images.ts'
import { at, type ClientUnderTest, failureOf, read, startClient } from './start-client.ts'

const image = makeImage('manifests')
const other = makeImage('other')
const [layer = image.config] = image.layers

async function world(content: TestImage | TestIndex = image): Promise<{ registry: FakeUpstream } & ClientUnderTest> {
  const registry = await startFakeUpstream()
  registry.put('lib/app', content, { tag: 'v1' })
  return { registry, ...startClient([registry.host]) }
}

describe('a manifest asked for by digest', () => {
  test('whose bytes are others is BadDigest', async () => {
    const { registry, client } = await world()
    registry.intercept(withBytes(/^GET .*manifests/, other.manifest.bytes))
    const error = await failureOf(client.manifest(at(registry.host), image.manifest.digest))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { host: registry.host, reason: 'BadDigest' } })
    expect(error.message).toContain(other.manifest.digest)
  })

  test('whose bytes are others is BadDigest also when the header lies to match', async () => {
    const { registry, client } = await world()
    registry.intercept(withBytes(/manifests/, other.manifest.bytes))
    registry.intercept(withHeader(/manifests/, 'docker-content-digest', image.manifest.digest))
    const error = await failureOf(client.manifest(at(registry.host), image.manifest.digest))
    expect(error).toMatchObject({ upstream: { reason: 'BadDigest' } })
  })

  test('whose header tells another digest is BadDigest for a HEAD, which shows no bytes', async () => {
    const { registry, client } = await world()
    registry.intercept(withHeader(/manifests/, 'docker-content-digest', other.manifest.digest))
    const error = await failureOf(client.resolve(at(registry.host), image.manifest.digest))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'BadDigest' } })
  })

  test('in sha512 is verified in sha512', async () => {
    const { registry, client } = await world()
    const digest = digestOf(image.manifest.bytes, 'sha512')
    registry.put('lib/app', { ...image.manifest, digest })
    expect(await client.manifest(at(registry.host), digest)).toMatchObject({ digest })
    registry.put('lib/app', { ...other.manifest, digest })
    expect(await failureOf(client.manifest(at(registry.host), digest))).toMatchObject({
      upstream: { reason: 'BadDigest' },
    })
  })
})

describe('a manifest asked for by tag', () => {
  test('has the digest of its bytes, whatever Docker-Content-Digest says', async () => {
    const { registry, client } = await world()
    registry.intercept(withHeader(/manifests/, 'docker-content-digest', other.manifest.digest))
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest: image.manifest.digest })
  })

  test('has the digest of its bytes where no header tells one', async () => {
    const { registry, client } = await world()
    registry.intercept(withHeader(/manifests/, 'docker-content-digest', undefined))
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest: image.manifest.digest })
  })
})

describe('the media type of a manifest', () => {
  test.each([
    ['has its parameters taken off', `${mediaTypes.ociManifest}; charset=utf-8`],
    ['is read in any case', mediaTypes.ociManifest.toUpperCase()],
    ['comes from the body where the header says text/plain', 'text/plain'],
    ['comes from the body where the header says application/json', 'application/json; charset=utf-8'],
    ['comes from the body where the header says nothing', undefined],
  ])('%s', async (_how, header) => {
    const { registry, client } = await world()
    registry.intercept(withHeader(/manifests/, 'content-type', header))
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ mediaType: mediaTypes.ociManifest })
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ mediaType: mediaTypes.ociManifest })
  })

  test.each([
    ['an image', image, mediaTypes.ociManifest],
    ['an index', makeIndex('untold'), mediaTypes.ociIndex],
  ])('is found out for %s that tells it nowhere', async (_what, content, mediaType) => {
    const { mediaType: _told, ...document } = JSON.parse(content.manifest.bytes.toString())
    const untold = piece(mediaType, JSON.stringify(document))
    const { registry, client } = await world()
    registry.put('lib/app', untold, { tag: 'untold' })
    registry.intercept(withHeader(/manifests/, 'content-type', 'text/plain'))
    expect(await client.manifest(at(registry.host), 'untold')).toMatchObject({ mediaType, digest: untold.digest })
  })

  test.each([
    [
      'says it is an index and came as an image',
      { ...JSON.parse(image.manifest.bytes.toString()), mediaType: mediaTypes.ociIndex },
    ],
    ['has a number as mediaType', { ...JSON.parse(image.manifest.bytes.toString()), mediaType: 5 }],
  ])('is refused where a document %s', async (_what, document) => {
    const { registry, client } = await world()
    registry.put('lib/app', piece(mediaTypes.ociManifest, JSON.stringify(document)), { tag: 'odd' })
    const error = await failureOf(client.manifest(at(registry.host), 'odd'))
    expect(error).toMatchObject({ code: 'MANIFEST_INVALID', upstream: { host: registry.host, reason: 'Invalid' } })
  })

  test.each([
    ['a web page', '<html></html>'],
    ['a JSON list', '[]'],
    ['a JSON null', 'null'],
    ['nothing', ''],
    ['schema 1', '{"schemaVersion":1,"fsLayers":[],"history":[]}'],
    ['both image and index', '{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}'],
    ['neither', '{"schemaVersion":2}'],
    ['another media type', '{"schemaVersion":2,"mediaType":"application/vnd.example+json"}'],
  ])('is refused where the body is %s', async (_what, body) => {
    const { registry, client } = await world()
    registry.intercept(answering(/manifests/, fakeAnswer(200, body)))
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'MANIFEST_INVALID', upstream: { reason: 'Invalid' } })
  })
})

describe('a manifest with Content-Encoding', () => {
  test.each(['v1', image.manifest.digest])('gzip is decoded once (%s)', async (reference) => {
    const { registry, client } = await world()
    registry.intercept(gzipped(/manifests/))
    const fetched = await client.manifest(at(registry.host), reference)
    expect(fetched).toMatchObject({ digest: image.manifest.digest, mediaType: mediaTypes.ociManifest })
    expect(fetched.bytes.equals(image.manifest.bytes)).toBe(true)
  })

  test.each(['v1', image.manifest.digest])('gzip that is not gzip is taken as it is (%s)', async (reference) => {
    const { registry, client } = await world()
    registry.intercept(withHeader(/manifests/, 'content-encoding', 'gzip'))
    expect(await client.manifest(at(registry.host), reference)).toMatchObject({ digest: image.manifest.digest })
  })

  test('gzip is decoded no further than a manifest may be long', async () => {
    const { registry, client } = await world()
    const bomb = gzipSync(Buffer.concat([image.manifest.bytes, Buffer.alloc(64 * 1024 * 1024, ' ')]))
    registry.intercept(withBytes(/^GET .*manifests/, bomb))
    registry.intercept(withHeader(/manifests/, 'content-encoding', 'gzip'))
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'MANIFEST_INVALID' })
  })

  test('br is not read', async () => {
    const { registry, client } = await world()
    registry.intercept(withBytes(/^GET .*manifests/, Buffer.from('not json')))
    registry.intercept(withHeader(/manifests/, 'content-encoding', 'br'))
    expect(await failureOf(client.manifest(at(registry.host), 'v1'))).toMatchObject({ code: 'MANIFEST_INVALID' })
  })
})

describe('a manifest that is too much', () => {
  test('has no end: it is cut off', async () => {
    const { registry, client } = await world()
    registry.intercept(endless(/manifests/, { 'content-type': mediaTypes.ociManifest }))
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Invalid' } })
    expect(error.message).toContain(`more than the ${maxManifestBytes} bytes`)
  })

  test.each([
    ['of exactly 4 MiB is read', 0, true],
    ['of a byte more is not', 1, false],
  ])('%s', async (_what, more, read) => {
    const { registry, client } = await world()
    const padding = maxManifestBytes - image.manifest.bytes.length + more
    const padded = piece(mediaTypes.ociManifest, Buffer.concat([image.manifest.bytes, Buffer.alloc(padding, ' ')]))
    registry.put('lib/app', padded, { tag: 'padded' })
    const outcome = await client.manifest(at(registry.host), 'padded').catch(() => undefined)
    expect(outcome !== undefined).toBe(read)
  })
})

describe('a manifest that breaks off', () => {
  test('is asked for again', async () => {
    const { registry, client } = await world()
    let first = true
    registry.intercept(
      changing(/^GET .*manifests/, (answer) => {
        const cut = first ? { ...answer, cutAfter: 10 } : answer
        first = false
        return cut
      }),
    )
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest: image.manifest.digest })
  })

  test('each time is Unreachable in the end', async () => {
    const { registry, client } = await world()
    registry.intercept(truncated(/^GET .*manifests/, 10))
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Unreachable' } })
    expect(registry.matching(/^GET .*manifests/)).toHaveLength(3)
  })
})

describe('a blob', () => {
  test.each(['gzip', 'br', 'whatever'])('with Content-Encoding %s is refused', async (encoding) => {
    const { registry, client } = await world()
    registry.intercept(withHeader(/blobs/, 'content-encoding', encoding))
    const error = await failureOf(client.blob(at(registry.host), layer.digest))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Invalid' } })
  })

  test.each([
    'bytes 3-7/18',
    'bytes 2-1/18',
    'bytes 2-9/18',
    'bytes 2-7/5',
    'bytes 2-99999999999999999999/*',
    'bytes */18',
    '2-7/18',
    '',
  ])('whose part comes with Content-Range %j, asked for 2-7, is refused', async (contentRange) => {
    const { registry, client } = await world()
    registry.intercept(withHeader(/blobs/, 'content-range', contentRange))
    const error = await failureOf(client.blob(at(registry.host), layer.digest, { start: 2, end: 7 }))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Invalid' } })
  })

  test('whose part has no end fails its stream', async () => {
    const { registry, client } = await world()
    registry.intercept(endless(/blobs/, { 'content-range': `bytes 2-7/${layer.bytes.length}` }, 206))
    const { body } = await client.blob(at(registry.host), layer.digest, { start: 2, end: 7 })
    expect(await failureOf(read(body))).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Unreachable' } })
  })

  test('whose part is longer or shorter than its Content-Range fails its stream', async () => {
    for (const bytes of [layer.bytes, layer.bytes.subarray(0, 2)]) {
      const { registry, client } = await world()
      registry.intercept((req, res, next) => {
        if (!/blobs/.test(req.url ?? '')) return next()
        res.writeHead(206, { 'content-range': `bytes 2-7/${layer.bytes.length}` }).end(bytes)
        return undefined
      })
      const { body } = await client.blob(at(registry.host), layer.digest, { start: 2, end: 7 })
      const error = await failureOf(read(body))
      expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Unreachable' } })
    }
  })
})
