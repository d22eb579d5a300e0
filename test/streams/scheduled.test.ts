import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ScheduledRecord, TagRecord } from '../../src/streams/records.ts'
import { intervalAnnotation, nextScheduled, scheduledRecord, validateSchedule } from '../../src/streams/scheduled.ts'
import type { TagChange } from '../../src/streams/streams.ts'
import { trackAnnotation } from '../../src/streams/tracking.ts'
import { app, digest, event, imported, type World, wanted, world } from './world.ts'

const scheduled = { importPolicy: { scheduled: true } }

async function change(w: World, next: TagChange, tag = 'prod') {
  return w.writer.changeTag(app, tag, () => next, { create: true })
}

async function indexed(w: World, tag = 'prod'): Promise<Omit<ScheduledRecord, 'uid'> | undefined> {
  const entry = await w.store.get(`index/scheduled/demo/app/${tag}`)
  if (entry === undefined) return undefined
  const { uid, ...rest } = JSON.parse(entry.value) as ScheduledRecord
  expect(uid).toBe((await w.reader.stream(app))?.uid)
  return rest
}

describe('the index of scheduled tags', () => {
  test('has a tag from the commit on that schedules it, and what its annotation says', async () => {
    const w = await world()
    await change(w, { spec: { ...wanted('prod'), ...scheduled } })
    expect(w.faults.commits).toHaveLength(1)
    expect(await indexed(w)).toEqual({ from: wanted('prod').from?.name })
    await change(w, { spec: { ...wanted('prod'), ...scheduled, annotations: { [intervalAnnotation]: '6h' } } })
    expect(await indexed(w)).toMatchObject({ intervalMs: 6 * 3_600_000 })
    await change(w, { spec: { ...wanted('prod'), ...scheduled, annotations: { [trackAnnotation]: 'newest' } } })
    expect(await indexed(w)).toEqual({ from: wanted('prod').from?.name, track: 'newest' })
  })

  test.each<[string, TagChange]>([
    ['removal', { remove: { cause: { kind: 'delete', by: 'alice' } } }],
    ['wish not to be', { spec: wanted('prod') }],
    ['wish for a tag', { spec: { ...wanted('prod'), from: { kind: 'ImageStreamTag', name: 'x' } } }],
    ['wish for a reference', { spec: { ...wanted('prod'), ...scheduled, reference: true } }],
    ['loss of its spec', { spec: null }],
  ])('has a tag no more after the commit of its %s', async (_what, next) => {
    const w = await world()
    await change(w, { event: event('f') })
    await change(w, { spec: { ...wanted('prod'), ...scheduled } })
    expect(await indexed(w)).toBeDefined()
    w.faults.commits = []
    await change(w, next)
    expect(w.faults.commits).toHaveLength(1)
    expect(await indexed(w)).toBeUndefined()
  })

  test('has a digest until it was had once', async () => {
    const w = await world()
    const spec = { ...wanted('prod', `quay.io/org/app@${digest('a')}`), ...scheduled }
    await change(w, { spec })
    expect(await indexed(w)).toBeDefined()
    await change(w, { condition: { reason: 'Unreachable', message: 'no' } })
    expect(await indexed(w)).toBeDefined()
    await change(w, { event: event('a') })
    expect(await indexed(w)).toBeUndefined()
  })

  test('is not written anew by what says nothing new of the schedule', async () => {
    const w = await world()
    await change(w, { spec: { ...wanted('prod'), ...scheduled } })
    const before = await w.dump('index/scheduled/')
    await change(w, { ...imported('a'), spec: { ...wanted('prod'), ...scheduled } })
    await change(w, { event: event('b') })
    expect(await w.dump('index/scheduled/')).toEqual(before)
  })
})

test('the record and its changes agree, whatever the tag was before', () => {
  const records: fc.Arbitrary<TagRecord | undefined> = fc.option(
    fc
      .record({
        uid: fc.constantFrom('u1', 'u2'),
        from: fc.constantFrom('quay.io/a:1', 'quay.io/a:2', `quay.io/a@${digest('a')}`, ' bad'),
        isScheduled: fc.boolean(),
        reference: fc.boolean(),
        interval: fc.constantFrom(undefined, '1h', '1s', '90', ''),
        image: fc.constantFrom(digest('a'), digest('b'), undefined),
      })
      .map(({ uid, from, isScheduled, reference, interval, image }): TagRecord => {
        const annotations = interval === undefined ? null : { [intervalAnnotation]: interval }
        const spec = { ...wanted('prod', from), importPolicy: { scheduled: isScheduled }, reference, annotations }
        const items = image === undefined ? [] : [{ created: '', dockerImageReference: '', image, generation: 1 }]
        return { uid, spec: { ...spec, generation: 1 }, revision: 1, items, current: 1, commitId: '' }
      }),
    { nil: undefined },
  )
  fc.assert(
    fc.property(records, records, (stored, next) => {
      if (next === undefined) return
      const step = nextScheduled(stored, next)
      const after = step === undefined ? scheduledRecord(stored) : (step ?? undefined)
      expect(after).toEqual(scheduledRecord(next))
      if (after?.intervalMs !== undefined) expect(after.intervalMs).toBe(3_600_000)
    }),
    { numRuns: 300 },
  )
})

test.each(['', '15', '30s', '59s', '31d', '-1h', '1.5h', 'soon'])(
  '"%s" is no interval, and what to write is told',
  (text) => {
    const causes = validateSchedule({ [intervalAnnotation]: text }, null, 'tag.annotations')
    expect(causes).toMatchObject([{ field: `tag.annotations[${intervalAnnotation}]`, reason: 'FieldValueInvalid' }])
    expect(causes[0]?.message).toContain('from 1m to 30d')
    expect(validateSchedule({ [intervalAnnotation]: text }, { [intervalAnnotation]: text }, 'a')).toEqual([])
  },
)

test.each(['1m', '15m', '1h30m', '30d'])('%s is an interval', (text) => {
  expect(validateSchedule({ [intervalAnnotation]: text }, null, 'a')).toEqual([])
})
