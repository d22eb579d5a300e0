import { describe, expect, test } from 'vitest'
import { tagCheckSchema } from '../../../src/api/schemas/tag-checks.ts'
import { examineFields } from '../../../src/api/unknown-fields.ts'
import type { Schedule } from '../../../src/schedule.ts'
import { type DrivenSchedule, driveSchedule } from '../../schedule/world.ts'
import { failing } from '../../support/fake-upstream-faults.ts'
import type { FlowsWorld } from '../../support/flows.ts'
import { makeImage } from '../../support/images.ts'
import { type ApiWorld, apiWorld, imageApi, inDemo, names, refusal, weirApi } from '../world.ts'

const [v1, v2] = [makeImage('v1'), makeImage('v2')]
const path = `${weirApi}/${inDemo}/tagchecks`
const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'
const minuteMs = 60_000
const intervalMs = 15 * minuteMs

/** The API beside a running schedule; `lib/app:stable` of the registry is v1. */
async function world(): Promise<ApiWorld & Pick<DrivenSchedule, 'follow' | 'pass'> & { from: string }> {
  let flows: FlowsWorld | undefined
  let schedule: Schedule | undefined
  const api = await apiWorld((real) => {
    flows = real
    return { schedule: { checks: (of) => schedule?.checks(of) ?? [] } }
  })
  if (flows === undefined) throw new Error('the API has no flows')
  const driven = await driveSchedule(flows, { intervalMs })
  schedule = driven.schedule
  api.registry.put('lib/app', v1, { tag: 'stable' })
  api.registry.put('lib/app', v2)
  return { ...api, follow: driven.follow, pass: driven.pass, from: `${api.registry.host}/lib/app:stable` }
}

const inStream = (stream: string) => ({ project: 'demo', stream })

describe('a check', () => {
  test('tells of a scheduled tag what came of the last and when the next is', async () => {
    const w = await world()
    await w.follow('prod', w.from)
    await w.pass(minuteMs)
    const answered = await w.asAdmin('GET', `${path}/app:prod`)
    expect(answered).toMatchObject({
      status: 200,
      body: {
        kind: 'TagCheck',
        apiVersion: 'weir.dev/v1',
        metadata: { name: 'app:prod', namespace: 'demo' },
        stream: 'app',
        tag: 'prod',
        from: w.from,
        interval: '15m',
        lastCheck: {
          time: expect.stringMatching(/^2026-01-01T00:00:\d\dZ$/),
          result: 'Unchanged',
          image: v1.manifest.digest,
          failures: 0,
        },
      },
    })
    const { nextCheck } = answered.body as { nextCheck: string }
    expect(nextCheck).toMatch(/^2026-01-01T00:\d\d:\d\dZ$/)
    expect(answered.body).not.toHaveProperty('delayedBy')
    expect(answered.body).not.toHaveProperty('candidate')
  })

  test('that failed tells why, and what the next waits for', async () => {
    const w = await world()
    await w.follow('prod', w.from)
    await w.pass(minuteMs)
    w.registry.intercept(failing(/manifests/, 503))
    await w.pass(intervalMs)
    expect((await w.asAdmin('GET', `${path}/app:prod`)).body).toMatchObject({
      lastCheck: { result: 'Failed', reason: 'Unreachable', message: expect.stringContaining('503') },
      delayedBy: 'Backoff',
    })
    const { body } = await w.asAdmin('GET', `${path}/app:prod`)
    expect(examineFields(tagCheckSchema, body)).toEqual({ unknown: [], wrong: [] })
  })

  test('of a tag that wants what it moves to some age tells of the candidate, and when it is over', async () => {
    const w = await world()
    await w.follow('prod', w.from, { annotations: { 'weir.dev/min-age': '72h' } })
    await w.pass(minuteMs)
    w.registry.tag('lib/app', 'stable', v2.manifest.digest)
    await w.pass(intervalMs)
    const { body } = await w.asAdmin('GET', `${path}/app:prod`)
    expect(body).toMatchObject({ lastCheck: { result: 'Candidate' }, candidate: { image: v2.manifest.digest } })
    expect(examineFields(tagCheckSchema, body)).toEqual({ unknown: [], wrong: [] })
    const { seenAt, dueAt } = body.candidate as { seenAt: string; dueAt: string }
    expect(Date.parse(dueAt) - Date.parse(seenAt)).toBe(72 * 3_600_000)
  })

  test('is of a scheduled tag alone, by a name that can only mean one', async () => {
    const w = await world()
    await w.follow('1.2', w.from, {}, inStream('app'))
    await w.follow('2', w.from, {}, inStream('app.1'))
    await w.follow('hand', w.from, { importPolicy: {} })
    expect((await w.asAdmin('GET', `${path}/app:1.2`)).body).toMatchObject({ stream: 'app', tag: '1.2' })
    expect((await w.asAdmin('GET', `${path}/app.1:2`)).body).toMatchObject({ stream: 'app.1', tag: '2' })
    expect((await w.asAdmin('GET', `${path}/app:hand`)).status).toBe(404)
    expect((await w.asAdmin('GET', `${path}/none:1`)).status).toBe(404)
    for (const name of ['app.1.2', 'app:', ':1', 'a:b:c'])
      expect(await w.asAdmin('GET', `${path}/${name}`)).toMatchObject(refusal(400, 'BadRequest'))
  })

  test('can not be written', async () => {
    const w = await world()
    await w.follow('prod', w.from)
    for (const [method, at] of [
      ['POST', path],
      ['PUT', `${path}/app:prod`],
      ['PATCH', `${path}/app:prod`],
      ['DELETE', `${path}/app:prod`],
      ['DELETE', path],
    ] as const)
      expect((await w.asAdmin(method, at, { kind: 'TagCheck', apiVersion: 'weir.dev/v1' })).status).toBe(405)
  })
})

describe('a list', () => {
  async function three() {
    const w = await world()
    await w.objects.create('namespaces', '', { metadata: { name: 'other' } })
    await w.follow('b', w.from)
    await w.follow('a', w.from)
    await w.follow('hand', w.from, { importPolicy: {} })
    await w.follow('c', w.from, {}, inStream('web'))
    await w.follow('d', w.from, {}, { project: 'other', stream: 'app' })
    return w
  }

  test('has the checks of a project, or of all, by name', async () => {
    const w = await three()
    expect(names(await w.asAdmin('GET', path))).toEqual(['app:a', 'app:b', 'web:c'])
    expect(names(await w.asAdmin('GET', `${weirApi}/tagchecks`))).toEqual(['app:a', 'app:b', 'web:c', 'app:d'])
    expect(names(await w.asAdmin('GET', `${weirApi}/namespaces/none/tagchecks`))).toEqual([])
  })

  test.each([
    ['stream=app', ['app:a', 'app:b']],
    ['tag=b', ['app:b']],
    ['stream=app,tag=a', ['app:a']],
    ['stream!=app', ['web:c']],
    ['metadata.name=web:c', ['web:c']],
    ['stream=none', []],
  ])('has what %s selects', async (selector, expected) => {
    const w = await three()
    expect(names(await w.asAdmin('GET', `${path}?fieldSelector=${encodeURIComponent(selector)}`))).toEqual(expected)
  })

  test.each(['', '&fieldSelector=stream%3Dapp'])('comes in pages%s, each once and in order', async (more) => {
    const w = await three()
    const found: string[] = []
    let next = ''
    do {
      const page = await w.asAdmin('GET', `${path}?limit=1${more}${next}`)
      expect(names(page)).toHaveLength(1)
      found.push(...names(page))
      const { continue: token } = page.body.metadata as { continue?: string }
      next = token ? `&continue=${encodeURIComponent(token)}` : ''
    } while (next !== '')
    expect(found).toEqual(more === '' ? ['app:a', 'app:b', 'web:c'] : ['app:a', 'app:b'])
  })

  test('is a table of what follows what, and when it is asked', async () => {
    const w = await three()
    await w.pass(minuteMs)
    const { body } = await w.send('GET', `${path}?limit=1`, { token: w.adminToken, headers: { accept: table } })
    const { columnDefinitions, rows } = body as unknown as {
      columnDefinitions: { name: string; priority: number }[]
      rows: { cells: unknown[] }[]
    }
    const shown = columnDefinitions.filter(({ priority }) => priority === 0).map(({ name }) => name)
    expect(shown).toEqual(['Name', 'From', 'Last Check', 'Result', 'Next Check'])
    expect(rows[0]?.cells.slice(0, 5)).toEqual([
      'app:a',
      w.from,
      expect.stringMatching(/^\d+s$/),
      'Unchanged',
      expect.stringMatching(/^\d+m?[0-9s]*$/),
    ])
  })
})

describe('the right', () => {
  test.each(['view', 'edit', 'admin', 'registry-viewer', 'cluster-admin'])('comes with %s', async (role) => {
    const w = await world()
    await w.follow('prod', w.from)
    const token = await w.robot('someone', role)
    expect((await w.send('GET', `${path}/app:prod`, { token })).status).toBe(200)
    expect((await w.send('GET', path, { token })).status).toBe(200)
    expect(await w.send('GET', `${weirApi}/tagchecks`, { token })).toMatchObject(refusal(403, 'Forbidden'))
  })

  test.each([undefined, 'system:image-puller'])('does not come with %s, also of what is not there', async (role) => {
    const w = await world()
    await w.follow('prod', w.from)
    const token = await w.robot('someone', role)
    for (const at of ['/app:prod', '/app:none', '/none:prod', '', '?fieldSelector=stream%3Dapp%2Ctag%3Dprod'])
      expect(await w.send('GET', path + at, { token })).toMatchObject(refusal(403, 'Forbidden'))
  })

  test('in one project is none to what follows the same in another', async () => {
    const w = await world()
    await w.objects.create('namespaces', '', { metadata: { name: 'other' } })
    await w.follow('prod', w.from, { annotations: { 'weir.dev/import-interval': '1h' } })
    await w.follow('hidden', w.from, {}, { project: 'other', stream: 'secret' })
    const token = await w.robot('someone', 'admin')
    const others = `${weirApi}/namespaces/other/tagchecks`
    for (const at of [others, `${others}/secret:hidden`, `${others}?fieldSelector=stream%3Dsecret`])
      expect(await w.send('GET', at, { token })).toMatchObject(refusal(403, 'Forbidden'))
    const own = await w.send('GET', path, { token })
    expect(names(own)).toEqual(['app:prod'])
    expect((await w.send('GET', `${path}/app:prod`, { token })).body).toMatchObject({ interval: '1h' })
    expect(JSON.stringify(own.body)).not.toMatch(/other|secret|hidden/)
  })

  test('to read one tag is one to read its checks, and no others', async () => {
    const w = await world()
    await w.follow('prod', w.from)
    await w.follow('dev', w.from)
    const rule = { apiGroups: ['image.openshift.io'], resources: ['imagestreamtags'], verbs: ['get'] }
    await w.objects.create('roles', 'demo', {
      metadata: { name: 'one' },
      rules: [{ ...rule, resourceNames: ['app:prod'] }],
    })
    const token = await w.robot('someone')
    const bound = await w.objects.create('rolebindings', 'demo', {
      metadata: { name: 'one' },
      subjects: [{ kind: 'ServiceAccount', name: 'someone', namespace: 'demo' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'one' },
    })
    await w.authorizer.reached(Number(bound.metadata.resourceVersion))
    const selected = (tag: string) => `${path}?fieldSelector=stream%3Dapp%2Ctag%3D${tag}`
    expect((await w.send('GET', `${path}/app:prod`, { token })).status).toBe(200)
    expect(names(await w.send('GET', selected('prod'), { token }))).toEqual(['app:prod'])
    for (const at of [`${path}/app:dev`, selected('dev'), path])
      expect((await w.send('GET', at, { token })).status).toBe(403)
  })
})

describe('what the API shows of a scheduled tag', () => {
  test('is the failure as a condition, of the tag and of its stream, and that it is over', async () => {
    const w = await world()
    await w.follow('prod', w.from)
    await w.pass(minuteMs)
    const heal = w.registry.intercept(failing(/manifests/, 404))
    await w.pass(intervalMs)
    const condition = { type: 'ImportSuccess', status: 'False', reason: 'NotFound', generation: 1 }
    const conditions = expect.arrayContaining([expect.objectContaining(condition)])
    const tag = async () => (await w.asAdmin('GET', `${imageApi}/${inDemo}/imagestreamtags/app:prod`)).body
    const stream = async () => (await w.asAdmin('GET', `${imageApi}/${inDemo}/imagestreams/app`)).body
    expect(await tag()).toMatchObject({ conditions, image: { metadata: { name: v1.manifest.digest } } })
    expect(await stream()).toMatchObject({ status: { tags: [{ tag: 'prod', conditions }] } })
    heal()
    await w.pass(48 * 3_600_000)
    for (const shown of [await tag(), await stream()]) expect(JSON.stringify(shown)).not.toContain('ImportSuccess')
  })

  test.each<[string, number | undefined]>([
    ['nothing', undefined],
    ['the same failure', 404],
  ])('does not change by ten checks that find %s', async (_, code) => {
    const w = await world()
    await w.follow('prod', w.from)
    const heal = code === undefined ? () => undefined : w.registry.intercept(failing(/manifests/, code))
    await w.pass(2 * 86_400_000)
    const list = await w.asAdmin('GET', `${imageApi}/${inDemo}/imagestreams`)
    const { resourceVersion } = list.body.metadata as { resourceVersion: string }
    const watched = async (resource: string) =>
      w.watch(`${imageApi}/${inDemo}/${resource}?watch=true&resourceVersion=${resourceVersion}`, w.adminToken)
    const [tags, streams] = [await watched('imagestreamtags'), await watched('imagestreams')]
    const before = (await w.asAdmin('GET', `${imageApi}/${inDemo}/imagestreams/app`)).body
    w.registry.requests.length = 0
    await w.pass(code === undefined ? 10 * intervalMs : 11 * 86_400_000)
    expect(w.registry.matching(/^HEAD .*manifests/).length).toBeGreaterThanOrEqual(10)
    expect((await w.asAdmin('GET', `${imageApi}/${inDemo}/imagestreams/app`)).body).toEqual(before)
    // The first that is told is what happens now.
    heal()
    await w.follow('later', w.from, { importPolicy: {} })
    expect(await tags()).toMatchObject({ object: { metadata: { name: 'app:later' } } })
    const next = await streams()
    expect(JSON.stringify(next?.object)).toContain('later')
  })
})
