import { describe, expect, test } from 'vitest'
import { failing } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import { app, scheduleWorld } from './world.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2')
const minuteMs = 60_000
const intervalMs = 15 * minuteMs

async function world(options: Parameters<typeof scheduleWorld>[0] = {}) {
  const w = await scheduleWorld(options)
  w.registry.put('lib/app', v1, { tag: 'stable' })
  w.registry.put('lib/app', v2)
  const from = `${w.registry.host}/lib/app:stable`
  const polls = () => w.registry.matching(/^HEAD .*\/manifests\//).length
  return {
    ...w,
    from,
    polls,
    get schedule() {
      return w.schedule
    },
  }
}

describe('a scheduled tag', () => {
  test('is checked at once, then once in each interval by HEAD, and nothing is written while nothing moves', async () => {
    const w = await world()
    await w.follow('prod', w.from)
    await w.pass(minuteMs)
    expect(w.polls()).toBeGreaterThanOrEqual(1)
    w.registry.requests.length = 0
    const before = await w.reader.tag(app, 'prod')
    const { revision } = await w.store.range({ prefix: '', limit: 0 })
    await w.pass(4 * intervalMs)
    expect(w.polls()).toBe(4)
    expect(w.registry.requests).toHaveLength(4)
    expect(await w.reader.tag(app, 'prod')).toEqual(before)
    // Of an hour, the last checks in bulk.
    const after = await w.store.range({ prefix: '', limit: 0 })
    expect(after.revision - revision).toBeLessThanOrEqual(6)
  })

  test('that waits for its first import is not asked for beside that', async () => {
    const w = await world()
    const importNow = await w.want('prod', w.from)
    await w.pass(5 * minuteMs)
    expect(w.registry.requests).toEqual([])
    expect(w.schedule.counters.checks).toEqual({ unchanged: 0, moved: 0, failed: 0, deferred: 0 })
    expect(w.schedule.checks(app)).toMatchObject([{ tag: 'prod', last: undefined }])
    await importNow()
    await w.pass(5 * minuteMs)
    expect(await w.head()).toBe(v1.manifest.digest)
    // One soon after the import, and one more where its own time is within these minutes: that depends on the registry's port.
    expect(w.polls()).toBeGreaterThanOrEqual(1)
    expect(w.polls()).toBeLessThanOrEqual(2)
    expect(w.schedule.checks(app)).toMatchObject([{ tag: 'prod', last: { result: 'Unchanged' } }])
  })

  test('whose source others follow that stand is asked for, however many wait', async () => {
    const w = await world()
    await w.follow('a', w.from)
    await w.pass(minuteMs)
    await w.want('b', w.from)
    w.registry.tag('lib/app', 'stable', v2.manifest.digest)
    await w.pass(intervalMs)
    expect(await w.head('a')).toBe(v2.manifest.digest)
  })

  test('moves within an interval after its upstream did', async () => {
    const w = await world()
    await w.follow('prod', w.from)
    await w.pass(minuteMs)
    w.registry.tag('lib/app', 'stable', v2.manifest.digest)
    await w.pass(intervalMs)
    expect(await w.head()).toBe(v2.manifest.digest)
    expect(w.schedule.checks(app)).toMatchObject([
      { tag: 'prod', from: w.from, last: { result: 'Moved', digest: v2.manifest.digest, failures: 0 } },
    ])
  })

  test('shares one poll with all others that follow the same, whatever their streams and projects', async () => {
    const w = await world()
    await w.objects.create('namespaces', '', { metadata: { name: 'other' } })
    for (const tag of ['a', 'b', 'c']) await w.follow(tag, w.from)
    await w.follow('d', w.from, {}, { project: 'other', stream: 'x' })
    await w.pass(minuteMs)
    w.registry.requests.length = 0
    w.registry.tag('lib/app', 'stable', v2.manifest.digest)
    await w.pass(intervalMs)
    expect(w.registry.matching(/^HEAD .*\/manifests\/stable/)).toHaveLength(1)
    for (const tag of ['a', 'b', 'c']) expect(await w.head(tag)).toBe(v2.manifest.digest)
    expect(await w.head('d', { project: 'other', stream: 'x' })).toBe(v2.manifest.digest)
  })

  test('is told of by project and stream, in the order of their names, and of others nothing', async () => {
    const w = await world()
    await w.objects.create('namespaces', '', { metadata: { name: 'other' } })
    const [wide, narrow] = [
      { project: 'demo', stream: 'app-b' },
      { project: 'other', stream: 'app' },
    ]
    for (const tag of ['t10', 't2', 't1']) await w.follow(tag, w.from)
    for (const name of [wide, narrow]) await w.follow('t1', w.from, {}, name)
    const shown = (of: { project: string; stream?: string }) =>
      w.schedule.checks(of).map(({ stream, tag }) => `${stream}:${tag}`)
    expect(shown({ project: 'demo' })).toEqual(['app:t1', 'app:t10', 'app:t2', 'app-b:t1'])
    expect(shown(app)).toEqual(['app:t1', 'app:t10', 'app:t2'])
    expect(shown({ project: 'other' })).toEqual(['app:t1'])
    expect(shown({ project: 'demo', stream: 'ap' })).toEqual([])
    await w.follow('t2', w.from, { importPolicy: {} })
    await w.follow('t1', `${w.registry.host}/lib/app:other`)
    expect(shown(app)).toEqual(['app:t1', 'app:t10'])
    expect(w.schedule.checks(app).map(({ from }) => from)).toEqual([`${w.registry.host}/lib/app:other`, w.from])
    await w.follow('t1', w.from, { importPolicy: {} }, narrow)
    expect(shown({ project: 'other' })).toEqual([])
    expect(w.schedule.counters).toMatchObject({ tags: 3, sources: 2 })
  })

  test('I9: shares no poll with a project that logs in otherwise', async () => {
    const w = await world({ schedule: { loginsOf: async (project) => project } })
    await w.objects.create('namespaces', '', { metadata: { name: 'other' } })
    await w.follow('a', w.from)
    await w.follow('d', w.from, {}, { project: 'other', stream: 'x' })
    await w.pass(minuteMs)
    w.registry.requests.length = 0
    await w.pass(intervalMs)
    expect(w.polls()).toBe(2)
  })

  test('has the interval that its annotation says', async () => {
    const w = await world()
    await w.follow('prod', w.from, { annotations: { 'weir.dev/import-interval': '1h' } })
    await w.pass(minuteMs)
    w.registry.requests.length = 0
    await w.pass(60 * minuteMs)
    expect(w.polls()).toBe(1)
    expect(w.schedule.checks(app)).toMatchObject([{ intervalMs: 60 * minuteMs }])
  })

  test('has the interval of its registry, and of several that follow the same the shortest', async () => {
    const w = await world({ schedule: { intervalOf: (host) => (host === 'quay.io' ? 5 : 30) * minuteMs } })
    await w.follow('prod', w.from)
    await w.pass(minuteMs)
    w.registry.requests.length = 0
    await w.pass(60 * minuteMs)
    expect(w.polls()).toBe(2)
    await w.follow('dev', w.from, { annotations: { 'weir.dev/import-interval': '10m' } })
    await w.pass(minuteMs)
    w.registry.requests.length = 0
    await w.pass(60 * minuteMs)
    expect(w.polls()).toBe(6)
    expect(w.schedule.checks(app).map(({ intervalMs }) => intervalMs / minuteMs)).toEqual([10, 30])
    await w.follow('dev', w.from, { importPolicy: {} })
    await w.pass(30 * minuteMs)
    w.registry.requests.length = 0
    await w.pass(60 * minuteMs)
    expect(w.polls()).toBe(2)
  })

  test('that is so no more is not asked for, nor is one whose stream is deleted', async () => {
    const w = await world()
    await w.follow('prod', w.from)
    await w.pass(minuteMs)
    await w.follow('prod', w.from, { importPolicy: {} })
    w.registry.requests.length = 0
    await w.pass(2 * intervalMs)
    expect(w.registry.requests).toEqual([])
    expect(w.schedule.checks(app)).toEqual([])
    await w.follow('prod', w.from)
    await w.writer.delete(app)
    await w.pass(2 * intervalMs)
    w.registry.requests.length = 0
    await w.pass(2 * intervalMs)
    expect(w.registry.requests).toEqual([])
    expect(await w.store.get('index/scheduled/demo/app/prod')).toBeUndefined()
  })

  test('is checked at once when somebody says that it changed, and of other projects none', async () => {
    const w = await world()
    await w.follow('prod', w.from)
    await w.pass(minuteMs)
    w.registry.requests.length = 0
    w.registry.tag('lib/app', 'stable', v2.manifest.digest)
    const [host, repository] = [w.registry.host, 'lib/app']
    expect(w.schedule.checkNow('demo', [{ host, repository, tag: 'other' }])).toBe(0)
    expect(w.schedule.checkNow('other', [{ host, repository, tag: 'stable' }])).toBe(0)
    await w.pass(1)
    expect(w.registry.requests).toEqual([])
    expect(w.schedule.checkNow('demo', [{ host, repository, tag: 'stable' }])).toBe(1)
    expect(w.schedule.checkNow('demo', [{ host, repository }])).toBe(1)
    await w.pass(1)
    expect(await w.head()).toBe(v2.manifest.digest)
    expect(w.registry.matching(/^HEAD .*stable/)).toHaveLength(1)
  })
})

describe('a restart', () => {
  test('brings no check forward, and goes on showing what was learned', async () => {
    const w = await world()
    for (let i = 0; i < 30; i++) {
      w.registry.put(`lib/app-${i}`, v1, { tag: 'stable' })
      await w.follow(`t${i}`, `${w.registry.host}/lib/app-${i}:stable`)
    }
    await w.pass(intervalMs)
    const before = w.schedule.checks(app)
    await w.stop()
    w.registry.requests.length = 0
    await w.start()
    await w.pass(1)
    expect(w.polls()).toBeLessThan(3)
    expect(w.schedule.checks(app).map(({ tag, last }) => [tag, last?.digest])).toEqual(
      before.map(({ tag, last }) => [tag, last?.digest]),
    )
    await w.pass(intervalMs)
    expect(w.polls()).toBeLessThanOrEqual(32)
  })

  test('finds what moved while Weir was away', async () => {
    const w = await world()
    await w.follow('prod', w.from)
    await w.pass(minuteMs)
    await w.stop()
    w.registry.tag('lib/app', 'stable', v2.manifest.digest)
    await w.start()
    await w.pass(intervalMs)
    expect(await w.head()).toBe(v2.manifest.digest)
  })

  test('takes a record that can not be read for none', async () => {
    const w = await world()
    await w.follow('prod', w.from)
    await w.stop()
    const operations = ['{', '[{"key":1}]', '[]'].map((value, i) => ({
      type: 'put' as const,
      key: `schedule/00${i}`,
      value,
    }))
    await w.store.commit({ operations })
    await w.start()
    await w.pass(intervalMs)
    expect(w.schedule.checks(app)).toMatchObject([{ last: { result: 'Unchanged' } }])
  })
})

describe('a failure', () => {
  test('that passes is asked again before its interval is over, and is a condition when it stays', async () => {
    const w = await world()
    await w.follow('prod', w.from)
    await w.pass(minuteMs)
    const heal = w.registry.intercept(failing(/manifests/, 503))
    await w.pass(intervalMs + minuteMs)
    const [check] = w.schedule.checks(app)
    expect(check).toMatchObject({ last: { result: 'Failed', reason: 'Unreachable' }, delayedBy: 'Backoff' })
    await w.pass(10 * minuteMs)
    expect((await w.reader.tag(app, 'prod'))?.record.condition?.reason).toBe('Unreachable')
    expect(await w.head()).toBe(v1.manifest.digest)
    heal()
    await w.pass(intervalMs)
    expect((await w.reader.tag(app, 'prod'))?.record.condition).toBeUndefined()
    expect(w.schedule.checks(app)).toMatchObject([{ last: { result: 'Unchanged', failures: 0 } }])
  })

  test('that stays is asked for more and more seldom, and is a condition at once', async () => {
    const w = await world()
    await w.follow('prod', w.from)
    await w.pass(minuteMs)
    w.registry.untag('lib/app', 'stable')
    await w.pass(intervalMs)
    expect((await w.reader.tag(app, 'prod'))?.record.condition?.reason).toBe('NotFound')
    w.registry.requests.length = 0
    await w.pass(24 * 60 * minuteMs)
    const polls = w.registry.matching(/^HEAD .*stable/).length
    expect(polls).toBeGreaterThan(3)
    expect(polls).toBeLessThan(10)
  })

  test('of a registry that may be asked no more asks nobody, and is a condition', async () => {
    let isAllowed = true
    const refusalOf = () => (isAllowed ? undefined : 'importing images from it is forbidden')
    const w = await world({ schedule: { allowed: { refusalOf } } })
    await w.follow('prod', w.from)
    await w.pass(minuteMs)
    isAllowed = false
    w.registry.requests.length = 0
    await w.pass(2 * intervalMs)
    expect(w.registry.requests).toEqual([])
    expect(w.schedule.checks(app)).toMatchObject([{ last: { result: 'Failed', reason: 'NotAllowed' } }])
    expect((await w.reader.tag(app, 'prod'))?.record.condition?.reason).toBe('NotAllowed')
    expect(await w.head()).toBe(v1.manifest.digest)
    isAllowed = true
    await w.pass(24 * 60 * minuteMs)
    expect((await w.reader.tag(app, 'prod'))?.record.condition).toBeUndefined()
  })

  test('by too many requests waits for as long as the registry says, and says so', async () => {
    const w = await world()
    await w.follow('prod', w.from)
    await w.pass(minuteMs)
    w.registry.intercept(failing(/manifests/, 429, { headers: { 'retry-after': '7200' } }))
    await w.pass(intervalMs)
    expect(w.schedule.checks(app)).toMatchObject([
      { last: { reason: 'TooManyRequests' }, delayedBy: 'TooManyRequests' },
    ])
    const condition = (await w.reader.tag(app, 'prod'))?.record.condition
    expect(condition?.reason).toBe('TooManyRequests')
    expect(condition?.message).toMatch(/wait until 2026-01-01T02:/)
    w.registry.requests.length = 0
    await w.pass(110 * minuteMs)
    expect(w.registry.requests).toEqual([])
    await w.pass(60 * minuteMs)
    expect(w.registry.requests.length).toBeGreaterThan(0)
  })
})
