import { describe, expect, test } from 'vitest'
import { followedAcross, pathAbove, type TagName, validateFollow } from '../../src/streams/followed-across.ts'
import { placesOfAcross } from '../../src/streams/keys.ts'
import type { TagRecord, TagReference } from '../../src/streams/records.ts'
import type { TagChange } from '../../src/streams/streams.ts'
import { app, event, type World, wanted, world } from './world.ts'

const annotations = { 'weir.dev/follow': 'true' }
const ann = { name: 'ann', groups: ['team'] }

function follows(tag: string, name: string, more: Partial<TagReference> = {}): TagChange {
  return { spec: { ...wanted(tag), from: { kind: 'ImageStreamTag', name, namespace: 'live' }, annotations, ...more } }
}

async function change(w: World, tag: string, next: TagChange): Promise<TagRecord | undefined> {
  return (await w.writer.changeTag(app, tag, () => next, { create: true }))?.tag?.record
}

async function index(w: World): Promise<string[]> {
  return (await w.dump('index/across/')).map(({ key, value }) => `${key.slice(13)} ${value}`)
}

describe('by whose right a tag follows', () => {
  test('stays while it follows the same, whatever else changes', async () => {
    const w = await world()
    await change(w, 'a', { ...follows('a', 'web:x'), followsAs: ann })
    await change(w, 'a', follows('a', 'web:x', { annotations: { ...annotations, note: 'x' } }))
    await change(w, 'a', { event: event('a'), lastSeen: event('a').image as never })
    expect(await change(w, 'a', { condition: { reason: 'NotFound', message: 'gone' } })).toMatchObject({
      followsAs: ann,
    })
  })

  test.each<[string, TagChange]>([
    ['another tag', follows('a', 'web:y')],
    ['another stream', follows('a', 'other:x')],
    ['nothing', follows('a', 'web:x', { annotations: null })],
    ['a mere reference', follows('a', 'web:x', { reference: true })],
    ['a tag of its own stream', follows('a', 'app:x', { from: { kind: 'ImageStreamTag', name: 'x' } })],
    ['an image of a registry', { spec: wanted('a') }],
    ['nothing wanted', { spec: null }],
  ])('ends when it follows %s, with nobody who vouches for that', async (_, next) => {
    const w = await world()
    await change(w, 'a', { ...follows('a', 'web:x'), event: event('a'), followsAs: ann })
    expect((await change(w, 'a', next))?.followsAs).toBeUndefined()
  })

  test('is of nobody where nothing of another stream is followed', async () => {
    const w = await world()
    expect((await change(w, 'a', { spec: wanted('a'), followsAs: ann }))?.followsAs).toBeUndefined()
  })

  test('ends with the stream: one that is made anew has its own', async () => {
    const w = await world()
    await change(w, 'a', { ...follows('a', 'web:x'), followsAs: ann })
    const [before] = await index(w)
    await w.writer.delete(app)
    expect((await change(w, 'a', follows('a', 'web:x')))?.followsAs).toBeUndefined()
    const [after, ...more] = await index(w)
    expect([more, after === before]).toEqual([[], false])
    await w.writer.delete(app)
    await change(w, 'a', { spec: wanted('a') })
    expect(await index(w)).toEqual([])
  })
})

test.each<[string, Partial<TagReference>, TagName | undefined]>([
  ['a tag of another project', {}, { project: 'live', stream: 'web', tag: 'x' }],
  [
    'the stream of its own name elsewhere',
    { from: { kind: 'ImageStreamTag', name: 'x', namespace: 'live' } },
    { project: 'live', stream: 'app', tag: 'x' },
  ],
  ['a tag of its own stream', { from: { kind: 'ImageStreamTag', name: 'app:x', namespace: 'demo' } }, undefined],
  [
    'an image',
    { from: { kind: 'ImageStreamImage', name: `web@sha256:${'a'.repeat(64)}`, namespace: 'live' } },
    undefined,
  ],
  ['what says false', { annotations: { 'weir.dev/follow': 'false' } }, undefined],
  ['what inherits the word', { annotations: Object.create(annotations) }, undefined],
  ['what can name nothing', { from: { kind: 'ImageStreamTag', name: 'WEB:x y', namespace: 'live' } }, undefined],
])('what a tag follows: %s', (_, more, source) => {
  expect(followedAcross({ ...follows('a', 'web:x', more).spec } as TagReference, app)).toEqual(source)
})

test('what is refused where it is new is left alone where it is there, until the source is another', () => {
  const image = { kind: 'DockerImage', name: 'quay.io/a/b:1' } as const
  const bad = { annotations, from: image }
  expect(validateFollow(bad, undefined, 'f', app)).toHaveLength(1)
  expect(validateFollow(bad, { annotations: null, from: image }, 'f', app)).toHaveLength(1)
  expect(validateFollow(bad, bad, 'f', app)).toEqual([])
  expect(validateFollow({ annotations, from: { ...image, name: 'quay.io/a/b:2' } }, bad, 'f', app)).toHaveLength(1)
})

test('the way up ends where it comes round elsewhere', async () => {
  const at = (tag: string): TagName => ({ ...app, tag })
  const next: Record<string, string> = { a: 'b', b: 'c', c: 'b' }
  const { ends } = await pathAbove(at('a'), async ({ tag }) => (next[tag] ? at(next[tag]) : undefined))
  expect(ends).toBe('too-long')
})

test.each(['index/across/', 'index/across/a/b/c/d/e', 'index/across/a/b/c/d/e/f/g'])('%s names no follower', (key) => {
  expect(placesOfAcross(key)).toBeUndefined()
})
