import { writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { makeImage } from '../support/images.ts'
import { collectorWorld, digestsOf, sizeOf } from './world.ts'

const app = { project: 'demo', stream: 'app' }
const one = makeImage('one', { layers: [Buffer.alloc(5000, 1), Buffer.alloc(5000, 2), Buffer.alloc(5000, 3)] })

describe('a verification', () => {
  test('reads everything that is held', async () => {
    const { collector, move } = await collectorWorld()
    await move(app, 'prod', one)
    expect(await collector.verify({})).toEqual({ checked: 5, bytes: sizeOf(one), corrupt: [] })
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

  test('ends when it is told to', async () => {
    const { collector, move } = await collectorWorld()
    await move(app, 'prod', one)
    await expect(collector.verify({ signal: AbortSignal.abort(new Error('left')) })).rejects.toThrow('left')
  })
})
