import { request } from 'node:http'
import { describe, expect, test } from 'vitest'
import { type ErrorCode, RegistryError, type UpstreamFailure } from '../../src/oci/errors.ts'
import { makeImage, makeIndex } from '../support/images.ts'
import { type AskOptions, type Harness, served, startHttp, tokenFor } from './harness.ts'

const image = makeImage('one').manifest
const index = makeIndex('many').manifest
const failed = {
  type: 'ImportSuccess' as const,
  status: 'False' as const,
  lastTransitionTime: '2026-01-01T00:00:00Z',
  reason: 'NotFound',
  message: 'lib/app:v1 is "gone"\r\nX-Evil: 1 \u00e9',
  generation: 1,
}

async function world(warm = false): Promise<Harness> {
  const harness = await startHttp({ warm })
  const pin = { uid: 'u', digest: image.digest, revision: 3, condition: undefined }
  harness.manifests.set('demo/app:prod', served(image, pin))
  harness.manifests.set('demo/app:failing', served(image, { ...pin, condition: failed }))
  harness.manifests.set(`demo/app:${image.digest}`, served(image))
  harness.manifests.set(`demo/app:${index.digest}`, served(index))
  harness.manifests.set('demo/app:remote', { ...served(image, pin), bytes: undefined })
  return harness
}

describe('GET and HEAD of a manifest', () => {
  test('GET /v2/demo/app/manifests/prod answers the exact bytes and what describes them', async () => {
    const { ask } = await world()
    const answer = await ask('/v2/demo/app/manifests/prod', { token: 'good' })
    expect(answer.status).toBe(200)
    expect(answer.body.equals(image.bytes)).toBe(true)
    expect(answer.headers).toMatchObject({
      'content-type': image.mediaType,
      'content-length': String(image.bytes.length),
      'docker-content-digest': image.digest,
      etag: `"${image.digest}"`,
      'weir-revision': '3',
      'docker-distribution-api-version': 'registry/2.0',
      'x-request-id': expect.stringMatching(/^test-/),
    })
    expect(answer.headers).not.toHaveProperty('content-encoding')
    expect(answer.headers).not.toHaveProperty('warning')
  })

  test('by digest it has no revision', async () => {
    const { ask } = await world()
    const answer = await ask(`/v2/demo/app/manifests/${index.digest}`, { token: 'good' })
    expect(answer.headers['content-type']).toBe(index.mediaType)
    expect(answer.headers).not.toHaveProperty('weir-revision')
  })

  test('HEAD has the headers of GET, no body, and is asked of the domain as HEAD', async () => {
    const { ask, calls } = await world()
    const get = await ask('/v2/demo/app/manifests/prod', { token: 'good', headers: { 'x-request-id': 'same' } })
    const head = await ask('/v2/demo/app/manifests/prod', {
      token: 'good',
      method: 'HEAD',
      headers: { 'x-request-id': 'same' },
    })
    expect(head.body).toHaveLength(0)
    expect({ ...head.headers, date: '' }).toEqual({ ...get.headers, date: '' })
    expect(calls).toEqual(['get prod', 'head prod'])
  })

  test('HEAD is answered where the bytes are not here', async () => {
    const { ask } = await world()
    const head = await ask('/v2/demo/app/manifests/remote', { token: 'good', method: 'HEAD' })
    expect(head.status).toBe(200)
    expect(head.headers['content-length']).toBe(String(image.bytes.length))
  })

  test('I8: a pull from a pin whose newest import failed says so, in one clean header', async () => {
    const { ask } = await world()
    const { status, headers } = await ask('/v2/demo/app/manifests/failing', { token: 'good' })
    expect(status).toBe(200)
    expect(headers.warning).toBe(
      '299 - "served from the pin: the newest import failed (NotFound) at 2026-01-01T00:00:00Z"',
    )
    expect(headers).not.toHaveProperty('x-evil')
  })

  test.each(['"D"', 'D', 'W/"D"', '"sha256:x", "D"', '*'])('If-None-Match: %s answers 304', async (form) => {
    const { ask } = await world()
    const headers = { 'if-none-match': form.replace('D', image.digest) }
    const answer = await ask('/v2/demo/app/manifests/prod', { token: 'good', headers })
    expect(answer.status).toBe(304)
    expect(answer.body).toHaveLength(0)
    expect(answer.headers).toMatchObject({ etag: `"${image.digest}"`, 'docker-content-digest': image.digest })
  })

  test('an If-None-Match of other content answers 200', async () => {
    const { ask } = await world()
    const headers = { 'if-none-match': `"${index.digest}", W/"x"` }
    expect((await ask('/v2/demo/app/manifests/prod', { token: 'good', headers })).status).toBe(200)
  })

  test('any Accept is served what is there, never converted', async () => {
    const { ask } = await world()
    const headers = { accept: 'application/vnd.docker.distribution.manifest.v2+json' }
    const answer = await ask(`/v2/demo/app/manifests/${index.digest}`, { token: 'good', headers })
    expect(answer.headers['content-type']).toBe(index.mediaType)
  })

  test('a digest with its colon escaped is the same digest', async () => {
    const { ask } = await world()
    const path = `/v2/demo/app/manifests/${image.digest.replace(':', '%3A')}`
    expect((await ask(path, { token: 'good' })).body.equals(image.bytes)).toBe(true)
  })

  test("a mirror's ns parameter changes nothing", async () => {
    const { ask } = await world(true)
    expect((await ask('/v2/demo/app/manifests/prod?ns=docker.io', { token: 'good' })).status).toBe(200)
  })
})

describe('the warm path answers as the router does', () => {
  const digest = image.digest
  const bearer = { authorization: 'Bearer good' }
  const path = '/v2/demo/app/manifests/prod'
  // The last column: whether the warm path is the one to answer.
  const table: [string, string, AskOptions, boolean][] = [
    ['GET by tag', path, { headers: bearer }, true],
    ['HEAD by tag', path, { headers: bearer, method: 'HEAD' }, true],
    ['GET by digest', `/v2/demo/app/manifests/${digest}`, { headers: bearer }, true],
    ['GET of a failing tag', '/v2/demo/app/manifests/failing', { headers: bearer }, true],
    ['If-None-Match that matches', path, { headers: { ...bearer, 'if-none-match': `"${digest}"` } }, true],
    ['If-None-Match in two lines', path, { headers: { ...bearer, 'if-none-match': ['"x"', digest] } }, true],
    ['If-None-Match of other content', path, { headers: { ...bearer, 'if-none-match': '"x"' } }, true],
    ['HEAD with If-None-Match', path, { headers: { ...bearer, 'if-none-match': '*' }, method: 'HEAD' }, true],
    ['HEAD without bytes here', '/v2/demo/app/manifests/remote', { headers: bearer, method: 'HEAD' }, true],
    ['an id of its own', path, { headers: { ...bearer, 'x-request-id': 'a b' } }, true],
    ['headers in capitals', path, { headers: { AUTHORIZATION: 'Bearer good', 'IF-NONE-MATCH': digest } }, true],
    ['an escaped colon', `/v2/demo/app/manifests/${digest.replace(':', '%3A')}`, { headers: bearer }, false],
    ['a query', `${path}?ns=docker.io`, { headers: bearer }, false],
    ['lower-case bearer', path, { headers: { authorization: 'bearer good' } }, false],
    ['no token', path, {}, false],
    ['another token', path, { headers: { authorization: 'Bearer bad' } }, false],
    ['a token for something else', path, { headers: { authorization: 'Bearer other' } }, false],
    ['two spaces', path, { headers: { authorization: 'Bearer  good' } }, false],
    ['Basic', path, { headers: { authorization: `Basic ${btoa('a:good')}` } }, false],
    ['two Authorization headers', path, { headers: { authorization: ['Bearer good', 'Bearer good'] } }, false],
    ['an unknown tag', '/v2/demo/app/manifests/gone', { headers: bearer }, false],
    ['an unknown stream', '/v2/demo/gone/manifests/prod', { headers: bearer }, false],
    ['a deeper name', '/v2/demo/app/x/manifests/prod', { headers: bearer }, false],
    ['a longer path', `${path}/x`, { headers: bearer }, false],
    ['another method', path, { headers: bearer, method: 'DELETE' }, false],
  ]

  test.each(table)('%s', async (_name, target, options, isWarm) => {
    const [cold, warm] = await Promise.all([world(false), world(true)])
    const headers = { 'x-request-id': 'fixed', ...options.headers }
    for (const { tokens } of [cold, warm]) tokens.set('other', tokenFor('demo/other', ['pull']))
    const byRouter = await cold.ask(target, { ...options, headers })
    const byWarm = await warm.ask(target, { ...options, headers })
    const comparable = ({ status, headers: answered, body }: typeof byWarm) => ({
      status,
      headers: { ...answered, date: '', 'x-request-id': String(answered['x-request-id']).replace(/^test-.*/, 'own') },
      body: body.toString('hex'),
    })
    expect(comparable(byWarm)).toEqual(comparable(byRouter))
    expect(warm.warmAnswers()).toBe(isWarm ? 1 : 0)
    expect(cold.warmAnswers()).toBe(0)
  })
})

describe('what can not be served', () => {
  test.each([
    ['MANIFEST_UNKNOWN', new RegistryError('MANIFEST_UNKNOWN'), 404],
    ['an unreachable upstream', new RegistryError('UNAVAILABLE'), 503],
    ['a code of the API alone', new RegistryError('NOT_FOUND'), 404],
  ])('%s is told in the form of the spec', async (_name, error, status) => {
    const { ask, manifests } = await world()
    Object.defineProperty(manifests, 'get', {
      value: () => {
        throw error
      },
    })
    const answer = await ask('/v2/demo/app/manifests/prod', { token: 'good' })
    expect(answer.status).toBe(status)
    expect(answer.headers['content-type']).toBe('application/json')
    const { errors } = answer.json() as { errors: { code: string; message: string; detail: unknown }[] }
    expect(errors).toEqual([
      { code: expect.stringMatching(/^[A-Z_]+$/), message: error.message, detail: error.upstream ?? null },
    ])
    expect(errors[0]?.code).not.toBe('NOT_FOUND')
  })

  test('I9: a refused login is told by host and status alone, not by its name', async () => {
    const { ask, manifests } = await world()
    const upstream = { host: 'a.example', reason: 'Unauthorized', status: 401 } as const
    Object.defineProperty(manifests, 'get', {
      value: () => {
        throw new RegistryError('DENIED', { message: 'login upstreams[0] (robot) was refused', upstream })
      },
    })
    const answer = await ask('/v2/demo/app/manifests/prod', { token: 'good' })
    expect(answer.status).toBe(403)
    const message = 'a.example answered 401: denied, or not there'
    expect(answer.json()).toEqual({ errors: [{ code: 'DENIED', message, detail: upstream }] })
  })

  const told: [ErrorCode, UpstreamFailure, string][] = [
    ['MANIFEST_UNKNOWN', { host: 'a.example', reason: 'NotFound', status: 404 }, 'answered 404: not there'],
    ['UNAVAILABLE', { host: 'a.example', reason: 'Unreachable' }, ': not available'],
    ['UNAVAILABLE', { host: 'a.example', reason: 'Unreachable', status: 503 }, 'answered 503: not available'],
    [
      'TOOMANYREQUESTS',
      { host: 'a.example', reason: 'TooManyRequests', status: 429 },
      'answered 429: too many requests',
    ],
    ['UNAVAILABLE', { host: 'a.example', reason: 'Tls' }, ': its TLS or its certificate can not be trusted'],
    ['UNAVAILABLE', { host: 'a.example', reason: 'BadDigest' }, ': it has other content than asked for'],
    ['DENIED', { host: 'a.example', reason: 'NotAllowed' }, ': not allowed here'],
  ]

  test.each(told)('I9: a puller is told %s by host, status and reason alone: %j', async (code, upstream, end) => {
    const { ask, manifests } = await world()
    const secret = 'manifest of a.example/secret/repository: connect ECONNREFUSED 10.0.0.7:5000'
    Object.defineProperty(manifests, 'get', {
      value: () => {
        const more = { ...upstream, address: secret }
        throw new RegistryError(code, { message: secret, detail: { secret }, upstream: more })
      },
    })
    const answer = await ask('/v2/demo/app/manifests/prod', { token: 'good' })
    expect(answer.body.toString()).not.toMatch(/secret|10\.0\.0\.7/)
    const message = `a.example${end.startsWith(':') ? '' : ' '}${end}`
    expect(answer.json()).toEqual({ errors: [{ code, message, detail: upstream }] })
  })

  test('a body that its client cuts off is no failure of the server', async () => {
    const { port, logged, ask } = await world()
    const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': 100 }
    const sent = request({ host: '127.0.0.1', port, path: '/token', method: 'POST', headers })
    sent.on('error', () => {})
    sent.on('socket', (socket) => socket.once('connect', () => sent.write('a=b', () => sent.destroy())))
    await expect.poll(() => logged.join()).toContain('request cut off by its client')
    expect((await ask('/livez')).status).toBe(200)
    expect(logged.join()).not.toMatch(/"level":[456]0/)
  })

  test('429 carries Retry-After', async () => {
    const { ask, manifests } = await world()
    Object.defineProperty(manifests, 'get', {
      value: () => {
        throw new RegistryError('TOOMANYREQUESTS', { retryAfterSeconds: 12.2 })
      },
    })
    const { status, headers } = await ask('/v2/demo/app/manifests/prod', { token: 'good' })
    expect([status, headers['retry-after']]).toEqual([429, '13'])
  })

  test("a programmer's mistake is a bare 500 with the request id, and is logged", async () => {
    const { ask, manifests, logged } = await world()
    Object.defineProperty(manifests, 'get', {
      value: () => {
        throw new TypeError('secret inside')
      },
    })
    const answer = await ask('/v2/demo/app/manifests/prod', { token: 'good', headers: { 'x-request-id': 'abc-1' } })
    expect(answer.status).toBe(500)
    expect(answer.json()).toEqual({
      errors: [{ code: 'UNKNOWN', message: 'internal error', detail: { requestId: 'abc-1' } }],
    })
    expect(logged.join()).toMatch(/"requestId":"abc-1".*request failed/)
  })

  test.each([
    ['one component', '/v2/app/manifests/v1'],
    ['three components', '/v2/a/demo/app/manifests/v1'],
    ['capitals', '/v2/demo/App/manifests/v1'],
    ['a name of keywords', '/v2/manifests/manifests/manifests/manifests/v1'],
  ])('a name of %s is NAME_INVALID, with or without a token', async (_name, path) => {
    const { ask } = await world()
    for (const options of [{}, { token: 'good' }]) {
      const answer = await ask(path, options)
      expect(answer.status).toBe(400)
      expect(answer.json()).toMatchObject({ errors: [{ code: 'NAME_INVALID' }] })
    }
    expect((await ask(path, { method: 'HEAD', token: 'good' })).status).toBe(404)
  })

  test('keywords are legal names', async () => {
    const { ask, manifests, tokens } = await world()
    tokens.set('kw', tokenFor('manifests/blobs', ['pull']))
    manifests.set('manifests/blobs:tags', served(image))
    expect((await ask('/v2/manifests/blobs/manifests/tags', { token: 'kw' })).status).toBe(200)
  })

  test.each([
    ['POST', '/v2/demo/app/manifests/v1', 'GET, HEAD, PUT, DELETE'],
    ['PATCH', '/v2/demo/app/blobs/sha256:x', 'GET, HEAD, DELETE'],
    ['POST', '/v2/', 'GET, HEAD'],
    ['PUT', '/v2/_catalog', 'GET, HEAD'],
    ['DELETE', '/v2/demo/app/tags/list', 'GET, HEAD'],
    ['OPTIONS', '/v2/demo/app/manifests/v1', 'GET, HEAD, PUT, DELETE'],
  ])('%s %s is 405 UNSUPPORTED with Allow', async (method, path, allow) => {
    const { ask } = await world()
    const answer = await ask(path, { method, token: 'good' })
    expect([answer.status, answer.headers.allow]).toEqual([405, allow])
    expect(answer.json()).toMatchObject({ errors: [{ code: 'UNSUPPORTED' }] })
    expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0')
  })

  test.each(['/v2/x', '/v2/demo/app', '/v2/demo/app/referrers/', '/v2/demo/app/manifests/', '/nothing'])(
    '%s is 404 in the form of the spec',
    async (path) => {
      const { ask } = await world()
      const answer = await ask(path, { token: 'good' })
      expect(answer.status).toBe(404)
      expect(answer.json()).toMatchObject({ errors: [{ code: 'NAME_UNKNOWN' }] })
    },
  )
})
