import { describe, expect, test } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import { failing } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import { app, scheduleWorld } from './world.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const intervalMs = 15 * minuteMs
const images = [makeImage('min-age 1'), makeImage('min-age 2'), makeImage('min-age 3')]
const [one, two, three] = images.map(({ manifest }) => manifest.digest) as [Digest, Digest, Digest]
const heads = /^HEAD .*\/manifests\//

/** A scheduled tag `prod` that stands at the first of three images, and wants others to be three hours old. */
async function world(annotations: Record<string, string> = {}, options: Parameters<typeof scheduleWorld>[0] = {}) {
  const w = await scheduleWorld(options)
  for (const image of images) w.registry.put('lib/app', image)
  const point = (digest: Digest) => w.registry.tag('lib/app', 'stable', digest)
  point(one)
  const from = `${w.registry.host}/lib/app:stable`
  await w.follow('prod', from, { annotations: { 'weir.dev/min-age': '3h', ...annotations } })
  await w.pass(minuteMs)
  w.registry.requests.length = 0
  const record = async () => (await w.reader.tag(app, 'prod'))?.record
  return {
    ...w,
    from,
    point,
    record,
    candidate: async () => (await record())?.candidate,
    /** Changes the annotations as an edit does. */
    annotate: (changed: Record<string, string>) =>
      w.writer.changeTag(app, 'prod', ({ tag }) => {
        const spec = tag?.record.spec
        return spec && { spec: { ...spec, annotations: changed } }
      }),
    get schedule() {
      return w.schedule
    },
  }
}

describe('a digest that waits for its age', () => {
  test('costs a HEAD in each interval, and nothing is written, until it is old enough', async () => {
    const w = await world()
    w.point(two)
    await w.pass(intervalMs)
    expect(await w.candidate()).toMatchObject({ image: two })
    const before = await w.reader.tag(app, 'prod')
    w.registry.requests.length = 0
    await w.pass(2 * hourMs)
    expect(await w.reader.tag(app, 'prod')).toEqual(before)
    expect(w.registry.matching(heads)).toHaveLength(8)
    expect(w.registry.requests).toHaveLength(8)
    await w.pass(hourMs)
    expect(await w.head()).toBe(two)
  })

  test('is moved to when it is old enough, and not only when the next check is due', async () => {
    const w = await world({ 'weir.dev/import-interval': '1d' })
    w.point(two)
    while ((await w.candidate()) === undefined) await w.pass(hourMs)
    const seenAtMs = Date.parse((await w.candidate())?.seenAt ?? '')
    await w.pass(seenAtMs + 3 * hourMs - w.clock.now() - 1000)
    expect(await w.head()).toBe(one)
    await w.pass(2000)
    expect(await w.head()).toBe(two)
  })

  test('begins anew each time that its source comes back to it', async () => {
    const w = await world()
    for (let flip = 0; flip < 12; flip++) {
      w.point(flip % 2 === 0 ? two : one)
      await w.pass(hourMs)
      expect(await w.head()).toBe(one)
    }
    for (let flip = 0; flip < 12; flip++) {
      w.point(flip % 2 === 0 ? two : three)
      await w.pass(hourMs)
      expect(await w.head()).toBe(one)
    }
    expect(await w.candidate()).toMatchObject({ image: three })
    w.point(three)
    await w.pass(2 * hourMs + intervalMs)
    expect(await w.head()).toBe(three)
  })

  test('keeps its age across a restart', async () => {
    const w = await world()
    w.point(two)
    await w.pass(2 * hourMs)
    await w.stop()
    await w.start()
    const seenAt = Date.parse((await w.candidate())?.seenAt ?? '')
    await w.pass(seenAt + 3 * hourMs + 1000 - w.clock.now())
    expect(await w.head()).toBe(two)
  })

  test('keeps its age while its registry is away, and moves nobody while nobody knows that it is still there', async () => {
    const w = await world()
    w.point(two)
    await w.pass(hourMs)
    const heal = w.registry.intercept(failing(/manifests/, 503))
    await w.pass(3 * hourMs)
    expect(await w.head()).toBe(one)
    expect((await w.record())?.condition).toMatchObject({ reason: 'Unreachable' })
    heal()
    await w.pass(intervalMs)
    expect(await w.head()).toBe(two)
    expect((await w.record())?.condition).toBeUndefined()
  })

  test('is waited for no longer than a wish that was made shorter, or taken away', async () => {
    for (const annotations of [{ 'weir.dev/min-age': '30m' }, {}] as Record<string, string>[]) {
      const w = await world({ 'weir.dev/min-age': '72h' })
      w.point(two)
      await w.pass(2 * hourMs)
      expect(await w.head()).toBe(one)
      await w.annotate(annotations)
      await w.pass(intervalMs)
      expect(await w.head()).toBe(two)
    }
  })

  test('is waited for longer when the wish was made longer', async () => {
    const w = await world()
    w.point(two)
    await w.pass(2 * hourMs)
    await w.annotate({ 'weir.dev/min-age': '5h' })
    await w.pass(2 * hourMs)
    expect(await w.head()).toBe(one)
    await w.pass(hourMs + intervalMs)
    expect(await w.head()).toBe(two)
  })

  test('waits for its age and no longer when the clock was put back by a year meanwhile', async () => {
    const w = await world()
    w.clock.advance(365 * 24 * hourMs)
    w.point(two)
    await w.pass(intervalMs)
    expect(await w.candidate()).toMatchObject({ image: two })
    await w.stop()
    w.clock.advance(-365 * 24 * hourMs)
    await w.start()
    await w.pass(3 * hourMs - minuteMs)
    expect(await w.head()).toBe(one)
    await w.pass(intervalMs + minuteMs)
    expect(await w.head()).toBe(two)
  })

  test('does not undo a push that came after it was seen', async () => {
    const w = await world()
    w.point(two)
    await w.pass(hourMs)
    await w.importImage('app', 'other', `${w.registry.host}/lib/app@${three}`)
    await w.writer.changeTag(app, 'prod', () => ({
      event: {
        image: three,
        mediaType: images[2]?.manifest.mediaType ?? '',
        dockerImageReference: `weir.test:5000/demo/app@${three}`,
        cause: { kind: 'push', by: 'ann' },
      },
    }))
    await w.pass(8 * hourMs)
    expect(await w.head()).toBe(three)
    expect(await w.candidate()).toBeUndefined()
    w.point(one)
    await w.pass(4 * hourMs)
    expect(await w.head()).toBe(one)
  })

  test('is no more than a candidate of a tag that is held, whatever its age, and moved to at once by who resumes', async () => {
    const w = await world()
    w.point(two)
    await w.pass(4 * hourMs)
    expect(await w.head()).toBe(two)
    await w.tagEvents.rollback(app, 'prod', { by: 'ann' })
    w.point(three)
    await w.pass(6 * hourMs)
    expect(await w.head()).toBe(one)
    expect(await w.candidate()).toMatchObject({ image: three })
    expect(w.schedule.checks(app)).toMatchObject([{ last: { result: 'Candidate' } }])
    await w.tagEvents.resume(app, 'prod', { by: 'ann' })
    expect(await w.head()).toBe(three)
  })
})

describe('a tag with a tracking policy', () => {
  async function tracking() {
    const w = await world()
    w.registry.tag('lib/app', '1.27.0', one)
    w.registry.tag('lib/app', '1.27.1', two)
    const annotations = { 'weir.dev/track': 'semver:~1.27', 'weir.dev/min-age': '3h' }
    await w.follow('tracked', `${w.registry.host}/lib/app`, { annotations })
    await w.pass(intervalMs)
    expect(await w.head('tracked')).toBe(two)
    w.registry.untag('lib/app', '1.27.1')
    await w.pass(2 * hourMs)
    expect(await w.head('tracked')).toBe(two)
    return w
  }

  test('goes back to what is left no sooner than that is old enough', async () => {
    const w = await tracking()
    await w.pass(hourMs + intervalMs)
    expect(await w.head('tracked')).toBe(one)
  })

  test('stays where its best was away for less than that, as of a list that was not whole', async () => {
    const w = await tracking()
    w.registry.tag('lib/app', '1.27.1', two)
    await w.pass(6 * hourMs)
    expect(await w.head('tracked')).toBe(two)
    expect((await w.reader.ledger(app, 'tracked')).length).toBe(1)
    expect((await w.reader.tag(app, 'tracked'))?.record.candidate).toBeUndefined()
  })
})

describe('a candidate that is old enough, and may not move', () => {
  test('of an immutable tag is asked for no more often than once in an interval', async () => {
    const w = await world({ 'weir.dev/immutable': 'true' })
    w.point(two)
    await w.pass(4 * hourMs)
    w.registry.requests.length = 0
    await w.pass(2 * hourMs)
    expect(w.registry.requests).toHaveLength(8)
    expect(await w.head()).toBe(one)
    expect(await w.candidate()).toMatchObject({ image: two })
  })

  test('of a tag that waits for its content is asked for no more often than once in an interval', async () => {
    const w = await world({ 'weir.dev/move': 'when-held' })
    w.point(two)
    await w.pass(4 * hourMs)
    expect((await w.record())?.awaits).toMatchObject({ image: two })
    w.registry.requests.length = 0
    await w.pass(2 * hourMs)
    expect(w.registry.requests).toHaveLength(8)
  })
})
