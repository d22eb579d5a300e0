/** Notifications over HTTP, from a registry to a tag that follows it. */
import { createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  distributionPayload,
  harborCloudEvent,
  harborPayload,
  quayPayload,
  zotData,
  zotHeaders,
} from './notifications/payloads.ts'
import { makeImage } from './support/images.ts'
import { type Answered, startWorld, type World } from './support/world.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2')
const hostile = makeImage('hostile')
const key = 'a-key.of~demo_0123456789'
const path = '/hooks/v1/projects/demo/registry'
const json = { 'content-type': 'application/json' }

/** `demo/app:prod` follows `lib/app:stable`, and was checked; `demo` has a key. */
async function following(options: Parameters<typeof startWorld>[0] = {}) {
  const world = await startWorld(options)
  const { upstream } = world
  upstream.put('lib/app', v1, { tag: 'stable' })
  upstream.put('lib/app', v2)
  await done(world, 'new-project', 'demo')
  await done(world, 'new-project', 'other')
  await done(world, 'import-image', 'demo/app:prod', '--from', `${upstream.host}/lib/app:stable`, '--scheduled')
  await makeKey(world, 'demo', 'hub', key)
  await expect.poll(() => upstream.matching(/^HEAD .*stable/).length).toBeGreaterThan(0)
  await expect.poll(() => upstream.active).toBe(0)
  return world
}

async function done({ cli }: World, ...argv: string[]): Promise<string> {
  const ran = await cli(...argv)
  expect(ran, argv.join(' ')).toMatchObject({ exitCode: 0 })
  return ran.stdout
}

async function makeKey(world: World, project: string, name: string, token: string) {
  return world.api('POST', `/api/v1/namespaces/${project}/secrets`, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name },
    type: 'weir.dev/notification-key',
    stringData: { token },
  })
}

function send(
  world: World,
  body: unknown,
  headers: Record<string, string> = { authorization: `Bearer ${key}` },
  to = path,
): Promise<Answered> {
  return world.request(to, { method: 'POST', headers: { ...json, ...headers }, body: textOf(body) })
}

function textOf(body: unknown): string {
  return typeof body === 'string' ? body : JSON.stringify(body)
}

async function revisions(world: World): Promise<string[]> {
  const list = JSON.parse(await done(world, 'history', 'demo/app:prod', '-o', 'json')) as { items: { image: string }[] }
  return list.items.map(({ image }) => image).reverse()
}

function basic(password: string): string {
  return `Basic ${Buffer.from(`weir:${password}`).toString('base64')}`
}

function signed(body: unknown, by = key): string {
  return `sha256=${createHmac('sha256', by).update(textOf(body)).digest('hex')}`
}

describe('a tag follows its upstream at once when it is told of by', () => {
  type Sent = { body: unknown; headers?: Record<string, string>; query?: string }
  const rows: [string, (host: string) => Sent][] = [
    [
      'distribution, with a bearer',
      (host) => ({ body: distributionPayload({ host }), headers: { authorization: `Bearer ${key}` } }),
    ],
    [
      'distribution that knows itself by another name',
      () => ({ body: distributionPayload({ host: 'registry:5000' }), headers: { authorization: `Bearer ${key}` } }),
    ],
    [
      'Harbor, with a header as it stands',
      (host) => ({ body: harborPayload({ host }), headers: { authorization: key } }),
    ],
    [
      'Harbor in CloudEvents',
      (host) => ({
        body: harborCloudEvent({ host }),
        headers: { 'content-type': 'application/cloudevents+json', authorization: key },
      }),
    ],
    ['Quay, with the key in the URL', (host) => ({ body: quayPayload({ host }), query: `?token=${key}` })],
    ['zot, with a password', () => ({ body: zotData(), headers: { ...zotHeaders(), authorization: basic(key) } })],
    [
      'who signs',
      (host) => ({
        body: harborPayload({ host }),
        headers: { 'x-hub-signature-256': signed(harborPayload({ host })) },
      }),
    ],
  ]
  test.each(rows)('%s', async (_name, make) => {
    const world = await following()
    world.upstream.tag('lib/app', 'stable', v2.manifest.digest)
    const { body, headers = {}, query = '' } = make(world.upstream.host)
    const answer = await send(world, body, headers, path + query)
    expect([answer.status, JSON.parse(answer.body.toString())]).toEqual([202, { accepted: 1 }])
    await expect.poll(() => revisions(world)).toEqual([v1.manifest.digest, v2.manifest.digest])
  })
})

describe('a notification', () => {
  test('moves no tag by what it says: the tag follows the upstream', async () => {
    const world = await following()
    const { host } = world.upstream
    world.upstream.put('lib/app', hostile, { tag: 'evil' })
    const { digest } = hostile.manifest
    const before = world.upstream.matching(/^HEAD .*stable/).length
    for (const body of [
      distributionPayload({ host, digest }),
      harborPayload({ host, digest }),
      {
        ...harborPayload({ host, digest }),
        event_data: {
          resources: [{ tag: 'stable', digest, resource_url: `${host}/lib/app@${digest}` }],
          repository: { repo_full_name: 'lib/app' },
        },
      },
    ]) {
      expect((await send(world, body)).status).toBe(202)
    }
    await expect.poll(() => world.upstream.matching(/^HEAD .*stable/).length).toBeGreaterThan(before)
    expect(await revisions(world)).toEqual([v1.manifest.digest])
    expect(world.upstream.requests.filter(({ path: asked }) => asked.includes(digest))).toEqual([])
  })

  test('has just the tag asked for that it names, at the registry that it names, in its own project', async () => {
    const world = await following()
    const { host } = world.upstream
    world.upstream.put('lib/app', v1, { tag: 'next' })
    await done(world, 'import-image', 'demo/app:next', '--from', `${host}/lib/app:next`, '--scheduled')
    await done(world, 'import-image', 'other/app:prod', '--from', `${host}/lib/app:stable`, '--scheduled')
    const accepted = async (body: unknown) => JSON.parse((await send(world, body)).body.toString())
    expect(await accepted(harborPayload({ host }))).toEqual({ accepted: 1 })
    expect(await accepted(harborPayload({ host: 'harbor.example.com' }))).toEqual({ accepted: 0 })
    expect(await accepted(harborPayload({ host, repository: 'lib/web' }))).toEqual({ accepted: 0 })
    expect(await accepted(distributionPayload({ host: 'registry:5000', repository: 'lib/web' }))).toEqual({
      accepted: 0,
    })
    expect(await accepted(quayPayload({ host }, ['stable', 'next', 'gone']))).toEqual({ accepted: 2 })
  })

  test('that comes again and again changes nothing, and has its tag checked twice', async () => {
    const world = await following()
    const { upstream } = world
    upstream.tag('lib/app', 'stable', v2.manifest.digest)
    const before = upstream.matching(/^HEAD .*stable/).length
    const body = harborPayload({ host: upstream.host })
    const answers = await Promise.all(Array.from({ length: 100 }, () => send(world, body)))
    expect(new Set(answers.map(({ status, body: told }) => `${status} ${told}`))).toEqual(
      new Set(['202 {"accepted":1}']),
    )
    await expect.poll(() => revisions(world)).toEqual([v1.manifest.digest, v2.manifest.digest])
    expect((await send(world, body)).status).toBe(202)
    expect(upstream.matching(/^HEAD .*stable/).length - before).toBeLessThanOrEqual(2)
    expect(await revisions(world)).toHaveLength(2)
  })

  test('leaves a held tag where it is, and shows what it would move to', async () => {
    const world = await following()
    const { upstream } = world
    const notify = () => send(world, harborPayload({ host: upstream.host }))
    await done(world, 'rollback', 'demo/app:prod', '--to', '1')
    upstream.tag('lib/app', 'stable', v2.manifest.digest)
    expect((await notify()).status).toBe(202)
    const istag = '/apis/image.openshift.io/v1/namespaces/demo/imagestreamtags/app:prod'
    const hold = async () => JSON.stringify((await world.api('GET', istag)).body.metadata)
    await expect.poll(hold).toContain(v2.manifest.digest)
    expect((await revisions(world)).at(-1)).toBe(v1.manifest.digest)
  })

  test('about something else is answered 200, and has no line in the audit log', async () => {
    const world = await following()
    const { host } = world.upstream
    for (const body of [
      harborPayload({ host }, 'PULL_ARTIFACT'),
      harborPayload({ host, tag: 'other' }),
      { events: [] },
    ]) {
      const answer = await send(world, body)
      expect([answer.status, answer.body.toString()]).toEqual([200, '{"accepted":0}'])
    }
    expect((await auditLines(world)).length).toBe(0)
  })

  test('that is none is refused in words', async () => {
    const world = await following()
    const large = JSON.stringify({ events: [], padding: 'x'.repeat(256 * 1024) })
    const rows: [unknown, Record<string, string>, number, RegExp][] = [
      ['{', {}, 400, /the body is no JSON/],
      [{}, {}, 400, /no form that is known here/],
      [{ events: 'x' }, {}, 400, /events: must be a list/],
      ['a=b', { 'content-type': 'application/x-www-form-urlencoded' }, 415, /application\/json/],
      [large, {}, 413, /262144 bytes/],
      ['['.repeat(60_000) + ']'.repeat(5_000), {}, 400, /no JSON/],
    ]
    for (const [body, headers, status, message] of rows) {
      const answer = await send(world, body, { authorization: `Bearer ${key}`, ...headers })
      expect([answer.status, JSON.parse(answer.body.toString()).errors[0].message]).toEqual([
        status,
        expect.stringMatching(message),
      ])
    }
    const get = await world.request(path)
    expect([get.status, get.headers.allow]).toEqual([405, 'POST, OPTIONS'])
  })
})

describe('who asks whether he may send notifications', () => {
  const ask = async (world: World, headers: Record<string, string>, project = 'demo') => {
    const answer = await world.request(`/hooks/v1/projects/${project}/registry`, { method: 'OPTIONS', headers })
    const { 'x-request-id': _id, date: _date, ...rest } = answer.headers
    return { status: answer.status, headers: rest, body: answer.body.toString() }
  }

  test('is told yes, and how many, the same whether or not there is such a project; his callback is not called', async () => {
    const world = await following()
    const { host } = world.upstream
    const before = world.upstream.requests.length
    const callback = { 'webhook-request-callback': `http://${host}/v2/` }
    const sender = { 'webhook-request-origin': 'eventgrid.azure.net' }
    const here = await ask(world, { ...sender, ...callback, 'webhook-request-rate': '120' })
    expect(here).toMatchObject({
      status: 200,
      headers: {
        allow: 'POST, OPTIONS',
        'webhook-allowed-origin': 'eventgrid.azure.net',
        'webhook-allowed-rate': '1200',
      },
      body: '',
    })
    expect(await ask(world, { ...sender, ...callback, 'webhook-request-rate': '120' }, 'gone')).toEqual(here)
    expect((await ask(world, sender)).headers).not.toHaveProperty('webhook-allowed-rate')
    expect(world.upstream.requests.length).toBe(before)
    expect(await auditLines(world)).toEqual([])
  })

  test.each([[undefined], [''], ['*'], ['https://a.example'], ['a b'], ['a,b'], ['-a'], ['a'.repeat(254)]])(
    'is no sender when he calls himself %j',
    async (origin) => {
      const world = await startWorld()
      const { status, headers } = await ask(world, origin === undefined ? {} : { 'webhook-request-origin': origin })
      expect([status, headers['webhook-allowed-origin']]).toEqual([405, undefined])
    },
  )
})

describe('without the key of its project a notification', () => {
  test('is answered 401, the same whether or not there is such a project', async () => {
    const world = await following()
    const body = harborPayload({ host: world.upstream.host })
    const before = world.upstream.requests.length
    await makeKey(world, 'other', 'hub', 'a-key-of-other-0123456789')
    const of = async (project: string, headers: Record<string, string>, query = '') => {
      const answer = await send(world, body, headers, `/hooks/v1/projects/${project}/registry${query}`)
      const { 'x-request-id': _id, date: _date, ...rest } = answer.headers
      return { status: answer.status, headers: rest, body: answer.body.toString() }
    }
    const wrong: [Record<string, string>, string?][] = [
      [{}],
      [{}, '?token='],
      [{ authorization: 'Bearer a-key-of-other-0123456789' }],
      [{ authorization: basic('wrong') }],
      [{ authorization: world.adminToken }],
      [{ 'x-hub-signature-256': signed(body, 'a-key-of-other-0123456789') }],
      [{ 'x-hub-signature-256': 'sha256=', authorization: `Bearer ${key}` }],
      [{ authorization: 'Bearer wrong' }, `?token=${key}`],
    ]
    for (const [headers, query] of wrong) {
      const here = await of('demo', headers, query)
      expect(here).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer realm="notifications"' } })
      expect(await of('gone', headers, query)).toEqual(here)
    }
    expect(world.upstream.requests.length).toBe(before)
  })

  test('is refused when what it says is not what was signed', async () => {
    const world = await following()
    const { host } = world.upstream
    const signature = signed(harborPayload({ host, tag: 'other' }))
    expect((await send(world, harborPayload({ host }), { 'x-hub-signature-256': signature })).status).toBe(401)
  })

  test('is refused from the moment on that the key is deleted, and taken by another one before', async () => {
    const world = await following()
    const body = harborPayload({ host: world.upstream.host })
    await makeKey(world, 'demo', 'next', 'the-next-key-0123456789')
    expect((await send(world, body, { authorization: 'the-next-key-0123456789' })).status).toBe(202)
    await world.api('DELETE', '/api/v1/namespaces/demo/secrets/hub')
    expect((await send(world, body)).status).toBe(401)
    expect((await send(world, body, { authorization: 'the-next-key-0123456789' })).status).toBe(202)
    await world.api('DELETE', '/api/v1/namespaces/demo/secrets/next')
    expect((await send(world, body, { authorization: 'the-next-key-0123456789' })).status).toBe(401)
  })

  test('is refused by a project that has no key, also when it is signed or sent with an empty one', async () => {
    const world = await following()
    const body = harborPayload({ host: world.upstream.host })
    for (const headers of [
      { authorization: 'Bearer ' },
      { authorization: basic('') },
      { 'x-hub-signature-256': signed(body, '') },
    ]) {
      for (const project of ['other', 'gone', 'a'.repeat(8000)]) {
        expect((await send(world, body, headers, `/hooks/v1/projects/${project}/registry`)).status).toBe(401)
      }
    }
  })

  test('is told to wait after ten wrong ones, and who has the key is not, though he comes from the same address', async () => {
    const world = await following()
    const body = harborPayload({ host: world.upstream.host })
    const statuses: number[] = []
    for (let i = 0; i < 11; i++) statuses.push((await send(world, body, { authorization: `guess-${i}` })).status)
    expect(statuses).toEqual([...Array(10).fill(401), 429])
    const late = await send(world, body, { authorization: 'one-more' })
    expect([late.status, Number(late.headers['retry-after'])]).toEqual([429, expect.any(Number)])
    expect(JSON.parse(late.body.toString()).errors[0].message).toMatch(/too many wrong keys came from your address/)
    expect((await send(world, body)).status).toBe(202)
    const signature = { 'x-hub-signature-256': signed(body) }
    expect((await send(world, body, signature)).status).toBe(202)
  })

  test('is none of its robots either: their tokens are for the API', async () => {
    const world = await following()
    const robot = (await done(world, 'token', 'ci', '-n', 'demo')).trim()
    const body = harborPayload({ host: world.upstream.host })
    expect((await send(world, body, { authorization: `Bearer ${robot}` })).status).toBe(401)
  })
})

test('with its key a project is told to wait when it sends very many', async () => {
  const at = Date.now()
  const world = await following({ now: () => at })
  const answers = await Promise.all(Array.from({ length: 610 }, () => send(world, { events: [] })))
  const statuses = answers.map(({ status }) => status)
  expect([
    statuses.filter((status) => status === 200).length,
    statuses.filter((status) => status === 429).length,
  ]).toEqual([600, 10])
})

test('the audit log says by which key, and neither it nor the log has a key or a query', async () => {
  const world = await following()
  const { host } = world.upstream
  expect((await send(world, quayPayload({ host }), {}, `${path}?token=${key}`)).status).toBe(202)
  expect((await send(world, {}, {}, `${path}?token=${key}`)).status).toBe(400)
  expect((await send(world, {}, {}, `${path}?token=wrong-${key}`)).status).toBe(401)
  expect((await send(world, quayPayload({ host }), { authorization: key })).status).toBe(202)
  const sender = { name: 'system:notification-key:demo:hub' }
  const object = { group: 'weir.dev', resource: 'notifications', project: 'demo', name: 'lib/app:stable' }
  const line = { surface: 'registry', verb: 'create', subject: sender, object, decision: 'allowed', status: 202 }
  const lines = await auditLines(world)
  expect(lines).toMatchObject([
    line,
    { ...line, object: { ...object, name: '' }, status: 400, reason: 'BAD_REQUEST' },
    { verb: 'create', subject: { name: '', groups: [] }, object: { project: 'demo' }, decision: 'denied', status: 401 },
    line,
  ])
  await world.weir.stop(0)
  const file = await readFile(join(world.dataDirectory, 'audit/audit.log'), 'utf8')
  for (const secret of [key, 'token=']) {
    expect(file).not.toContain(secret)
    expect(world.logged.join('\n')).not.toContain(secret)
  }
  expect(world.logged.join('\n')).toContain(path)
})

test('metrics count requests, and the checks that they brought forward', async () => {
  const world = await following()
  await send(world, harborPayload({ host: world.upstream.host }))
  const metrics = (await world.request('/metrics')).body.toString()
  expect(metrics).toContain('weir_http_requests_total{route="hook",method="POST",status="202"} 1')
  expect(metrics).toContain('weir_notification_checks_total 1')
})

describe('a key', () => {
  test.each([
    ['too-short'],
    ['with a line break 0123456789\n'],
    ['a'.repeat(257)],
    ['base64+needs/escapes/0123456789=='],
  ])('%j is refused, and not told again', async (token) => {
    const world = await startWorld()
    await done(world, 'new-project', 'demo')
    const { status, body } = await makeKey(world, 'demo', 'hub', token)
    expect(status).toBe(422)
    expect(body.message).toMatch(/data\[token\].*openssl rand -hex 32/)
    expect(JSON.stringify(body)).not.toContain(token.trim())
  })

  test('is in no other secret, and not in one without it', async () => {
    const world = await following()
    const token = 'an-opaque-secret-0123456789'
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'opaque' }, stringData: { token } }
    expect((await world.api('POST', '/api/v1/namespaces/demo/secrets', secret)).status).toBe(201)
    const empty = { ...secret, metadata: { name: 'empty' }, type: 'weir.dev/notification-key', stringData: {} }
    expect((await world.api('POST', '/api/v1/namespaces/demo/secrets', empty)).status).toBe(422)
    const body = harborPayload({ host: world.upstream.host })
    expect((await send(world, body, { authorization: token })).status).toBe(401)
  })
})

async function auditLines(world: World): Promise<Record<string, unknown>[]> {
  const list = '/apis/weir.dev/v1/auditevents?limit=500'
  const { items } = (await world.api('GET', list)).body as { items: { object: { resource: string } }[] }
  return items.filter(({ object }) => object.resource === 'notifications').reverse() as Record<string, unknown>[]
}
