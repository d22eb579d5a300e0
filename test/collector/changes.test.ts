import { describe, expect, test } from 'vitest'
import { CompactedError } from '../../src/store/store.ts'
import { makeImage, type TestImage } from '../support/images.ts'
import { type CollectorWorld, collectorWorld, dayMs, digestsOf, here, policy } from './world.ts'

const app = { project: 'demo', stream: 'app' }
const one = makeImage('one')
const two = makeImage('two')
const real = { dryRun: false }

/** Moves a tag without using what it moves to, as somebody who took very long. */
function moveSlowly({ writer }: CollectorWorld, tag: string, { manifest }: TestImage): Promise<unknown> {
  const { digest: image, mediaType } = manifest
  const cause = { kind: 'tag' as const, by: 'alice' }
  return writer.changeTag(app, tag, () => ({ event: { image, mediaType, dockerImageReference: 'a', cause } }))
}

/** The parts, with `during` done when the pass looks the second time at what is held: everything is marked then. */
function whenMarked({ content }: CollectorWorld, during: () => Promise<unknown>) {
  let lists = 0
  return {
    content: {
      ...content,
      async *list(options?: Parameters<typeof content.list>[0]) {
        lists += 1
        if (lists === 2) await during()
        yield* content.list(options)
      },
    },
  }
}

async function replaced(): Promise<CollectorWorld> {
  const world = await collectorWorld()
  await world.move(app, 'prod', one, { location: here })
  await world.move(app, 'prod', two, { location: here })
  world.later(2 * dayMs)
  return world
}

describe('a tag that changes once everything is marked', () => {
  test('keeps what it moved to', async () => {
    const world = await replaced()
    await world.open(whenMarked(world, () => moveSlowly(world, 'old', one))).prune(real)
    expect(await world.heldDigests()).toEqual(digestsOf(one, two))
  })

  test('keeps it also from eviction', async () => {
    const world = await collectorWorld({ policy: { ...policy, retain: 'pulled' } })
    await world.move(app, 'prod', one)
    await world.stream(app, { 'weir.dev/retain': 'pinned' })
    await world.stream(app, { 'weir.dev/retain': 'pulled' })
    world.later(2 * dayMs)
    const pinning = async () => {
      await world.stream(app, { 'weir.dev/retain': 'pinned' })
      await moveSlowly(world, 'other', one)
    }
    await world.open({ ...whenMarked(world, pinning), maxBytes: 10 }).prune(real)
    expect(await world.heldDigests()).toEqual(digestsOf(one))
  })

  test('keeps where it stood for a moment, as far as its history does', async () => {
    const world = await replaced()
    const [three, four] = [makeImage('three'), makeImage('four')]
    for (const image of [three, four]) await world.move(app, 'prod', image)
    await world.stream(app, { 'weir.dev/history-keep': '2' })
    world.later(2 * dayMs)
    const during = async () => {
      for (const image of [one, four]) await moveSlowly(world, 'old', image)
    }
    await world.open(whenMarked(world, during)).prune(real)
    expect(await world.heldDigests()).toEqual(digestsOf(one, three, four))
  })

  test('keeps nothing when its stream is gone again', async () => {
    const world = await replaced()
    const during = async () => {
      await moveSlowly(world, 'old', one)
      await world.writer.delete(app)
    }
    await world.open(whenMarked(world, during)).prune(real)
    expect(await world.heldDigests()).toEqual(digestsOf(two))
  })
})

test('a pass that can not be told what changed removes no bytes', async () => {
  const world = await replaced()
  const compacted = {
    async *watch() {
      yield* []
      throw new CompactedError(5)
    },
  }
  const store = { ...world.store, ...compacted }
  await expect(world.open({ store }).prune(real)).rejects.toThrow(CompactedError)
  expect(await world.heldDigests()).toEqual(digestsOf(one, two))
})
