import { describe, expect, test } from 'vitest'
import { makeImage, makeIndex } from '../support/images.ts'
import { collectorWorld, dayMs, digestsOf, here, hourMs, sizeOf, upstream } from './world.ts'

const app = { project: 'demo', stream: 'app' }
const web = { project: 'demo', stream: 'web' }
const layer = Buffer.from('a layer that both have')
const one = makeImage('one', { layers: [layer, Buffer.from('of one')] })
const two = makeImage('two', { layers: [layer, Buffer.from('of two')] })
const three = makeImage('three')
const index = makeIndex('many')
const rollback = { kind: 'rollback' as const }

const real = { dryRun: false }

describe('what a pin needs', () => {
  test('stays, however old it is', async () => {
    const { collector, move, later, heldDigests } = await collectorWorld()
    await move(app, 'prod', one)
    later(400 * dayMs)
    const report = await collector.prune(real)
    expect(report).toMatchObject({ freedBytes: 0, freed: [], freedCount: 0, removedLinks: 0 })
    expect(report.kept).toEqual([{ reason: 'pinned', count: 4, bytes: sizeOf(one) }])
    expect(await heldDigests()).toEqual(digestsOf(one))
  })

  test('stays for a follower when its source has moved on', async () => {
    const { collector, move, writer, later, heldDigests } = await collectorWorld()
    await move(app, 'prod', one)
    const from = { kind: 'ImageStreamTag' as const, name: 'app:prod' }
    const spec = {
      name: 'stable',
      annotations: null,
      from,
      importPolicy: {},
      referencePolicy: { type: 'Local' as const },
    }
    await writer.changeTag(app, 'stable', () => ({ spec, wantedBy: { by: 'alice' } }))
    await writer.changeTag(app, 'prod', () => ({ remove: { cause: { kind: 'delete', by: 'alice' } } }))
    later(30 * dayMs)
    await collector.prune(real)
    expect(await heldDigests()).toEqual(digestsOf(one))
  })

  test('is pinned for the wanted platforms, and may go for others', async () => {
    const { collector, move, later } = await collectorWorld()
    await move(app, 'prod', index)
    later(2 * dayMs)
    const { kept } = await collector.prune(real)
    const [amd64, arm64] = index.children
    if (!amd64 || !arm64) throw new TypeError('an index has children')
    const pinned = sizeOf(amd64) + index.manifest.bytes.length
    expect(kept).toEqual([
      { reason: 'pinned', count: 4, bytes: pinned },
      { reason: 'pulled', count: 3, bytes: sizeOf(arm64) },
    ])
  })

  test('is looked for by few lists of platforms, however many its tags write, and then for all platforms', async () => {
    const world = await collectorWorld()
    const platformsOf = (n: number) => ({
      'weir.dev/platforms': `linux/amd64,linux/other${n}`,
      'weir.dev/retain': 'pinned',
    })
    for (let n = 0; n < 60; n += 1) await world.move(app, `t${n}`, index, { annotations: platformsOf(n) })
    world.later(2 * dayMs)
    const [child = one] = index.children
    let looks = 0
    const get: typeof world.store.get = (key) => {
      if (key.startsWith('link/') && key.endsWith(child.manifest.digest)) looks += 1
      return world.store.get(key)
    }
    const { kept } = await world.open({ store: { ...world.store, get } }).prune(real)
    expect(looks).toBeLessThan(30)
    expect(kept.map(({ reason }) => reason)).toEqual(['pinned'])
  })

  test('is walked through once where the newest revision leads there too', async () => {
    const world = await collectorWorld()
    for (const image of [one, two]) await world.move(app, 'prod', image)
    let looks = 0
    const get: typeof world.store.get = (key) => {
      if (key.startsWith(`image/${two.manifest.digest}`)) looks += 1
      return world.store.get(key)
    }
    await world.open({ store: { ...world.store, get } }).prune(real)
    expect(looks).toBe(1)
    expect(await world.heldDigests()).toEqual(digestsOf(one, two))
  })

  test('is looked for by each of few lists of platforms', async () => {
    const world = await collectorWorld()
    for (const [n, platforms] of ['linux/s390x', 'linux/arm64,linux/s390x', 'linux/s390x,linux/arm64'].entries())
      await world.move(app, `t${n}`, index, { annotations: { 'weir.dev/platforms': platforms } })
    const { kept } = await world.collector.prune(real)
    const [amd64 = one] = index.children
    expect(kept.find(({ reason }) => reason === 'pulled')).toMatchObject({ bytes: sizeOf(amd64) })
  })

  test('is what its tag keeps by annotation: of tag, stream or project', async () => {
    const { collector, move, stream, later } = await collectorWorld()
    await stream(app, { 'weir.dev/retain': 'pulled' })
    await move(app, 'prod', one)
    await move(app, 'kept', two, { annotations: { 'weir.dev/retain': 'pinned' } })
    later(2 * dayMs)
    const { kept } = await collector.prune(real)
    expect(kept.map(({ reason }) => reason).sort()).toEqual(['pinned', 'pulled'])
    expect(kept.find(({ reason }) => reason === 'pinned')?.bytes).toBe(sizeOf(two))
  })
})

describe('what nothing needs any more', () => {
  test('goes a day after it was last used, with a deleted stream', async () => {
    const { collector, move, writer, later, heldDigests } = await collectorWorld()
    await move(app, 'prod', one)
    await move(web, 'prod', two)
    await writer.delete(app)
    later(23 * hourMs)
    expect(await collector.prune(real)).toMatchObject({ freedBytes: 0 })
    expect(await heldDigests()).toEqual(digestsOf(one, two))
    later(2 * hourMs)
    const report = await collector.prune(real)
    expect(await heldDigests()).toEqual(digestsOf(two))
    expect(report.freedBytes).toBe(sizeOf(one) - layer.length)
    expect(report.freed.map(({ reason }) => reason)).toEqual(['unlinked', 'unlinked', 'unlinked'])
  })

  test('stays while it is used', async () => {
    const { collector, content, move, writer, later, heldDigests } = await collectorWorld()
    await move(app, 'prod', one)
    await writer.delete(app)
    later(30 * dayMs)
    await content.touch(one.config.digest)
    later(5 * 60_000)
    const report = await collector.prune({ dryRun: false, keepYoungerThanMs: 0 })
    expect(report.kept).toEqual([{ reason: 'being used', count: 1, bytes: one.config.bytes.length }])
    expect(await heldDigests()).toEqual([one.config.digest])
  })

  test('goes with the project', async () => {
    const { collector, store, move, later, heldDigests } = await collectorWorld()
    await move(app, 'prod', one)
    for (const family of ['link', 'tag', 'event', 'life', 'object/imagestreams', 'stream', 'generation']) {
      for await (const { key } of await store.range({ prefix: `${family}/demo/` })) {
        await store.commit({ operations: [{ type: 'delete', key }] })
      }
    }
    later(2 * dayMs)
    await collector.prune(real)
    expect(await heldDigests()).toEqual([])
  })

  test('goes when a tag was replaced and its history keeps no bytes; links and ledger stay', async () => {
    const { collector, move, later, heldDigests, link, reader } = await collectorWorld()
    await move(app, 'prod', one)
    await move(app, 'prod', two)
    later(2 * dayMs)
    const report = await collector.prune(real)
    expect(await heldDigests()).toEqual(digestsOf(two))
    expect(report.freed.map(({ reason }) => reason)).toEqual(Array(3).fill('beyond history-keep'))
    expect(report.removedLinks).toBe(0)
    for (const digest of digestsOf(one)) expect(await link(app, digest)).toBeDefined()
    expect(await reader.ledger(app, 'prod')).toHaveLength(2)
  })

  test('is not gone yet while another stream needs it', async () => {
    const { collector, move, later, heldDigests } = await collectorWorld()
    await move(app, 'prod', one)
    await move(app, 'prod', two)
    await move(web, 'prod', one)
    later(2 * dayMs)
    await collector.prune(real)
    expect(await heldDigests()).toEqual(digestsOf(one, two))
  })
})

describe('the history', () => {
  test('keeps the bytes of as many revisions as it says', async () => {
    const { collector, move, stream, later, heldDigests } = await collectorWorld()
    const images = [1, 2, 3, 4].map((n) => makeImage(`revision ${n}`))
    await stream(app, { 'weir.dev/history-keep': '2' })
    for (const image of images) await move(app, 'prod', image)
    later(2 * dayMs)
    const { kept } = await collector.prune(real)
    expect(await heldDigests()).toEqual(digestsOf(...images.slice(2)))
    expect(
      kept
        .map(({ reason, count }) => [reason, count])
        .sort()
        .reverse(),
    ).toEqual([
      ['pinned', 3],
      ['history', 3],
    ])
  })

  test('keeps those that were in force in the last days', async () => {
    const { collector, move, stream, later, heldDigests } = await collectorWorld()
    const [first, second, third] = [1, 2, 3].map((n) => makeImage(`revision ${n}`)) as [
      typeof one,
      typeof one,
      typeof one,
    ]
    await stream(app, { 'weir.dev/history-keep-days': '10' })
    await move(app, 'prod', first)
    later(20 * dayMs)
    await move(app, 'prod', second)
    later(20 * dayMs)
    await move(app, 'prod', third)
    later(9 * dayMs)
    await collector.prune(real)
    // The second was in force until nine days ago, the first until 29.
    expect(await heldDigests()).toEqual(digestsOf(second, third))
    later(2 * dayMs)
    await collector.prune(real)
    expect(await heldDigests()).toEqual(digestsOf(third))
  })

  test('of a deleted tag keeps bytes, so that it can be rolled back', async () => {
    const { collector, move, stream, writer, later, heldDigests } = await collectorWorld()
    await stream(app, { 'weir.dev/history-keep-days': '10' })
    await move(app, 'prod', one, { location: here })
    await writer.changeTag(app, 'prod', () => ({ remove: { cause: { kind: 'delete', by: 'alice' } } }))
    later(9 * dayMs)
    await collector.prune(real)
    expect(await heldDigests()).toEqual(digestsOf(one))
    await move(app, 'prod', one, { ...rollback, location: here })
    later(30 * dayMs)
    await collector.prune(real)
    expect(await heldDigests()).toEqual(digestsOf(one))
  })

  test.each([
    ['pushed', here],
    ['imported', upstream],
  ])('of a deleted tag keeps as much as any other, the deletion counted, of what was %s', async (_, location) => {
    const { collector, move, stream, writer, later, heldDigests } = await collectorWorld()
    await stream(app, { 'weir.dev/history-keep': '3' })
    for (const image of [one, two, three]) await move(app, 'prod', image, { location })
    await writer.changeTag(app, 'prod', () => ({ remove: { cause: { kind: 'delete', by: 'alice' } } }))
    later(3650 * dayMs)
    await collector.prune(real)
    expect(await heldDigests()).toEqual(digestsOf(two, three))
    await stream(app, { 'weir.dev/history-keep': '1' })
    await collector.prune(real)
    expect(await heldDigests()).toEqual([])
  })

  test('of a stream that was made anew keeps the bytes of the earlier one', async () => {
    const { collector, move, stream, writer, later, heldDigests, links } = await collectorWorld()
    await move(app, 'prod', one, { location: here })
    await writer.delete(app)
    await stream(app, { 'weir.dev/history-keep': '5' })
    later(30 * dayMs)
    const { removedLinks } = await collector.prune(real)
    expect(removedLinks).toBe(0)
    // The tag was never used in the new stream: nothing shows which of its records still count.
    expect(await heldDigests()).toEqual(digestsOf(one))
    expect(await links.revive(app, one.manifest.digest)).toMatchObject({ received: true })
  })

  test('keeps the candidate of a held tag', async () => {
    const { collector, move, admit, writer, later, heldDigests } = await collectorWorld()
    await move(app, 'prod', one)
    await admit(app, two)
    const { digest: image, mediaType } = two.manifest
    const cause = { kind: 'scheduled' as const, by: 'weir' }
    const candidate = { image, mediaType, dockerImageReference: 'a', seenAt: '2026-01-01T00:00:00Z', cause }
    await writer.changeTag(app, 'prod', () => ({ hold: { by: 'alice' }, candidate }))
    later(90 * dayMs)
    const report = await collector.prune(real)
    expect(report).toMatchObject({ freedBytes: 0, removedLinks: 0 })
    expect(await heldDigests()).toEqual(digestsOf(one, two))
  })
})

describe('an import under way', () => {
  test('keeps its links and bytes for a day; what came to nothing goes then, links with bytes', async () => {
    const { collector, move, admit, link, later, heldDigests, unlinked, stream, dump } = await collectorWorld()
    await move(web, 'prod', two)
    const index = makeIndex('lost')
    await admit(app, index)
    later(23 * hourMs)
    expect(await collector.prune(real)).toMatchObject({ freedBytes: 0, removedLinks: 0 })
    later(2 * hourMs)
    const report = await collector.prune(real)
    expect(report).toMatchObject({ freedBytes: sizeOf(index), removedLinks: digestsOf(index).length })
    expect(await heldDigests()).toEqual(digestsOf(two))
    for (const digest of digestsOf(index)) expect(await link(app, digest)).toBeUndefined()
    expect((await dump('index/image/')).map(({ key }) => key)).toEqual([`index/image/${two.manifest.digest}/demo/web`])
    const { uid } = await stream(app)
    expect(unlinked.sort()).toEqual(
      digestsOf(index)
        .map((digest) => `demo ${uid} ${digest}`)
        .sort(),
    )
  })

  test('keeps old links that it relies on again', async () => {
    const { collector, admit, link, later, heldDigests } = await collectorWorld()
    const index = makeIndex('again')
    await admit(app, index)
    later(30 * dayMs)
    await admit(app, index)
    later(23 * hourMs)
    expect(await collector.prune(real)).toMatchObject({ freedBytes: 0, removedLinks: 0 })
    for (const digest of digestsOf(index)) expect(await link(app, digest)).toBeDefined()
    expect(await heldDigests()).toEqual(digestsOf(index))
  })

  test('keeps what a young manifest names by older links', async () => {
    const { collector, admit, links, stream, link, later } = await collectorWorld()
    const index = makeIndex('half')
    const [child] = index.children
    if (!child) throw new TypeError('an index has children')
    await admit(app, index)
    later(30 * dayMs)
    const { uid } = await stream(app)
    const { digest, mediaType, bytes } = child.manifest
    const renewed = { digest, mediaType, size: bytes.length, locations: [here], received: true as const }
    await links.add(app, uid, [renewed], { isReliedOn: true })
    later(hourMs)
    await collector.prune(real)
    for (const digest of digestsOf(child)) expect(await link(app, digest)).toBeDefined()
    expect(await link(app, index.manifest.digest)).toBeUndefined()
  })
})

describe('links of a deleted stream', () => {
  test('stay where its ledger leads to them, and go otherwise', async () => {
    const { collector, move, admit, writer, later, dump } = await collectorWorld()
    await move(app, 'prod', one)
    await admit(app, two)
    await writer.delete(app)
    later(2 * dayMs)
    const { removedLinks } = await collector.prune(real)
    expect(removedLinks).toBe(3)
    const left = (await dump('link/')).map(({ key }) => key.slice('link/demo/app/'.length))
    expect(left).toEqual(digestsOf(one))
  })

  test('stay where a ledger leads to them whose tag has no record', async () => {
    const { collector, store, move, later, dump } = await collectorWorld()
    const three = makeImage('three')
    await move(app, 'a', one)
    await move(app, 'b', three)
    await move(app, 'c', two)
    for (const tag of ['a', 'c']) {
      await store.commit({ operations: [{ type: 'delete', key: `tag/demo/app/${tag}` }] })
    }
    later(2 * dayMs)
    expect(await collector.prune(real)).toMatchObject({ removedLinks: 0 })
    const left = (await dump('link/')).map(({ key }) => key.slice('link/demo/app/'.length))
    expect(left).toEqual(digestsOf(one, two, three))
  })

  test('go when they are of an earlier project of the name', async () => {
    const { collector, move, writer, project, later, dump, admit } = await collectorWorld()
    await move(app, 'prod', one)
    await writer.delete(app)
    await project('demo', 'another-uid')
    await admit(app, makeImage('other', { layers: [layer] }))
    await admit(app, two)
    later(2 * dayMs)
    await collector.prune(real)
    expect(await dump('link/')).toEqual([])
    // What the earlier ledger leads to can not be rolled back to, though the new stream has it too.
    await admit(app, one)
    later(2 * dayMs)
    await collector.prune(real)
    expect(await dump('link/')).toEqual([])
  })
})

test('what a later dry run tells is what a real one then does, and it changes nothing', async () => {
  const { collector, move, admit, writer, later, dump, content } = await collectorWorld()
  await move(app, 'prod', one)
  await move(app, 'prod', two)
  await move(web, 'prod', makeIndex('web'))
  await admit(web, makeIndex('lost'))
  await move({ project: 'demo', stream: 'gone' }, 'prod', makeImage('gone'))
  await writer.delete({ project: 'demo', stream: 'gone' })
  later(3 * dayMs)
  await content.touch(makeImage('gone').config.digest)
  later(hourMs)
  const before = [await dump(''), await Array.fromAsync(content.list())]
  const dry = await collector.prune({ dryRun: true })
  expect([await dump(''), await Array.fromAsync(content.list())]).toEqual(before)
  const { swept, ...done } = await collector.prune(real)
  expect(done).toEqual(dry)
  expect(swept).toEqual({ unfinished: 0, orphanFiles: 0, orphanRecords: 0, bytes: 0 })
  expect(done.freedCount).toBeGreaterThan(5)
  expect(done.removedLinks).toBeGreaterThan(5)
  expect(await collector.prune(real)).toMatchObject({ freedBytes: 0, freedCount: 0, removedLinks: 0 })
})
