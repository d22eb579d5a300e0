import { describe, expect, test } from 'vitest'
import { maxTagsBytes } from '../../src/streams/stream-sizes.ts'
import type { TagChange } from '../../src/streams/streams.ts'
import { anywhereWriter } from '../support/anywhere-writer.ts'
import { app, event, type Fault, type World, wanted, world } from './world.ts'

const mebibyte = 1024 * 1024
/** Of a tag with it, the record is a little larger. */
const note = { note: 'x'.repeat(200_000) }
const refused = { code: 'INVALID', causes: [{ field: 'spec.tags', reason: 'FieldValueTooLong' }] }

/** A change that gives a tag a spec, with a note of 200 KB or without. */
function spec(tag: string, annotations: Record<string, string> | null = note): TagChange {
  return { spec: { ...wanted(tag), annotations, reference: true } }
}

const change = (w: World, tag: string, next: TagChange) => w.writer.changeTag(app, tag, () => next, { create: true })

/** Puts records of an earlier stream of the name there, of so many bytes in all. */
async function fill(w: World, bytes: number, stream = app.stream): Promise<void> {
  const record = { uid: 'earlier', revision: 1, items: [], current: 1, commitId: '', x: '' }
  const bare = JSON.stringify(record).length
  for (let left = bytes, i = 0; left > 0; i++) {
    const value = JSON.stringify({ ...record, x: 'x'.repeat(Math.max(0, Math.min(500_000, left) - bare)) })
    await w.store.commit({ operations: [{ type: 'put', key: `tag/demo/${stream}/old${i}`, value }] })
    left -= value.length
  }
}

describe('a stream whose tags fill it', () => {
  test('takes no tag more, nor a larger one, and still moves, lets go and shrinks', async () => {
    const w = await world()
    await fill(w, maxTagsBytes - mebibyte)
    for (let i = 0; i < 5; i++) await change(w, `t${i}`, spec(`t${i}`))
    await expect(change(w, 't5', spec('t5'))).rejects.toMatchObject(refused)
    await expect(w.writer.changeTag(app, 't5', () => spec('t5'), { dryRun: true })).rejects.toMatchObject(refused)
    await expect(change(w, 't0', spec('t0', { ...note, more: 'y'.repeat(30_000) }))).resolves.toBeDefined()
    await expect(change(w, 't1', spec('t1', { ...note, more: 'y'.repeat(30_000) }))).rejects.toMatchObject(refused)
    await expect(w.writer.changeStream(app, () => ({ tags: new Map([['t5', spec('t5')]]) }))).rejects.toMatchObject(
      refused,
    )
    expect(await w.reader.tag(app, 't5')).toBeUndefined()
    await change(w, 't1', { event: event('b') })
    await change(w, 't0', { remove: { cause: { kind: 'delete', by: 'alice' } } })
    await change(w, 't5', spec('t5'))
  })

  test('may move and shrink also when it is fuller than it may be', async () => {
    const w = await world()
    await change(w, 'a', spec('a'))
    await fill(w, maxTagsBytes + mebibyte)
    // One that remembers nothing.
    const { changeTag } = anywhereWriter({ store: w.store, now: w.clock.now })
    const again = (next: TagChange) => changeTag(app, 'a', () => next)
    await again({ event: event('a') })
    await expect(again(spec('a', { ...note, more: 'y' }))).rejects.toMatchObject(refused)
    await again(spec('a', { note: 'x'.repeat(190_000) }))
    await again({ remove: { cause: { kind: 'delete', by: 'alice' } } })
  })

  test('is not filled beyond by many who write at once, nor by what was lost', async () => {
    const w = await world()
    await fill(w, maxTagsBytes - mebibyte)
    const tags = Array.from({ length: 20 }, (_, i) => `t${i}`)
    const outcomes = await Promise.allSettled(tags.map((tag) => change(w, tag, spec(tag))))
    const made = outcomes.filter(({ status }) => status === 'fulfilled').length
    expect(made).toBeGreaterThan(2)
    expect(made).toBeLessThan(6)
    expect(await w.reader.tags(app)).toHaveLength(made)
  })

  test.each<[string, Fault[]]>([
    ['lost', [{ status: 'conflict', key: 'tag/demo/app/b' }]],
    ['unknown', Array.from({ length: 3 }, () => ({ status: 'unknown', lands: false }))],
  ])('counts no change that was %s', async (_name, faults) => {
    const w = await world()
    await fill(w, maxTagsBytes - mebibyte)
    await change(w, 'a', spec('a', null))
    for (let i = 0; i < 10; i++) {
      w.faults.next = [...faults]
      const losing = w.writer.changeTag(app, 'b', () => spec('b'), { onConflict: 'drop' })
      await losing.catch((error: unknown) => expect(error).toMatchObject({ code: 'UNAVAILABLE' }))
    }
    w.faults.next = []
    for (const tag of ['b', 'c', 'd', 'e', 'g']) await change(w, tag, spec(tag))
    await expect(change(w, 'f', spec('f'))).rejects.toMatchObject(refused)
  })

  test('does not fill another, nor one of the same name in a project that was made anew', async () => {
    const w = await world()
    await fill(w, maxTagsBytes)
    await expect(change(w, 'a', spec('a'))).rejects.toMatchObject(refused)
    await w.writer.changeTag({ project: 'demo', stream: 'other' }, 'a', () => spec('a'), { create: true })
    const entries = await w.dump('tag/demo/app/')
    for (const { key } of entries) await w.store.commit({ operations: [{ type: 'delete', key }] })
    await w.project('demo', 'another uid')
    expect(await change(w, 'a', spec('a'))).toBeDefined()
  })
})

test('a page of streams ends once their tags have 16 MiB, and goes on', async () => {
  const w = await world()
  for (const stream of ['a', 'b', 'c']) {
    await w.writer.changeTag({ project: 'demo', stream }, 'v1', () => ({ event: event('a') }), { create: true })
    await fill(w, 10 * mebibyte, stream)
  }
  const first = await w.reader.wholes('demo')
  expect([first.streams.map(({ stream }) => stream.stream), first.more]).toEqual([['a', 'b'], true])
  const after = { project: 'demo', stream: 'b' }
  const second = await w.reader.wholes('demo', { after })
  expect([second.streams.map(({ stream }) => stream.stream), second.more]).toEqual([['c'], false])
})
