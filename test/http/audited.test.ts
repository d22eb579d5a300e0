import { describe, expect, test } from 'vitest'
import type { TokenGrant } from '../../src/access/access.ts'
import { createFormatLine } from '../../src/audit/format-line.ts'
import { parseLine } from '../../src/audit/parse-line.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { makeImage } from '../support/images.ts'
import { type AskOptions, type Harness, served, startHttp, tokenFor } from './harness.ts'

const image = makeImage('one').manifest
const layer = makeImage('one').layers[0] ?? image
const manifest = '/v2/demo/app/manifests/prod'

async function pullable(warm: boolean): Promise<Harness> {
  const harness = await startHttp({ warm })
  harness.manifests.set('demo/app:prod', served(image))
  harness.manifests.set(`demo/app:${image.digest}`, served(image))
  harness.blobs.set(layer.digest, layer)
  return harness
}

const by = { kind: 'RoleBinding', name: 'pullers', project: 'demo' }
const layers = { group: 'image.openshift.io', resource: 'imagestreams/layers', project: 'demo' }

test('pulls that an upstream refuses are allowed and failed', async () => {
  const { ask, audited, manifests } = await pullable(false)
  const refuse = () => {
    throw new RegistryError('DENIED', { upstream: { host: 'a.example', reason: 'Unauthorized', status: 401 } })
  }
  Object.defineProperty(manifests, 'get', { value: refuse })
  expect((await ask(manifest, { token: 'good' })).status).toBe(403)
  expect(audited).toMatchObject([{ decision: 'allowed', grant: by, status: 403, reason: 'DENIED' }])
})

describe.each([false, true])('pulls, warm: %s', (warm) => {
  test('GET and HEAD by tag and digest have a line each, with who, from where and by which binding', async () => {
    const { ask, audited, warmAnswers } = await pullable(warm)
    const headers = { 'user-agent': 'docker/29', 'x-request-id': 'r-1' }
    await ask(manifest, { token: 'good', headers })
    await ask(manifest, { token: 'good', headers, method: 'HEAD' })
    await ask(`/v2/demo/app/manifests/${image.digest}`, { token: 'good', headers })
    await ask(manifest, { token: 'good', headers: { ...headers, 'if-none-match': `"${image.digest}"` } })
    const line = {
      subject: { name: 'ci', groups: [] },
      client: { address: '127.0.0.1', userAgent: 'docker/29' },
      requestId: 'r-1',
      surface: 'registry',
      verb: 'pull',
      object: { ...layers, name: 'app:prod' },
      decision: 'allowed',
      grant: by,
      status: 200,
    }
    expect(audited).toEqual([
      line,
      line,
      { ...line, object: { ...layers, name: `app@${image.digest}` } },
      { ...line, status: 304 },
    ])
    expect(warmAnswers()).toBe(warm ? 4 : 0)
  })

  test('of what is not there are allowed and failed, with the reason', async () => {
    const { ask, audited } = await pullable(warm)
    await ask('/v2/demo/app/manifests/gone', { token: 'good' })
    expect(audited).toMatchObject([
      { object: { name: 'app:gone' }, decision: 'allowed', grant: by, status: 404, reason: 'MANIFEST_UNKNOWN' },
    ])
  })

  test('that are forbidden are denied the same whether the repository is there or not', async () => {
    const { ask, audited, tokens } = await pullable(warm)
    tokens.set('other', tokenFor('demo/web', ['pull']))
    for (const stream of ['app', 'nope']) {
      await ask(`/v2/demo/${stream}/manifests/prod`, { token: 'other', headers: { 'x-request-id': 'r-1' } })
    }
    const line = {
      subject: { name: 'ci', groups: [] },
      client: { address: '127.0.0.1', userAgent: '' },
      requestId: 'r-1',
      surface: 'registry',
      verb: 'pull',
      object: { ...layers, name: 'app:prod' },
      decision: 'denied',
      status: 401,
      reason: 'UNAUTHORIZED',
    }
    expect(audited).toEqual([line, { ...line, object: { ...layers, name: 'nope:prod' } }])
  })

  test('with a token that is none are denied to nobody known, and the token is in no line', async () => {
    const { ask, audited } = await pullable(warm)
    await ask(manifest, { token: 'forged-and-secret' })
    expect(audited).toMatchObject([{ subject: { name: '', groups: [] }, decision: 'denied', status: 401 }])
    expect(JSON.stringify(audited)).not.toContain('forged')
  })

  test('that only ask where to get a token have no line', async () => {
    const { ask, audited } = await pullable(warm)
    await ask('/v2/')
    await ask(manifest)
    await ask(manifest, { headers: { authorization: 'Basic Y2k6c2VjcmV0' } })
    expect(audited).toEqual([])
  })

  test('of blobs and lists have a line when they are denied alone', async () => {
    const { ask, audited, tokens } = await pullable(warm)
    tokens.set('other', tokenFor('demo/web', ['pull']))
    const blob = `/v2/demo/app/blobs/${layer.digest}`
    expect((await ask(blob, { token: 'good' })).status).toBe(200)
    await ask('/v2/demo/app/blobs/sha256:0', { token: 'good' })
    await ask('/v2/demo/app/tags/list', { token: 'good' })
    await ask('/v2/', { token: 'good' })
    expect(audited).toEqual([])
    await ask(blob, { token: 'other' })
    await ask('/v2/demo/app/tags/list', { token: 'other' })
    await ask('/v2/_catalog', { token: 'other' })
    await ask('/v2/', { token: 'none' })
    expect(audited).toMatchObject([
      { verb: 'pull', object: { ...layers, name: `app@${layer.digest}` }, decision: 'denied' },
      { verb: 'list', object: { ...layers, name: 'app' }, decision: 'denied' },
      { verb: 'list', object: { resource: 'catalog' }, subject: { name: 'ci' }, decision: 'denied' },
      { verb: 'ping', object: { resource: '' }, subject: { name: '' }, decision: 'denied' },
    ])
  })
})

describe('logins', () => {
  const granted = (...scopes: [string, string[]][]): TokenGrant => ({
    token: { token: 'a-new-token', issuedAt: 0, expiresInSeconds: 900 },
    access: scopes.map(([name, actions]) => ({ type: 'repository', name, actions })),
    subject: { name: 'acme:ana', groups: ['acme:dev'], provider: 'acme', session: 's1' },
  })
  const basic = (login: string) => ({ authorization: `Basic ${Buffer.from(login).toString('base64')}` })

  test('have a line with the subject and the scopes that were granted', async () => {
    const { ask, audited } = await startHttp({ grant: async () => granted(['demo/app', ['pull']], ['demo/web', []]) })
    await ask('/token?scope=repository:demo/app:pull,push&scope=repository:demo/web:pull', {
      headers: { ...basic('ana:hunter2'), 'x-request-id': 'r-1' },
    })
    expect(audited).toEqual([
      {
        subject: granted().subject,
        client: { address: '127.0.0.1', userAgent: '' },
        requestId: 'r-1',
        surface: 'token',
        verb: 'login',
        object: { group: '', resource: 'tokens', project: 'demo', name: 'repository:demo/app:pull' },
        decision: 'allowed',
        status: 200,
      },
    ])
  })

  test('for several projects lie in none of them', async () => {
    const { ask, audited } = await startHttp({
      grant: async () => granted(['demo/app', ['pull']], ['other/app', ['pull']]),
    })
    await ask('/token')
    expect(audited).toMatchObject([
      { object: { project: '', name: 'repository:demo/app:pull repository:other/app:pull' } },
    ])
  })

  test('that are refused have the user name that was tried, and the code', async () => {
    const refuse = async () => {
      throw new RegistryError('UNAUTHORIZED', { message: 'hunter2 is wrong' })
    }
    const { ask, audited } = await startHttp({ grant: refuse })
    await ask('/token?scope=repository:demo/app:pull', { headers: basic('ana:hunter2') })
    expect(audited).toMatchObject([
      {
        subject: { name: 'ana', groups: [] },
        object: { project: 'demo', name: 'repository:demo/app:pull' },
        decision: 'denied',
        status: 401,
        reason: 'UNAUTHORIZED',
      },
    ])
    expect(JSON.stringify(audited)).not.toContain('hunter2')
  })

  test('of nobody are anonymous', async () => {
    const refuse = async () => {
      throw new RegistryError('BAD_REQUEST')
    }
    const { ask, audited } = await startHttp({ grant: refuse })
    await ask('/token?service=other')
    expect(audited).toMatchObject([
      { subject: { name: 'system:anonymous' }, decision: 'denied', reason: 'BAD_REQUEST' },
    ])
  })

  test.each<[string, string, AskOptions]>([
    ['two logins', '401 UNAUTHORIZED', { headers: { authorization: 'Basic YTpi, Basic c2VjcmV0' } }],
    ['a bearer', '401 UNAUTHORIZED', { headers: { authorization: 'Bearer c2VjcmV0' } }],
    ['a body that is no form', '400 BAD_REQUEST', { method: 'POST', body: '{"password":"c2VjcmV0"}' }],
  ])('that can not be read are denied to nobody known: %s', async (_, refused, sent) => {
    const { ask, audited } = await startHttp({ grant: async () => granted() })
    await ask('/token?scope=repository:demo/app:pull', sent)
    const [line, ...more] = audited
    expect(more).toEqual([])
    expect(line).toMatchObject({ subject: { name: '', groups: [] }, surface: 'token', decision: 'denied' })
    expect(`${line?.status} ${line?.reason}`).toBe(refused)
    expect(JSON.stringify(audited)).not.toContain('c2VjcmV0')
  })

  test.each([
    ['a JWT', 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln'],
    ['an admin token', 'weir_admin_abcdefg'],
    ['a refresh token', 'weir_refresh_0123.abc'],
    ['a token of GitHub', 'ghp_abcdefghij'],
    ['a long word', 'a1b2c3d4e5f6a7b8c9d0e1f2'],
    ['its own password', 'same-secret'],
    ['line breaks', 'ana\r\n{"decision":"allowed"}'],
    ['nothing but length', 'a'.repeat(200)],
  ])('with %s in the place of the user name keep it out', async (_what, user) => {
    const refuse = async () => {
      throw new RegistryError('UNAUTHORIZED')
    }
    const { ask, audited } = await startHttp({ grant: refuse })
    await ask('/token', { headers: basic(`${user}:same-secret`) })
    expect(audited).toMatchObject([{ subject: { name: '' } }])
  })

  test('with a long user name have its beginning', async () => {
    const refuse = async () => {
      throw new RegistryError('UNAUTHORIZED')
    }
    const { ask, audited } = await startHttp({ grant: refuse })
    await ask('/token', { headers: basic(`${'ana '.repeat(30)}:wrong`) })
    expect(audited).toMatchObject([{ subject: { name: `${'ana '.repeat(16).slice(0, 63)}…` } }])
  })

  test.each(['ana', 'ana@example.com', 'robot+demo.ci', '00000000-0000-0000-0000-000000000000', 'Jörg'])(
    'keep the user name %s',
    async (user) => {
      const refuse = async () => {
        throw new RegistryError('UNAUTHORIZED')
      }
      const { ask, audited } = await startHttp({ grant: refuse })
      await ask('/token', { headers: basic(`${user}:wrong`) })
      expect(audited).toMatchObject([{ subject: { name: user } }])
    },
  )
})

describe.each([false, true])('what a client calls itself, warm: %s', (warm) => {
  const asked = (agent: string) =>
    `GET ${manifest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer good\r\nUser-Agent: ${agent}\r\n\r\n`

  test('makes no second line, and no field of its own', async () => {
    const { raw, audited } = await pullable(warm)
    await raw(asked('a"},"decision":"denied"}\t\\ \u00e9'))
    const [event] = audited
    if (event === undefined) throw new Error('there is no event')
    const line = createFormatLine()(event, 0)
    expect(line.split('\n')).toHaveLength(2)
    expect(parseLine(Buffer.from(line.trimEnd()))).toMatchObject({ decision: 'allowed', status: 200 })
  })

  test('is cut', async () => {
    const { raw, audited } = await pullable(warm)
    await raw(asked('x'.repeat(10_000)))
    expect(audited).toMatchObject([{ client: { userAgent: 'x'.repeat(256) } }])
  })

  test('is refused with a line break inside, or a megabyte long', async () => {
    const { raw, audited } = await pullable(warm)
    expect(await raw(asked('a\rX-Forwarded-For: 1.1.1.1'))).toContain('400 Bad Request')
    expect(await raw(asked('x'.repeat(1_000_000))).catch(() => '431')).toContain('431')
    expect(audited).toEqual([])
  })
})

test('lines that were lost are a metric', async () => {
  const { ask } = await startHttp()
  expect((await ask('/metrics')).body.toString()).toContain('weir_audit_lost_total 0')
})
