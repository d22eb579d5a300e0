import { expect, test } from 'vitest'
import { reportGone, reportSeen } from '../../src/streams/upstream-gone.ts'
import { app, digest, event, type World, world } from './world.ts'

const a = digest('a')

async function pushed(): Promise<World> {
  const w = await world()
  await w.writer.changeTag(app, 'prod', () => ({ event: event('a') }), { create: true })
  return w
}

const goneOf = async ({ reader }: World) => (await reader.tag(app, 'prod'))?.record.upstreamGone

test('that an image is gone is recorded once, shows as a change of the stream, and is taken back once', async () => {
  const w = await pushed()
  const before = (await w.reader.stream(app))?.resourceVersion ?? 0
  expect(await reportGone(w.writer, app, 'prod', a, 'quay.io')).toBe(true)
  expect(await goneOf(w)).toMatchObject({ image: a, host: 'quay.io' })
  const told = (await w.reader.stream(app))?.resourceVersion ?? 0
  expect(told).toBeGreaterThan(before)
  expect(await reportGone(w.writer, app, 'prod', a, 'quay.io')).toBe(false)
  expect((await w.reader.stream(app))?.resourceVersion).toBe(told)
  expect(await reportSeen(w.writer, app, 'prod', a)).toBe(true)
  expect(await goneOf(w)).toBeUndefined()
  expect(await reportSeen(w.writer, app, 'prod', a)).toBe(false)
})

test('I2, I7: it moves no pin, writes no ledger and tells no notice', async () => {
  const w = await pushed()
  const before = [await w.dump('event/'), await w.dump('outbox/')]
  await reportGone(w.writer, app, 'prod', a, 'quay.io')
  expect([await w.dump('event/'), await w.dump('outbox/')]).toEqual(before)
  expect(await w.pins.pin(app, 'prod')).toMatchObject({ digest: a, revision: 1 })
})

test('what a tag does not stand at is no news of it', async () => {
  const w = await pushed()
  expect(await reportGone(w.writer, app, 'prod', digest('b'), 'quay.io')).toBe(false)
  await reportGone(w.writer, app, 'prod', a, 'quay.io')
  expect(await reportSeen(w.writer, app, 'prod', digest('b'))).toBe(false)
  expect(await goneOf(w)).toBeDefined()
})

test('neither is what is said of a tag or stream that is not there, or is no more', async () => {
  const w = await pushed()
  expect(await reportGone(w.writer, app, 'none', a, 'quay.io')).toBe(false)
  await w.writer.delete(app)
  for (const stream of ['app', 'none']) {
    expect(await reportGone(w.writer, { project: 'demo', stream }, 'prod', a, 'quay.io')).toBe(false)
    expect(await reportSeen(w.writer, { project: 'demo', stream }, 'prod', a)).toBe(false)
  }
})

test('a tag that moves at that moment does not take it along', async () => {
  const w = await pushed()
  w.faults.next = [{ status: 'committed', first: () => w.writer.changeTag(app, 'prod', () => ({ event: event('b') })) }]
  expect(await reportGone(w.writer, app, 'prod', a, 'quay.io')).toBe(false)
  expect(await goneOf(w)).toBeUndefined()
})

test("a store's failure is told", async () => {
  const w = await pushed()
  w.faults.next = Array.from({ length: 50 }, () => ({ status: 'unknown', lands: false }) as const)
  await expect(reportGone(w.writer, app, 'prod', a, 'quay.io')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
})
