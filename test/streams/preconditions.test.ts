import { describe, expect, test } from 'vitest'
import {
  parseResourceVersion,
  requireChangeUnchanged,
  requireStreamUnchanged,
  requireTagUnchanged,
} from '../../src/streams/preconditions.ts'
import type { CurrentStream, CurrentTag, StreamChange, TagChange } from '../../src/streams/streams.ts'
import { app, event, type World, wanted, world } from './world.ts'

async function twoTags(): Promise<{ w: World; current: () => Promise<CurrentTag> }> {
  const w = await world()
  for (const tag of ['one', 'two']) await w.writer.changeTag(app, tag, () => ({ event: event('a') }), { create: true })
  const current = async () => {
    const stream = await w.reader.stream(app)
    if (stream === undefined) throw new TypeError('no stream')
    return { stream, tag: await w.reader.tag(app, 'one') }
  }
  return { w, current }
}

test('a change of another tag does not conflict, one of the same does and is told', async () => {
  const { w, current } = await twoTags()
  const resourceVersion = String((await current()).stream.resourceVersion)
  await w.writer.changeTag(app, 'two', () => ({ event: event('b') }))
  expect(async () => requireTagUnchanged(await current(), 'one', { resourceVersion })).not.toThrow()
  requireTagUnchanged(await current(), 'one', { resourceVersion })
  await w.writer.changeTag(app, 'one', () => ({ event: event('c') }))
  const changed = await current()
  expect(() => requireTagUnchanged(changed, 'one', { resourceVersion })).toThrow(
    expect.objectContaining({
      code: 'CONFLICT',
      message: expect.stringContaining(`updated the resource version to ${changed.tag?.storeRevision}`),
    }),
  )
})

test('the stream as a whole conflicts with a change of any tag', async () => {
  const { w, current } = await twoTags()
  const { stream } = await current()
  const resourceVersion = String(stream.resourceVersion)
  expect(() => requireStreamUnchanged(stream, { resourceVersion, uid: stream.uid })).not.toThrow()
  await w.writer.changeTag(app, 'two', () => ({ event: event('b') }))
  const changed = (await current()).stream
  expect(() => requireStreamUnchanged(changed, { resourceVersion })).toThrow(
    expect.objectContaining({
      code: 'CONFLICT',
      message: `the image stream "demo/app" was updated from "${resourceVersion}" to "${changed.resourceVersion}"`,
    }),
  )
})

test('another uid conflicts, none does not', async () => {
  const { current } = await twoTags()
  const now = await current()
  expect(() => requireTagUnchanged(now, 'one', { uid: 'other' })).toThrow(expect.objectContaining({ code: 'CONFLICT' }))
  expect(() => requireTagUnchanged(now, 'one', { uid: now.stream.uid })).not.toThrow()
  expect(() => requireTagUnchanged(now, 'one', { uid: '', resourceVersion: '' })).not.toThrow()
})

test('a tag that is not there conflicts with no version', async () => {
  const { current } = await twoTags()
  const { stream } = await current()
  expect(() => requireTagUnchanged({ stream, tag: undefined }, 'none', { resourceVersion: '1' })).not.toThrow()
})

test.each(['-1', 'abc', '1.5', '1e3', '9'.repeat(16)])('the resourceVersion %s is refused', (version) => {
  expect(() => parseResourceVersion(version)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }))
})

test('a resourceVersion is a number, absence none', () => {
  expect([undefined, '', '0', '17'].map(parseResourceVersion)).toEqual([undefined, undefined, 0, 17])
})

test('a tag that was deleted after what the client saw conflicts, and one that was deleted before does not', async () => {
  const { w, current } = await twoTags()
  const before = String((await current()).stream.resourceVersion)
  await w.writer.changeTag(app, 'one', () => ({ remove: { cause: { kind: 'delete', by: 'bob' } } }))
  const after = String((await current()).stream.resourceVersion)
  const change = (resourceVersion: string) =>
    w.writer.changeTag(app, 'one', (now) => {
      requireTagUnchanged(now, 'one', { resourceVersion })
      return { event: event('c') }
    })
  await expect(change(before)).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('was deleted, after'),
  })
  await expect(change(after)).resolves.toMatchObject({ changed: true })
})

test('a version that the store has not come to yet conflicts, on every write', async () => {
  const { w, current } = await twoTags()
  await w.writer.create({ project: 'demo', stream: 'other' })
  const { stream } = await current()
  const newest = (await w.store.range({ prefix: 'life/', limit: 0 })).revision
  expect(newest).toBeGreaterThan(stream.resourceVersion)
  const future = { code: 'CONFLICT', message: expect.stringContaining('is not there yet') }
  for (const [resourceVersion, isFuture] of [
    [String(newest), false],
    [String(newest + 1), true],
    ['999999999999999', true],
  ] as const) {
    const tag = () =>
      w.writer.changeTag(app, 'one', (now) => {
        requireTagUnchanged(now, 'one', { resourceVersion })
        return undefined
      })
    const whole = () =>
      w.writer.changeStream(app, (now) => {
        requireChangeUnchanged(now, {}, { resourceVersion })
        return undefined
      })
    if (isFuture) {
      await expect(tag()).rejects.toMatchObject(future)
      await expect(whole()).rejects.toMatchObject(future)
      await expect(w.writer.delete(app, { resourceVersion })).rejects.toMatchObject(future)
    } else await Promise.all([tag(), whole()])
  }
})

describe('a change of several things', () => {
  const object = { labels: {}, annotations: {}, lookupPolicy: { local: false } }
  const tags = (changes: Record<string, TagChange>): StreamChange => ({ tags: new Map(Object.entries(changes)) })

  async function judge(w: World, change: StreamChange, resourceVersion: string, uid?: string): Promise<void> {
    await w.writer.changeStream(app, (current: CurrentStream) => {
      requireChangeUnchanged(current, change, { resourceVersion, ...(uid === undefined ? {} : { uid }) })
      return undefined
    })
  }

  test('conflicts with what changed and would be changed, and names it', async () => {
    const { w, current } = await twoTags()
    const seen = String((await current()).stream.resourceVersion)
    await w.writer.changeTag(app, 'two', () => ({ event: event('b') }))
    await judge(w, tags({ one: { event: event('c') } }), seen)
    await judge(w, tags({ one: { event: event('c') }, two: { event: event('b') } }), seen)
    await judge(w, tags({ two: { spec: null } }), seen)
    await expect(judge(w, tags({ two: { spec: wanted('two') } }), seen)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringMatching(/was updated from "\d+" to "\d+": tag "two" is now at sha256:b+ \(revision 2\)/),
      subject: { kind: 'imagestreams', name: 'app' },
    })
  })

  test('judges metadata and the rest of the spec once, apart from tags', async () => {
    const { w, current } = await twoTags()
    const seen = String((await current()).stream.resourceVersion)
    await w.writer.changeTag(app, 'two', () => ({ event: event('b') }))
    await judge(w, { object: { ...object, labels: { a: 'b' } } }, seen)
    await w.writer.changeStream(app, () => ({ object: { ...object, labels: { a: 'b' } } }))
    await judge(w, tags({ one: { event: event('c') } }), seen)
    await judge(w, { object: { ...object, labels: { a: 'b' } }, ...tags({ one: { event: event('c') } }) }, seen)
    await expect(judge(w, { object }, seen)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('metadata or spec was changed'),
    })
  })

  test('conflicts with a tag that is gone and would come back', async () => {
    const { w, current } = await twoTags()
    const seen = String((await current()).stream.resourceVersion)
    await w.writer.changeTag(app, 'two', () => ({ remove: { cause: { kind: 'delete', by: 'bob' } } }))
    await expect(judge(w, tags({ two: { spec: wanted('two') } }), seen)).rejects.toMatchObject({ code: 'CONFLICT' })
    await judge(w, tags({ two: { spec: null } }), seen)
  })

  test('conflicts with another uid, and with nothing while the stream is not there', async () => {
    const { w, current } = await twoTags()
    const { stream } = await current()
    await expect(judge(w, {}, '', 'other')).rejects.toMatchObject({ code: 'CONFLICT' })
    await judge(w, {}, '', stream.uid)
    const unborn = { stream: { ...stream, resourceVersion: 0 }, tags: [], gone: new Map(), storeRevision: 9 }
    expect(() => requireChangeUnchanged(unborn, { object }, { resourceVersion: '7' })).not.toThrow()
    expect(() => requireChangeUnchanged(unborn, {}, { resourceVersion: 'x' })).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST' }),
    )
  })
})
