import { describe, expect, test } from 'vitest'
import { upstreamSchema } from '../../../src/api/schemas/upstreams.ts'
import { examineFields } from '../../../src/api/unknown-fields.ts'
import { asking, background, budgetWorld, hubHeaders, interactive, unreachable } from '../../upstream/budget-world.ts'
import { apiWorld, names, refusal, weirApi } from '../world.ts'

const path = `${weirApi}/upstreams`
const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'
const robot = { host: 'docker.io', credential: 'secrets/demo/hub' }

async function world() {
  const { budgets, time } = budgetWorld()
  return { ...(await apiWorld(() => ({ budgets }))), ...asking(budgets), budgets, time }
}

describe('upstreams', () => {
  test('tell of each registry and login what is left, who spent it, and when there is more', async () => {
    const w = await world()
    const stream = { project: 'demo', stream: 'app' }
    await w.ask({ ...background, stream }, { payer: robot, headers: hubHeaders(30) })
    await w.ask(interactive)
    expect(names(await w.asAdmin('GET', path))).toEqual(['docker.io', 'docker.io~secrets~demo~hub'])
    const one = await w.asAdmin('GET', `${path}/docker.io~secrets~demo~hub`)
    expect(one).toMatchObject({
      status: 200,
      body: {
        kind: 'Upstream',
        apiVersion: 'weir.dev/v1',
        metadata: { name: 'docker.io~secrets~demo~hub' },
        host: 'docker.io',
        login: 'secrets/demo/hub',
        reachable: true,
        lastAnswer: '2026-01-01T00:00:00Z',
        quota: { limit: 100, remaining: 30, reserved: 30, window: '6h', at: '2026-01-01T00:00:00Z' },
        limits: { concurrency: 8, requestsPerSecond: 20, reserve: 0.3 },
        requests: 1,
        spent: [{ namespace: 'demo', stream: 'app', requests: 1 }],
        nextFree: '2026-01-01T06:00:00Z',
        waiting: 0,
      },
    })
    expect(examineFields(upstreamSchema, one.body).unknown).toEqual([])
    expect(one.body).not.toHaveProperty('loginRefused')
    expect((await w.asAdmin('GET', `${path}/quay.io`)).status).toBe(404)
  })

  test('tell why and until when one is left alone', async () => {
    const w = await world()
    const bad = { host: 'bad.example:5000', credential: undefined }
    for (let i = 0; i < 5; i++) {
      const slot = await w.open(interactive, bad)
      slot.failed(unreachable(bad.host))
      slot.release()
    }
    expect((await w.asAdmin('GET', `${path}/bad.example:5000`)).body).toMatchObject({
      reachable: false,
      closedUntil: '2026-01-01T00:00:30Z',
      closedBy: 'bad.example:5000 could not be reached: connect ECONNREFUSED',
      nextFree: '2026-01-01T00:00:30Z',
    })
    const columns = [
      ...['Host', 'Login', 'Reachable', 'Quota', 'Requests', 'Next Free', 'Last Answer', 'Waiting'],
      ...['Login Refused', 'Closed By'],
    ].map((name) => ({ name }))
    expect((await w.send('GET', path, { token: w.adminToken, headers: { accept: table } })).body).toMatchObject({
      columnDefinitions: columns,
      rows: [{ cells: ['bad.example:5000', '<none>', 'false', '', 5, '30s', '', 0, '', expect.any(String)] }],
    })
  })

  test('tell of a login that is refused', async () => {
    const w = await world()
    const payer = { host: 'quay.io', credential: 'secrets/demo/quay' }
    await w.ask(interactive, { payer })
    w.budgets.loggedIn(payer, 401)
    const { body } = await w.asAdmin('GET', `${path}/quay.io~secrets~demo~quay`)
    expect(body).toMatchObject({ loginRefused: { status: 401, at: '2026-01-01T00:00:00Z' } })
    expect(examineFields(upstreamSchema, body).unknown).toEqual([])
  })

  test('are selected by host, and come in pages', async () => {
    const w = await world()
    for (let i = 0; i < 5; i++) await w.ask(interactive, { payer: { host: `r${i}.example`, credential: undefined } })
    expect(names(await w.asAdmin('GET', `${path}?fieldSelector=host=r3.example`))).toEqual(['r3.example'])
    const first = await w.asAdmin('GET', `${path}?limit=3`)
    expect(names(first)).toEqual(['r0.example', 'r1.example', 'r2.example'])
    const { continue: next = '' } = first.body.metadata as { continue?: string }
    const rest = await w.asAdmin('GET', `${path}?limit=3&continue=${next}`)
    expect(names(rest)).toEqual(['r3.example', 'r4.example'])
    expect(rest.body.metadata).not.toHaveProperty('continue')
  })

  test('are nothing for who may not read all projects, and change for nobody', async () => {
    const w = await world()
    await w.ask(interactive)
    const token = await w.robot('ci', 'admin')
    expect(await w.send('GET', path, { token })).toMatchObject(refusal(403, 'Forbidden'))
    expect(await w.send('GET', `${path}/docker.io`, { token })).toMatchObject(refusal(403, 'Forbidden'))
    expect((await w.asAdmin('DELETE', `${path}/docker.io`)).status).toBe(405)
    expect((await w.asAdmin('POST', path, { kind: 'Upstream', apiVersion: 'weir.dev/v1' })).status).toBe(405)
  })
})
