import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { UpstreamLocation } from '../../src/content/content.ts'
import { proofOf } from '../../src/content/proof.ts'
import { RegistryError, type UpstreamReason } from '../../src/oci/errors.ts'
import { createHeldRecords } from '../../src/streams/held-records.ts'
import { reportGone, reportSeen } from '../../src/streams/upstream-gone.ts'
import { makeImage, type TestImage } from '../support/images.ts'
import { type CollectorWorld, collectorWorld, dayMs, digestsOf, here, policy, sizeOf, upstream } from './world.ts'

const pulled = { ...policy, retain: 'pulled' as const }
const real = { dryRun: false }
const layerBytes = 1000

/** Images of one large layer; the manifest and the config are small. */
function imageOf(seed: string): TestImage {
  return makeImage(seed, { layers: [Buffer.alloc(layerBytes, seed)] })
}
const layerOf = (image: TestImage) => image.layers[0]?.digest ?? image.manifest.digest
const streamOf = (n: number) => ({ project: 'demo', stream: `s${n}` })

/** Streams `s0`, `s1`, ... with an image each, the first the least recently used; what may be kept is less than that. */
async function full(
  count: number,
  { maxBytes = count * layerBytes, location }: { maxBytes?: number; location?: (n: number) => UpstreamLocation } = {},
): Promise<CollectorWorld & { images: TestImage[]; layersHeld(): Promise<number[]> }> {
  const world = await collectorWorld({ policy: pulled, maxBytes })
  const images = Array.from({ length: count }, (_, n) => imageOf(`image ${n}`))
  for (const [n, image] of images.entries()) {
    await world.move(streamOf(n), 'prod', image, location && { location: location(n) })
    world.later(60_000)
  }
  world.later(dayMs)
  const layersHeld = async () => {
    const held = new Set(await world.heldDigests())
    return images.flatMap((image, n) => (held.has(layerOf(image)) ? [n] : []))
  }
  return { ...world, images, layersHeld }
}

function refusing(code: 'DENIED' | 'TOOMANYREQUESTS' | 'UNAVAILABLE' | 'BLOB_UNKNOWN', retryAfterSeconds?: number) {
  const reasons: Record<typeof code, UpstreamReason> = {
    DENIED: 'Unauthorized',
    TOOMANYREQUESTS: 'TooManyRequests',
    UNAVAILABLE: 'Unreachable',
    BLOB_UNKNOWN: 'NotFound',
  }
  const retry = retryAfterSeconds === undefined ? {} : { retryAfterSeconds }
  return new RegistryError(code, { upstream: { host: upstream.host, reason: reasons[code] }, ...retry })
}

const asksOf = ({ source }: CollectorWorld) => source.asked.filter((asked) => asked.startsWith('size'))

describe('without room', () => {
  test('the least recently used goes first, until there is room again', async () => {
    const world = await full(10)
    const report = await world.collector.prune(real)
    expect(report.freed.map(({ reason }) => reason)).toEqual(Array(report.freedCount).fill('evicted'))
    const held = await world.layersHeld()
    expect(held).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].slice(-held.length))
    const keptBytes = report.kept.reduce((sum, { bytes }) => sum + bytes, 0)
    expect(keptBytes).toBeLessThanOrEqual(0.85 * 10 * layerBytes)
    expect(keptBytes).toBeGreaterThan(0.85 * 10 * layerBytes - layerBytes)
    expect(asksOf(world).length).toBe(report.freedCount)
  })

  test('what was used since is spared', async () => {
    const world = await full(10)
    await world.content.touch(layerOf(world.images[0] ?? imageOf('')))
    world.later(3_600_000)
    await world.collector.prune(real)
    const held = await world.layersHeld()
    expect(held).toContain(0)
    expect(held).not.toContain(1)
  })

  test('nothing goes while there is some, and no upstream is asked', async () => {
    const world = await full(10, { maxBytes: 100 * layerBytes })
    expect(await world.collector.prune(real)).toMatchObject({ freedBytes: 0 })
    expect(asksOf(world)).toEqual([])
  })

  test('uploads press too: what can be had again makes room for them', async () => {
    const world = await full(10, { maxBytes: 20 * layerBytes })
    expect(await world.collector.prune(real)).toMatchObject({ freedBytes: 0 })
    await world.content.uploads.append(
      randomUUID(),
      (async function* () {
        yield Buffer.alloc(3 * layerBytes)
      })(),
    )
    const { freed } = await world.collector.prune(real)
    expect(freed.map(({ reason }) => reason)).toContain('evicted')
  })

  test('bytes that a file had no room for are made free, whatever else is held', async () => {
    const world = await full(10, { maxBytes: 100 * layerBytes })
    world.collector.press(2 * layerBytes)
    while ((await world.layersHeld()).length > 8);
    expect(await world.layersHeld()).toEqual([2, 3, 4, 5, 6, 7, 8, 9])
  })

  test('nothing is evicted for a file that would have no room in any case', async () => {
    const world = await full(4, { maxBytes: 100 * layerBytes })
    const passed = Promise.withResolvers<void>()
    const content = {
      ...world.content,
      sweep: () => world.content.sweep().finally(() => setImmediate(passed.resolve)),
    }
    const collector = world.open({ content })
    collector.press(50 * layerBytes)
    await passed.promise
    // Passes come one after the other.
    await collector.prune(real)
    expect(await world.layersHeld()).toHaveLength(4)
  })

  test('a dry run asks, tells the same, and leaves all', async () => {
    const world = await full(10)
    const dry = await world.collector.prune({ dryRun: true })
    expect(await world.layersHeld()).toHaveLength(10)
    const { swept, ...report } = await world.collector.prune(real)
    expect(report).toEqual(dry)
    expect(report.freedCount).toBeGreaterThan(3)
  })
})

test('what the history of an earlier stream has goes like that of one that lives', async () => {
  const world = await collectorWorld({ policy: pulled })
  const image = imageOf('earlier')
  await world.move(streamOf(0), 'prod', image)
  await world.writer.delete(streamOf(0))
  await world.stream(streamOf(0), { 'weir.dev/history-keep': '5' })
  world.later(2 * dayMs)
  const { freed } = await world.open({ maxBytes: 10 }).prune(real)
  expect(freed.map(({ digest, reason }) => [digest, reason])).toContainEqual([layerOf(image), 'evicted'])
  expect(await world.isHeld(image.manifest.digest)).toBe(true)
})

describe('eviction spares', () => {
  test('what a pin keeps', async () => {
    const world = await full(10)
    await world.stream(streamOf(0), { 'weir.dev/retain': 'pinned' })
    const report = await world.collector.prune(real)
    expect(await world.layersHeld()).toContain(0)
    expect(await world.layersHeld()).not.toContain(1)
    expect(report.kept.map(({ reason }) => reason)).toContain('pinned')
  })

  test('what a pin keeps in another stream than the one it was pulled for', async () => {
    const world = await full(10)
    const [image = imageOf('')] = world.images
    await world.move({ project: 'demo', stream: 'keeper' }, 'prod', image, {
      annotations: { 'weir.dev/retain': 'pinned' },
    })
    world.later(dayMs)
    await world.collector.prune(real)
    for (const digest of digestsOf(image)) expect(await world.isHeld(digest)).toBe(true)
  })

  test('manifests', async () => {
    const world = await full(10, { maxBytes: 10 })
    const report = await world.collector.prune(real)
    expect(await world.layersHeld()).toEqual([])
    expect((await world.heldDigests()).sort()).toEqual(world.images.map(({ manifest }) => manifest.digest).sort())
    expect(report.kept).toMatchObject([{ reason: 'pulled', count: 10 }])
  })

  test('what is here alone, also when another stream has it from an upstream', async () => {
    const world = await full(4)
    const [image = imageOf('')] = world.images
    await world.move({ project: 'demo', stream: 'own' }, 'prod', image, { location: here })
    await world.move({ project: 'demo', stream: 'pushed' }, 'prod', imageOf('pushed'), { location: here })
    world.later(dayMs)
    const report = await world.open({ maxBytes: 10 }).prune(real)
    for (const digest of digestsOf(image)) expect(await world.isHeld(digest)).toBe(true)
    expect(report.kept.find(({ reason }) => reason === 'pushed')).toMatchObject({ count: 6 })
    expect(await world.layersHeld()).toEqual([0])
  })

  test('what was used in the last ten minutes', async () => {
    const world = await full(4)
    for (const image of world.images) await world.content.touch(layerOf(image))
    world.later(9 * 60_000)
    await world.open({ maxBytes: 10 }).prune(real)
    expect(await world.layersHeld()).toHaveLength(4)
    // Their configs alone were asked for.
    expect(asksOf(world)).toHaveLength(4)
    world.later(2 * 60_000)
    await world.open({ maxBytes: 10 }).prune(real)
    expect(await world.layersHeld()).toHaveLength(0)
  })

  test('what is used while an upstream is asked for it', async () => {
    const world = await full(4)
    const [image = imageOf('')] = world.images
    const source: CollectorWorld['source'] = {
      ...world.source,
      async size(location, digest) {
        if (digest === layerOf(image)) await world.content.touch(digest)
        return world.source.size(location, digest)
      },
    }
    await world.open({ maxBytes: 10, source }).prune(real)
    expect(await world.layersHeld()).toEqual([0])
  })

  test('what one of many streams could not have again', async () => {
    const world = await full(4)
    const [image = imageOf('')] = world.images
    const denied = { ...upstream, host: 'b.example' }
    await world.move({ project: 'demo', stream: 'other' }, 'prod', image, { location: denied })
    world.source.fail(denied, refusing('DENIED'))
    world.later(dayMs)
    await world.open({ maxBytes: 10 }).prune(real)
    expect(await world.layersHeld()).toEqual([0])
  })

  test.each([
    ['here, in a stream that was made anew', here],
    ['from a registry that denies it now, in a stream that was made anew', { ...upstream, host: 'b.example' }],
  ])('what a history has %s', async (_, location) => {
    const world = await full(2)
    const [image = imageOf('')] = world.images
    const name = { project: 'demo', stream: 'again' }
    await world.move(name, 'prod', image, { location })
    await world.writer.delete(name)
    await world.stream(name, { 'weir.dev/history-keep': '5' })
    world.source.fail({ ...upstream, host: 'b.example' }, refusing('DENIED'))
    world.later(dayMs)
    await world.open({ maxBytes: 10 }).prune(real)
    expect(await world.layersHeld()).toEqual([0])
  })

  test.each([
    ['was pushed', here, undefined],
    ['is gone where it came from', upstream, refusing('BLOB_UNKNOWN')],
    ['is denied where it came from', upstream, refusing('DENIED')],
  ])('what %s, though an upstream has it that another manifest names', async (_, location, error) => {
    const world = await full(1)
    const [image = imageOf('')] = world.images
    const name = { project: 'demo', stream: 'named' }
    const { uid } = await world.stream(name)
    await world.writer.delete(streamOf(0))
    await world.move(name, 'prod', image, { location })
    const named = { ...upstream, host: 'evil.example' }
    for (const { digest, bytes, mediaType } of [image.config, ...image.layers]) {
      await world.links.add(name, uid, [{ digest, mediaType, size: bytes.length, locations: [named] }])
      world.source.put(named, digest, { bytes })
    }
    if (error) world.source.fail(upstream, error)
    world.later(dayMs)
    await world.open({ maxBytes: 10 }).prune(real)
    expect(await world.layersHeld()).toEqual([0])
    // It may have it: nothing says that the image is gone.
    expect((await world.reader.tag(name, 'prod'))?.record.upstreamGone).toBeUndefined()
  })

  test('what more streams have, each in its own way, than are asked', async () => {
    const world = await full(2)
    const [image = imageOf('')] = world.images
    for (let n = 0; n < 64; n += 1) {
      const location = { ...upstream, project: `p${n}` }
      await world.move({ project: 'demo', stream: `other-${n}` }, 'prod', image, { location })
    }
    world.later(dayMs)
    const { kept } = await world.open({ maxBytes: 10 }).prune(real)
    expect(await world.layersHeld()).toEqual([0])
    expect(kept.find(({ reason }) => reason === 'too many places')).toEqual({
      reason: 'too many places',
      count: 2,
      bytes: layerBytes + image.config.bytes.length,
    })
  })

  test('what was used since the pass began, however long it takes', async () => {
    const world = await full(2)
    const [image = imageOf('')] = world.images
    const source: CollectorWorld['source'] = {
      ...world.source,
      async size(location, digest) {
        if (digest === layerOf(image)) {
          await world.content.touch(digest)
          world.later(3_600_000)
        }
        return world.source.size(location, digest)
      },
    }
    await world.open({ maxBytes: 10, source }).prune(real)
    expect(await world.layersHeld()).toEqual([0])
  })

  test.each([
    ['denies it', refusing('DENIED')],
    ['asks for quiet', refusing('TOOMANYREQUESTS', 3600)],
    ['can not be reached', refusing('UNAVAILABLE')],
  ])('everything while the upstream %s: it is not asked again and again', async (_, error) => {
    const world = await full(10)
    world.source.fail(upstream, error)
    const report = await world.collector.prune(real)
    expect(report.freedBytes).toBe(0)
    expect(await world.layersHeld()).toHaveLength(10)
    expect(asksOf(world).length).toBeLessThanOrEqual(4)
  })

  test('what one project may not have any more, and nothing that others have from there', async () => {
    const world = await full(20, { location: (n) => ({ ...upstream, project: n < 10 ? 'locked' : 'demo' }) })
    let refused = 0
    const source: CollectorWorld['source'] = {
      ...world.source,
      async size(location, digest) {
        if (location.project !== 'locked') return world.source.size(location, digest)
        refused += 1
        throw refusing('DENIED')
      },
    }
    await world.open({ maxBytes: 10, source }).prune(real)
    expect(await world.layersHeld()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(refused).toBeLessThanOrEqual(4)
  })

  test('what an upstream has with another length', async () => {
    const world = await full(4)
    const [image = imageOf('')] = world.images
    world.source.put(upstream, layerOf(image), { bytes: Buffer.alloc(1) })
    await world.open({ maxBytes: 10 }).prune(real)
    expect(await world.layersHeld()).toEqual([0])
  })
})

describe('content that is gone upstream', () => {
  test('is kept whole while its tag says so, though parts of it are still there', async () => {
    const world = await full(3)
    const [image = imageOf('')] = world.images
    const digest = image.manifest.digest
    await reportGone(world.writer, streamOf(0), 'prod', digest, upstream.host)
    await world.move(streamOf(1), 'canary', image)
    world.later(dayMs)
    const collector = world.open({ maxBytes: 10 })
    const { kept } = await collector.prune(real)
    expect(await world.layersHeld()).toEqual([0])
    expect(kept.find(({ reason }) => reason === 'gone upstream')).toEqual({
      reason: 'gone upstream',
      count: digestsOf(image).length,
      bytes: sizeOf(image),
    })
    await reportSeen(world.writer, streamOf(0), 'prod', digest)
    await collector.prune(real)
    expect(await world.layersHeld()).toEqual([])
  })

  test('is kept when its tag comes to say so while it is asked for', async () => {
    const world = await full(1)
    const [image = imageOf('')] = world.images
    const source: CollectorWorld['source'] = {
      ...world.source,
      async size(location, digest) {
        await reportGone(world.writer, streamOf(0), 'prod', image.manifest.digest, upstream.host)
        return world.source.size(location, digest)
      },
    }
    await world.open({ maxBytes: 10, source }).prune(real)
    expect(await world.layersHeld()).toEqual([0])
  })

  test('is not kept for a tag that stands elsewhere by now', async () => {
    const world = await full(1)
    const [image = imageOf('')] = world.images
    await reportGone(world.writer, streamOf(0), 'prod', image.manifest.digest, upstream.host)
    await world.move(streamOf(0), 'prod', imageOf('newer'))
    await world.stream(streamOf(0), { 'weir.dev/history-keep': '2' })
    world.later(dayMs)
    await world.open({ maxBytes: 10 }).prune(real)
    expect(await world.layersHeld()).toEqual([])
  })

  test('is kept, told of, and recorded as a condition of its tags', async () => {
    const world = await full(4)
    const [image = imageOf('')] = world.images
    world.source.put(upstream, layerOf(image), { bytes: image.layers[0]?.bytes ?? Buffer.alloc(0) })
    const gone = new RegistryError('BLOB_UNKNOWN', { upstream: { host: upstream.host, reason: 'NotFound' } })
    const source: CollectorWorld['source'] = {
      ...world.source,
      size: async (location, digest) => {
        if (digest === layerOf(image)) throw gone
        return world.source.size(location, digest)
      },
    }
    const collector = world.open({ maxBytes: 10, source })
    const { kept } = await collector.prune(real)
    expect(await world.layersHeld()).toEqual([0])
    expect(kept.find(({ reason }) => reason === 'gone upstream')).toEqual({
      reason: 'gone upstream',
      count: 1,
      bytes: layerBytes,
    })
    const tag = await world.reader.tag(streamOf(0), 'prod')
    expect(tag?.record.upstreamGone).toMatchObject({ image: image.manifest.digest, host: upstream.host })
    expect((await world.reader.tag(streamOf(1), 'prod'))?.record.upstreamGone).toBeUndefined()
    // Its manifest too, now that the tag says so.
    const again = await collector.prune(real)
    expect(again.kept.find(({ reason }) => reason === 'gone upstream')).toMatchObject({ count: 2 })
  })

  test('is told of when an upstream that another manifest names has it neither', async () => {
    const world = await full(1)
    const [image = imageOf('')] = world.images
    const { uid } = await world.stream(streamOf(0))
    const link = { digest: layerOf(image), mediaType: 'application/octet-stream', size: layerBytes }
    const named = { ...upstream, host: 'b.example' }
    await world.links.add(streamOf(0), uid, [{ ...link, locations: [named] }])
    world.source.fail(upstream, refusing('BLOB_UNKNOWN'))
    await world.open({ maxBytes: 10 }).prune(real)
    const tag = await world.reader.tag(streamOf(0), 'prod')
    expect(tag?.record.upstreamGone).toMatchObject({ image: image.manifest.digest, host: upstream.host })
    expect(asksOf(world)).toContain('size b.example/lib/app')
  })

  test('is had again where parts of it came from', async () => {
    const world = await full(2)
    const [image = imageOf('')] = world.images
    const { uid } = await world.stream(streamOf(0))
    const other = { ...upstream, host: 'b.example' }
    const { digest, bytes, mediaType } = image.layers[0] ?? image.config
    await world.links.add(streamOf(0), uid, [{ digest, mediaType, size: bytes.length, locations: [other] }])
    // A download that began at one and ended at the other.
    await world.content.remove(digest, { unusedSince: world.clock.now() })
    const records = createHeldRecords({ store: world.store, now: world.clock.now })
    await world.content.putManifest(digest, bytes, { ...upstream, host: 'third.example' })
    await records.remove(digest)
    await records.add(digest, bytes.length, proofOf([upstream, other]))
    world.source.put(other, digest, { bytes })
    world.later(dayMs)
    const source: CollectorWorld['source'] = {
      ...world.source,
      async size(location, asked) {
        if (location.host === upstream.host && asked === digest) throw refusing('BLOB_UNKNOWN')
        return world.source.size(location, asked)
      },
    }
    await world.open({ maxBytes: 10, source }).prune(real)
    expect(await world.layersHeld()).toEqual([])
  })

  test('is forgotten with the stream that could not have it again', async () => {
    const world = await full(2)
    const [image = imageOf('')] = world.images
    const other = { ...upstream, project: 'other' }
    const name = { project: 'demo', stream: 'other' }
    await world.move(name, 'prod', image, { location: other })
    // A revision has no condition that tells it.
    await world.move(name, 'prod', imageOf('newest'), { location: other })
    await world.stream(name, { 'weir.dev/history-keep': '2' })
    world.later(dayMs)
    const asked: string[] = []
    const source: CollectorWorld['source'] = {
      ...world.source,
      async size(location, digest) {
        if (location.project !== 'other' || !digestsOf(image).includes(digest))
          return world.source.size(location, digest)
        asked.push(digest)
        throw refusing('BLOB_UNKNOWN')
      },
    }
    const collector = world.open({ maxBytes: 10, source })
    await collector.prune(real)
    expect(await world.layersHeld()).toEqual([0])
    expect(asked).toHaveLength(2)
    const { kept } = await collector.prune(real)
    expect(asked).toHaveLength(2)
    expect(kept.find(({ reason }) => reason === 'gone upstream')).toMatchObject({ count: 2 })
    await world.writer.delete(name)
    expect((await collector.prune(real)).kept.map(({ reason }) => reason)).toEqual(['pulled'])
    expect(await world.layersHeld()).toEqual([])
  })

  test('is had again at another location of the same stream', async () => {
    const world = await full(2)
    const [image = imageOf('')] = world.images
    const other = { ...upstream, host: 'b.example' }
    await world.move(streamOf(0), 'prod', image, { location: other })
    world.source.fail(upstream, refusing('BLOB_UNKNOWN'))
    world.later(dayMs)
    await world.open({ maxBytes: 10 }).prune(real)
    expect(await world.layersHeld()).toEqual([1])
  })
})

describe('upstreams are asked', () => {
  test('for each project that has a blob there, and once for all streams with the same locations', async () => {
    const world = await full(1)
    const [image = imageOf('')] = world.images
    const other = { ...upstream, host: 'b.example' }
    for (let n = 0; n < 40; n += 1) {
      for (const location of n % 2 === 0 ? [upstream, other] : [other, upstream]) {
        await world.move({ project: 'demo', stream: `same-${n}` }, 'prod', image, { location })
      }
      const location = { ...upstream, project: `p${n}` }
      await world.move({ project: 'demo', stream: `project-${n}` }, 'prod', image, { location })
    }
    world.later(dayMs)
    const asked: string[] = []
    const source: CollectorWorld['source'] = {
      ...world.source,
      async size(location, digest) {
        if (digest === layerOf(image)) asked.push(location.project)
        return world.source.size(location, digest)
      },
    }
    await world.open({ maxBytes: 10, source }).prune(real)
    expect(await world.layersHeld()).toEqual([])
    // Once for the streams that have it from there alone, once for those that have it from two.
    const projects = Array.from({ length: 40 }, (_, n) => `p${n}`)
    expect(asked.sort()).toEqual(['demo', 'demo', ...projects].sort())
  })

  test('two questions at a time each, four in all', async () => {
    const world = await full(12, { location: (n) => ({ ...upstream, host: n < 8 ? 'a.example' : 'b.example' }) })
    const active = new Map<string, number>()
    let most = 0
    let mostOfHost = 0
    const source: CollectorWorld['source'] = {
      ...world.source,
      async size(location, digest) {
        active.set(location.host, (active.get(location.host) ?? 0) + 1)
        mostOfHost = Math.max(mostOfHost, active.get(location.host) ?? 0)
        most = Math.max(
          most,
          [...active.values()].reduce((sum, count) => sum + count, 0),
        )
        await new Promise((resolve) => setImmediate(resolve))
        active.set(location.host, (active.get(location.host) ?? 0) - 1)
        return world.source.size(location, digest)
      },
    }
    await world.open({ maxBytes: 10, source }).prune(real)
    expect(await world.layersHeld()).toEqual([])
    expect(most).toBeLessThanOrEqual(4)
    expect(mostOfHost).toBeLessThanOrEqual(2)
  })

  test('after the time that they asked to be left alone', async () => {
    const world = await full(4)
    let failing = true
    const source: CollectorWorld['source'] = {
      ...world.source,
      async size(location, digest) {
        if (failing) throw refusing('TOOMANYREQUESTS', 3600)
        return world.source.size(location, digest)
      },
    }
    const collector = world.open({ maxBytes: 10, source })
    await collector.prune(real)
    failing = false
    world.later(3_500_000)
    await collector.prune(real)
    expect(await world.layersHeld()).toHaveLength(4)
    world.later(200_000)
    await collector.prune(real)
    expect(await world.layersHeld()).toEqual([])
  })
})
