import { setImmediate as tick } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { failing } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import { app, scheduleWorld } from './world.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2')
const minuteMs = 60_000

/** `prod` follows a tag whose last check is a minute ago. */
async function world() {
  const w = await scheduleWorld({ intervalMs: 24 * 60 * minuteMs })
  w.registry.put('lib/app', v1, { tag: 'stable' })
  w.registry.put('lib/app', v2)
  await w.follow('prod', `${w.registry.host}/lib/app:stable`)
  await w.pass(minuteMs)
  w.registry.requests.length = 0
  const change = { host: w.registry.host, repository: 'lib/app', tag: 'stable' }
  return {
    ...w,
    tell: () => w.schedule.checkNow('demo', [change]),
    polls: () => w.registry.matching(/^HEAD .*\/manifests\/stable/).length,
  }
}

describe('a source that somebody says has changed', () => {
  test('is checked at once, and of many who say so within seconds once more', async () => {
    const w = await world()
    expect(w.tell()).toBe(1)
    await w.pass(1)
    expect(w.polls()).toBe(1)
    w.registry.tag('lib/app', 'stable', v2.manifest.digest)
    for (let i = 0; i < 200; i++) {
      expect(w.tell()).toBe(1)
      await w.pass(10)
    }
    expect(w.polls()).toBe(1)
    await w.pass(3_000)
    expect(w.polls()).toBe(2)
    expect(await w.head()).toBe(v2.manifest.digest)
    await w.pass(minuteMs)
    expect(w.polls()).toBe(2)
  })

  test('is checked every five seconds where that goes on, and never twice at a time', async () => {
    const w = await world()
    let [now, most] = [0, 0]
    w.registry.intercept(async (_req, _res, next) => {
      now += 1
      most = Math.max(most, now)
      // All that can be under way has begun by then.
      for (let i = 0; i < 20; i++) await tick()
      now -= 1
      return next()
    })
    for (let i = 0; i < 120; i++) {
      w.tell()
      await w.pass(500)
    }
    expect(w.polls()).toBeGreaterThanOrEqual(12)
    expect(w.polls()).toBeLessThanOrEqual(13)
    expect(most).toBe(1)
  })

  test('is checked at once again when the clock was put back', async () => {
    const w = await world()
    w.tell()
    await w.pass(1)
    w.clock.advance(-60 * minuteMs)
    w.tell()
    await w.pass(10_000)
    expect(w.polls()).toBe(2)
  })

  test('is left alone for as long as its registry asked for, and a little longer', async () => {
    const w = await world()
    const heal = w.registry.intercept(failing(/manifests/, 429, { headers: { 'retry-after': '600' } }))
    w.tell()
    await w.pass(1)
    heal()
    w.registry.requests.length = 0
    // A twentieth is what chance adds here.
    const restMs = 600_000 * 1.05
    for (let i = 0; i < 10; i++) {
      expect(w.tell()).toBe(1)
      await w.pass((restMs - 2) / 10)
    }
    expect(w.registry.requests).toEqual([])
    await w.pass(2)
    expect(w.polls()).toBe(1)
  })

  test('is meant at every registry where none is named, by its repository and tag alone', async () => {
    const w = await world()
    const count = (repository: string, tag?: string) =>
      w.schedule.checkNow('demo', [{ repository, ...(tag === undefined ? {} : { tag }) }])
    expect([count('lib/app', 'stable'), count('lib/app', 'other'), count('lib/web', 'stable')]).toEqual([1, 0, 0])
    expect(count('lib/app')).toBe(1)
    expect(w.schedule.checkNow('other', [{ repository: 'lib/app', tag: 'stable' }])).toBe(0)
    await w.pass(1)
    expect(w.polls()).toBe(1)
    expect(w.schedule.checks(app)).toMatchObject([{ last: { result: 'Unchanged' } }])
  })
})
