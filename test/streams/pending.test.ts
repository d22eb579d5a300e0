import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PendingRecord, TagRecord } from '../../src/streams/records.ts'
import type { TagChange } from '../../src/streams/streams.ts'
import { app, event, imported, type World, wanted, world } from './world.ts'

const carol = { by: 'carol', reason: 'new base' }

async function change(w: World, next: TagChange, tag = 'prod') {
  return w.writer.changeTag(app, tag, () => next, { create: true })
}

async function pending(w: World, tag = 'prod'): Promise<Omit<PendingRecord, 'uid'> | undefined> {
  const entry = await w.store.get(`index/pending/demo/app/${tag}`)
  if (entry === undefined) return undefined
  const { uid, ...rest } = JSON.parse(entry.value) as PendingRecord
  expect(uid).toBe((await w.reader.stream(app))?.uid)
  return rest
}

const failed: TagChange = { condition: { reason: 'NotFound', message: 'gone' } }

describe('a tag that waits for an import', () => {
  test('is marked by the commit that wants it, with who does', async () => {
    const w = await world()
    await change(w, { spec: wanted('prod'), wantedBy: carol })
    expect(w.faults.commits).toHaveLength(1)
    expect(await pending(w)).toEqual({ generation: 1, ...carol })
  })

  test.each<[string, TagChange]>([
    ['import', imported('a')],
    ['push', { event: event('a') }],
    ['failure', failed],
    ['removal', { remove: { cause: { kind: 'delete', by: 'alice' } } }],
    ['another wish', { spec: null }],
    ['wish for a tag', { spec: { ...wanted('prod'), from: { kind: 'ImageStreamTag', name: 'x' } } }],
    ['wish for a reference', { spec: { ...wanted('prod'), reference: true } }],
  ])('is unmarked by the commit of its %s', async (_what, next) => {
    const w = await world()
    await change(w, { event: event('f') })
    await change(w, { spec: wanted('prod'), wantedBy: carol })
    expect(await pending(w)).toBeDefined()
    w.faults.commits = []
    await change(w, next)
    expect(w.faults.commits).toHaveLength(1)
    expect(await pending(w)).toBeUndefined()
  })

  test('is marked anew by another wish, by who wants that; one who does not say is who wanted it before', async () => {
    const w = await world()
    await change(w, { spec: wanted('prod'), wantedBy: carol })
    await change(w, { spec: wanted('prod', 'quay.io/org/app:v2') })
    expect(await pending(w)).toEqual({ generation: 2, ...carol })
    await change(w, { spec: wanted('prod', 'quay.io/org/app:v3'), wantedBy: { by: 'dave' } })
    expect(await pending(w)).toEqual({ generation: 3, by: 'dave' })
    await change(w, { reimport: true })
    expect(await pending(w)).toEqual({ generation: 4, by: 'dave' })
  })

  test('is not marked anew by what does not want it anew', async () => {
    const w = await world()
    await change(w, { spec: wanted('prod'), wantedBy: carol })
    const before = await w.dump('index/pending/')
    await change(w, { spec: { ...wanted('prod'), annotations: { a: 'b' } }, wantedBy: { by: 'dave' } })
    expect(await w.dump('index/pending/')).toEqual(before)
  })

  test('is marked again by a wish after a failure, and by nobody when nobody says', async () => {
    const w = await world()
    await change(w, imported('a'))
    await change(w, { ...failed, reimport: true })
    expect(await pending(w)).toBeUndefined()
    await change(w, { spec: wanted('prod', 'quay.io/org/app:v2') })
    expect(await pending(w)).toEqual({ generation: 3, by: '' })
  })

  test('of an earlier stream of the name is not marked by what that wanted', async () => {
    const w = await world()
    await change(w, { spec: wanted('prod'), wantedBy: carol })
    await w.writer.delete(app)
    await change(w, { event: event('a') })
    expect(await pending(w)).toBeUndefined()
    await change(w, { spec: wanted('prod'), wantedBy: carol })
    await w.writer.delete(app)
    await change(w, { spec: wanted('prod') })
    expect(await pending(w)).toEqual({ generation: 1, by: '' })
  })
})

test('the mark is there exactly while the wish is newer than what came of it (okd.md 2.2)', async () => {
  const w = await world()
  await w.writer.create(app)
  const steps: fc.Arbitrary<TagChange> = fc.oneof(
    fc.constantFrom<TagChange>(
      { reimport: true, wantedBy: carol },
      { spec: null },
      { remove: { cause: { kind: 'delete', by: 'x' } } },
      { hold: null },
      { event: event('a') },
      { event: event('b', 'scheduled') },
      { event: event('c', 'rollback', { restoredRevision: 1 }) },
    ),
    fc.constantFrom('NotFound', 'Tls').map((reason) => ({ condition: { reason, message: 'no' } })),
    fc
      .record({ name: fc.constantFrom('quay.io/a:1', 'quay.io/a:2'), reference: fc.boolean(), by: fc.boolean() })
      .map(({ name, reference, by }) => ({
        spec: { ...wanted('prod', name), reference },
        ...(by ? { wantedBy: carol } : {}),
      })),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { maxLength: 6 }), async (life) => {
      for (const next of life) {
        await change(w, next).catch((error: { code?: string }) => expect(error.code).toBe('INVALID'))
        const [entry] = await w.dump('tag/')
        const record = entry && (JSON.parse(entry.value) as TagRecord)
        const { spec, items = [], condition } = record ?? {}
        const isWaiting =
          spec?.from?.kind === 'DockerImage' &&
          spec.reference !== true &&
          (spec.generation ?? 0) > Math.max(items[0]?.generation ?? 0, condition?.generation ?? 0)
        expect((await pending(w))?.generation).toBe(isWaiting ? spec.generation : undefined)
      }
    }),
    { numRuns: 300 },
  )
}, 60_000)
