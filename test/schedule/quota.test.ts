import { describe, expect, test } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import type { TestClock } from '../support/clock.ts'
import type { FakeUpstream } from '../support/fake-upstream.ts'
import { fakeError } from '../support/fake-upstream-answers.ts'
import { makeImage, makeIndex } from '../support/images.ts'
import { app, scheduleWorld } from './world.ts'

const hourMs = 3_600_000
const windowMs = 6 * hourMs
const limit = 100
const tagCount = 300
const tags = Array.from({ length: tagCount }, (_, i) => `t${i}`)

/** A registry that allows so many requests for manifests in each window, as it says, and answers 429 to more. */
function limitPulls({ registry, clock }: { registry: FakeUpstream; clock: TestClock }, countsHeads: boolean) {
  const counted = {
    byWindow: new Map<number, number>(),
    refused: [] as string[],
    isOn: false,
    paths: new Set<string>(),
  }
  registry.intercept(async (req, _res, next) => {
    if (!counted.isOn || !/\/manifests\//.test(req.url ?? '')) return next()
    const window = Math.floor(clock.now() / windowMs)
    let used = counted.byWindow.get(window) ?? 0
    const counts = req.method === 'GET' || countsHeads
    if (counts && used >= limit) {
      counted.refused.push(`${req.method} ${req.url}`)
      return fakeError(429, 'TOOMANYREQUESTS')
    }
    if (counts) used += 1
    counted.byWindow.set(window, used)
    counted.paths.add(`${req.method} ${req.url}`)
    const answer = await next()
    const headers = { 'ratelimit-limit': `${limit};w=21600`, 'ratelimit-remaining': `${limit - used};w=21600` }
    return { ...answer, headers: { ...answer.headers, ...headers } }
  })
  return counted
}

/** 300 scheduled tags that are there, and an index of which nobody pulled the images yet. */
async function world(countsHeads: boolean, intervalMs: number) {
  const w = await scheduleWorld({
    limits: { concurrency: 8, requestsPerSecond: 1e6 },
    intervalMs,
  })
  for (const tag of tags) {
    w.registry.put('lib/app', makeImage(`${tag}-1`), { tag })
    w.registry.put('lib/app', makeImage(`${tag}-2`))
  }
  for (let i = 0; i < tagCount; i += 30) {
    await Promise.all(tags.slice(i, i + 30).map((tag) => w.follow(tag, `${w.registry.host}/lib/app:${tag}`)))
  }
  const architectures = Array.from({ length: 240 }, (_, i) => `a${i}`)
  const index = makeIndex('pulled', architectures)
  w.registry.put('lib/pulled', index, { tag: 'latest' })
  await w.importImage('pulled', 'latest', `${w.registry.host}/lib/pulled:latest`)
  const children = index.children.map(({ manifest }) => manifest.digest)
  const counted = limitPulls(w, countsHeads)
  counted.isOn = true
  const failed: unknown[] = []
  let pulled = 0

  /** Somebody pulls images that Weir has not got. */
  async function pull(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const digest = children[pulled++]
      if (digest === undefined) throw new Error('all were pulled')
      const served = w.pullThrough.manifest({ project: 'demo', stream: 'pulled' }, digest, { head: false })
      await served.catch((error: unknown) => failed.push(error))
    }
  }

  /** Two days: three images are pulled each hour, and in the last hour of each window ten more at once. */
  async function twoDays(): Promise<void> {
    for (let hour = 0; hour < 48; hour++) {
      await pull(3)
      await w.pass(hourMs)
      if (hour % 6 === 4) await pull(10)
    }
  }

  return { ...w, counted, failed, twoDays, stop: w.stop, schedule: () => w.schedule, pulls: () => pulled }
}

describe('a registry that counts pulls, 100 in six hours', () => {
  test('refuses no pull while 300 tags that all moved follow, and all arrive', async () => {
    const w = await world(false, 6 * hourMs)
    for (const tag of tags) w.registry.tag('lib/app', tag, makeImage(`${tag}-2`).manifest.digest)
    await w.twoDays()
    expect(w.failed).toEqual([])
    expect(w.pulls()).toBe(224)
    expect(w.counted.refused).toEqual([])
    for (const tag of tags) {
      expect([tag, await w.head(tag)]).toEqual([tag, makeImage(`${tag}-2`).manifest.digest as Digest])
      expect((await w.reader.tag(app, tag))?.record.condition).toBeUndefined()
    }
    for (const used of w.counted.byWindow.values()) expect(used).toBeLessThanOrEqual(limit)
  }, 300_000)

  test('and checks too, refuses no pull, and of 300 tags each is checked', async () => {
    const w = await world(true, 15 * 60_000)
    await w.twoDays()
    expect(w.failed).toEqual([])
    expect(w.counted.refused).toEqual([])
    const polled = tags.filter((tag) => w.counted.paths.has(`HEAD /v2/lib/app/manifests/${tag}`))
    expect(polled).toHaveLength(tagCount)
    for (const check of w.schedule().checks(app)) {
      expect(check.last).toMatchObject({ result: 'Unchanged', failures: 0 })
    }
    // What is sent away waits for the budget, and says so.
    expect(
      w
        .schedule()
        .checks(app)
        .some(({ delayedBy }) => delayedBy === 'Budget'),
    ).toBe(true)
    for (const tag of tags) expect((await w.reader.tag(app, tag))?.record.condition).toBeUndefined()
  }, 300_000)
})

test('a tag that is sent away comes back within its interval when the window is over', async () => {
  const [intervalMs, windowMs] = [60_000, 120_000]
  const w = await scheduleWorld({ limits: { concurrency: 8, requestsPerSecond: 1e6 }, intervalMs })
  w.registry.put('lib/app', makeImage('v1'), { tag: 'v1' })
  await w.follow('v1', `${w.registry.host}/lib/app:v1`)
  const check = () => w.schedule.checks(app)[0]
  await w.pass(2 * intervalMs)
  expect(check()?.last).toMatchObject({ result: 'Unchanged' })
  w.registry.intercept(async (req, _res, next) => {
    const answer = await next()
    if (!/\/manifests\//.test(req.url ?? '')) return answer
    const headers = { 'ratelimit-limit': '100;w=120', 'ratelimit-remaining': '10;w=120' }
    return { ...answer, headers: { ...answer.headers, ...headers } }
  })
  for (let passedMs = 0; check()?.delayedBy !== 'Budget' && passedMs < 10 * intervalMs; passedMs += 1000) {
    await w.pass(1000)
  }
  expect(check()?.delayedBy).toBe('Budget')
  const waitMs = (check()?.nextAt ?? 0) - w.clock.now()
  expect(waitMs).toBeGreaterThan(0)
  expect(waitMs).toBeLessThanOrEqual(windowMs + intervalMs)
})
