import { setImmediate as tick } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { createFollowing, type Outcome } from '../../src/following.ts'
import type { Operation } from '../../src/store/store.ts'
import type { TagName } from '../../src/streams/followed-across.ts'
import { acrossKey } from '../../src/streams/keys.ts'
import { makeImage } from '../support/images.ts'
import { from, parse } from '../tagging/world.ts'
import { follow, followingWorld } from './world.ts'

const source: TagName = { project: 'demo', stream: 'app', tag: 'dev' }
const count = 10_000

test('ten thousand tags that follow one are bounded in how many go at once, and everything else goes on', async () => {
  const { store, clock } = await followingWorld({ runs: false })
  const followers = Array.from({ length: count }, (_, i) => ({
    project: i % 10 === 0 ? 'small' : 'large',
    stream: 'app',
    tag: `t${i}`,
  }))
  for (let start = 0; start < count; start += 100) {
    const some = followers.slice(start, start + 100)
    const operations = some.map(
      (each): Operation => ({ type: 'put', key: acrossKey(source, each), value: '{"uid":"u"}' }),
    )
    await store.commit({ operations })
  }
  const underWay = new Map<string, number>()
  const most = { all: 0, project: 0 }
  const done = new Map<string, number>()
  const stopping = new AbortController()
  const { run, counters } = createFollowing({
    store,
    async follow({ project }, tag): Promise<Outcome> {
      const ofProject = (underWay.get(project) ?? 0) + 1
      underWay.set(project, ofProject)
      most.all = Math.max(
        most.all,
        underWay.values().reduce((sum, each) => sum + each, 0),
      )
      most.project = Math.max(most.project, ofProject)
      await tick()
      underWay.set(project, (underWay.get(project) ?? 0) - 1)
      done.set(tag, (done.get(tag) ?? 0) + 1)
      return { kind: 'unchanged' }
    },
    mayFollow: () => true,
    rightsVersion: () => 1,
    now: clock.now,
    log: { warn() {}, error() {} } as never,
  })
  const ended = run(stopping.signal)
  let turns = 0
  const others = (async () => {
    while (!stopping.signal.aborted) {
      turns += 1
      await tick()
    }
  })()
  await vi.waitFor(() => expect(done.size).toBe(count), { timeout: 30_000 })
  const moved = (image: string) => JSON.stringify({ uid: 'u', items: [{ image, dockerImageReference: 'r' }] })
  const put = (value: string) => store.commit({ operations: [{ type: 'put', key: 'tag/demo/app/dev', value }] })
  for (const image of ['a', 'b', 'c']) await put(moved(image))
  await vi.waitFor(() => expect(Math.min(...done.values())).toBeGreaterThan(1), { timeout: 30_000 })
  await vi.waitFor(() => expect(Math.max(...underWay.values())).toBe(0))
  // Moves that come while a tag waits for its turn are one.
  expect(Math.max(...done.values())).toBeLessThanOrEqual(4)
  expect([most, counters.tags >= 0]).toEqual([{ all: 8, project: 4 }, true])
  expect(turns).toBeGreaterThan((2 * count) / 8 / 2)
  // What does not concern where the source stands wakes nobody.
  const before = done.values().reduce((sum, each) => sum + each, 0)
  await put(JSON.stringify({ ...JSON.parse(moved('c')), condition: { reason: 'x' } }))
  for (let i = 0; i < 50; i += 1) await tick()
  expect(done.values().reduce((sum, each) => sum + each, 0)).toBe(before)
  stopping.abort()
  await Promise.all([ended, others])
}, 90_000)

test('a tag that follows again while its record was about to be dropped keeps it', async () => {
  const key = acrossKey(source, { project: 'prod', stream: 'app', tag: 'prod' })
  let asked = 0
  const world = await followingWorld({
    runs: false,
    following: ({ store }) => ({
      async follow() {
        asked += 1
        // Between the two looks it ended, and began anew.
        if (asked === 2) await store.commit({ operations: [{ type: 'put', key, value: '{"uid":"u"}' }] })
        return { kind: asked <= 2 ? 'gone' : 'unchanged' }
      },
    }),
  })
  await world.store.commit({ operations: [{ type: 'put', key, value: '{"uid":"u"}' }] })
  await world.start()
  await world.idle()
  await vi.waitFor(() => expect(asked).toBe(3))
  expect(await world.keys('index/across/')).toEqual([key])
})

test('what waits for its content goes on saying so, whatever becomes of the source', async () => {
  const world = await followingWorld()
  await world.importTo('demo/app:dev', makeImage('v1'))
  await world.set('prod/app:prod', {
    ...from('demo/app:dev'),
    annotations: { ...follow, 'weir.dev/move': 'when-held' },
  })
  await world.importTo('demo/app:dev', makeImage('v2'))
  await world.idle()
  const condition = { reason: 'ContentIncomplete', message: 'not all is held' }
  await world.writer.changeTag(parse('prod/app'), 'prod', () => ({ condition }))
  await world.writer.delete(parse('demo/app'))
  await world.idle()
  await world.pass(20 * 60_000)
  expect(await world.condition('prod/app:prod')).toMatchObject(condition)
  expect(world.running.counters.failing).toBe(1)
})
