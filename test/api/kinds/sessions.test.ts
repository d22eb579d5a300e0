import { describe, expect, test } from 'vitest'
import { sessionSchema } from '../../../src/api/schemas/sessions.ts'
import { examineFields } from '../../../src/api/unknown-fields.ts'
import { testProvider, tokenRequest } from '../../access/world.ts'
import { apiWorld, imageApi, inDemo, issuer, names, refusal, weirApi } from '../world.ts'

const sessions = `${weirApi}/sessions`
const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'

async function world() {
  const provider = testProvider()
  provider.users.set('bob', 'pw2')
  const api = await apiWorld(undefined, { providers: [provider] })
  const { tokenService } = api
  /** Logs in to the API, with a session. */
  const logIn = async (user: string, clientId = 'weir', service: string | undefined = issuer) => {
    const login = { user, secret: provider.users.get(user) ?? '' }
    const granted = await tokenService.grant(tokenRequest({ login, service, clientId, offline: true }))
    const { session = '' } = granted.subject
    return { token: granted.token.token, refreshToken: granted.refreshToken ?? '', session }
  }
  const refresh = (refreshToken: string, service = issuer) =>
    tokenService.grant(tokenRequest({ login: { refreshToken }, service, offline: true }))
  return { ...api, provider, logIn, refresh }
}

const forbidden = (verb: string, user: string, name?: string) =>
  refusal(
    403,
    'Forbidden',
    `sessions.weir.dev${name === undefined ? '' : ` "${name}"`} is forbidden: User "${user}" cannot ${verb} resource "sessions" in API group "weir.dev" at the cluster scope`,
  )

describe('a subject', () => {
  test('sees its own sessions, and nothing of others', async () => {
    const { send, logIn, clock } = await world()
    const [ann, bob] = [await logIn('ann'), await logIn('bob')]
    const second = await logIn('ann', 'docker')
    const listed = await send('GET', sessions, { token: ann.token })
    expect(names(listed).sort()).toEqual([ann.session, second.session].sort())
    const one = await send('GET', `${sessions}/${ann.session}`, { token: second.token })
    expect(one).toMatchObject({
      status: 200,
      body: {
        kind: 'Session',
        apiVersion: 'weir.dev/v1',
        metadata: { name: ann.session, uid: ann.session, creationTimestamp: '2026-01-01T00:00:00Z' },
        user: { name: 'ann', groups: ['devs', 'system:authenticated'] },
        provider: 'htpasswd',
        clientId: 'weir',
        client: { address: '192.0.2.1', userAgent: 'test' },
        usedAt: '2026-01-01T00:00:00Z',
        endsAt: new Date(clock.now() + 30 * 86_400_000).toISOString().replace('.000', ''),
      },
    })
    expect(await send('GET', `${sessions}/${bob.session}`, { token: ann.token })).toMatchObject(
      forbidden('get', 'ann', bob.session),
    )
  })

  test('is told the same of the session of another and of none', async () => {
    const { send, logIn } = await world()
    const [ann, bob] = [await logIn('ann'), await logIn('bob')]
    const none = bob.session.replace(/^.{8}/, '00000000')
    for (const method of ['GET', 'DELETE']) {
      const [others, missing] = [
        await send(method, `${sessions}/${bob.session}`, { token: ann.token }),
        await send(method, `${sessions}/${none}`, { token: ann.token }),
      ]
      expect(others.status).toBe(403)
      expect(missing.text.replaceAll(none, bob.session)).toBe(others.text)
    }
    for (const name of ['__proto__', '..%2Fmeta%2Fadmin', 'x'.repeat(200)]) {
      expect((await send('GET', `${sessions}/${name}`, { token: ann.token })).status).toBeGreaterThanOrEqual(400)
      expect((await send('GET', `${sessions}/${name}`, { token: ann.token })).status).toBeLessThan(500)
    }
    expect((await send('GET', sessions, { token: bob.token })).body.items).toHaveLength(1)
  })

  test('ends one of its sessions, and with it every token of it, at the next request', async () => {
    const { send, logIn, refresh, tokenService, tokens } = await world()
    const [kept, lost] = [await logIn('ann'), await logIn('ann')]
    const pull = (await refresh(lost.refreshToken, 'weir.test:5000')).token.token
    const token = await tokens.verifyRegistryToken(pull)
    expect((await send('GET', sessions, { token: lost.token })).status).toBe(200)
    expect(await send('DELETE', `${sessions}/${lost.session}`, { token: kept.token })).toMatchObject({
      status: 200,
      body: { kind: 'Status', status: 'Success', details: { name: lost.session, kind: 'sessions', group: 'weir.dev' } },
    })
    expect(await send('GET', sessions, { token: lost.token })).toMatchObject(refusal(401, 'Unauthorized'))
    expect(tokens.peekRegistryToken(pull)).toBeUndefined()
    await expect(tokens.verifyRegistryToken(pull)).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
    expect(tokenService.mayAccess(token, { project: 'demo', stream: 'app', action: 'pull' })).toBeUndefined()
    await expect(refresh(lost.refreshToken)).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
    expect((await send('GET', sessions, { token: kept.token })).status).toBe(200)
    expect((await send('DELETE', `${sessions}/${kept.session}`, { token: kept.token })).status).toBe(200)
    expect((await send('GET', sessions, { token: kept.token })).status).toBe(401)
  })

  test('ends all of its own at once, and nobody else loses his', async () => {
    const { send, logIn } = await world()
    const [first, second, bob] = [await logIn('ann'), await logIn('ann'), await logIn('bob')]
    expect((await send('DELETE', sessions, { token: first.token })).status).toBe(200)
    for (const { token } of [first, second]) expect((await send('GET', sessions, { token })).status).toBe(401)
    expect((await send('GET', sessions, { token: bob.token })).status).toBe(200)
  })

  test('that can have no session is refused', async () => {
    const { send, robot } = await world()
    expect(await send('GET', sessions)).toMatchObject(forbidden('list', 'system:anonymous'))
    const token = await robot('ci', 'admin')
    expect(await send('GET', sessions, { token })).toMatchObject(forbidden('list', 'system:serviceaccount:demo:ci'))
  })

  test('of the same name with another provider is another', async () => {
    const { send, logIn, sessions: parts } = await world()
    const { token } = await logIn('ann')
    const namesake = { name: 'ann', groups: [], provider: 'sso' }
    const client = { address: '', userAgent: '' }
    const begun = await parts.begin(namesake, { clientId: '', client, lifetimeMs: 60_000 })
    const id = begun?.session.id ?? ''
    expect((await send('GET', sessions, { token })).body.items).toHaveLength(1)
    expect(await send('GET', `${sessions}/${id}`, { token })).toMatchObject(forbidden('get', 'ann', id))
    expect(await send('DELETE', `${sessions}/${id}`, { token })).toMatchObject(forbidden('delete', 'ann', id))
    expect(parts.isOpen(id)).toBe(true)
  })
})

describe('who has the right', () => {
  test('sees and ends the sessions of all, and selects by user', async () => {
    const { asAdmin, send, logIn } = await world()
    const [ann, bob] = [await logIn('ann'), await logIn('bob')]
    expect(names(await asAdmin('GET', sessions)).sort()).toEqual([ann.session, bob.session].sort())
    expect(names(await asAdmin('GET', `${sessions}?fieldSelector=user.name=bob`))).toEqual([bob.session])
    expect(names(await asAdmin('GET', `${sessions}?fieldSelector=user.name!=bob`))).toEqual([ann.session])
    expect(names(await asAdmin('GET', `${sessions}?fieldSelector=provider=github`))).toEqual([])
    expect((await asAdmin('GET', `${sessions}?fieldSelector=turn=x`)).status).toBe(400)
    expect((await asAdmin('DELETE', `${sessions}/${ann.session}`)).status).toBe(200)
    expect((await send('GET', sessions, { token: ann.token })).status).toBe(401)
    expect(await asAdmin('DELETE', `${sessions}/${ann.session}`)).toMatchObject(refusal(404, 'NotFound'))
    expect(await asAdmin('GET', `${sessions}/${ann.session}`)).toMatchObject(refusal(404, 'NotFound'))
  })

  test('is checked by preconditions', async () => {
    const { asAdmin, logIn } = await world()
    const { session } = await logIn('ann')
    const remove = (preconditions: object) =>
      asAdmin('DELETE', `${sessions}/${session}`, { kind: 'DeleteOptions', apiVersion: 'v1', preconditions })
    expect(await remove({ uid: 'other' })).toMatchObject(refusal(409, 'Conflict'))
    expect((await remove({ resourceVersion: '1' })).status).toBe(400)
    expect((await asAdmin('DELETE', `${sessions}/${session}?dryRun=All`)).status).toBe(400)
    expect((await asAdmin('GET', `${sessions}/${session}`)).status).toBe(200)
    expect((await remove({ uid: session })).status).toBe(200)
  })

  test('reads them in pages, each once', async () => {
    const { asAdmin, logIn } = await world()
    const all = []
    for (let i = 0; i < 7; i++) all.push((await logIn('ann')).session)
    const seen: string[] = []
    let next: unknown = ''
    while (next !== undefined) {
      const page = await asAdmin('GET', `${sessions}?limit=3${next === '' ? '' : `&continue=${next}`}`)
      seen.push(...names(page))
      next = (page.body.metadata as { continue?: string }).continue
    }
    expect(seen).toEqual(all.sort())
    expect((await asAdmin('GET', `${sessions}?continue=e30`)).status).toBe(400)
  })
})

test('nothing that is shown opens a session, and all of it is in the schema', async () => {
  const { asAdmin, logIn, store } = await world()
  const { session, refreshToken } = await logIn('ann')
  const { kind: _kind, apiVersion: _apiVersion, ...object } = (await asAdmin('GET', `${sessions}/${session}`)).body
  expect(examineFields(sessionSchema, object)).toEqual({ unknown: [], wrong: [] })
  const record = JSON.parse((await store.get(`session/${session}`))?.value ?? '{}')
  const shown = (await asAdmin('GET', sessions)).text + (await asAdmin('GET', `${sessions}/${session}`)).text
  for (const secret of [record.family, record.turn, refreshToken.split('.')[1]]) expect(shown).not.toContain(secret)
})

test('a table has who, from where, when last and until when', async () => {
  const { send, adminToken, logIn, clock } = await world()
  const { session } = await logIn('ann', 'docker')
  clock.advance(90_000)
  const { body } = await send('GET', sessions, { token: adminToken, headers: { accept: table } })
  const { columnDefinitions, rows } = body as unknown as {
    columnDefinitions: { name: string }[]
    rows: { cells: unknown[] }[]
  }
  expect(columnDefinitions.map(({ name }) => name.toUpperCase())).toEqual([
    'NAME',
    'SUBJECT',
    'CLIENT',
    'ADDRESS',
    'LAST-USED',
    'ENDS',
    'PROVIDER',
    'USER-AGENT',
  ])
  expect(rows[0]?.cells).toEqual([session, 'ann', 'docker', '192.0.2.1', '90s', '29d', 'htpasswd', 'test'])
})

test('sessions are not made, changed or watched through the API', async () => {
  const { asAdmin, logIn } = await world()
  const { session } = await logIn('ann')
  const body = { metadata: { name: session } }
  for (const [method, path] of [
    ['POST', sessions],
    ['PUT', `${sessions}/${session}`],
  ] as const) {
    expect(await asAdmin(method, path, body)).toMatchObject(refusal(405, 'MethodNotAllowed'))
  }
  expect((await asAdmin('GET', `${sessions}?watch=1`)).status).toBe(405)
})

test('a login token is taken on the API with the rights of who logged in', async () => {
  const { send, logIn, objects, authorizer, asAdmin } = await world()
  const { token } = await logIn('ann')
  expect((await send('GET', `${imageApi}/${inDemo}/imagestreams`, { token })).status).toBe(403)
  const bound = await objects.create('rolebindings', 'demo', {
    metadata: { name: 'devs' },
    subjects: [{ kind: 'Group', name: 'devs' }],
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
  })
  await authorizer.reached(Number(bound.metadata.resourceVersion))
  expect((await send('GET', `${imageApi}/${inDemo}/imagestreams`, { token })).status).toBe(200)
  const who = await send('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { token, body: {} })
  expect(who.body).toMatchObject({ status: { userInfo: { username: 'ann' } } })
  expect((await asAdmin('DELETE', `/apis/rbac.authorization.k8s.io/v1/${inDemo}/rolebindings/devs`)).status).toBe(200)
  expect((await send('GET', `${imageApi}/${inDemo}/imagestreams`, { token })).status).toBe(403)
})
