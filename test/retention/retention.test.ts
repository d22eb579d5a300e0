import { describe, expect, test, vi } from 'vitest'
import { fakeAnswer, fakeError } from '../support/fake-upstream-answers.ts'
import { answering } from '../support/fake-upstream-faults.ts'
import { makeImage, makeIndex, piece } from '../support/images.ts'
import { app, type RetentionWorld, retentionWorld } from './world.ts'

const v1 = makeImage('v1', { layers: ['one', 'two', 'three'].map((text) => Buffer.from(`layer ${text}`)) })
const v2 = makeImage('v2')
const minuteMs = 60_000
const hourMs = 60 * minuteMs

async function imported(options: Parameters<typeof retentionWorld>[0] = {}): Promise<RetentionWorld> {
  const there = await retentionWorld(options)
  there.registry.put('lib/app', v1, { tag: 'v1' })
  await there.importImage('app', 'prod', `${there.repository}:v1`)
  return there
}

/** The requests of the upstream that match, from now on. */
function counted(there: RetentionWorld, match = /./): () => number {
  const before = there.registry.matching(match).length
  return () => there.registry.matching(match).length - before
}

describe('an image that a tag was moved to', () => {
  test('I8: is held without anybody asking, and then pulled with no upstream', async () => {
    const there = await imported()
    expect(await there.isHeld(v1)).toBe(false)
    expect(await there.retention.state(app, 'prod')).toMatchObject({ state: 'fetching', parts: 5, heldParts: 2 })
    there.start()
    await there.settled()
    expect(await there.isHeld(v1)).toBe(true)
    const asked = counted(there)
    expect(await there.retention.state(app, 'prod')).toMatchObject({ state: 'held', parts: 5, heldParts: 5 })
    for (const { digest } of [v1.config, ...v1.layers]) {
      const blob = await there.pullThrough.blob(app, digest)
      blob.reader.close()
    }
    await there.pullThrough.manifest(app, 'prod', { head: false })
    expect(asked()).toBe(0)
    expect([...there.fetched()].sort()).toEqual([v1.config, ...v1.layers].map(({ digest }) => digest).sort())
  })

  test('I1: is fetched by digest: its tag is asked about by the import alone', async () => {
    const there = await imported()
    const asked = counted(there, /manifests\/v1$/)
    there.start()
    await there.settled()
    expect(asked()).toBe(0)
  })

  test('of an index is held for the platforms chosen, and no others', async () => {
    const there = await retentionWorld()
    const index = makeIndex('multi', ['amd64', 'arm64', 's390x'])
    const [amd64, arm64, s390x] = index.children
    there.registry.put('lib/app', index, { tag: 'v1' })
    await there.importImage('app', 'prod', `${there.repository}:v1`)
    there.start()
    await there.settled()
    for (const child of [amd64, arm64]) expect(child && (await there.isHeld(child))).toBe(true)
    const others = s390x === undefined ? [] : [s390x.config, ...s390x.layers].map(({ digest }) => digest)
    expect(there.fetched().filter((digest) => others.some((other) => other === digest))).toEqual([])
    expect(there.registry.matching(new RegExp(`${s390x?.manifest.digest}`))).toEqual([])
    expect(await there.retention.state(app, 'prod')).toMatchObject({ state: 'held', parts: 7 })
  })

  test('of an index without a platform that its registry has is told as held: sparse indexes are legal', async () => {
    const there = await retentionWorld()
    const index = makeIndex('sparse', ['amd64', 'arm64'])
    there.registry.put('lib/app', index, { tag: 'v1' })
    const [amd64, arm64] = index.children
    if (amd64 === undefined || arm64 === undefined) throw new Error('no children')
    there.registry.remove(arm64.manifest.digest)
    await there.importImage('app', 'prod', `${there.repository}:v1`)
    there.start()
    await there.settled()
    expect(await there.isHeld(amd64)).toBe(true)
    expect(await there.retention.state(app, 'prod')).toMatchObject({ state: 'held' })
  })

  test('is not fetched where only what is pulled is kept', async () => {
    const there = await imported({ policy: { retain: 'pulled' } })
    there.start()
    await there.settled()
    expect(there.fetched()).toEqual([v1.config.digest])
    expect(await there.retention.state(app, 'prod')).toMatchObject({ state: 'pulled', parts: 5, heldParts: 2 })
  })

  test('is nothing to fetch for a tag that is a mere reference', async () => {
    const there = await retentionWorld()
    await there.writer.changeTag(app, 'alias', () => ({
      spec: {
        name: 'alias',
        annotations: null,
        from: { kind: 'DockerImage', name: there.repository },
        reference: true,
        importPolicy: {},
        referencePolicy: { type: 'Local' },
      },
    }))
    expect(await there.tagOf('alias')).toMatchObject({ record: { items: [{ image: '' }] } })
    expect(await there.unheld('alias')).toBeUndefined()
    expect(await there.retention.state(app, 'alias')).toBeUndefined()
  })

  test('goes on being fetched by the next process, with no client asking', async () => {
    const there = await imported()
    const held = there.registry.hold(/\/blobs\//)
    const first = there.start()
    await held.arrived()
    await first.stop()
    expect(await there.unheld()).toMatchObject({ image: v1.manifest.digest })
    held.release()
    there.start()
    await there.settled()
    expect(await there.isHeld(v1)).toBe(true)
  })

  test('is not fetched for a tag that needs another by now, whatever an old entry says', async () => {
    const there = await imported()
    there.registry.put('lib/app', v2, { tag: 'v2' })
    const old = (await there.store.get('index/unheld/demo/app/prod'))?.value ?? ''
    await there.importImage('app', 'prod', `${there.repository}:v2`)
    await there.store.commit({ operations: [{ type: 'put', key: 'index/unheld/demo/app/prod', value: old }] })
    there.start()
    await there.settled()
    expect(await there.isHeld(v1)).toBe(false)
  })

  test('is left when its tag moves meanwhile', async () => {
    const there = await imported()
    there.registry.put('lib/app', v2, { tag: 'v2' })
    const held = there.registry.hold(new RegExp(`${v1.layers[0]?.digest}`))
    there.start()
    await held.arrived()
    await there.importImage('app', 'prod', `${there.repository}:v2`)
    await there.settled()
    expect(await there.isHeld(v2)).toBe(true)
    expect(await there.isHeld(v1)).toBe(false)
    held.release()
  })

  test('is nothing to fetch any more when its tag or its stream is deleted', async () => {
    const there = await imported()
    await there.importImage('app', 'other', `${there.repository}:v1`)
    const held = there.registry.hold(/\/blobs\//)
    there.start()
    await held.arrived()
    await there.writer.changeTag(app, 'prod', () => ({ remove: { cause: { kind: 'delete', by: 'ann' } } }))
    expect(await there.unheld()).toBeUndefined()
    await there.writer.delete(app)
    held.release()
    await vi.waitFor(() => expect(there.registry.active).toBe(0))
    // Whatever its last attempt met, the next finds nothing to do.
    await vi.waitFor(async () => {
      there.goOn(hourMs)
      expect(await there.unheld('other')).toBeUndefined()
    })
  })

  test('is fetched within the budget of its registry', async () => {
    const there = await retentionWorld({ retention: { backgroundDownloads: 3, backgroundDownloadsPerHost: 2 } })
    const images = Array.from({ length: 6 }, (_, i) =>
      makeImage(`many ${i}`, { layers: [0, 1, 2].map((n) => Buffer.from(`layer ${i} ${n}`)) }),
    )
    for (const [i, image] of images.entries()) {
      there.registry.put('lib/app', image, { tag: `t${i}` })
      await there.importImage('app', `t${i}`, `${there.repository}:t${i}`)
    }
    there.registry.mostActive = 0
    const held = there.registry.hold(/\/blobs\//)
    there.start()
    await held.arrived(2)
    await new Promise((resolve) => setImmediate(resolve))
    expect(there.registry.active).toBe(2)
    held.release()
    await there.settled()
    expect(there.registry.mostActive).toBe(2)
    for (const image of images) expect(await there.isHeld(image)).toBe(true)
  })
})

describe('an upstream in trouble', () => {
  test('that asks to wait is left alone for as long as it asked', async () => {
    const there = await imported()
    const end = there.registry.intercept(answering(/\/blobs\//, fakeAnswer(429, '', { 'retry-after': '600' })))
    there.start()
    await vi.waitFor(async () => expect(await there.unheld()).toMatchObject({ failure: { attempts: 1 } }))
    expect(await there.unheld()).toMatchObject({ failure: { reason: 'TooManyRequests' } })
    expect(await there.retention.state(app, 'prod')).toMatchObject({ state: 'failed' })
    expect(there.retention.counts()).toEqual({ fetching: 0, failed: 1 })
    const asked = counted(there, /\/blobs\//)
    // Another tag at the same registry does not ask either.
    await there.importImage('app', 'other', `${there.repository}:v1`)
    there.goOn(5 * minuteMs)
    await vi.waitFor(() =>
      expect(there.pauses.filter((ms) => ms > 5 * minuteMs && ms < hourMs).length).toBeGreaterThan(1),
    )
    expect(asked()).toBe(0)
    end()
    there.goOn(11 * minuteMs)
    await there.settled()
    expect(await there.isHeld(v1)).toBe(true)
  })

  test('that asks to wait is left alone by who imports by hand, and by the next process', async () => {
    const there = await imported()
    there.registry.intercept(answering(/\/blobs\//, fakeAnswer(429, '', { 'retry-after': '600' })))
    const first = there.start()
    await vi.waitFor(async () => expect(await there.unheld()).toMatchObject({ failure: { attempts: 1 } }))
    const asked = counted(there, /\/blobs\//)
    await there.annotate('stream', { 'weir.dev/move': 'when-held' })
    const wait = new AbortController().signal
    const { images } = await there.importImage('app', 'next', `${there.repository}:v1`, { wait })
    expect(images).toMatchObject([{ error: { code: 'UNAVAILABLE', retryAfterSeconds: 600 } }])
    await first.stop()
    const pauses = there.pauses.length
    const { attempts } = (await there.unheld())?.failure ?? {}
    there.start()
    await vi.waitFor(() => expect(there.pauses.slice(pauses)).toContain(600_000))
    expect(asked()).toBe(0)
    expect((await there.unheld())?.failure?.attempts).toBe(attempts)
  })

  test('that has lost a part is told on the tag, asked again rarely, and the pin stays (I7)', async () => {
    const there = await imported()
    const [lost] = v1.layers
    if (lost === undefined) throw new Error('no layer')
    there.registry.remove(lost.digest)
    const first = there.start()
    await vi.waitFor(async () => expect((await there.tagOf())?.record.upstreamGone).toBeDefined())
    expect(await there.unheld()).toMatchObject({ failure: { reason: 'NotFound', attempts: 1 } })
    expect((await there.tagOf())?.record.upstreamGone).toMatchObject({
      image: v1.manifest.digest,
      host: there.registry.host,
    })
    expect(await there.pin()).toBe(v1.manifest.digest)
    // All else is held.
    expect(await there.retention.state(app, 'prod')).toMatchObject({ state: 'failed', parts: 5, heldParts: 4 })
    const asked = counted(there)
    there.goOn(20 * minuteMs)
    // Nor is it by the next process.
    await first.stop()
    const pauses = there.pauses.length
    there.start()
    const rests = () => there.pauses.slice(pauses).filter((ms) => ms < hourMs && ms > minuteMs)
    await vi.waitFor(() => expect(rests()).toHaveLength(1))
    expect(asked()).toBe(0)
    there.registry.put('lib/app', v1)
    there.goOn(hourMs)
    await there.settled()
    expect(await there.isHeld(v1)).toBe(true)
    expect((await there.tagOf())?.record.upstreamGone).toBeUndefined()
  })

  test('that has lost a manifest has not got it back because it still gives a part', async () => {
    const there = await imported()
    const { host } = there.registry
    const gone = { image: v1.manifest.digest, host }
    await there.writer.changeTag(app, 'prod', () => ({ upstreamGone: gone }))
    there.start()
    await there.settled()
    expect(await there.isHeld(v1)).toBe(true)
    expect((await there.tagOf())?.record.upstreamGone).toMatchObject(gone)
  })

  test('is tried again after pauses that grow', async () => {
    const there = await imported()
    const end = there.registry.intercept(answering(/\/blobs\//, fakeError(503, 'UNAVAILABLE')))
    there.start()
    for (let attempts = 1; attempts <= 4; attempts += 1) {
      await vi.waitFor(async () => expect(await there.unheld()).toMatchObject({ failure: { attempts } }))
      await vi.waitFor(() => expect(there.pauses.filter((ms) => ms < 30_000)).toHaveLength(attempts))
      there.goOn(2 ** attempts * 1000)
    }
    const pauses = there.pauses.filter((ms) => ms < 30_000)
    for (const [i, ms] of pauses.slice(0, 4).entries()) {
      expect(ms).toBeGreaterThanOrEqual((2 ** i * 1000) / 2)
      expect(ms).toBeLessThanOrEqual(2 ** i * 1000)
    }
    end()
    there.goOn(minuteMs)
    await there.settled()
    expect(await there.isHeld(v1)).toBe(true)
  })

  test('that lies about a blob is told, and nothing of it counts as held', async () => {
    const there = await imported()
    const [layer] = v1.layers
    const end = there.registry.intercept(
      answering(new RegExp(`${layer?.digest}`), fakeAnswer(200, 'x'.repeat(layer?.bytes.length ?? 0))),
    )
    there.start()
    await vi.waitFor(async () => expect(await there.unheld()).toMatchObject({ failure: { reason: 'BadDigest' } }))
    expect(await there.retention.state(app, 'prod')).toMatchObject({ state: 'failed', heldParts: 4 })
    end()
    there.goOn(minuteMs)
    await there.settled()
    expect(await there.isHeld(v1)).toBe(true)
  })

  test('with an index of more parts than anybody needs is not followed', async () => {
    const there = await retentionWorld()
    const manifests = Array.from({ length: 2100 }, (_, i) => ({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: `sha256:${i.toString(16).padStart(64, '0')}`,
      size: 10,
      platform: { os: 'linux', architecture: 'amd64' },
    }))
    const mediaType = 'application/vnd.oci.image.index.v1+json'
    const index = piece(mediaType, JSON.stringify({ schemaVersion: 2, mediaType, manifests }))
    there.registry.put('lib/app', index, { tag: 'v1' })
    await there.importImage('app', 'prod', `${there.repository}:v1`)
    const asked = counted(there)
    there.start()
    const told = async () => expect((await there.unheld())?.failure?.message).toMatch(/more than 2000 parts/)
    await vi.waitFor(told, { timeout: 10_000 })
    expect(asked()).toBe(0)
    // Nor counted to its end.
    expect(await there.retention.state(app, 'prod')).toMatchObject({ state: 'failed', parts: 2001 })
  })
})
