/** Each token opens what it was made for and nothing else, however it is sent. */
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import { expect, test } from 'vitest'
import { temporaryDirectory } from './support/directory.ts'
import { type Answered, startWorld, type World } from './support/world.ts'

const streams = '/apis/image.openshift.io/v1/namespaces/demo/imagestreams'
const sessions = '/apis/weir.dev/v1/sessions'

/** One of each kind of secret, all of somebody who may list the streams of `demo`. */
async function started() {
  const htpasswdFile = join(await temporaryDirectory(), 'htpasswd')
  await writeFile(htpasswdFile, `ann:${hashSync('pw', 4)}\n`, { mode: 0o600 })
  const world = await startWorld({ config: { auth: { htpasswdFile } } })
  for (const argv of [
    ['new-project', 'demo'],
    ['grant', 'view', 'ann', '-n', 'demo'],
  ]) {
    expect(await world.cli(...argv)).toMatchObject({ exitCode: 0 })
  }
  const issuer = world.weir.https.publicUrl
  const login = { grant_type: 'password', username: 'ann', password: 'pw', access_type: 'offline' }
  const api = json(await post(world, { ...login, service: issuer }))
  const registry = json(await post(world, { ...login, scope: 'registry:catalog:*' }))
  const secrets = {
    login: api.access_token ?? '',
    registry: registry.access_token ?? '',
    refresh: api.refresh_token ?? '',
  }
  return { world, issuer, secrets, htpasswdFile }
}

function post(world: World, form: Record<string, string>): Promise<Answered> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return world.request('/token', { method: 'POST', body: new URLSearchParams(form).toString(), headers })
}

function json({ body }: Answered): Record<string, string | undefined> {
  return JSON.parse(body.toString('utf8'))
}

function basic(world: World, secret: string): Promise<Answered> {
  const authorization = `Basic ${Buffer.from(`ann:${secret}`).toString('base64')}`
  return world.request('/token', { headers: { authorization } })
}

/** Sends headers as they stand; answers the status. */
function raw(world: World, path: string, ...headers: string[]): Promise<number> {
  const lines = [`GET ${path} HTTP/1.1`, 'Host: x', 'Connection: close', ...headers, '', '']
  return new Promise((resolve, reject) => {
    let answered = ''
    const socket = connect(world.weir.http.port, '127.0.0.1', () => socket.write(lines.join('\r\n')))
    socket.on('data', (piece) => {
      answered += piece.toString('latin1')
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(Number(answered.split(' ')[1])))
  })
}

test('each kind of token opens its own surface alone', async () => {
  const { world, secrets } = await started()
  const opened = async (token: string) => ({
    registry: (await world.request('/v2/', { token })).status,
    catalog: (await world.request('/v2/_catalog', { token })).status,
    api: (await world.request(streams, { token, secure: true })).status,
    password: (await basic(world, token)).status,
    refresh: (await post(world, { grant_type: 'refresh_token', refresh_token: token })).status,
  })
  expect(await opened(secrets.login)).toEqual({ registry: 401, catalog: 401, api: 200, password: 200, refresh: 401 })
  expect(await opened(secrets.registry)).toEqual({ registry: 200, catalog: 200, api: 401, password: 401, refresh: 401 })
  expect(await opened(secrets.refresh)).toEqual({ registry: 401, catalog: 401, api: 401, password: 401, refresh: 200 })
  expect(await opened('pw')).toEqual({ registry: 401, catalog: 401, api: 401, password: 200, refresh: 401 })
  expect(await opened(world.adminToken)).toEqual({ registry: 401, catalog: 401, api: 200, password: 200, refresh: 401 })
  expect(JSON.stringify(world.logged)).not.toContain(secrets.refresh.slice(-64))
})

test.each([
  [
    'two Authorization headers',
    (token: string) => [`Authorization: Bearer ${token}`, `Authorization: Bearer ${token}`],
  ],
  ['two tokens in one', (token: string) => [`Authorization: Bearer ${token}, Bearer ${token}`]],
  ['another scheme', (token: string) => [`Authorization: Token ${token}`]],
  ['no scheme', (token: string) => [`Authorization: ${token}`]],
  ['nothing behind the scheme', () => ['Authorization: Bearer']],
  ['a tab', (token: string) => [`Authorization: Bearer\t${token}`]],
  ['a blank within', (token: string) => [`Authorization: Bearer ${token.slice(0, 9)} ${token.slice(9)}`]],
  ['quotes', (token: string) => [`Authorization: Bearer "${token}"`]],
  ['Basic', (token: string) => [`Authorization: Basic ${Buffer.from(`ann:${token}`).toString('base64')}`]],
])('%s is refused on every surface, and never anonymous', async (_, headers) => {
  const { world, secrets } = await started()
  expect(await raw(world, '/v2/', ...headers(secrets.registry))).toBe(401)
  expect(await raw(world, '/v2/demo/app/manifests/x', ...headers(secrets.registry))).toBe(401)
  expect(await raw(world, streams, ...headers(secrets.login))).toBe(401)
  // What everybody may read is not read by who sends a bad login either.
  expect(await raw(world, '/apis/user.openshift.io/v1/users/~', ...headers(secrets.login))).toBe(401)
})

test('a double blank is refused on /v2/, and is one blank on the API (RFC 6750 2.1)', async () => {
  const { world, secrets } = await started()
  expect(await raw(world, '/v2/', `Authorization: bearer  ${secrets.registry}`)).toBe(401)
  expect(await raw(world, '/v2/', `Authorization: bearer ${secrets.registry}`)).toBe(200)
  expect(await raw(world, streams, `Authorization: bearer  ${secrets.login}`)).toBe(200)
})

test('a session of a user who is gone is refused, and one of the same name begins anew', async () => {
  const { world, secrets, issuer, htpasswdFile } = await started()
  await writeFile(htpasswdFile, `bob:${hashSync('pw', 4)}\n`)
  const refresh = () => post(world, { grant_type: 'refresh_token', refresh_token: secrets.refresh, service: issuer })
  await expect.poll(async () => (await refresh()).status, { timeout: 10_000 }).toBe(401)
  expect(json(await refresh())).toMatchObject({ error: 'invalid_grant' })
  await writeFile(htpasswdFile, `ann:${hashSync('pw', 4)}\n`)
  await expect.poll(async () => (await basic(world, 'pw')).status, { timeout: 10_000 }).toBe(200)
  expect((await refresh()).status).toBe(401)
  expect((await world.request(streams, { token: secrets.login, secure: true })).status).toBe(401)
})

test('floods of refreshes, good and forged, are answered, and end nothing', async () => {
  const { world, secrets } = await started()
  const forged = () => `weir_refresh_${randomUUID()}.${'A'.repeat(64)}`
  const sent = Array.from({ length: 300 }, (_, i) =>
    post(world, { grant_type: 'refresh_token', refresh_token: i % 3 === 0 ? secrets.refresh : forged() }),
  )
  const statuses = (await Promise.all(sent)).map(({ status }) => status)
  expect(statuses.filter((status) => status === 200)).toHaveLength(100)
  expect(statuses.filter((status) => status === 401)).toHaveLength(200)
  const { body } = await world.api('GET', sessions)
  expect(body.items).toHaveLength(2)
})
