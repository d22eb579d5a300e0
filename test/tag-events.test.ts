import { describe, expect, test } from 'vitest'
import { type FlowsWorld, flowsWorld } from './support/flows.ts'
import { makeImage, makeIndex, type TestImage, type TestIndex } from './support/images.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2')
const v3 = makeImage('v3')
const app = { project: 'demo', stream: 'app' }

async function worldAt(...images: (TestImage | TestIndex)[]): Promise<FlowsWorld & { from: string }> {
  const world = await flowsWorld()
  const from = `${world.registry.host}/lib/app:v1`
  for (const image of images) {
    world.registry.put('lib/app', image, { tag: 'v1' })
    await world.importImage('app', 'prod', from)
  }
  return { ...world, from }
}

async function pin({ reader }: FlowsWorld): Promise<string | undefined> {
  return (await reader.tag(app, 'prod'))?.record.items[0]?.image
}

describe('rollback', () => {
  test('puts the tag at the previous digest, as a new revision, and holds it', async () => {
    const world = await worldAt(v1, v2)
    const { entry, tag } = await world.tagEvents.rollback(app, 'prod', { by: 'ann', reason: 'bad build' })
    expect(entry).toMatchObject({
      revision: 3,
      image: v1.manifest.digest,
      cause: { kind: 'rollback', by: 'ann', reason: 'bad build', restoredRevision: 1 },
    })
    expect(tag?.record.hold).toMatchObject({ revision: 3, by: 'ann', reason: 'bad build' })
    expect(await pin(world)).toBe(v1.manifest.digest)
    expect((await world.reader.ledger(app, 'prod')).map(({ revision }) => revision)).toEqual([3, 2, 1])
  })

  test('once more goes further back', async () => {
    const world = await worldAt(v1, v2, v3)
    await world.tagEvents.rollback(app, 'prod', { by: 'ann' })
    expect(await pin(world)).toBe(v2.manifest.digest)
    await world.tagEvents.rollback(app, 'prod', { by: 'ann' })
    expect(await pin(world)).toBe(v1.manifest.digest)
    await expect(world.tagEvents.rollback(app, 'prod', { by: 'ann' })).rejects.toMatchObject({ code: 'INVALID' })
  })

  test.each([
    ['a revision', () => 1],
    ['a revision as text', () => '1'],
    ['a digest', () => v1.manifest.digest],
  ])('goes to %s', async (_, to) => {
    const world = await worldAt(v1, v2, v3)
    await world.tagEvents.rollback(app, 'prod', { to: to(), by: 'ann' })
    expect(await pin(world)).toBe(v1.manifest.digest)
  })

  test.each([['0'], ['99'], ['-1'], ['1.5'], ['latest'], [`sha256:${'0'.repeat(64)}`], ['sha256:short']])(
    'to %s is refused and moves nothing',
    async (to) => {
      const world = await worldAt(v1, v2)
      await expect(world.tagEvents.rollback(app, 'prod', { to, by: 'ann' })).rejects.toMatchObject({
        code: 'INVALID',
        causes: [{ field: 'to' }],
      })
      expect(await pin(world)).toBe(v2.manifest.digest)
    },
  )

  test('of a deleted tag revives it', async () => {
    const world = await worldAt(v1)
    await world.writer.changeTag(app, 'prod', () => ({ remove: { cause: { kind: 'delete', by: 'ann' } } }))
    expect(await pin(world)).toBeUndefined()
    await world.tagEvents.rollback(app, 'prod', { to: 1, by: 'ann' })
    expect(await pin(world)).toBe(v1.manifest.digest)
  })

  test('to a revision of a stream deleted since works within the project and its blobs are served', async () => {
    const world = await worldAt(v1, v2)
    await world.writer.delete(app)
    await world.writer.create(app)
    await world.tagEvents.rollback(app, 'prod', { to: 1, by: 'ann' })
    expect(await pin(world)).toBe(v1.manifest.digest)
    expect(await world.pullThrough.blobSize(app, v1.config.digest)).toMatchObject({ size: v1.config.bytes.length })
  })

  test('of a tag that never was is NOT_FOUND', async () => {
    const world = await worldAt(v1)
    await expect(world.tagEvents.rollback(app, 'never', { by: 'ann' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('of a stream that is not there is NAME_UNKNOWN', async () => {
    const world = await flowsWorld()
    await expect(world.tagEvents.rollback(app, 'prod', { by: 'ann' })).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
  })

  test('to bytes that are gone upstream and not held is refused beforehand', async () => {
    const world = await worldAt(v1, v2)
    for (const layer of v1.layers) world.registry.remove(layer.digest)
    await expect(world.tagEvents.rollback(app, 'prod', { by: 'ann' })).rejects.toMatchObject({
      code: 'INVALID',
      message: expect.stringContaining('neither held nor obtainable'),
    })
    expect(await pin(world)).toBe(v2.manifest.digest)
    expect((await world.reader.tag(app, 'prod'))?.record.hold).toBeUndefined()
  })

  test('to an index asks for its children, and a child that the upstream never had does no harm', async () => {
    const index = makeIndex('multi')
    const [kept, absent] = index.children
    const world = await worldAt(index, v2)
    if (absent === undefined || kept === undefined) throw new TypeError('two children')
    world.registry.remove(absent.manifest.digest)
    await world.tagEvents.rollback(app, 'prod', { by: 'ann' })
    expect(await pin(world)).toBe(index.manifest.digest)
  })

  test('to an index none of whose children can be had is refused', async () => {
    const index = makeIndex('multi')
    const world = await worldAt(index, v2)
    for (const child of index.children) world.registry.remove(child.manifest.digest)
    await expect(world.tagEvents.rollback(app, 'prod', { by: 'ann' })).rejects.toMatchObject({ code: 'INVALID' })
  })

  test('that races with a move chooses its target anew', async () => {
    const world = await worldAt(v1, v2)
    const held = world.registry.hold(({ method }) => method === 'HEAD')
    const rollback = world.tagEvents.rollback(app, 'prod', { by: 'ann' })
    await held.arrived()
    await world.writer.changeTag(app, 'prod', () => ({
      event: {
        image: v1.manifest.digest,
        mediaType: v1.manifest.mediaType,
        dockerImageReference: 'x/y@z',
        cause: { kind: 'push', by: 'bob' },
      },
    }))
    held.release()
    const { entry } = await rollback
    expect(entry).toMatchObject({ revision: 4, image: v2.manifest.digest, cause: { restoredRevision: 2 } })
  })
})

describe('resume', () => {
  test('ends the hold and checks the source at once', async () => {
    const world = await worldAt(v1, v2)
    await world.tagEvents.rollback(app, 'prod', { by: 'ann' })
    world.registry.put('lib/app', v3, { tag: 'v1' })
    const { tag } = await world.tagEvents.resume(app, 'prod', { by: 'ann' })
    expect(tag?.record.hold).toBeUndefined()
    expect(await pin(world)).toBe(v3.manifest.digest)
  })

  test('whose source fails ends the hold, leaves the pin and shows a condition', async () => {
    const world = await worldAt(v1, v2)
    await world.tagEvents.rollback(app, 'prod', { by: 'ann' })
    world.registry.untag('lib/app', 'v1')
    const { tag } = await world.tagEvents.resume(app, 'prod', { by: 'ann' })
    expect(tag?.record.hold).toBeUndefined()
    expect(tag?.record.condition?.reason).toBe('NotFound')
    expect(await pin(world)).toBe(v1.manifest.digest)
  })

  test('of a follower moves it to its source at once, by whoever lets it go', async () => {
    const world = await worldAt(v1, v2)
    const spec = {
      name: 'stable',
      annotations: null,
      from: { kind: 'ImageStreamTag', name: 'prod' },
      importPolicy: {},
      referencePolicy: { type: 'Local' },
    } as const
    await world.writer.changeTag(app, 'stable', () => ({ spec, wantedBy: { by: 'ann' } }))
    await world.tagEvents.rollback(app, 'stable', { by: 'ann', to: v2.manifest.digest })
    world.registry.put('lib/app', v3, { tag: 'v1' })
    await world.importImage('app', 'prod', world.from)
    expect((await world.reader.tag(app, 'stable'))?.record.items[0]?.image).toBe(v2.manifest.digest)
    await world.tagEvents.resume(app, 'stable', { by: 'bob', reason: 'mended' })
    const [entry] = await world.reader.ledger(app, 'stable')
    expect(entry).toMatchObject({ image: v3.manifest.digest, cause: { kind: 'follow', by: 'bob' } })
  })

  test('of a tag that is not held, or not there, is refused', async () => {
    const world = await worldAt(v1)
    await expect(world.tagEvents.resume(app, 'prod', { by: 'ann' })).rejects.toMatchObject({ code: 'INVALID' })
    await expect(world.tagEvents.resume(app, 'absent', { by: 'ann' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})
