import { describe, expect, test } from 'vitest'
import { upstreamFailure } from '../../src/upstream/failure.ts'
import type { Upstream } from '../../src/upstream/upstream.ts'
import { makeImage } from '../support/images.ts'
import { app, scheduleWorld } from './world.ts'

type Reason = Parameters<typeof upstreamFailure>[1]

const [v1, v2] = [makeImage('v1'), makeImage('v2')]
const minuteMs = 60_000
const intervalMs = 15 * minuteMs
const theirs = { project: 'other', stream: 'app' }

/** Two projects that log in otherwise follow the same; `fail` lets the questions of one fail. */
async function world(loginsOf = async (project: string) => project) {
  let failing: { project: string; error: Error } | undefined
  const asked: string[] = []
  const tried: string[] = []
  const observe = (upstream: Upstream): Upstream => ({
    ...upstream,
    onBehalf(purpose) {
      const view = upstream.onBehalf(purpose)
      return {
        ...view,
        async resolve(from, ...rest) {
          asked.push(from.project)
          if (failing?.project === from.project) throw failing.error
          return view.resolve(from, ...rest)
        },
        async manifest(from, ...rest) {
          tried.push(from.project)
          if (failing?.project === from.project) throw failing.error
          return view.manifest(from, ...rest)
        },
      }
    },
  })
  const w = await scheduleWorld({ observe, schedule: { loginsOf } })
  await w.objects.create('namespaces', '', { metadata: { name: 'other' } })
  w.registry.put('lib/app', v1, { tag: 'stable' })
  w.registry.put('lib/app', v2)
  const { host } = w.registry
  const from = `${host}/lib/app:stable`
  await w.follow('prod', from)
  await w.follow('prod', from, {}, theirs)
  await w.pass(intervalMs)
  // Its own time depends on the port of the registry: tests begin shortly after one.
  await w.pass((w.schedule.checks(app)[0]?.nextAt ?? 0) - w.clock.now() + 1000)
  asked.length = 0
  return {
    ...w,
    host,
    from,
    asked,
    tried,
    fail: (project: string, reason: Reason, more: object = {}) => {
      failing = { project, error: upstreamFailure(host, reason, `${reason} of ${project}`, more) }
    },
    heal: () => {
      failing = undefined
    },
    count: (project: string) => asked.filter((each) => each === project).length,
    last: (name = app) => w.schedule.checks(name)[0]?.last,
  }
}

describe('of projects that log in otherwise and follow the same', () => {
  test.each<[string, Reason, object]>([
    ['is refused', 'Unauthorized', { status: 401 }],
    ['is forbidden', 'Forbidden', { status: 403 }],
    ['is sent away for a day', 'TooManyRequests', { status: 429, retryAfterSeconds: 86_400 }],
    ['has nothing left to spend', 'TooManyRequests', { retryAfterSeconds: 86_400 }],
    ['can not connect', 'Unreachable', {}],
  ])('one that %s keeps no other waiting', async (_, reason, more) => {
    const w = await world()
    w.fail('other', reason, more)
    await w.pass(8 * intervalMs)
    expect(w.count('demo')).toBe(8)
    expect(w.last()).toMatchObject({ result: 'Unchanged', failures: 0 })
    expect(w.last()).not.toHaveProperty('reason')
    w.registry.tag('lib/app', 'stable', v2.manifest.digest)
    await w.pass(intervalMs)
    expect(await w.head()).toBe(v2.manifest.digest)
    expect(await w.head('prod', theirs)).toBe(v1.manifest.digest)
  })

  test('one that fails for good is asked more and more seldom, shows it, and follows again when that is over', async () => {
    const w = await world()
    w.fail('other', 'Unauthorized', { status: 401 })
    await w.pass(24 * 60 * minuteMs)
    expect(w.count('other')).toBeGreaterThan(3)
    expect(w.count('other')).toBeLessThan(10)
    expect(w.last(theirs)).toMatchObject({ result: 'Failed', reason: 'Unauthorized' })
    expect((await w.reader.tag(theirs, 'prod'))?.record.condition?.reason).toBe('Unauthorized')
    w.heal()
    w.registry.tag('lib/app', 'stable', v2.manifest.digest)
    await w.pass(25 * 60 * minuteMs)
    expect(await w.head('prod', theirs)).toBe(v2.manifest.digest)
    expect(w.last(theirs)).not.toHaveProperty('reason')
    expect((await w.reader.tag(theirs, 'prod'))?.record.condition).toBeUndefined()
  })

  test('one that may pass by itself is asked again at the next time', async () => {
    const w = await world()
    w.fail('other', 'Unreachable')
    await w.pass(4 * intervalMs)
    expect(w.count('other')).toBe(4)
    expect(w.last(theirs)).toMatchObject({ result: 'Failed', reason: 'Unreachable' })
    w.heal()
    await w.pass(intervalMs)
    expect(w.last(theirs)).toMatchObject({ result: 'Unchanged' })
    expect(w.last(theirs)).not.toHaveProperty('reason')
  })

  test('all that fail rest as one does', async () => {
    const w = await world()
    w.registry.untag('lib/app', 'stable')
    await w.pass(24 * 60 * minuteMs)
    for (const project of ['demo', 'other']) {
      expect(w.count(project)).toBeGreaterThan(3)
      expect(w.count(project)).toBeLessThan(10)
    }
  })

  test('I9: none is shown what another was told', async () => {
    const w = await world()
    w.fail('other', 'Unauthorized', { status: 401 })
    w.registry.tag('lib/app', 'stable', v2.manifest.digest)
    await w.pass(intervalMs)
    expect(w.last()).toMatchObject({ digest: v2.manifest.digest })
    expect(w.last(theirs)).toMatchObject({ message: expect.stringContaining('Unauthorized of other') })
    expect(JSON.stringify(w.last(theirs))).not.toContain(v2.manifest.digest)
    expect(JSON.stringify(w.last())).not.toContain('Unauthorized')
    await w.stop()
    await w.start()
    expect(JSON.stringify(w.last(theirs))).not.toContain(v2.manifest.digest)
  })

  test('I9: one that begins to follow is shown nothing before it was asked for itself', async () => {
    const w = await world()
    const late = { project: 'late', stream: 'app' }
    await w.objects.create('namespaces', '', { metadata: { name: 'late' } })
    w.fail('late', 'TooManyRequests', { retryAfterSeconds: 86_400 })
    await w.follow('prod', w.from, {}, late)
    await w.pass(minuteMs)
    expect(w.schedule.checks(late)).toMatchObject([{ tag: 'prod', last: undefined }])
  })

  test('a notification for one is answered with its login alone, and puts off nobody', async () => {
    const w = await world()
    w.registry.tag('lib/app', 'stable', v2.manifest.digest)
    const change = { host: w.host, repository: 'lib/app', tag: 'stable' }
    for (let i = 0; i < 20; i++) {
      w.schedule.checkNow('other', [change])
      await w.pass(10_000)
    }
    expect(w.count('other')).toBeGreaterThan(10)
    expect(w.count('demo')).toBe(0)
    expect(await w.head('prod', theirs)).toBe(v2.manifest.digest)
    expect(await w.head()).toBe(v1.manifest.digest)
    await w.pass(intervalMs - 20 * 10_000)
    expect(w.count('demo')).toBe(1)
    expect(await w.head()).toBe(v2.manifest.digest)
  })

  test('a notification for one makes no candidate of another wait for longer than it has to', async () => {
    const w = await world()
    await w.follow('prod', w.from, { annotations: { 'weir.dev/min-age': '20m' } })
    w.registry.tag('lib/app', 'stable', v2.manifest.digest)
    await w.pass(intervalMs)
    // Seen within the interval, and old enough before the second one is over.
    const seenAt = Date.parse((await w.reader.tag(app, 'prod'))?.record.candidate?.seenAt ?? '')
    await w.pass(intervalMs - (w.clock.now() - seenAt) + minuteMs)
    w.schedule.checkNow('other', [{ host: w.host, repository: 'lib/app', tag: 'stable' }])
    await w.pass(minuteMs)
    expect(await w.head()).toBe(v1.manifest.digest)
    await w.pass(seenAt + 20 * minuteMs + 1000 - w.clock.now())
    expect(await w.head()).toBe(v2.manifest.digest)
  })

  test('notifications of both ask for both, and one that fails then keeps its own time for the others', async () => {
    const w = await world()
    const change = { host: w.host, repository: 'lib/app', tag: 'stable' }
    w.fail('other', 'Unauthorized', { status: 401 })
    for (const project of ['demo', 'other']) w.schedule.checkNow(project, [change])
    await w.pass(1)
    expect(w.asked.toSorted()).toEqual(['demo', 'other'])
    await w.pass(10_000)
    w.schedule.checkNow('other', [change])
    await w.pass(10_000)
    expect(w.asked.toSorted()).toEqual(['demo', 'other'])
    await w.pass(2 * intervalMs)
    expect(w.count('demo')).toBe(3)
  })

  test('one that begins to follow lets all be asked that a notification would not have', async () => {
    const w = await world()
    w.schedule.checkNow('other', [{ host: w.host, repository: 'lib/app', tag: 'stable' }])
    await w.follow('new', w.from)
    await w.pass(1)
    expect(w.count('demo')).toBeGreaterThan(0)
    expect(w.schedule.checks(app).find(({ tag }) => tag === 'new')?.last).toBeDefined()
  })
})

describe('of projects that log in alike', () => {
  const alike = async () => ''

  test('one that can not follow keeps no other waiting, is tried more and more seldom, and shows it', async () => {
    const w = await world(alike)
    w.registry.tag('lib/app', 'stable', v2.manifest.digest)
    // Of those that log in alike the first asks for all: it is the image that can not be had.
    w.fail('other', 'Invalid')
    await w.pass(intervalMs)
    expect(await w.head()).toBe(v2.manifest.digest)
    expect(w.last()).toMatchObject({ result: 'Moved' })
    expect(w.last(theirs)).toMatchObject({ result: 'Failed', reason: 'Invalid' })
    w.asked.length = 0
    w.tried.length = 0
    await w.pass(8 * intervalMs)
    expect(w.asked).toHaveLength(8)
    expect(w.tried.length).toBeGreaterThan(0)
    expect(w.tried.length).toBeLessThan(5)
    expect(w.last()).toMatchObject({ result: 'Unchanged' })
    w.heal()
    await w.pass(25 * 60 * minuteMs)
    expect(await w.head('prod', theirs)).toBe(v2.manifest.digest)
    expect(w.last(theirs)).not.toHaveProperty('reason')
  })
})

describe('a tag whose owner changes again and again how it is checked', () => {
  const seconds = 20
  const toggle = async (w: Awaited<ReturnType<typeof world>>) => {
    for (let i = 0; i < 10 * seconds; i += 1) {
      await w.writer.changeTag(app, 'prod', ({ tag }) => {
        const { generation: _generation, ...spec } = tag?.record.spec ?? ({} as never)
        return { spec: { ...spec, annotations: { 'weir.dev/import-interval': i % 2 === 0 ? '20m' : '30m' } } }
      })
      await w.pass(100)
    }
  }

  test('has its source asked every few seconds at the most', async () => {
    const w = await world()
    await toggle(w)
    expect(w.count('demo')).toBeGreaterThan(0)
    expect(w.count('demo')).toBeLessThanOrEqual(seconds / 5 + 1)
  })

  test('spends nothing of what the logins of others are allowed', async () => {
    const w = await world()
    await toggle(w)
    expect(w.count('other')).toBe(0)
  })
})
