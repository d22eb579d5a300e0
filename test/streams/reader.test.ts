import { describe, expect, test } from 'vitest'
import { eventKey, lifeKey, streamKey, tagKey } from '../../src/streams/keys.ts'
import { app, digest, event, imported, type World, world } from './world.ts'

const push = (w: World, tag: string, image = 'a', name = app) =>
  w.writer.changeTag(name, tag, () => ({ event: event(image) }), { create: true })

describe('tags', () => {
  test('come in byte order, paged after a tag that need not be there', async () => {
    const w = await world()
    for (const tag of ['b', 'A', 'a', 'v1.10', 'v1', 'v1.9', '_x']) await push(w, tag)
    const names = async (options?: { after?: string; limit?: number }) =>
      (await w.reader.tags(app, options)).map(({ name }) => name)
    expect(await names()).toEqual(['A', '_x', 'a', 'b', 'v1', 'v1.10', 'v1.9'])
    expect(await names({ limit: 2 })).toEqual(['A', '_x'])
    expect(await names({ after: '_x', limit: 2 })).toEqual(['a', 'b'])
    expect(await names({ after: 'aa' })).toEqual(['b', 'v1', 'v1.10', 'v1.9'])
    expect(await names({ after: 'zzz' })).toEqual([])
    expect(await names({ limit: 0 })).toEqual([])
  })

  test('a page is full although deleted tags and those of an earlier stream lie between', async () => {
    const w = await world()
    for (const tag of ['a', 'b', 'c', 'd']) await push(w, tag)
    await w.writer.delete(app)
    for (const tag of ['b', 'd', 'e']) await push(w, tag)
    await w.writer.changeTag(app, 'b', () => ({ remove: { cause: { kind: 'delete', by: 'x' } } }))
    expect((await w.reader.tags(app, { limit: 2 })).map(({ name }) => name)).toEqual(['d', 'e'])
  })

  test('of one stream are not those of another whose name begins alike', async () => {
    const w = await world()
    await push(w, 'one')
    await push(w, 'two', 'a', { project: 'demo', stream: 'app-2' })
    expect((await w.reader.tags(app)).map(({ name }) => name)).toEqual(['one'])
  })

  test('a tag that only failed so far is there, one that was never wanted is not', async () => {
    const w = await world()
    await push(w, 'other')
    const { spec } = imported('a')
    const condition = { reason: 'NotFound', message: 'no' }
    await w.writer.changeTag(app, 'prod', () => ({ ...(spec === undefined ? {} : { spec }), condition }))
    expect((await w.reader.tag(app, 'prod'))?.record).toMatchObject({ items: [], condition: { reason: 'NotFound' } })
    expect(await w.reader.tag(app, 'none')).toBeUndefined()
    expect(await w.reader.tag({ project: 'demo', stream: 'none' }, 'prod')).toBeUndefined()
  })
})

describe('the ledger', () => {
  test('comes newest first, paged before a revision, and holds what the record no longer shows', async () => {
    const w = await world()
    for (let i = 0; i < 15; i++) await push(w, 'prod', i % 2 ? 'a' : 'b')
    const revisions = async (options?: { before?: number; limit?: number }) =>
      (await w.reader.ledger(app, 'prod', options)).map(({ revision }) => revision)
    expect(await revisions()).toEqual(Array.from({ length: 15 }, (_, i) => 15 - i))
    expect(await revisions({ limit: 3 })).toEqual([15, 14, 13])
    expect(await revisions({ before: 13, limit: 2 })).toEqual([12, 11])
    expect(await revisions({ before: 1 })).toEqual([])
    expect(await revisions({ before: -5 })).toEqual([])
    expect(await revisions({ limit: 0 })).toEqual([])
    expect((await w.reader.tag(app, 'prod'))?.record.items).toHaveLength(10)
  })

  test('of a tag is not that of another whose name begins alike', async () => {
    const w = await world()
    await push(w, 'v1')
    await push(w, 'v1.2')
    await push(w, 'v1-2')
    expect(await w.reader.ledger(app, 'v1')).toHaveLength(1)
  })
})

test('one tag is read without a range, and a page of a long ledger with one range of its length', async () => {
  const w = await world()
  for (let i = 0; i < 40; i++) await push(w, 'prod', i % 2 ? 'a' : 'b')
  for (let i = 0; i < 40; i++) await push(w, `v${i}`)
  w.faults.gets = []
  w.faults.rangeQueries = []
  await w.reader.tag(app, 'prod')
  expect(w.faults.gets.sort()).toEqual([lifeKey(app), tagKey(app, 'prod')])
  await push(w, 'prod', 'c')
  expect(w.faults.rangeQueries).toMatchObject([{ limit: 0 }])
  w.faults.rangeQueries = []
  await w.reader.ledger(app, 'prod', { limit: 1 })
  expect(w.faults.rangeQueries).toMatchObject([{ limit: 1, reverse: true }])
})

describe('streams', () => {
  async function three(): Promise<World> {
    const w = await world()
    await w.project('other')
    for (const stream of ['b', 'a', 'a-b']) await w.writer.create({ project: 'demo', stream })
    await w.writer.create({ project: 'other', stream: 'a' })
    return w
  }

  test('come in order, of one project or of all, paged', async () => {
    const w = await three()
    const names = async (project?: string, options?: Parameters<World['reader']['streams']>[1]) =>
      (await w.reader.streams(project, options)).map(({ project, stream }) => `${project}/${stream}`)
    expect(await names()).toEqual(['demo/a', 'demo/a-b', 'demo/b', 'other/a'])
    expect(await names('demo')).toEqual(['demo/a', 'demo/a-b', 'demo/b'])
    expect(await names('other')).toEqual(['other/a'])
    expect(await names('demo', { limit: 2 })).toEqual(['demo/a', 'demo/a-b'])
    expect(await names(undefined, { after: { project: 'demo', stream: 'a' }, limit: 2 })).toEqual([
      'demo/a-b',
      'demo/b',
    ])
    expect(await names('demo', { after: { project: 'demo', stream: 'b' } })).toEqual([])
    expect(await names('none')).toEqual([])
    expect(await names('demo', { limit: 0 })).toEqual([])
  })

  test('are many and all told', async () => {
    const w = await world()
    await Promise.all(Array.from({ length: 120 }, (_, i) => w.writer.create({ project: 'demo', stream: `s${i}` })))
    expect(await w.reader.streams('demo')).toHaveLength(120)
    expect(await w.reader.streams('demo', { limit: 70 })).toHaveLength(70)
  })

  test('the resourceVersion is that of the newest change of any tag; other streams do not count', async () => {
    const w = await three()
    const name = { project: 'demo', stream: 'a' }
    const before = await w.reader.stream(name)
    await push(w, 'v1', 'a', { project: 'demo', stream: 'b' })
    expect(await w.reader.stream(name)).toEqual(before)
    const moved = await push(w, 'v1', 'a', name)
    expect(await w.reader.stream(name)).toMatchObject({
      resourceVersion: moved?.revision,
      objectRevision: before?.objectRevision,
    })
  })

  test('what is shown is never older than its resourceVersion, also when the tag moves while it is read', async () => {
    const w = await three()
    const name = { project: 'demo', stream: 'a' }
    w.faults.afterGet = async (key) => {
      if (key !== streamKey(name)) return
      w.faults.afterGet = undefined
      await w.writer.changeTag(name, 'prod', () => imported('a'))
    }
    const stream = await w.reader.stream(name)
    expect(stream?.generation).toBe(2)
    expect(stream?.resourceVersion).toBeLessThan((await w.reader.stream(name))?.resourceVersion ?? 0)
  })

  test('a stream that is made anew while it is read is read again, never mixed', async () => {
    const w = await three()
    const name = { project: 'demo', stream: 'a' }
    const old = await w.reader.stream(name)
    w.faults.afterGet = async (key) => {
      if (key !== lifeKey(name)) return
      w.faults.afterGet = undefined
      await w.writer.delete(name)
      await w.project('demo', 'uid-anew')
      await w.writer.create(name)
    }
    const read = await w.reader.stream(name)
    expect(read?.uid).not.toBe(old?.uid)
    expect(read?.projectUid).toBe('uid-anew')
    expect(read).toEqual(await w.reader.stream(name))
  })

  test('a stream that is deleted while it is read is not there', async () => {
    const w = await three()
    const name = { project: 'demo', stream: 'a' }
    w.faults.afterGet = async (key) => {
      if (key !== lifeKey(name)) return
      w.faults.afterGet = undefined
      await w.writer.delete(name)
    }
    expect(await w.reader.stream(name)).toBeUndefined()
  })

  test('an entry of the ledger is found under its padded revision', async () => {
    const w = await world()
    await push(w, 'v1')
    const entry = await w.store.get(eventKey(app, 'v1', 1))
    expect(entry?.key).toBe('event/demo/app/v1!000000000001')
    expect(JSON.parse(entry?.value ?? '')).toMatchObject({ revision: 1, image: digest('a') })
  })
})
