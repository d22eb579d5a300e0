import { describe, expect, test } from 'vitest'
import { failing } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import { app, scheduleWorld } from './world.ts'

const v1 = makeImage('clock v1')
const v2 = makeImage('clock v2')
const minuteMs = 60_000
const intervalMs = 15 * minuteMs
const yearMs = 365 * 24 * 60 * minuteMs

async function world() {
  const w = await scheduleWorld()
  w.registry.put('lib/app', v1, { tag: 'stable' })
  w.registry.put('lib/app', v2)
  await w.follow('prod', `${w.registry.host}/lib/app:stable`)
  await w.pass(minuteMs)
  w.registry.requests.length = 0
  return {
    ...w,
    polls: () => w.registry.matching(/^HEAD .*\/manifests\//).length,
    get schedule() {
      return w.schedule
    },
  }
}

describe('a clock that is put back', () => {
  test('while Weir runs stops no check, and brings none forward', async () => {
    const w = await world()
    w.clock.advance(-yearMs)
    // Until it looks at the clock again.
    await w.pass(minuteMs)
    w.registry.requests.length = 0
    await w.pass(4 * intervalMs)
    expect(w.polls()).toBe(4)
    w.registry.tag('lib/app', 'stable', v2.manifest.digest)
    await w.pass(intervalMs)
    expect(await w.head()).toBe(v2.manifest.digest)
    const [check] = w.schedule.checks(app)
    expect((check?.nextAt ?? 0) - w.clock.now()).toBeLessThanOrEqual(intervalMs)
  })

  test('while Weir runs leaves a registry alone for as long as it asked for, and not for ever', async () => {
    const w = await world()
    const heal = w.registry.intercept(failing(/manifests/, 429, { headers: { 'retry-after': '3600' } }))
    await w.pass(intervalMs)
    heal()
    w.registry.requests.length = 0
    w.clock.advance(-yearMs)
    await w.pass(30 * minuteMs)
    expect(w.registry.requests).toEqual([])
    await w.pass(150 * minuteMs)
    expect(w.polls()).toBeGreaterThan(0)
    expect(w.schedule.checks(app)).toMatchObject([{ last: { result: 'Unchanged', failures: 0 } }])
  })

  test('while Weir is away does so neither', async () => {
    const w = await world()
    const heal = w.registry.intercept(failing(/manifests/, 404))
    await w.pass(intervalMs)
    heal()
    await w.stop()
    w.clock.advance(-yearMs)
    await w.start()
    await w.pass(2 * intervalMs)
    expect(w.schedule.checks(app)).toMatchObject([{ last: { result: 'Unchanged', failures: 0 } }])
    await w.pass(intervalMs)
    expect((w.schedule.checks(app)[0]?.nextAt ?? 0) - w.clock.now()).toBeLessThanOrEqual(intervalMs)
  })
})
