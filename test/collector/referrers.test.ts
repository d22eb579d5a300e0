import { describe, expect, test } from 'vitest'
import { fallbackTagOf } from '../../src/oci/fallback-tag.ts'
import { artifact } from '../referrers/world.ts'
import { makeImage, makeIndex, type TestImage } from '../support/images.ts'
import { type CollectorWorld, collectorWorld, dayMs, digestsOf, here, hourMs } from './world.ts'

const app = { project: 'demo', stream: 'app' }
const one = makeImage('one')
const two = makeImage('two')
const signature = artifact(one.manifest, 'signature')
const deep = artifact(signature.manifest, 'signature of the signature')
const loose = makeImage('cosign stores an image without a subject')
const real = { dryRun: false }

/** Puts a tag that is derived from the digest of an image at another. */
async function derive(w: CollectorWorld, of: TestImage, to: TestImage, suffix = '.sig'): Promise<string> {
  const { uid } = await w.stream(app)
  const tag = fallbackTagOf(of.manifest.digest) + suffix
  const { digest, mediaType } = to.manifest
  await w.referrerRecords.putFallback({ ...app, uid }, { tag, image: digest, mediaType, by: 'alice' })
  return tag
}

describe('what refers to an image', () => {
  test.each([
    ['an image', one],
    ['a child of an index', makeIndex('many').children[0] ?? one],
  ])('stays as long as %s, with what refers to that, links and bytes', async (_, of) => {
    const w = await collectorWorld()
    const tagged = of === one ? one : makeIndex('many')
    const first = artifact(of.manifest, 'first')
    const second = artifact(first.manifest, 'second')
    await w.move(app, 'prod', tagged, { location: here })
    for (const each of [second, first, loose]) await w.admit(app, each, here)
    await derive(w, of, loose)
    w.later(100 * dayMs)
    expect(await w.collector.prune(real)).toMatchObject({ removedLinks: 0, freedBytes: 0 })
    expect(await w.heldDigests()).toEqual(digestsOf(tagged, first, second, loose))
    expect(await w.referrerRecords.list(app, of.manifest.digest)).toHaveLength(1)
    expect(await w.referrerRecords.fallbacks(app)).toHaveLength(1)
  })

  test('goes with an image that nothing leads to any more, records too', async () => {
    const w = await collectorWorld()
    await w.move(app, 'prod', two)
    for (const each of [one, signature, deep, loose]) await w.admit(app, each, here)
    await derive(w, one, loose)
    w.later(23 * hourMs)
    await w.collector.prune(real)
    expect(await w.referrerRecords.list(app, one.manifest.digest)).toHaveLength(1)
    w.later(2 * hourMs)
    await w.collector.prune(real)
    expect(await w.heldDigests()).toEqual(digestsOf(two))
    expect(await w.link(app, signature.manifest.digest)).toBeUndefined()
    expect(await w.dump('index/referrers/')).toEqual([])
    expect(await w.dump('index/fallback/')).toEqual([])
  })

  test('of what the stream does not have goes', async () => {
    const w = await collectorWorld()
    await w.move(app, 'prod', two)
    for (const each of [signature, deep, loose]) await w.admit(app, each, here)
    await derive(w, one, loose)
    w.later(2 * dayMs)
    await w.collector.prune(real)
    expect(await w.heldDigests()).toEqual(digestsOf(two))
  })

  test('keeps its links and no bytes, where its image does', async () => {
    const w = await collectorWorld()
    await w.move(app, 'prod', one, { location: here })
    await w.admit(app, signature, here)
    await w.move(app, 'prod', two, { location: here })
    w.later(100 * dayMs)
    await w.collector.prune(real)
    expect(await w.heldDigests()).toEqual(digestsOf(two))
    expect(await w.link(app, signature.manifest.digest)).toBeDefined()
    expect(await w.referrerRecords.list(app, one.manifest.digest)).toHaveLength(1)
  })

  test('in another stream keeps nothing in this one', async () => {
    const w = await collectorWorld()
    const other = { project: 'demo', stream: 'other' }
    await w.move(app, 'prod', one, { location: here })
    await w.move(other, 'prod', two, { location: here })
    await w.admit(other, signature, here)
    w.later(2 * dayMs)
    await w.collector.prune(real)
    expect(await w.heldDigests()).toEqual(digestsOf(one, two))
  })

  test('is changed by no dry run', async () => {
    const w = await collectorWorld()
    await w.move(app, 'prod', two)
    for (const each of [one, signature, loose]) await w.admit(app, each, here)
    await derive(w, one, loose)
    w.later(2 * dayMs)
    await w.collector.prune({ dryRun: true })
    expect(await w.dump('index/referrers/')).toHaveLength(1)
    expect(await w.dump('index/fallback/')).toHaveLength(1)
  })
})
