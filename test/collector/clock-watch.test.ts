import { describe, expect, test } from 'vitest'
import { testClock } from '../support/clock.ts'
import { makeImage } from '../support/images.ts'
import { collectorWorld, dayMs, digestsOf, hourMs } from './world.ts'

const real = { dryRun: false }
const name = { project: 'demo', stream: 'app' }
const refusal = { code: 'UNAVAILABLE', message: expect.stringContaining('the clock was set by 48 h') }

/** An image that nothing needs, and a clock that is set while the other one goes on. */
async function unneeded() {
  const world = await collectorWorld()
  const monotonic = testClock()
  const collector = world.open({ monotonic: monotonic.now })
  const image = makeImage('image')
  await world.admit(name, image)
  const pass = (ms: number) => {
    world.later(ms)
    monotonic.advance(ms)
  }
  return { ...world, collector, pass, isGone: async () => !(await world.isHeld(image.manifest.digest)), image }
}

describe('set back while a pass is under way', () => {
  test.each([
    ['before links are removed', 1],
    ['before bytes are removed', 2],
  ])('%s, it ends the pass', async (_, at) => {
    const { content, later, pass, open, link, image, heldDigests } = await unneeded()
    pass(3 * dayMs)
    const monotonic = testClock()
    let lists = 0
    const list: typeof content.list = async function* (options) {
      lists += 1
      if (lists === at) later(-2 * dayMs)
      yield* content.list(options)
    }
    const collector = open({ content: { ...content, list }, monotonic: monotonic.now })
    await expect(collector.prune(real)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(await heldDigests()).toEqual(digestsOf(image))
    if (at === 1) expect(await link(name, image.manifest.digest)).toBeDefined()
  })

  test('while an upstream is asked, it ends the pass', async () => {
    const { move, later, source, open, image, heldDigests } = await unneeded()
    await move(name, 'prod', image, { annotations: { 'weir.dev/retain': 'pulled' } })
    later(dayMs / 2)
    const size: typeof source.size = async (...args) => {
      later(-2 * hourMs)
      return source.size(...args)
    }
    const collector = open({ source: { ...source, size }, monotonic: testClock().now, maxBytes: 10 })
    await expect(collector.prune(real)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(await heldDigests()).toEqual(digestsOf(image))
  })
})

describe('when the clock was set', () => {
  test('nothing is collected, neither at once nor soon', async () => {
    const { collector, later, pass, isGone } = await unneeded()
    later(2 * dayMs)
    await expect(collector.prune(real)).rejects.toMatchObject(refusal)
    pass(hourMs - 1)
    await expect(collector.prune(real)).rejects.toMatchObject(refusal)
    expect(await isGone()).toBe(false)
  })

  test('it is believed after an hour', async () => {
    const { collector, later, pass, heldDigests, image } = await unneeded()
    later(2 * dayMs)
    await expect(collector.prune(real)).rejects.toMatchObject(refusal)
    pass(hourMs)
    expect((await collector.prune(real)).freedCount).toBe(digestsOf(image).length)
    expect(await heldDigests()).toEqual([])
  })

  test('it is believed at once when it is set right again', async () => {
    const { collector, later, isGone } = await unneeded()
    later(2 * dayMs)
    await expect(collector.prune(real)).rejects.toMatchObject(refusal)
    later(-2 * dayMs)
    expect(await collector.prune(real)).toMatchObject({ freedCount: 0 })
    expect(await isGone()).toBe(false)
  })

  test('set again, it is doubted anew', async () => {
    const { collector, later, pass, isGone } = await unneeded()
    later(2 * dayMs)
    await expect(collector.prune(real)).rejects.toMatchObject(refusal)
    pass(hourMs)
    later(2 * dayMs)
    await expect(collector.prune(real)).rejects.toThrow('96 h')
    pass(hourMs / 2)
    await expect(collector.prune(real)).rejects.toThrow('96 h')
    expect(await isGone()).toBe(false)
  })

  test('by less than an hour, or while time went by, nothing is refused', async () => {
    const { collector, later, pass, isGone } = await unneeded()
    for (let n = 0; n < 3; n += 1) {
      later(hourMs)
      await collector.prune(real)
      pass(dayMs)
    }
    await collector.prune(real)
    expect(await isGone()).toBe(true)
  })
})
