import { describe, expect, test } from 'vitest'
import { app, digest, event, type World, world } from './world.ts'

async function pushed(): Promise<World> {
  const w = await world()
  for (const tag of ['one', 'two']) await w.writer.changeTag(app, tag, () => ({ event: event('a') }), { create: true })
  return w
}

describe('creating a stream', () => {
  test('writes an empty one of generation 1', async () => {
    const w = await world()
    const object = { labels: { a: 'b' }, annotations: { c: 'd' }, lookupPolicy: { local: true } }
    const stream = await w.writer.create(app, object)
    expect(stream).toMatchObject({ ...app, ...object, generation: 1, projectUid: 'uid-of-demo' })
    expect(stream.resourceVersion).toBeGreaterThan(0)
    expect(await w.reader.stream(app)).toEqual(stream)
    expect(await w.reader.tags(app)).toEqual([])
  })

  test('refuses a name that is taken, also when two ask at once', async () => {
    const w = await world()
    const outcomes = await Promise.allSettled([w.writer.create(app), w.writer.create(app)])
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'ALREADY_EXISTS' } })
    await expect(w.writer.create(app)).rejects.toMatchObject({ code: 'ALREADY_EXISTS', subject: { name: 'app' } })
  })

  test('refuses a project that is not there, and a bad name', async () => {
    const w = await world()
    await expect(w.writer.create({ project: 'none', stream: 'app' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(w.writer.create({ project: 'demo', stream: 'Foo' })).rejects.toMatchObject({ code: 'INVALID' })
  })

  test.each([true, false])('is done once when its answer got lost (landed: %s)', async (lands) => {
    const w = await world()
    w.faults.next = [{ status: 'unknown', lands }]
    const stream = await w.writer.create(app)
    expect(await w.reader.stream(app)).toEqual(stream)
  })

  test('loses to another that came in while its answer got lost', async () => {
    const w = await world()
    w.faults.next = [{ status: 'unknown', lands: false, after: () => w.writer.create(app) }]
    await expect(w.writer.create(app)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
  })
})

describe('deleting a stream', () => {
  test('is one commit of four keys, whatever the stream holds', async () => {
    const w = await pushed()
    w.faults.commits = []
    const before = await w.reader.stream(app)
    expect(await w.writer.delete(app)).toEqual(before)
    expect(w.faults.commits.map(({ operations }) => operations)).toEqual([
      ['life/demo/app', 'object/imagestreams/demo/app', 'stream/demo/app', 'generation/demo/app'].map((key) => ({
        type: 'delete',
        key,
      })),
    ])
    expect(await w.reader.stream(app)).toBeUndefined()
    expect(await w.reader.tag(app, 'one')).toBeUndefined()
    expect(await w.reader.tags(app)).toEqual([])
    expect(await w.dump('tag/')).toHaveLength(2)
  })

  test('of what is not there is NOT_FOUND', async () => {
    const w = await world()
    await expect(w.writer.delete(app)).rejects.toMatchObject({ code: 'NOT_FOUND', subject: { name: 'app' } })
  })

  test('keeps to the uid and the resourceVersion that the caller saw', async () => {
    const w = await pushed()
    const { uid, resourceVersion } = (await w.reader.stream(app)) ?? { uid: '', resourceVersion: 0 }
    await w.writer.changeTag(app, 'one', () => ({ event: event('b') }))
    await expect(w.writer.delete(app, { uid: 'other' })).rejects.toMatchObject({ code: 'CONFLICT' })
    const stale = w.writer.delete(app, { uid, resourceVersion: String(resourceVersion) })
    await expect(stale).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining(String(resourceVersion)),
    })
    const fresh = (await w.reader.stream(app))?.resourceVersion
    await w.writer.delete(app, { uid, resourceVersion: String(fresh) })
    expect(await w.reader.stream(app)).toBeUndefined()
  })

  test('with a resourceVersion does not happen when a tag moves meanwhile', async () => {
    const w = await pushed()
    const resourceVersion = String((await w.reader.stream(app))?.resourceVersion)
    const move = () => w.writer.changeTag(app, 'one', () => ({ event: event('b') }))
    w.faults.next = [{ status: 'committed', first: move }]
    await expect(w.writer.delete(app, { resourceVersion })).rejects.toMatchObject({ code: 'CONFLICT' })
    expect((await w.reader.tag(app, 'one'))?.record.items[0]?.image).toBe(digest('b'))
  })

  test.each([true, false])('happens when its answer got lost (landed: %s)', async (lands) => {
    const w = await pushed()
    w.faults.next = [{ status: 'unknown', lands }]
    await w.writer.delete(app)
    expect(await w.reader.stream(app)).toBeUndefined()
  })

  test('does not touch a stream that was made anew while its answer got lost', async () => {
    const w = await pushed()
    w.faults.next = [{ status: 'unknown', lands: true, after: () => w.writer.create(app) }]
    await w.writer.delete(app)
    expect(await w.reader.stream(app)).toBeDefined()
  })
})

describe('deleting a stream that has an immutable tag', () => {
  const says = { annotations: { 'weir.dev/immutable': 'o*,m*' } }
  const protect = (w: World) => w.writer.changeStream(app, ({ stream }) => ({ object: { ...stream, ...says } }))

  test('is refused when somebody asks for it, dry run or not, and goes with its project', async () => {
    const w = await pushed()
    await protect(w)
    for (const dryRun of [true, false]) {
      const refused = w.writer.delete(app, {}, { isAsked: true, dryRun })
      await expect(refused).rejects.toMatchObject({ code: 'INVALID', subject: { name: 'app', kind: 'imagestreams' } })
    }
    await w.writer.delete(app)
    expect(await w.reader.stream(app)).toBeUndefined()
  })

  test('is refused when that is said at the same moment', async () => {
    const w = await pushed()
    w.faults.next = [{ status: 'committed', first: () => protect(w) }]
    await expect(w.writer.delete(app, {}, { isAsked: true })).rejects.toMatchObject({ code: 'INVALID' })
    expect(await w.reader.stream(app)).toBeDefined()
  })

  test('names the first of many', async () => {
    const w = await pushed()
    for (const tag of ['m1', 'm2', 'm3', 'm4', 'm5'])
      await w.writer.changeTag(app, tag, () => ({ event: event('a') }), { create: true })
    await protect(w)
    const message = expect.stringContaining('m1, m2, m3, m4, m5 and 1 more;')
    await expect(w.writer.delete(app, {}, { isAsked: true })).rejects.toMatchObject({ message })
  })

  test('that stands at nothing is not refused', async () => {
    const w = await world()
    await w.writer.create(app, says)
    await w.writer.delete(app, {}, { isAsked: true })
    expect(await w.reader.stream(app)).toBeUndefined()
  })
})

test('deleting a stream that denies deletions is refused when somebody asks for it, and goes with its project', async () => {
  const w = await world()
  await w.writer.create(app, { annotations: { 'weir.dev/deletes': 'denied' } })
  await expect(w.writer.delete(app, {}, { isAsked: true })).rejects.toMatchObject({ code: 'FORBIDDEN' })
  await w.writer.delete(app)
  expect(await w.reader.stream(app)).toBeUndefined()
})

describe('a stream made anew under an old name', () => {
  test('has none of the old tags, and their revisions and notices go on', async () => {
    const w = await pushed()
    const old = await w.writer.delete(app)
    const fresh = await w.writer.create(app)
    expect(fresh.uid).not.toBe(old.uid)
    expect(fresh.generation).toBe(1)
    expect(await w.reader.tags(app)).toEqual([])
    const result = await w.writer.changeTag(app, 'one', ({ tag }) => {
      expect(tag).toBeUndefined()
      return { event: event('b') }
    })
    expect(result?.entry).toMatchObject({ revision: 2, uid: fresh.uid })
    expect(result?.entry).not.toHaveProperty('previousImage')
    expect(result?.tag?.record.items).toHaveLength(1)
    expect((await w.reader.tags(app)).map(({ name }) => name)).toEqual(['one'])
    expect((await w.dump('outbox/demo/app/one')).map(({ key }) => key)).toEqual([
      'outbox/demo/app/one!000000000001',
      'outbox/demo/app/one!000000000002',
    ])
  })

  test('I3: shows the ledger of the earlier one, whose project each entry names', async () => {
    const w = await pushed()
    await w.writer.delete(app)
    await w.project('demo', 'uid-anew')
    await w.writer.changeTag(app, 'one', () => ({ event: event('b') }), { create: true })
    const ledger = await w.reader.ledger(app, 'one')
    expect(ledger.map(({ revision, projectUid }) => [revision, projectUid])).toEqual([
      [2, 'uid-anew'],
      [1, 'uid-of-demo'],
    ])
  })
})
