import { describe, expect, test } from 'vitest'
import type { AuditQuery } from '../../../src/audit/event.ts'
import type { Audit } from '../../../src/audit.ts'
import { auditEvent } from '../../audit/event.ts'
import { auditWorld } from '../../audit/world.ts'
import { type ApiWorld, apiWorld, inDemo, names, rbacApi, refusal, weirApi } from '../world.ts'

const events = `${weirApi}/auditevents`
const object = { group: '', resource: 'configmaps', project: 'demo', name: 'a' }

async function world(audit: Pick<Audit, 'write' | 'list'>): Promise<ApiWorld> {
  return apiWorld(() => ({ audit }))
}

async function filled(): Promise<ApiWorld> {
  const { audit, write } = await auditWorld()
  write('r1')
  write('r2', { subject: { name: 'ana', groups: [] }, verb: 'create', object, decision: 'denied', reason: 'FORBIDDEN' })
  write('r3', { object: { ...object, project: 'other' } })
  write('r4', { object: { ...object, name: 'app@sha256:0' } })
  return world({ list: audit.list, write: () => undefined })
}

describe('audit events', () => {
  test('are the lines of the audit log, newest first', async () => {
    const { asAdmin } = await filled()
    const { body } = await asAdmin('GET', events)
    expect(body).toMatchObject({ kind: 'AuditEventList', apiVersion: 'weir.dev/v1' })
    expect((body.items as unknown[]).at(-1)).toEqual({
      ...auditEvent({ requestId: 'r1' }),
      time: '2026-01-01T00:00:00.000Z',
      metadata: { name: 'r1', creationTimestamp: '2026-01-01T00:00:00.000Z' },
    })
  })

  test.each([
    ['subject=ana', ['r2']],
    ['project=other', ['r3']],
    ['name=app', ['r4', 'r1']],
    ['resource=configmaps,project=demo', ['r4', 'r2']],
    ['verb=create', ['r2']],
    ['decision=denied', ['r2']],
    ['since=2026-01-01T00:00:02Z', ['r4', 'r3']],
    ['since=2026-01-01T00:00:01Z,until=2026-01-01T01:00:02%2B01:00', ['r3', 'r2']],
    ['metadata.name=r3', ['r3']],
    ['subject=', []],
  ])('are selected by %s', async (selector, expected) => {
    const { asAdmin } = await filled()
    expect(names(await asAdmin('GET', `${events}?fieldSelector=${selector}`))).toEqual(expected)
  })

  test.each([
    'decision=maybe',
    'since=yesterday',
    'since=2026-01-01',
    'verb!=create',
    'client=x',
    'since=2026-99-01T00:00:00Z',
  ])('are refused by %s', async (selector) => {
    const { asAdmin } = await filled()
    expect(await asAdmin('GET', `${events}?fieldSelector=${selector}`)).toMatchObject(refusal(400, 'BadRequest'))
  })

  test('are answered in pages, also where no limit is asked for', async () => {
    const asked: AuditQuery[] = []
    const list: Audit['list'] = async (query) => {
      asked.push(query)
      return { lines: [{ ...auditEvent(), time: '2026-01-01T00:00:00.000Z' }], continue: 'next' }
    }
    const { asAdmin } = await world({ list, write: () => undefined })
    const first = await asAdmin('GET', `${events}?fieldSelector=verb%3Dpull`)
    const { continue: token } = first.body.metadata as { continue: string }
    await asAdmin('GET', `${events}?fieldSelector=verb%3Dpull&limit=7&continue=${token}`)
    expect(asked).toEqual([
      { verb: 'pull', limit: 500 },
      { verb: 'pull', limit: 7, continue: 'next' },
    ])
  })

  test('are a table with time, subject, verb, object, decision, binding, address and status', async () => {
    const { send, adminToken: token } = await filled()
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io'
    const { body } = await send('GET', `${events}?fieldSelector=name%3Dapp:prod`, { token, headers: { accept } })
    expect((body.rows as { cells: unknown[] }[]).map(({ cells }) => cells)).toEqual([
      [
        '2026-01-01T00:00:00.000Z',
        'system:serviceaccount:demo:ci',
        'pull',
        'imagestreams/layers demo/app:prod',
        'allowed',
        'RoleBinding demo/pullers',
        '192.0.2.7',
        200,
        '',
        'docker/29.0.0',
      ],
    ])
  })

  test('tell how many refusals a line stands for', async () => {
    const line = { ...auditEvent({ object: { group: '', resource: '', project: '', name: '' } }), count: 141_000 }
    const list: Audit['list'] = async () => ({ lines: [{ ...line, time: '2026-01-01T00:00:00.000Z' }] })
    const { asAdmin, send, adminToken: token } = await world({ list, write: () => undefined })
    expect((await asAdmin('GET', events)).body.items).toMatchObject([{ count: 141_000 }])
    const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
    const [row] = (await send('GET', events, { token, headers })).body.rows as { cells: unknown[] }[]
    expect(row?.cells[3]).toBe('141000 more')
  })

  test('are only listed', async () => {
    const { asAdmin } = await filled()
    expect((await asAdmin('GET', `${events}/r1`)).status).toBe(405)
    expect((await asAdmin('POST', events, {})).status).toBe(405)
    expect((await asAdmin('DELETE', events)).status).toBe(405)
    expect((await asAdmin('GET', `${events}?watch=true`)).status).toBe(405)
  })

  test('are for who may list them; nobody else is told of any', async () => {
    const { send, robot } = await filled()
    const boss = await robot('boss', 'admin')
    const forbidden = refusal(403, 'Forbidden')
    expect(await send('GET', events)).toMatchObject(forbidden)
    for (const query of ['', '?fieldSelector=project%3Ddemo', '?fieldSelector=project%3D'])
      expect(await send('GET', `${events}${query}`, { token: boss })).toMatchObject(forbidden)
  })

  test('of a project are also for who has the right there', async () => {
    const { send, asAdmin, robot } = await filled()
    const token = await robot('auditor')
    const rules = [{ verbs: ['list'], apiGroups: ['weir.dev'], resources: ['auditevents'] }]
    await asAdmin('POST', `${rbacApi}/${inDemo}/roles`, { metadata: { name: 'auditor' }, rules })
    await asAdmin('POST', `${rbacApi}/${inDemo}/rolebindings`, {
      metadata: { name: 'auditor' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'auditor' },
      subjects: [{ kind: 'ServiceAccount', name: 'auditor', namespace: 'demo' }],
    })
    expect(names(await send('GET', `${events}?fieldSelector=project%3Ddemo`, { token }))).toEqual(['r4', 'r2', 'r1'])
    expect(await send('GET', `${events}?fieldSelector=project%3Dother`, { token })).toMatchObject({ status: 403 })
    expect(await send('GET', events, { token })).toMatchObject({ status: 403 })
  })

  test.each(['stdout', 'none'] as const)('that go to %s are refused with where they are', async (output) => {
    const { audit } = await auditWorld({ output })
    const { asAdmin } = await world({ list: audit.list, write: () => undefined })
    expect(await asAdmin('GET', events)).toMatchObject(
      refusal(405, 'MethodNotAllowed', expect.stringContaining(`audit.output is ${output}`)),
    )
  })
})
