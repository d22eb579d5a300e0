import { setDefaultCACertificates } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createHosts } from '../../src/upstream/hosts.ts'
import { createTransport, defaultTimeouts } from '../../src/upstream/transport.ts'
import { type FakeUpstream, type FakeUpstreamOptions, startFakeUpstream } from '../support/fake-upstream.ts'
import { fakeAnswer } from '../support/fake-upstream-answers.ts'
import { answering, endless, failing, redirecting, resetting, truncated } from '../support/fake-upstream-faults.ts'
import { createFakeAuthority } from '../support/fake-upstream-tls.ts'
import { makeImage, piece } from '../support/images.ts'
import { at, failureOf, loginRule, read, recordingLog, startClient } from './start-client.ts'

const image = makeImage('transport')
const [layer = image.config] = image.layers
const users = { robot: 'pa55word!' }
const authority = await createFakeAuthority()
setDefaultCACertificates([authority.ca])

async function start(options: FakeUpstreamOptions = {}): Promise<FakeUpstream> {
  const registry = await startFakeUpstream(options)
  registry.put('lib/app', image, { tag: 'v1' })
  return registry
}

describe('a redirect', () => {
  test('to a host with a name that fills a header makes no longer message than others', async () => {
    const registry = await start()
    registry.intercept(redirecting(/manifests/, `ftp://${'a'.repeat(15_000)}.test/`))
    const { code, message } = await failureOf(startClient([registry.host]).client.resolve(at(registry.host), 'v1'))
    expect([code, message.length]).toEqual(['DENIED', 4096 + 3])
    expect(message).toMatch(/redirects to a{100,}a\.\.\.$/)
  })

  test.each([
    ['basic', 301],
    ['basic', 302],
    ['basic', 303],
    ['bearer', 307],
    ['bearer', 308],
  ] as const)('I9: to another host is followed without the login (%s, %i)', async (kind, status) => {
    const [registry, storage] = [await start({ auth: { kind, users } }), await start()]
    registry.intercept(async (req, res, next) => {
      const answer = await next()
      if (!/blobs/.test(req.url ?? '') || answer.status !== 200) return answer
      return redirecting(/blobs/, `${storage.origin}${req.url}?signature=s3cret`, status)(req, res, next)
    })
    const { client } = startClient([loginRule(registry.host), storage.host])
    const { body } = await client.blob(at(registry.host), layer.digest)
    expect(await read(body)).toEqual(layer.bytes)
    expect(storage.requests).toHaveLength(1)
    expect(storage.requests[0]?.headers.authorization).toBeUndefined()
    expect(storage.requests[0]?.headers.cookie).toBeUndefined()
  })

  test('within the registry keeps the login', async () => {
    const registry = await start({ auth: { kind: 'basic', users } })
    registry.put('moved/app', image)
    registry.intercept(redirecting(/lib\/app\/blobs/, (path) => path.replace('/lib/', '/moved/')))
    const { client } = startClient([loginRule(registry.host)])
    const { body } = await client.blob(at(registry.host), layer.digest)
    expect(await read(body)).toEqual(layer.bytes)
  })

  test('I9: that leaves and comes back does not bring the login back', async () => {
    const [registry, other] = [await start({ auth: { kind: 'basic', users } }), await start()]
    other.intercept(redirecting(/blobs/, `${registry.origin}/v2/private/app/blobs/${layer.digest}`))
    registry.intercept(redirecting(/lib\/app\/blobs/, (path) => `${other.origin}${path}`))
    const { client } = startClient([loginRule(registry.host), other.host])
    await failureOf(client.blob(at(registry.host), layer.digest))
    const back = registry.matching(/private/)
    expect(back.map(({ headers }) => headers.authorization)).toEqual(back.map(() => undefined))
    expect(back.length).toBeGreaterThan(0)
  })

  test('keeps the range', async () => {
    const [registry, storage] = [await start(), await start()]
    registry.intercept(redirecting(/blobs/, (path) => `${storage.origin}${path}`))
    const { client } = startClient([registry.host, storage.host])
    const blob = await client.blob(at(registry.host), layer.digest, { start: 2, end: 5 })
    expect(blob).toMatchObject({ offset: 2, length: 4 })
    expect(await read(blob.body)).toEqual(layer.bytes.subarray(2, 6))
  })

  test('of a manifest is followed too, also by HEAD', async () => {
    const [registry, storage] = [await start(), await start()]
    registry.intercept(redirecting(/manifests/, (path) => `${storage.origin}${path}`))
    const { client } = startClient([registry.host, storage.host])
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest: image.manifest.digest })
    expect(storage.matching(/manifests/).map(({ method }) => method)).toEqual(['HEAD'])
  })

  test('to a signed URL that refuses HEAD still gives the size of a blob', async () => {
    const [registry, storage] = [await start(), await start()]
    registry.intercept(redirecting(/blobs/, (path) => `${storage.origin}${path}`))
    storage.intercept(failing(/^HEAD/, 403))
    const { client } = startClient([registry.host, storage.host])
    expect(await client.blobSize(at(registry.host), layer.digest)).toBe(layer.bytes.length)
    expect(storage.requests.map(({ method, headers }) => [method, headers.range])).toContainEqual(['GET', 'bytes=0-0'])
    expect(storage.matching(/^HEAD/)).toEqual([])
  })

  test('to a signed URL that has expired is asked for once more', async () => {
    const [registry, storage] = [await start(), await start()]
    registry.intercept(redirecting(/blobs/, (path) => `${storage.origin}${path}`))
    storage.intercept(failing(/blobs/, 403, { times: 1 }))
    const { client } = startClient([registry.host, storage.host])
    const { body } = await client.blob(at(registry.host), layer.digest)
    expect(await read(body)).toEqual(layer.bytes)
  })

  test("I9: to a host that answers 401 does not bring out a login, and is not the registry's refusal", async () => {
    const [registry, storage] = [await start(), await start({ auth: { kind: 'basic', users } })]
    registry.intercept(redirecting(/blobs/, (path) => `${storage.origin}${path}`))
    const { client } = startClient([loginRule(registry.host), loginRule(storage.host)])
    const error = await failureOf(client.blob(at(registry.host), layer.digest))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { host: registry.host, status: 401 } })
    expect(error.message).toContain(`${storage.host} answered 401`)
    expect(storage.matching(/blobs/).every(({ headers }) => headers.authorization === undefined)).toBe(true)
  })

  test('in a circle ends after five hops', async () => {
    const registry = await start()
    registry.intercept(redirecting(/blobs/, (path) => path))
    const { client } = startClient([registry.host])
    const error = await failureOf(client.blob(at(registry.host), layer.digest))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Invalid' } })
    expect(error.message).toContain('redirects more than 5 times')
    expect(registry.matching(/blobs/)).toHaveLength(6)
  })

  test('to plain HTTP is not followed to a host without an insecure rule', async () => {
    const registry = await start({ tls: await authority.certificate(['127.0.0.1']) })
    const plain = await start()
    registry.intercept(redirecting(/blobs/, (path) => `${plain.origin}${path}`))
    const { client } = startClient([
      { host: registry.host, insecure: false },
      { host: plain.host, insecure: false },
    ])
    const error = await failureOf(client.blob(at(registry.host), layer.digest))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
    expect(error.message).toContain('which is not an https URL')
    expect(plain.requests).toEqual([])
  })

  test.each(['http', 'https'])(
    'by a registry that no rule names gains nothing from the rules for others (%s)',
    async (scheme) => {
      const [registry, inner] = [await start(), await start()]
      registry.intercept(redirecting(/blobs/, (path) => `${scheme}://${inner.host}${path}`))
      const all = createHosts([registry.host, inner.host].map((host) => ({ host, insecure: true })))
      // Loopback can only be asked when it is named: this registry is, but sends on like one that is not.
      const sendsOn = createHosts([{ host: registry.host, insecure: true }])
      const transport = createTransport({
        hosts: { ...all, seenFrom: () => sendsOn },
        userAgent: 'weir/test',
        log: recordingLog().log,
        timeouts: defaultTimeouts,
      })
      onTestFinished(() => transport.close())
      const url = new URL(`/v2/lib/app/blobs/${layer.digest}`, registry.origin)
      const error = await failureOf(transport.open({ host: registry.host, url, method: 'GET' }))
      expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
      expect(inner.requests).toEqual([])
    },
  )

  test.each([
    'ftp://127.0.0.1/x',
    'file:///etc/passwd',
    'data:text/plain,x',
    'unix:/var/run/docker.sock',
    'https://user:pw@example.com/',
  ])('to %s is not followed', async (location) => {
    const registry = await start()
    registry.intercept(redirecting(/blobs/, location))
    const { client } = startClient([registry.host])
    const error = await failureOf(client.blob(at(registry.host), layer.digest))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
    expect(error.message).not.toContain('pw')
  })

  test.each([undefined, '', 'https://', 'http://[::'])('with the Location %j is an error', async (location) => {
    const registry = await start()
    registry.intercept(answering(/blobs/, fakeAnswer(307, '', location === undefined ? {} : { location })))
    const { client } = startClient([registry.host])
    const error = await failureOf(client.blob(at(registry.host), layer.digest))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Invalid' } })
  })
})

describe('a blob that breaks off', () => {
  const big = piece('application/octet-stream', Buffer.alloc(3 * 1024 * 1024, 'x'))

  test.each([0, 1, 100_000, big.bytes.length - 1])('after %i bytes fails its stream', async (bytes) => {
    const registry = await start()
    registry.put('lib/app', big)
    registry.intercept(truncated(/^GET .*blobs/, bytes))
    const { client } = startClient([registry.host])
    // Without a single byte the connection may also break before the answer is seen.
    const error = await failureOf(client.blob(at(registry.host), big.digest).then(({ body }) => read(body)))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { host: registry.host, reason: 'Unreachable' } })
  })

  test('without a length told fails its stream too', async () => {
    const registry = await start()
    registry.intercept((req, res, next) => {
      if (!/blobs/.test(req.url ?? '')) return next()
      res.writeHead(200, { 'transfer-encoding': 'chunked' })
      res.write('some', () => res.destroy())
      return undefined
    })
    const { client } = startClient([registry.host])
    const { body } = await client.blob(at(registry.host), layer.digest)
    expect(await failureOf(read(body))).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Unreachable' } })
  })

  test('while nobody listens does not bring the process down, and is told to who reads later', async () => {
    const registry = await start()
    registry.put('lib/app', big)
    registry.intercept(truncated(/^GET .*blobs/, 100))
    const { client } = startClient([registry.host])
    const gone = Promise.withResolvers<void>()
    registry.intercept((_req, res, next) => {
      res.once('close', () => gone.resolve())
      return next()
    })
    const { body } = await client.blob(at(registry.host), big.digest)
    await gone.promise
    expect(await failureOf(read(body))).toMatchObject({ code: 'UNAVAILABLE' })
  })

  test('because it stands still fails its stream, and one whose reader is slow does not', async () => {
    const registry = await start()
    registry.put('lib/app', big)
    registry.intercept((req, res, next) => {
      if (!req.url?.includes(layer.digest)) return next()
      res.writeHead(200, { 'content-length': '100' })
      res.write('some')
      return undefined
    })
    const { client } = startClient([registry.host], { timeouts: { blobIdleMs: 100 } })
    const unread = await client.blob(at(registry.host), big.digest)
    const still = await client.blob(at(registry.host), layer.digest)
    expect(await failureOf(read(still.body))).toMatchObject({
      code: 'UNAVAILABLE',
      upstream: { reason: 'Unreachable' },
    })
    expect((await read(unread.body)).equals(big.bytes)).toBe(true)
  })
})

describe('an upstream that is slow', () => {
  test('to answer is Unreachable', async () => {
    const registry = await start()
    const hold = registry.hold(/manifests/)
    const { client } = startClient([registry.host], { timeouts: { headersMs: 100 } })
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Unreachable' } })
    hold.release()
  })

  test('to send a manifest, drop by drop, is Unreachable', async () => {
    const registry = await start()
    registry.intercept((req, res, next) => {
      if (!/manifests/.test(req.url ?? '')) return next()
      res.writeHead(200)
      const drip = setInterval(() => res.write(' '), 20)
      res.once('close', () => clearInterval(drip))
      return undefined
    })
    const { client } = startClient([registry.host], { timeouts: { wholeMs: 300 } })
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Unreachable' } })
    expect(error.message).toContain('no whole answer within 0.3 s')
  })
})

describe('an unread body', () => {
  test('does not keep its connection: many refusals use a few', async () => {
    const registry = await start()
    registry.intercept(failing(/manifests/, 404))
    const ports = new Set<number | undefined>()
    registry.intercept((req, _res, next) => {
      ports.add(req.socket.remotePort)
      return next()
    })
    const { client } = startClient([registry.host])
    for (let i = 0; i < 10; i++) await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(ports.size).toBeLessThanOrEqual(3)
  })

  test('that has no end is dropped', async () => {
    const registry = await start()
    const closed = Promise.withResolvers<void>()
    registry.intercept(endless(/blobs/, {}, 404))
    registry.intercept((req, res, next) => {
      if (/blobs/.test(req.url ?? '')) res.once('close', closed.resolve)
      return next()
    })
    const { client } = startClient([registry.host])
    expect(await failureOf(client.blob(at(registry.host), layer.digest))).toMatchObject({ code: 'BLOB_UNKNOWN' })
    await closed.promise
  })
})

test('headers that no HTTP answer may have are Unreachable, and none of them is taken over', async () => {
  const registry = await start()
  registry.intercept((req, _res, next) => {
    if (!/manifests/.test(req.url ?? '')) return next()
    req.socket.end('HTTP/1.1 200 OK\r\nContent-Type: a\rX-Injected: yes\r\nContent-Length: 2\r\n\r\n{}')
    return undefined
  })
  const { client } = startClient([registry.host])
  const error = await failureOf(client.manifest(at(registry.host), 'v1'))
  expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Unreachable' } })
  expect(error.message).not.toContain('Injected')
})

test('a connection that is reset at once is tried three times', async () => {
  const registry = await start()
  registry.intercept(resetting(/manifests/))
  const { client, pauses } = startClient([registry.host])
  const error = await failureOf(client.manifest(at(registry.host), 'v1'))
  expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Unreachable' } })
  expect(registry.matching(/manifests/)).toHaveLength(3)
  expect(pauses).toHaveLength(2)
})
