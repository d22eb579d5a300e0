import { describe, expect, test } from 'vitest'
import { commitLimits } from '../../src/store/store.ts'
import { requireChangeUnchanged } from '../../src/streams/preconditions.ts'
import type { CurrentStream, StreamChange, StreamChangeResult, TagChange } from '../../src/streams/streams.ts'
import { app, digest, event, type Fault, type World, wanted, world } from './world.ts'

const by = { by: 'carol' }

function follows(tag: string, source: string): TagChange {
  return { spec: { ...wanted(tag), from: { kind: 'ImageStreamTag', name: source } }, wantedBy: by }
}

const wants = (tag: string, from = 'quay.io/org/app:v1'): TagChange => ({ spec: wanted(tag, from), wantedBy: by })

function tagsOf(tags: Record<string, TagChange>): StreamChange {
  return { tags: new Map(Object.entries(tags)) }
}

const object = (more: Partial<NonNullable<StreamChange['object']>> = {}): NonNullable<StreamChange['object']> => ({
  labels: {},
  annotations: {},
  lookupPolicy: { local: false },
  ...more,
})

async function put(w: World, change: StreamChange, create = true): Promise<StreamChangeResult> {
  const result = await w.writer.changeStream(app, () => change, { create })
  // What is answered is what is read.
  expect(result.whole).toEqual(await w.reader.whole(app))
  expect(result.whole.stream).toEqual(await w.reader.stream(app))
  expect(result.whole.tags).toEqual(await w.reader.tags(app))
  return result
}

const pinsOf = ({ whole }: StreamChangeResult) =>
  Object.fromEntries(whole.tags.map(({ name, record }) => [name, record.items[0]?.image]))

/** `demo/app` with `one` and `two` at A, both of quay.io. */
async function existing(): Promise<World> {
  const w = await world()
  for (const tag of ['one', 'two']) {
    await w.writer.changeTag(app, tag, () => ({ ...wants(tag), event: event('a', 'import') }), { create: true })
  }
  w.faults.commits = []
  return w
}

describe('a stream that is made with its tags', () => {
  test('is born in the first commit, and everything has generation 1', async () => {
    const w = await world()
    const result = await put(w, {
      object: object({ labels: { a: 'b' }, lookupPolicy: { local: true }, dockerImageRepository: 'quay.io/org/app' }),
      ...tagsOf({
        one: wants('one'),
        two: { ...wants('two'), event: event('a', 'tag') },
        three: follows('three', 'two'),
      }),
    })
    expect(w.faults.commits).toHaveLength(1)
    expect(result.whole.stream).toMatchObject({
      generation: 1,
      labels: { a: 'b' },
      lookupPolicy: { local: true },
      dockerImageRepository: 'quay.io/org/app',
      resourceVersion: result.revision,
      objectRevision: result.revision,
    })
    expect(result.whole.tags.map(({ record }) => record.spec?.generation)).toEqual([1, 1, 1])
    expect(pinsOf(result)).toEqual({ one: undefined, two: digest('a'), three: digest('a') })
    expect(result.whole.tags.flatMap(({ record }) => record.items.map(({ generation }) => generation))).toEqual([1, 1])
  })

  test('of more tags than fit one commit still is of generation 1', async () => {
    const w = await world()
    const tags = Array.from({ length: 120 }, (_, i) => `v${i}`)
    const result = await put(w, tagsOf(Object.fromEntries(tags.map((tag) => [tag, wants(tag)]))))
    expect(w.faults.commits.length).toBeGreaterThan(1)
    expect(result.whole.stream.generation).toBe(1)
    expect(new Set(result.whole.tags.map(({ record }) => record.spec?.generation))).toEqual(new Set([1]))
    expect(result.whole.tags).toHaveLength(120)
  })

  test('without any tags is a stream too', async () => {
    const w = await world()
    const result = await put(w, {})
    expect(result).toMatchObject({ changed: true, whole: { stream: { generation: 1 }, tags: [] } })
  })

  test('is refused without `create`, in no project, and under a bad name', async () => {
    const w = await world()
    await expect(w.writer.changeStream(app, () => ({}))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const nowhere = { project: 'none', stream: 'app' }
    await expect(w.writer.changeStream(nowhere, () => ({}), { create: true })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
    const bad = { project: 'demo', stream: 'Bad_' }
    await expect(w.writer.changeStream(bad, () => ({}), { create: true })).rejects.toMatchObject({ code: 'INVALID' })
  })

  test('sees itself without tags, of resourceVersion 0; undefined makes nothing', async () => {
    const w = await world()
    let seen: CurrentStream | undefined
    const decide = (current: CurrentStream) => {
      seen = current
      return undefined
    }
    expect(await w.writer.changeStream(app, decide, { create: true })).toMatchObject({ changed: false })
    expect(seen).toMatchObject({ stream: { resourceVersion: 0 }, tags: [] })
    expect(await w.reader.stream(app)).toBeUndefined()
  })

  test('by two at once is one stream with the tags of both', async () => {
    const w = await world()
    const results = await Promise.all(
      ['one', 'two'].map((tag) => w.writer.changeStream(app, () => tagsOf({ [tag]: wants(tag) }), { create: true })),
    )
    expect(new Set(results.map(({ whole }) => whole.stream.uid)).size).toBe(1)
    expect((await w.reader.tags(app)).map(({ name }) => name)).toEqual(['one', 'two'])
  })
})

describe('a change of a stream', () => {
  test('of several tags and the object is one commit and one generation', async () => {
    const w = await existing()
    const result = await put(w, {
      object: object({ annotations: { n: '1' }, lookupPolicy: { local: true } }),
      ...tagsOf({ one: wants('one', 'quay.io/org/other:v1'), two: { spec: null }, three: wants('three') }),
    })
    expect(w.faults.commits).toHaveLength(1)
    expect(result.whole.stream.generation).toBe(3)
    const specs = result.whole.tags.map(({ name, record }) => [name, record.spec?.generation])
    expect(specs).toEqual([
      ['one', 3],
      ['three', 3],
      ['two', undefined],
    ])
    // okd.md 2.1: history stays.
    expect(pinsOf(result)).toEqual({ one: digest('a'), two: digest('a'), three: undefined })
  })

  test('is conditioned on what it changes alone', async () => {
    const w = await existing()
    await put(w, tagsOf({ one: { event: event('b') }, two: wants('two') }))
    expect(w.faults.commits[0]?.preconditions?.map(({ key }) => key)).toEqual([
      'life/demo/app',
      'tag/demo/app/one',
      'index/followers/demo/app/one',
      `link/demo/app/${digest('b')}`,
    ])
    expect(w.faults.commits[0]?.operations.map(({ key }) => key)).toEqual([
      'tag/demo/app/one',
      'event/demo/app/one!000000000002',
      'outbox/demo/app/one!000000000002',
      'index/unheld/demo/app/one',
      'stream/demo/app',
    ])
  })

  test('vector 24: of lookupPolicy alone bumps the generation by one and that of no tag', async () => {
    const w = await existing()
    const before = await w.reader.tags(app)
    const result = await put(w, { object: object({ lookupPolicy: { local: true } }) })
    expect(result.whole.stream.generation).toBe(3)
    expect(await w.reader.tags(app)).toEqual(before)
    const again = await put(w, { object: object({ lookupPolicy: { local: true } }) })
    expect(again).toMatchObject({ changed: false, revision: result.revision })
  })

  test('of dockerImageRepository bumps it too, also when that goes', async () => {
    const w = await existing()
    await put(w, { object: object({ dockerImageRepository: 'quay.io/org/app' }) })
    const result = await put(w, { object: object() })
    expect(result.whole.stream.generation).toBe(4)
    expect(result.whole.stream).not.toHaveProperty('dockerImageRepository')
  })

  test('of labels, annotations and managed fields alone does not, but is a new object', async () => {
    const w = await existing()
    const managedFields = [{ manager: 'kubectl', operation: 'Apply' }]
    const next = object({ labels: { a: 'b' }, annotations: { c: 'd' }, managedFields })
    const result = await put(w, { object: next })
    expect(result.whole.stream).toMatchObject({ ...next, generation: 2, objectRevision: result.revision })
    await put(w, { object: object() })
    expect(await w.reader.stream(app)).toMatchObject({ labels: {}, annotations: {}, generation: 2 })
    expect(await w.reader.stream(app)).not.toHaveProperty('managedFields')
  })

  test('that changes nothing writes nothing', async () => {
    const w = await existing()
    const before = await w.dump('')
    const result = await put(w, { object: object(), ...tagsOf({ one: wants('one'), two: wants('two') }) })
    expect(result.changed).toBe(false)
    expect(w.faults.commits).toEqual([])
    expect(await w.dump('')).toEqual(before)
  })

  test('touches no record of another tag', async () => {
    const w = await existing()
    const two = await w.store.get('tag/demo/app/two')
    await put(w, { object: object({ labels: { a: 'b' } }), ...tagsOf({ one: wants('one', 'quay.io/x:1') }) })
    expect(await w.store.get('tag/demo/app/two')).toEqual(two)
  })

  test('of a tag and of the one that it follows is seen as it will be', async () => {
    const w = await existing()
    const result = await put(w, tagsOf({ a: follows('a', 'b'), b: follows('b', 'two'), two: { event: event('c') } }))
    expect(pinsOf(result)).toMatchObject({ a: digest('c'), b: digest('c'), two: digest('c') })
    expect(w.faults.commits).toHaveLength(1)
    expect(await w.reader.ledger(app, 'a')).toHaveLength(1)
  })

  test('that gives a follower another source does not move it by the old one', async () => {
    const w = await existing()
    await put(w, tagsOf({ f: follows('f', 'one') }))
    const result = await put(w, tagsOf({ one: { event: event('b') }, f: follows('f', 'two') }))
    expect(pinsOf(result)).toEqual({ one: digest('b'), two: digest('a'), f: digest('a') })
    expect(await w.reader.ledger(app, 'f')).toHaveLength(1)
  })

  test('reports what is wrong with all tags at once, by their paths', async () => {
    const w = await existing()
    const before = await w.dump('')
    const change: StreamChange = {
      object: object({ dockerImageRepository: 'quay.io/org/app:v1' }),
      ...tagsOf({ one: wants('one', 'NOT/a/ref'), 'a!b': { spec: null }, two: follows('two', 'x:y:z') }),
    }
    await expect(w.writer.changeStream(app, () => change)).rejects.toMatchObject({
      code: 'INVALID',
      subject: { kind: 'imagestreams', name: 'app' },
      causes: [
        { field: 'spec.dockerImageRepository' },
        { field: 'spec.tags[one].from.name' },
        { field: 'spec.tags[a!b].name' },
        { field: 'spec.tags[two].from.name' },
      ],
    })
    expect(await w.dump('')).toEqual(before)
  })

  test('refuses loops and holds by the path of each tag, and writes nothing', async () => {
    const w = await existing()
    await put(w, tagsOf({ one: { event: event('b', 'rollback', { restoredRevision: 1 }) } }))
    const before = await w.dump('')
    const change = tagsOf({ one: wants('one', 'quay.io/x:1'), x: follows('x', 'y'), y: follows('y', 'x') })
    await expect(w.writer.changeStream(app, () => change)).rejects.toMatchObject({
      code: 'INVALID',
      causes: [{ field: 'spec.tags[one]' }, { field: 'spec.tags[x].from.name' }, { field: 'spec.tags[y].from.name' }],
    })
    expect(await w.dump('')).toEqual(before)
  })

  test('of a spec of another name is a mistake of the programmer', async () => {
    const w = await existing()
    await expect(w.writer.changeStream(app, () => tagsOf({ one: wants('two') }))).rejects.toBeInstanceOf(TypeError)
  })

  test('as a dry run answers what would come of it and writes nothing', async () => {
    const w = await existing()
    const before = await w.dump('')
    const change = { object: object({ lookupPolicy: { local: true } }), ...tagsOf({ f: follows('f', 'one') }) }
    const dry = await w.writer.changeStream(app, () => change, { dryRun: true })
    expect(dry).toMatchObject({ changed: true, whole: { stream: { generation: 3, lookupPolicy: { local: true } } } })
    expect(pinsOf(dry)).toMatchObject({ f: digest('a') })
    const tag = await w.writer.changeTag(app, 'f', () => follows('f', 'one'), { dryRun: true })
    expect(tag).toMatchObject({ changed: true, entry: { image: digest('a') } })
    const other = { project: 'demo', stream: 'other' }
    await w.writer.changeStream(other, () => change, { create: true, dryRun: true })
    expect(await w.dump('')).toEqual(before)
    const loop = { dryRun: true, field: 'spec' }
    await expect(w.writer.changeTag(app, 'f', () => follows('f', 'f'), loop)).rejects.toMatchObject({
      causes: [{ field: 'spec.from.name' }],
    })
  })
})

describe('a change that takes several commits', () => {
  const many = (count: number, from: string) =>
    tagsOf(Object.fromEntries(Array.from({ length: count }, (_, i) => [`v${i}`, wants(`v${i}`, from)])))

  test('bumps the generation once, in the first commit, with the object', async () => {
    const w = await existing()
    const result = await put(w, { object: object({ labels: { a: 'b' } }), ...many(300, 'quay.io/x:1') })
    expect(w.faults.commits.length).toBeGreaterThan(3)
    const writing = (key: string) =>
      w.faults.commits.map(({ operations }) => operations.some((operation) => operation.key === key))
    expect(writing('generation/demo/app').lastIndexOf(true)).toBe(0)
    expect(writing('object/imagestreams/demo/app').lastIndexOf(true)).toBe(0)
    expect(writing('stream/demo/app')).not.toContain(false)
    expect(result.whole.stream).toMatchObject({ generation: 3, resourceVersion: result.revision })
    expect(result.whole.stream.objectRevision).toBeLessThan(result.revision)
    const generations = result.whole.tags.map(({ name, record }) =>
      name.startsWith('v') ? record.spec?.generation : 3,
    )
    expect(new Set(generations)).toEqual(new Set([3]))
  })

  test('keeps every commit within the limits, also of large annotations', async () => {
    const w = await existing()
    const note = { note: 'x'.repeat(200_000) }
    const tags = Array.from({ length: 12 }, (_, i) => `v${i}`)
    const change = tagsOf(
      Object.fromEntries(tags.map((tag) => [tag, { spec: { ...wanted(tag), annotations: note } } satisfies TagChange])),
    )
    const result = await put(w, { object: object({ annotations: note }), ...change })
    expect(result.whole.tags).toHaveLength(14)
    for (const { operations } of w.faults.commits) {
      const bytes = operations.reduce((sum, each) => sum + (each.type === 'put' ? each.value.length : 0), 0)
      expect(bytes).toBeLessThan(commitLimits.maxBytes)
    }
  })

  test('whose second commit is lost to somebody is decided anew, and all of it lands', async () => {
    const w = await existing()
    const other: Fault = {
      status: 'committed',
      first: () => w.writer.changeTag(app, 'v200', () => ({ event: event('f') }), { create: true }),
    }
    w.faults.next = [{ status: 'committed', first: async () => undefined }, other]
    const result = await put(w, many(300, 'quay.io/x:1'))
    expect(result.whole.tags.filter(({ record }) => record.spec?.from?.name === 'quay.io/x:1')).toHaveLength(300)
    const disturbed = result.whole.tags.find(({ name }) => name === 'v200')
    expect(disturbed?.record.items[0]?.image).toBe(digest('f'))
    // The push in between does not hide that an import is wanted after it.
    expect(await w.store.get('index/pending/demo/app/v200')).toBeDefined()
  })

  test('ends when the stream is deleted in between', async () => {
    const w = await existing()
    w.faults.next = [
      { status: 'committed', first: async () => undefined },
      { status: 'committed', first: () => w.writer.delete(app) },
    ]
    await expect(w.writer.changeStream(app, () => many(300, 'quay.io/x:1'))).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
    expect(await w.reader.whole(app)).toBeUndefined()
  })

  test.each([0, 1, 2])('I2: whose answers get lost is written once (%s commits land before)', async (before) => {
    const w = await existing()
    const fine: Fault = { status: 'committed', first: async () => undefined }
    for (const lands of [true, false]) {
      w.faults.next = [...Array.from({ length: before }, () => fine), { status: 'unknown', lands }]
      const result = await put(w, many(300, `quay.io/x:${lands}${before}`))
      expect(result.whole.tags).toHaveLength(302)
    }
    expect((await w.reader.stream(app))?.generation).toBe(4)
  })

  test('of an object alone whose answer gets lost is found out', async () => {
    const w = await existing()
    for (const [i, lands] of [true, false].entries()) {
      w.faults.next = [{ status: 'unknown', lands }]
      const result = await put(w, { object: object({ labels: { n: String(i) } }) })
      expect(result.whole.stream.labels).toEqual({ n: String(i) })
    }
    const over = () => w.writer.changeStream(app, () => ({ object: object({ labels: { by: 'another' } }) }))
    w.faults.next = [{ status: 'unknown', lands: true, after: over }]
    const lost = w.writer.changeStream(app, () => ({ object: object({ labels: { n: '9' } }) }))
    await expect(lost).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  test('is refused when tags that follow one another do not fit one commit', async () => {
    const w = await existing()
    const groups = Object.fromEntries(
      Array.from({ length: 46 }, (_, i) => [`f${i}`, follows(`f${i}`, i < 23 ? 'one' : 'two')]),
    )
    await put(w, tagsOf(groups))
    const swapped = Object.fromEntries(
      Array.from({ length: 46 }, (_, i) => [`f${i}`, follows(`f${i}`, i < 23 ? 'two' : 'one')]),
    )
    await put(w, tagsOf({ one: { event: event('b') } }))
    await expect(w.writer.changeStream(app, () => tagsOf(swapped))).rejects.toMatchObject({
      code: 'INVALID',
      message: expect.stringContaining('in several steps'),
    })
  })

  test('an object that is too large for any commit is refused', async () => {
    const w = await existing()
    const managedFields = [{ manager: 'x'.repeat(2_000_000) }]
    await expect(w.writer.changeStream(app, () => ({ object: object({ managedFields }) }))).rejects.toMatchObject({
      code: 'INVALID',
      causes: [{ field: 'metadata', reason: 'FieldValueTooLong' }],
    })
  })
})

describe('races', () => {
  test('50 at once on different tags of one stream all land', async () => {
    const w = await existing()
    const tags = Array.from({ length: 50 }, (_, i) => `v${i}`)
    const version = String((await w.reader.stream(app))?.resourceVersion)
    await Promise.all(
      tags.map((tag) =>
        w.writer.changeStream(app, (current) => {
          const change = tagsOf({ one: wants('one'), [tag]: wants(tag) })
          requireChangeUnchanged(current, change, { resourceVersion: version })
          return change
        }),
      ),
    )
    const whole = await w.reader.whole(app)
    expect(whole?.tags).toHaveLength(52)
    expect(whole?.stream.generation).toBe(52)
    expect(w.faults.commits.length).toBeLessThan(150)
  })

  test('50 at once on the object: who says what he saw lands once, the others get a CONFLICT', async () => {
    const w = await existing()
    const resourceVersion = String((await w.reader.stream(app))?.resourceVersion)
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, i) =>
        w.writer.changeStream(app, (current) => {
          const change = { object: object({ labels: { n: String(i) } }) }
          requireChangeUnchanged(current, change, { resourceVersion })
          return change
        }),
      ),
    )
    const landed = outcomes.filter(({ status }) => status === 'fulfilled')
    expect(landed).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'CONFLICT' })
    }
  })

  test('50 at once on the object without a version all land', async () => {
    const w = await existing()
    await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        w.writer.changeStream(app, ({ stream }) => ({
          object: object({ labels: { ...stream.labels, [`n${i}`]: 'x' } }),
        })),
      ),
    )
    expect(Object.keys((await w.reader.stream(app))?.labels ?? {})).toHaveLength(50)
  })

  test('a push meanwhile to another tag does not disturb, one to the same tag is decided on anew', async () => {
    const w = await existing()
    let asked = 0
    const decide = () => {
      asked++
      return tagsOf({ one: wants('one', 'quay.io/x:1') })
    }
    w.faults.next = [
      { status: 'committed', first: () => w.writer.changeTag(app, 'two', () => ({ event: event('b') })) },
    ]
    const first = await w.writer.changeStream(app, decide)
    expect(asked).toBe(1)
    // The answer shows what happened before its resource version.
    expect(pinsOf(first)).toMatchObject({ two: digest('b') })
    const again = () => tagsOf({ one: { event: event('d') } })
    w.faults.next = [
      { status: 'committed', first: () => w.writer.changeTag(app, 'one', () => ({ event: event('c') })) },
    ]
    await w.writer.changeStream(app, () => {
      asked++
      return again()
    })
    expect(asked).toBe(3)
    expect((await w.reader.ledger(app, 'one'))[0]).toMatchObject({ image: digest('d'), previousImage: digest('c') })
  })

  test('one that is never won ends in a CONFLICT', async () => {
    const w = await existing()
    w.faults.next = Array.from({ length: 1000 }, () => ({ status: 'conflict', key: 'tag/demo/app/one' }))
    await expect(w.writer.changeStream(app, () => tagsOf({ one: { event: event('b') } }))).rejects.toMatchObject({
      code: 'CONFLICT',
    })
    w.faults.next = []
  })
})

test('5,000 tags in steps come to what they would come to alone, and are read whole', async () => {
  const w = await world()
  const tags = Array.from({ length: 5000 }, (_, i) => `v${String(i).padStart(4, '0')}`)
  const change = (from: string) => tagsOf(Object.fromEntries(tags.map((tag) => [tag, wants(tag, from)])))
  await w.writer.changeStream(app, () => change('quay.io/x:1'), { create: true })
  const result = await w.writer.changeStream(app, () => change('quay.io/x:2'))
  expect(result.whole.stream.generation).toBe(2)
  expect(result.whole.tags.map(({ name }) => name)).toEqual(tags)
  for (const { record } of result.whole.tags) {
    expect(record.spec).toEqual({ ...wanted(record.spec?.name ?? '', 'quay.io/x:2'), generation: 2 })
  }
  w.faults.gets = []
  w.faults.commits = []
  w.faults.rangeQueries = []
  await w.writer.changeTag(app, 'v2500', () => ({ event: event('a') }))
  const inLarge = { gets: w.faults.gets.length, ranges: w.faults.rangeQueries, commit: w.faults.commits[0] }
  const fresh = await existing()
  fresh.faults.gets = []
  fresh.faults.rangeQueries = []
  await fresh.writer.changeTag(app, 'one', () => ({ event: event('b') }))
  expect(inLarge.gets).toBe(fresh.faults.gets.length)
  expect(inLarge.ranges).toEqual(fresh.faults.rangeQueries)
  // The wish that was waiting is settled: its mark goes.
  expect(inLarge.commit?.operations).toHaveLength((fresh.faults.commits[0]?.operations.length ?? 0) + 1)
  expect(w.faults.commits).toHaveLength(1)
})
