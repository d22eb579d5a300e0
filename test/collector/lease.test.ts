/** One collector at a time, whichever process it is in: the store decides. */
import { describe, expect, test } from 'vitest'
import type { Lease, Store } from '../../src/store/store.ts'
import { makeImage, type TestImage } from '../support/images.ts'
import { type CollectorWorld, collectorWorld, dayMs, digestsOf, policy } from './world.ts'

const real = { dryRun: false }
const name = { project: 'demo', stream: 'app' }
const idle = () => new Promise((resolve) => setImmediate(resolve))

/** A store whose leases exclude each other, as those of a cluster do. */
function withLeases(store: Store) {
  const waiting: (() => void)[] = []
  let holder: AbortController | undefined
  function pass(): void {
    holder = undefined
    waiting.shift()?.()
  }
  async function lease(_name: string, signal: AbortSignal): Promise<Lease> {
    while (holder !== undefined) {
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.push(resolve)
      await promise
      signal.throwIfAborted()
    }
    const own = new AbortController()
    holder = own
    return {
      lost: own.signal,
      release: async () => {
        if (holder === own) pass()
      },
    }
  }
  return {
    store: { ...store, lease },
    /** As a store does that has not heard of the holder for too long. */
    revoke() {
      holder?.abort(new Error('the lease was lost'))
      pass()
    },
  }
}

/** What nothing needs: `count` images, of which the tag stood at each once. */
async function unneeded(count: number): Promise<CollectorWorld & { images: TestImage[] }> {
  const world = await collectorWorld()
  const images = Array.from({ length: count }, (_, n) => makeImage(`image ${n}`))
  for (const image of images) await world.move(name, 'prod', image)
  await world.move(name, 'prod', makeImage('newest'))
  world.later(3 * dayMs)
  return { ...world, images }
}

/** A sweep is what every pass begins with: the first waits until it is let go. */
function sweeping({ content }: CollectorWorld) {
  const begun = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const sweep: CollectorWorld['content']['sweep'] = async () => {
    begun.resolve()
    await gate.promise
    return content.sweep()
  }
  return { content: { ...content, sweep }, begun: begun.promise, letGo: gate.resolve }
}

describe('of two collectors of one store', () => {
  test('the second waits until the first is done', async () => {
    const world = await unneeded(3)
    const { store } = withLeases(world.store)
    const slow = sweeping(world)
    const first = world.open({ store, content: slow.content }).prune(real)
    await slow.begun
    let swept = 0
    const content = {
      ...world.content,
      sweep: () =>
        world.content.sweep().finally(() => {
          swept += 1
        }),
    }
    const second = world.open({ store, content }).prune(real)
    for (let n = 0; n < 20; n += 1) await idle()
    expect(swept).toBe(0)
    slow.letGo()
    expect((await first).freedCount).toBe(9)
    expect((await second).freedCount).toBe(0)
    expect(swept).toBe(1)
  })

  test('the second takes over when the first has lost its lease, which removes nothing any more', async () => {
    const world = await unneeded(3)
    const { store, revoke } = withLeases(world.store)
    const slow = sweeping(world)
    let removed = 0
    const remove: typeof world.content.remove = async (...args) => {
      removed += 1
      return world.content.remove(...args)
    }
    const first = world.open({ store, content: { ...slow.content, remove } }).prune(real)
    await slow.begun
    const second = world.open({ store }).prune(real)
    revoke()
    expect((await second).freedCount).toBe(9)
    slow.letGo()
    await expect(first).rejects.toThrow('the lease was lost')
    expect(removed).toBe(0)
  })
})

describe('a collector that lost its lease', () => {
  test('removes no more bytes that nothing needs', async () => {
    const world = await unneeded(5)
    const { store, revoke } = withLeases(world.store)
    const remove: typeof world.content.remove = async (...args) => {
      revoke()
      return world.content.remove(...args)
    }
    await expect(world.open({ store, content: { ...world.content, remove } }).prune(real)).rejects.toThrow('lost')
    const left = await world.heldDigests()
    expect(digestsOf(...world.images).filter((digest) => !left.includes(digest))).toHaveLength(1)
  })

  test('evicts no more', async () => {
    const world = await collectorWorld({ policy: { ...policy, retain: 'pulled' }, maxBytes: 1 })
    const images = Array.from({ length: 12 }, (_, n) => makeImage(`image ${n}`))
    for (const [n, image] of images.entries()) await world.move({ project: 'demo', stream: `s${n}` }, 'prod', image)
    world.later(dayMs)
    const { store, revoke } = withLeases(world.store)
    const before = (await world.heldDigests()).length
    const source: CollectorWorld['source'] = {
      ...world.source,
      async size(location, digest) {
        revoke()
        return world.source.size(location, digest)
      },
    }
    await expect(world.open({ store, source }).prune(real)).rejects.toThrow('lost')
    expect(await world.heldDigests()).toHaveLength(before)
  })

  test('removes no more links', async () => {
    const world = await collectorWorld()
    await world.move(name, 'prod', makeImage('newest'))
    const strays = Array.from({ length: 5 }, (_, n) => makeImage(`stray ${n}`))
    for (const stray of strays) await world.admit(name, stray)
    world.later(3 * dayMs)
    const { store, revoke } = withLeases(world.store)
    let commits = 0
    const commit: Store['commit'] = async (asked) => {
      commits += 1
      revoke()
      return store.commit(asked)
    }
    await expect(world.open({ store: { ...store, commit } }).prune(real)).rejects.toThrow('lost')
    // Images first, and then what they name: the second was not begun.
    expect(commits).toBe(1)
  })
})
