import { describe, expect, test } from 'vitest'
import type { StreamName } from '../../src/oci/reference.ts'
import { answering, failing } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import { app, scheduleWorld } from './world.ts'

const minuteMs = 60_000
const intervalMs = 15 * minuteMs
const lists = /^GET .*\/tags\/list/
const images = new Map<string, ReturnType<typeof makeImage>>()

function imageOf(tag: string) {
  const image = images.get(tag) ?? makeImage(`whole ${tag}`)
  images.set(tag, image)
  return image
}

/** The stream `demo/app` follows `lib/app`, whose tags are `1.0`, `1.1` and `latest`; what waits is imported by `arrive`. */
async function world(options: Parameters<typeof scheduleWorld>[0] = {}) {
  const w = await scheduleWorld(options)
  const publish = (...tags: string[]) => {
    for (const tag of tags) w.registry.put('lib/app', imageOf(tag), { tag })
  }
  publish('1.0', '1.1', 'latest')
  const from = `${w.registry.host}/lib/app`
  const object = (annotations: Record<string, string> = {}, repository: string | undefined = from) => ({
    labels: {},
    annotations: { 'weir.dev/follow': 'true', ...annotations },
    lookupPolicy: { local: false },
    ...(repository === undefined ? {} : { dockerImageRepository: repository }),
  })
  return {
    ...w,
    from,
    publish,
    object,
    at: (tag: string) => imageOf(tag).manifest.digest,
    followAll: async (annotations?: Record<string, string>, name: StreamName = app) => {
      await w.writer.changeStream(name, () => ({ object: object(annotations) }), { create: true })
      await w.pass(1)
    },
    set: (fields: ReturnType<typeof object>) => w.writer.changeStream(app, () => ({ object: fields })),
    /** As the background does. */
    arrive: async (name: StreamName = app) => {
      for (const { name: tag, record } of await w.reader.tags(name)) {
        const generation = record.spec?.generation ?? 0
        await w.importer.importPending(name, tag, { generation, by: 'system:weir:schedule' })
      }
      await w.pass(20_000)
    },
    tags: async (name: StreamName = app) => (await w.reader.tags(name)).map((tag) => tag.name),
    check: (name: StreamName = app) => w.schedule.checks(name).find(({ tag }) => tag === '*'),
    get schedule() {
      return w.schedule
    },
  }
}

describe('a stream that follows a whole repository', () => {
  test('gets its tags at once, scheduled, by the schedule, and they are imported as others are', async () => {
    const w = await world()
    await w.followAll()
    expect(await w.tags()).toEqual(['1.0', '1.1', 'latest'])
    expect((await w.reader.tag(app, '1.1'))?.record.spec).toMatchObject({
      from: { kind: 'DockerImage', name: `${w.from}:1.1` },
      importPolicy: { scheduled: true },
      referencePolicy: { type: 'Local' },
      annotations: null,
    })
    expect(JSON.parse((await w.store.get('index/pending/demo/app/1.1'))?.value ?? '{}')).toMatchObject({
      by: 'system:weir:schedule',
    })
    expect(w.check()).toMatchObject({
      from: w.from,
      last: { result: 'New', tags: 3, newTags: 3, additionalTags: 0, failures: 0 },
    })
    await w.arrive()
    expect(await w.head('1.1')).toBe(w.at('1.1'))
    const [entry] = await w.reader.ledger(app, '1.1')
    expect(entry?.cause).toMatchObject({ by: 'system:weir:schedule', from: { name: `${w.from}:1.1` } })
  })

  test('gets those that appear within an interval, and they move as scheduled tags do', async () => {
    const w = await world()
    await w.followAll()
    await w.arrive()
    w.publish('1.2')
    await w.pass(intervalMs)
    expect(await w.tags()).toEqual(['1.0', '1.1', '1.2', 'latest'])
    expect(w.check()?.last).toMatchObject({ result: 'New', tags: 4, newTags: 1 })
    await w.arrive()
    w.registry.tag('lib/app', '1.2', w.at('1.1'))
    await w.pass(intervalMs)
    expect(await w.head('1.2')).toBe(w.at('1.1'))
    expect(w.check()?.last).toMatchObject({ result: 'Unchanged', tags: 4, newTags: 0 })
  })

  test('costs one list in an interval, shared with all streams and policies of it, and writes nothing while nothing is new', async () => {
    const w = await world()
    const other = { project: 'demo', stream: 'other' }
    await w.followAll()
    await w.followAll({ 'weir.dev/track': 'semver:~1.1' }, other)
    await w.follow('best', w.from, { annotations: { 'weir.dev/track': 'semver:1' } }, { ...app, stream: 'third' })
    await w.arrive()
    await w.arrive(other)
    expect(await w.tags(other)).toEqual(['1.1'])
    await w.pass(intervalMs)
    w.registry.requests.length = 0
    const before = await w.store.get('stream/demo/app')
    const tags = await w.reader.tags(app)
    await w.pass(4 * intervalMs)
    expect(w.registry.matching(lists)).toHaveLength(4)
    expect(await w.reader.tags(app)).toEqual(tags)
    expect(await w.store.get('stream/demo/app')).toEqual(before)
  })

  test('I9: shares no list with a project that logs in otherwise', async () => {
    const w = await world({ schedule: { loginsOf: async (project) => project } })
    await w.objects.create('namespaces', '', { metadata: { name: 'else' } })
    await w.followAll()
    await w.followAll({}, { project: 'else', stream: 'app' })
    w.registry.requests.length = 0
    await w.pass(intervalMs)
    expect(w.registry.matching(lists)).toHaveLength(2)
  })

  test('keeps what is gone upstream at its image, with a condition, until it comes back', async () => {
    const w = await world()
    await w.followAll()
    await w.arrive()
    w.registry.untag('lib/app', '1.0')
    await w.pass(intervalMs)
    expect(await w.head('1.0')).toBe(w.at('1.0'))
    expect((await w.reader.tag(app, '1.0'))?.record.condition).toMatchObject({ reason: 'NotFound' })
    expect(w.schedule.checks(app).find(({ tag }) => tag === '1.0')?.last).toMatchObject({ reason: 'NotFound' })
    expect(w.check()?.last).toMatchObject({ result: 'Unchanged', tags: 2 })
    const condition = (await w.reader.tag(app, '1.1'))?.record.condition
    expect(condition).toBeUndefined()
    w.publish('1.0')
    await w.pass(24 * 60 * minuteMs)
    expect((await w.reader.tag(app, '1.0'))?.record.condition).toBeUndefined()
    expect(await w.head('1.0')).toBe(w.at('1.0'))
  })

  test('marks an image that is gone there with its tag, and takes that back when it is there again', async () => {
    const w = await world()
    await w.followAll()
    await w.arrive()
    w.registry.untag('lib/app', '1.0')
    w.registry.remove(w.at('1.0'))
    await w.pass(intervalMs)
    expect(await w.head('1.0')).toBe(w.at('1.0'))
    expect((await w.reader.tag(app, '1.0'))?.record.upstreamGone).toMatchObject({ image: w.at('1.0') })
    w.publish('1.0')
    await w.pass(24 * 60 * minuteMs)
    expect((await w.reader.tag(app, '1.0'))?.record).not.toHaveProperty('upstreamGone')
  })

  test('gets back no tag that somebody deleted, or took the source of, and leaves one that was there as it is', async () => {
    const w = await world()
    const elsewhere = { kind: 'DockerImage' as const, name: `${w.registry.host}/lib/other:1` }
    await w.follow('latest', elsewhere.name)
    await w.followAll()
    await w.arrive()
    await w.writer.changeTag(app, '1.0', () => ({ remove: { cause: { kind: 'delete', by: 'ann' } } }))
    await w.writer.changeTag(app, '1.1', () => ({ spec: null }))
    w.publish('1.2')
    await w.pass(2 * intervalMs)
    expect(await w.tags()).toEqual(['1.1', '1.2', 'latest'])
    expect((await w.reader.tag(app, '1.1'))?.record.spec).toBeUndefined()
    expect((await w.reader.tag(app, 'latest'))?.record.spec?.from).toEqual(elsewhere)
    await w.stop()
    await w.start()
    await w.pass(2 * intervalMs)
    expect(await w.tags()).toEqual(['1.1', '1.2', 'latest'])
  })

  test('of the same name made anew gets all of them', async () => {
    const w = await world()
    await w.followAll()
    await w.writer.changeTag(app, '1.0', () => ({ remove: { cause: { kind: 'delete', by: 'ann' } } }))
    await w.writer.delete(app)
    expect(await w.store.get('index/scheduled/demo/app/*')).toBeUndefined()
    await w.pass(intervalMs)
    expect(w.schedule.checks(app)).toEqual([])
    await w.followAll()
    expect(await w.tags()).toEqual(['1.0', '1.1', 'latest'])
  })

  test.each<[string, Record<string, string>, string[]]>([
    ['semver', { 'weir.dev/track': 'semver:>=1.1' }, ['1.1', '2.0']],
    ['a variant', { 'weir.dev/track': 'semver:1 -alpine' }, ['1.0-alpine']],
    ['a pattern', { 'weir.dev/track': 'regex:latest|1\\.0.*' }, ['1.0', '1.0-alpine', 'latest']],
    ['the greatest', { 'weir.dev/track': 'semver:*', 'weir.dev/max-tags': '2' }, ['1.1', '2.0']],
    ['a bound', { 'weir.dev/max-tags': '2' }, ['2.0', 'latest']],
  ])('gets of them what it wants: %s', async (_, annotations, expected) => {
    const w = await world()
    w.publish('2.0', '1.0-alpine')
    await w.followAll(annotations)
    expect(await w.tags()).toEqual(expected)
    const beyond = annotations['weir.dev/max-tags'] === undefined ? 0 : expect.any(Number)
    expect(w.check()?.last).toMatchObject({ tags: expected.length, additionalTags: beyond })
  })

  test('tells how many there are beyond those that it may have', async () => {
    const w = await world()
    await w.followAll({ 'weir.dev/max-tags': '1' })
    expect(w.check()?.last).toMatchObject({ result: 'New', tags: 1, newTags: 1, additionalTags: 2 })
    w.publish('0.9')
    await w.pass(intervalMs)
    expect(await w.tags()).toEqual(['latest'])
    expect(w.check()?.last).toMatchObject({ result: 'Unchanged', tags: 1, newTags: 0, additionalTags: 3 })
  })

  test('gets the greater that come, and keeps those that it has', async () => {
    const w = await world()
    await w.followAll({ 'weir.dev/track': 'semver:*', 'weir.dev/max-tags': '1' })
    expect(await w.tags()).toEqual(['1.1'])
    w.publish('1.2')
    await w.pass(intervalMs)
    expect(await w.tags()).toEqual(['1.1', '1.2'])
  })

  test('has its own interval, which its tags get too, and the policy that all of its tags have', async () => {
    const w = await world()
    await w.follow('mine', `${w.from}:1.0`, { referencePolicy: { type: 'Source' } })
    await w.followAll({ 'weir.dev/import-interval': '6h' })
    expect((await w.reader.tag(app, '1.1'))?.record.spec).toMatchObject({
      annotations: { 'weir.dev/import-interval': '6h' },
      referencePolicy: { type: 'Source' },
    })
    w.registry.requests.length = 0
    await w.pass(6 * 60 * minuteMs)
    expect(w.registry.matching(lists)).toHaveLength(1)
    expect(w.check()).toMatchObject({ intervalMs: 6 * 60 * minuteMs })
  })

  test('is asked at once when somebody says that its repository, or a tag of it, changed', async () => {
    const w = await world()
    await w.followAll()
    await w.pass(minuteMs)
    w.publish('3.0')
    const change = { host: w.registry.host, repository: 'lib/app', tag: '3.0' }
    expect(w.schedule.checkNow('demo', [change])).toBe(1)
    await w.pass(10_000)
    expect(await w.tags()).toContain('3.0')
  })
})

describe('what is turned off', () => {
  test.each<[string, (w: Awaited<ReturnType<typeof world>>) => unknown]>([
    ['the annotation is gone', (w) => w.set({ ...w.object(), annotations: {} as never })],
    ['the annotation says false', (w) => w.set(w.object({ 'weir.dev/follow': 'false' }))],
    [
      'the repository is gone',
      (w) => {
        const { dockerImageRepository: _repository, ...rest } = w.object()
        return w.set(rest)
      },
    ],
  ])('brings nothing new, and leaves what is there as it is: %s', async (_, end) => {
    const w = await world()
    await w.followAll()
    await w.arrive()
    const before = await w.reader.tags(app)
    await end(w)
    expect(await w.store.get('index/scheduled/demo/app/*')).toBeUndefined()
    w.publish('1.2')
    w.registry.requests.length = 0
    await w.pass(2 * intervalMs)
    expect(await w.reader.tags(app)).toEqual(before)
    expect(w.registry.matching(lists)).toHaveLength(0)
    expect(w.check()).toBeUndefined()
  })

  test('while it is being asked brings nothing any more', async () => {
    const w = await world()
    await w.followAll()
    w.publish('1.2')
    w.registry.intercept(async (req, _res, next) => {
      const answer = await next()
      if (/tags\/list/.test(req.url ?? '')) await w.set(w.object({ 'weir.dev/follow': 'false' }))
      return answer
    })
    await w.pass(2 * intervalMs)
    expect(await w.tags()).not.toContain('1.2')
  })

  test('is no dry run: that brings nothing', async () => {
    const w = await world()
    await w.writer.create(app)
    await w.writer.changeStream(app, () => ({ object: w.object() }), { dryRun: true })
    await w.pass(intervalMs)
    expect(await w.tags()).toEqual([])
    expect(w.registry.requests).toEqual([])
  })

  test('and on again at another repository brings those of that one', async () => {
    const w = await world()
    await w.followAll()
    w.registry.put('lib/web', imageOf('web'), { tag: 'web' })
    await w.set(w.object({}, `${w.registry.host}/lib/web`))
    await w.pass(1)
    expect(await w.tags()).toContain('web')
    expect((await w.reader.tag(app, 'web'))?.record.spec?.from?.name).toBe(`${w.registry.host}/lib/web:web`)
  })
})

describe('a hostile or broken registry', () => {
  const page = (tags: unknown, link?: string) => ({
    status: 200,
    headers: { 'content-type': 'application/json', ...(link === undefined ? {} : { link }) },
    body: Buffer.from(JSON.stringify({ name: 'lib/app', tags })),
  })

  test.each<[string, ReturnType<typeof page> | number, string]>([
    ['503', 503, 'Unreachable'],
    ['404', 404, 'NotFound'],
    ['no list', page('1.0'), 'Invalid'],
    ['an empty list', page([]), 'NotFound'],
    ['null', page(null), 'NotFound'],
    [
      'a list that goes on elsewhere',
      page(['1.0', '9.0'], '<http://169.254.169.254/v2/x/tags/list>; rel="next"'),
      'Invalid',
    ],
  ])('that lists %s changes nothing but what the check says', async (_, answer, reason) => {
    const w = await world()
    await w.followAll()
    await w.arrive()
    const before = await w.reader.tags(app)
    const heal = w.registry.intercept(typeof answer === 'number' ? failing(lists, answer) : answering(lists, answer))
    await w.pass(intervalMs)
    expect(w.check()?.last).toMatchObject({ result: 'Failed', reason })
    expect(await w.reader.tags(app)).toEqual(before)
    heal()
    w.publish('1.2')
    await w.pass(24 * 60 * minuteMs)
    expect(await w.tags()).toContain('1.2')
    expect(w.check()?.last).toMatchObject({ result: expect.not.stringMatching('Failed'), failures: 0 })
    expect(w.check()?.last).not.toHaveProperty('reason')
  })

  test('that lists fewer all at once changes nothing', async () => {
    const w = await world()
    await w.followAll()
    await w.arrive()
    const before = await w.reader.tags(app)
    w.registry.intercept(answering(lists, page(['1.1'])))
    await w.pass(2 * intervalMs)
    expect(await w.reader.tags(app)).toEqual(before)
    expect(w.check()?.last).toMatchObject({ result: 'Unchanged', tags: 1 })
  })

  test('that lists names which are no tags, the same again, or what is derived from images, brings the others alone', async () => {
    const w = await world()
    const derived = [`sha256-${'a'.repeat(64)}`, `sha256-${'b'.repeat(64)}.sig`]
    const odd = ['*', '', 'a/b', '../x', '-x', 'x'.repeat(129), 7, null, '1!2', '__proto__', 'constructor']
    w.registry.intercept(answering(lists, page([...odd, ...derived, '1.0', '1.0', '1.0'])))
    await w.followAll()
    expect(await w.tags()).toEqual(['1.0', '__proto__', 'constructor'])
    expect(w.check()?.last).toMatchObject({ tags: 3, additionalTags: 0 })
  })

  test('with pages without end is given up, and brings nothing', async () => {
    const w = await world()
    let pages = 0
    w.registry.intercept(async (req, _res, next) => {
      if (!/tags\/list/.test(req.url ?? '')) return next()
      pages += 1
      const tags = Array.from({ length: 500 }, (_, i) => `t${pages}-${i}`)
      return page(tags, `</v2/lib/app/tags/list?n=1000&last=t${pages}>; rel="next"`)
    })
    await w.followAll()
    expect(w.check()?.last).toMatchObject({ result: 'Failed', reason: 'Invalid' })
    expect(pages).toBeLessThanOrEqual(1000)
    expect(await w.tags()).toEqual([])
  })

  test('with very many tags brings the most that may be, in commits of bounded size', async () => {
    const w = await world()
    const tags = Array.from({ length: 3000 }, (_, i) => `1.${i}.0`)
    w.registry.intercept(answering(lists, page(tags)))
    await w.followAll({ 'weir.dev/track': 'semver:1' })
    expect(await w.tags()).toHaveLength(1000)
    expect(await w.tags()).toContain('1.2999.0')
    expect(await w.tags()).not.toContain('1.1999.0')
    expect(w.check()?.last).toMatchObject({ tags: 1000, newTags: 1000, additionalTags: 2000 })
  })
})

describe('a quota of tags', () => {
  const quota = (tags: number) => ({
    metadata: { name: 'tags' },
    spec: { hard: { 'count/imagestreamtags.image.openshift.io': String(tags) } },
  })

  test('lets as many come as there is room for, tells of the others, and they come when there is room', async () => {
    const w = await world()
    await w.objects.create('resourcequotas', 'demo', quota(2))
    await w.followAll()
    // The most wanted first.
    expect(await w.tags()).toEqual(['1.1', 'latest'])
    expect(w.check()?.last).toMatchObject({
      result: 'Failed',
      reason: 'QuotaExceeded',
      message: expect.stringContaining('exceeded quota: tags'),
      newTags: 2,
      failures: 0,
    })
    await w.pass(intervalMs)
    expect(await w.tags()).toHaveLength(2)
    await w.objects.delete('resourcequotas', 'demo', 'tags')
    await w.pass(intervalMs)
    expect(await w.tags()).toHaveLength(3)
    expect(w.check()?.last).toMatchObject({ result: 'New', newTags: 1 })
    expect(w.check()?.last).not.toHaveProperty('reason')
  })
})

test('after a restart nothing is asked before its time, and nothing is written', async () => {
  const w = await world()
  await w.followAll()
  await w.arrive()
  await w.pass(intervalMs)
  const before = await w.reader.tags(app)
  await w.stop()
  w.registry.requests.length = 0
  await w.start()
  await w.pass(1)
  expect(w.registry.matching(lists).length).toBeLessThanOrEqual(1)
  await w.pass(2 * intervalMs)
  expect(w.registry.matching(lists).length).toBeGreaterThanOrEqual(2)
  expect(await w.reader.tags(app)).toEqual(before)
})
