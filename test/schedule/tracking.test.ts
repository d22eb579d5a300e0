import { describe, expect, test } from 'vitest'
import { createObjects } from '../../src/store/objects.ts'
import { answering, failing } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import { app, scheduleWorld } from './world.ts'

const minuteMs = 60_000
const intervalMs = 15 * minuteMs
const versions = ['1.26.0', '1.27.0', '1.27.1', '1.28.0-rc1', '1.27.1-alpine', '2.0.0', 'latest']
const images = new Map([...versions, '1.27.2', '1.27.3', '1.28.0'].map((tag) => [tag, makeImage(`tracked ${tag}`)]))
const lists = /^GET .*\/tags\/list/
const heads = /^HEAD .*\/manifests\//

function imageOf(tag: string) {
  const image = images.get(tag)
  if (image === undefined) throw new TypeError(`no image ${tag}`)
  return image
}

async function world(options: Parameters<typeof scheduleWorld>[0] = {}) {
  const w = await scheduleWorld(options)
  const publish = (tag: string) => w.registry.put('lib/app', imageOf(tag), { tag })
  for (const tag of versions) publish(tag)
  const from = `${w.registry.host}/lib/app`
  return {
    ...w,
    from,
    publish,
    at: (tag: string) => imageOf(tag).manifest.digest,
    track: (tag: string, policy: string, name = app) =>
      w.follow(tag, from, { annotations: { 'weir.dev/track': policy } }, name),
    condition: async (tag = 'prod') => (await w.reader.tag(app, tag))?.record.condition,
    get schedule() {
      return w.schedule
    },
  }
}

describe('a tag with a tracking policy', () => {
  test('gets at first what the policy chooses, and not what its source names', async () => {
    const w = await world()
    await w.track('prod', 'semver:~1.27')
    expect(await w.head()).toBe(w.at('1.27.1'))
    const [entry] = await w.reader.ledger(app, 'prod')
    expect(entry).toMatchObject({ cause: { from: { kind: 'DockerImage', name: `${w.from}:1.27.1` } } })
    expect((await w.reader.tag(app, 'prod'))?.record.spec?.from?.name).toBe(w.from)
  })

  test('moves to what is better as soon as that is there, and to nothing else', async () => {
    const w = await world()
    await w.track('prod', 'semver:~1.27')
    await w.pass(minuteMs)
    for (const tag of ['1.28.0', '1.27.2']) w.publish(tag)
    await w.pass(intervalMs)
    expect(await w.head()).toBe(w.at('1.27.2'))
    expect(w.schedule.checks(app)).toMatchObject([
      { tag: 'prod', from: w.from, last: { result: 'Moved', chosen: '1.27.2', digest: w.at('1.27.2'), failures: 0 } },
    ])
  })

  test('moves back where its best is gone from the repository', async () => {
    const w = await world()
    await w.track('prod', 'semver:~1.27')
    w.registry.untag('lib/app', '1.27.1')
    await w.pass(intervalMs)
    expect(await w.head()).toBe(w.at('1.27.0'))
  })

  test('writes nothing, and costs a list and a HEAD, while nothing is new', async () => {
    const w = await world()
    await w.track('prod', 'semver:~1.27')
    await w.pass(minuteMs)
    const before = await w.reader.tag(app, 'prod')
    w.registry.requests.length = 0
    await w.pass(2 * intervalMs)
    expect(await w.reader.tag(app, 'prod')).toEqual(before)
    expect(w.registry.requests).toHaveLength(4)
    expect(w.registry.matching(lists)).toHaveLength(2)
    expect(w.registry.matching(heads)).toHaveLength(2)
  })

  test('shares the list with all of its repository, and each HEAD with those that chose the same', async () => {
    const w = await world()
    for (const tag of ['a', 'b', 'c']) await w.track(tag, 'semver:~1.27')
    await w.track('d', 'semver:~1.27 -alpine')
    await w.track('e', 'regex:1\\.27\\.(\\d+);numeric')
    await w.track('f', 'newest')
    await w.pass(intervalMs)
    w.registry.requests.length = 0
    await w.pass(intervalMs)
    expect(w.registry.matching(lists)).toHaveLength(1)
    expect(w.registry.matching(heads)).toHaveLength(3)
    expect(await w.head('d')).toBe(w.at('1.27.1-alpine'))
    expect(await w.head('e')).toBe(w.at('1.27.1'))
    expect(await w.head('f')).toBe(w.at('2.0.0'))
  })

  test('I9: shares no list with a project that logs in otherwise', async () => {
    const w = await world({ schedule: { loginsOf: async (project) => project } })
    await w.objects.create('namespaces', '', { metadata: { name: 'other' } })
    await w.track('prod', 'newest')
    await w.track('prod', 'newest', { project: 'other', stream: 'x' })
    await w.pass(minuteMs)
    w.registry.requests.length = 0
    await w.pass(intervalMs)
    expect(w.registry.matching(lists)).toHaveLength(2)
  })

  test('that none fits says so with its policy, keeps its image, and disturbs no other', async () => {
    const w = await world()
    await w.track('prod', 'semver:~1.27')
    await w.track('other', 'newest')
    await w.pass(minuteMs)
    for (const tag of ['1.27.0', '1.27.1']) w.registry.untag('lib/app', tag)
    await w.pass(intervalMs)
    expect(await w.head()).toBe(w.at('1.27.1'))
    expect(await w.condition()).toMatchObject({
      reason: 'NotFound',
      message: expect.stringContaining(`no tag of ${w.from} fits weir.dev/track: semver:~1.27`),
    })
    expect(await w.condition('other')).toBeUndefined()
    const [other, prod] = w.schedule.checks(app)
    expect(other?.last).toMatchObject({ result: 'Unchanged', failures: 0 })
    expect(prod?.last).toMatchObject({ result: 'Failed', reason: 'NotFound' })
    expect(prod?.nextAt).toBeLessThanOrEqual(w.clock.now() + intervalMs)
    const told = await w.reader.tag(app, 'prod')
    await w.pass(intervalMs)
    expect(await w.reader.tag(app, 'prod')).toEqual(told)
    w.publish('1.27.3')
    await w.pass(intervalMs)
    expect(await w.head()).toBe(w.at('1.27.3'))
    expect(await w.condition()).toBeUndefined()
  })

  test('by more policies than a project may have says so, and those of other projects go on', async () => {
    const w = await world()
    const web = { project: 'prod', stream: 'web' }
    await createObjects({ store: w.store, now: w.clock.now }).create('namespaces', '', { metadata: { name: 'prod' } })
    for (let i = 0; i <= 100; i += 1) await w.track(`t${i}`, `semver:>=0.0.${i}`)
    await w.track('prod', 'semver:~1.27', web)
    await w.track('shared', 'semver:>=0.0.100', web)
    await w.pass(minuteMs)
    w.publish('1.27.2')
    await w.pass(intervalMs)
    expect(await w.head('prod', web)).toBe(w.at('1.27.2'))
    expect(await w.head('t99')).toBe(w.at('2.0.0'))
    const failed = () => w.schedule.checks(app).filter(({ last }) => last?.result === 'Failed')
    expect(failed()).toEqual([])
    // What another project wants too is looked for anyway.
    await w.writer.changeTag(web, 'shared', () => ({ spec: null }))
    await w.pass(intervalMs)
    expect(failed()).toMatchObject([
      { last: { reason: 'Invalid', message: expect.stringContaining('more than 100 ways') } },
    ])
    const [{ tag } = { tag: '' }] = failed()
    expect(await w.condition(tag)).toMatchObject({ reason: 'Invalid' })
    expect(await w.head(tag)).toBe(w.at('2.0.0'))
  })

  test('that none fits from the start has a condition, and no image until one does', async () => {
    const w = await world()
    await w.track('prod', 'semver:~3')
    expect(await w.head()).toBeUndefined()
    expect(await w.condition()).toMatchObject({ reason: 'NotFound', message: expect.stringContaining('semver:~3') })
  })

  test('whose choice is listed and not there has a condition, and disturbs no other', async () => {
    const w = await world()
    await w.track('prod', 'semver:~1.27')
    await w.track('other', 'newest')
    await w.pass(minuteMs)
    w.publish('1.27.2')
    w.registry.remove(w.at('1.27.2'))
    await w.pass(intervalMs)
    expect(await w.head()).toBe(w.at('1.27.1'))
    expect(await w.condition()).toMatchObject({ reason: 'NotFound' })
    expect(await w.condition('other')).toBeUndefined()
  })

  test('whose repository is not listed stands where it stood, and says so when that lasts', async () => {
    const w = await world()
    await w.track('prod', 'semver:~1.27')
    await w.pass(minuteMs)
    w.registry.intercept(failing(lists, 503))
    await w.pass(8 * intervalMs)
    expect(await w.head()).toBe(w.at('1.27.1'))
    expect(await w.condition()).toMatchObject({ reason: 'Unreachable' })
  })

  test('whose repository lists what is no list stands where it stood', async () => {
    const w = await world()
    await w.track('prod', 'semver:~1.27')
    await w.pass(minuteMs)
    w.registry.intercept(answering(lists, { status: 200, headers: {}, body: Buffer.from('<html>') }))
    await w.pass(intervalMs)
    expect(await w.head()).toBe(w.at('1.27.1'))
    expect(await w.condition()).toMatchObject({ reason: 'Invalid' })
  })

  test('follows another policy at once when it gets one, and its source again without', async () => {
    const w = await world()
    await w.track('prod', 'semver:~1.27')
    await w.pass(minuteMs)
    await w.track('prod', 'semver:~1.26')
    await w.pass(1)
    expect(await w.head()).toBe(w.at('1.26.0'))
    await w.follow('prod', w.from)
    await w.pass(1)
    expect(await w.head()).toBe(w.at('latest'))
    expect(w.schedule.checks(app)).toMatchObject([{ from: `${w.from}:latest` }])
  })

  test('with a policy that can not be read, as it was there before, says so and stays', async () => {
    const w = await world()
    await w.track('prod', 'semver:~1.27')
    await w.pass(minuteMs)
    await w.track('prod', 'semver:?')
    await w.pass(1)
    expect(await w.head()).toBe(w.at('1.27.1'))
    expect(await w.condition()).toMatchObject({ reason: 'Invalid', message: expect.stringContaining('semver:?') })
    expect(w.schedule.checks(app)).toMatchObject([{ last: { result: 'Failed', reason: 'Invalid' } }])
  })

  test('goes on after a restart, and writes nothing for that, nor the same failure again', async () => {
    const w = await world()
    await w.track('prod', 'semver:~1.27')
    await w.track('none', 'semver:~3')
    await w.pass(intervalMs)
    const before = [await w.reader.tag(app, 'prod'), await w.reader.tag(app, 'none')]
    await w.stop()
    await w.start()
    // Before anybody was asked again.
    expect(w.schedule.checks(app).find(({ tag }) => tag === 'prod')?.last).toMatchObject({
      chosen: '1.27.1',
      digest: w.at('1.27.1'),
    })
    await w.pass(2 * intervalMs)
    expect([await w.reader.tag(app, 'prod'), await w.reader.tag(app, 'none')]).toEqual(before)
    expect(w.schedule.checks(app)).toMatchObject([
      { tag: 'none', last: { result: 'Failed', reason: 'NotFound' } },
      { tag: 'prod', last: { result: 'Unchanged', chosen: '1.27.1', digest: w.at('1.27.1') } },
    ])
    w.publish('1.27.2')
    await w.pass(intervalMs)
    expect(await w.head()).toBe(w.at('1.27.2'))
  })

  test('by digest does not count: that never changes', async () => {
    const w = await world()
    await w.follow('prod', `${w.from}@${w.at('1.26.0')}`, { annotations: { 'weir.dev/track': 'newest' } })
    await w.pass(intervalMs)
    expect(await w.head()).toBe(w.at('1.26.0'))
    expect(w.registry.matching(lists)).toHaveLength(0)
  })

  test('that is held is told what it would follow, and follows it when it is not held any more', async () => {
    const w = await world()
    await w.track('prod', 'semver:~1.27')
    await w.pass(minuteMs)
    w.publish('1.27.2')
    await w.pass(intervalMs)
    await w.tagEvents.rollback(app, 'prod', { by: 'ann' })
    w.publish('1.27.3')
    await w.pass(intervalMs)
    expect(await w.head()).toBe(w.at('1.27.1'))
    expect((await w.reader.tag(app, 'prod'))?.record.candidate).toMatchObject({ image: w.at('1.27.3') })
    expect(w.schedule.checks(app)).toMatchObject([{ last: { result: 'Candidate', chosen: '1.27.3' } }])
    await w.tagEvents.resume(app, 'prod', { by: 'ann' })
    expect(await w.head()).toBe(w.at('1.27.3'))
  })

  test('waits for the age of what it chose', async () => {
    const w = await world()
    await w.follow('prod', w.from, { annotations: { 'weir.dev/track': 'semver:~1.27', 'weir.dev/min-age': '2h' } })
    await w.pass(minuteMs)
    w.publish('1.27.2')
    await w.pass(60 * minuteMs)
    expect(await w.head()).toBe(w.at('1.27.1'))
    expect(w.schedule.checks(app)).toMatchObject([{ last: { result: 'Candidate', chosen: '1.27.2' } }])
    await w.pass(120 * minuteMs)
    expect(await w.head()).toBe(w.at('1.27.2'))
  })

  test('is checked at once when somebody says that a tag of its repository is new', async () => {
    const w = await world()
    await w.track('prod', 'semver:~1.27')
    await w.pass(minuteMs)
    w.publish('1.27.2')
    expect(w.schedule.checkNow('demo', [{ host: w.registry.host, repository: 'lib/app', tag: '1.27.2' }])).toBe(1)
    await w.pass(1)
    expect(await w.head()).toBe(w.at('1.27.2'))
    w.publish('1.27.3')
    await w.pass(minuteMs)
    expect(w.schedule.checkNow('demo', [{ repository: 'lib/app', tag: '1.27.3' }])).toBe(1)
    await w.pass(1)
    expect(await w.head()).toBe(w.at('1.27.3'))
  })
})

describe('an import by hand', () => {
  test('of a tag with a tracking policy imports what the policy chooses', async () => {
    const w = await world()
    await w.track('prod', 'semver:~1.27')
    w.publish('1.27.2')
    const { images: imported } = await w.importImage('app', 'prod', w.from)
    expect(imported).toMatchObject([{ to: 'prod', digest: w.at('1.27.2') }])
    expect((await w.reader.tag(app, 'prod'))?.record.spec).toMatchObject({
      from: { name: w.from },
      annotations: { 'weir.dev/track': 'semver:~1.27' },
    })
  })

  test('fails in words where no tag fits', async () => {
    const w = await world()
    await w.track('prod', 'semver:~1.27')
    for (const tag of ['1.27.0', '1.27.1']) w.registry.untag('lib/app', tag)
    const { images: imported } = await w.importImage('app', 'prod', w.from)
    expect(imported).toMatchObject([{ error: { upstream: { reason: 'NotFound' } } }])
    expect(await w.head()).toBe(w.at('1.27.1'))
  })
})
