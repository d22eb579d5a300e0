import { rm, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { verifyHeld } from '../../src/collector/verify.ts'
import { proofOf } from '../../src/content/proof.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { createHeldRecords } from '../../src/streams/held-records.ts'
import { makeImage } from '../support/images.ts'
import { collectorWorld, dayMs, digestsOf, sizeOf, upstream } from './world.ts'

const app = { project: 'demo', stream: 'app' }
const one = makeImage('one', { layers: [Buffer.alloc(5000, 1), Buffer.alloc(5000, 2), Buffer.alloc(5000, 3)] })

describe('a verification', () => {
  test('reads everything that is held', async () => {
    const { collector, move } = await collectorWorld()
    await move(app, 'prod', one)
    expect(await collector.verify({})).toEqual({ checked: 5, bytes: sizeOf(one), corrupt: [], missing: [] })
  })

  test('goes page by page, in the order of digests, and past what is larger than a page', async () => {
    const { collector, move } = await collectorWorld()
    await move(app, 'prod', one)
    const seen: string[] = []
    let checked = 0
    for (let after: undefined | NonNullable<Awaited<ReturnType<typeof collector.verify>>['continue']>; ; ) {
      const page = await collector.verify({ maxBytes: 1, ...(after && { after }) })
      checked += page.checked
      if (page.continue === undefined) break
      seen.push(page.continue)
      after = page.continue
    }
    expect(checked).toBe(5)
    expect(seen).toEqual(digestsOf(one).slice(0, 4))
  })

  test('names what is wrong, has it fetched again, and goes on', async () => {
    const world = await collectorWorld()
    let missing = 0
    const onMissing = () => {
      missing += 1
    }
    const collector = world.open({ onMissing })
    await world.move(app, 'prod', one)
    expect((await collector.verify({})).corrupt).toEqual([])
    expect(missing).toBe(0)
    const [layer = one.config] = one.layers
    await writeFile(world.fileOf(layer.digest), Buffer.alloc(5000, 9))
    const report = await collector.verify({})
    expect(report).toMatchObject({ checked: 5, corrupt: [layer.digest] })
    expect(missing).toBe(1)
    expect(await world.isHeld(layer.digest)).toBe(false)
    expect(await collector.verify({})).toMatchObject({ checked: 4, corrupt: [] })
  })

  test('names what is recorded as held without a file, and has it fetched again', async () => {
    const world = await collectorWorld()
    let asked = 0
    const collector = world.open({ onMissing: () => (asked += 1) })
    await world.move(app, 'prod', one)
    const [layer = one.config] = one.layers
    await rm(world.fileOf(layer.digest))
    const bytes = sizeOf(one) - layer.bytes.length
    expect(await collector.verify({})).toEqual({ checked: 4, bytes, corrupt: [], missing: [layer.digest] })
    expect(asked).toBe(1)
    await world.content.putManifest(layer.digest, layer.bytes, upstream)
    expect(await collector.verify({})).toEqual({ checked: 5, bytes: sizeOf(one), corrupt: [], missing: [] })
    expect(asked).toBe(1)
  })

  test('goes page by page through what is missing too', async () => {
    const { collector, move, fileOf } = await collectorWorld()
    await move(app, 'prod', one)
    for (const digest of digestsOf(one)) await rm(fileOf(digest))
    const [first, second] = digestsOf(one)
    const page = { checked: 0, bytes: 0, corrupt: [] }
    expect(await collector.verify({ maxBytes: 1 })).toEqual({ ...page, missing: [first], continue: first })
    expect(await collector.verify({ maxBytes: 1, ...(first && { after: first }) })).toEqual({
      ...page,
      missing: [second],
      continue: second,
    })
    expect(await collector.verify({})).toEqual({ ...page, missing: digestsOf(one) })
  })

  test('names a thousand at most in a page: after a loss of the disk it would be all', async () => {
    const world = await collectorWorld()
    const records = createHeldRecords({ store: world.store, now: world.clock.now })
    const digests = Array.from({ length: 1003 }, (_, n) => digestOf(Buffer.from(`lost ${n}`))).sort()
    await Promise.all(digests.map((digest) => records.add(digest, 1, proofOf([upstream]))))
    const page = await world.collector.verify({})
    expect(page).toMatchObject({ missing: digests.slice(0, 1000), continue: digests[999] })
    const rest = await world.collector.verify({ ...(page.continue && { after: page.continue }) })
    expect(rest).toEqual({ checked: 0, bytes: 0, corrupt: [], missing: digests.slice(1000) })
  })

  test('does not call missing what is removed while it comes to it', async () => {
    const { content, move, later, clock } = await collectorWorld()
    await move(app, 'prod', one)
    later(2 * dayMs)
    const list: typeof content.list = async function* (options) {
      for await (const each of content.list(options)) {
        expect(await content.remove(each.digest, { unusedSince: clock.now() })).toBe(each.size)
        yield each
      }
    }
    const evicted = { list, verify: content.verify }
    const { signal } = new AbortController()
    expect(await verifyHeld(evicted, { maxBytes: 1e9, signal })).toMatchObject({ checked: 0, missing: [] })
  })

  test('ends when it is told to', async () => {
    const { collector, move } = await collectorWorld()
    await move(app, 'prod', one)
    await expect(collector.verify({ signal: AbortSignal.abort(new Error('left')) })).rejects.toThrow('left')
  })
})
