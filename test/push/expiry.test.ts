import { randomBytes, randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { createExpiry, type Expiry } from '../../src/push/expiry.ts'
import { createSessions } from '../../src/push/sessions.ts'
import type { PushOptions } from '../../src/push.ts'
import { live } from '../content/upload-bodies.ts'
import { ann, app, type BlobWorld, begun, blobWorld, limits, sent, unknown } from './blob-world.ts'

const log = pino({ level: 'silent' })
const hourMs = 3_600_000
const bytes = randomBytes(1000)
const digest = digestOf(bytes)
const never = new AbortController().signal

/** Uploads that are given up 24 h after their newest byte; now is the time of the files. */
async function expiryWorld(options: Partial<PushOptions> = {}) {
  const world = await blobWorld(options)
  world.clock.advance(Date.now() - world.clock.now())
  return { ...world, expiry: expiryOf(world) }
}

function expiryOf({ store, content, clock }: BlobWorld): Expiry {
  return createExpiry({
    store,
    sessions: createSessions({ store, ...limits, now: clock.now }),
    uploads: content.uploads,
    onExpired: () => undefined,
    expireAfterMs: limits.expireAfterMs,
    now: clock.now,
    pause: async () => expect.fail(),
    log,
  })
}

test('an upload is given up a day after its newest byte, or after it began', async () => {
  const { push, expiry, clock, uploads } = await expiryWorld()
  const empty = await begun(push, app)
  const id = await begun(push, app)
  await push.append(app, id, ann, sent(bytes))
  clock.advance(23 * hourMs)
  const young = await begun(push, app)
  expect(await expiry.pass(never)).toBe(0)
  clock.advance(2 * hourMs)
  expect(await expiry.pass(never)).toBe(2)
  expect(await uploads()).toEqual({ records: [young], files: [] })
  for (const gone of [id, empty]) await expect(push.status(app, gone, ann)).rejects.toMatchObject(unknown)
  await expect(push.append(app, id, ann, sent('x'))).rejects.toMatchObject(unknown)
})

test('one that a client is sending to stays, however long ago it began', async () => {
  const { push, expiry, clock, uploads, blob } = await expiryWorld()
  const [first, second] = [await begun(push, app), await begun(push, app)]
  const slow = live()
  const writing = push.append(app, first, ann, slow.body)
  slow.send(bytes)
  await slow.awaited(2)
  await push.append(app, second, ann, sent(bytes))
  // Idle for days as far as the disk tells, but a client is sending to it.
  clock.advance(25 * hourMs)
  expect(await expiry.pass(never)).toBe(1)
  expect((await uploads()).records).toEqual([first])
  slow.end()
  await writing
  await push.finish(app, first, ann, digest)
  expect((await blob(app, digest))?.equals(bytes)).toBe(true)
})

test('one whose newest byte is young stays, however long ago it began', async () => {
  const { push, expiry, clock, uploads } = await expiryWorld()
  clock.advance(-30 * hourMs)
  const id = await begun(push, app)
  clock.advance(30 * hourMs)
  await push.append(app, id, ann, sent(bytes))
  expect(await expiry.pass(never)).toBe(0)
  expect(await uploads()).toEqual({ records: [id], files: [id] })
})

test('what other processes ended meanwhile takes no place any more', async () => {
  const { push: elsewhere, pushWith } = await expiryWorld()
  const { pause, pass, stop } = pauses()
  const push = pushWith({ limits: { ...limits, maxPerUser: 1 }, pause })
  const id = await begun(push, app)
  await elsewhere.cancel(app, id, ann)
  await expect(push.begin(app, ann)).rejects.toMatchObject({ code: 'TOOMANYREQUESTS' })
  const running = push.run(stop.signal)
  await pass()
  await begun(push, app)
  stop.abort()
  await running
})

test('a file that a crash left without a record goes, and one that was just made stays', async () => {
  const { content, expiry, clock, uploads } = await expiryWorld()
  const orphan = randomUUID()
  await content.uploads.append(orphan, sent(bytes), {})
  expect(await expiry.pass(never)).toBe(0)
  expect((await uploads()).files).toEqual([orphan])
  clock.advance(25 * hourMs)
  expect(await expiry.pass(never)).toBe(1)
  expect((await uploads()).files).toEqual([])
})

test('one that is whole and never reached its stream goes a day after that', async () => {
  const { pushWith, links, push, expiry, clock, uploads } = await expiryWorld()
  const broken = pushWith({ links: { ...links, add: () => Promise.reject(new Error('the power failed')) } })
  const id = await begun(broken, app)
  clock.advance(20 * hourMs)
  await expect(broken.finish(app, id, ann, digest, { body: sent(bytes) })).rejects.toThrow('the power failed')
  clock.advance(20 * hourMs)
  expect(await expiry.pass(never)).toBe(0)
  expect(await push.status(app, id, ann)).toEqual({ id, offset: bytes.length })
  clock.advance(5 * hourMs)
  expect(await expiry.pass(never)).toBe(1)
  expect(await uploads()).toEqual({ records: [], files: [] })
})

test('those that are given up make room for others', async () => {
  const { clock, pushWith, uploads } = await expiryWorld()
  const { pause, pass, stop } = pauses()
  const push = pushWith({ limits: { ...limits, maxPerUser: 1 }, pause })
  const running = push.run(stop.signal)
  await begun(push, app)
  await pass()
  await expect(push.begin(app, ann)).rejects.toMatchObject({ code: 'TOOMANYREQUESTS' })
  clock.advance(25 * hourMs)
  await pass()
  await begun(push, app)
  expect((await uploads()).records).toHaveLength(1)
  stop.abort()
  await running
})

test('it looks now and again, goes on after a failure, and ends when Weir does', async () => {
  const { clock, content, pushWith, store, uploads } = await expiryWorld()
  const { pause, pass, stop, waits } = pauses()
  let fails = true
  const push = pushWith({
    pause,
    store: {
      ...store,
      range: (...query) => (fails ? Promise.reject(new Error('the disk is gone')) : store.range(...query)),
    },
  })
  const id = randomUUID()
  await content.uploads.append(id, sent(bytes), {})
  clock.advance(25 * hourMs)
  const running = push.run(stop.signal)
  await pass()
  expect((await uploads()).files).toEqual([id])
  fails = false
  await pass()
  await pass()
  expect((await uploads()).files).toEqual([])
  await pass()
  expect(waits).toEqual([60_000, 60_000, 60_000, hourMs, hourMs])
  stop.abort()
  await running
})

/** A clock for whoever works now and again: each `pass` ends one pause, and settles at the next. */
function pauses() {
  const stop = new AbortController()
  const waits: number[] = []
  let arrive = Promise.withResolvers<void>()
  let leave: () => void = () => undefined
  return {
    stop,
    waits,
    pause(ms: number, signal: AbortSignal): Promise<void> {
      waits.push(ms)
      return new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        leave = resolve
        arrive.resolve()
      })
    },
    async pass(): Promise<void> {
      await arrive.promise
      arrive = Promise.withResolvers()
      leave()
      await arrive.promise
    },
  }
}
