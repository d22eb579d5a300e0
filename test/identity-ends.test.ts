/** Whatever ends an identity or its right, the next request is refused, on every surface, while the registry token lives. */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import { expect, onTestFinished, test } from 'vitest'
import { testClock } from './support/clock.ts'
import { temporaryDirectory } from './support/directory.ts'
import { startFakeIssuer } from './support/fake-issuer.ts'
import { makeImage } from './support/images.ts'
import { type Answered, startWorld, type World } from './support/world.ts'

const image = makeImage('app')
const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/demo'
const streams = '/apis/image.openshift.io/v1/namespaces/demo/imagestreams'
const lineOf = (user: string, password: string) => `${user}:${hashSync(password, 4)}\n`
const bob = lineOf('bob', 'pw2')

/** A Weir with an htpasswd file and an issuer, and `demo/app:prod`, which those called in `pullers` may pull. */
async function started() {
  // The certificate of a test is of today.
  const clock = testClock(Math.floor(Date.now() / 1000) * 1000)
  const directory = await temporaryDirectory()
  const issuer = await startFakeIssuer({ now: clock.now })
  onTestFinished(() => issuer.stop())
  const [htpasswdFile, certificateAuthorityFile] = [join(directory, 'htpasswd'), join(directory, 'ca.pem')]
  await writeFile(htpasswdFile, lineOf('ann', 'pw') + bob, { mode: 0o600 })
  await writeFile(certificateAuthorityFile, issuer.ca)
  const issuers = [
    { name: 'jobs', issuer: issuer.issuer, audiences: ['weir'], certificateAuthorityFile, sessionLifetime: '0s' },
  ]
  const auth = { htpasswdFile, issuers }
  const world = await startWorld({ now: clock.now, config: { auth } })
  world.upstream.put('lib/app', image, { tag: 'v1' })
  await done(world, 'new-project', 'demo')
  await done(world, 'import-image', 'demo/app:prod', '--from', `${world.upstream.host}/lib/app:v1`)
  const robot = (await done(world, 'token', 'ci', '-n', 'demo', '--duration', '24h')).trim()
  const users = ['ann', 'bob', 'jobs:job-1'].map((name) => ({ kind: 'User', name }))
  const binding = {
    metadata: { name: 'viewers' },
    subjects: [...users, { kind: 'ServiceAccount', name: 'ci', namespace: 'demo' }].map((subject) =>
      subject.kind === 'User' ? { ...subject, apiGroup: 'rbac.authorization.k8s.io' } : subject,
    ),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
  }
  expect((await world.api('POST', `${rbac}/rolebindings`, binding)).status).toBe(201)
  return { world, clock, issuer, auth, htpasswdFile, robot }
}

async function done({ cli }: World, ...argv: string[]): Promise<string> {
  const ran = await cli(...argv)
  expect(ran, argv.join(' ')).toMatchObject({ exitCode: 0 })
  return ran.stdout
}

interface Identity {
  /** What is sent as bearer to the API. */
  api: string
  /** Asks for a registry token, again and again. */
  token(): Promise<Answered>
}

const scope = 'repository:demo/app:pull'

function withPassword(world: World, user: string, secret: string): () => Promise<Answered> {
  const authorization = `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`
  return () => world.request(`/token?scope=${scope}`, { headers: { authorization } })
}

/** Logs in for the API, with a session, as `weir login` and `docker login` do. */
async function withSession(world: World, user: string, secret: string): Promise<Identity & { session: string }> {
  const { issuer } = json(await world.request('/login'))
  const form = { grant_type: 'password', username: user, password: secret, access_type: 'offline', service: issuer }
  const granted = json(await post(world, form))
  const { weir } = JSON.parse(Buffer.from(granted.access_token?.split('.')[1] ?? '', 'base64url').toString())
  const refresh = { grant_type: 'refresh_token', refresh_token: granted.refresh_token ?? '', scope }
  return { api: granted.access_token ?? '', session: weir.session, token: () => post(world, refresh) }
}

function post(world: World, form: Record<string, string | undefined>): Promise<Answered> {
  const body = new URLSearchParams(form as Record<string, string>).toString()
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return world.request('/token', { method: 'POST', body, headers })
}

function json({ body }: Answered): Record<string, string | undefined> {
  return JSON.parse(body.toString('utf8'))
}

/** Requests on every surface, with tokens of before: one that was used and is in memory, and one that never was. */
async function probe(world: World, { api, token }: Identity) {
  const [warm, cold] = [json(await token()).token ?? '', json(await token()).token ?? '']
  const pull = (registryToken: string) => world.request('/v2/demo/app/manifests/prod', { token: registryToken })
  const warmed = [(await pull(warm)).status, (await pull(warm)).status]
  expect(warmed).toEqual([200, 200])
  const ask = async () => {
    const asked = await token()
    const access = asked.status === 200 ? claimsOf(json(asked).token ?? '').access.length : undefined
    const statuses = [
      (await world.request(streams, { token: api, secure: true })).status,
      (await pull(warm)).status,
      (await world.request(`/v2/demo/app/blobs/${image.config.digest}`, { token: warm })).status,
      asked.status,
    ]
    return { api: statuses[0], warm: statuses[1], blob: statuses[2], token: statuses[3], access }
  }
  expect(await ask()).toEqual({ api: 200, warm: 200, blob: 200, token: 200, access: 1 })
  return { ask, cold: async () => (await pull(cold)).status }
}

function claimsOf(token: string): { access: unknown[]; exp: number } {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
}

const gone = { api: 401, warm: 401, blob: 401, token: 401, access: undefined }

test('a binding is revoked: the next request is refused, and a token gives nothing', async () => {
  const { world, robot } = await started()
  const { ask, cold } = await probe(world, { api: robot, token: withPassword(world, 'x', robot) })
  expect((await world.api('DELETE', `${rbac}/rolebindings/viewers`)).status).toBe(200)
  expect(await ask()).toEqual({ api: 403, warm: 401, blob: 401, token: 200, access: 0 })
  expect(await cold()).toBe(401)
})

test('an account is deleted: the next request is refused, also when one of its name is made anew', async () => {
  const { world, robot } = await started()
  const { ask, cold } = await probe(world, { api: robot, token: withPassword(world, 'x', robot) })
  const accounts = '/api/v1/namespaces/demo/serviceaccounts'
  expect((await world.api('DELETE', `${accounts}/ci`)).status).toBe(200)
  expect(await ask()).toEqual(gone)
  await world.api('POST', accounts, { metadata: { name: 'ci' } })
  expect(await ask()).toEqual(gone)
  expect(await cold()).toBe(401)
})

test('a password is changed: the next request is refused once the file is read, and others go on', async () => {
  const { world, htpasswdFile } = await started()
  const hers = await probe(world, await withSession(world, 'ann', 'pw'))
  const his = await probe(world, await withSession(world, 'bob', 'pw2'))
  const basic = withPassword(world, 'ann', 'pw')
  expect((await basic()).status).toBe(200)
  await writeFile(htpasswdFile, lineOf('ann', 'changed') + bob)
  await expect.poll(hers.ask, { timeout: 10_000 }).not.toMatchObject({ api: 200 })
  expect(await hers.ask()).toEqual(gone)
  expect([await hers.cold(), (await basic()).status]).toEqual([401, 401])
  expect(await his.ask()).toEqual({ api: 200, warm: 200, blob: 200, token: 200, access: 1 })
  expect((await withPassword(world, 'ann', 'changed')()).status).toBe(200)
})

test('a session is ended: the next request with any of its tokens is refused, and other logins go on', async () => {
  const { world } = await started()
  const [lost, kept] = [await withSession(world, 'ann', 'pw'), await withSession(world, 'ann', 'pw')]
  const [first, second] = [await probe(world, lost), await probe(world, kept)]
  const path = `/apis/weir.dev/v1/sessions/${lost.session}`
  expect((await world.request(path, { method: 'DELETE', token: kept.api, secure: true })).status).toBe(200)
  expect(await first.ask()).toEqual(gone)
  expect(await first.cold()).toBe(401)
  expect(await second.ask()).toEqual({ api: 200, warm: 200, blob: 200, token: 200, access: 1 })
})

test('a session comes to its end: the next request is refused while its tokens live', async () => {
  const { world, clock } = await started()
  const login = await withSession(world, 'ann', 'pw')
  clock.advance(30 * 86_400_000 - 20_000)
  const refreshed = json(await login.token())
  const { issuer } = json(await world.request('/login'))
  expect(refreshed.expires_in).toBe(60)
  const token = refreshed.token ?? ''
  expect((await world.request('/v2/demo/app/manifests/prod', { token })).status).toBe(200)
  clock.advance(20_000)
  expect(claimsOf(token).exp * 1000).toBeGreaterThan(clock.now())
  expect((await world.request('/v2/demo/app/manifests/prod', { token })).status).toBe(401)
  expect((await login.token()).status).toBe(401)
  expect(issuer).toBe(world.weir.https.publicUrl)
})

test('an identity expires: the next request is refused while its registry token lives', async () => {
  const { world, clock, issuer } = await started()
  const job = await issuer.sign({ sub: 'job-1', exp: clock.now() / 1000 + 300 })
  const { ask, cold } = await probe(world, { api: job, token: withPassword(world, 'job', job) })
  const { token = '', expires_in: expiresIn } = json(await withPassword(world, 'job', job)())
  expect(expiresIn).toBe(300)
  clock.advance(300_000 - 1)
  expect(await ask()).toMatchObject({ api: 200, warm: 200, token: 200 })
  const late = json(await withPassword(world, 'job', job)())
  expect(late.expires_in).toBe(60)
  clock.advance(1)
  for (const registryToken of [token, late.token ?? '']) {
    expect((await world.request('/v2/', { token: registryToken })).status).toBe(401)
  }
  expect(claimsOf(late.token ?? '').exp * 1000).toBeGreaterThan(clock.now())
  expect(await cold()).toBe(401)
  expect((await world.request('/v2/demo/app/manifests/prod', { token })).status).toBe(401)
  // The issuer's clock may be behind, for so long its token proves who it is; what is made of it has ended.
  clock.advance(120_000)
  expect(await ask()).toEqual(gone)
})

test("a robot's token expires: so does the registry token that was made of it", async () => {
  const { world, clock } = await started()
  const robot = (await done(world, 'token', 'ci', '-n', 'demo', '--duration', '10m')).trim()
  clock.advance(590_000)
  const { ask, cold } = await probe(world, { api: robot, token: withPassword(world, 'x', robot) })
  clock.advance(10_000)
  expect(await ask()).toEqual(gone)
  expect(await cold()).toBe(401)
})

test('a provider is taken out of the config: after the restart nothing of it is taken', async () => {
  const { world, auth } = await started()
  const ann = await withSession(world, 'ann', 'pw')
  const { ask, cold } = await probe(world, ann)
  await world.restart({ auth })
  expect(await ask()).toEqual({ api: 200, warm: 200, blob: 200, token: 200, access: 1 })
  await world.restart({ auth: { issuers: auth.issuers } })
  expect(await ask()).toEqual(gone)
  expect(await cold()).toBe(401)
})

test("the admin's token is made anew: the old one, and all that was made of it, ends", async () => {
  const { world } = await started()
  const admin = world.adminToken
  const { ask, cold } = await probe(world, { api: admin, token: withPassword(world, 'x', admin) })
  await rm(world.weir.adminKubeconfig)
  await world.restart()
  expect(await ask()).toEqual(gone)
  expect(await cold()).toBe(401)
  expect((await world.api('GET', streams)).status).toBe(200)
})
