import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { StreamName } from '../../src/oci/reference.ts'
import { createLevelStore } from '../../src/store/level.ts'
import { objectKey } from '../../src/store/objects.ts'
import { CompactedError, type Store } from '../../src/store/store.ts'
import { createStreamChanges, type StreamMoves } from '../../src/streams/changes.ts'
import { createStreams, type Streams } from '../../src/streams/create-streams.ts'
import { lifeKey, streamKey, tagKey } from '../../src/streams/keys.ts'
import type { WholeStream } from '../../src/streams/streams.ts'
import { anywhereWriter } from '../support/anywhere-writer.ts'
import { testClock } from '../support/clock.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { event, wanted } from './world.ts'

const app: StreamName = { project: 'demo', stream: 'app' }
const other: StreamName = { project: 'demo', stream: 'app-2' }

describe('follow', () => {
  test('tells each revision of a stream as it was, with all its tags', async () => {
    const { writer, follow, newest } = await world()
    await writer.create(app, { labels: { a: '1' } })
    const created = await newest()
    const first = await move('v1', 'a')
    const second = await move('v2', 'b')
    const third = await move('v1', 'c')
    await writer.delete(app)
    const deleted = await newest()

    const told = await follow(0)
    expect(told.map(({ revision }) => revision)).toEqual([created, first, second, third, deleted])
    const [creation, one, two, three, deletion] = told.flatMap(({ moves }) => moves)
    expect(creation).toMatchObject({ ...app, before: undefined, tags: [] })
    expect(creation?.after?.stream).toMatchObject({ labels: { a: '1' }, resourceVersion: created })
    expect(one).toMatchObject({ before: creation?.after, tags: ['v1'] })
    expect(two).toMatchObject({ before: one?.after, tags: ['v2'] })
    expect(three).toMatchObject({ before: two?.after, tags: ['v1'] })
    expect(three?.after?.stream.resourceVersion).toBe(third)
    expect(pinsOf(three?.after)).toEqual({ v1: 'c', v2: 'b' })
    expect(pinsOf(two?.after)).toEqual({ v1: 'a', v2: 'b' })
    expect(deletion).toMatchObject({ before: three?.after, after: undefined, tags: ['v1', 'v2'] })

    async function move(tag: string, image: string): Promise<number> {
      const result = await writer.changeTag(app, tag, () => ({ event: event(image) }))
      return result?.revision ?? 0
    }
  })

  test('what it tells is what a reader saw at that time', async () => {
    const { writer, reader, follow } = await world()
    const seen: (WholeStream | undefined)[] = []
    const see = async () => {
      const stream = await reader.stream(app)
      seen.push(stream && { stream, tags: await reader.tags(app) })
    }
    await writer.create(app)
    await see()
    for (const image of ['a', 'b', 'c']) {
      await writer.changeTag(app, 'v1', () => ({ spec: wanted('v1'), event: event(image) }))
      await see()
    }
    await writer.changeTag(app, 'v1', () => ({ remove: { cause: { kind: 'delete', by: 'alice' } } }))
    await see()
    await writer.delete(app)
    await see()
    expect((await follow(0)).flatMap(({ moves }) => moves).map(({ after }) => after)).toEqual(seen)
  })

  test('a stream made anew is another one, and the tags of the old one are not its', async () => {
    const { writer, follow, newest } = await world()
    await writer.changeTag(app, 'v1', () => ({ event: event('a') }), { create: true })
    const since = await newest()
    await writer.delete(app)
    await writer.create(app)
    await writer.changeTag(app, 'v2', () => ({ event: event('b') }))
    const [gone, made, moved] = (await follow(since)).flatMap(({ moves }) => moves)
    expect(pinsOf(gone?.before)).toEqual({ v1: 'a' })
    expect(gone?.after).toBeUndefined()
    expect(made?.before).toBeUndefined()
    expect(pinsOf(made?.after)).toEqual({})
    expect(pinsOf(moved?.after)).toEqual({ v2: 'b' })
    expect(made?.after?.stream.uid).not.toBe(gone?.before?.stream.uid)
  })

  test('a stream whose life is replaced in one commit is one that goes and one that comes', async () => {
    const { writer, store, reader, follow, newest } = await world()
    await writer.changeTag(app, 'v1', () => ({ event: event('a') }), { create: true })
    const since = await newest()
    const read = async (key: string) => JSON.parse((await store.get(key))?.value ?? '')
    const object = await read(objectKey('imagestreams', 'demo', 'app'))
    const uid = 'made-anew'
    const values: [string, object][] = [
      [lifeKey(app), { ...(await read(lifeKey(app))), uid }],
      [objectKey('imagestreams', 'demo', 'app'), { ...object, metadata: { ...object.metadata, uid } }],
      [streamKey(app), { uid }],
      [`generation/demo/app`, { uid, generation: 1 }],
      [tagKey(app, 'v2'), { ...(await read(tagKey(app, 'v1'))), uid }],
    ]
    await store.commit({ operations: values.map(([key, value]) => put(key, value)) })
    const told = await follow(since)
    expect(told).toHaveLength(1)
    const [gone, made] = told[0]?.moves ?? []
    expect(pinsOf(gone?.before)).toEqual({ v1: 'a' })
    expect(gone?.after).toBeUndefined()
    expect(made).toMatchObject({ before: undefined, tags: ['v2'] })
    expect(made?.after).toEqual({ stream: await reader.stream(app), tags: await reader.tags(app) })
  })

  test('a record that changes without its stream being touched is no move, and is in the next one', async () => {
    const { writer, store, follow, newest } = await world()
    await writer.changeTag(app, 'v1', () => ({ event: event('a') }), { create: true })
    const since = await newest()
    const key = tagKey(app, 'v1')
    const record = JSON.parse((await store.get(key))?.value ?? '')
    await store.commit({ operations: [put(key, { ...record, commitId: 'quiet' })] })
    await writer.changeTag(app, 'v2', () => ({ event: event('b') }))
    const moves = (await follow(since)).flatMap((told) => told.moves)
    expect(moves.map(({ tags }) => tags)).toEqual([['v2']])
    expect(moves[0]?.before?.tags[0]?.record.commitId).toBe('quiet')
  })

  test('progress is told while only other things change', async () => {
    const { changes, store, newest } = await world()
    const told = changes.follow({ since: await newest(), signal: testSignal() })[Symbol.asyncIterator]()
    await told.next()
    const result = await store.commit({ operations: [put('object/configmaps/demo/x', {})] })
    const revision = result.status === 'committed' ? result.revision : 0
    expect((await told.next()).value).toEqual({ revision, moves: [] })
  })

  test('it goes on with what happens while it is told', async () => {
    const { changes, writer } = await world()
    const told = changes.follow({ since: 0, signal: testSignal() })
    await writer.create(app)
    const pins: Record<string, string>[] = []
    for await (const { moves } of told) {
      for (const { after } of moves) pins.push(pinsOf(after))
      if (pins.length > 5) break
      if (moves.length > 0) await writer.changeTag(app, `v${pins.length}`, () => ({ event: event('a') }))
    }
    expect(pins.at(-1)).toEqual({ v1: 'a', v2: 'a', v3: 'a', v4: 'a', v5: 'a' })
  })

  test('a position that is compacted, or falls behind, is a CompactedError', async () => {
    const { store, follow } = await world({ retainRevisions: 10 })
    for (let i = 0; i < 100; i += 1) await store.commit({ operations: [put('object/configmaps/demo/x', { i })] })
    await expect(follow(1)).rejects.toThrow(CompactedError)
  })

  test('more to go through than is worth it is a CompactedError, less is not', async () => {
    const { writer, store, newest } = await world()
    await writer.create(app)
    const since = await newest()
    for (let i = 0; i < 20; i += 1) await writer.changeTag(app, 'v1', () => ({ event: event(i % 2 ? 'a' : 'b') }))
    const within = createStreamChanges({ store, maxAheadSize: 1024 * 1024 })
    expect(await collect(within.follow({ since, signal: testSignal() }), await newest())).toHaveLength(20)
    const beyond = createStreamChanges({ store, maxAheadSize: 4096 })
    await expect(collect(beyond.follow({ since, signal: testSignal() }), await newest())).rejects.toThrow(
      CompactedError,
    )
    // Nothing has to be looked at ahead of time where the past is short.
    const near = beyond.follow({ since: await newest(), signal: testSignal() })
    await writer.changeTag(app, 'v1', () => ({ event: event('c') }))
    expect(await collect(near, await newest())).toHaveLength(1)
  })

  test('it ends when its signal aborts, when the store closes, and when it is left', async () => {
    const { changes, writer, store, watches } = await world()
    await writer.create(app)
    const left = new AbortController()
    const waiting = collect(changes.follow({ since: 0, signal: left.signal }), 1e9)
    const closed = collect(changes.follow({ since: 0, signal: testSignal() }), 1e9)
    for await (const _ of changes.follow({ since: 0, signal: testSignal() })) break
    expect(watches()).toBe(2)
    left.abort()
    expect(await waiting).toHaveLength(1)
    await store.close()
    expect(await closed).toHaveLength(1)
    expect(watches()).toBe(0)
  })

  test('a large stream is read once, however often it moves, and one that memory can not hold each time', async () => {
    const { writer, store, reads, newest } = await world()
    await writer.create(app)
    for (let i = 0; i < 30; i += 1) await writer.changeTag(app, `v${i}`, () => ({ event: event('a') }))
    const since = await newest()
    for (let i = 0; i < 10; i += 1) await writer.changeTag(app, 'v1', () => ({ event: event(i % 2 ? 'a' : 'b') }))
    const before = reads()
    const roomy = createStreamChanges({ store })
    const told = await collect(roomy.follow({ since, signal: testSignal() }), await newest())
    expect(reads() - before).toBe(1)
    const narrow = createStreamChanges({ store, maxCachedSize: 2000 })
    expect(await collect(narrow.follow({ since, signal: testSignal() }), await newest())).toEqual(told)
    expect(reads() - before).toBe(11)
  })
})

const step = fc.record({
  stream: fc.constantFrom(app, other, { project: 'web', stream: 'app' }),
  does: fc.oneof(
    { weight: 6, arbitrary: fc.constant('move' as const) },
    { weight: 1, arbitrary: fc.constantFrom('remove' as const, 'delete' as const, 'create' as const, 'fail' as const) },
    { weight: 2, arbitrary: fc.constant('elsewhere' as const) },
  ),
  tag: fc.constantFrom('v1', 'v10', 'latest'),
  image: fc.constantFrom('a', 'b'),
})

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

test('every follower, wherever it begins and however little it remembers, is told the true history', async () => {
  const { writer, store, newest, project } = await world()
  await project('web')
  const follower = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), cache: fc.constantFrom(1, 3000, 1e6) })
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 12 }),
      fc.array(follower, { minLength: 1, maxLength: 3 }),
      fc.array(follower, { maxLength: 2 }),
      async (groups, late, early) => {
        const begin = await newest()
        const ended = new AbortController()
        const { signal } = ended
        const truth = createTruth(store)
        await truth.start(begin, signal)
        const live = early.map(({ cache }) =>
          createStreamChanges({ store, maxCachedSize: cache }).follow({ since: begin, signal }),
        )
        const running = live.map((each) => collectUntil(each, signal))
        for (const group of groups) await Promise.all(group.map((each) => take(writer, store, each)))
        const end = await newest()
        const history = await truth.through(end)
        for (const { at, cache } of late) {
          const since = begin + Math.floor(at * (end - begin))
          const changes = createStreamChanges({ store, maxCachedSize: cache })
          const told = await collect(changes.follow({ since, signal }), end)
          expect(told).toEqual(history.filter(({ revision }) => revision > since))
        }
        for (const each of running) await each.reached(end)
        ended.abort()
        for (const each of running) expect(await each.told).toEqual(history)
      },
    ),
    { numRuns: 200 },
  )
}, 60_000)

async function take(writer: Streams['writer'], store: Store, { stream, does, tag, image }: Step): Promise<void> {
  const failed = () => undefined
  switch (does) {
    case 'move':
      await writer.changeTag(stream, tag, () => ({ spec: wanted(tag), event: event(image) }), { create: true })
      return
    case 'remove':
      await writer.changeTag(stream, tag, () => ({ remove: { cause: { kind: 'delete', by: 'alice' } } })).catch(failed)
      return
    case 'fail':
      await writer
        .changeTag(stream, tag, () => ({ spec: wanted(tag), condition: { reason: 'NotFound', message: image } }))
        .catch(failed)
      return
    case 'delete':
      await writer.delete(stream).catch(failed)
      return
    case 'create':
      await writer.create(stream, { labels: { image } }).catch(failed)
      return
    case 'elsewhere':
      await store.commit({ operations: [put('object/configmaps/demo/x', { image })] })
  }
}

/**
 * The history as a plain map of all records tells it, built from the beginning, with the whole of every stream compared
 * before and after each revision.
 */
function createTruth(store: Store) {
  const entries = new Map<string, { key: string; value: string; revision: number }>()
  const batches: { revision: number; changes: readonly { key: string; value: string | undefined }[] }[] = []
  let known = 0
  const prefixes = ['life/', 'stream/', 'generation/', 'object/imagestreams/', 'tag/']

  function wholes(): Map<string, WholeStream> {
    const found = new Map<string, WholeStream>()
    for (const { key, value } of entries.values()) {
      if (!key.startsWith('life/')) continue
      const path = key.slice('life/'.length)
      const [project = '', stream = ''] = path.split('/')
      const { uid, projectUid } = JSON.parse(value)
      const [touched, object, generation] = ['stream/', 'object/imagestreams/', 'generation/'].map((prefix) =>
        entries.get(prefix + path),
      )
      const { metadata, spec } = JSON.parse(object?.value ?? '')
      const tags = [...entries.values()]
        .filter((entry) => entry.key.startsWith(`tag/${path}/`))
        .map((entry) => ({
          name: entry.key.slice(`tag/${path}/`.length),
          record: JSON.parse(entry.value),
          storeRevision: entry.revision,
        }))
        .filter(({ record }) => record.uid === uid && (record.spec !== undefined || record.items.length > 0))
        .sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
      found.set(path, {
        stream: {
          project,
          stream,
          uid,
          projectUid,
          creationTimestamp: metadata.creationTimestamp,
          generation: JSON.parse(generation?.value ?? '').generation,
          resourceVersion: Math.max(touched?.revision ?? 0, object?.revision ?? 0),
          objectRevision: object?.revision ?? 0,
          labels: metadata.labels ?? {},
          annotations: metadata.annotations ?? {},
          lookupPolicy: spec.lookupPolicy,
        },
        tags,
      })
    }
    return found
  }

  return {
    async start(begin: number, signal: AbortSignal): Promise<void> {
      for (const snapshot of await store.ranges(prefixes.map((prefix) => ({ prefix })))) {
        for await (const entry of snapshot) entries.set(entry.key, entry)
      }
      known = begin
      const follow = async () => {
        for await (const batch of store.watch([...prefixes, 'event/'], { since: begin, signal, prompt: true })) {
          known = batch.revision
          if (batch.changes.length > 0) batches.push(batch)
        }
      }
      void follow()
    },
    async through(end: number): Promise<StreamMoves[]> {
      await expect.poll(() => known >= end, { interval: 1 }).toBe(true)
      const history: StreamMoves[] = []
      for (const { revision, changes } of batches) {
        const before = wholes()
        for (const { key, value } of changes) {
          if (value === undefined) entries.delete(key)
          else entries.set(key, { key, value, revision })
        }
        const after = wholes()
        const [path = ''] = new Set(changes.map(({ key }) => pathOf(key)))
        const [was, is] = [before.get(path), after.get(path)]
        const [project = '', stream = ''] = path.split('/')
        const isWhole = was === undefined || is === undefined || is.stream.objectRevision === revision
        const changed = changes.flatMap(({ key }) => (key.startsWith('tag/') ? [key.slice(`tag/${path}/`.length)] : []))
        const all = [...new Set([...(was?.tags ?? []), ...(is?.tags ?? [])].map(({ name }) => name))]
        const tags = isWhole ? all : changed
        const appended = changes.flatMap(({ key, value }) => {
          const [, , , entry] = key.split('/')
          const [tag = '', number] = (entry ?? '').split('!')
          return key.startsWith('event/') && value !== undefined ? [{ tag, revision: Number(number) }] : []
        })
        history.push({ revision, moves: [{ project, stream, before: was, after: is, tags, appended }] })
      }
      return history
    },
  }
}

function pathOf(key: string): string {
  return key
    .replace(/^(life|stream|generation|object\/imagestreams|tag)\//, '')
    .split('/')
    .slice(0, 2)
    .join('/')
}

function put(key: string, value: object) {
  return { type: 'put' as const, key, value: JSON.stringify(value) }
}

/** Batches with moves, up to `revision`. */
async function collect(told: AsyncIterable<StreamMoves>, revision: number): Promise<StreamMoves[]> {
  const collected: StreamMoves[] = []
  for await (const batch of told) {
    if (batch.moves.length > 0) collected.push(batch)
    if (batch.revision >= revision) break
  }
  return collected
}

/** Batches with moves until `signal` aborts; `reached` settles when it was told of a revision. */
function collectUntil(told: AsyncIterable<StreamMoves>, signal: AbortSignal) {
  const collected: StreamMoves[] = []
  let newest = 0
  const run = async () => {
    for await (const batch of told) {
      newest = batch.revision
      if (batch.moves.length > 0) collected.push(batch)
      if (signal.aborted) break
    }
    return collected
  }
  return {
    told: run(),
    reached: (revision: number) => expect.poll(() => newest >= revision, { interval: 1 }).toBe(true),
  }
}

function pinsOf(whole: WholeStream | undefined): Record<string, string> {
  return Object.fromEntries((whole?.tags ?? []).map(({ name, record }) => [name, record.items[0]?.image.at(-1) ?? '']))
}

function testSignal(): AbortSignal {
  const controller = new AbortController()
  onTestFinished(() => controller.abort())
  return controller.signal
}

async function world({ retainRevisions = 100_000 } = {}) {
  // The ledger only for the oracle: who follows streams need not follow it.
  const logged = ['object/', 'life/', 'stream/', 'generation/', 'tag/', 'event/']
  const store = await createLevelStore({ directory: await temporaryDirectory(), logged, retainRevisions })
  const closing = new AbortController()
  onTestFinished(async () => {
    closing.abort()
    await store.close()
  })
  let reads = 0
  let watches = 0
  const counted: Store = {
    ...store,
    async ranges(queries, options) {
      reads += 1
      return store.ranges(queries, options)
    },
    async *watch(prefixes, options) {
      watches += 1
      try {
        yield* store.watch(prefixes, options)
      } finally {
        watches -= 1
      }
    },
  }
  const streams = createStreams({ store, now: testClock().now, signal: closing.signal })
  const changes = createStreamChanges({ store: counted })
  const newest = async () => (await store.range({ prefix: '', limit: 0 })).revision
  const project = async (name: string) => {
    const value = { metadata: { name, uid: `uid-of-${name}`, creationTimestamp: '2026-01-01T00:00:00Z' } }
    await store.commit({ operations: [put(objectKey('namespaces', '', name), value)] })
  }
  await project('demo')
  return {
    ...streams,
    writer: anywhereWriter({ store, now: testClock().now }),
    store: counted,
    changes,
    newest,
    project,
    reads: () => reads,
    watches: () => watches,
    follow: async (since: number) => collect(changes.follow({ since, signal: testSignal() }), await newest()),
  }
}
