import { expect, test } from 'vitest'
import { RegistryError } from '../../src/oci/errors.ts'
import { startHttp } from './harness.ts'

const form = 'application/x-www-form-urlencoded'

function basic(login: string): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(login).toString('base64')}` }
}

test('GET answers the token under both names, with its life and time of issue, never to be stored', async () => {
  const { ask } = await startHttp()
  const answer = await ask('/token?service=weir.test:5000&scope=repository:demo/app:pull', {
    headers: basic('ci:s:e:c'),
  })
  expect(answer.status).toBe(200)
  expect(answer.json()).toEqual({
    token: 'made',
    access_token: 'made',
    expires_in: 900,
    issued_at: '2026-01-01T00:00:00Z',
  })
  expect(answer.headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-store' })
  expect(answer.headers).not.toHaveProperty('access-control-allow-origin')
})

test('login, service, client and every scope reach the grant as they came; account decides nothing', async () => {
  const { ask, grants } = await startHttp()
  await ask('/token?service=s&scope=a:b:c+d:e:f&scope=g:h:i&account=root&offline_token=true&client_id=docker', {
    headers: basic('ci:p:w'),
  })
  await ask('/token')
  await ask('/token', { headers: basic(':') })
  await ask('/token', { headers: { authorization: 'basic Og==' } })
  const login = { user: 'ci', secret: 'p:w' }
  const scopes = ['a:b:c d:e:f', 'g:h:i']
  const bare = { service: undefined, scopes: [], offline: false, clientId: '', client: expect.anything() }
  expect(grants).toEqual([
    { ...bare, login, service: 's', scopes, offline: true, clientId: 'docker' },
    { ...bare, login: undefined },
    { ...bare, login: { user: '', secret: '' } },
    { ...bare, login: { user: '', secret: '' } },
  ])
})

test('POST with grant_type=password answers the same, with the scope granted, and no refresh token where there is none', async () => {
  const { ask, grants } = await startHttp({
    grant: async () => ({
      token: { token: 'made', issuedAt: 0, expiresInSeconds: 900 },
      access: [{ type: 'repository', name: 'demo/app', actions: ['pull'] }],
      subject: { name: 'x', groups: [] },
    }),
  })
  const body =
    'grant_type=password&username=ci&password=p%3Dw&service=s&scope=a:b:c&scope=d:e:f&access_type=offline&client_id=containerd'
  const answer = await ask('/token', { method: 'POST', body, headers: { 'content-type': `${form}; charset=utf-8` } })
  expect(answer.json()).toEqual({
    token: 'made',
    access_token: 'made',
    token_type: 'Bearer',
    expires_in: 900,
    issued_at: '1970-01-01T00:00:00Z',
    scope: 'repository:demo/app:pull',
  })
  expect(answer.headers['cache-control']).toBe('no-store')
  expect(grants).toEqual([])
})

test('a refresh token reaches the grant, and the one in its place the client', async () => {
  const requests: unknown[] = []
  const { ask, logged, audited } = await startHttp({
    grant: async (request) => {
      requests.push(request)
      const token = { token: 'made', issuedAt: 0, expiresInSeconds: 60 }
      return { token, access: [], subject: { name: 'x', groups: [] }, refreshToken: 'weir_refresh_new' }
    },
  })
  const body = 'grant_type=refresh_token&refresh_token=weir_refresh_old&client_id=weir&service=s&access_type=offline'
  const answer = await ask('/token', { method: 'POST', body, headers: { 'content-type': form } })
  expect(answer.json()).toMatchObject({ access_token: 'made', expires_in: 60, refresh_token: 'weir_refresh_new' })
  const login = { refreshToken: 'weir_refresh_old' }
  expect(requests).toMatchObject([{ login, service: 's', clientId: 'weir', offline: true }])
  const got = await ask('/token?offline_token=true', { headers: basic('ann:pw') })
  expect(got.json()).toMatchObject({ token: 'made', refresh_token: 'weir_refresh_new' })
  expect(logged.join() + JSON.stringify(audited)).not.toMatch(/weir_refresh/)
})

test.each([
  ['GET', '/token?grant_type=refresh_token&refresh_token=x', {}],
  ['GET with a login', '/token?refresh_token=x', basic('ann:pw')],
])('%s takes no refresh token: it would be in logs', async (_name, path, headers) => {
  const { ask, grants } = await startHttp()
  await ask(path, { headers })
  expect(grants).toHaveLength(1)
  expect(grants.filter(({ login }) => login !== undefined && 'refreshToken' in login)).toEqual([])
})

test.each([
  ['UNAUTHORIZED', { oauth: 'invalid_grant' }, 401, 'invalid_grant'],
  ['UNAUTHORIZED', undefined, 401, 'invalid_client'],
  ['TOOMANYREQUESTS', undefined, 429, 'temporarily_unavailable'],
  ['UNAVAILABLE', undefined, 503, 'temporarily_unavailable'],
] as const)(
  'a refusal (%s, %o) is told to OAuth and to registry clients alike',
  async (code, detail, status, error) => {
    const { ask } = await startHttp({
      grant: async () => {
        throw new RegistryError(code, { message: 'no', detail, retryAfterSeconds: 7 })
      },
    })
    const body = 'grant_type=refresh_token&refresh_token=x'
    const answer = await ask('/token', { method: 'POST', body, headers: { 'content-type': form } })
    expect(answer.status).toBe(status)
    expect(answer.json()).toMatchObject({ error, error_description: 'no', errors: [{ code, message: 'no' }] })
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'retry-after': '7' })
  },
)

test('the form reaches the grant as it came', async () => {
  const { ask, grants } = await startHttp()
  const body = 'grant_type=password&username=ci&password=p%3Dw%2B&service=s&scope=a:b:c&scope=d:e:f'
  await ask('/token', { method: 'POST', body, headers: { 'content-type': form } })
  expect(grants).toMatchObject([{ login: { user: 'ci', secret: 'p=w+' }, service: 's', scopes: ['a:b:c', 'd:e:f'] }])
})

test.each([
  ['no refresh token', 'grant_type=refresh_token&service=s', 'invalid_request'],
  ['an empty refresh token', 'grant_type=refresh_token&refresh_token=&username=ci&password=x', 'invalid_request'],
  ['a refresh token twice', 'grant_type=refresh_token&refresh_token=x&refresh_token=y', 'invalid_request'],
  ['another grant', 'grant_type=authorization_code', 'unsupported_grant_type'],
  ['a grant in another case', 'grant_type=Password&username=ci&password=x', 'unsupported_grant_type'],
  ['no grant', 'username=ci&password=x', 'invalid_request'],
  ['no password', 'grant_type=password&username=ci', 'invalid_request'],
  ['an empty login', 'grant_type=password&username=&password=', 'invalid_request'],
  ['a parameter twice', 'grant_type=password&username=ci&username=x&password=x', 'invalid_request'],
  ['a grant type twice', 'grant_type=password&grant_type=refresh_token&username=ci&password=x', 'invalid_request'],
])('POST with %s is 400', async (_name, body, error) => {
  const { ask, grants } = await startHttp()
  const answer = await ask('/token', { method: 'POST', body, headers: { 'content-type': form } })
  expect(answer.status).toBe(400)
  expect(answer.json()).toMatchObject({
    error,
    error_description: expect.any(String),
    errors: [{ code: 'UNSUPPORTED' }],
  })
  expect(answer.headers['cache-control']).toBe('no-store')
  expect(grants).toEqual([])
})

test('POST of something else than a form is 400', async () => {
  const { ask } = await startHttp()
  const body = JSON.stringify({ grant_type: 'password', username: 'ci', password: 'x' })
  expect((await ask('/token', { method: 'POST', body, headers: { 'content-type': 'application/json' } })).status).toBe(
    400,
  )
  expect((await ask('/token', { method: 'POST', body })).status).toBe(400)
})

test('a service given twice is 400 on GET too', async () => {
  const { ask, grants } = await startHttp()
  expect((await ask('/token?service=a&service=b')).status).toBe(400)
  expect(grants).toEqual([])
})

test.each([
  ['a login that is no base64', { authorization: 'Basic ###' }],
  ['a login without colon', basic('ci')],
  ['a bearer', { authorization: 'Bearer good' }],
  ['two logins', { authorization: [basic('ci:x').authorization, basic('ci:x').authorization] }],
  ['nothing behind the scheme', { authorization: 'Basic' }],
])('%s is 401 and never anonymous', async (_name, headers) => {
  const { ask, grants } = await startHttp()
  const answer = await ask('/token', { headers })
  expect(answer.status).toBe(401)
  expect(answer.json()).toMatchObject({ error: 'invalid_client', errors: [{ code: 'UNAUTHORIZED' }] })
  expect(grants).toEqual([])
})

test('a bad secret is 401 and is not in the answer or the log', async () => {
  const harness = await startHttp({
    grant: async () => {
      throw new RegistryError('UNAUTHORIZED', { message: 'the password is not a valid token' })
    },
  })
  const answer = await harness.ask('/token', { headers: basic('ci:hush-hush') })
  expect(answer.status).toBe(401)
  expect(answer.headers['cache-control']).toBe('no-store')
  expect(answer.body.toString() + harness.logged.join()).not.toMatch(/hush-hush|Y2k6/)
})

test('a form of more than 64 KiB is 413, also when it says no length', async () => {
  const { ask, raw } = await startHttp()
  const body = `grant_type=password&username=ci&password=${'x'.repeat(65_536)}`
  const answer = await ask('/token', { method: 'POST', body, headers: { 'content-type': form } })
  expect(answer.status).toBe(413)
  const chunk = 'x'.repeat(4096)
  const chunks = `1000\r\n${chunk}\r\n`.repeat(17)
  const head = `POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: ${form}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`
  expect(await raw(`${head}${chunks}0\r\n\r\n`)).toMatch(/^HTTP\/1\.1 413 /)
})

test('other methods are 405 with Allow', async () => {
  const { ask } = await startHttp()
  const answer = await ask('/token', { method: 'DELETE' })
  expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, HEAD, POST'])
})

test('the query of a token request is not logged', async () => {
  const { ask, logged } = await startHttp()
  await ask('/token?service=s&scope=repository:hush/hush:pull')
  await expect.poll(() => logged.join()).toContain('"path":"/token"')
  expect(logged.join()).not.toContain('hush')
})
