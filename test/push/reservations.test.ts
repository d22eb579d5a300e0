import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { createReservations, type ReserveBytes } from '../../src/push/reservations.ts'
import { live } from '../content/upload-bodies.ts'
import { ann, app, begun, blobWorld, other, sent, unknown } from './blob-world.ts'

/** A quota of so many bytes, of which nothing is used but what is reserved. */
function quota(hard: number) {
  const state = { hard, reserved: 0, most: 0, asked: 0 }
  const reserve: ReserveBytes = async (_project, bytes, { isThere = false } = {}) => {
    state.asked += 1
    if (!isThere && state.reserved + bytes > state.hard)
      throw new RegistryError('DENIED', { message: 'exceeded quota: small' })
    state.reserved += bytes
    state.most = Math.max(state.most, state.reserved)
    let isTaken = true
    return () => {
      if (isTaken) state.reserved -= bytes
      isTaken = false
    }
  }
  return { state, reserve }
}

const denied = { code: 'DENIED', status: 403 }
const bytes = randomBytes(1000)
const digest = digestOf(bytes)

describe('a push beyond a quota', () => {
  test('is refused before its bytes are taken, where it says how many', async () => {
    const { reserve, state } = quota(999)
    const { push, reader, uploads } = await blobWorld({ reserveBytes: reserve })
    await expect(push.begin(app, ann, { expectedBytes: 1000 })).rejects.toMatchObject(denied)
    expect((await uploads()).records).toEqual([])
    const untouched = live()
    const { body } = untouched
    for (const range of [{ start: 0, length: 1000 }, { length: 1000 }]) {
      const [first, second] = [await begun(push, app), await begun(push, app)]
      await expect(push.append(app, first, ann, body, range)).rejects.toMatchObject(denied)
      await expect(push.finish(app, second, ann, digest, { body, range })).rejects.toMatchObject(denied)
    }
    expect(untouched.isAsked).toBe(false)
    expect(state.reserved).toBe(0)
    expect(await uploads()).toEqual({ records: [], files: [] })
    expect(await reader.stream(app)).toBeUndefined()
  })

  test('is refused while its bytes come, where it does not say how many; what came is discarded', async () => {
    const { reserve, state } = quota(2500)
    const { push, uploads } = await blobWorld({ reserveBytes: reserve })
    const id = await begun(push, app)
    await expect(push.append(app, id, ann, sent(bytes, bytes, bytes))).rejects.toMatchObject(denied)
    expect(state).toMatchObject({ reserved: 0, most: 2000 })
    expect(await uploads()).toEqual({ records: [], files: [] })
    await expect(push.status(app, id, ann)).rejects.toMatchObject(unknown)
  })

  test('is refused by its next piece, and leaves room to others', async () => {
    const { reserve, state } = quota(2500)
    const { push, uploads } = await blobWorld({ reserveBytes: reserve })
    const id = await begun(push, app)
    await push.append(app, id, ann, sent(bytes, bytes), { length: 2000 })
    await expect(push.append(app, id, ann, sent(bytes), { length: 1000 })).rejects.toMatchObject(denied)
    expect(await uploads()).toEqual({ records: [], files: [] })
    const next = await begun(push, app)
    await push.append(app, next, ann, sent(bytes, bytes))
    expect(state.reserved).toBe(2000)
  })

  test('is refused also where a refused request came beside the one that sends', async () => {
    const { reserve, state } = quota(1500)
    const { push } = await blobWorld({ reserveBytes: reserve })
    const [first, second] = [await begun(push, app), await begun(push, app)]
    const slow = live()
    const writing = push.append(app, first, ann, slow.body, { start: 0, length: 1000 })
    await slow.awaited(1)
    const beside = push.append(app, first, ann, sent('z'), { start: 0, length: 1 })
    await expect(beside).rejects.toMatchObject({ code: 'UPLOAD_OFFSET_INVALID' })
    expect(state.reserved).toBe(1000)
    await expect(push.append(app, second, ann, sent(bytes), { length: 1000 })).rejects.toMatchObject(denied)
    slow.send(bytes)
    slow.end()
    expect(await writing).toMatchObject({ offset: 1000 })
  })

  test('takes nothing from a request that is still sending to the same upload', async () => {
    const { reserve } = quota(1500)
    const { push, uploads } = await blobWorld({ reserveBytes: reserve })
    const id = await begun(push, app)
    const slow = live()
    const writing = push.append(app, id, ann, slow.body)
    slow.send(bytes)
    await slow.awaited(2)
    await expect(push.append(app, id, ann, sent(bytes, bytes), { length: 2000 })).rejects.toMatchObject(denied)
    slow.end()
    expect(await writing).toEqual({ id, offset: 1000 })
    expect((await uploads()).records).toEqual([id])
  })

  test('is refused when it begins once nothing is left', async () => {
    const { reserve, state } = quota(1000)
    const { push } = await blobWorld({ reserveBytes: reserve })
    const id = await begun(push, app)
    await push.append(app, id, ann, sent(bytes))
    expect(state.reserved).toBe(1000)
    await expect(push.begin(app, ann)).rejects.toMatchObject(denied)
    await push.finish(app, id, ann, digest)
    expect(state.reserved).toBe(0)
  })
})

test('what comes is reserved as far as it came, also after a restart, until it is the stream’s', async () => {
  const { reserve, state } = quota(1_000_000)
  const { push, pushWith } = await blobWorld({ reserveBytes: reserve })
  const id = await begun(push, app)
  await push.append(app, id, ann, sent(bytes.subarray(0, 300)))
  expect(state.reserved).toBe(300)
  state.reserved = 0
  const again = pushWith()
  await again.append(app, id, ann, sent(bytes.subarray(300, 400)), { start: 300, length: 100 })
  expect(state.reserved).toBe(400)
  await expect(again.append(app, id, ann, sent('x'), { start: 0, length: 700 })).rejects.toMatchObject({
    code: 'UPLOAD_OFFSET_INVALID',
  })
  await expect(again.append(app, id, ann, sent('x'), { start: 400, length: 700 })).rejects.toMatchObject({
    code: 'SIZE_INVALID',
  })
  expect(state.reserved).toBe(400)
  await again.finish(app, id, ann, digest, { body: sent(bytes.subarray(400)) })
  expect(state.reserved).toBe(0)
})

test('what came before a restart is reserved again, once, until it ends; also what is whole', async () => {
  const { reserve, state } = quota(1_000)
  const { push, pushWith } = await blobWorld({ reserveBytes: reserve })
  const [first, second, cancelled] = [await begun(push, app), await begun(push, app), await begun(push, app)]
  await begun(push, other)
  await push.append(app, first, ann, sent(bytes.subarray(0, 300)))
  await push.append(app, second, ann, sent(bytes.subarray(0, 200)))
  await push.append(app, cancelled, ann, sent(bytes.subarray(0, 50)))
  const before = state.reserved
  expect(before).toBe(550)
  const after = quota(100)
  const again = pushWith({ reserveBytes: after.reserve })
  await Promise.all([again.restoreReservations(), again.restoreReservations()])
  await again.restoreReservations()
  expect(after.state.reserved).toBe(before)
  await again.cancel(app, cancelled, ann)
  await again.finish(app, first, ann, digestOf(bytes.subarray(0, 300)))
  expect(after.state.reserved).toBe(200)
  await expect(again.append(app, second, ann, sent(bytes))).rejects.toMatchObject(denied)
  expect(after.state.reserved).toBe(0)
})

test('a client that pauses has at most twice reserved what it sent', async () => {
  const { reserve, state } = quota(1e9)
  const { push } = await blobWorld({ reserveBytes: reserve })
  const id = await begun(push, app)
  const slow = live()
  const writing = push.append(app, id, ann, slow.body)
  slow.send(bytes)
  await slow.awaited(2)
  expect(state.reserved).toBe(2000)
  slow.end()
  await writing
  expect(state.reserved).toBe(1000)
})

test('what came stays reserved when a quota becomes smaller', async () => {
  const { reserve, state } = quota(1e9)
  const reservations = createReservations(reserve, async function* () {})
  const upload = { id: 'a', project: 'demo' }
  await reservations.grow(upload, 100)
  state.hard = 0
  await reservations.shrink(upload, 70)
  expect(state.reserved).toBe(70)
})

test('what ends while that is looked for is not reserved again', async () => {
  const { reserve, state } = quota(1_000)
  const upload = { id: 'a', project: 'demo' }
  let looks = 0
  const reservations = createReservations(reserve, async function* () {
    looks += 1
    reservations.end('a')
    yield { ...upload, bytes: 300 }
    yield { ...upload, id: 'b', bytes: 20 }
  })
  await Promise.all([reservations.restore(), reservations.restore()])
  await reservations.restore()
  expect(state.reserved).toBe(20)
  expect(looks).toBe(1)
})

test('what turns out to be another digest is given back', async () => {
  const { reserve, state } = quota(1_000_000)
  const { push } = await blobWorld({ reserveBytes: reserve })
  const id = await begun(push, app)
  const wrong = push.finish(app, id, ann, digestOf('other'), { body: sent(bytes) })
  await expect(wrong).rejects.toMatchObject({ code: 'DIGEST_INVALID' })
  expect(state.reserved).toBe(0)
})

test('a mount from another project counts, and one from the same does not', async () => {
  const { reserve, state } = quota(1_000)
  const { push, pushWith, objects, writer, links, reader } = await blobWorld()
  await objects.create('namespaces', '', { metadata: { name: 'elsewhere' } })
  const from = { project: 'elsewhere', stream: 'app' }
  for (const name of [from, other]) {
    const id = await begun(push, name)
    await push.finish(name, id, ann, digest, { body: sent(bytes) })
  }
  await writer.create(app)
  const counted = pushWith({ reserveBytes: reserve })
  expect(await counted.begin(app, ann, { mount: digest, from: other })).toEqual({ mounted: digest })
  expect(state.asked).toBe(0)
  const full = pushWith({ reserveBytes: quota(999).reserve })
  const fresh = { project: 'demo', stream: 'fresh' }
  await expect(full.begin(fresh, ann, { mount: digest, from })).rejects.toMatchObject(denied)
  expect(await reader.stream(fresh)).toBeUndefined()
  expect(await counted.begin(fresh, ann, { mount: digest, from })).toEqual({ mounted: digest })
  expect(await links.get(fresh, digest)).toBeDefined()
  expect(state).toMatchObject({ asked: 1, reserved: 0 })
})

test('however uploads come and go, as much is reserved as came, never beyond the quota', async () => {
  const hard = 1000
  const step = fc.record({
    id: fc.constantFrom('a', 'b', 'c'),
    what: fc.constantFrom('say', 'stream', 'end'),
    bytes: fc.nat(400),
    cut: fc.nat(400),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
      const { reserve, state } = quota(hard)
      const reservations = createReservations(reserve, async function* () {})
      const came = new Map<string, number>()
      for (const { id, what, bytes: more, cut } of steps) {
        const upload = { id, project: 'demo' }
        const before = came.get(id) ?? 0
        if (what === 'end') {
          reservations.end(id)
          came.delete(id)
        } else {
          const others = [...came.values()].reduce((all, each) => all + each, 0) - before
          const fits = others + before + more <= hard
          const isTaken = await (what === 'say' ? reservations.grow(upload, before + more) : drain(more, before))
            .then(() => true)
            .catch(() => false)
          expect(isTaken).toBe(fits || more === 0)
          const now = isTaken ? before + Math.max(more - cut, 0) : before
          await reservations.shrink(upload, now)
          came.set(id, now)
        }
        expect(state.reserved).toBe([...came.values()].reduce((all, each) => all + each, 0))
        expect(state.most).toBeLessThanOrEqual(hard)

        async function drain(length: number, offset: number): Promise<void> {
          const body = sent(...(length === 0 ? [] : [Buffer.alloc(length)]))
          for await (const _ of reservations.whileItComes(upload, body, offset));
        }
      }
    }),
    { numRuns: 300 },
  )
})

test('a long upload of small pieces is few reservations', async () => {
  const { reserve, state } = quota(1e9)
  const reservations = createReservations(reserve, async function* () {})
  const upload = { id: 'a', project: 'demo' }
  for (let i = 1; i <= 1000; i++) {
    await reservations.grow(upload, i)
    await reservations.shrink(upload, i)
    expect(state.reserved).toBe(i)
  }
  expect(state.asked).toBeLessThan(1100)
})
