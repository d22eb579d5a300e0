import { describe, expect, test } from 'vitest'
import { manifestAccept, mediaTypes } from '../../src/oci/media-types.ts'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { type FakeInterceptor, fakeAnswer } from '../support/fake-upstream-answers.ts'
import {
  answering,
  changing,
  failing,
  ignoringRange,
  refusingHead,
  withHeader,
} from '../support/fake-upstream-faults.ts'
import { makeImage, makeIndex, piece } from '../support/images.ts'
import { at, failureOf, read, startClient } from './start-client.ts'

const image = makeImage('client')
const index = makeIndex('client')
const [layer = image.config] = image.layers

const chunkedHead: FakeInterceptor = (req, res, next) => {
  if (req.method !== 'HEAD') return next()
  res.writeHead(200, { 'transfer-encoding': 'chunked' }).end()
  return undefined
}

async function world() {
  const registry = await startFakeUpstream()
  registry.put('lib/app', image, { tag: 'v1' })
  return { registry, ...startClient([registry.host]) }
}

describe('resolve()', () => {
  test('asks by HEAD alone, with every type that Weir reads, uncompressed', async () => {
    const { registry, client } = await world()
    expect(await client.resolve(at(registry.host), 'v1')).toEqual({
      digest: image.manifest.digest,
      mediaType: mediaTypes.ociManifest,
      size: image.manifest.bytes.length,
    })
    expect(registry.matching(/manifests/).map(({ method }) => method)).toEqual(['HEAD'])
    expect(registry.matching(/manifests/)[0]?.headers).toMatchObject({
      accept: manifestAccept,
      'accept-encoding': 'identity',
      'user-agent': 'weir/test',
    })
  })

  test.each([
    ['refuses HEAD', refusingHead],
    ['tells no digest', withHeader(/manifests/, 'docker-content-digest', undefined)],
    ['tells a digest that is none', withHeader(/^HEAD/, 'docker-content-digest', 'sha256:abc')],
    ['tells no media type', withHeader(/manifests/, 'content-type', 'text/plain')],
    ['answers HEAD with 403', failing(/^HEAD/, 403)],
    ['answers HEAD with 501', failing(/^HEAD/, 501)],
  ])('falls back to GET where the registry %s', async (_how, fault) => {
    const { registry, client } = await world()
    registry.intercept(fault)
    expect(await client.resolve(at(registry.host), 'v1')).toEqual({
      digest: image.manifest.digest,
      mediaType: mediaTypes.ociManifest,
      size: image.manifest.bytes.length,
    })
  })

  test('asks no more than HEAD where Content-Type has parameters', async () => {
    const { registry, client } = await world()
    registry.intercept(withHeader(/manifests/, 'content-type', `${mediaTypes.ociManifest}; charset=utf-8`))
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ mediaType: mediaTypes.ociManifest })
    expect(registry.matching(/manifests/)).toHaveLength(1)
  })

  test('sees at once that a tag moved', async () => {
    const { registry, client } = await world()
    await client.resolve(at(registry.host), 'v1')
    registry.put('lib/app', index, { tag: 'v1' })
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest: index.manifest.digest })
  })

  test('of a missing tag fails with MANIFEST_UNKNOWN after one HEAD', async () => {
    const { registry, client } = await world()
    const error = await failureOf(client.resolve(at(registry.host), 'v2'))
    expect(error).toMatchObject({ code: 'MANIFEST_UNKNOWN', upstream: { reason: 'NotFound', status: 404 } })
    expect(registry.matching(/manifests/)).toHaveLength(1)
  })
})

describe('manifest()', () => {
  test.each(['v1', image.manifest.digest])('gives the exact bytes of %s', async (reference) => {
    const { registry, client } = await world()
    const fetched = await client.manifest(at(registry.host), reference)
    expect(fetched).toEqual({
      digest: image.manifest.digest,
      mediaType: mediaTypes.ociManifest,
      bytes: image.manifest.bytes,
    })
  })

  test('gives an index whole', async () => {
    const { registry, client } = await world()
    registry.put('lib/app', index, { tag: 'multi' })
    const fetched = await client.manifest(at(registry.host), 'multi')
    expect(fetched).toMatchObject({ digest: index.manifest.digest, mediaType: mediaTypes.ociIndex })
    expect(fetched.bytes.equals(index.manifest.bytes)).toBe(true)
  })

  test('answers 404 with MANIFEST_UNKNOWN that names the registry', async () => {
    const { registry, client } = await world()
    const error = await failureOf(client.manifest(at(registry.host), 'v2'))
    expect(error).toMatchObject({ code: 'MANIFEST_UNKNOWN', upstream: { host: registry.host, reason: 'NotFound' } })
    expect(error.message).toContain(`manifest v2 of ${registry.host}/lib/app`)
  })

  test.each(['../v2', 'a/b', 'v1?x', 'v1#x', '', '%2e%2e'])('sends nothing for the reference %j', async (reference) => {
    const { registry, client } = await world()
    await expect(client.manifest(at(registry.host), reference)).rejects.toThrow(TypeError)
    expect(registry.requests).toEqual([])
  })

  test.each(['..', 'lib/../app', '/app', 'lib//app', 'lib/App'])(
    'sends nothing for the repository %j',
    async (name) => {
      const { registry, client } = await world()
      await expect(client.manifest(at(registry.host, name), 'v1')).rejects.toThrow(TypeError)
      expect(registry.requests).toEqual([])
    },
  )
})

describe('blob()', () => {
  test('gives a whole blob with its size', async () => {
    const { registry, client } = await world()
    const blob = await client.blob(at(registry.host), layer.digest)
    expect(blob).toMatchObject({ size: layer.bytes.length, offset: 0, length: layer.bytes.length })
    expect(await read(blob.body)).toEqual(layer.bytes)
  })

  test.each([
    [{ start: 2 }, 2, undefined],
    [{ start: 3, end: 7 }, 3, 8],
    [{ start: 4, end: 1_000_000 }, 4, undefined],
  ])('gives the range %j and says where it lies', async (range, offset, end) => {
    const { registry, client } = await world()
    const blob = await client.blob(at(registry.host), layer.digest, range)
    const wanted = layer.bytes.subarray(offset, end)
    expect(blob).toMatchObject({ size: layer.bytes.length, offset, length: wanted.length })
    expect(await read(blob.body)).toEqual(wanted)
  })

  test('gives the whole where a registry ignores the range, and says so', async () => {
    const { registry, client } = await world()
    registry.intercept(ignoringRange)
    const blob = await client.blob(at(registry.host), layer.digest, { start: 5 })
    expect(blob).toMatchObject({ size: layer.bytes.length, offset: 0, length: layer.bytes.length })
    expect(await read(blob.body)).toEqual(layer.bytes)
  })

  test('without a length gives what comes', async () => {
    const { registry, client } = await world()
    registry.intercept((req, res, next) => {
      if (!/blobs/.test(req.url ?? '')) return next()
      res.writeHead(200)
      res.write(layer.bytes.subarray(0, 4))
      res.end(layer.bytes.subarray(4))
      return undefined
    })
    const blob = await client.blob(at(registry.host), layer.digest)
    expect(blob).toMatchObject({ size: undefined, offset: 0, length: undefined })
    expect(await read(blob.body)).toEqual(layer.bytes)
  })

  test('beyond the end fails with RANGE_INVALID and the size', async () => {
    const { registry, client } = await world()
    const error = await failureOf(client.blob(at(registry.host), layer.digest, { start: 1000 }))
    expect(error).toMatchObject({ code: 'RANGE_INVALID', detail: { size: layer.bytes.length } })
  })

  test('that is not there fails with BLOB_UNKNOWN', async () => {
    const { registry, client } = await world()
    const error = await failureOf(client.blob(at(registry.host), piece('x', 'nowhere').digest))
    expect(error).toMatchObject({ code: 'BLOB_UNKNOWN', upstream: { reason: 'NotFound', status: 404 } })
  })
})

describe('blobSize()', () => {
  test('asks by one HEAD', async () => {
    const { registry, client } = await world()
    expect(await client.blobSize(at(registry.host), layer.digest)).toBe(layer.bytes.length)
    expect(registry.matching(/blobs/).map(({ method }) => method)).toEqual(['HEAD'])
  })

  test.each([
    ['refuses HEAD', refusingHead],
    ['lets nobody at a HEAD', failing(/^HEAD/, 401)],
    ['lets no login at a HEAD', failing(/^HEAD/, 403)],
    ['tells no length', chunkedHead],
  ])('asks for one byte where the registry %s', async (_how, fault) => {
    const { registry, client } = await world()
    registry.intercept(fault)
    expect(await client.blobSize(at(registry.host), layer.digest)).toBe(layer.bytes.length)
    expect(registry.matching(/^GET .*blobs/).map(({ headers }) => headers.range)).toEqual(['bytes=0-0'])
  })

  test('of an empty blob is 0 also where HEAD is refused', async () => {
    const { registry, client } = await world()
    const empty = piece('application/octet-stream', '')
    registry.put('lib/app', empty)
    registry.intercept(refusingHead)
    expect(await client.blobSize(at(registry.host), empty.digest)).toBe(0)
  })

  test('that nobody tells is an error and no guess', async () => {
    const { registry, client } = await world()
    registry.intercept(refusingHead)
    registry.intercept(
      changing(/^GET .*blobs/, ({ body }) => fakeAnswer(206, body.toString(), { 'content-range': 'bytes 0-0/*' })),
    )
    const error = await failureOf(client.blobSize(at(registry.host), layer.digest))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Invalid' } })
  })

  test('of a blob that is not there fails with BLOB_UNKNOWN after one HEAD', async () => {
    const { registry, client } = await world()
    const error = await failureOf(client.blobSize(at(registry.host), piece('x', 'nowhere').digest))
    expect(error.code).toBe('BLOB_UNKNOWN')
    expect(registry.matching(/blobs/)).toHaveLength(1)
  })
})

describe('an abort', () => {
  test('ends a request that waits for its answer, with the reason given', async () => {
    const { registry, client } = await world()
    const hold = registry.hold(/manifests/)
    const controller = new AbortController()
    const pending = client.manifest(at(registry.host), 'v1', controller.signal)
    await hold.arrived()
    const reason = new Error('enough')
    controller.abort(reason)
    await expect(pending).rejects.toBe(reason)
    hold.release()
  })

  test('ends a body that is being read', async () => {
    const { registry, client } = await world()
    registry.intercept((req, res, next) => {
      if (!/blobs/.test(req.url ?? '')) return next()
      res.writeHead(200, { 'content-length': '1000' })
      res.write('some')
      return undefined
    })
    const controller = new AbortController()
    const { body } = await client.blob(at(registry.host), layer.digest, undefined, controller.signal)
    const reading = read(body)
    const reason = new Error('enough')
    controller.abort(reason)
    await expect(reading).rejects.toBe(reason)
  })

  test('before the start sends nothing', async () => {
    const { registry, client } = await world()
    await expect(client.manifest(at(registry.host), 'v1', AbortSignal.abort())).rejects.toThrow()
    expect(registry.requests).toEqual([])
  })

  test('is asked for on condition, and its strong ETag is told', async () => {
    const { registry, client } = await world()
    const remove = registry.intercept(withHeader(/blobs/, 'etag', '"One"'))
    const range = { start: 5, ifRange: '"One"' }
    expect(await client.blob(at(registry.host), layer.digest, range)).toMatchObject({ etag: '"One"', offset: 5 })
    expect(registry.matching(/blobs/)[0]?.headers).toMatchObject({ range: 'bytes=5-', 'if-range': '"One"' })
    remove()
    registry.intercept(withHeader(/blobs/, 'etag', 'W/"One"'))
    expect(await client.blob(at(registry.host), layer.digest)).not.toHaveProperty('etag')
  })

  test('a reader that leaves lets go of the connection', async () => {
    const { registry, client } = await world()
    const big = piece('application/octet-stream', Buffer.alloc(8 * 1024 * 1024, 'x'))
    registry.put('lib/app', big)
    const gone = Promise.withResolvers<void>()
    registry.intercept((req, res, next) => {
      if (/blobs/.test(req.url ?? '')) res.once('close', () => gone.resolve())
      return next()
    })
    const { body } = await client.blob(at(registry.host), big.digest)
    body.close()
    await gone.promise
  })
})

test('answers other than asked for are errors, not content', async () => {
  const { registry, client } = await world()
  for (const status of [201, 204, 206, 302, 400, 410, 451]) {
    const remove = registry.intercept(answering(/manifests|blobs/, fakeAnswer(status, 'x')))
    const manifest = await failureOf(client.manifest(at(registry.host), 'v1'))
    const blob = await failureOf(client.blob(at(registry.host), layer.digest))
    for (const { code, upstream } of [manifest, blob]) {
      expect({ status, code, reason: upstream?.reason }).toEqual({ status, code: 'UNAVAILABLE', reason: 'Invalid' })
    }
    remove()
  }
})
