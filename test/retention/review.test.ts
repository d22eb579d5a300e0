import { describe, expect, test, vi } from 'vitest'
import { readAll } from '../../src/content/reader.ts'
import { makeImage, makeIndex, type TestImage, type TestIndex } from '../support/images.ts'
import { app, type RetentionWorld, retentionWorld } from './world.ts'

const v1 = makeImage('v1')
const firstReviewMs = 30_000
const dayMs = 24 * 3_600_000

async function imported(options: Parameters<typeof retentionWorld>[0] = {}): Promise<RetentionWorld> {
  const there = await retentionWorld(options)
  there.registry.put('lib/app', v1, { tag: 'v1' })
  await there.importImage('app', 'prod', `${there.repository}:v1`)
  return there
}

/** As a process leaves it that knew nothing of the index. */
async function forgotten(there: RetentionWorld, tag = 'prod'): Promise<void> {
  await there.store.commit({ operations: [{ type: 'delete', key: `index/unheld/demo/app/${tag}` }] })
}

async function held(there: RetentionWorld, image: TestImage | TestIndex = v1): Promise<void> {
  await vi.waitFor(async () => expect(await there.isHeld(image)).toBe(true), { timeout: 10_000 })
}

/** `demo/app:prod` at an index for amd64 and arm64. */
async function importedIndex(there: RetentionWorld) {
  const { children, ...index } = makeIndex('multi', ['amd64', 'arm64'])
  const [amd64, arm64] = children
  if (amd64 === undefined || arm64 === undefined) throw new Error('no children')
  there.registry.put('lib/app', { ...index, children }, { tag: 'v1' })
  await there.importImage('app', 'prod', `${there.repository}:v1`)
  return { ...index, children: [amd64, arm64] as [TestImage, TestImage] }
}

/** As a client pulls it: all of it, by digest. */
async function pull(there: RetentionWorld, { manifest, config, layers }: TestImage): Promise<void> {
  await there.pullThrough.manifest(app, manifest.digest, { head: false })
  for (const { digest } of [config, ...layers]) await readAll(await there.pullThrough.blob(app, digest))
}

/** Waits until the pins are about to be looked at. */
async function waiting(there: RetentionWorld, ms: number): Promise<void> {
  await vi.waitFor(() => expect(there.pauses).toContain(ms))
}

describe('a look at all pins', () => {
  test('finds pins from before anything was kept, soon after the start', async () => {
    const there = await imported()
    await forgotten(there)
    there.start()
    await waiting(there, firstReviewMs)
    expect(await there.unheld()).toBeUndefined()
    there.goOn(firstReviewMs)
    await held(there)
    await there.settled()
  })

  test('finds what was lost since, a day later', async () => {
    const there = await imported()
    there.start()
    await held(there)
    await there.settled()
    const [layer] = v1.layers
    if (layer === undefined) throw new Error('no layer')
    await waiting(there, firstReviewMs)
    there.goOn(firstReviewMs)
    await waiting(there, dayMs)
    expect(await there.content.remove(layer.digest, { unusedSince: Number.MAX_SAFE_INTEGER })).toBeGreaterThan(0)
    expect(await there.retention.state(app, 'prod')).toMatchObject({ state: 'fetching' })
    there.goOn(dayMs)
    await held(there)
  })

  test('finds an index that nobody read, and nobody calls it held before', async () => {
    const there = await retentionWorld()
    const index = await importedIndex(there)
    await forgotten(there)
    expect(await there.retention.state(app, 'prod')).toMatchObject({ state: 'fetching', heldParts: 1 })
    there.start()
    await waiting(there, firstReviewMs)
    expect(await there.retention.state(app, 'prod')).toMatchObject({ state: 'fetching', heldParts: 1 })
    there.goOn(firstReviewMs)
    await held(there, index)
    await there.settled()
    expect(await there.retention.state(app, 'prod')).toMatchObject({ state: 'held', parts: 7 })
  })

  test('lets lists say held of what it has looked at, and nothing of what it has not', async () => {
    const there = await imported()
    await forgotten(there)
    const listed = async () => {
      const [stream, tag] = [await there.reader.stream(app), await there.tagOf()]
      return stream && tag && (await there.retention.states(stream, [tag])).get('prod')?.state
    }
    there.start()
    expect(await listed()).toBeUndefined()
    await vi.waitFor(async () => {
      there.goOn(firstReviewMs)
      expect(await listed()).toBe('held')
    })
    expect((await there.retention.state(app, 'prod'))?.state).toBe('held')
  })

  test('asks no upstream and writes nothing where everything is held', async () => {
    const there = await imported()
    await there.importImage('app', 'other', `${there.repository}:v1`)
    there.start()
    await held(there)
    await there.settled()
    const asked = there.registry.requests.length
    const { revision } = await there.store.range({ prefix: 'none', limit: 0 })
    await waiting(there, firstReviewMs)
    there.goOn(firstReviewMs)
    await waiting(there, dayMs)
    expect(there.registry.requests).toHaveLength(asked)
    expect((await there.store.range({ prefix: 'none', limit: 0 })).revision).toBe(revision)
  })

  test('leaves tags alone that keep what is pulled, those of streams that are gone, and those without a link', async () => {
    const there = await imported({ policy: { retain: 'pulled' } })
    await there.writer.create({ project: 'demo', stream: 'gone' })
    await there.importImage('gone', 'prod', `${there.repository}:v1`)
    await there.annotateTag({ 'weir.dev/retain': 'pinned' })
    await forgotten(there)
    await there.store.commit({
      operations: [
        { type: 'delete', key: `link/demo/app/${v1.manifest.digest}` },
        { type: 'delete', key: 'index/unheld/demo/gone/prod' },
      ],
    })
    await there.writer.delete({ project: 'demo', stream: 'gone' })
    const v2 = makeImage('v2')
    there.registry.put('lib/app', v2, { tag: 'v2' })
    await there.importImage('app', 'pulled', `${there.repository}:v2`)
    await forgotten(there, 'pulled')
    const { revision } = await there.store.range({ prefix: 'none', limit: 0 })
    there.start()
    await waiting(there, firstReviewMs)
    there.goOn(firstReviewMs)
    await waiting(there, dayMs)
    expect((await there.store.range({ prefix: 'none', limit: 0 })).revision).toBe(revision)
  })
})

describe('a change of what is kept', () => {
  test('on a tag, its stream or its project fetches what is wanted now, at once', async () => {
    for (const level of ['tag', 'stream', 'project'] as const) {
      const there = await imported({ policy: { retain: 'pulled' } })
      there.start()
      await there.settled()
      expect(await there.isHeld(v1), level).toBe(false)
      // The changes of annotations are followed from the start.
      await waiting(there, firstReviewMs)
      const annotations = { 'weir.dev/retain': 'pinned' }
      if (level === 'tag') await there.annotateTag(annotations)
      else await there.annotate(level, annotations)
      await held(there)
      expect(await there.retention.state(app, 'prod'), level).toMatchObject({ state: 'held' })
    }
  })

  test('the most specific level wins: a tag that is pulled only, in a stream that is pinned', async () => {
    const there = await imported({ policy: { retain: 'pulled' } })
    await there.importImage('app', 'dev', `${there.repository}:v1`)
    const v2 = makeImage('v2')
    there.registry.put('lib/app', v2, { tag: 'v2' })
    await there.importImage('app', 'other', `${there.repository}:v2`)
    await there.annotate('project', { 'weir.dev/retain': 'pulled' })
    await there.annotate('stream', { 'weir.dev/retain': 'pinned' })
    await there.annotateTag({ 'weir.dev/retain': 'pulled' }, 'other')
    there.start()
    await there.settled()
    expect(await there.isHeld(v1)).toBe(true)
    expect(await there.isHeld(v2)).toBe(false)
    await vi.waitFor(async () => {
      there.goOn(firstReviewMs)
      const states = await there.retention.states(
        (await there.reader.stream(app)) ?? expect.fail('no stream'),
        await there.reader.tags(app),
      )
      expect([...states].map(([tag, { state }]) => [tag, state])).toEqual([
        ['dev', 'held'],
        ['prod', 'held'],
      ])
    })
  })

  test('of the platforms fetches another child, and only that', async () => {
    const there = await retentionWorld()
    const index = makeIndex('multi', ['amd64', 's390x'])
    const [amd64, s390x] = index.children
    if (amd64 === undefined || s390x === undefined) throw new Error('no children')
    there.registry.put('lib/app', index, { tag: 'v1' })
    await there.importImage('app', 'prod', `${there.repository}:v1`)
    there.start()
    await there.settled()
    expect([await there.isHeld(amd64), await there.isHeld(s390x)]).toEqual([true, false])
    const before = there.fetched().length
    await there.annotateTag({ 'weir.dev/platforms': 'linux/amd64,linux/s390x' })
    await there.settled()
    expect(await there.isHeld(s390x)).toBe(true)
    const own = [s390x.config, ...s390x.layers].map(({ digest }) => digest)
    expect(there.fetched().slice(before).sort()).toEqual(own.sort())
  })
})

describe('a prefetch', () => {
  test('holds what a tag needs whatever its policy keeps, and tells how far it is when it is asked again', async () => {
    const there = await imported({ policy: { retain: 'pulled' } })
    there.start()
    await there.settled()
    const blobs = there.registry.hold(new RegExp(`${v1.layers[0]?.digest}`))
    const first = await there.retention.prefetch(app, 'prod', 'ann')
    expect(first).toMatchObject({ image: v1.manifest.digest, state: 'fetching', parts: 3, heldParts: 2 })
    expect(await there.unheld()).toMatchObject({ forced: true, by: 'ann' })
    await blobs.arrived()
    const { id } = (await there.unheld()) ?? {}
    expect(await there.retention.prefetch(app, 'prod', 'ann')).toMatchObject({ state: 'fetching' })
    expect(await there.unheld()).toMatchObject({ id })
    expect(await there.retention.state(app, 'prod')).toMatchObject({ state: 'fetching' })
    blobs.release()
    await held(there)
    await there.settled()
    expect(await there.retention.prefetch(app, 'prod', 'ann')).toMatchObject({ state: 'held', parts: 3, heldParts: 3 })
    expect(await there.unheld()).toBeUndefined()
  })

  test('tells a failure, and tries again when it is asked later', async () => {
    const there = await imported()
    const [layer] = v1.layers
    if (layer === undefined) throw new Error('no layer')
    there.registry.remove(layer.digest)
    there.start()
    await vi.waitFor(async () => expect(await there.unheld()).toMatchObject({ failure: { reason: 'NotFound' } }))
    const told = await there.retention.prefetch(app, 'prod', 'ann')
    expect(told).toMatchObject({ state: 'failed', message: expect.stringContaining(layer.digest) })
    there.registry.put('lib/app', v1)
    // Whoever asks again and again does not have the registry asked as often.
    const { id } = (await there.unheld()) ?? {}
    there.clock.advance(55_000)
    expect(await there.retention.prefetch(app, 'prod', 'ann')).toMatchObject({ state: 'failed' })
    expect(await there.unheld()).toMatchObject({ id })
    there.clock.advance(6_000)
    expect(await there.retention.prefetch(app, 'prod', 'ann')).toMatchObject({ state: 'fetching' })
    await held(there)
  })

  test('holds an index that nobody pulled, where only what is pulled is kept', async () => {
    const there = await retentionWorld({ policy: { retain: 'pulled' } })
    const index = await importedIndex(there)
    there.start()
    await there.settled()
    expect(await there.isHeld(index)).toBe(false)
    expect(await there.retention.prefetch(app, 'prod', 'ann')).toMatchObject({ state: 'fetching' })
    await there.settled()
    expect(await there.isHeld(index)).toBe(true)
    expect(await there.retention.prefetch(app, 'prod', 'ann')).toMatchObject({ state: 'held', parts: 7, heldParts: 7 })
  })

  test('holds the whole of an index of which one child was pulled', async () => {
    const there = await retentionWorld({ policy: { retain: 'pulled' } })
    const index = await importedIndex(there)
    there.start()
    await there.settled()
    const [pulled] = index.children
    await pull(there, pulled)
    await held(there, pulled)
    expect(await there.retention.prefetch(app, 'prod', 'ann')).toMatchObject({ state: 'fetching' })
    await there.settled()
    expect(await there.isHeld(index)).toBe(true)
  })

  test('of an index with a child that its registry does not have ends as held, and tells what was left out', async () => {
    const there = await retentionWorld({ policy: { retain: 'pulled' } })
    const index = await importedIndex(there)
    const [amd64, arm64] = index.children
    there.registry.remove(arm64.manifest.digest)
    there.start()
    await there.settled()
    expect(await there.retention.prefetch(app, 'prod', 'ann')).toMatchObject({ state: 'fetching' })
    await there.settled()
    const told = await there.retention.prefetch(app, 'prod', 'ann')
    expect(told).toMatchObject({ state: 'held', message: expect.stringContaining(arm64.manifest.digest) })
    expect(told.heldParts).toBe(told.parts)
    expect(await there.isHeld(amd64)).toBe(true)
    expect(await there.unheld()).toBeUndefined()
    // Its registry may have it by now.
    there.registry.put('lib/app', arm64)
    there.clock.advance(61_000)
    expect(await there.retention.prefetch(app, 'prod', 'ann')).toMatchObject({ state: 'fetching' })
    await there.settled()
    const whole = await there.retention.prefetch(app, 'prod', 'ann')
    expect(whole).toMatchObject({ state: 'held', parts: 7, heldParts: 7 })
    expect(whole).not.toHaveProperty('message')
    expect(await there.isHeld(index)).toBe(true)
    expect(await there.store.get('index/left-out/demo/app/prod')).toBeUndefined()
  })

  test('is not content with what was left out of another image, or for a stream that is gone', async () => {
    for (const other of [{ image: v1.manifest.digest }, { uid: 'another' }]) {
      const there = await retentionWorld({ policy: { retain: 'pulled' } })
      const index = await importedIndex(there)
      const [, arm64] = index.children
      there.registry.remove(arm64.manifest.digest)
      const running = there.start()
      await there.settled()
      await there.retention.prefetch(app, 'prod', 'ann')
      await there.settled()
      await running.stop()
      const key = 'index/left-out/demo/app/prod'
      const record = JSON.parse((await there.store.get(key))?.value ?? '')
      expect(record).toMatchObject({ image: index.manifest.digest, digests: [arm64.manifest.digest] })
      await there.store.commit({ operations: [{ type: 'put', key, value: JSON.stringify({ ...record, ...other }) }] })
      expect(await there.retention.prefetch(app, 'prod', 'ann')).toMatchObject({ state: 'fetching' })
      expect(await there.unheld()).toMatchObject({ forced: true })
    }
  })

  test('of what is not there is NOT_FOUND', async () => {
    const there = await retentionWorld()
    for (const [name, tag] of [
      [app, 'none'],
      [{ project: 'demo', stream: 'none' }, 'prod'],
    ] as const) {
      await expect(there.retention.prefetch(name, tag, 'ann')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    }
  })
})

test('I5: what another stream holds counts for nobody else, and is fetched again through the own link', async () => {
  const there = await imported()
  there.start()
  await held(there)
  await there.settled()
  await there.objects.create('namespaces', '', { metadata: { name: 'other' } })
  const other = { project: 'other', stream: 'app' }
  await there.importer.import({
    ...other,
    by: 'eve',
    images: [{ from: `${there.repository}:v1`, to: 'prod', importPolicy: {} }],
  })
  const before = there.fetched().length
  await vi.waitFor(async () =>
    expect(await there.retention.state(other, 'prod')).toMatchObject({ state: 'held', heldParts: 3 }),
  )
  expect(there.fetched().slice(before)).toEqual(expect.arrayContaining(v1.layers.map(({ digest }) => digest)))
})
