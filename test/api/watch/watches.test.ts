import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { nameColumn } from '../../../src/api/columns/columns.ts'
import type { ApiObject, Call, Follow, Page } from '../../../src/api/resource.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import { CompactedError } from '../../../src/store/store.ts'
import { type Client, named, putOf, told, watchWorld } from './world.ts'

const minute = 60_000

describe('a watch without a resourceVersion', () => {
  test.each(['', 'resourceVersion=', 'resourceVersion=0'])(
    'with %j tells what is there, then changes',
    async (query) => {
      const { open, set, unset } = await watchWorld()
      const a = await set('a', { data: { x: '1' } })
      const b = await set('b')
      const client = await open({ query })
      expect((await client.take(2)).map(told)).toEqual([`ADDED a@${a}`, `ADDED b@${b}`])
      const changed = await set('a', { data: { x: '2' } })
      const created = await set('c')
      const deleted = await unset('b')
      const events = await client.take(3)
      expect(events.map(told)).toEqual([`MODIFIED a@${changed}`, `ADDED c@${created}`, `DELETED b@${deleted}`])
      expect(events[0]?.object).toMatchObject({ kind: 'ConfigMap', apiVersion: 'v1', data: { x: '2' } })
      expect(events[2]?.object.metadata).toMatchObject({ name: 'b', uid: 'uid-of-b' })
    },
  )

  test('tells all pages of what is there', async () => {
    const { open, commit, set } = await watchWorld()
    const names = Array.from({ length: 1200 }, (_, i) => `c${String(i).padStart(4, '0')}`)
    for (let i = 0; i < names.length; i += 100) {
      await commit(...names.slice(i, i + 100).map((name) => putOf(name, 'demo')))
    }
    const client = await open()
    const events = await client.take(1200)
    expect(events.map(({ object }) => object.metadata.name)).toEqual(names)
    const revision = await set('next')
    expect((await client.take(1)).map(told)).toEqual([`ADDED next@${revision}`])
  })

  test('of nothing is silent until something happens', async () => {
    const { open, set } = await watchWorld()
    const client = await open()
    const revision = await set('a')
    expect((await client.take(1)).map(told)).toEqual([`ADDED a@${revision}`])
  })
})

describe('a watch from a resourceVersion', () => {
  test('tells what happened since, and nothing of before', async () => {
    const { open, set, unset } = await watchWorld()
    await set('a')
    const since = await set('b')
    const changed = await set('a', { data: {} })
    const deleted = await unset('b')
    const client = await open({ query: `resourceVersion=${since}` })
    const created = await set('c')
    expect((await client.take(3)).map(told)).toEqual([
      `MODIFIED a@${changed}`,
      `DELETED b@${deleted}`,
      `ADDED c@${created}`,
    ])
  })

  test('that is the newest tells what comes', async () => {
    const { open, set, newest } = await watchWorld()
    await set('a')
    const client = await open({ query: `resourceVersion=${await newest()}` })
    const revision = await set('b')
    expect((await client.take(1)).map(told)).toEqual([`ADDED b@${revision}`])
  })

  test('that is still to come is a Timeout whose cause clients know', async () => {
    const { open, newest } = await watchWorld()
    const query = `resourceVersion=${(await newest()) + 1}`
    await expect(open({ query })).rejects.toMatchObject({
      code: 'TIMEOUT',
      status: 504,
      causes: [{ reason: 'ResourceVersionTooLarge' }],
    })
  })

  test.each(['abc', '-1', '1e9', '1.5', ' 1', '0x10', '9'.repeat(500), '\u0661', 'null', '1,2'])(
    '%j is a BadRequest',
    async (version) => {
      const { open } = await watchWorld()
      const query = new URLSearchParams({ resourceVersion: version }).toString()
      await expect(open({ query })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    },
  )

  test('that is compacted is Expired', async () => {
    const { open, set, elsewhere } = await watchWorld({ retainRevisions: 10 })
    const since = await set('a')
    for (let i = 0; i < 200; i += 1) await elsewhere()
    await expect(open({ query: `resourceVersion=${since}` })).rejects.toMatchObject({ code: 'EXPIRED', status: 410 })
    // The resource itself can still be followed.
    const client = await open()
    expect((await client.take(1)).map(told)).toEqual([`ADDED a@${since}`])
  })

  test('that is longer ago than is worth going through is Expired, whatever the log holds', async () => {
    const { open, set, newest } = await watchWorld({ watches: { newestRevision: async () => 30_000 } })
    await set('a')
    expect(await newest()).toBe(1)
    await expect(open({ query: 'resourceVersion=9999' })).rejects.toMatchObject({ code: 'EXPIRED' })
  })

  test('since which more happened than is told at once is Expired', async () => {
    const { open, set, elsewhere } = await watchWorld()
    const since = await set('a')
    for (let i = 0; i < 10; i += 1) await set('a', { data: { x: `${i}`.repeat(1_000_000) } })
    for (let i = 0; i < 1100; i += 1) await elsewhere()
    await expect(open({ query: `resourceVersion=${since}` })).rejects.toMatchObject({ code: 'EXPIRED' })
  })

  test('that is further back than memory misses and doubles nothing', async () => {
    const { open, set, elsewhere, follows } = await watchWorld()
    const live = await open()
    const expected: string[] = []
    const since = await set('start')
    for (let i = 0; i < 2600; i += 1) {
      expected.push(`MODIFIED start@${await set('start', { data: { i: String(i) } })}`)
    }
    await elsewhere()
    await live.leave()
    const first = await open({ query: `resourceVersion=${since + 1500}` })
    const before = follows()
    const near = await open({ query: `resourceVersion=${since + 2500}` })
    expect(follows()).toBe(before)
    const far = await open({ query: `resourceVersion=${since}` })
    expect(follows()).toBe(before + 1)
    expect((await far.take(2600)).map(told)).toEqual(expected)
    expect((await first.take(1100)).map(told)).toEqual(expected.slice(1500))
    expect((await near.take(100)).map(told)).toEqual(expected.slice(2500))
    const next = await set('next')
    for (const client of [first, near, far]) expect((await client.take(1)).map(told)).toEqual([`ADDED next@${next}`])
  })
})

describe('what a watcher sees', () => {
  test('is what its selectors select: what begins to match is ADDED, what ceases is DELETED', async () => {
    const { open, set, unset } = await watchWorld()
    await set('a', { labels: { app: 'x' } })
    await set('b', { labels: { app: 'y' } })
    const client = await open({ query: 'labelSelector=app%3Dx' })
    await set('b', { labels: { app: 'y' }, data: {} })
    const begins = await set('b', { labels: { app: 'x' } })
    const stays = await set('b', { labels: { app: 'x', more: '1' } })
    const ceases = await set('a', { labels: { app: 'z' } })
    await set('a', { labels: { app: 'z' }, data: {} })
    await unset('a')
    const gone = await unset('b')
    const events = await client.take(5)
    expect(events.slice(1).map(told)).toEqual([
      `ADDED b@${begins}`,
      `MODIFIED b@${stays}`,
      `DELETED a@${ceases}`,
      `DELETED b@${gone}`,
    ])
    // As it was when it was last seen.
    expect(events[3]?.object.metadata).toMatchObject({ labels: { app: 'x' } })
  })

  test('is one name, and one project', async () => {
    const { open, set } = await watchWorld()
    const byName = await open({ query: 'fieldSelector=metadata.name%3Db' })
    const byProject = await open({ project: 'web' })
    await set('a')
    const demo = await set('b')
    const web = await set('b', { project: 'web' })
    expect((await byName.take(2)).map(told)).toEqual([`ADDED b@${demo}`, `ADDED b@${web}`])
    expect((await byProject.take(1)).map(told)).toEqual([`ADDED b@${web}`])
  })

  test('is what it may see', async () => {
    const { open, set } = await watchWorld({
      row: () => ({ maySee: (call, { metadata }) => call.subject.name === metadata.name }),
    })
    const bob = await open({ call: { subject: { name: 'bob', groups: [] } } })
    const alice = await open()
    const first = await set('bob')
    const second = await set('alice')
    expect((await bob.take(1)).map(told)).toEqual([`ADDED bob@${first}`])
    expect((await alice.take(1)).map(told)).toEqual([`ADDED alice@${second}`])
  })

  test('is nothing where the list, which admits it, is refused', async () => {
    const refused = new RegistryError('FORBIDDEN')
    const { open, newest, following } = await watchWorld({
      row: () => ({ admission: { watch: 'handler' }, handlers: { list: () => Promise.reject(refused) } }),
    })
    await expect(open()).rejects.toBe(refused)
    await expect(open({ query: `resourceVersion=${(await newest()) || 1}` })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    })
    expect(following()).toBe(0)
  })
})

describe('forms', () => {
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io'

  test('a table has one row an event, its columns in the first alone', async () => {
    const { open, set, unset } = await watchWorld({ row: () => ({ columns: [nameColumn] }) })
    await set('a')
    const client = await open({ accept })
    await set('b')
    const gone = await unset('a')
    const events = await client.take(3)
    const tables = events.map(
      ({ object }) => object as unknown as Record<string, unknown> & { rows: { cells: unknown[] }[] },
    )
    expect(tables.map(({ kind, apiVersion }) => `${apiVersion} ${kind}`)).toEqual(Array(3).fill('meta.k8s.io/v1 Table'))
    expect(tables.map(({ rows }) => rows.map(({ cells }) => cells))).toEqual([[['a']], [['b']], [['a']]])
    expect(tables[0]?.columnDefinitions).toMatchObject([{ name: 'Name' }])
    expect(tables.slice(1).map(({ columnDefinitions }) => columnDefinitions)).toEqual([null, null])
    expect(tables[2]?.metadata).toMatchObject({ resourceVersion: String(gone) })
  })

  test('the first table of a watch that began in the past has its columns too', async () => {
    const { open, set } = await watchWorld({ row: () => ({ columns: [nameColumn] }) })
    const since = await set('a')
    await set('b')
    await set('c')
    for (const query of [`resourceVersion=${since}`, `resourceVersion=${since}&labelSelector=!x`]) {
      const [first, second] = await (await open({ accept, query })).take(2)
      expect(first?.object.columnDefinitions).toMatchObject([{ name: 'Name' }])
      expect(second?.object.columnDefinitions).toBeNull()
    }
  })

  test('an answer is JSON that nobody keeps', async () => {
    const { open } = await watchWorld()
    const { response } = await open({ accept: 'application/json;stream=watch' })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(response.headers.get('cache-control')).toBe('no-store')
  })
})

describe('bookmarks', () => {
  test('tell every minute how far the watch is, also when nothing of the resource changed', async () => {
    const { open, set, elsewhere, timers } = await watchWorld()
    await set('a')
    const client = await open({ query: 'allowWatchBookmarks=true' })
    await client.take(1)
    const next = client.next()
    const revision = await elsewhere()
    timers.pass(minute)
    const event = await next
    expect(event).toMatchObject({ type: 'BOOKMARK', object: { kind: 'ConfigMap', apiVersion: 'v1' } })
    expect(event?.object.metadata.creationTimestamp).toBeNull()
    expect(Number(event?.object.metadata.resourceVersion)).toBeLessThanOrEqual(revision)
    // The next begins where this one ended.
    const resumed = await open({ query: `resourceVersion=${event?.object.metadata.resourceVersion}` })
    const created = await set('b')
    expect((await resumed.take(1)).map(told)).toEqual([`ADDED b@${created}`])
  })

  test('come as the last event of a watch that ends', async () => {
    const { open, set, timers } = await watchWorld()
    await set('a')
    const client = await open({ query: 'allowWatchBookmarks=true&timeoutSeconds=30' })
    await client.take(1)
    timers.pass(30_000)
    expect((await client.next())?.type).toBe('BOOKMARK')
    expect(await client.next()).toBeUndefined()
  })

  test('do not come at the end of a watch that was ended before it told all that is there', async () => {
    const { open, set, timers } = await watchWorld()
    for (let i = 0; i < 600; i += 1) await set(`a${i}`)
    const client = await open({ query: 'allowWatchBookmarks=true&timeoutSeconds=30' })
    await client.take(500)
    timers.pass(30_000)
    expect(await client.next()).toBeUndefined()
  })

  test.each(['', 'allowWatchBookmarks=false', 'allowWatchBookmarks=0'])('do not come with %j', async (query) => {
    const { open, set, timers } = await watchWorld()
    const client = await open({ query: `timeoutSeconds=300&${query}` })
    timers.pass(2 * minute)
    const revision = await set('a')
    expect((await client.take(1)).map(told)).toEqual([`ADDED a@${revision}`])
    timers.pass(4 * minute)
    expect(await client.next()).toBeUndefined()
  })
})

describe('sendInitialEvents', () => {
  const match = 'resourceVersionMatch=NotOlderThan'

  test('tells what is there, then a bookmark that ends it, then changes', async () => {
    const { open, set } = await watchWorld()
    const a = await set('a')
    const client = await open({ query: `sendInitialEvents=true&allowWatchBookmarks=true&${match}` })
    const [first, end] = await client.take(2)
    expect(first && told(first)).toBe(`ADDED a@${a}`)
    expect(end).toMatchObject({
      type: 'BOOKMARK',
      object: {
        kind: 'ConfigMap',
        apiVersion: 'v1',
        metadata: { resourceVersion: String(a), annotations: { 'k8s.io/initial-events-end': 'true' } },
      },
    })
    const revision = await set('b')
    expect((await client.take(1)).map(told)).toEqual([`ADDED b@${revision}`])
  })

  test('with a resourceVersion tells a state that is no older', async () => {
    const { open, set, newest } = await watchWorld()
    const a = await set('a')
    const b = await set('b')
    const query = (since: number) => `sendInitialEvents=true&allowWatchBookmarks=true&${match}&resourceVersion=${since}`
    const client = await open({ query: query(a) })
    expect((await client.take(2)).map(told)).toEqual([`ADDED a@${a}`, `ADDED b@${b}`])
    await expect(open({ query: query((await newest()) + 1) })).rejects.toMatchObject({ code: 'TIMEOUT' })
  })

  test('that is false tells changes alone', async () => {
    const { open, set } = await watchWorld()
    await set('a')
    const client = await open({ query: `sendInitialEvents=false&${match}` })
    const revision = await set('b')
    expect((await client.take(1)).map(told)).toEqual([`ADDED b@${revision}`])
  })

  test.each([
    ['sendInitialEvents=true&allowWatchBookmarks=true', 'resourceVersionMatch'],
    ['sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=Exact', 'resourceVersionMatch'],
    ['sendInitialEvents=false', 'resourceVersionMatch'],
    [match, 'resourceVersionMatch'],
    [`sendInitialEvents=true&${match}`, 'allowWatchBookmarks'],
  ])('%j is Invalid', async (query, field) => {
    const { open } = await watchWorld()
    await expect(open({ query })).rejects.toMatchObject({ code: 'INVALID', status: 422, causes: [{ field }] })
  })
})

describe('the end of a watch', () => {
  test('comes when the client asked for it, cleanly', async () => {
    const { open, timers, following } = await watchWorld()
    const client = await open({ query: 'timeoutSeconds=1' })
    const next = client.next()
    timers.pass(999)
    timers.pass(1)
    expect(await next).toBeUndefined()
    await expect.poll(following).toBe(0)
    expect(timers.running).toBe(0)
  })

  test.each(['', 'timeoutSeconds=0'])('comes after 30 to 60 minutes with %j', async (query) => {
    const { open, timers } = await watchWorld()
    await open({ query })
    expect(timers.asked[0]).toBeGreaterThanOrEqual(30 * minute)
    expect(timers.asked[0]).toBeLessThanOrEqual(60 * minute)
  })

  test('comes within a day, however long was asked for', async () => {
    const { open, timers } = await watchWorld()
    await open({ query: 'timeoutSeconds=999999999999' })
    expect(timers.asked).toEqual([24 * 60 * minute])
  })

  test('comes with the end of the identity it was opened with, though nothing happens', async () => {
    const { open, timers } = await watchWorld()
    const startSeconds = Date.UTC(2026, 0, 1) / 1000
    const ending = (endsAt: number) => ({ subject: { name: 'alice', groups: [], endsAt } })
    const client = await open({ call: ending(startSeconds + 90) })
    const next = client.next()
    expect(timers.asked).toEqual([90_000])
    timers.pass(90_000)
    expect(await next).toBeUndefined()
    await open({ query: 'timeoutSeconds=30', call: ending(startSeconds + 90) })
    await open({ call: ending(startSeconds - 5) })
    expect(timers.asked.slice(1)).toEqual([30_000, 0])
  })

  test.each(['', 'allowWatchBookmarks=true'])(
    'comes within a minute to whom it is not allowed any more, though nothing happens, with %j',
    async (query) => {
      let may = true
      const { open, timers, following } = await watchWorld()
      const client = await open({ query, mayGoOn: () => may })
      const next = client.next()
      await setImmediate()
      may = false
      timers.pass(minute)
      expect(await next).toBeUndefined()
      await expect.poll(following).toBe(0)
      expect(timers.running).toBe(0)
    },
  )

  test.each(['-1', 'abc', '1.5', '1e3', '9'.repeat(40)])('timeoutSeconds=%s is a BadRequest', async (value) => {
    const { open } = await watchWorld()
    await expect(open({ query: `timeoutSeconds=${value}` })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })

  test('comes at once when the server stops, and no watch begins any more', async () => {
    const { open, set, stopping, timers, following } = await watchWorld()
    const query = `resourceVersion=${await set('a')}`
    const clients = await Promise.all([open({ query }), open({ query: `allowWatchBookmarks=true&${query}` })])
    const ends = clients.map((client) => client.next())
    stopping.abort()
    expect(await ends[0]).toBeUndefined()
    expect((await ends[1])?.type).toBe('BOOKMARK')
    expect(await clients[1]?.next()).toBeUndefined()
    await expect(open()).rejects.toMatchObject({ code: 'UNAVAILABLE', status: 503 })
    await expect.poll(following).toBe(0)
    expect(timers.running).toBe(0)
  })

  test('comes when the store closes', async () => {
    const { open, store } = await watchWorld()
    const client = await open()
    const next = client.next()
    await store.close()
    expect(await next).toBeUndefined()
  })

  test('of a client that leaves frees everything, when the last leaves also what follows the store', async () => {
    const { open, set, follows, following, timers } = await watchWorld()
    await set('a')
    const [first, second] = await Promise.all([open({ query: 'allowWatchBookmarks=true' }), open()])
    await first.take(1)
    expect(following()).toBe(1)
    const waiting = first.next()
    await first.leave()
    expect(await waiting).toBeUndefined()
    await set('b')
    expect((await second.take(2)).map(({ type }) => type)).toEqual(['ADDED', 'ADDED'])
    expect(following()).toBe(1)
    // Never read to its end, nor read at all.
    const third = await open()
    await third.leave()
    await second.leave()
    await expect.poll(following).toBe(0)
    expect(timers.running).toBe(0)
    const again = await open()
    expect(await again.take(2)).toHaveLength(2)
    expect(follows()).toBe(2)
  })
})

describe('many watchers', () => {
  test('share one that follows the store, and the bytes of each event', async () => {
    const { open, set, follows } = await watchWorld()
    const clients: Client[] = []
    for (let i = 0; i < 1000; i += 1) clients.push(await open())
    for (let i = 0; i < 20; i += 1) {
      const chunks = clients.map((client) => client.chunk())
      await set('a', { data: { i: String(i) } })
      const [first, ...others] = await Promise.all(chunks)
      expect(JSON.parse(String(first))).toMatchObject({ object: { data: { i: String(i) } } })
      expect(others.every((chunk) => chunk === first)).toBe(true)
    }
    expect(follows()).toBe(1)
  })

  test('keep nothing of what was there at the beginning, once it is told', async () => {
    const shown: WeakRef<ApiObject>[] = []
    const list = async ({ options }: Call): Promise<Page> => {
      const object = named(options.continue ?? 'first')
      shown.push(new WeakRef(object))
      return { items: [object], ...(options.continue === undefined && { continue: 'last' }) }
    }
    const { open } = await watchWorld({ row: () => ({ handlers: { list } }) })
    const client = await open()
    await client.take(2)
    const next = client.next()
    setFlagsFromString('--expose-gc')
    const collect: () => void = runInNewContext('gc')
    while (shown.some((object) => object.deref() !== undefined)) {
      // What was looked at lives on until the turn ends.
      await setImmediate()
      collect()
    }
    expect(shown).toHaveLength(2)
    await client.leave()
    expect(await next).toBeUndefined()
  })

  test('do not wait for one that does not read; it is ended when memory has moved on, and may resume', async () => {
    const { open, set } = await watchWorld()
    const first = await set('a')
    const [stalled, reading] = await Promise.all([open(), open()])
    expect((await stalled.take(1)).map(told)).toEqual([`ADDED a@${first}`])
    await reading.take(1)
    for (let i = 0; i < 3000; i += 1) {
      const [, [event]] = await Promise.all([set('a', { data: { i: String(i) } }), reading.take(1)])
      expect(event?.object.data).toEqual({ i: String(i) })
    }
    expect(await stalled.next()).toBeUndefined()
    const resumed = await open({ query: `resourceVersion=${first}` })
    expect((await resumed.take(1)).map(told)).toEqual([`MODIFIED a@${first + 1}`])
  })

  test('are told of what a slow one still finds in memory in few pieces', async () => {
    const { open, set } = await watchWorld()
    const client = await open()
    for (let i = 0; i < 1000; i += 1) await set('a', { data: { i: String(i) } })
    const chunks: Uint8Array[] = []
    while (String(chunks.at(-1) ?? '').includes('"999"') === false) {
      chunks.push((await client.chunk()) ?? new Uint8Array())
    }
    expect(chunks.length).toBeLessThan(20)
    expect(chunks.every(({ length }) => length < 66_000)).toBe(true)
    const lines = Buffer.concat(chunks).toString().trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line).object.data.i)).toEqual(Array.from({ length: 1000 }, (_, i) => `${i}`))
  })
})

describe('trouble', () => {
  test('a store that fails for a while is asked again from where it was', async () => {
    let failures = 2
    const { open, set } = await watchWorld({
      row: ({ follow }) => ({
        follow: async function* (options) {
          for await (const batch of follow(options)) {
            yield batch
            if (batch.changes.length > 0 && failures-- > 0) throw new RegistryError('UNAVAILABLE')
          }
        },
      }),
    })
    const client = await open()
    const expected: string[] = []
    for (const name of ['a', 'b', 'c', 'd']) expected.push(`ADDED ${name}@${await set(name)}`)
    expect((await client.take(4)).map(told)).toEqual(expected)
  })

  test('a compaction under a watch is an ERROR 410 and its end; the next watch works', async () => {
    const { row, fail } = failingOnce(new CompactedError(5))
    const { open } = await watchWorld({ row })
    const client = await open()
    fail()
    expect(await client.next()).toMatchObject({
      type: 'ERROR',
      object: { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Expired', code: 410 },
    })
    expect(await client.next()).toBeUndefined()
    expect((await (await open()).next())?.type).toBe('ADDED')
  })

  test("a programmer's mistake is an ERROR 500 that tells nothing, and is logged; the next watch works", async () => {
    const lines: string[] = []
    const log = pino({ base: null }, { write: (line: string) => void lines.push(line) })
    const { row, fail } = failingOnce(new TypeError('secret inside'))
    const { open } = await watchWorld({ log, row })
    const client = await open()
    fail()
    const event = await client.next()
    expect(event).toMatchObject({ type: 'ERROR', object: { code: 500 } })
    expect(JSON.stringify(event)).not.toContain('secret')
    expect(await client.next()).toBeUndefined()
    expect(lines.join()).toContain('secret inside')
    expect((await (await open()).next())?.type).toBe('ADDED')
  })

  test('a list that fails on a later page is an ERROR and the end', async () => {
    const { open } = await watchWorld({
      row: () => ({
        handlers: {
          list: async ({ options }) => {
            if (options.continue !== undefined) throw new RegistryError('UNAVAILABLE')
            return { items: [named('a')], continue: 'more' }
          },
        },
      }),
    })
    const client = await open()
    expect((await client.take(2)).map(({ type }) => type)).toEqual(['ADDED', 'ERROR'])
    expect(await client.next()).toBeUndefined()
  })

  test('a client that leaves while its turn to read the past has not come is no failure of the server', async () => {
    const { open, set, elsewhere } = await watchWorld()
    const since = await set('a')
    for (let i = 0; i < 1100; i += 1) await elsewhere()
    const query = `resourceVersion=${since}`
    await expect(open({ query, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })
})

/** A row whose first follower fails when it is told to, and whose later ones tell of one change. */
function failingOnce(error: Error): { row: () => { follow: Follow }; fail: () => void } {
  const failing = Promise.withResolvers<void>()
  let isFirst = true
  const follow: Follow = async function* ({ since, signal }) {
    const fails = isFirst
    isFirst = false
    yield { revision: since, changes: [] }
    if (fails) {
      await failing.promise
      throw error
    }
    yield { revision: since + 1, changes: [{ before: undefined, after: named('a') }] }
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
  }
  return { row: () => ({ follow }), fail: failing.resolve }
}
