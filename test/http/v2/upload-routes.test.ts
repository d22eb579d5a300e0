import { describe, expect, test } from 'vitest'
import { parseChallenges } from '../../../src/oci/challenge.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import { tokenFor } from '../harness.ts'
import { startPushing, uploads } from './pushing.ts'

const bytes = Buffer.from('some bytes of a layer')
const digest = digestOf(bytes)
const other = digestOf('something else')

async function begun() {
  const world = await startPushing()
  const answer = await world.ask(uploads, { method: 'POST', token: 'pusher' })
  return { ...world, location: String(answer.headers.location), begun: answer }
}

describe('a name of another depth', () => {
  test.each([
    ['POST', '/v2/demo/a/b/blobs/uploads/'],
    ['POST', '/v2/app/blobs/uploads/'],
    ['PATCH', '/v2/demo/a/b/blobs/uploads/some-id'],
    ['PUT', '/v2/demo/a/b/blobs/uploads/some-id'],
    ['PUT', '/v2/demo/a/b/manifests/v1'],
    ['DELETE', '/v2/demo/a/b/manifests/v1'],
  ])('is NAME_UNKNOWN to %s %s, which no client tries again, with the reason', async (method, path) => {
    const { ask } = await startPushing()
    const answer = await ask(path, { method, token: 'pusher' })
    expect(answer.status).toBe(404)
    expect(answer.json()).toMatchObject({
      errors: [{ code: 'NAME_UNKNOWN', message: expect.stringContaining('a name here is project/stream') }],
    })
  })

  test('is 404 to HEAD: who pushes goes on, and is told the reason by what has a body', async () => {
    const { ask } = await startPushing()
    const answer = await ask(`/v2/demo/a/b/blobs/${digest}`, { method: 'HEAD', token: 'pusher' })
    expect([answer.status, answer.body.length]).toEqual([404, 0])
  })
})

describe('POST of an upload', () => {
  test.each([uploads, uploads.slice(0, -1)])('%s begins one, and says where it is', async (path) => {
    const { ask, push } = await startPushing()
    const { status, headers, body } = await ask(path, { method: 'POST', token: 'pusher' })
    const [id] = push.uploads.keys()
    expect(status).toBe(202)
    expect(headers).toMatchObject({
      location: `/v2/demo/app/blobs/uploads/${id}`,
      'docker-upload-uuid': id,
      range: '0-0',
      'content-length': '0',
      'docker-distribution-api-version': 'registry/2.0',
    })
    expect(body).toHaveLength(0)
  })

  test('tells the ledger who it is, by the agent that he names, and what he may', async () => {
    const can = (
      ...[, verb, , resource, name, project]: Parameters<NonNullable<Parameters<typeof startPushing>[0]>['can'] & {}>
    ) => `${verb} ${resource} ${name} ${project}` === 'get imagestreams/layers web demo'
    const { ask, push } = await startPushing({ can })
    await ask(uploads, { method: 'POST', token: 'pusher', headers: { 'user-agent': 'docker/29 '.padEnd(300, 'x') } })
    const [by] = push.pushers
    expect(by).toMatchObject({ name: 'ci', mayCreate: false })
    expect(by?.client).toBe('docker/29 '.padEnd(256, 'x'))
    expect(by?.mayPull({ project: 'demo', stream: 'web' })).toBe(true)
    expect(by?.mayPull({ project: 'demo', stream: 'app' })).toBe(false)
  })

  test('the right to create streams is that of the project, by no name', async () => {
    const can = (_subject: unknown, verb: string, _group: string, resource: string, name: string, project: string) =>
      `${verb} ${resource} ${name} ${project}` === 'create imagestreams  demo'
    const { ask, push } = await startPushing({ can })
    await ask(uploads, { method: 'POST', token: 'pusher' })
    expect(push.pushers[0]?.mayCreate).toBe(true)
  })

  test('with digest and body is the whole push', async () => {
    const { ask, push } = await startPushing()
    const path = `${uploads}?digest=${encodeURIComponent(digest)}`
    const { status, headers } = await ask(path, { method: 'POST', token: 'pusher', body: bytes })
    expect([status, headers.location, headers['docker-content-digest']]).toEqual([
      201,
      `/v2/demo/app/blobs/${digest}`,
      digest,
    ])
    expect(push.blobs.get(`demo/app@${digest}`)).toEqual(bytes)
    expect(push.begun).toEqual([{ expectedBytes: bytes.length }])
    expect(push.said).toEqual([{ length: bytes.length }])
  })

  test('with a digest and no body begins an upload, unless it is the digest of nothing', async () => {
    const { ask, push } = await startPushing()
    const sent = { method: 'POST', token: 'pusher' }
    expect((await ask(`${uploads}?digest=${digest}`, sent)).status).toBe(202)
    for (const algorithm of ['sha256', 'sha512'] as const) {
      expect((await ask(`${uploads}?digest=${digestOf('', algorithm)}`, sent)).status).toBe(201)
    }
    expect(push.uploads.size).toBe(1)
  })

  test('with another digest than its body has leaves no upload behind', async () => {
    const { ask, push } = await startPushing()
    const answer = await ask(`${uploads}?digest=${other}`, { method: 'POST', token: 'pusher', body: bytes })
    expect(answer.status).toBe(400)
    expect(answer.json()).toMatchObject({ errors: [{ code: 'DIGEST_INVALID' }] })
    expect(push.uploads.size).toBe(0)
  })

  test('with another digest leaves none either where it failed before it ended', async () => {
    const { ask, push } = await startPushing()
    push.finish = async () => {
      throw new RegistryError('DENIED', { message: 'exceeded quota' })
    }
    const answer = await ask(`${uploads}?digest=${digest}`, { method: 'POST', token: 'pusher', body: bytes })
    expect([answer.status, push.uploads.size]).toEqual([403, 0])
  })

  test.each([
    ['digest=sha256:xyz', 'DIGEST_INVALID'],
    ['digest=', 'DIGEST_INVALID'],
    [`digest=${digest.toUpperCase()}`, 'DIGEST_INVALID'],
    ['digest-algorithm=md5', 'DIGEST_INVALID'],
    ['digest-algorithm=', 'DIGEST_INVALID'],
    [`digest=${digest}&digest=${digest}`, 'UNSUPPORTED'],
    [`mount=${digest}&mount=${digest}`, 'UNSUPPORTED'],
    [`mount=${digest}&from=demo/web&from=demo/app`, 'UNSUPPORTED'],
    ['digest-algorithm=sha256&digest-algorithm=sha512', 'UNSUPPORTED'],
  ])('with %s is 400 %s', async (query, code) => {
    const { ask, push } = await startPushing()
    const answer = await ask(`${uploads}?${query}`, { method: 'POST', token: 'pusher', body: bytes })
    expect(answer.status).toBe(400)
    expect(answer.json()).toMatchObject({ errors: [{ code }] })
    expect(push.pushers).toEqual([])
  })

  test.each(['sha256', 'sha512'])('with digest-algorithm=%s begins one', async (algorithm) => {
    const { ask } = await startPushing()
    const path = `${uploads}?digest-algorithm=${algorithm}`
    expect((await ask(path, { method: 'POST', token: 'pusher' })).status).toBe(202)
  })
})

describe('mounts', () => {
  const mount = `${uploads}?mount=${digest}`
  const from = `${mount}&from=demo/web`
  const sent = { method: 'POST', token: 'both' }

  async function mountable() {
    const world = await startPushing()
    const [into] = tokenFor('demo/app', ['pull', 'push']).access
    const [web] = tokenFor('demo/web', ['pull']).access
    if (into === undefined || web === undefined) throw new TypeError('a token has access')
    world.tokens.set('both', { ...tokenFor('', []), access: [into, web] })
    world.push.blobs.set(`demo/web@${digest}`, bytes)
    return world
  }

  test('from a stream that the token is for answer 201 with where the blob is', async () => {
    const { ask } = await mountable()
    const { status, headers } = await ask(from, sent)
    expect(status).toBe(201)
    expect(headers).toMatchObject({
      location: `/v2/demo/app/blobs/${digest}`,
      'docker-content-digest': digest,
      'content-length': '0',
    })
  })

  test('of what the source does not have begin an upload', async () => {
    const { ask } = await mountable()
    const { status, headers } = await ask(`${uploads}?mount=${other}&from=demo/web`, sent)
    expect([status, headers.range]).toEqual([202, '0-0'])
    expect(headers).not.toHaveProperty('docker-content-digest')
  })

  test('with a token for the target alone are told to get one for both, when there is the right to', async () => {
    const { ask, push } = await mountable()
    const answer = await ask(from, { ...sent, token: 'pusher' })
    const [challenge] = parseChallenges(answer.headers['www-authenticate'])
    expect(answer.status).toBe(401)
    expect(Object.fromEntries(challenge?.parameters ?? [])).toMatchObject({
      scope: 'repository:demo/app:pull,push repository:demo/web:pull',
      error: 'insufficient_scope',
    })
    expect(answer.json()).toMatchObject({
      errors: [{ code: 'UNAUTHORIZED', detail: [{ Action: 'pull' }, { Action: 'push' }, { Name: 'demo/web' }] }],
    })
    expect(push.pushers).toEqual([])
  })

  test('without a token are told to get one for both, whether there is the right to or not', async () => {
    const { ask, hidden } = await mountable()
    hidden.add('demo/nope')
    for (const source of ['demo/web', 'demo/nope']) {
      const { status, headers } = await ask(`${mount}&from=${source}`, { method: 'POST' })
      const [challenge] = parseChallenges(headers['www-authenticate'])
      expect(status).toBe(401)
      expect(challenge?.parameters.get('scope')).toBe(`repository:demo/app:pull,push repository:${source}:pull`)
    }
  })

  test('I5: from a stream that may not be pulled are as from one that is not there', async () => {
    const { ask, hidden, push } = await mountable()
    hidden.add('demo/web').add('demo/nope')
    for (const source of ['demo/web', 'demo/nope', 'nope/nope']) {
      hidden.add(source)
      const { status, headers } = await ask(`${mount}&from=${source}`, { ...sent, token: 'pusher' })
      expect([source, status, headers.range]).toEqual([source, 202, '0-0'])
    }
    expect(push.blobs.has(`demo/app@${digest}`)).toBe(false)
  })

  test.each([
    ['a name that is none here', `mount=${digest}&from=library/deep/nginx`],
    ['a name that is none', `mount=${digest}&from=..%2f..`],
    ['a digest that is none', 'mount=latest&from=demo/web'],
    ['no digest', 'from=demo/web'],
  ])('of %s begin an upload', async (_, query) => {
    const { ask, push } = await mountable()
    expect((await ask(`${uploads}?${query}`, sent)).status).toBe(202)
    expect(push.begun).toEqual([{}])
  })

  test('with an origin, or an empty source, are as without', async () => {
    const { ask, push } = await mountable()
    await ask(`${mount}&from=&origin=gcr.io`, sent)
    await ask(`${from}&origin=gcr.io`, sent)
    expect(push.begun).toEqual([{ mount: digest }, { mount: digest, from: { project: 'demo', stream: 'web' } }])
  })

  test('that fail go on as the push that they have a digest and a body for', async () => {
    const { ask, push } = await mountable()
    const answer = await ask(`${uploads}?mount=${digest}&from=demo/app&digest=${digest}`, { ...sent, body: bytes })
    expect([answer.status, push.blobs.get(`demo/app@${digest}`)]).toEqual([201, bytes])
  })
})

describe('PATCH', () => {
  test('appends, and says how much there is', async () => {
    const { ask, location, push } = await begun()
    const first = await ask(location, { method: 'PATCH', token: 'pusher', body: bytes.subarray(0, 5) })
    expect(first.status).toBe(202)
    expect(first.headers).toMatchObject({ location, range: '0-4', 'content-length': '0' })
    expect(first.headers['docker-upload-uuid']).toBe(location.split('/').at(-1))
    const headers = { 'content-range': `5-${bytes.length - 1}`, 'content-type': 'application/octet-stream' }
    const second = await ask(location, { method: 'PATCH', token: 'pusher', headers, body: bytes.subarray(5) })
    expect([second.status, second.headers.range]).toEqual([202, `0-${bytes.length - 1}`])
    expect([...push.uploads.values()]).toEqual([bytes])
    expect(push.said).toEqual([{ length: 5 }, { start: 5, length: bytes.length - 5 }])
  })

  test('takes a body of no length that is said', async () => {
    const { ask, location, push } = await begun()
    const headers = { 'transfer-encoding': 'chunked' }
    expect((await ask(location, { method: 'PATCH', token: 'pusher', headers, body: bytes })).status).toBe(202)
    expect([...push.uploads.values()]).toEqual([bytes])
    expect(push.said).toEqual([undefined])
  })

  test('of a piece that does not go on there is 416, and tells where the upload is', async () => {
    const { ask, location, push } = await begun()
    await ask(location, { method: 'PATCH', token: 'pusher', body: bytes.subarray(0, 5) })
    for (const start of [0, 4, 6, 1e14]) {
      const headers = { 'content-range': `${start}-${start + 1}` }
      const answer = await ask(location, { method: 'PATCH', token: 'pusher', headers, body: 'ab' })
      expect(answer.status).toBe(416)
      expect(answer.headers).toMatchObject({ location, range: '0-4', 'docker-upload-uuid': location.split('/').at(-1) })
      expect(answer.json()).toMatchObject({ errors: [{ code: 'BLOB_UPLOAD_INVALID', detail: { offset: 5 } }] })
    }
    expect([...push.uploads.values()]).toEqual([bytes.subarray(0, 5)])
  })

  test('416 before anything came says 0-0', async () => {
    const { ask, location } = await begun()
    const headers = { 'content-range': '1-2' }
    const answer = await ask(location, { method: 'PATCH', token: 'pusher', headers, body: 'ab' })
    expect([answer.status, answer.headers.range]).toEqual([416, '0-0'])
  })

  test.each(['bytes 0-1/2', 'bytes=0-1', '0-', '-1', '1-0', '0-1/2', '0 - 1', 'a-b', '0-1,2-3', '-1--1', '0-1e9', ''])(
    'Content-Range: %s is 400',
    async (range) => {
      const { ask, location, push } = await begun()
      const headers = { 'content-range': range }
      const answer = await ask(location, { method: 'PATCH', token: 'pusher', headers, body: 'ab' })
      expect(answer.status).toBe(400)
      expect(answer.json()).toMatchObject({ errors: [{ code: 'BLOB_UPLOAD_INVALID' }] })
      expect([...push.uploads.values()]).toEqual([Buffer.alloc(0)])
    },
  )

  test.each(['0-0', '0-2', `0-${'9'.repeat(15)}`])(
    'Content-Range: %s over two bytes is 400 before they are read',
    async (range) => {
      const { ask, location, push } = await begun()
      const headers = { 'content-range': range }
      const answer = await ask(location, { method: 'PATCH', token: 'pusher', headers, body: 'ab' })
      expect(answer.status).toBe(400)
      expect(answer.json()).toMatchObject({ errors: [{ code: 'SIZE_INVALID' }] })
      expect(push.pushers).toHaveLength(1)
    },
  )
})

describe('PUT', () => {
  test('with everything in it ends the upload', async () => {
    const { ask, location, push } = await begun()
    const path = `${location}?digest=${encodeURIComponent(digest)}`
    const { status, headers } = await ask(path, { method: 'PUT', token: 'pusher', body: bytes })
    expect(status).toBe(201)
    expect(headers).toMatchObject({
      location: `/v2/demo/app/blobs/${digest}`,
      'docker-content-digest': digest,
      'content-length': '0',
    })
    expect(push.blobs.get(`demo/app@${digest}`)).toEqual(bytes)
    expect(push.said).toEqual([{ length: bytes.length }])
  })

  test('without a body, or with the last piece, ends what came', async () => {
    for (const from of [bytes.length, 7]) {
      const { ask, location, push } = await begun()
      await ask(location, { method: 'PATCH', token: 'pusher', body: bytes.subarray(0, from) })
      const rest = bytes.subarray(from)
      const headers = rest.length === 0 ? {} : { 'content-range': `${from}-${bytes.length - 1}` }
      const sent = { method: 'PUT', token: 'pusher', headers, ...(rest.length > 0 && { body: rest }) }
      expect((await ask(`${location}?x=1&digest=${digest}`, sent)).status).toBe(201)
      expect(push.blobs.get(`demo/app@${digest}`)).toEqual(bytes)
    }
  })

  test('of a last piece that does not go on there is 416, and the upload lives, also under that address', async () => {
    const { ask, location } = await begun()
    const path = `${location}?digest=${digest}`
    await ask(location, { method: 'PATCH', token: 'pusher', body: bytes.subarray(0, 5) })
    const headers = { 'content-range': '9-10' }
    const answer = await ask(path, { method: 'PUT', token: 'pusher', headers, body: 'ab' })
    expect([answer.status, answer.headers.location, answer.headers.range]).toEqual([416, location, '0-4'])
    const status = await ask(path, { token: 'pusher' })
    expect([status.status, status.headers.location, status.headers.range]).toEqual([204, location, '0-4'])
  })

  test.each([
    ['', 'DIGEST_INVALID'],
    ['?digest=', 'DIGEST_INVALID'],
    ['?digest=sha256:0', 'DIGEST_INVALID'],
    [`?digest=sha384:${'0'.repeat(96)}`, 'DIGEST_INVALID'],
    [`?digest=${other}`, 'DIGEST_INVALID'],
    [`?digest=${digest}&digest=${other}`, 'UNSUPPORTED'],
  ])('with %s is 400', async (query, code) => {
    const { ask, location } = await begun()
    const answer = await ask(`${location}${query}`, { method: 'PUT', token: 'pusher', body: bytes })
    expect(answer.status).toBe(400)
    expect(answer.json()).toMatchObject({ errors: [{ code }] })
  })
})

describe('status and cancelling', () => {
  test('GET and HEAD tell how far it is, whichever the token is for', async () => {
    const { ask, location, tokens } = await begun()
    tokens.set('puller', tokenFor('demo/app', ['pull']))
    await ask(location, { method: 'PATCH', token: 'pusher', body: 'abc' })
    for (const method of ['GET', 'HEAD']) {
      for (const token of ['pusher', 'puller']) {
        const answer = await ask(location, { method, token })
        expect(answer.status).toBe(204)
        expect(answer.headers).toMatchObject({ location, range: '0-2' })
        expect(answer.headers).not.toHaveProperty('content-length')
      }
    }
  })

  test('DELETE is 204 for who may push, and nothing is there afterwards', async () => {
    const { ask, location, tokens } = await begun()
    tokens.set('puller', tokenFor('demo/app', ['pull', 'delete']))
    expect((await ask(location, { method: 'DELETE', token: 'puller' })).status).toBe(401)
    expect((await ask(location, { method: 'DELETE', token: 'pusher' })).status).toBe(204)
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      const answer = await ask(location, { method, token: 'pusher' })
      expect([method, answer.status]).toEqual([method, 404])
    }
  })
})

describe('rights', () => {
  test.each([
    ['POST', uploads, 'pull,push'],
    ['POST', `${uploads}?digest=none`, 'pull,push'],
    ['PATCH', `${uploads}some`, 'pull,push'],
    ['PUT', `${uploads}some`, 'pull,push'],
    ['GET', `${uploads}some`, 'pull,push'],
    ['DELETE', `${uploads}some`, 'pull,push'],
    ['PUT', '/v2/demo/app/manifests/-', 'pull,push'],
    ['PUT', '/v2/demo/app/manifests/sha256:0?tag=-', 'pull,push'],
  ])('of %s %s come before what is wrong with it', async (method, path, actions) => {
    const { ask, push, tokens } = await startPushing()
    tokens.set('other', tokenFor('demo/web', ['pull', 'push']))
    const answer = await ask(path, { method, token: 'other' })
    const [challenge] = parseChallenges(answer.headers['www-authenticate'])
    expect(answer.status).toBe(401)
    expect(Object.fromEntries(challenge?.parameters ?? [])).toMatchObject({
      scope: `repository:demo/app:${actions}`,
      error: 'insufficient_scope',
    })
    expect(push.pushers).toEqual([])
  })

  test.each([
    ['PUT', uploads, 'POST'],
    ['GET', uploads, 'POST'],
    ['DELETE', uploads.slice(0, -1), 'POST'],
    ['POST', `${uploads}some`, 'GET, HEAD, PATCH, PUT, DELETE'],
    ['POST', '/v2/demo/app/manifests/v1', 'GET, HEAD, PUT, DELETE'],
    ['PUT', `/v2/demo/app/blobs/${digest}`, 'GET, HEAD, DELETE'],
  ])('%s %s is 405 with what there is', async (method, path, allow) => {
    const { ask } = await startPushing()
    const answer = await ask(path, { method, token: 'pusher' })
    expect([answer.status, answer.headers.allow]).toEqual([405, allow])
    expect(answer.json()).toMatchObject({ errors: [{ code: 'UNSUPPORTED' }] })
  })

  test('a repository may be called as the paths are', async () => {
    const { ask, push, tokens } = await startPushing()
    tokens.set('words', tokenFor('blobs/uploads', ['pull', 'push']))
    const { status, headers } = await ask('/v2/blobs/uploads/blobs/uploads/', { method: 'POST', token: 'words' })
    expect(status).toBe(202)
    expect(headers.location).toMatch(/^\/v2\/blobs\/uploads\/blobs\/uploads\/[0-9a-f-]{36}$/)
    const finish = { method: 'PUT', token: 'words', body: bytes }
    expect((await ask(`${headers.location}?digest=${digest}`, finish)).status).toBe(201)
    expect(push.blobs.has(`blobs/uploads@${digest}`)).toBe(true)
    const manifest = await ask('/v2/blobs/uploads/manifests/uploads', { method: 'PUT', token: 'words', body: '{}' })
    expect(manifest.headers.location).toMatch(/^\/v2\/blobs\/uploads\/manifests\/sha256:/)
  })
})

describe('the audit log', () => {
  const of = { group: 'image.openshift.io', resource: 'imagestreams/layers', project: 'demo' }

  test('has a line for each blob that came, and none for its pieces', async () => {
    const { ask, location, audited, push } = await begun()
    await ask(location, { method: 'PATCH', token: 'pusher', body: bytes })
    await ask(location, { token: 'pusher' })
    await ask(`${location}?digest=${digest}`, { method: 'PUT', token: 'pusher' })
    await ask(`${uploads}?digest=${digest}`, { method: 'POST', token: 'pusher', body: bytes })
    push.blobs.set(`demo/app@${other}`, bytes)
    await ask(`${uploads}?mount=${other}&from=demo/app`, { method: 'POST', token: 'pusher' })
    expect(audited).toMatchObject([
      { verb: 'push', object: { ...of, name: `app@${digest}` }, decision: 'allowed', status: 201 },
      { verb: 'push', object: { ...of, name: `app@${digest}` }, decision: 'allowed', status: 201 },
      { verb: 'push', object: { ...of, name: `app@${other}` }, decision: 'allowed', status: 201 },
    ])
  })

  test('has a line for each that is refused', async () => {
    const { ask, location, audited, push, tokens } = await begun()
    tokens.set('puller', tokenFor('demo/app', ['pull']))
    await ask(location, { method: 'PATCH', token: 'puller', body: bytes })
    await ask(uploads, { method: 'POST', token: 'puller' })
    for (const method of ['PATCH', 'POST', 'PUT']) {
      push.fails = new RegistryError('DENIED', { message: 'exceeded quota' })
      await ask(method === 'POST' ? uploads : `${location}?digest=${digest}`, { method, token: 'pusher' })
    }
    expect(audited).toMatchObject([
      { verb: 'push', object: { ...of, name: 'app' }, decision: 'denied', status: 401 },
      { verb: 'push', object: { ...of, name: 'app' }, decision: 'denied', status: 401 },
      { verb: 'push', object: { ...of, name: 'app' }, status: 403, reason: 'DENIED' },
      { verb: 'push', object: { ...of, name: 'app' }, status: 403, reason: 'DENIED' },
      { verb: 'push', object: { ...of, name: `app@${digest}` }, status: 403, reason: 'DENIED' },
    ])
  })
})
