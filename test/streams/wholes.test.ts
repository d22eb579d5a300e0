import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { StreamName } from '../../src/oci/reference.ts'
import { maxRanges, type Operation } from '../../src/store/store.ts'
import { lifeKey } from '../../src/streams/keys.ts'
import type { StreamReader, WholeStream } from '../../src/streams/streams.ts'
import { tagRuns } from '../../src/streams/wholes.ts'
import { app, digest, event, type World, world } from './world.ts'

type Options = NonNullable<Parameters<StreamReader['wholes']>[1]>

async function push(w: World, name: StreamName, tag: string, image = 'a'): Promise<void> {
  await w.writer.changeTag(name, tag, () => ({ event: event(image) }), { create: true })
}

const shown = ({ stream, tags }: WholeStream) =>
  `${stream.project}/${stream.stream} ${tags.map(({ name }) => name).join(',')}`

/** Names whose tags lie in another order than they do. */
const awkward = ['a', 'a-b', 'a-b.c', 'a.b', 'a0', 'a_b', 'ab', 'b', 'b-1', 'b-1-2']

async function peopled(names = awkward): Promise<World> {
  const w = await world()
  await w.project('other')
  for (const stream of names) {
    for (const tag of ['x', 'y']) await push(w, { project: 'demo', stream }, tag)
  }
  await push(w, { project: 'other', stream: 'a' }, 'z')
  return w
}

/** All pages of a list. */
async function pages(w: World, project: string | undefined, options: Options): Promise<WholeStream[][]> {
  const all: WholeStream[][] = []
  for (let after: StreamName | undefined; ; ) {
    const page = await w.reader.wholes(project, { ...options, ...(after && { after }) })
    all.push(page.streams)
    after = page.streams.at(-1)?.stream
    if (!page.more) return all
    expect(page.streams.length).toBeGreaterThan(0)
  }
}

describe('a whole stream', () => {
  test('has its tags in order, without those that are gone or of an earlier stream', async () => {
    const w = await peopled()
    await w.writer.delete({ project: 'demo', stream: 'a' })
    await push(w, { project: 'demo', stream: 'a' }, 'n')
    await push(w, { project: 'demo', stream: 'a' }, 'm')
    await push(w, { project: 'demo', stream: 'a' }, 'gone')
    const remove = { remove: { cause: { kind: 'delete', by: 'x' } as const } }
    await w.writer.changeTag({ project: 'demo', stream: 'a' }, 'gone', () => remove)
    const whole = await w.reader.whole({ project: 'demo', stream: 'a' })
    expect(whole && shown(whole)).toBe('demo/a m,n')
    expect(whole?.stream).toEqual(await w.reader.stream({ project: 'demo', stream: 'a' }))
    expect(whole?.tags[0]).toEqual(await w.reader.tag({ project: 'demo', stream: 'a' }, 'm'))
    expect(await w.reader.whole({ project: 'demo', stream: 'none' })).toBeUndefined()
  })

  test('is of one moment, whatever happens while it is read', async () => {
    const w = await world()
    const move = (image: string) => {
      const tags = new Map(['one', 'two'].map((tag) => [tag, { event: event(image) }]))
      return w.writer.changeStream(app, () => ({ tags }), { create: true })
    }
    await move('a')
    let moves = 1
    const reading = async () => {
      for (let i = 0; i < 60; i++) {
        const whole = await w.reader.whole(app)
        const [page] = (await w.reader.wholes('demo')).streams
        for (const each of [whole, page]) {
          const [one, two] = each?.tags ?? []
          expect(one?.record.items[0]?.image).toBe(two?.record.items[0]?.image)
          expect(one?.storeRevision).toBe(two?.storeRevision)
          expect(one?.storeRevision).toBe(each?.stream.resourceVersion)
        }
      }
    }
    const moving = async () => {
      for (; moves < 60; moves++) await move(moves % 2 ? 'a' : 'b')
    }
    await Promise.all([reading(), moving()])
  })
})

describe('whole streams', () => {
  test('come in the order of their names with their own tags, of one project or of all', async () => {
    const w = await peopled()
    const demo = awkward.map((name) => `demo/${name} x,y`)
    expect((await w.reader.wholes('demo')).streams.map(shown)).toEqual(demo)
    expect((await w.reader.wholes(undefined)).streams.map(shown)).toEqual([...demo, 'other/a z'])
    expect((await w.reader.wholes('other')).streams.map(shown)).toEqual(['other/a z'])
    expect(await w.reader.wholes('none')).toMatchObject({ streams: [], more: false })
  })

  test.each([1, 2, 3, 4, 7, 10, 11])('are the same by pages of %s', async (limit) => {
    const w = await peopled()
    for (const project of ['demo', undefined]) {
      const all = (await w.reader.wholes(project)).streams
      const paged = await pages(w, project, { limit })
      expect(paged.flat()).toEqual(all)
      expect(paged.every((page) => page.length <= limit)).toBe(true)
    }
  })

  test.each([1, 2, 3, 5, 20])('are the same by pages of about %s tags', async (maxTags) => {
    const w = await peopled()
    const all = (await w.reader.wholes('demo')).streams
    const paged = await pages(w, 'demo', { maxTags })
    expect(paged.flat()).toEqual(all)
    for (const page of paged) expect(page.slice(0, -1).flatMap(({ tags }) => tags).length).toBeLessThan(maxTags)
  })

  test('tell the revision of their snapshot, and whether there is more', async () => {
    const w = await peopled(['a', 'b'])
    const page = await w.reader.wholes('demo', { limit: 2 })
    expect(page).toMatchObject({ more: false })
    expect(page.revision).toBe((await w.store.range({ prefix: 'life/', limit: 0 })).revision)
    expect(await w.reader.wholes('demo', { limit: 1 })).toMatchObject({ more: true })
    expect(await w.reader.wholes('demo', { after: { project: 'demo', stream: 'b' } })).toMatchObject({ streams: [] })
  })

  test('that are made or deleted while the page is looked up are not missed, shown twice or mixed', async () => {
    const w = await peopled(['b', 'd', 'f'])
    const during = async (act: () => Promise<unknown>, options: Options = {}) => {
      w.faults.beforeRange = async (queries) => {
        if (queries.length === 1) return
        w.faults.beforeRange = undefined
        await act()
      }
      return w.reader.wholes('demo', options)
    }
    const made = await during(() => push(w, { project: 'demo', stream: 'c' }, 'x'))
    expect(made.streams.map(shown)).toEqual(['demo/b x,y'])
    expect(made.more).toBe(true)
    const first = await during(() => push(w, { project: 'demo', stream: 'a' }, 'x'))
    expect(first.streams.map(shown)).toEqual(['demo/a x', 'demo/b x,y', 'demo/c x', 'demo/d x,y', 'demo/f x,y'])
    const deleted = await during(() => w.writer.delete({ project: 'demo', stream: 'b' }))
    expect(deleted.streams.map(shown)).toEqual(['demo/a x', 'demo/c x', 'demo/d x,y', 'demo/f x,y'])
    expect(deleted.more).toBe(false)
    const anew = await during(async () => {
      await w.writer.delete({ project: 'demo', stream: 'c' })
      await w.writer.create({ project: 'demo', stream: 'c' })
    })
    expect(anew.streams.map(shown)).toEqual(['demo/a x', 'demo/c ', 'demo/d x,y', 'demo/f x,y'])
    const all = await during(async () => {
      for (const stream of ['a', 'c', 'd', 'f']) await w.writer.delete({ project: 'demo', stream })
    })
    expect(all).toMatchObject({ streams: [], more: false })
  })

  test('that are made faster than they are read end the page, and it goes on after it', async () => {
    const w = await peopled(['m'])
    let n = 0
    w.faults.beforeRange = async (queries) => {
      if (queries.length > 1) await w.writer.create({ project: 'demo', stream: `a${String(n++).padStart(3, '0')}` })
    }
    const page = await w.reader.wholes('demo')
    w.faults.beforeRange = undefined
    expect(page.streams.length > 0 || page.more).toBe(true)
  })

  test('are read with few ranges and no reads of single keys, whatever tags lie around them', async () => {
    const w = await peopled(Array.from({ length: 50 }, (_, i) => `app-${String(i).padStart(2, '0')}`))
    await push(w, { project: 'demo', stream: 'app' }, 'x')
    w.faults.rangeQueries = []
    w.faults.gets = []
    await w.reader.wholes('demo', { limit: 20 })
    expect(w.faults.gets).toEqual([])
    expect(w.faults.rangeQueries.length).toBeLessThan(12)
  })
})

describe('streams of an earlier revision', () => {
  const revisionOf = async (w: World) => (await w.reader.wholes('demo', { limit: 1 })).revision

  test('are what they were, whatever came, changed and went since', async () => {
    const w = await peopled()
    const all = await w.reader.wholes(undefined)
    const { revision } = all
    await w.writer.delete({ project: 'demo', stream: 'a' })
    await w.writer.delete({ project: 'demo', stream: 'a-b' })
    await push(w, { project: 'demo', stream: 'a-b' }, 'anew')
    await push(w, { project: 'demo', stream: 'aa' }, 'new')
    await push(w, { project: 'demo', stream: 'b' }, 'x', 'b')
    await push(w, { project: 'demo', stream: 'b' }, 'new')
    const then = await pages(w, undefined, { limit: 3, revision })
    expect(then.flat()).toEqual(all.streams)
    for (const whole of all.streams) expect(await w.reader.whole(whole.stream, { revision })).toEqual(whole)
    expect(await w.reader.whole({ project: 'demo', stream: 'aa' }, { revision })).toBeUndefined()
    expect(await w.reader.whole({ project: 'demo', stream: 'a' })).toBeUndefined()
  })

  test('are the newest where that can not be told any more', async () => {
    const w = await peopled(['a', 'b'])
    const revision = await revisionOf(w)
    await w.writer.delete({ project: 'demo', stream: 'a' })
    const noise = (i: number): Operation => ({ type: 'put', key: 'object/noise', value: String(i) })
    await Promise.all(Array.from({ length: 1100 }, (_, i) => w.store.commit({ operations: [noise(i)] })))
    const page = await w.reader.wholes('demo', { revision })
    expect(page.streams.map(shown)).toEqual(['demo/b x,y'])
    expect(page.revision).toBeGreaterThan(revision)
    expect(await w.reader.whole({ project: 'demo', stream: 'a' }, { revision })).toBeUndefined()
  })
})

describe('the ranges of tags', () => {
  const name = fc
    .array(fc.constantFrom('a', 'b', '-a', '.b', '-b'), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join('').replace(/^[-.]/, ''))
  const names = fc.uniqueArray(name, { minLength: 4, maxLength: 40 })
  const bytes = (a: string, b: string) => (a < b ? -1 : 1)

  test('of any page have its streams in order and the tags of no other', () => {
    fc.assert(
      fc.property(names, fc.nat(10), fc.nat(20), (drawn, from, count) => {
        const all = drawn.map((name) => `p/${name}`).sort(bytes)
        const page = all.slice(from, from + count)
        const { runs, covered } = tagRuns(page)
        expect(covered).toEqual(page)
        const keys = all.map((path) => `tag/${path}/t`).sort(bytes)
        const read = runs.flatMap(({ prefix, start, end }) =>
          keys.filter(
            (key) =>
              key.startsWith(prefix) && (start === undefined || key >= start) && (end === undefined || key < end),
          ),
        )
        expect(read).toEqual(page.map((path) => `tag/${path}/t`))
      }),
      { numRuns: 2000 },
    )
  })

  test('are no more than one snapshot takes: the page ends before', () => {
    const page = Array.from({ length: 500 }, (_, i) => `p/${String(i).padStart(3, '0')}`).flatMap((p) => [p, `${p}-x`])
    const { runs, covered } = tagRuns(page)
    expect(runs.length).toBeLessThanOrEqual(maxRanges - 5)
    expect(covered.length).toBeGreaterThan(50)
    expect(page.slice(0, covered.length)).toEqual(covered)
  })
})

test('a page of awkward streams that ends for want of ranges goes on', async () => {
  const names = Array.from({ length: 60 }, (_, i) => `s${String(i).padStart(2, '0')}`).flatMap((s) => [s, `${s}-x`])
  const w = await world()
  for (const stream of names) await push(w, { project: 'demo', stream }, 't')
  const paged = await pages(w, 'demo', {})
  expect(paged.flat().map(shown)).toEqual(names.map((name) => `demo/${name} t`))
  expect(paged.length).toBeGreaterThan(1)
  expect(await w.store.get(lifeKey({ project: 'demo', stream: 's00' }))).toBeDefined()
  expect(paged[0]?.[0]?.tags[0]?.record.items[0]?.image).toBe(digest('a'))
})
