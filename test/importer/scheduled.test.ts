import { describe, expect, test } from 'vitest'
import type { ScheduledOutcome } from '../../src/importer/scheduled.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import type { TagReference } from '../../src/streams/records.ts'
import { failing } from '../support/fake-upstream-faults.ts'
import { type FlowsWorld, flowsWorld } from '../support/flows.ts'
import { makeImage } from '../support/images.ts'

const app = { project: 'demo', stream: 'app' }
const v1 = makeImage('v1')
const v2 = makeImage('v2')
const v3 = makeImage('v3')
const [one, two, three] = [v1, v2, v3].map((image) => image.manifest.digest) as [Digest, Digest, Digest]
const hourMs = 3_600_000

type World = FlowsWorld & {
  from: string
  check(digest?: Digest): Promise<ScheduledOutcome>
  record(): ReturnType<typeof recordOf>
}

/** A scheduled tag `prod` that stands at v1, as its upstream does. */
async function world(more: Partial<TagReference> = {}): Promise<World> {
  const flows = await flowsWorld()
  flows.registry.put('lib/app', v1, { tag: 'stable' })
  for (const image of [v2, v3]) flows.registry.put('lib/app', image)
  const from = `${flows.registry.host}/lib/app:stable`
  const spec = {
    name: 'prod',
    annotations: null,
    from: { kind: 'DockerImage' as const, name: from },
    importPolicy: { scheduled: true },
    referencePolicy: { type: 'Local' as const },
    ...more,
  }
  await flows.writer.changeTag(app, 'prod', () => ({ spec }), { create: true })
  const generation = (await flows.reader.stream(app))?.generation ?? 0
  await flows.importer.importPending(app, 'prod', { generation, by: 'ann' })
  flows.registry.requests.length = 0
  const check: World['check'] = (digest) => {
    if (digest !== undefined) flows.registry.tag('lib/app', 'stable', digest)
    return flows.importer.importScheduled(app, 'prod', { from, told: { digest: digest ?? one } })
  }
  return { ...flows, from, check, record: () => recordOf(flows) }
}

async function recordOf({ reader }: FlowsWorld) {
  const tag = await reader.tag(app, 'prod')
  if (tag === undefined) throw new TypeError('there is no tag prod')
  return { ...tag.record, storeRevision: tag.storeRevision, head: tag.record.items[0]?.image }
}

describe('a scheduled tag', () => {
  test('asks nobody and writes nothing where its source points where it pointed', async () => {
    const w = await world()
    const before = await w.record()
    expect(await w.check()).toEqual({ kind: 'unchanged', digest: one })
    expect(w.registry.requests).toEqual([])
    expect(await w.record()).toEqual(before)
  })

  test('moves when its source moved, and the ledger says that it was the schedule', async () => {
    const w = await world()
    expect(await w.check(two)).toEqual({ kind: 'moved', digest: two })
    expect(await w.record()).toMatchObject({ head: two, lastSeen: { digest: two } })
    const [newest] = await w.reader.ledger(app, 'prod')
    expect(newest?.cause).toEqual({
      kind: 'scheduled',
      by: 'system:weir:schedule',
      from: { kind: 'DockerImage', name: w.from },
    })
  })

  test('does not undo a push: it moves when the source says something new alone', async () => {
    const w = await world()
    await w.importImage('app', 'other', `${w.registry.host}/lib/app@${three}`)
    const pushed = { image: three, mediaType: v3.manifest.mediaType, dockerImageReference: `x/y@${three}` }
    await w.writer.changeTag(app, 'prod', () => ({ event: { ...pushed, cause: { kind: 'push', by: 'bob' } } }))
    expect(await w.check()).toEqual({ kind: 'unchanged', digest: one })
    expect((await w.record()).head).toBe(three)
    expect(await w.check(two)).toEqual({ kind: 'moved', digest: two })
  })

  test('that is held is looked at, never moved: the newer digest is its candidate', async () => {
    const w = await world()
    await w.check(two)
    await w.tagEvents.rollback(app, 'prod', { by: 'ann' })
    expect(await w.check(three)).toEqual({ kind: 'candidate', digest: three })
    expect(await w.record()).toMatchObject({ head: one, candidate: { image: three, cause: { kind: 'scheduled' } } })
    const before = await w.record()
    expect(await w.check(three)).toEqual({ kind: 'candidate', digest: three })
    expect(await w.record()).toEqual(before)
    await w.tagEvents.resume(app, 'prod', { by: 'ann' })
    expect((await w.record()).head).toBe(three)
  })

  test('that is immutable keeps its image, and shows the newer one', async () => {
    const w = await world({ annotations: { 'weir.dev/immutable': 'true' } })
    expect(await w.check(two)).toEqual({ kind: 'candidate', digest: two })
    expect(await w.record()).toMatchObject({ head: one, candidate: { image: two } })
  })

  test('that does not want it any more is gone', async () => {
    const w = await world()
    await w.writer.changeTag(app, 'prod', ({ tag }) => {
      const spec = tag?.record.spec
      return spec && { spec: { ...spec, importPolicy: {} } }
    })
    expect(await w.check(two)).toEqual({ kind: 'gone' })
    await w.writer.delete(app)
    expect(await w.check(two)).toEqual({ kind: 'gone' })
  })

  test('whose first import is pending is left to that', async () => {
    const w = await world()
    const from = `${w.registry.host}/lib/app:next`
    await w.writer.changeTag(app, 'prod', ({ tag }) => {
      const spec = tag?.record.spec
      return spec && { spec: { ...spec, from: { kind: 'DockerImage', name: from } } }
    })
    const outcome = await w.importer.importScheduled(app, 'prod', { from, told: { digest: two } })
    expect(outcome).toEqual({ kind: 'again' })
    expect(w.registry.requests).toEqual([])
  })
})

describe('a failure', () => {
  const unreachable = new RegistryError('UNAVAILABLE', {
    message: 'upstream is away',
    upstream: { host: 'r', reason: 'Unreachable', status: 503 },
  })

  test('I7: of a poll becomes a condition, moves nothing, and is written once', async () => {
    const w = await world()
    const fail = () => w.importer.importScheduled(app, 'prod', { from: w.from, told: { failure: unreachable } })
    expect(await fail()).toMatchObject({ kind: 'failed', error: { code: 'UNAVAILABLE' } })
    const failed = await w.record()
    expect(failed).toMatchObject({ head: one, condition: { reason: 'Unreachable' } })
    await fail()
    expect(await w.record()).toEqual(failed)
  })

  test('is over when the source is seen again where it pointed', async () => {
    const w = await world()
    await w.importer.importScheduled(app, 'prod', { from: w.from, told: { failure: unreachable } })
    expect(await w.check()).toEqual({ kind: 'unchanged', digest: one })
    expect((await w.record()).condition).toBeUndefined()
    expect(w.registry.requests).toEqual([])
  })

  test('I7: of a new manifest leaves the tag where it stood, and it is fetched the next time', async () => {
    const w = await world()
    const heal = w.registry.intercept(failing(/GET .*manifests/, 404))
    expect(await w.check(two)).toMatchObject({ kind: 'failed' })
    expect(await w.record()).toMatchObject({ head: one, condition: { reason: 'NotFound' }, lastSeen: { digest: one } })
    heal()
    expect(await w.check(two)).toEqual({ kind: 'moved', digest: two })
    expect((await w.record()).condition).toBeUndefined()
  })

  test('of the first import is made good by the schedule', async () => {
    const w = await world()
    const from = `${w.registry.host}/lib/app:next`
    await w.writer.changeTag(app, 'prod', ({ tag }) => {
      const spec = tag?.record.spec
      return spec && { spec: { ...spec, from: { kind: 'DockerImage', name: from } } }
    })
    const generation = (await w.reader.stream(app))?.generation ?? 0
    await w.importer.importPending(app, 'prod', { generation, by: 'ann' })
    expect((await w.record()).condition?.reason).toBe('NotFound')
    // The same digest as before, under the name that is wanted now.
    w.registry.tag('lib/app', 'next', one)
    expect(await w.importer.importScheduled(app, 'prod', { from, told: { digest: one } })).toMatchObject({
      digest: one,
    })
    const record = await w.record()
    expect(record.condition).toBeUndefined()
    expect(record.items[0]?.generation).toBe(record.spec?.generation)
  })
})

describe('weir.dev/track', () => {
  const annotations = { 'weir.dev/track': 'semver:~1' }

  test('has what it chose imported, and only for a tag that still has that policy', async () => {
    const w = await world({ annotations: { 'weir.dev/track': 'regex:stable' } })
    w.registry.put('lib/app', v2, { tag: '1.0' })
    const asked = { from: w.from, chosen: `${w.registry.host}/lib/app:1.0`, told: { digest: two } }
    for (const track of [undefined, 'semver:~1']) {
      expect(await w.importer.importScheduled(app, 'prod', track === undefined ? asked : { ...asked, track })).toEqual({
        kind: 'gone',
      })
    }
    expect((await w.record()).head).toBe(one)
    expect(await w.importer.importScheduled(app, 'prod', { ...asked, track: 'regex:stable' })).toEqual({
      kind: 'moved',
      digest: two,
    })
    const [entry] = await w.reader.ledger(app, 'prod')
    expect(entry).toMatchObject({ image: two, cause: { kind: 'scheduled', from: { name: asked.chosen } } })
  })

  test('that a tag got meanwhile ends what its source was asked before', async () => {
    const w = await world()
    const { spec } = await w.record()
    if (!spec) throw new TypeError('no spec')
    await w.writer.changeTag(app, 'prod', () => ({ spec: { ...spec, annotations } }))
    expect(await w.check(two)).toEqual({ kind: 'gone' })
    expect((await w.record()).head).toBe(one)
  })
})

describe('weir.dev/min-age', () => {
  const annotations = { 'weir.dev/min-age': '72h' }

  test('serves the last good digest until the new one is old enough from first sight, and shows when', async () => {
    const w = await world({ annotations })
    const seenAt = w.clock.now()
    const dueAt = seenAt + 72 * hourMs
    expect(await w.check(two)).toEqual({ kind: 'candidate', digest: two, dueAt })
    w.clock.advance(71 * hourMs)
    expect(await w.check(two)).toEqual({ kind: 'candidate', digest: two, dueAt })
    expect(await w.record()).toMatchObject({ head: one, candidate: { image: two } })
    w.clock.advance(hourMs)
    expect(await w.check(two)).toEqual({ kind: 'moved', digest: two })
    expect((await w.record()).candidate).toBeUndefined()
  })

  test('counts anew for another digest, and forgets one that the source left again', async () => {
    const w = await world({ annotations })
    await w.check(two)
    w.clock.advance(71 * hourMs)
    const dueAt = w.clock.now() + 72 * hourMs
    expect(await w.check(three)).toEqual({ kind: 'candidate', digest: three, dueAt })
    w.clock.advance(2 * hourMs)
    expect(await w.check(three)).toMatchObject({ kind: 'candidate' })
    expect(await w.check(one)).toEqual({ kind: 'unchanged', digest: one })
    const { head, candidate } = await w.record()
    expect([head, candidate]).toEqual([one, undefined])
  })

  test('does not keep who imports by hand waiting', async () => {
    const w = await world({ annotations })
    await w.check(two)
    await w.importImage('app', 'prod', w.from)
    const { head, candidate } = await w.record()
    expect([head, candidate]).toEqual([two, undefined])
  })
})
