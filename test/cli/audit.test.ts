import { describe, expect, test } from 'vitest'
import { type FakeApi, failure, startFakeApi } from './fake-api.ts'
import { type CliResult, run } from './run.ts'

const path = '/apis/weir.dev/v1/auditevents'

const pull = {
  metadata: { name: 'r1' },
  time: '2026-01-30T23:59:00.123Z',
  surface: 'registry',
  subject: { name: 'system:serviceaccount:demo:ci', groups: [] },
  client: { address: '192.0.2.7', userAgent: 'docker/26' },
  requestId: 'r1',
  verb: 'pull',
  object: { group: 'image.openshift.io', resource: 'imagestreams/layers', project: 'demo', name: 'app:prod' },
  decision: 'allowed',
  grant: { kind: 'RoleBinding', project: 'demo', name: 'pull.serviceaccount.demo.ci' },
  status: 200,
}

const login = {
  metadata: { name: 'r2' },
  time: '2026-01-30T23:58:00.000Z',
  subject: { name: '' },
  client: { address: '198.51.100.3', userAgent: '\u001b[2Jcurl' },
  requestId: 'r2',
  verb: 'login',
  object: { resource: 'tokens', project: '', name: 'repository:demo/app:pull' },
  decision: 'denied',
  status: 401,
  reason: 'UNAUTHORIZED',
}

async function auditApi(...pages: object[]): Promise<FakeApi> {
  const api = await startFakeApi()
  const waiting = [...pages]
  api.answer('GET', path, () => ({ body: waiting.shift() ?? { kind: 'AuditEventList', items: [pull, login] } }))
  return api
}

async function weir(api: FakeApi, ...argv: string[]): Promise<CliResult> {
  return run(['audit', ...argv, '--server', api.url, '--token', 't'])
}

function rows({ stdout }: CliResult): string[][] {
  return stdout.split('\n').map((line) => line.split(/ {2,}/))
}

test('shows who did what, to what, whether he might and by what', async () => {
  const api = await auditApi()
  const result = await weir(api)
  expect(result).toMatchObject({ code: 0, stderr: '' })
  expect(rows(result)).toEqual([
    ['TIME', 'SUBJECT', 'VERB', 'OBJECT', 'DECISION', 'BY', 'ADDRESS'],
    [
      pull.time,
      'serviceaccount:demo/ci',
      'pull',
      'imagestreams/layers demo/app:prod',
      'allowed',
      'RoleBinding demo/pull.serviceaccount.demo.ci',
      '192.0.2.7',
    ],
    [login.time, '-', 'login', 'tokens repository:demo/app:pull', 'denied', '-', '198.51.100.3'],
    [''],
  ])
  expect(api.requests[0]?.query).toEqual({ limit: '100' })
  expect(rows(await weir(api, '-o', 'wide'))[2]?.slice(7)).toEqual(['401', 'UNAUTHORIZED', '-', '?[2Jcurl', 'r2'])
  expect((await weir(api, '-o', 'name')).stdout).toBe('r1\nr2\n')
  expect(JSON.parse((await weir(api, '-o', 'json')).stdout)).toMatchObject({ kind: 'List', items: [pull, login] })
})

test('shows how many refusals a line stands for', async () => {
  const client = { address: '2001:db8:0:1::/64', userAgent: '' }
  const counted = { ...login, client, object: {}, verb: '*', status: 0, reason: 'Suppressed', count: 141_000 }
  const api = await auditApi({ items: [counted] })
  expect(rows(await weir(api, '-o', 'wide'))[1]).toEqual([
    login.time,
    '-',
    '*',
    '141000 more',
    'denied',
    '-',
    client.address,
    '0',
    'Suppressed',
    '-',
    '-',
    'r2',
  ])
})

test.each([
  [['--since', '1h'], 'since=2026-01-30T23:00:00.000Z'],
  [
    ['--since', '2026-01-30', '--until', '2026-01-30T12:00:00+01:00'],
    'since=2026-01-30T00:00:00.000Z,until=2026-01-30T11:00:00.000Z',
  ],
  [['--subject', 'serviceaccount:ci', '-n', 'demo'], 'subject=system:serviceaccount:demo:ci,project=demo'],
  [['--subject', 'anonymous'], 'subject=system:anonymous'],
  [['--subject', 'user:corp:jane'], 'subject=corp:jane'],
  [['--subject', 'github:repo:acme/app,x=1'], 'subject=github:repo:acme/app\\,x\\=1'],
  [['--stream', 'demo/app', '--verb', 'pull'], 'project=demo,name=app,verb=pull'],
  [['--stream', 'app', '-n', 'demo'], 'project=demo,name=app'],
  [['--denied'], 'decision=denied'],
  [['--allowed'], 'decision=allowed'],
])('%j asks for %s', async (argv, fieldSelector) => {
  const api = await auditApi()
  expect(await weir(api, ...argv)).toMatchObject({ code: 0 })
  expect(api.requests[0]?.query).toEqual({ limit: '100', fieldSelector })
})

describe('pages', () => {
  const page = (items: object[], next?: string) => ({ metadata: next === undefined ? {} : { continue: next }, items })

  test('that are empty and go on are followed', async () => {
    const api = await auditApi(page([], 'a'), page([pull], 'b'), page([login]))
    expect(rows(await weir(api))).toHaveLength(4)
    expect(api.requests.map(({ query }) => [query.continue, query.limit])).toEqual([
      [undefined, '100'],
      ['a', '100'],
      ['b', '99'],
    ])
  })

  test('end at --limit, and how to see older ones is told', async () => {
    const api = await auditApi(page([pull], 'a'))
    const result = await weir(api, '--limit', '1')
    expect(api.requests).toHaveLength(1)
    expect(result.stderr).toBe(`note: there may be older ones: --limit 10, or --until ${pull.time}\n`)
  })
})

test('nothing is told', async () => {
  const api = await auditApi({ items: [] })
  expect(await weir(api, '--denied')).toMatchObject({ code: 0, stderr: 'nothing is logged of that\n' })
})

test('who may not read it is told which right he lacks', async () => {
  const api = await startFakeApi()
  api.answer('GET', path, failure(403, 'Forbidden', 'auditevents.weir.dev is forbidden'))
  const result = await weir(api)
  expect(result).toMatchObject({ code: 1, stdout: '' })
  expect(result.stderr).toContain('missing right: list auditevents')
})

test.each([
  [['--since', 'yesterday']],
  [['--since', '2026-13-01']],
  [['--since', '2026-01-30T12:00:00']],
  [['--until', '-1h']],
  [['--since', '1h', '--until', '2h']],
  [['--since', '1h', '--until', '1h']],
  [['--denied', '--allowed']],
  [['--stream', 'app']],
  [['--stream', 'demo/app:prod']],
  [['--stream', 'demo/app', '-n', 'other']],
  [['--subject', 'group:devs']],
  [['--subject', 'serviceaccount:ci']],
  [['-n', 'A']],
  [['--limit', '0']],
])('%j is misuse', async (argv) => {
  const api = await auditApi()
  expect(await weir(api, ...argv)).toMatchObject({ code: 2, stdout: '' })
  expect(api.requests).toEqual([])
})
