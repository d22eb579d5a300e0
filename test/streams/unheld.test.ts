import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { UnheldRecord } from '../../src/streams/records.ts'
import type { TagChange } from '../../src/streams/streams.ts'
import { app, digest, event, imported, type World, wanted, world } from './world.ts'

const whenHeld = { 'weir.dev/move': 'when-held' }

async function change(w: World, next: TagChange, tag = 'prod') {
  const result = await w.writer.changeTag(app, tag, () => next, { create: true })
  if (result === undefined) throw new TypeError('dropped')
  return result
}

async function unheld(w: World, tag = 'prod'): Promise<UnheldRecord | undefined> {
  const entry = await w.store.get(`index/unheld/demo/app/${tag}`)
  return entry && (JSON.parse(entry.value) as UnheldRecord)
}

async function record(w: World, tag = 'prod') {
  return (await w.reader.tag(app, tag))?.record
}

function follows(tag: string, source: string, annotations: Record<string, string> | null = null): TagChange {
  const from = { kind: 'ImageStreamTag', name: source } as const
  return { spec: { ...wanted(tag), from, annotations }, wantedBy: { by: 'carol' } }
}

/** An import by hand, which leaves the annotations as they are. */
function found(letter: string): TagChange {
  return { ...imported(letter), spec: { ...wanted('prod'), annotations: whenHeld } }
}

/** `prod` stands at A and moves only when its content is held. */
async function waiting(): Promise<World> {
  const w = await world()
  await change(w, imported('a'))
  await change(w, { spec: { ...wanted('prod'), annotations: whenHeld } })
  return w
}

describe('the index of unheld tags', () => {
  test.each<[string, TagChange]>([
    ['import', imported('b')],
    ['push', { event: event('b') }],
    ['copy', { event: event('b', 'tag') }],
    ['rollback', { event: event('b', 'rollback', { restoredRevision: 1 }) }],
  ])('I2: names the image in the commit of the %s that gives it to the tag', async (_kind, next) => {
    const w = await world()
    await change(w, { event: event('a') })
    w.faults.commits = []
    await change(w, next)
    expect(w.faults.commits).toHaveLength(1)
    expect(w.faults.commits[0]?.operations.map(({ key }) => key)).toContain('index/unheld/demo/app/prod')
    const { uid } = (await w.reader.stream(app)) ?? {}
    expect(await unheld(w)).toMatchObject({ uid, image: digest('b'), since: '2026-01-01T00:00:00Z' })
  })

  test('names the image of each tag that follows, in the same commit', async () => {
    const w = await world()
    await change(w, { event: event('a') }, 'a')
    await change(w, follows('b', 'a'), 'b')
    w.faults.commits = []
    await change(w, { event: event('b') }, 'a')
    expect(w.faults.commits).toHaveLength(1)
    expect([await unheld(w, 'a'), await unheld(w, 'b')]).toMatchObject([{ image: digest('b') }, { image: digest('b') }])
  })

  test('is left alone by a commit that gives the tag no other image', async () => {
    const w = await world()
    await change(w, { event: event('a') })
    const before = await unheld(w)
    await change(w, { event: event('a', 'import') })
    await change(w, { condition: { reason: 'NotFound', message: 'gone' } })
    await change(w, { spec: { ...wanted('prod'), annotations: { other: 'yes' } } })
    expect(await unheld(w)).toEqual(before)
  })

  test.each([['retain'], ['platforms'], ['move']])('is told when %s of the tag changes', async (name) => {
    const w = await world()
    await change(w, imported('a'))
    const before = await unheld(w)
    await change(w, { spec: { ...wanted('prod'), annotations: { [`weir.dev/${name}`]: 'anything' } } })
    const after = await unheld(w)
    expect(after?.image).toBe(digest('a'))
    expect(after?.id).not.toBe(before?.id)
  })

  test('says nothing of a tag that is deleted, or becomes a mere reference', async () => {
    const w = await world()
    await change(w, { event: event('a') })
    await change(w, { remove: { cause: { kind: 'delete', by: 'ann' } } })
    expect(await unheld(w)).toBeUndefined()
    await change(w, { event: event('a') }, 'alias')
    await change(w, { spec: { ...wanted('alias'), reference: true } }, 'alias')
    expect((await record(w, 'alias'))?.items[0]?.image).toBe('')
    expect(await unheld(w, 'alias')).toBeUndefined()
  })

  test('leaves no tag out that awaits its image, however many follow one', async () => {
    const w = await world()
    await change(w, { event: event('a') }, 'a')
    const tags = Array.from({ length: 24 }, (_, i) => `f${i}`)
    for (const [i, tag] of tags.entries()) {
      await change(w, follows(tag, 'a', i > 20 ? whenHeld : null), tag)
      // Each has two things to tell then.
      if (i <= 20) await change(w, { condition: { reason: 'NotFound', message: 'gone' } }, tag)
    }
    await w.store.commit({
      operations: tags.map((tag) => ({ type: 'delete' as const, key: `index/unheld/demo/app/${tag}` })),
    })
    await change(w, { event: event('b') }, 'a')
    const told = await Promise.all(tags.map(async (tag) => [tag, (await unheld(w, tag))?.image]))
    for (const [tag, image] of told.slice(21)) expect(image, tag).toBe(digest('b'))
    expect(told.filter(([, image]) => image !== undefined).length).toBeLessThan(tags.length)
  })
})

describe('a tag that moves only when its content is held', () => {
  test('I7: notes where it will move, and is changed in nothing that pulls or the ledger tell', async () => {
    const w = await waiting()
    const before = await record(w)
    const result = await change(w, found('b'))
    expect(result.entry).toBeUndefined()
    expect(await record(w)).toMatchObject({
      items: before?.items,
      current: before?.current,
      revision: before?.revision,
      awaits: { image: digest('b'), cause: { kind: 'import' } },
    })
    expect(await unheld(w)).toMatchObject({ image: digest('b') })
    expect(await w.reader.ledger(app, 'prod')).toHaveLength(1)
    expect((await w.pins.pin(app, 'prod'))?.digest).toBe(digest('a'))
  })

  test('moves when it is said to be held', async () => {
    const w = await waiting()
    await change(w, found('b'))
    await change(w, { event: event('b', 'import'), isHeld: true })
    expect(await record(w)).toMatchObject({ items: [{ image: digest('b') }, { image: digest('a') }], revision: 2 })
    expect((await record(w))?.awaits).toBeUndefined()
  })

  test.each<[string, TagChange]>([
    ['push', { event: event('b') }],
    ['rollback', { event: event('b', 'rollback', { restoredRevision: 1 }) }],
  ])('moves at once by a %s, and awaits nothing then', async (_kind, next) => {
    const w = await waiting()
    await change(w, found('c'))
    await change(w, next)
    expect((await record(w))?.items[0]?.image).toBe(digest('b'))
    expect((await record(w))?.awaits).toBeUndefined()
  })

  test.each<[string, TagChange]>([
    ['something else is wanted', { spec: { ...wanted('prod', 'quay.io/org/app:v2'), annotations: whenHeld } }],
    ['nothing is wanted', { spec: null }],
  ])('awaits nothing when %s', async (_what, next) => {
    const w = await waiting()
    await change(w, found('b'))
    await change(w, next)
    expect((await record(w))?.awaits).toBeUndefined()
    expect((await record(w))?.items[0]?.image).toBe(digest('a'))
  })

  test('goes on awaiting what was found when an import by hand fails after that, and says both (I7)', async () => {
    const w = await waiting()
    await change(w, found('b'))
    await change(w, { reimport: true, condition: { reason: 'NotFound', message: 'gone' } })
    expect(await record(w)).toMatchObject({ awaits: { image: digest('b') }, condition: { reason: 'NotFound' } })
    await change(w, { event: event('b', 'import'), isHeld: true })
    expect(await record(w)).toMatchObject({ items: [{ image: digest('b') }, {}], condition: { reason: 'NotFound' } })
  })

  test('is not imported again while it waits', async () => {
    const w = await waiting()
    await change(w, { spec: { ...wanted('prod', 'quay.io/org/app:v2'), annotations: whenHeld } })
    expect(await w.store.get('index/pending/demo/app/prod')).toBeDefined()
    await change(w, { event: event('b', 'import'), lastSeen: digest('b') })
    expect(await w.store.get('index/pending/demo/app/prod')).toBeUndefined()
    await change(w, { condition: { reason: 'ContentIncomplete', message: 'missing' } })
    expect(await w.store.get('index/pending/demo/app/prod')).toBeUndefined()
    expect((await record(w))?.awaits).toMatchObject({ image: digest('b') })
  })

  test('that is held by a rollback only notes a candidate', async () => {
    const w = await waiting()
    await change(w, { event: event('b', 'rollback', { restoredRevision: 1 }) })
    await change(w, { event: event('c', 'follow') })
    expect(await record(w)).toMatchObject({ candidate: { image: digest('c') } })
    expect((await record(w))?.awaits).toBeUndefined()
  })

  test('never moves by an import, a copy or a source before it is held, whatever comes in which order', async () => {
    const step = fc.record({
      image: fc.constantFrom('a', 'b', 'c'),
      kind: fc.constantFrom('import' as const, 'tag' as const, 'follow' as const, 'scheduled' as const),
      isHeld: fc.boolean(),
    })
    const w = await world()
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 4 }), async (steps) => {
        const tag = `t${run}`
        run += 1
        await change(w, { spec: { ...wanted(tag), annotations: whenHeld } }, tag)
        let stands: string | undefined
        for (const { image, kind, isHeld } of steps) {
          await change(w, { event: event(image, kind), ...(isHeld && { isHeld }) }, tag)
          if (isHeld) stands = digest(image)
          const now = await record(w, tag)
          expect(now?.items[0]?.image).toBe(stands)
          expect((await unheld(w, tag))?.image ?? stands).toBe(now?.awaits?.image ?? stands)
        }
      }),
      { numRuns: 200 },
    )
  })
})
