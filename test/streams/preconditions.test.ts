import { expect, test } from 'vitest'
import { parseResourceVersion, requireStreamUnchanged, requireTagUnchanged } from '../../src/streams/preconditions.ts'
import type { CurrentTag } from '../../src/streams/streams.ts'
import { app, event, type World, world } from './world.ts'

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
