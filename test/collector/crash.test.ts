import { describe, expect, test } from 'vitest'
import type { Store } from '../../src/store/store.ts'
import { decode, digestOfLink, imageKey, linksRange } from '../../src/streams/keys.ts'
import type { ImageRecord, LinkRecord } from '../../src/streams/records.ts'
import { makeImage, makeIndex } from '../support/images.ts'
import { type CollectorWorld, collectorWorld, dayMs, digestsOf } from './world.ts'

const app = { project: 'demo', stream: 'app' }
const gone = { project: 'demo', stream: 'gone' }
const layer = Buffer.from('a layer of all')
const kept = makeIndex('kept')
const replaced = makeImage('replaced', { layers: [layer, Buffer.from('own')] })
const lost = ['a', 'b', 'c'].map((seed) => makeIndex(`lost ${seed}`, ['amd64', 'arm64', 's390x']))
const real = { dryRun: false }

/** A pin, a revision that keeps no bytes, indexes that no tag came to, and a deleted stream. */
async function littered(): Promise<CollectorWorld> {
  const world = await collectorWorld()
  await world.move(app, 'prod', replaced)
  await world.move(app, 'prod', kept)
  for (const index of lost) await world.admit(app, index)
  await world.move(gone, 'prod', makeImage('gone', { layers: [layer] }))
  await world.writer.delete(gone)
  world.later(3 * dayMs)
  return world
}

type Step = () => Promise<void>

/** The parts, calling `step` before and after each call that removes something. */
function stopping({ store, content }: CollectorWorld, step: Step) {
  const commit: Store['commit'] = async (wanted) => {
    await step()
    const result = await store.commit(wanted)
    await step()
    return result
  }
  const remove: CollectorWorld['content']['remove'] = async (digest, options) => {
    await step()
    const freed = await content.remove(digest, options)
    await step()
    return freed
  }
  return { store: { ...store, commit }, content: { ...content, remove } }
}

/** Of what the stream received it has links to all that it names, and a manifest that it has no link to is in no index. */
async function expectConsistent({ store, dump }: CollectorWorld): Promise<void> {
  const links = new Map<string, LinkRecord>()
  for await (const entry of await store.range(linksRange(app, '', undefined))) {
    links.set(digestOfLink(entry.key), decode<LinkRecord>(entry))
  }
  for (const [digest, link] of links) {
    if (!link.received) continue
    const entry = await store.get(imageKey(digest as never, link.mediaType))
    const { manifests, layers, config } = decode<ImageRecord>(entry ?? { key: '', value: '{}', revision: 0 })
    for (const named of [...manifests, ...layers, ...(config ? [config] : [])]) {
      expect(links.has(named.digest), `${digest} names ${named.digest}`).toBe(true)
    }
  }
  const indexed = (await dump('index/image/')).filter(({ key }) => key.endsWith('/demo/app'))
  const received = [...links].filter(([, link]) => link.received).map(([digest]) => `index/image/${digest}/demo/app`)
  expect(indexed.map(({ key }) => key)).toEqual(received.sort())
}

async function expectClean(world: CollectorWorld): Promise<void> {
  expect(await world.heldDigests()).toEqual(digestsOf(kept))
  const linked = (await world.dump('link/demo/app/')).map(({ key }) => digestOfLink(key))
  expect(linked).toEqual(digestsOf(kept, replaced))
}

describe('a pass that ends', () => {
  test('at any step leaves what is needed whole, and the next one removes the rest', { timeout: 180_000 }, async () => {
    let stops = 0
    for (let last = 0; ; last += 1) {
      const world = await littered()
      let count = 0
      const dying = stopping(world, async () => {
        count += 1
        if (count > last) throw new Error('killed')
      })
      const ended = await world
        .open(dying)
        .prune(real)
        .then(
          () => 'done',
          () => 'killed',
        )
      await expectConsistent(world)
      const held = new Set(await world.heldDigests())
      for (const digest of digestsOf(kept)) expect(held.has(digest)).toBe(true)
      await world.collector.prune(real)
      await expectClean(world)
      if (ended === 'done') break
      stops += 1
    }
    expect(stops).toBeGreaterThan(40)
  })

  test.each([true, false])('when the store does not say whether it removed links (it did: %s)', async (lands) => {
    const world = await littered()
    world.faults.next = [{ status: 'unknown', lands }]
    await expect(world.collector.prune(real)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expectConsistent(world)
    await world.collector.prune(real)
    await expectClean(world)
  })

  test('when it is told to', async () => {
    const world = await littered()
    const leaving = new AbortController()
    leaving.abort(new Error('stopped'))
    await expect(world.collector.prune({ ...real, signal: leaving.signal })).rejects.toThrow('stopped')
    await expectConsistent(world)
  })
})

test('a link that changed since it was read stays, with all that it names', async () => {
  const world = await littered()
  const [index = kept] = lost
  world.faults.next = [{ status: 'committed', first: () => world.admit(app, index) }]
  const { removedLinks } = await world.collector.prune(real)
  await expectConsistent(world)
  for (const digest of digestsOf(index)) expect(await world.link(app, digest)).toBeDefined()
  for (const digest of digestsOf(...lost.slice(1))) expect(await world.link(app, digest)).toBeUndefined()
  expect(removedLinks).toBe(digestsOf(...lost.slice(1)).length)
  for (const digest of digestsOf(index)) expect(await world.isHeld(digest)).toBe(true)
})

test('more links than a commit takes are removed by several, manifests before what they name', async () => {
  const world = await collectorWorld()
  const layers = Array.from({ length: 250 }, (_, n) => Buffer.from(`layer ${n}`))
  await world.stream(app)
  await world.admit(app, makeImage('large', { layers }))
  world.later(2 * dayMs)
  world.faults.commits.length = 0
  expect(await world.collector.prune(real)).toMatchObject({ removedLinks: 252, freedCount: 252 })
  const removing = world.faults.commits.map(({ operations }) => operations.length)
  expect(Math.max(...removing)).toBeLessThanOrEqual(99)
  expect(await world.dump('link/')).toEqual([])
})
