/** Who is no more is named by the audit log where his login proves it, and by no answer. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import { expect, test } from 'vitest'
import type { AuditLine } from '../../src/audit/event.ts'
import { testClock } from '../support/clock.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { type Answered, startWorld, type World } from '../support/world.ts'

const scope = 'repository:demo/app:pull'
const robot = 'system:serviceaccount:demo:ci'

/** What somebody holds: for `/v2/`, for the API, and for `/token` as a request. */
interface Held {
  registry: string
  api: string
  token(world: World): Promise<Answered>
}

async function started() {
  // The certificate of a test is of today.
  const clock = testClock(Math.floor(Date.now() / 1000) * 1000)
  const htpasswdFile = join(await temporaryDirectory(), 'htpasswd')
  await writeFile(htpasswdFile, `jane.roe:${hashSync('pw', 4)}\n`, { mode: 0o600 })
  const world = await startWorld({ now: clock.now, config: { auth: { htpasswdFile } } })
  expect(await world.cli('new-project', 'demo')).toMatchObject({ exitCode: 0 })
  return { world, clock, htpasswdFile }
}

async function ofRobot(world: World): Promise<Held> {
  const api = (await world.cli('token', 'ci', '-n', 'demo')).stdout.trim()
  return { api, registry: await world.pullToken(scope, api), token: (at) => basic(at, api) }
}

async function ofJane(world: World): Promise<Held & { session: string }> {
  const { issuer } = json(await world.request('/login'))
  const login = { grant_type: 'password', username: 'jane.roe', password: 'pw', access_type: 'offline' }
  const forApi = json(await post(world, { ...login, service: issuer ?? '' }))
  const refresh = { grant_type: 'refresh_token', refresh_token: forApi.refresh_token ?? '', scope }
  const api = forApi.access_token ?? ''
  const registry = json(await post(world, refresh)).access_token ?? ''
  const { weir } = JSON.parse(Buffer.from(api.split('.')[1] ?? '', 'base64url').toString())
  return { api, registry, session: weir.session, token: (at) => post(at, refresh) }
}

function basic(world: World, secret: string): Promise<Answered> {
  const authorization = `Basic ${Buffer.from(`x:${secret}`).toString('base64')}`
  return world.request(`/token?scope=${scope}`, { headers: { authorization } })
}

function post(world: World, form: Record<string, string>): Promise<Answered> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return world.request('/token', { method: 'POST', body: new URLSearchParams(form).toString(), headers })
}

function json({ body }: Answered): Record<string, string> {
  return JSON.parse(body.toString('utf8'))
}

/** The same token with another signature. */
function forged(token: string): string {
  const [header, claims, signature = ''] = token.split('.')
  return [header, claims, `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`].join('.')
}

/** Asks on every surface, is refused, and tells what came back. */
async function refusedEverywhere(world: World, { registry, api, token }: Held): Promise<string> {
  const answers = [
    await world.request('/v2/demo/app/manifests/prod', { token: registry }),
    await world.request('/v2/', { token: registry }),
    await world.request('/api/v1/namespaces/demo/configmaps/a', { token: api, secure: true }),
    await basic(world, api),
    await token(world),
  ]
  expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401, expect.toBeOneOf([400, 401])])
  return JSON.stringify(answers.map(({ headers, body }) => [headers, body.toString('utf8')]))
}

/** Who was refused, as the log has it. */
async function refusedSubjects({ weir, dataDirectory }: World): Promise<[string, AuditLine['subject']][]> {
  await weir.stop(0)
  const text = await readFile(join(dataDirectory, 'audit', 'audit.log'), 'utf8')
  const lines = text.trim().split('\n')
  return lines
    .map((line): AuditLine => JSON.parse(line))
    .filter(({ decision }) => decision === 'denied')
    .map(({ surface, subject }) => [surface, subject])
}

const everywhere = ['registry', 'registry', 'api', 'token', 'token']

test('a robot that was deleted is named on every surface, with no groups, and no answer tells it', async () => {
  const { world } = await started()
  const held = await ofRobot(world)
  expect((await world.api('DELETE', '/api/v1/namespaces/demo/serviceaccounts/ci')).status).toBe(200)
  expect(await refusedEverywhere(world, held)).not.toContain(robot)
  expect(await refusedSubjects(world)).toEqual(everywhere.map((surface) => [surface, { name: robot, groups: [] }]))
})

test('who left the htpasswd file is named, with what knew him and his session', async () => {
  const { world, htpasswdFile } = await started()
  const { session, ...held } = await ofJane(world)
  await writeFile(htpasswdFile, `joe:${hashSync('pw', 4)}\n`, { mode: 0o600 })
  const isOut = async () => (await world.request('/v2/', { token: held.registry })).status
  await expect.poll(isOut, { timeout: 20_000 }).toBe(401)
  const answers = await refusedEverywhere(world, held)
  expect(answers).not.toContain('jane.roe')
  expect(answers).not.toContain(session)
  const jane = { name: 'jane.roe', groups: [], provider: 'htpasswd', session }
  const refused = await refusedSubjects(world)
  expect(refused.slice(-5)).toEqual(everywhere.map((surface) => [surface, jane]))
})

test('whose session was ended is named by his tokens; what refreshed it says nothing any more', async () => {
  const { world } = await started()
  const { session, ...held } = await ofJane(world)
  expect((await world.api('DELETE', `/apis/weir.dev/v1/sessions/${session}`)).status).toBe(200)
  expect(await refusedEverywhere(world, held)).not.toContain('jane.roe')
  const jane = { name: 'jane.roe', groups: [], provider: 'htpasswd', session }
  expect((await refusedSubjects(world)).map(([, subject]) => subject)).toEqual([
    ...Array.from({ length: 4 }, () => jane),
    { name: '', groups: [] },
  ])
})

test('a token that others signed names nobody, whether the one it tells of is there or gone', async () => {
  const { world } = await started()
  const held = await ofRobot(world)
  const { registry, api } = held
  const forgery: Held = { registry: forged(registry), api: forged(api), token: (at) => basic(at, forged(api)) }
  await refusedEverywhere(world, forgery)
  expect((await world.api('DELETE', '/api/v1/namespaces/demo/serviceaccounts/ci')).status).toBe(200)
  await refusedEverywhere(world, forgery)
  // Beside the token stands the user name `x`, which was tried.
  const names = (await refusedSubjects(world)).map(([, { name }]) => name)
  expect(names).toEqual(['', '', '', 'x', 'x', '', '', '', 'x', 'x'])
})
