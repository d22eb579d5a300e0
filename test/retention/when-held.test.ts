import { describe, expect, test, vi } from 'vitest'
import { reasonOfIncomplete } from '../../src/retention/awaited.ts'
import type { TagReference } from '../../src/streams/records.ts'
import { makeImage, makeIndex } from '../support/images.ts'
import { app, type RetentionWorld, retentionWorld } from './world.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2', { layers: ['one', 'two'].map((text) => Buffer.from(`layer ${text}`)) })
const whenHeld = { 'weir.dev/move': 'when-held' }
const closingPauseMs = 60_000
const hourMs = 3_600_000
const [lost] = v2.layers

/** The tag `prod` stands at v1, moves only when its content is held, and its upstream is at v2. */
async function standing(options: Parameters<typeof retentionWorld>[0] = {}): Promise<RetentionWorld> {
  const there = await retentionWorld(options)
  there.registry.put('lib/app', v1, { tag: 'v1' })
  await there.importImage('app', 'prod', `${there.repository}:v1`)
  there.registry.put('lib/app', v2, { tag: 'v1' })
  await there.annotateTag(whenHeld)
  return there
}

function byHand(there: RetentionWorld, wait?: AbortSignal) {
  return there.importImage('app', 'prod', `${there.repository}:v1`, wait === undefined ? {} : { wait })
}

/** Holds the answers to GETs of v2's last layer. */
function holdLast(there: RetentionWorld) {
  return there.registry.hold(new RegExp(`${v2.layers[1]?.digest}`))
}

function never(): AbortSignal {
  return new AbortController().signal
}

async function reached(there: RetentionWorld, image: string, tag?: string): Promise<void> {
  await vi.waitFor(async () => expect(await there.pin(tag)).toBe(image), { timeout: 10_000 })
}

describe('a tag that moves only when its content is held', () => {
  test('I7: stands where it was until the last blob is here, and moves then in one commit', async () => {
    const there = await standing()
    const held = holdLast(there)
    there.start()
    await byHand(there)
    await held.arrived()
    expect(await there.pin()).toBe(v1.manifest.digest)
    expect((await there.tagOf())?.record).toMatchObject({ awaits: { image: v2.manifest.digest }, revision: 1 })
    const state = await there.retention.state(app, 'prod')
    expect(state).toMatchObject({ image: v2.manifest.digest, state: 'fetching' })
    held.release()
    await reached(there, v2.manifest.digest)
    expect(await there.isHeld(v2)).toBe(true)
    const { record } = (await there.tagOf()) ?? {}
    expect(record?.awaits).toBeUndefined()
    expect(record?.condition).toBeUndefined()
    expect(record?.items[0]?.generation).toBe(record?.spec?.generation)
    const ledger = await there.reader.ledger(app, 'prod')
    expect(ledger).toMatchObject([{ revision: 2, cause: { kind: 'import', by: 'admin' } }, { revision: 1 }])
    await there.settled()
  })

  test('I8: is pulled from where it stands meanwhile', async () => {
    const there = await standing()
    const held = holdLast(there)
    there.start()
    await byHand(there)
    await held.arrived()
    const served = await there.pullThrough.manifest(app, 'prod', { head: false })
    expect(served.digest).toBe(v1.manifest.digest)
    held.release()
  })

  test('is waited for by who imports by hand, and has moved when he is answered', async () => {
    const there = await standing()
    const held = holdLast(there)
    const importing = byHand(there, never())
    await held.arrived()
    expect(await there.pin()).toBe(v1.manifest.digest)
    held.release()
    const result = await importing
    expect(result.images).toMatchObject([{ to: 'prod', digest: v2.manifest.digest }])
    expect(result.tags[0]?.record.items[0]?.image).toBe(v2.manifest.digest)
    expect(await there.pin()).toBe(v2.manifest.digest)
  })

  test('is told as not moved to a client that leaves, and the background goes on', async () => {
    const there = await standing()
    const held = holdLast(there)
    const leaving = new AbortController()
    const importing = byHand(there, leaving.signal)
    await held.arrived()
    leaving.abort()
    expect((await importing).images).toMatchObject([{ to: 'prod', error: { code: 'UNAVAILABLE' } }])
    expect((await there.tagOf())?.record.condition).toMatchObject({ reason: 'ContentIncomplete' })
    there.start()
    held.release()
    await reached(there, v2.manifest.digest)
    expect((await there.tagOf())?.record.condition).toBeUndefined()
  })

  test('says nothing of content when Weir stops in mid-fetch, to who waits or in the background', async () => {
    for (const who of ['waiting', 'background']) {
      const there = await standing()
      const held = holdLast(there)
      const running = who === 'background' ? there.start() : undefined
      const importing = byHand(there, running ? undefined : never())
      await held.arrived()
      await there.content.close()
      const result = await importing
      if (running === undefined) {
        expect(result.images).toMatchObject([{ error: { message: expect.stringContaining('is closing') } }])
        expect(reasonOfIncomplete('error' in (result.images[0] ?? {}) && Object(result.images[0]).error)).toBe(
          'ContentIncomplete',
        )
      } else {
        await vi.waitFor(() => expect(there.pauses).toContain(closingPauseMs))
        await running.stop()
      }
      expect((await there.tagOf())?.record.condition, who).toBeUndefined()
      expect(await there.unheld(), who).toMatchObject({ image: v2.manifest.digest })
      expect((await there.unheld())?.failure, who).toBeUndefined()
      held.release()
    }
  })

  test('I7: never moves while its registry lacks a blob, says so, and moves when that appears', async () => {
    const there = await standing()
    if (lost === undefined) throw new Error('no layer')
    there.registry.remove(lost.digest)
    there.start()
    const result = await byHand(there, never())
    expect(result.images).toMatchObject([{ error: { message: expect.stringContaining(lost.digest) } }])
    await vi.waitFor(async () => expect(await there.unheld()).toMatchObject({ failure: { reason: 'NotFound' } }))
    for (let hours = 0; hours < 3; hours += 1) {
      const { attempts = 0 } = (await there.unheld())?.failure ?? {}
      there.goOn(hourMs)
      await vi.waitFor(async () => expect((await there.unheld())?.failure?.attempts).toBeGreaterThan(attempts))
      expect(await there.pin()).toBe(v1.manifest.digest)
    }
    const { record } = (await there.tagOf()) ?? {}
    expect(record?.condition).toMatchObject({
      reason: 'ContentIncomplete',
      message: expect.stringContaining(lost.digest),
    })
    expect(record?.revision).toBe(1)
    expect(await there.retention.state(app, 'prod')).toMatchObject({ state: 'failed' })
    there.registry.put('lib/app', v2)
    there.goOn(hourMs)
    await reached(there, v2.manifest.digest)
    expect((await there.tagOf())?.record.condition).toBeUndefined()
  })

  test('moves in the next process, when the first one dies while it waits', async () => {
    const there = await standing()
    const held = holdLast(there)
    const first = there.start()
    await byHand(there)
    await held.arrived()
    await first.stop()
    held.release()
    expect(await there.pin()).toBe(v1.manifest.digest)
    there.start()
    await reached(there, v2.manifest.digest)
  })

  test('moves to what was wanted last, when something else is wanted while it waits', async () => {
    const there = await standing()
    const held = holdLast(there)
    there.start()
    await byHand(there)
    await held.arrived()
    const v3 = makeImage('v3')
    there.registry.put('lib/app', v3, { tag: 'v3' })
    await there.importImage('app', 'prod', `${there.repository}:v3`)
    await reached(there, v3.manifest.digest)
    held.release()
    await there.settled()
    expect(await there.pin()).toBe(v3.manifest.digest)
    expect((await there.reader.ledger(app, 'prod')).map(({ image }) => image)).toEqual([
      v3.manifest.digest,
      v1.manifest.digest,
    ])
  })

  test('moves to nothing that is not held when who waited for another image has it', async () => {
    const there = await standing()
    const first = holdLast(there)
    const importing = byHand(there, never())
    await first.arrived()
    const v3 = makeImage('v3')
    there.registry.put('lib/app', v3, { tag: 'v3' })
    await there.importImage('app', 'prod', `${there.repository}:v3`)
    first.release()
    await importing
    expect(await there.pin()).toBe(v1.manifest.digest)
    expect((await there.tagOf())?.record.awaits).toMatchObject({ image: v3.manifest.digest })
  })

  test('is rolled back at once, and does not move when what it waited for is held', async () => {
    const there = await standing()
    there.start()
    await byHand(there)
    await reached(there, v2.manifest.digest)
    const v3 = makeImage('v3')
    there.registry.put('lib/app', v3, { tag: 'v1' })
    const held = there.registry.hold(new RegExp(`${v3.layers[0]?.digest}`))
    await byHand(there)
    await held.arrived()
    await there.tagEvents.rollback(app, 'prod', { by: 'ann' })
    expect(await there.pin()).toBe(v1.manifest.digest)
    expect((await there.tagOf())?.record.awaits).toBeUndefined()
    held.release()
    await there.settled()
    expect(await there.pin()).toBe(v1.manifest.digest)
  })

  test('is gone when it is deleted while it waits', async () => {
    const there = await standing()
    const held = holdLast(there)
    there.start()
    await byHand(there)
    await held.arrived()
    await there.writer.changeTag(app, 'prod', () => ({ remove: { cause: { kind: 'delete', by: 'ann' } } }))
    held.release()
    await there.settled()
    expect(await there.tagOf()).toBeUndefined()
    expect(await there.reader.ledger(app, 'prod')).toMatchObject([{ cause: { kind: 'delete' } }, { revision: 1 }])
  })

  test('moves at once when it no longer has to wait', async () => {
    const there = await standing()
    if (lost === undefined) throw new Error('no layer')
    there.registry.remove(lost.digest)
    there.start()
    await byHand(there)
    await vi.waitFor(async () => expect(await there.unheld()).toMatchObject({ failure: { reason: 'NotFound' } }))
    await there.annotateTag({ 'weir.dev/move': 'at-once' })
    await reached(there, v2.manifest.digest)
  })

  test('waits for the platforms that are wanted of an index, and no others', async () => {
    const there = await standing()
    const index = makeIndex('multi', ['amd64', 'arm64', 's390x'])
    there.registry.put('lib/app', index, { tag: 'v1' })
    const [amd64, arm64, s390x] = index.children
    if (arm64 === undefined || s390x === undefined || amd64 === undefined) throw new Error('no children')
    there.registry.remove(s390x.manifest.digest)
    await there.annotateTag({ ...whenHeld, 'weir.dev/platforms': 'linux/amd64' })
    const held = there.registry.hold(new RegExp(`${arm64.manifest.digest}|${arm64.config.digest}`))
    await byHand(there, never())
    expect(await there.pin()).toBe(index.manifest.digest)
    expect(await there.isHeld(amd64)).toBe(true)
    expect(there.registry.matching(new RegExp(arm64.manifest.digest))).toEqual([])
    held.release()
  })

  test('that is told so by its stream, its project or the config waits as well', async () => {
    for (const level of ['stream', 'project', 'config'] as const) {
      const there = await retentionWorld(level === 'config' ? { policy: { move: 'when-held' } } : {})
      if (level !== 'config') await there.annotate(level, whenHeld)
      there.registry.put('lib/app', v2, { tag: 'v1' })
      await byHand(there)
      expect(await there.pin(), level).toBeUndefined()
      expect((await there.tagOf())?.record.awaits, level).toMatchObject({ image: v2.manifest.digest })
      there.start()
      await reached(there, v2.manifest.digest)
    }
  })

  test('of an image that it stands at already changes nothing', async () => {
    const there = await standing()
    there.registry.tag('lib/app', 'v1', v1.manifest.digest)
    await byHand(there)
    expect((await there.tagOf())?.record.awaits).toBeUndefined()
    expect(await there.reader.ledger(app, 'prod')).toHaveLength(1)
  })

  test('is imported in the background as by hand', async () => {
    const there = await standing()
    const held = holdLast(there)
    there.start()
    const wanted = await there.writer.changeTag(app, 'prod', () => ({ reimport: true, wantedBy: { by: 'ann' } }))
    const generation = wanted?.tag?.record.spec?.generation ?? 0
    await there.importer.importPending(app, 'prod', { generation, by: 'ann' })
    expect((await there.tagOf())?.record).toMatchObject({
      awaits: { image: v2.manifest.digest },
      lastSeen: { digest: v2.manifest.digest },
    })
    // Nobody has to ask the upstream again where its tag points.
    expect(await there.store.get('index/pending/demo/app/prod')).toBeUndefined()
    await held.arrived()
    expect(await there.pin()).toBe(v1.manifest.digest)
    held.release()
    await reached(there, v2.manifest.digest)
    expect((await there.reader.ledger(app, 'prod'))[0]).toMatchObject({ cause: { kind: 'import', by: 'ann' } })
  })
})

describe('what is wanted of a tag that waits', () => {
  const index = makeIndex('wider', ['amd64', 'arm64'])
  const [amd64, arm64] = index.children
  const only = { 'weir.dev/platforms': 'linux/amd64' }
  const both = { 'weir.dev/platforms': 'linux/amd64,linux/arm64' }

  test.each(['who waits', 'the background'])('may grow: %s moves it when that is held as well', async (who) => {
    for (const level of ['tag', 'stream', 'project'] as const) {
      const there = await standing()
      const annotate = (more: Record<string, string>) =>
        level === 'tag' ? there.annotateTag({ ...whenHeld, ...more }) : there.annotate(level, more)
      await annotate(only)
      there.registry.put('lib/app', index, { tag: 'v1' })
      const held = there.registry.hold(new RegExp(`${amd64?.layers.at(-1)?.digest}`))
      const late = there.registry.hold(new RegExp(`${arm64?.layers.at(-1)?.digest}`))
      if (who === 'the background') there.start()
      const importing = byHand(there, who === 'who waits' ? never() : undefined)
      await held.arrived()
      await annotate(both)
      held.release()
      await late.arrived()
      expect(await there.pin(), level).toBe(v1.manifest.digest)
      late.release()
      await importing
      await reached(there, index.manifest.digest)
      expect(await there.isHeld(index), level).toBe(true)
    }
  })

  test('may end: nothing says that it waits once it comes from nowhere', async () => {
    const there = await standing()
    const held = holdLast(there)
    const leaving = new AbortController()
    const importing = byHand(there, leaving.signal)
    await held.arrived()
    leaving.abort()
    await importing
    expect((await there.tagOf())?.record.condition).toMatchObject({ reason: 'ContentIncomplete' })
    await there.writer.changeTag(app, 'prod', () => ({ spec: null }))
    held.release()
    expect((await there.tagOf())?.record.condition).toBeUndefined()
    expect((await there.tagOf())?.record.awaits).toBeUndefined()
  })
})

test.each(['it is held', 'its registry has lost it'])(
  'what a stopped process said of a tag that waits is put right by the next: %s',
  async (end) => {
    const there = await standing()
    const [, last] = v2.layers
    if (last === undefined) throw new Error('no layer')
    const held = holdLast(there)
    const stopping = new AbortController()
    const importing = byHand(there, stopping.signal)
    await held.arrived()
    stopping.abort()
    await importing
    const condition = async () => (await there.tagOf())?.record.condition
    expect(await condition()).toMatchObject({ message: expect.stringContaining('still being fetched') })
    if (end !== 'it is held') there.registry.remove(last.digest)
    held.release()
    there.start()
    if (end === 'it is held') {
      await reached(there, v2.manifest.digest)
      expect(await condition()).toBeUndefined()
    } else {
      await vi.waitFor(async () =>
        expect(await condition()).toMatchObject({
          reason: 'ContentIncomplete',
          message: expect.stringContaining(last.digest),
        }),
      )
      expect((await condition())?.message).not.toContain('still being fetched')
    }
  },
)

describe('a tag that comes from another', () => {
  const asking = { by: 'ann', mayPull: () => true, seen: {}, field: 'tag' }

  function source(from: NonNullable<TagReference['from']>, annotations: Record<string, string> = whenHeld) {
    return { name: 'prod', annotations, from, importPolicy: {}, referencePolicy: { type: 'Local' as const } }
  }

  test('in another stream moves when its content is held, and says why while it is not', async () => {
    const there = await retentionWorld()
    if (lost === undefined) throw new Error('no layer')
    there.registry.put('lib/base', v2, { tag: 'v1' })
    there.registry.remove(lost.digest)
    await there.importImage('base', 'v1', `${there.registry.host}/lib/base:v1`)
    const wanted = source({ kind: 'ImageStreamTag', name: 'base:v1' })
    const result = await there.tagging.setTag({ ...app, tag: 'prod', wanted, ...asking, wait: never() })
    expect(result.tag?.record).toMatchObject({
      items: [],
      awaits: { image: v2.manifest.digest },
      condition: { reason: 'ContentIncomplete' },
    })
    there.registry.put('lib/base', v2)
    there.start()
    await reached(there, v2.manifest.digest)
    expect(await there.isHeld(v2)).toBe(true)
    expect(await there.reader.ledger(app, 'prod')).toMatchObject([{ cause: { kind: 'tag', by: 'ann' } }])
  })

  test('in another stream has moved when the caller is answered, when its content is quickly here', async () => {
    const there = await retentionWorld()
    there.registry.put('lib/base', v2, { tag: 'v1' })
    await there.importImage('base', 'v1', `${there.registry.host}/lib/base:v1`)
    const wanted = source({ kind: 'ImageStreamImage', name: `base@${v2.manifest.digest}` })
    const result = await there.tagging.setTag({ ...app, tag: 'prod', wanted, ...asking, wait: never() })
    expect(result.tag?.record.items[0]?.image).toBe(v2.manifest.digest)
    expect(result.tag?.record.condition).toBeUndefined()
  })

  test('and follows it moves after it, alone: one that moves at once does not wait', async () => {
    const there = await retentionWorld()
    there.registry.put('lib/app', v1, { tag: 'v1' })
    await there.importImage('app', 'source', `${there.repository}:v1`)
    for (const [tag, annotations] of [
      ['prod', whenHeld],
      ['dev', {}],
    ] as const) {
      const wanted = { ...source({ kind: 'ImageStreamTag', name: 'source' }, annotations), name: tag }
      await there.tagging.setTag({ ...app, tag, wanted, ...asking })
    }
    there.start()
    await reached(there, v1.manifest.digest)
    await there.settled()
    there.registry.put('lib/app', v2, { tag: 'v1' })
    const held = holdLast(there)
    await there.importImage('app', 'source', `${there.repository}:v1`)
    expect(await there.pin('source')).toBe(v2.manifest.digest)
    expect(await there.pin('dev')).toBe(v2.manifest.digest)
    expect(await there.pin()).toBe(v1.manifest.digest)
    await held.arrived()
    expect(await there.pin()).toBe(v1.manifest.digest)
    held.release()
    await reached(there, v2.manifest.digest)
    expect((await there.reader.ledger(app, 'prod'))[0]).toMatchObject({ cause: { kind: 'follow' } })
  })
})
