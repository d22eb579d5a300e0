import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import type { PushedBytes } from '../../src/upstream/upstream.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { type FakeInterceptor, fakeAnswer, fakeError } from '../support/fake-upstream-answers.ts'
import {
  answering,
  cuttingUpload,
  failing,
  redirecting,
  resetting,
  withHeader,
} from '../support/fake-upstream-faults.ts'
import { makeImage, makeIndex, type Piece, piece } from '../support/images.ts'
import { at, type ClientOptions, failureOf, loginRule, startClient } from './start-client.ts'

const image = makeImage('pushed')
const index = makeIndex('pushed')
const [layer = image.config] = image.layers
const other = digestOf('something else')

const uploads = /^POST .*\/blobs\/uploads\/$/
const uploadEnds = /^PUT .*\/blobs\/uploads\//
const manifestPuts = /^PUT .*\/manifests\//

/** Gives bytes out of one piece of memory that it uses again, as content does, and tells what became of its readers. */
function source(bytes: Buffer, pieceBytes = 1000) {
  const state = { opened: 0, closed: 0, read: 0 }
  const open = async (): Promise<PushedBytes> => {
    const memory = Buffer.alloc(pieceBytes)
    state.opened += 1
    let offset = 0
    return {
      read: async () => {
        memory.fill(0)
        const length = bytes.copy(memory, 0, offset)
        offset += length
        state.read += length
        return length === 0 ? undefined : memory.subarray(0, length)
      },
      close: () => {
        memory.fill(0)
        state.closed += 1
      },
    }
  }
  return { open, state }
}

async function world(options: ClientOptions = {}) {
  const registry = await startFakeUpstream()
  return { registry, ...startClient([registry.host], options) }
}

function pushing({ registry, client }: Awaited<ReturnType<typeof world>>, { digest, bytes }: Piece) {
  const { open, state } = source(bytes)
  return { state, pushed: client.pushBlob(at(registry.host), digest, bytes.length, open) }
}

/** What was asked, without the ids of uploads. */
function asked(registry: FakeUpstream): string[] {
  return registry.requests
    .filter(({ path }) => path !== '/v2/')
    .map(({ method, path }) => `${method} ${path.replace(/uploads\/[0-9a-f-]{36}/, 'uploads/ID')}`)
}

describe('pushBlob()', () => {
  test('asks by HEAD, begins an upload, and sends all bytes at once to where it was told, query kept', async () => {
    const { registry, ...rest } = await world()
    const { pushed, state } = pushing({ registry, ...rest }, layer)
    await pushed
    expect(registry.blob('lib/app', layer.digest)?.bytes).toEqual(layer.bytes)
    expect(asked(registry)).toEqual([
      `HEAD /v2/lib/app/blobs/${layer.digest}`,
      'POST /v2/lib/app/blobs/uploads/',
      `PUT /v2/lib/app/blobs/uploads/ID?_state=a%20b~c%2Fd%3D&digest=${encodeURIComponent(layer.digest)}`,
    ])
    expect(registry.matching(uploads)[0]?.headers).toMatchObject({ 'content-length': '0', 'user-agent': 'weir/test' })
    const { headers } = registry.matching(uploadEnds)[0] ?? {}
    expect(headers).toMatchObject({
      'content-length': String(layer.bytes.length),
      'content-type': 'application/octet-stream',
    })
    expect(headers).not.toHaveProperty('transfer-encoding')
    expect(state).toEqual({ opened: 1, closed: 1, read: layer.bytes.length })
  })

  test.each([1, 999, 1000, 1001, 300_000, 5_000_000])(
    'sends %i bytes that are read into the same memory',
    async (n) => {
      const { registry, client } = await world()
      const bytes = randomBytes(n)
      const { open, state } = source(bytes, n > 100_000 ? 700_000 : 1000)
      await client.pushBlob(at(registry.host), digestOf(bytes), n, open)
      expect(registry.blob('lib/app', digestOf(bytes))?.bytes.equals(bytes)).toBe(true)
      expect(state).toEqual({ opened: 1, closed: 1, read: n })
    },
  )

  test('sends an empty blob without opening anything', async () => {
    const { registry, ...rest } = await world()
    const empty = piece('application/octet-stream', '')
    const { pushed, state } = pushing({ registry, ...rest }, empty)
    await pushed
    expect(registry.blob('lib/app', empty.digest)?.bytes).toHaveLength(0)
    expect(registry.matching(uploadEnds)[0]?.headers['content-length']).toBe('0')
    expect(state.opened).toBe(0)
  })

  test('takes a blob under its sha512 digest', async () => {
    const { registry, ...rest } = await world()
    const bytes = Buffer.from('sha512')
    const digest = digestOf(bytes, 'sha512')
    await pushing({ registry, ...rest }, { digest, bytes, mediaType: '' }).pushed
    expect(registry.blob('lib/app', digest)?.bytes).toEqual(bytes)
  })

  test('costs a HEAD where the blob is there', async () => {
    const { registry, ...rest } = await world()
    registry.put('lib/app', layer)
    const { pushed, state } = pushing({ registry, ...rest }, layer)
    await pushed
    expect(asked(registry)).toEqual([`HEAD /v2/lib/app/blobs/${layer.digest}`])
    expect(state.opened).toBe(0)
  })

  test('does not take something of another size for the blob', async () => {
    const { registry, ...rest } = await world()
    registry.put('lib/app', { ...layer, bytes: Buffer.from('short') })
    await pushing({ registry, ...rest }, layer).pushed
    expect(registry.blob('lib/app', layer.digest)?.bytes).toEqual(layer.bytes)
  })

  test.each([
    ['refuses HEAD', failing(/^HEAD/, 405)],
    ['forbids HEAD', failing(/^HEAD/, 403)],
    ['does not know HEAD', failing(/^(HEAD|GET) .*blobs/, 400)],
  ])('pushes where a registry %s', async (_how, fault) => {
    const { registry, ...rest } = await world()
    registry.intercept(fault)
    await pushing({ registry, ...rest }, layer).pushed
    expect(registry.blob('lib/app', layer.digest)?.bytes).toEqual(layer.bytes)
  })

  test.each([
    ['an absolute Location', (at: string, origin: string) => `${origin}${at}`],
    ['one relative to what was asked', (at: string) => at.replace('/v2/lib/app/blobs/uploads/', '')],
    ['one with a fragment', (at: string) => `${at}#part`],
  ])('goes on at %s of the same origin', async (_what, change) => {
    const { registry, ...rest } = await world()
    registry.intercept(async (req, _res, next) => {
      const answer = await next()
      const { location } = answer.headers
      if (req.method !== 'POST' || typeof location !== 'string') return answer
      return { ...answer, headers: { ...answer.headers, location: change(location, registry.origin) } }
    })
    await pushing({ registry, ...rest }, layer).pushed
    expect(registry.blob('lib/app', layer.digest)?.bytes).toEqual(layer.bytes)
  })

  describe('sends nothing on', () => {
    test.each([
      ['another host', (host: string) => `http://${host}/v2/lib/app/blobs/uploads/1`],
      ['another host without a scheme', (host: string) => `//${host}/v2/lib/app/blobs/uploads/1`],
    ])('to a Location on %s, bytes and login neither', async (_what, location) => {
      const thief = await startFakeUpstream()
      const registry = await startFakeUpstream({ auth: { kind: 'basic', users: { robot: 'pa55word!' } } })
      const { client } = startClient([loginRule(registry.host), thief.host])
      registry.intercept(withHeader(uploads, 'location', location(thief.host)))
      const { open, state } = source(layer.bytes)
      const error = await failureOf(client.pushBlob(at(registry.host), layer.digest, layer.bytes.length, open))
      expect(error).toMatchObject({ code: 'DENIED', upstream: { host: registry.host, reason: 'NotAllowed' } })
      expect(error.message).toContain(thief.host)
      expect(thief.requests).toEqual([])
      expect(state.opened).toBe(0)
    })

    test('whatever a Location says: requests go to the registry itself, or nowhere', async () => {
      const thief = await startFakeUpstream()
      const { registry, client } = await world()
      const parts = fc.constantFrom(
        thief.host,
        registry.host,
        'http:',
        'https:',
        '/',
        '//',
        '\\',
        '@',
        '?',
        '#',
        '..',
        ':',
        '%2f',
        'a',
        '',
      )
      let location = ''
      registry.intercept((req, _res, next) =>
        req.method === 'POST' ? fakeAnswer(202, '', { location }) : req.method === 'PUT' ? fakeAnswer(201) : next(),
      )
      await fc.assert(
        fc.asyncProperty(fc.array(parts, { minLength: 1, maxLength: 8 }), async (chosen) => {
          location = chosen.join('')
          registry.requests.length = 0
          const { open } = source(layer.bytes)
          const outcome = await client.pushBlob(at(registry.host), layer.digest, layer.bytes.length, open).then(
            () => 'pushed',
            (error: unknown) => (error as { code?: string }).code,
          )
          expect(['pushed', 'DENIED', 'UNAVAILABLE']).toContain(outcome)
          expect(registry.matching(/^PUT/)).toHaveLength(outcome === 'pushed' ? 1 : 0)
          expect(thief.requests).toEqual([])
        }),
        { numRuns: 500 },
      )
    })

    test.each([
      ['another scheme', (host: string) => `https://${host}/v2/x`],
      ['a login', (host: string) => `http://robot:secret@${host}/v2/x`],
      ['no http at all', () => 'file:///etc/passwd'],
    ])('to a Location with %s', async (_what, location) => {
      const { registry, ...rest } = await world()
      registry.intercept(withHeader(uploads, 'location', location(registry.host)))
      const error = await failureOf(pushing({ registry, ...rest }, layer).pushed)
      expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
      expect(error.message).not.toContain('secret')
      expect(registry.matching(/^PUT/)).toEqual([])
    })

    test.each([
      ['no Location', undefined],
      ['a Location that is none', 'http://'],
    ])('after a 202 with %s', async (_what, location) => {
      const { registry, ...rest } = await world()
      registry.intercept(withHeader(uploads, 'location', location))
      const error = await failureOf(pushing({ registry, ...rest }, layer).pushed)
      expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Invalid' } })
    })

    test.each([201, 200])('after a %i that begins nothing', async (status) => {
      const { registry, ...rest } = await world()
      registry.intercept(answering(uploads, fakeAnswer(status)))
      const error = await failureOf(pushing({ registry, ...rest }, layer).pushed)
      expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Invalid' } })
      expect(registry.blob('lib/app', layer.digest)).toBeUndefined()
    })

    test.each([
      ['the beginning', uploads],
      ['the bytes', uploadEnds],
    ])('where a redirect of %s leads', async (_what, match) => {
      const thief = await startFakeUpstream()
      const { registry, ...rest } = await world()
      registry.intercept(redirecting(match, `${thief.origin}/v2/lib/app/blobs/uploads/`))
      const error = await failureOf(pushing({ registry, ...rest }, layer).pushed)
      expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed', status: 307 } })
      expect(thief.requests).toEqual([])
    })
  })

  describe('begins again from the start', () => {
    const big = piece('application/octet-stream', randomBytes(3_000_000))

    test.each([
      ['a 503 to the beginning', failing(uploads, 503, { times: 1 })],
      ['a 500 to the bytes', failing(uploadEnds, 500, { times: 1 })],
      ['a 429 without a time', failing(uploads, 429, { times: 1 })],
      ['a connection that breaks at once', resetting(uploads, 1)],
      ['a connection that breaks while bytes go out', cuttingUpload(uploadEnds, 100_000, 1)],
    ])('after %s', async (_what, fault) => {
      const { registry, ...rest } = await world()
      registry.intercept(fault)
      const { pushed, state } = pushing({ registry, ...rest }, big)
      await pushed
      expect(registry.blob('lib/app', big.digest)?.bytes.equals(big.bytes)).toBe(true)
      expect(registry.matching(uploads)).toHaveLength(2)
      expect(state.closed).toBe(state.opened)
    })

    test.each([
      ['5xx', failing(uploadEnds, 502), { code: 'UNAVAILABLE', upstream: { reason: 'Unreachable', status: 502 } }],
      ['connections that break', cuttingUpload(uploadEnds, 100_000), { code: 'UNAVAILABLE' }],
    ])('three times at most: %s', async (_what, fault, expected) => {
      const { registry, ...rest } = await world()
      registry.intercept(fault)
      const { pushed, state } = pushing({ registry, ...rest }, big)
      const error = await failureOf(pushed)
      expect(error).toMatchObject(expected)
      expect(registry.matching(uploads)).toHaveLength(3)
      expect(state.closed).toBe(state.opened)
    })
  })

  test.each([
    [429, { 'retry-after': '3600' }, { code: 'TOOMANYREQUESTS', retryAfterSeconds: 3600 }],
    [404, {}, { code: 'DENIED', upstream: { reason: 'NotFound', status: 404 } }],
    [413, {}, { code: 'DENIED', upstream: { reason: 'Invalid', status: 413 } }],
  ])('a %i that stays is told', async (status, headers, expected) => {
    const { registry, ...rest } = await world()
    registry.intercept(failing(uploads, status, { headers: headers as Record<string, string> }))
    const error = await failureOf(pushing({ registry, ...rest }, layer).pushed)
    expect(error).toMatchObject(expected)
    expect(error.message).toContain(`${registry.host}/lib/app`)
  })

  test.each([
    ['HEAD', /^HEAD/],
    ['the upload', uploads],
  ])('asks no further where %s is limited', async (_what, match) => {
    const { registry, ...rest } = await world()
    registry.intercept(failing(match, 429, { headers: { 'retry-after': '60' } }))
    const error = await failureOf(pushing({ registry, ...rest }, layer).pushed)
    expect(error).toMatchObject({ code: 'TOOMANYREQUESTS', retryAfterSeconds: 60 })
    expect(registry.matching(uploadEnds)).toEqual([])
  })

  test('is not taken in by a registry that took something else', async () => {
    const { registry, ...rest } = await world()
    registry.intercept(withHeader(uploadEnds, 'docker-content-digest', other))
    const error = await failureOf(pushing({ registry, ...rest }, layer).pushed)
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'BadDigest' } })
  })

  test.each([undefined, 'sha256:none', digestOf('x', 'sha512')])(
    'bears with the Docker-Content-Digest %s',
    async (told) => {
      const { registry, ...rest } = await world()
      registry.intercept(withHeader(uploadEnds, 'docker-content-digest', told))
      await pushing({ registry, ...rest }, layer).pushed
    },
  )

  test('tells why its own bytes could not be read, and blames nobody else', async () => {
    const { registry, client } = await world()
    const broken = new Error('the disk is gone')
    const open = async (): Promise<PushedBytes> => ({ read: () => Promise.reject(broken), close: () => undefined })
    await expect(client.pushBlob(at(registry.host), layer.digest, layer.bytes.length, open)).rejects.toBe(broken)
    expect(registry.blob('lib/app', layer.digest)).toBeUndefined()
    await expect(client.pushBlob(at(registry.host), layer.digest, 1, () => Promise.reject(broken))).rejects.toBe(broken)
  })

  test.each([-1, 1])('sends nothing that ends %i byte off', async (off) => {
    const { registry, client } = await world()
    const { open, state } = source(layer.bytes)
    const error = await failureOf(client.pushBlob(at(registry.host), layer.digest, layer.bytes.length + off, open))
    expect(error).toMatchObject({ code: 'UNAVAILABLE' })
    expect(registry.blob('lib/app', layer.digest)).toBeUndefined()
    expect(state.closed).toBe(state.opened)
  })

  test('reads no further than a slow registry takes', async () => {
    const { registry, client } = await world()
    const size = 64 * 1024 * 1024
    const { open, state } = source(Buffer.alloc(size), 1024 * 1024)
    const seen = Promise.withResolvers<() => void>()
    registry.intercept((req, _res, next) => {
      if (req.method !== 'PUT') return next()
      const go = Promise.withResolvers<void>()
      seen.resolve(go.resolve)
      return go.promise.then(next)
    })
    const pushed = client.pushBlob(at(registry.host), digestOf(Buffer.alloc(size)), size, open)
    const go = await seen.promise
    // Both ends' buffers are full once nothing more is read in a while of turns.
    for (let before = -1; before !== state.read; ) {
      before = state.read
      for (let i = 0; i < 500; i++) await new Promise((turn) => setImmediate(turn))
    }
    expect(state.read).toBeLessThan(size / 2)
    go()
    await pushed
    expect(state).toEqual({ opened: 1, closed: 1, read: size })
  })

  test.each([
    ['never answers', uploadEnds],
    ['never begins', uploads],
  ])('gives up on a registry that %s', async (_how, match) => {
    const { registry, ...rest } = await world({ timeouts: { pushIdleMs: 100 } })
    const held = registry.hold(match)
    const { pushed, state } = pushing({ registry, ...rest }, layer)
    expect(await failureOf(pushed)).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Unreachable' } })
    held.release()
    expect(state.closed).toBe(state.opened)
  })

  test('gives up on a registry that takes no more', async () => {
    const { registry, client } = await world({ timeouts: { pushIdleMs: 100 } })
    // Nobody reads what comes.
    registry.intercept((req, _res, next) => (req.method === 'PUT' ? undefined : next()))
    const { open, state } = source(Buffer.alloc(30_000_000), 1024 * 1024)
    const pushed = client.pushBlob(at(registry.host), other, 30_000_000, open)
    expect(await failureOf(pushed)).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Unreachable' } })
    await expect.poll(() => state.closed).toBe(1)
    expect(state.opened).toBe(1)
  })

  test('ends when nobody wants it any more, and lets go of the bytes', async () => {
    const { registry, client } = await world()
    const held = registry.hold(uploadEnds)
    const leaving = new AbortController()
    const { open, state } = source(Buffer.alloc(5_000_000))
    const pushed = client.pushBlob(at(registry.host), digestOf('x'), 5_000_000, open, leaving.signal)
    pushed.catch(() => undefined)
    await held.arrived()
    leaving.abort(new Error('left'))
    await expect(pushed).rejects.toThrow('left')
    held.release()
    await expect.poll(() => state.closed).toBe(state.opened)
  })

  describe('at a registry with logins', () => {
    const users = { robot: 'pa55word!' }

    test('asks for a token to pull and push once, for this repository alone', async () => {
      const registry = await startFakeUpstream({ auth: { kind: 'bearer', users, scope: 'repository:lib/other:*' } })
      const { client } = startClient([loginRule(registry.host)])
      for (const { digest, bytes } of [layer, image.config]) {
        await client.pushBlob(at(registry.host), digest, bytes.length, source(bytes).open)
      }
      expect(registry.tokenRequests.map(({ scopes, username }) => [scopes, username])).toEqual([
        [['repository:lib/app:pull,push'], 'robot'],
      ])
      expect(registry.blob('lib/app', layer.digest)).toBeDefined()
    })

    test('uses no token for a pull that could push', async () => {
      const registry = await startFakeUpstream({ auth: { kind: 'bearer', users } })
      registry.put('lib/app', image, { tag: 'v1' })
      const { client } = startClient([loginRule(registry.host)])
      await client.pushBlob(at(registry.host), layer.digest, layer.bytes.length, source(layer.bytes).open)
      await client.resolve(at(registry.host), 'v1')
      expect(registry.tokenRequests.map(({ scopes }) => scopes.join())).toEqual([
        'repository:lib/app:pull,push',
        'repository:lib/app:pull',
      ])
    })

    test('begins again with a fresh token where one ends between beginning and bytes', async () => {
      const registry = await startFakeUpstream({ auth: { kind: 'bearer', users } })
      const { client } = startClient([loginRule(registry.host)])
      let left = 1
      const ending: FakeInterceptor = (req, _res, next) => {
        if (req.method !== 'PUT' || left-- <= 0) return next()
        return fakeError(401, 'UNAUTHORIZED', {
          'www-authenticate': `Bearer realm="${registry.origin}/token",service="fake-registry"`,
        })
      }
      registry.intercept(ending)
      const big = piece('x', randomBytes(1_000_000))
      const { open, state } = source(big.bytes)
      await client.pushBlob(at(registry.host), big.digest, big.bytes.length, open)
      expect(registry.blob('lib/app', big.digest)?.bytes.equals(big.bytes)).toBe(true)
      expect(registry.tokenRequests).toHaveLength(2)
      expect(registry.matching(uploads)).toHaveLength(2)
      expect(state.closed).toBe(state.opened)
    })

    test.each(['basic', 'bearer'] as const)(
      'is told DENIED where %s logins are refused, never their password',
      async (kind) => {
        const registry = await startFakeUpstream({
          auth: kind === 'basic' ? { kind, users } : { kind, users, anonymous: false },
        })
        const { client, logs } = startClient([loginRule(registry.host, 'wr0ng!')])
        const error = await failureOf(
          client.pushBlob(at(registry.host), layer.digest, layer.bytes.length, source(layer.bytes).open),
        )
        expect(error).toMatchObject({ code: 'DENIED', status: 403, upstream: { reason: 'Unauthorized' } })
        expect(error.message).toContain('that may push')
        expect(JSON.stringify([error.message, error.detail, logs])).not.toContain('wr0ng!')
        expect(registry.matching(uploadEnds)).toEqual([])
      },
    )

    test('is told DENIED where a login may pull alone', async () => {
      const registry = await startFakeUpstream({ auth: { kind: 'bearer', users } })
      const { client } = startClient([loginRule(registry.host)])
      registry.intercept(failing(uploads, 403))
      const error = await failureOf(
        client.pushBlob(at(registry.host), layer.digest, layer.bytes.length, source(layer.bytes).open),
      )
      expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'Forbidden', status: 403 } })
    })

    test('lends no login to another project', async () => {
      const registry = await startFakeUpstream({ auth: { kind: 'basic', users } })
      const { client } = startClient([loginRule(registry.host)])
      const to = at(registry.host, 'lib/app', 'other')
      await failureOf(client.pushBlob(to, layer.digest, layer.bytes.length, source(layer.bytes).open))
      expect(registry.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([])
    })
  })
})

describe('pushManifest()', () => {
  async function withBlobs() {
    const whole = await world()
    whole.registry.put('lib/app', image.config)
    whole.registry.put('lib/app', layer)
    const { bytes, mediaType } = image.manifest
    const push = (reference: string) => whole.client.pushManifest(at(whole.registry.host), reference, bytes, mediaType)
    return { ...whole, push }
  }

  test.each(['v1', image.manifest.digest])('puts the exact bytes at %s', async (reference) => {
    const { registry, push } = await withBlobs()
    await push(reference)
    expect(registry.manifest('lib/app', reference)).toEqual(image.manifest)
    expect(asked(registry)).toEqual([
      `HEAD /v2/lib/app/manifests/${reference}`,
      `PUT /v2/lib/app/manifests/${reference}`,
    ])
    expect(registry.matching(manifestPuts)[0]?.headers).toMatchObject({
      'content-type': image.manifest.mediaType,
      'content-length': String(image.manifest.bytes.length),
    })
  })

  test.each(['v1', image.manifest.digest])('costs a HEAD where it stands at %s', async (reference) => {
    const { registry, push } = await withBlobs()
    registry.put('lib/app', image.manifest, { tag: 'v1' })
    await push(reference)
    expect(asked(registry)).toEqual([`HEAD /v2/lib/app/manifests/${reference}`])
  })

  test('moves a tag that stands elsewhere', async () => {
    const { registry, push } = await withBlobs()
    registry.put('lib/app', index, { tag: 'v1' })
    await push('v1')
    expect(registry.manifest('lib/app', 'v1')?.digest).toBe(image.manifest.digest)
  })

  test('puts it where HEAD tells no digest of a tag, or is refused', async () => {
    const { registry, push } = await withBlobs()
    registry.put('lib/app', index, { tag: 'v1' })
    const remove = registry.intercept(withHeader(/^HEAD/, 'docker-content-digest', undefined))
    await push('v1')
    remove()
    expect(registry.manifest('lib/app', 'v1')?.digest).toBe(image.manifest.digest)
    registry.intercept(failing(/^HEAD/, 403))
    await push('v2')
    expect(registry.manifest('lib/app', 'v2')?.digest).toBe(image.manifest.digest)
  })

  test.each([
    ['a 503', failing(manifestPuts, 503, { times: 1 })],
    ['a connection that breaks', resetting(manifestPuts, 1)],
  ])('puts it again after %s', async (_what, fault) => {
    const { registry, push } = await withBlobs()
    registry.intercept(fault)
    await push('v1')
    expect(registry.manifest('lib/app', 'v1')).toEqual(image.manifest)
  })

  test.each([
    ['takes something else', withHeader(manifestPuts, 'docker-content-digest', other), 'UNAVAILABLE', 'BadDigest'],
    ['lacks a blob', failing(manifestPuts, 400), 'DENIED', 'Invalid'],
    ['is read-only', failing(manifestPuts, 405), 'DENIED', 'Invalid'],
    ['has no such repository', failing(manifestPuts, 404), 'DENIED', 'NotFound'],
    ['redirects', redirecting(manifestPuts, '/elsewhere'), 'DENIED', 'NotAllowed'],
    ['is troubled', failing(/manifests/, 500), 'UNAVAILABLE', 'Unreachable'],
  ] as const)('fails where a registry %s', async (_how, fault, code, reason) => {
    const { registry, push } = await withBlobs()
    registry.intercept(fault)
    expect(await failureOf(push('v1'))).toMatchObject({ code, upstream: { host: registry.host, reason } })
  })

  test('is for what the digest is of', async () => {
    const { registry, push } = await withBlobs()
    await expect(push(other)).rejects.toThrow(TypeError)
    await expect(push('../v1')).rejects.toThrow(TypeError)
    expect(registry.requests).toEqual([])
  })
})
