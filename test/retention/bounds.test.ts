import { describe, expect, test, vi } from 'vitest'
import { RegistryError } from '../../src/oci/errors.ts'
import { createSlots } from '../../src/retention/slots.ts'
import { makeImage } from '../support/images.ts'
import { app, over, type RetentionWorld, retentionWorld } from './world.ts'

const v1 = makeImage('v1', { layers: ['one', 'two', 'three'].map((text) => Buffer.from(`layer ${text}`)) })
const whenHeld = { 'weir.dev/move': 'when-held' }

async function imported(there: RetentionWorld, tag = 'prod', wait?: AbortSignal) {
  there.registry.put('lib/app', v1, { tag: 'v1' })
  return there.importImage('app', tag, `${there.repository}:v1`, wait && { wait })
}

function never(): AbortSignal {
  return new AbortController().signal
}

describe('what is not to be had for now', () => {
  test('for want of room is tried again later, without asking for the rest', async () => {
    const there = await retentionWorld()
    await imported(there)
    let isFull = true
    const fetched: string[] = []
    const { goOn } = over(there, {
      fetch: async (link, options) => {
        fetched.push(link.digest)
        if (isFull) throw new RegistryError('UNAVAILABLE', { message: 'there is no room: maxBytes reached' })
        return there.content.fetch(link, options)
      },
    })
    await vi.waitFor(async () => expect(await there.unheld()).toMatchObject({ failure: { reason: 'Unavailable' } }))
    const { at = '', retryAt = '' } = (await there.unheld())?.failure ?? {}
    expect(Date.parse(retryAt) - Date.parse(at)).toBeGreaterThanOrEqual(30_000)
    expect(fetched.length).toBeLessThan(3)
    expect((await there.tagOf())?.record.upstreamGone).toBeUndefined()
    isFull = false
    goOn()
    await there.settled()
    expect(await there.isHeld(v1)).toBe(true)
  })

  test('for a mistake of the programmer is told as that, and tried again', async () => {
    const there = await retentionWorld()
    await imported(there)
    over(there, {
      fetch: async () => {
        throw new TypeError('secret of the house')
      },
    })
    await vi.waitFor(async () => expect(await there.unheld()).toMatchObject({ failure: { reason: 'Failed' } }))
    expect((await there.unheld())?.failure?.message).not.toContain('secret')
  })
})

test('two tags at one image fetch it once', async () => {
  const there = await retentionWorld()
  await imported(there)
  await imported(there, 'other')
  const fetched: string[] = []
  const held = there.registry.hold(/\/blobs\//)
  over(there, {
    fetch: (link, options) => {
      fetched.push(link.digest)
      return there.content.fetch(link, options)
    },
  })
  await held.arrived(2)
  // The other tag's turn has come as well.
  for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  held.release()
  await there.settled()
  expect(new Set(fetched).size).toBe(fetched.length)
  expect(await there.isHeld(v1)).toBe(true)
})

test('a download for a client and the one for the pin are one', async () => {
  const there = await retentionWorld()
  await imported(there)
  const [layer] = v1.layers
  if (layer === undefined) throw new Error('no layer')
  const held = there.registry.hold(new RegExp(layer.digest))
  const opening = there.pullThrough.blob(app, layer.digest)
  await held.arrived()
  there.start()
  await vi.waitFor(() => expect(there.fetched()).toContain(v1.layers[1]?.digest))
  held.release()
  ;(await opening).reader.close()
  await there.settled()
  expect(there.fetched().filter((digest) => digest === layer.digest)).toHaveLength(1)
})

describe('who waits for a tag to move', () => {
  test('is told that it goes on, when that takes too long', async () => {
    const there = await retentionWorld({ retention: { longestWaitMs: 1 } })
    await there.annotate('stream', whenHeld)
    const held = there.registry.hold(new RegExp(`${v1.layers[0]?.digest}`))
    const { images } = await imported(there, 'prod', never())
    expect(images).toMatchObject([{ error: { code: 'UNAVAILABLE', message: expect.stringContaining('still being') } }])
    expect((await there.tagOf())?.record.condition).toMatchObject({ reason: 'ContentIncomplete' })
    held.release()
  })

  test('does not wait when eight of the project do already, and the tag moves later', async () => {
    const there = await retentionWorld()
    await there.annotate('stream', whenHeld)
    const held = there.registry.hold(new RegExp(`${v1.layers[0]?.digest}`))
    const waiting = Array.from({ length: 8 }, (_, i) => imported(there, `t${i}`, never()))
    await vi.waitFor(async () => {
      const tags = await there.reader.tags(app)
      expect(tags.filter(({ record }) => record.awaits !== undefined)).toHaveLength(8)
    })
    await held.arrived()
    const { images } = await imported(there, 'late', never())
    expect(images).toMatchObject([{ to: 'late', error: { code: 'UNAVAILABLE' } }])
    held.release()
    for (const result of await Promise.all(waiting)) expect(result.images[0]).not.toHaveProperty('error')
    there.start()
    await vi.waitFor(async () => expect(await there.pin('late')).toBe(v1.manifest.digest))
  })
})

test('a project whose registries never end keeps no other waiting', async () => {
  const there = await retentionWorld()
  await there.objects.create('namespaces', '', { metadata: { name: 'evil' } })
  const images = Array.from({ length: 12 }, (_, i) => makeImage(`endless ${i}`))
  for (const [i, image] of images.entries()) {
    there.registry.put(`lib/evil${i}`, image, { tag: 'v1' })
    await there.writer.create({ project: 'evil', stream: `s${i}` })
    const from = `${there.registry.host}/lib/evil${i}:v1`
    await there.importer.import({
      project: 'evil',
      stream: `s${i}`,
      by: 'eve',
      images: [{ from, to: 'x', importPolicy: {} }],
    })
  }
  const held = there.registry.hold(/\/evil\d+\/blobs\//)
  over(there, {}, { backgroundDownloadsPerHost: 4 })
  await held.arrived(2)
  await imported(there)
  await vi.waitFor(async () => expect(await there.isHeld(v1)).toBe(true), { timeout: 10_000 })
  held.release()
})

describe('slots', () => {
  test('are not taken by who leaves while he waits', async () => {
    const slots = createSlots({ total: 1, perHost: 1 })
    const place = { project: 'demo', host: 'a' }
    const first = Promise.withResolvers<string>()
    const leaving = new AbortController()
    const one = slots.run(place, never(), () => first.promise)
    const two = slots.run(place, leaving.signal, async () => 'two')
    const three = slots.run(place, never(), async () => 'three')
    leaving.abort(new Error('left'))
    await expect(two).rejects.toThrow('left')
    first.resolve('one')
    expect(await Promise.all([one, three])).toEqual(['one', 'three'])
  })

  test('are left to others by a project whose registries never end', async () => {
    const slots = createSlots({ total: 4, perHost: 2, perProject: 2 })
    const endless = Array.from({ length: 10 }, (_, i) =>
      slots.run({ project: 'evil', host: `trickle ${i}` }, never(), () => new Promise(() => undefined)),
    )
    const done = await Promise.all(
      [1, 2, 3].map((i) => slots.run({ project: 'demo', host: 'a' }, never(), async () => i)),
    )
    expect(done).toEqual([1, 2, 3])
    expect(endless).toHaveLength(10)
  })

  test('come free when the work fails', async () => {
    const slots = createSlots({ total: 1, perHost: 1 })
    const place = { project: 'demo', host: 'a' }
    const failing = slots.run(place, never(), async () => {
      throw new Error('failed')
    })
    await expect(failing).rejects.toThrow('failed')
    expect(await slots.run(place, never(), async () => 'next')).toBe('next')
  })
})
