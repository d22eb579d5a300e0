import { expect, test } from 'vitest'
import { failure, startFakeApi } from './fake-api.ts'
import { run } from './run.ts'

const path = '/apis/weir.dev/v1/upstreams'

const hub = {
  metadata: { name: 'docker.io~secrets~demo~hub' },
  host: 'docker.io',
  login: 'secrets/demo/hub',
  reachable: true,
  lastAnswer: '2026-01-31T00:00:00Z',
  quota: { limit: 100, remaining: 30, reserved: 30, window: '6h', at: '2026-01-31T00:00:00Z' },
  requests: 90,
  spent: [
    { namespace: 'demo', stream: 'app', requests: 50 },
    { namespace: 'demo', stream: 'web\u001b[2J', requests: 20 },
  ],
  nextFree: '2999-01-01T06:00:00Z',
  waiting: 2,
}
const bad = {
  metadata: { name: 'bad.example' },
  host: 'bad.example',
  reachable: false,
  closedUntil: '2999-01-01T00:10:00Z',
  closedBy: 'bad.example could not be reached: connect ECONNREFUSED',
  requests: 5,
  spent: [],
  nextFree: '2999-01-01T00:10:00Z',
  waiting: 0,
}
const free = {
  metadata: { name: 'quay.io' },
  host: 'quay.io',
  reachable: true,
  requests: 1,
  nextFree: '2020-01-01T00:00:00Z',
}
const refused = {
  metadata: { name: 'ghcr.io~secrets~demo~ghcr' },
  host: 'ghcr.io',
  login: 'secrets/demo/ghcr',
  reachable: true,
  loginRefused: { status: 401, at: '2020-01-01T00:00:00Z' },
  requests: 2,
  nextFree: '2020-01-01T00:00:00Z',
}

async function upstreams(items: object[], ...argv: string[]) {
  const api = await startFakeApi()
  api.answer('GET', path, { body: { kind: 'UpstreamList', apiVersion: 'weir.dev/v1', metadata: {}, items } })
  const result = await run(['upstreams', ...argv, '--server', api.url, '--token', 't'])
  return { ...result, api, rows: result.stdout.split('\n').map((line) => line.split(/ {2,}/)) }
}

test('shows of each registry and login what is left, who spent most, and when and why not now', async () => {
  const { code, stderr, rows } = await upstreams([bad, hub, refused, free])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(rows).toEqual([
    ['HOST', 'LOGIN', 'REACHABLE', 'LEFT', 'REQUESTS', 'MOST FOR', 'NEXT', 'WHY'],
    ['bad.example', '-', 'no', '-', '5', '-', bad.nextFree, bad.closedBy],
    [
      'docker.io',
      'secrets/demo/hub',
      'yes',
      '30/100 in 6h',
      '90',
      'demo/app (50)',
      hub.nextFree,
      'the last 30 are for who waits',
    ],
    [
      'ghcr.io',
      'secrets/demo/ghcr',
      'yes',
      '-',
      '2',
      '-',
      'now',
      expect.stringMatching(/^the login was refused \(401\) \d+ years ago$/),
    ],
    ['quay.io', '-', 'yes', '-', '1', '-', 'now', '-'],
    [''],
  ])
})

test('lists of one host who asked, and lets no name rewrite the terminal', async () => {
  const { api, stdout } = await upstreams([hub], 'docker.io')
  expect(api.requests[0]?.query).toMatchObject({ fieldSelector: 'host=docker.io' })
  expect(stdout).toContain('demo/app')
  expect(stdout).toMatch(/demo\/web\?\[2J +secrets\/demo\/hub +20\n$/)
  expect(stdout).not.toContain('\u001b')
})

test('prints names, a wide table, and the objects of the API', async () => {
  expect((await upstreams([hub, bad], '-o', 'name')).stdout).toBe('docker.io~secrets~demo~hub\nbad.example\n')
  expect((await upstreams([hub], '-o', 'wide')).rows[0]).toContain('LAST ANSWER')
  expect(JSON.parse((await upstreams([hub], '-o', 'json')).stdout)).toMatchObject({
    kind: 'List',
    items: [{ kind: 'Upstream', apiVersion: 'weir.dev/v1', host: 'docker.io' }],
  })
})

test('says so when nobody was asked, and who may not know', async () => {
  expect(await upstreams([])).toMatchObject({ code: 0, stderr: 'no registry was asked since the start\n' })
  expect(await upstreams([], 'quay.io')).toMatchObject({ stderr: 'quay.io was not asked since the start\n' })
  const api = await startFakeApi()
  api.answer('GET', path, failure(403, 'Forbidden', 'upstreams.weir.dev is forbidden'))
  const refused = await run(['upstreams', '--server', api.url, '--token', 't'])
  expect(refused).toMatchObject({ code: 1, stdout: '' })
  expect(refused.stderr).toContain('forbidden')
})
