/** I5: what others hold shows to nobody, neither by what is asked nor by what stays. */
import { describe, expect, test } from 'vitest'
import { RegistryError } from '../../src/oci/errors.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import { imageRecord, linksOf } from '../../src/streams/admission.ts'
import { makeImage, type TestImage } from '../support/images.ts'
import { type CollectorWorld, collectorWorld, dayMs, policy, upstream } from './world.ts'

const stranger = { ...upstream, host: 'evil.example' }
const shared = Buffer.alloc(1000, 's')
const mine = makeImage('mine', { layers: [shared] })
const app = { project: 'demo', stream: 'app' }
const strange = { project: 'demo', stream: 'strange' }

/** A tag at a manifest that came through a location, and nothing that it names did. */
async function claim(world: CollectorWorld, image: TestImage, annotations: Record<string, string> = {}): Promise<void> {
  const { uid } = await world.stream(strange, annotations)
  const { digest, mediaType, bytes } = image.manifest
  const manifest = parseManifest(bytes, mediaType)
  await world.content.putManifest(digest, bytes, stranger)
  await world.links.add(strange, uid, linksOf(image.manifest, manifest, [stranger]), { isReliedOn: true })
  await world.links.putImage(digest, imageRecord(manifest, bytes.length))
  await world.writer.changeTag(strange, 'x', () => ({
    event: {
      image: digest,
      mediaType,
      dockerImageReference: 'evil.example/lib/app',
      cause: { kind: 'push', by: 'mallory' },
    },
  }))
  const reason = 'NotFound'
  world.source.fail(stranger, new RegistryError('BLOB_UNKNOWN', { upstream: { host: stranger.host, reason } }))
}

describe('a manifest that merely names what others hold', () => {
  async function pressed(holders: Buffer) {
    const world = await collectorWorld({ policy: { ...policy, retain: 'pulled' }, maxBytes: 500 })
    await world.move(app, 'prod', makeImage('others', { layers: [holders] }))
    await claim(world, mine)
    world.later(dayMs / 2)
    await world.collector.prune({ dryRun: false })
    const asked = world.source.asked.filter((each) => each.includes(stranger.host))
    return { asked, condition: (await world.reader.tag(strange, 'x'))?.record.upstreamGone }
  }

  test('is told nothing of it when there is no room', async () => {
    expect(await pressed(shared)).toEqual({ asked: [], condition: undefined })
    expect(await pressed(Buffer.alloc(1000, 'o'))).toEqual({ asked: [], condition: undefined })
  })

  test('does not keep others from making room', async () => {
    const world = await collectorWorld({ policy: { ...policy, retain: 'pulled' }, maxBytes: 500 })
    const others = makeImage('others', { layers: [shared] })
    await world.move(app, 'prod', others)
    await claim(world, mine, { 'weir.dev/retain': 'pinned' })
    world.later(2 * dayMs)
    await world.collector.prune({ dryRun: false })
    expect(await world.isHeld(others.layers[0]?.digest ?? others.manifest.digest)).toBe(false)
    expect(await world.isHeld(mine.manifest.digest)).toBe(true)
  })

  test.each([
    ['a pin', {}],
    ['a pin that retains', { 'weir.dev/retain': 'pinned' }],
  ])('does not keep by %s what nobody else needs any more', async (_, annotations) => {
    const world = await collectorWorld({ policy: { ...policy, retain: 'pulled' } })
    const others = makeImage('others', { layers: [shared] })
    await world.move(app, 'prod', others)
    await claim(world, mine, annotations)
    await world.move(app, 'prod', makeImage('newer'))
    world.later(2 * dayMs)
    await world.collector.prune({ dryRun: false })
    expect(await world.isHeld(others.layers[0]?.digest ?? others.manifest.digest)).toBe(false)
    expect(await world.isHeld(mine.manifest.digest)).toBe(true)
  })

  test('keeps it as soon as its own location gave it', async () => {
    const world = await collectorWorld({ policy })
    const others = makeImage('others', { layers: [shared] })
    await world.move(app, 'prod', others)
    await claim(world, mine)
    await world.admit(strange, mine, stranger)
    await world.writer.delete(app)
    world.later(2 * dayMs)
    await world.collector.prune({ dryRun: false })
    expect(await world.isHeld(mine.layers[0]?.digest ?? mine.manifest.digest)).toBe(true)
  })
})
